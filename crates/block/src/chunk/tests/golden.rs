//! Kept bytes: `testdata/chunk/<case>.bin` and, beside it, what it decodes to.
//!
//! Fails when bytes that were written once no longer decode to the same, and
//! when the encoder writes other bytes than before. The second may be meant:
//! then `VARVE_BLESS=1 cargo test -p varve-block golden` writes the files anew,
//! the change is told in docs/formats/chunk.md, and the old files are kept
//! under another name as long as readers must understand them.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use varve_model::{CUSTOM_BUCKETS_SCHEMA, Counts, Histogram, ResetHint, Span, stale_nan};

use super::*;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/chunk").join(name)
}

/// Compares the encoder's bytes with those kept, and what those decode to,
/// one line a sample, with the text kept.
fn check(case: &str, encoded: &[u8], decode: impl Fn(&[u8]) -> Vec<String>) {
    let (bin, txt) = (file(&format!("{case}.bin")), file(&format!("{case}.txt")));
    let lines = |bytes: &[u8]| {
        decode(bytes).iter().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        })
    };
    if std::env::var_os("VARVE_BLESS").is_some() {
        std::fs::write(&bin, encoded).expect("testdata can be written");
        std::fs::write(&txt, lines(encoded)).expect("testdata can be written");
    }
    let kept = std::fs::read(&bin).expect("the bytes of a case are kept");
    let expected = std::fs::read_to_string(&txt).expect("the values of a case are kept");
    assert_eq!(lines(&kept), expected, "{case}: kept bytes decode to other values");
    assert_eq!(encoded, kept, "{case}: the encoder writes other bytes than it did");
}

fn check_golden_times(case: &str, times: &[i64]) {
    let mut bytes = Vec::new();
    encode_times(times, &mut bytes);
    check(case, &bytes, |bytes| {
        let mut times = Vec::new();
        decode_times(bytes, &mut times).expect(case);
        times.iter().map(ToString::to_string).collect()
    });
}

fn check_golden_floats(case: &str, values: &[f64]) {
    let mut bytes = Vec::new();
    encode_floats(values, &mut bytes);
    check(case, &bytes, |bytes| {
        let mut values = Vec::new();
        decode_floats(bytes, &mut values).expect(case);
        values.iter().map(|v| format!("{:016x} {v}", v.to_bits())).collect()
    });
}

fn check_golden_histograms(case: &str, values: &[Histogram]) {
    let values: Vec<_> = values.iter().cloned().map(Arc::new).collect();
    let mut bytes = Vec::new();
    encode_histograms(&values, &mut bytes);
    check(case, &bytes, |bytes| {
        let mut values = Vec::new();
        decode_histograms(bytes, &mut values).expect(case);
        values.iter().map(|h| format!("{:016x} {h:?}", h.sum.to_bits())).collect()
    });
}

/// A number that looks random, 0 to `below`.
fn noise(i: i64, below: i64) -> i64 {
    (((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as i64) % below
}

#[test]
fn times() {
    let grid = |i: i64| 1_700_000_000_000 + 15_000 * i;
    check_golden_times("times-none", &[]);
    check_golden_times("times-grid", &(0..300).map(grid).collect::<Vec<_>>());
    let jitter = |i| grid(i) + noise(i, 30);
    check_golden_times("times-jitter", &(0..300).map(jitter).collect::<Vec<_>>());
    check_golden_times("times-wild", &[i64::MIN, i64::MAX, 0, -1, 1 << 40, i64::MIN]);
    // Steps that grow by one: differences of differences.
    check_golden_times("times-squares", &(0..300).map(|i| i * i * i / 9).collect::<Vec<_>>());
}

#[test]
fn floats() {
    let column = |f: &dyn Fn(i64) -> f64| (0..300).map(f).collect::<Vec<_>>();
    check_golden_floats("floats-constant", &column(&|_| 1.5));
    let counter = |i| (1_000_000 + 150 * i + noise(i, 60)) as f64;
    check_golden_floats("floats-counter", &column(&counter));
    let reset = |i| if i < 170 { counter(i) } else { counter(i) - counter(170) };
    check_golden_floats("floats-reset", &column(&reset));
    check_golden_floats("floats-pages", &column(&|i| (4096 * noise(i, 9000)) as f64));
    check_golden_floats("floats-decimals", &column(&|i| noise(i, 5000) as f64 / 100.0));
    let mut sum = 0.0;
    let sums: Vec<f64> = (0..300)
        .map(|i| {
            sum += noise(i, 9) as f64 * 0.01;
            sum
        })
        .collect();
    check_golden_floats("floats-sums", &sums);
    check_golden_floats("floats-bits", &column(&|i| (noise(i, 1 << 30) as f64).sqrt()));
    let specials = [stale_nan(), f64::INFINITY, -0.0, f64::from_bits(0x7ff8_0000_dead_beef)];
    let holes = |i: i64| if i % 50 < 4 { specials[(i % 4) as usize] } else { counter(i) };
    check_golden_floats("floats-exceptions", &column(&holes));
}

#[test]
fn starts() {
    let times: Vec<i64> = (0..100).map(|i| 1_700_000_000_000 + 15_000 * i).collect();
    for (case, starts) in [
        ("starts-cumulative", times.iter().map(|t| if *t % 7 < 3 { 0 } else { 9 }).collect()),
        ("starts-deltas", times.iter().map(|t| t - 15_000).collect::<Vec<_>>()),
    ] {
        let mut bytes = Vec::new();
        encode_starts(&starts, &times, &mut bytes);
        check(case, &bytes, |bytes| {
            let mut starts = Vec::new();
            decode_starts(bytes, &times, &mut starts).expect(case);
            starts.iter().map(ToString::to_string).collect()
        });
    }
}

#[test]
fn histograms() {
    let growing = |i: i64| {
        let n = 5 + i / 20;
        let positive: Vec<u64> = (0..n).map(|b| (i * (b + 1) + noise(b, 9)) as u64).collect();
        Histogram {
            schema: 3,
            zero_threshold: 2f64.powi(-128),
            sum: i as f64 * 0.25,
            reset_hint: ResetHint::Unknown,
            positive_spans: vec![Span { offset: -2, length: n as u32 }],
            negative_spans: vec![Span { offset: 1, length: 1 }, Span { offset: 3, length: 1 }],
            custom_bounds: vec![],
            counts: Counts::Int {
                count: positive.iter().sum::<u64>() + 3 * i as u64,
                zero: i as u64,
                positive,
                negative: vec![i as u64, i as u64],
            },
        }
    };
    let mut column: Vec<_> = (1..60).map(growing).collect();
    column.push(Histogram { sum: stale_nan(), ..growing(0) });
    column.extend((1..10).map(growing));
    check_golden_histograms("histograms-counter", &column);
    let floats = |i: i64| Histogram { reset_hint: ResetHint::Gauge, ..growing(50 - i).to_float() };
    check_golden_histograms("histograms-float-gauge", &(0..40).map(floats).collect::<Vec<_>>());
    let custom = |i| Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        zero_threshold: 0.0,
        positive_spans: vec![Span { offset: 0, length: 2 }, Span { offset: 1, length: 1 }],
        negative_spans: vec![],
        custom_bounds: vec![0.005, 0.01, 0.025, 0.5],
        counts: Counts::Int {
            count: 6 * i as u64,
            zero: 0,
            positive: vec![i as u64, 2 * i as u64, 3 * i as u64],
            negative: vec![],
        },
        ..growing(i)
    };
    check_golden_histograms("histograms-custom", &(0..40).map(custom).collect::<Vec<_>>());
}
