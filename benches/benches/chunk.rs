//! How many bytes a sample takes in a chunk, and how fast chunks are written
//! and read, on real scrapes.
//!
//! `VARVE_SCRAPE_DATA=scrape-1s.bin.xz cargo bench -p varve-benches --bench chunk`
//! prints two tables: the codec alone, and the way of a reader, from the
//! compressed pages of a block to the samples of each series. Kept answers are
//! in `results/chunk.md`.
#![allow(clippy::print_stdout)]

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use varve_benches::{cpu, scrape};
use varve_block::chunk::{decode_floats, decode_times, encode_floats, encode_times};
use varve_block::{EncodedChunk, merge::merge_chunks};
use varve_model::{FloatSamples, TimeRange};

/// What is measured: name, samples left out between two, samples of a chunk
/// (480 are two hours of a 15 s scrape, 40 the ten minutes between two seals),
/// and whether series whose value never changes are left out.
const ROWS: [(&str, usize, usize, bool); 6] = [
    ("1 s", 1, 480, false),
    ("1 s, non-constant", 1, 480, true),
    ("1 s, non-constant", 1, 40, true),
    ("15 s", 15, 480, false),
    ("15 s, non-constant", 15, 480, true),
    ("15 s, non-constant", 15, 40, true),
];
/// Bytes of a page of `samples.parquet`, and the level of zstd it has.
const PAGE: (usize, i32) = (128 << 10, 6);

/// As the server has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::io::Result<()> {
    let series = scrape::load()?;
    let rows: Vec<(&str, Vec<FloatSamples>)> = ROWS
        .iter()
        .map(|(name, stride, window, lively)| (*name, cut(&series, *stride, *window, *lively)))
        .collect();
    println!(
        "| scrape | samples | a chunk | times B | values B | total B/sample \
         | encode times ns | values ns | decode times ns | values ns | both M/s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for (name, chunks) in &rows {
        codec(name, chunks);
    }
    println!(
        "\n| scrape | a chunk | vectors of times | page B/sample | zstd ns \
         | times and values ns | M samples/s |\n|---|---|---|---|---|---|---|"
    );
    for (name, chunks) in &rows {
        reader(name, chunks)?;
    }
    Ok(())
}

/// Every `stride`th sample, in chunks of at most `window`.
fn cut(series: &[FloatSamples], stride: usize, window: usize, lively: bool) -> Vec<FloatSamples> {
    let mut chunks = Vec::new();
    for samples in series {
        let times: Vec<i64> = samples.times.iter().step_by(stride).copied().collect();
        let values: Vec<f64> = samples.values.iter().step_by(stride).copied().collect();
        for (times, values) in times.chunks(window).zip(values.chunks(window)) {
            if !lively || values.iter().any(|v| v.to_bits() != values[0].to_bits()) {
                let (times, values) = (times.to_vec(), values.to_vec());
                chunks.push(FloatSamples { times, values, starts: Vec::new() });
            }
        }
    }
    chunks
}

fn codec(name: &str, chunks: &[FloatSamples]) {
    let n = chunks.iter().map(FloatSamples::len).sum::<usize>() as f64;
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for chunk in chunks {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        encode_times(&chunk.times, &mut a);
        encode_floats(&chunk.values, &mut b);
        times.push(a);
        values.push(b);
    }
    let mut out = Vec::new();
    let encode_times = cpu::time(|| {
        for chunk in chunks {
            out.clear();
            encode_times(&chunk.times, &mut out);
            black_box(&out);
        }
    });
    let encode_values = cpu::time(|| {
        for chunk in chunks {
            out.clear();
            encode_floats(&chunk.values, &mut out);
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
    let [times, values] = [&times, &values].map(|c| c.iter().map(Vec::len).sum::<usize>() as f64);
    let each = |time: Duration| time.as_secs_f64() * 1e9 / n;
    println!(
        "| {name} | {n} | {:.0} | {:.3} | {:.3} | {:.3} | {:.1} | {:.1} | {:.2} | {:.2} | {:.0} |",
        n / chunks.len() as f64,
        times / n,
        values / n,
        (times + values) / n,
        each(encode_times),
        each(encode_values),
        each(decode_times),
        each(decode_values),
        1e3 / each(decode_times + decode_values),
    );
}

/// A page as `samples.parquet` has it: values behind their lengths, compressed.
struct Page {
    compressed: Vec<u8>,
    len: usize,
    /// The chunks in it, without their values.
    chunks: Vec<EncodedChunk>,
}

/// The way of a reader: a page is decompressed, its values are cut out of it,
/// times come by the id of their vector, and each chunk becomes the samples of
/// a series. The reading of Parquet's other columns and of labels is not in it.
fn reader(name: &str, chunks: &[FloatSamples]) -> std::io::Result<()> {
    let n = chunks.iter().map(FloatSamples::len).sum::<usize>() as f64;
    let mut vectors: HashMap<Bytes, Bytes> = HashMap::new();
    let mut pages: Vec<Page> = Vec::new();
    let mut plain = Vec::new();
    let mut within = Vec::new();
    for (i, samples) in chunks.iter().enumerate() {
        let mut chunk = EncodedChunk::from_floats(samples, 1, 1).expect("no chunk is empty");
        chunk.times = vectors.entry(chunk.times.clone()).or_insert(chunk.times).clone();
        plain.extend_from_slice(&(chunk.values.len() as u32).to_le_bytes());
        plain.extend_from_slice(&std::mem::take(&mut chunk.values));
        within.push(chunk);
        if plain.len() >= PAGE.0 || i + 1 == chunks.len() {
            let compressed = zstd::bulk::compress(&plain, PAGE.1)?;
            let (len, chunks) = (plain.len(), std::mem::take(&mut within));
            pages.push(Page { compressed, len, chunks });
            plain.clear();
        }
    }
    let bytes: usize = pages.iter().map(|p| p.compressed.len()).sum();
    let mut context = zstd::bulk::Decompressor::new()?;
    let decompress = cpu::time(|| {
        for page in &pages {
            black_box(context.decompress(&page.compressed, page.len).expect("just compressed"));
        }
    });
    let all = cpu::time(|| {
        for page in &mut pages {
            let plain = context.decompress(&page.compressed, page.len).expect("just compressed");
            let (plain, mut at) = (Bytes::from(plain), 0);
            for chunk in &mut page.chunks {
                let len = plain[at..].first_chunk::<4>().expect("each value has a length");
                let end = at + 4 + u32::from_le_bytes(*len) as usize;
                chunk.values = plain.slice(at + 4..end);
                at = end;
                let samples = merge_chunks(std::slice::from_ref(chunk), TimeRange::ALL);
                black_box(samples.expect("a chunk just encoded decodes"));
            }
        }
    });
    let each = |time: Duration| time.as_secs_f64() * 1e9 / n;
    println!(
        "| {name} | {:.0} | {} | {:.3} | {:.2} | {:.2} | {:.0} |",
        n / chunks.len() as f64,
        vectors.len(),
        bytes as f64 / n,
        each(decompress),
        each(all.saturating_sub(decompress)),
        1e3 / each(all),
    );
    Ok(())
}
