//! Merging against a naive merge of all samples, and the rule of reset hints.

use std::collections::BTreeMap;

use proptest::prelude::*;
use varve_model::{Counts, Span};

use super::*;

fn histogram(count: u64, hint: ResetHint) -> Arc<Histogram> {
    Arc::new(Histogram {
        schema: 0,
        zero_threshold: 0.0,
        sum: count as f64,
        reset_hint: hint,
        positive_spans: vec![Span { offset: 0, length: 1 }],
        negative_spans: Vec::new(),
        custom_bounds: Vec::new(),
        counts: Counts::Int { count, zero: 0, positive: vec![count], negative: Vec::new() },
    })
}

fn float_chunk(samples: &[(i64, f64)], order: (u64, u64)) -> EncodedChunk {
    let mut column = FloatSamples::default();
    for (t, v) in samples {
        column.push(*t, *v, t % 3);
    }
    EncodedChunk::from_floats(&column, order.0, order.1).expect("not empty")
}

fn histogram_chunk(samples: &[(i64, u64)], order: (u64, u64)) -> EncodedChunk {
    let mut column = HistogramSamples::default();
    for (t, count) in samples {
        column.push(*t, histogram(*count, ResetHint::Unknown), 0);
    }
    EncodedChunk::from_histograms(&column, order.0, order.1).expect("not empty")
}

/// Chunks as they are generated: histograms or floats, times, order.
type Raw = (bool, std::collections::BTreeSet<i64>, (u64, u64));

fn encode((is_histogram, times, order): &Raw, number: usize) -> EncodedChunk {
    if *is_histogram {
        let samples: Vec<_> = times.iter().map(|t| (*t, number as u64 + 1)).collect();
        histogram_chunk(&samples, *order)
    } else {
        let samples: Vec<_> = times.iter().map(|t| (*t, number as f64)).collect();
        float_chunk(&samples, *order)
    }
}

proptest! {
    #[test]
    fn the_lowest_order_wins_at_each_time(
        raw in proptest::collection::vec(
            (any::<bool>(), proptest::collection::btree_set(0i64..40, 1..20), (0u64..3, 0u64..3)),
            0..6),
        start in -5i64..40, len in 0i64..50,
    ) {
        let chunks: Vec<EncodedChunk> =
            raw.iter().enumerate().map(|(i, r)| encode(r, i)).collect();
        let range = TimeRange::new(start, start + len);
        // Time to the winner's number and kind.
        let mut expected: BTreeMap<i64, usize> = BTreeMap::new();
        for (i, (_, times, order)) in raw.iter().enumerate() {
            for t in times.iter().filter(|t| range.contains(**t)) {
                let winner = expected.entry(*t).or_insert(i);
                if *order < raw[*winner].2 {
                    *winner = i;
                }
            }
        }
        let (floats, histograms) = merge_chunks(&chunks, range).expect("merge");
        let mut found: BTreeMap<i64, usize> = BTreeMap::new();
        for (i, (t, v)) in floats.times.iter().zip(&floats.values).enumerate() {
            prop_assert!(found.insert(*t, *v as usize).is_none());
            prop_assert_eq!(floats.start(i), t % 3);
        }
        for (t, h) in histograms.times.iter().zip(&histograms.values) {
            prop_assert!(found.insert(*t, h.count() as usize - 1).is_none(), "both kinds at {}", t);
        }
        prop_assert_eq!(found, expected);
        prop_assert!(floats.times.is_sorted() && histograms.times.is_sorted());
    }
}

