//! How many bytes a sample takes in a chunk, and how fast chunks are written
//! and read, on real scrapes.
//!
//! `VARVE_SCRAPE_DATA=scrape-1s.bin.xz cargo bench -p varve-benches --bench chunk`
//! prints a table row for each thinning; kept answers are in `results/chunk.md`.
#![allow(clippy::print_stdout)]

use std::hint::black_box;

use varve_benches::{cpu, scrape};
use varve_block::chunk::{decode_floats, decode_times, encode_floats, encode_times};

/// Samples of a chunk: two hours of a 15 s scrape.
const WINDOW: usize = 480;

fn main() -> std::io::Result<()> {
    let series = scrape::load()?;
    println!(
        "| scrape | samples | a chunk | times B | values B | total B/sample \
         | encode times M/s | values M/s | decode times M/s | values M/s | both M/s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for (name, stride) in [("1 s", 1), ("15 s", 15)] {
        let mut chunks: Vec<(Vec<i64>, Vec<f64>)> = Vec::new();
        for samples in &series {
            let times: Vec<i64> = samples.times.iter().step_by(stride).copied().collect();
            let values: Vec<f64> = samples.values.iter().step_by(stride).copied().collect();
            for (times, values) in times.chunks(WINDOW).zip(values.chunks(WINDOW)) {
                chunks.push((times.to_vec(), values.to_vec()));
            }
        }
        measure(name, &chunks);
    }
    Ok(())
}

fn measure(name: &str, chunks: &[(Vec<i64>, Vec<f64>)]) {
    let samples: usize = chunks.iter().map(|(times, _)| times.len()).sum();
    let mut out = Vec::new();
    let mut times = Vec::new();
    let mut values = Vec::new();
    for (t, v) in chunks {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        encode_times(t, &mut a);
        encode_floats(v, &mut b);
        times.push(a);
        values.push(b);
    }
    let encode_times = cpu::time(|| {
        for (times, _) in chunks {
            out.clear();
            encode_times(times, &mut out);
            black_box(&out);
        }
    });
    let encode_values = cpu::time(|| {
        for (_, values) in chunks {
            out.clear();
            encode_floats(values, &mut out);
            black_box(&out);
        }
    });
    let mut decoded = Vec::new();
    let decode_times = cpu::time(|| {
        for bytes in &times {
            decoded.clear();
            decode_times(bytes, &mut decoded).expect("a chunk just encoded decodes");
            black_box(&decoded);
        }
    });
    let mut decoded = Vec::new();
    let decode_values = cpu::time(|| {
        for bytes in &values {
            decoded.clear();
            decode_floats(bytes, &mut decoded).expect("a chunk just encoded decodes");
            black_box(&decoded);
        }
    });
    let n = samples as f64;
    let [times, values] = [&times, &values].map(|c| c.iter().map(Vec::len).sum::<usize>() as f64);
    let speed = |time: std::time::Duration| n / 1e6 / time.as_secs_f64();
    println!(
        "| {name} | {samples} | {:.0} | {:.3} | {:.3} | {:.3} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} |",
        n / chunks.len() as f64,
        times / n,
        values / n,
        (times + values) / n,
        speed(encode_times),
        speed(encode_values),
        speed(decode_times),
        speed(decode_values),
        speed(decode_times + decode_values),
    );
}
