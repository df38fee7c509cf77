//! Histograms: round trips, sizes, and what becomes of reset hints.

use proptest::prelude::*;
use varve_model::Span;

use super::*;
use crate::chunk::ChunkError;
use std::sync::Arc;
use varve_model::{CUSTOM_BUCKETS_SCHEMA, Counts, Histogram, ResetHint, stale_nan};

/// Encodes and decodes; checks all but the hints; returns length and hints.
fn check(values: &[Histogram]) -> (usize, Vec<ResetHint>) {
    let values: Vec<Arc<Histogram>> = values.iter().cloned().map(Arc::new).collect();
    let mut bytes = Vec::new();
    encode_histograms(&values, &mut bytes);
    let mut decoded = Vec::new();
    decode_histograms(&bytes, &mut decoded).expect("a chunk just encoded decodes");
    assert_eq!(decoded.len(), values.len());
    for (d, v) in decoded.iter().zip(&values) {
        assert_eq!(d.reset_hint == ResetHint::Gauge, v.reset_hint == ResetHint::Gauge);
        let like = Histogram { reset_hint: d.reset_hint, ..v.as_ref().clone() };
        assert_eq!(d.as_ref(), &like);
    }
    (bytes.len(), decoded.iter().map(|h| h.reset_hint).collect())
}

fn spans(list: &[(i32, u32)]) -> Vec<Span> {
    list.iter().map(|&(offset, length)| Span { offset, length }).collect()
}

/// A counter with buckets at 0, 1, 2, … holding these counts.
fn counter(positive: &[u64]) -> Histogram {
    Histogram {
        schema: 3,
        zero_threshold: 2f64.powi(-128),
        sum: positive.iter().sum::<u64>() as f64 * 0.5,
        reset_hint: ResetHint::Unknown,
        positive_spans: spans(&[(0, positive.len() as u32)]),
        negative_spans: vec![],
        custom_bounds: vec![],
        counts: Counts::Int {
            count: positive.iter().sum(),
            zero: 0,
            positive: positive.to_vec(),
            negative: vec![],
        },
    }
}

fn stale() -> Histogram {
    Histogram { sum: stale_nan(), ..counter(&[]) }
}

/// A latency histogram of `buckets` buckets, scraped `n` times.
fn latencies(n: u64, buckets: u64) -> Vec<Histogram> {
    (0..n)
        .map(|i| counter(&(0..buckets).map(|b| i * (b * b % 11) + b).collect::<Vec<_>>()))
        .collect()
}

fn any_span() -> impl Strategy<Value = Span> {
    let offset = prop_oneof![4 => 0i32..4, 1 => any::<i32>()];
    let length = prop_oneof![9 => 0u32..5, 1 => any::<u32>()];
    (offset, length).prop_map(|(offset, length)| Span { offset, length })
}

/// Histograms that need not make sense.
fn any_histogram() -> impl Strategy<Value = Histogram> {
    let float = || {
        prop_oneof![
            (0i32..50).prop_map(f64::from),
            any::<u64>().prop_map(f64::from_bits),
            Just(stale_nan()),
        ]
    };
    let list = || prop::collection::vec(any_span(), 0..4);
    let head = (
        prop_oneof![4 => Just(3i32), 1 => any::<i32>(), 1 => Just(CUSTOM_BUCKETS_SCHEMA)],
        prop_oneof![Just(0.0), Just(2f64.powi(-128)), float()],
        float(),
        prop::sample::select(vec![
            ResetHint::Unknown,
            ResetHint::CounterReset,
            ResetHint::NotCounterReset,
            ResetHint::Gauge,
        ]),
    );
    let bounds = prop_oneof![3 => Just(vec![]), 1 => prop::collection::vec(float(), 0..6)];
    let counts = (any::<bool>(), any::<bool>(), prop::collection::vec((0u64..9, float()), 30));
    (head, list(), list(), bounds, counts).prop_map(
        |(head, mut positive, mut negative, bounds, counts)| {
            let (schema, zero_threshold, sum, reset_hint) = head;
            let (is_float, regular, numbers) = counts;
            let mut lens = [positive.len(), negative.len()];
            if regular {
                for (side, len) in [&mut positive, &mut negative].into_iter().zip(&mut lens) {
                    side.iter_mut().for_each(|s| s.length %= 5);
                    side.iter_mut().skip(1).for_each(|s| s.offset = s.offset.saturating_abs());
                    *len = side.iter().map(|s| s.length as usize).sum();
                }
            }
            let [p, n] = lens.map(|l| l.min(14));
            let ints =
                |r: std::ops::Range<usize>| numbers[r].iter().map(|x| x.0).collect::<Vec<_>>();
            let floats =
                |r: std::ops::Range<usize>| numbers[r].iter().map(|x| x.1).collect::<Vec<_>>();
            let counts = if is_float {
                let (count, zero) = (numbers[28].1, numbers[29].1);
                Counts::Float { count, zero, positive: floats(0..p), negative: floats(14..14 + n) }
            } else {
                let (count, zero) = (numbers[28].0, numbers[29].0);
                Counts::Int { count, zero, positive: ints(0..p), negative: ints(14..14 + n) }
            };
            Histogram {
                schema,
                zero_threshold,
                sum,
                reset_hint,
                positive_spans: positive,
                negative_spans: negative,
                custom_bounds: bounds,
                counts,
            }
        },
    )
}

/// Runs of histograms, so that layouts stay and come back.
fn any_column() -> impl Strategy<Value = Vec<Histogram>> {
    let kinds = prop::collection::vec(any_histogram(), 1..4);
    let runs = prop::collection::vec((any::<prop::sample::Index>(), 1usize..6), 0..12);
    (kinds, runs).prop_map(|(kinds, runs)| {
        runs.iter().flat_map(|(i, n)| vec![i.get(&kinds).clone(); *n]).collect()
    })
}

