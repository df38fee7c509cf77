//! `varve-differ`: the differential fuzzer by hand. It starts Varve and the
//! judge itself, or asks any two addresses that speak Prometheus' API and take
//! remote write 2.0. `--help` has every setting.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use varve_promql::parse::Options;
use varve_tests::differ::court::{Court, Pair, Server};
use varve_tests::differ::data::Data;
use varve_tests::differ::round::{self, Report, Round};

/// Asks random PromQL of two servers and prints where their answers differ.
#[derive(Debug, Parser)]
#[command(name = "varve-differ", version, max_term_width = 100)]
struct Flags {
    /// The first seed; a seed decides data and queries.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seeds to run, one after the other.
    #[arg(long, default_value_t = 1)]
    rounds: u64,
    /// Queries of each seed.
    #[arg(long, default_value_t = 1000)]
    queries: u64,
    /// Only the query of this number.
    #[arg(long)]
    query: Option<u64>,
    /// Queries with mistakes, most of which do not parse.
    #[arg(long)]
    broken: bool,
    /// Only stable parts of the language.
    #[arg(long)]
    stable: bool,
    /// Ask once the data are in blocks; by default of odd seeds only.
    #[arg(long)]
    shipped: bool,
    /// Queries at once.
    #[arg(long, default_value_t = 3)]
    threads: usize,
    /// The varve binary to start, when no addresses are given.
    #[arg(long, default_value = "target/release/varve")]
    binary: String,
    /// Base URL of a running server to be judged, without features unless it has them on.
    #[arg(long, requires = "judge")]
    ours: Option<String>,
    /// Base URL of the running judge.
    #[arg(long, requires = "ours")]
    judge: Option<String>,
    /// Where the judge takes remote write; the oracle takes more on /append.
    #[arg(long, default_value = "/api/v1/write")]
    judge_write: String,
    /// Both addresses hold the seed's data already.
    #[arg(long)]
    written: bool,
}

impl Flags {
    fn options(&self) -> Options {
        if self.stable { Options::default() } else { Options::all() }
    }

    fn ask(&self, court: &Court<'_>, data: &Data, seed: u64) -> Report {
        let numbers = self.query.map_or(0..self.queries, |n| n..n + 1);
        let (options, broken, threads) = (self.options(), self.broken, self.threads);
        round::ask(court, data, &Round { seed, numbers, options, broken, threads })
    }

    /// One seed, with processes of its own or with the addresses given.
    fn round(&self, seed: u64) -> Result<Report, String> {
        let data = Data::new(seed);
        if let (Some(ours), Some(judge)) = (&self.ours, &self.judge) {
            let ours = Server { url: ours.clone(), write_path: "/api/v1/write".to_owned() };
            let judge = Server { url: judge.clone(), write_path: self.judge_write.clone() };
            if !self.written {
                ours.write(&data.requests())?;
                judge.write(&data.requests())?;
            }
            return Ok(self.ask(&Court::new(ours, judge, Vec::new), &data, seed));
        }
        let dir = tempfile::tempdir().map_err(|e| format!("make a folder: {e}"))?;
        let pair = Pair::start(&self.binary, dir.path(), &data, !self.stable)
            .ok_or("there is no Go to build the judge")?;
        pair.ours().write(&data.requests())?;
        pair.judge().write(&data.requests())?;
        if self.shipped || seed % 2 == 1 {
            pair.ship();
        }
        let court = Court::new(pair.ours(), pair.judge(), || pair.jury());
        Ok(self.ask(&court, &data, seed))
    }
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    let mut out = io::stdout();
    let mut whole = Report::default();
    for seed in flags.seed..flags.seed + flags.rounds {
        match flags.round(seed) {
            Ok(report) => {
                let _ = writeln!(out, "seed {seed}: {}", report.summary());
                for finding in &report.findings {
                    let _ = writeln!(out, "\n{finding}");
                }
                let _ = out.flush();
                whole.merge(report);
            }
            Err(e) => {
                let _ = writeln!(io::stderr(), "seed {seed}: {e}");
                return ExitCode::FAILURE;
            }
        }
    }
    let _ = writeln!(out, "\n{}", whole.summary());
    let _ = writeln!(out, "not asked with data: {:?}", whole.coverage.lacking(1));
    for (name, count) in whole.coverage.poorest(12) {
        let _ = writeln!(out, "  {name}: {} of {} with data", count.with_data, count.asked);
    }
    if whole.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