proptest! {
    #[test]
    fn chunks_that_follow_each_other_are_joined(
        steps in proptest::collection::vec(1i64..4, 1..60),
        lens in proptest::collection::vec(1usize..20, 60),
        backward in any::<bool>(),
        start in -5i64..100, len in 0i64..150,
    ) {
        let mut all = FloatSamples::default();
        for (i, step) in steps.iter().enumerate() {
            all.push(all.times.last().unwrap_or(&0) + step, i as f64, 0);
        }
        let (mut chunks, mut from) = (Vec::new(), 0);
        for len in lens {
            let to = all.len().min(from + len);
            let (times, values) = (all.times[from..to].to_vec(), all.values[from..to].to_vec());
            let part = FloatSamples { times, values, starts: Vec::new() };
            chunks.extend(EncodedChunk::from_floats(&part, 1, from as u64 % 3));
            from = to;
        }
        if backward {
            chunks.reverse();
        }
        let range = TimeRange::new(start, start + len);
        let mut expected = FloatSamples::default();
        for (t, v) in all.times.iter().zip(&all.values).filter(|(t, _)| range.contains(**t)) {
            expected.push(*t, *v, 0);
        }
        let (floats, histograms) = merge_chunks(&chunks, range).expect("merge");
        prop_assert_eq!(floats, expected);
        prop_assert!(histograms.is_empty());
    }
}

/// One merger for many series finds what a new one finds for each, however many
/// vectors there are, where they are shared and where chunks take a part.
#[test]
fn what_is_remembered_of_times_is_right() {
    let chunk = |shift: i64, part: (usize, usize)| {
        let times: Vec<i64> = (0..40).map(|i| shift + i * 10 + i * shift % 7).collect();
        let column = |times: &[i64]| FloatSamples {
            times: times.to_vec(),
            values: times.iter().map(|t| *t as f64).collect(),
            starts: Vec::new(),
        };
        let whole = EncodedChunk::from_floats(&column(&times), 1, 1).expect("not empty");
        let some = column(&times[part.0..part.1]);
        let chunk = EncodedChunk::from_floats(&some, 1, 1).expect("not empty");
        (EncodedChunk { times: whole.times, ..chunk }, some)
    };
    let mut merger = Merger::default();
    for round in 0..500_usize {
        let shift = (round * round % 70) as i64;
        let (chunk, some) = chunk(shift, (round % 5, 40 - round % 3));
        let (floats, _) = merger.merge([&chunk], TimeRange::ALL).expect("merge");
        assert_eq!(floats, some, "round {round}");
    }
    let (good, _) = chunk(1, (0, 40));
    let bad = EncodedChunk { count: 39, ..good };
    for _ in 0..3 {
        assert!(merger.merge([&bad], TimeRange::ALL).is_err());
    }
}

#[test]
fn among_equals_the_first_wins_even_if_it_begins_later() {
    let column = |times: &[i64], value: f64| {
        let (times, values) = (times.to_vec(), vec![value; times.len()]);
        let samples = FloatSamples { times, values, starts: Vec::new() };
        EncodedChunk::from_floats(&samples, 1, 1).expect("not empty")
    };
    let chunks = [column(&[2, 3], 1.0), column(&[1, 2], 2.0)];
    let (floats, _) = merge_chunks(&chunks, TimeRange::ALL).expect("merge");
    assert_eq!((floats.times, floats.values), (vec![1, 2, 3], vec![2.0, 1.0, 1.0]));
}

#[test]
fn bounds_that_hide_an_overlap_lose_nothing() {
    let column = |times: &[i64], value: f64| {
        let (times, values) = (times.to_vec(), vec![value; times.len()]);
        FloatSamples { times, values, starts: Vec::new() }
    };
    let first = EncodedChunk::from_floats(&column(&[1, 2, 5], 1.0), 1, 1).expect("not empty");
    let mut second = EncodedChunk::from_floats(&column(&[2, 3, 9], 2.0), 1, 0).expect("not empty");
    second.min_time = 6;
    let (floats, _) = merge_chunks(&[first, second], TimeRange::ALL).expect("merge");
    assert_eq!(floats.times, [1, 2, 3, 5, 9]);
    assert_eq!(floats.values, [1.0, 2.0, 2.0, 1.0, 2.0]);
}

