//! `varve-load`: sends metrics by remote write 1.0 and says what became of
//! them, as one line of JSON. `--help` has every setting.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::json;
use varve_benches::clock::now_ms;
use varve_benches::load::cluster::{self, Plan};
use varve_benches::load::feed::Feed;
use varve_benches::load::kube::{POD_SERIES, Shape};
use varve_benches::load::send::{Manner, send};
use varve_benches::load::{protobuf, recorded};
use varve_benches::{cpu, scrape};

/// Sends Kubernetes-like or recorded metrics by remote write 1.0.
#[derive(Debug, Parser)]
#[command(name = "varve-load", version, max_term_width = 100)]
struct Flags {
    /// Where to: http://host:port/path.
    #[arg(long)]
    url: String,
    /// Active series; made of pods of 100.
    #[arg(long, default_value_t = 20_000)]
    series: u32,
    /// Scrapes of each series.
    #[arg(long, default_value_t = 100)]
    scrapes: u64,
    /// Scrapes that are made up but not sent, to go on where another load has
    /// ended; --scrapes counts them, too.
    #[arg(long, default_value_t = 0)]
    skip: u64,
    /// Seconds between scrapes.
    #[arg(long, default_value_t = 15)]
    interval: u32,
    /// Milliseconds by which a scrape may be early or late.
    #[arg(long, default_value_t = 5)]
    jitter: u32,
    /// How fast: `fast` for as fast as the server takes it, or how many times
    /// faster than the samples' own time; 1 is real time. Times end about now,
    /// except in real time, where they begin now.
    #[arg(long, default_value = "fast", value_parser = speed)]
    speed: Speed,
    /// Time of the first scrape in ms; default: so that the last is now, or
    /// now with --speed real.
    #[arg(long)]
    start: Option<i64>,
    /// Share of the pods that is replaced in an hour of the samples' time.
    #[arg(long, default_value_t = 0.0)]
    churn: f64,
    /// Replace all pods at this scrape.
    #[arg(long)]
    rollout: Option<u64>,
    /// Native histogram series as a share of the others, added to them.
    #[arg(long, default_value_t = 0.0)]
    native: f64,
    /// Most samples of one request.
    #[arg(long, default_value_t = 2000)]
    samples_per_request: usize,
    /// Connections; a series always goes by the same one.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Where the made-up data begins; the same seed gives the same data.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Send the scrapes recorded in this file (.bin.xz) instead.
    #[arg(long)]
    recorded: Option<PathBuf>,
    /// Of recorded scrapes, keep every n-th of each target.
    #[arg(long, default_value_t = 1)]
    thin: usize,
    /// A further header, `Name: value`; may be repeated.
    #[arg(long)]
    header: Vec<String>,
    /// Seconds for which one request is repeated before all is given up.
    #[arg(long, default_value_t = 300)]
    give_up: u64,
}

/// Times faster than real time; none: as fast as possible.
#[derive(Clone, Copy, Debug)]
struct Speed(Option<f64>);

fn speed(word: &str) -> Result<Speed, String> {
    match word.parse::<f64>() {
        _ if word == "fast" => Ok(Speed(None)),
        Ok(times) if times > 0.0 && times.is_finite() => Ok(Speed(Some(times))),
        _ => Err("must be `fast` or a number above 0".to_owned()),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let flags = Flags::parse();
    let (feeds, first_ms) = feeds(&flags)?;
    let manner = Manner {
        url: flags.url.clone(),
        headers: flags.header.iter().map(|h| format!("{h}\r\n")).collect(),
        speed: flags.speed.0,
        first_ms,
        first_scrape: flags.skip,
        give_up: Duration::from_secs(flags.give_up),
    };
    let used = || cpu::process(std::process::id()).unwrap_or_default();
    let (begun, setup) = (Instant::now(), used());
    let mut outcome = send(feeds, &manner)?;
    let (wall, spent) = (begun.elapsed().as_secs_f64(), used().saturating_sub(setup));
    outcome.micros.sort_unstable();
    let quantile = |q: f64| {
        let last = outcome.micros.len().saturating_sub(1) as f64;
        outcome.micros.get((q * last) as usize).map(|m| f64::from(*m) / 1e6)
    };
    let line = json!({
        "requests": outcome.requests,
        "acknowledged": outcome.acknowledged,
        "refused": outcome.refused,
        "refusal": outcome.refusal,
        "retries": outcome.retries,
        "bytes": outcome.bytes,
        "seconds": wall,
        "samples_per_second": outcome.acknowledged as f64 / wall,
        "cpu_seconds": spent.as_secs_f64(),
        "setup_cpu_seconds": setup.as_secs_f64(),
        "request_seconds_p50": quantile(0.5),
        "request_seconds_p99": quantile(0.99),
        "first_ms": first_ms,
    });
    writeln!(io::stdout(), "{line}")?;
    Ok(())
}

/// What is to be sent, and the time of its first sample.
fn feeds(flags: &Flags) -> io::Result<(Vec<Box<dyn Feed>>, i64)> {
    let real = flags.speed.0.is_some_and(|times| times <= 1.0);
    let start = |length_ms: i64| {
        let start = flags.start.unwrap_or(if real { now_ms() } else { now_ms() - length_ms });
        match protobuf::time_fits(start) && protobuf::time_fits(start + length_ms) {
            true => Ok(start),
            false => Err(io::Error::other(format!("start {start} ms must lie in 2004 to 2109"))),
        }
    };
    if let Some(path) = &flags.recorded {
        let all = scrape::read(path)?;
        let start = start(recorded::length_ms(&all))?;
        return Ok((recorded::feeds(&all, flags.thin, start, flags.samples_per_request), start));
    }
    let interval_ms = i64::from(flags.interval) * 1000;
    let length =
        i64::try_from(flags.scrapes).map_err(io::Error::other)?.saturating_mul(interval_ms);
    let start_ms = start(length)?;
    let shape = Shape {
        pods: flags.series.div_ceil(POD_SERIES as u32).max(1),
        seed: flags.seed,
        start_ms,
        interval_ms,
        jitter_ms: flags.jitter,
        churn: flags.churn,
        rollout: flags.rollout,
    };
    let plan = Plan {
        shape,
        scrapes: flags.scrapes,
        request_samples: flags.samples_per_request.max(POD_SERIES),
        connections: flags.connections.clamp(1, 256),
        native: flags.native,
    };
    Ok((cluster::feeds(&plan), start_ms))
}