proptest! {
    #[test]
    fn histograms_round_trip(values in any_column()) {
        check(&values);
    }

    #[test]
    fn damage_is_an_error_or_harmless(
        values in any_column(),
        at in any::<prop::sample::Index>(),
        with in 1u8..,
    ) {
        let values: Vec<Arc<Histogram>> = values.into_iter().map(Arc::new).collect();
        let mut bytes = Vec::new();
        encode_histograms(&values, &mut bytes);
        for len in 0..bytes.len() {
            prop_assert!(decode_histograms(&bytes[..len], &mut Vec::new()).is_err());
        }
        let at = at.index(bytes.len());
        bytes[at] ^= with;
        let _ = decode_histograms(&bytes, &mut Vec::new());
    }
}

#[test]
fn many_samples_take_several_frames() {
    check(&latencies(2 * MAX_FRAME as u64 + 5, 3));
    check(&latencies(3, MAX_CELLS as u64 / 3));
    check(&latencies(1, MAX_CELLS as u64 + 7));
}

#[test]
fn histograms_are_small() {
    let (len, _) = check(&latencies(480, 20));
    assert!(len <= 300, "480 regular histograms take {len} bytes");
    let (len, _) = check(&latencies(1, 20));
    assert!(len <= 90, "one histogram takes {len} bytes");
    let (len, _) = check(&[vec![counter(&[1, 2, 3]); 100], vec![stale()]].concat());
    assert!(len <= 50, "a constant and a stale marker take {len} bytes");
    let grown: Vec<Histogram> = (0..200u64)
        .map(|i| counter(&(0..10 + i / 50).map(|b| i * 7 + b).collect::<Vec<_>>()))
        .collect();
    let (len, _) = check(&grown);
    assert!(len <= 250, "a histogram that grows buckets takes {len} bytes");
}

#[test]
fn custom_bounds_and_floats() {
    let custom = |i: u64| Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        zero_threshold: 0.0,
        custom_bounds: vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5],
        ..counter(&[i, i * 2, i * 3])
    };
    let values: Vec<Histogram> = (0..50).map(custom).collect();
    check(&values);
    check(&values.iter().map(Histogram::to_float).collect::<Vec<_>>());
    let long = Histogram { custom_bounds: (0..100_000).map(f64::from).collect(), ..custom(1) };
    check(&[long.clone(), long]);
}

#[test]
fn hints_say_what_a_comparison_says() {
    use ResetHint::{CounterReset, Gauge, NotCounterReset, Unknown};
    let hinted = |reset_hint, counts: &[u64]| Histogram { reset_hint, ..counter(counts) };
    let a = counter(&[1, 2]);
    let cases: Vec<(&str, Vec<Histogram>, Vec<ResetHint>)> = vec![
        (
            "no reset",
            vec![a.clone(), counter(&[1, 3]), counter(&[2, 3])],
            vec![Unknown, NotCounterReset, NotCounterReset],
        ),
        ("the count falls", vec![a.clone(), counter(&[0, 2])], vec![Unknown, CounterReset]),
        ("a bucket falls", vec![a.clone(), counter(&[0, 9])], vec![Unknown, CounterReset]),
        ("a bucket comes", vec![a.clone(), counter(&[1, 2, 3])], vec![Unknown, NotCounterReset]),
        ("a bucket goes", vec![counter(&[1, 2, 3]), counter(&[9, 9])], vec![Unknown, CounterReset]),
        (
            "an empty bucket goes",
            vec![counter(&[1, 2, 0]), counter(&[9, 9])],
            vec![Unknown, NotCounterReset],
        ),
        (
            "stale between",
            vec![a.clone(), stale(), a.clone(), a.clone()],
            vec![Unknown, Unknown, Unknown, NotCounterReset],
        ),
        (
            "another schema",
            vec![a.clone(), Histogram { schema: 2, ..counter(&[3, 3]) }],
            vec![Unknown, Unknown],
        ),
        (
            "floats",
            vec![a.to_float(), counter(&[1, 3]).to_float(), counter(&[0, 2]).to_float()],
            vec![Unknown, NotCounterReset, CounterReset],
        ),
        ("ints, then floats", vec![a.clone(), a.to_float()], vec![Unknown, Unknown]),
        (
            "gauges",
            vec![hinted(Gauge, &[5]), hinted(Gauge, &[1]), counter(&[2]), counter(&[3])],
            vec![Gauge, Gauge, Unknown, NotCounterReset],
        ),
        (
            "a sender's reset",
            vec![a.clone(), hinted(CounterReset, &[1, 3])],
            vec![Unknown, CounterReset],
        ),
        (
            "a sender's claim",
            vec![a, hinted(NotCounterReset, &[0, 2])],
            vec![Unknown, CounterReset],
        ),
    ];
    for (name, values, hints) in cases {
        assert_eq!(check(&values).1, hints, "{name}");
    }
}

#[test]
fn claims_beyond_the_bytes_are_refused() {
    let check = |bytes: &[u8], message: &str| {
        let error = decode_histograms(bytes, &mut Vec::new()).expect_err(message);
        assert_eq!(error.to_string(), message);
    };
    // One span of four billion buckets.
    check(
        &[0x10, 1, 1, 1, 0, 6, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0],
        "chunk claims 4294967295 samples, at most 0 are possible",
    );
    check(&[0x10, 1, 0], "chunk has the frame 0, which is not valid");
    check(&[0x10, 1, 1, 1, 0x80], "chunk has the layout flags 128, which is not valid");
    assert_eq!(decode_histograms(&[0x10, 9], &mut Vec::new()), Err(ChunkError::Truncated("frame")));
}