#[test]
fn hints_over_a_seam_are_found_by_comparing() {
    use ResetHint::{NotCounterReset, Unknown};
    let check = |chunks: &[EncodedChunk], start: i64, expected: &[ResetHint]| {
        let range = TimeRange::new(start, 100);
        let (_, histograms) = merge_chunks(chunks, range).expect("merge");
        let hints: Vec<ResetHint> = histograms.values.iter().map(|h| h.reset_hint).collect();
        assert_eq!(hints, expected);
    };
    let steady = histogram_chunk(&[(1, 1), (2, 2), (3, 3), (4, 4)], (1, 1));
    check(
        std::slice::from_ref(&steady),
        0,
        &[Unknown, NotCounterReset, NotCounterReset, NotCounterReset],
    );
    // The beginning of the range is no seam.
    check(std::slice::from_ref(&steady), 2, &[NotCounterReset, NotCounterReset]);
    // A sample of another chunk comes in between.
    let other = float_chunk(&[(3, 0.0)], (0, 0));
    check(&[steady.clone(), other], 0, &[Unknown, NotCounterReset, Unknown]);
    let around = float_chunk(&[(3, 0.0), (5, 0.0)], (0, 0));
    check(&[steady.clone(), around], 3, &[Unknown]);
    // What the loser fell by is not what was there before.
    let loser = histogram_chunk(&[(3, 9), (5, 5)], (1, 2));
    let expected = [Unknown, NotCounterReset, NotCounterReset, NotCounterReset, Unknown];
    check(&[steady.clone(), loser], 0, &expected);
    let reset = histogram_chunk(&[(5, 3), (6, 4)], (1, 2));
    check(&[steady.clone(), reset.clone()], 3, &[NotCounterReset, Unknown, NotCounterReset]);
    // Nor is it one where a chunk ends, if that chunk is at hand.
    let next = histogram_chunk(&[(5, 5)], (1, 2));
    check(&[steady.clone(), next.clone()], 4, &[NotCounterReset]);
    check(&[steady, reset], 4, &[Unknown, NotCounterReset]);
    check(&[next], 4, &[Unknown]);
}

#[test]
fn a_shared_vector_may_have_more_times() {
    let times: Vec<i64> = (1..=9).collect();
    let mut shared = Vec::new();
    chunk::encode_times(&times, &mut shared);
    for histograms in [false, true] {
        for (from, to) in [(1, 9), (1, 4), (6, 9), (3, 7), (5, 5)] {
            let own: Vec<(i64, f64)> = (from..=to).map(|t| (t, t as f64)).collect();
            let mut chunk = float_chunk(&own, (0, 0));
            chunk.times = shared.clone().into();
            let mut chunks = vec![chunk];
            if histograms {
                chunks.push(histogram_chunk(&[(20, 1)], (0, 0)));
            }
            for range in [TimeRange::ALL, TimeRange::new(3, 6)] {
                let (floats, _) = merge_chunks(&chunks, range).expect("merge");
                let expected: Vec<(i64, f64)> =
                    own.iter().copied().filter(|(t, _)| range.contains(*t)).collect();
                let found: Vec<(i64, f64)> =
                    floats.times.iter().copied().zip(floats.values.iter().copied()).collect();
                assert_eq!(found, expected, "{from} to {to} in {range:?}");
            }
        }
    }
}

#[test]
fn columns_that_do_not_fit_are_corrupt() {
    let good = float_chunk(&[(1, 1.0), (2, 2.0)], (0, 0));
    let check = |change: &dyn Fn(&mut EncodedChunk), expected: &str| {
        let mut chunk = good.clone();
        change(&mut chunk);
        let error = merge_chunks(&[chunk], TimeRange::ALL).expect_err("corrupt");
        assert_eq!(error.kind(), varve_model::ErrorKind::Corrupt);
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(&|c| c.count = 3, "2 times for 3 samples");
    check(&|c| c.count = 1, "2 times for 1 samples");
    check(&|c| (c.count, c.max_time) = (1, 0), "0 times for 1 samples");
    let three = float_chunk(&[(1, 1.0), (2, 2.0), (3, 3.0)], (0, 0));
    check(&|c| c.values = three.values.clone(), "3 values for 2 samples");
    check(&|c| c.times = bytes::Bytes::new(), "chunk");
    let mut backward = Vec::new();
    chunk::encode_times(&[2, 1], &mut backward);
    check(&|c| c.times = backward.clone().into(), "time 1 is not after 2");
}
