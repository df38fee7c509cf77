//! How many bytes does a sample take where it is kept?
//!
//! Everything counts: labels, index, catalog. All data lies within one window
//! of two hours, as a real window would when it is shipped.

use std::io;
use std::path::Path;

use super::bench::{Bench, say};
use super::plot;
use super::server::Kind;
use crate::clock::now_ms;
use crate::load::recorded;
use crate::scrape;

/// Length of a window.
const WINDOW_MS: i64 = 2 * 3600 * 1000;
/// Scrapes of 15 s that fill a window.
const SCRAPES: u64 = 480;

/// Data with a name, as flags of the load.
struct Data {
    name: String,
    flags: Vec<String>,
}

/// Measures each server on each data, and writes the page. Without a file of
/// recorded scrapes, only made-up data is used.
///
/// # Errors
/// When a run fails.
pub fn ask(bench: &Bench, file: Option<&Path>, series: u32, partitions: &[u32]) -> io::Result<()> {
    let mut report =
        bench.report("cost-bytes", "How many bytes does a sample take where it is kept?");
    report.notes = vec![
        "All bytes of the bucket (Varve, after a forced ship, catalog included), of data and \
         indexdb (VictoriaMetrics, after a forced merge), of the compacted blocks (Prometheus, a \
         snapshot with its head). Recorded data: 2,007 series of three exporters, 1 s, for 32 \
         minutes, true times; its thinning keeps every 15th scrape. All data lies in one window \
         of two hours."
            .to_owned(),
    ];
    report.head = [
        "data",
        "server",
        "partitions",
        "M samples",
        "bytes",
        "B/sample",
        "/ VictoriaMetrics",
        "/ Prometheus",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut kinds = Vec::new();
    for kind in &bench.servers {
        match kind {
            Kind::Varve => kinds.extend(partitions.iter().map(|n| (*kind, *n))),
            _ => kinds.push((*kind, 1)),
        }
    }
    let mut groups = Vec::new();
    for data in all_data(file, series)? {
        let mut results = Vec::new();
        for (kind, count) in &kinds {
            let mut setup = bench.setup(*kind, "bytes");
            setup.partitions = *count;
            let run = bench.run(setup, &data.flags)?;
            let samples = run.load.number("acknowledged");
            say(&format!(
                "{}: {} {count}: {:.4}",
                data.name,
                kind.name(),
                run.bytes as f64 / samples
            ));
            results.push((run.bytes, samples));
        }
        let each = |(bytes, samples): &(u64, f64)| *bytes as f64 / samples;
        let to = |peer: Kind, own: f64| {
            let at = kinds.iter().position(|(kind, _)| *kind == peer);
            let peer = at.and_then(|at| results.get(at)).map(each);
            peer.map_or_else(String::new, |peer| format!("{:.2}", own / peer))
        };
        for ((kind, count), result) in kinds.iter().zip(&results) {
            report.rows.push(vec![
                data.name.clone(),
                kind.name().to_owned(),
                if *kind == Kind::Varve { count.to_string() } else { String::new() },
                format!("{:.2}", result.1 / 1e6),
                result.0.to_string(),
                format!("{:.3}", each(result)),
                to(Kind::Victoria, each(result)),
                to(Kind::Prometheus, each(result)),
            ]);
        }
        groups.push((data.name, results.iter().map(|r| Some(each(r))).collect()));
    }
    let name = |(kind, count): &(Kind, u32)| match kind {
        Kind::Varve => format!("{} ({count} partitions)", kind.name()),
        _ => kind.name().to_owned(),
    };
    let names: Vec<String> = kinds.iter().map(name).collect();
    report.plots =
        vec![("cost-bytes.svg".to_owned(), plot::bars("Bytes per sample kept", &names, &groups))];
    report.write(&bench.results)
}

fn all_data(file: Option<&Path>, series: u32) -> io::Result<Vec<Data>> {
    // The newest whole window that has passed; its beginning belongs to the
    // one before, and the jitter of the first scrape must not.
    let start =
        |length: i64| ((now_ms() - length).div_euclid(WINDOW_MS) * WINDOW_MS + 6).to_string();
    let mut all = Vec::new();
    if let Some(file) = file {
        let length = recorded::length_ms(&scrape::read(file)?);
        for (name, thin) in [("recorded 1 s", 1), ("recorded, thinned to 15 s", 15)] {
            let flags = [
                ("--recorded", file.display().to_string()),
                ("--thin", thin.to_string()),
                ("--start", start(length)),
            ];
            all.push(data(name, &flags));
        }
    }
    let flags = [
        ("--series", series.to_string()),
        ("--scrapes", SCRAPES.to_string()),
        ("--start", start(WINDOW_MS)),
    ];
    all.push(data(&format!("made up 15 s, {series} series"), &flags));
    Ok(all)
}

fn data(name: &str, flags: &[(&str, String)]) -> Data {
    let flags = flags.iter().flat_map(|(flag, value)| [(*flag).to_owned(), value.clone()]);
    Data { name: name.to_owned(), flags: flags.collect() }
}
