//! What is coded is read back to the same bits, in chunks that hold together;
//! bytes that are no chunk are refused; and the bytes are Prometheus'.

mod golden;

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use varve_model::{Counts, FloatSamples, Histogram, HistogramSamples, ResetHint, Span, stale_nan};

use crate::{CHUNK_SAMPLES, Chunk, ChunkError, Decoded, Encoding, chunks};

/// Codes two columns and reads them back; the chunks must be in order.
fn again(floats: &FloatSamples, histograms: &HistogramSamples) -> (FloatSamples, HistogramSamples) {
    let (mut f, mut h) = (FloatSamples::default(), HistogramSamples::default());
    let mut last = None;
    for chunk in chunks(floats, histograms) {
        let chunk = chunk.expect("regular histograms");
        assert!(last.is_none_or(|t| t < chunk.min_time) && chunk.min_time <= chunk.max_time);
        last = Some(chunk.max_time);
        let (times, hists) = match chunk.decode().expect("what was coded decodes") {
            Decoded::Floats(part) => {
                f.times.extend(&part.times);
                f.values.extend(&part.values);
                (part.times, Vec::new())
            }
            Decoded::Histograms(part) => {
                h.times.extend(&part.times);
                h.values.extend(part.values.clone());
                (part.times, part.values)
            }
        };
        assert_eq!((times.first(), times.last()), (Some(&chunk.min_time), Some(&chunk.max_time)));
        assert!(times.len() <= CHUNK_SAMPLES);
        check_hints(&hists);
    }
    (f, h)
}

/// Readers believe that nothing but the first may follow a reset.
fn check_hints(hists: &[Arc<Histogram>]) {
    for pair in hists.windows(2).filter(|p| !p[1].is_stale()) {
        let (before, h) = (&pair[0], &pair[1]);
        if h.reset_hint == ResetHint::NotCounterReset {
            assert!(before.count() <= h.count() && before.schema == h.schema);
        }
    }
}

/// The histogram without what readers are told apart from it.
fn bare(h: &Histogram) -> Histogram {
    if h.is_stale() {
        return match h.counts {
            Counts::Int { .. } => marker(ints(&[])),
            Counts::Float { .. } => marker(floats(&[])),
        };
    }
    let reset_hint = match h.reset_hint {
        ResetHint::Gauge => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    };
    Histogram { reset_hint, ..h.clone() }
}

fn marker(counts: Counts) -> Histogram {
    histogram(0, 0.0, stale_nan(), ResetHint::Unknown, counts, &[])
}

fn histogram(
    schema: i32,
    zero_threshold: f64,
    sum: f64,
    reset_hint: ResetHint,
    counts: Counts,
    custom_bounds: &[f64],
) -> Histogram {
    let (positive, negative) = match &counts {
        Counts::Int { positive, negative, .. } => (positive.len(), negative.len()),
        Counts::Float { positive, negative, .. } => (positive.len(), negative.len()),
    };
    let spans = |n: usize| match n {
        0 => Vec::new(),
        1 => vec![Span { offset: -3, length: 1 }],
        n => vec![Span { offset: 0, length: n as u32 - 1 }, Span { offset: 70, length: 1 }],
    };
    Histogram {
        schema,
        zero_threshold,
        sum,
        reset_hint,
        positive_spans: spans(positive),
        negative_spans: spans(negative),
        custom_bounds: custom_bounds.to_vec(),
        counts,
    }
}

fn ints(all: &[u64]) -> Counts {
    let (positive, negative) = all.split_at(all.len() / 2);
    let count = all.iter().fold(5_u64, |sum, c| sum.wrapping_add(*c));
    Counts::Int { count, zero: 5, positive: positive.to_vec(), negative: negative.to_vec() }
}

fn floats(all: &[f64]) -> Counts {
    let (positive, negative) = all.split_at(all.len() / 2);
    Counts::Float {
        count: all.iter().sum(),
        zero: 0.5,
        positive: positive.to_vec(),
        negative: negative.to_vec(),
    }
}

fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        (0..1000_i32).prop_map(f64::from),
        Just(stale_nan()),
        Just(0.1),
    ]
}

fn any_histogram() -> impl Strategy<Value = Histogram> {
    let hint = prop_oneof![
        Just(ResetHint::Unknown),
        Just(ResetHint::NotCounterReset),
        Just(ResetHint::CounterReset),
        Just(ResetHint::Gauge)
    ];
    let small = prop_oneof![(0..50_u64), any::<u64>()];
    let counts = prop_oneof![
        vec(small, 0..6).prop_map(|c| ints(&c)),
        vec(any_float(), 0..6).prop_map(|c| floats(&c)),
    ];
    let threshold = prop_oneof![Just(0.0), Just(0.001), Just(2.0_f64.powi(-128)), any_float()];
    let schema = prop_oneof![(-4..=8_i32), Just(3), Just(-53)];
    let bounds = vec(prop_oneof![Just(0.005), Just(2.5), any_float()], 0..4);
    (schema, threshold, any_float(), hint, counts, bounds).prop_map(
        |(schema, threshold, sum, hint, counts, bounds)| {
            let bounds = if schema == -53 { bounds } else { Vec::new() };
            histogram(schema, threshold, sum, hint, counts, &bounds)
        },
    )
}

/// Times at regular, jittery and wild distances.
fn times() -> impl Strategy<Value = Vec<i64>> {
    let step = prop_oneof![Just(15_000_i64), 14_000..16_000_i64, 1..1_i64 << 40];
    (any::<i64>(), vec(step, 0..400)).prop_map(|(first, steps)| {
        let mut times = vec![first];
        for step in steps {
            match times[times.len() - 1].checked_add(step) {
                Some(next) => times.push(next),
                None => break,
            }
        }
        times
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn samples_survive(
        times in times(),
        values in vec(any_float(), 401),
        hists in vec(any_histogram(), 1..8),
        kinds in vec(0..40_u8, 401),
    ) {
        let (mut f, mut h) = (FloatSamples::default(), HistogramSamples::default());
        let mut float = true;
        for (i, &t) in times.iter().enumerate() {
            // Kinds change now and then, histograms repeat.
            float ^= kinds[i] == 0;
            if float {
                f.push(t, values[i], 0);
            } else {
                let pick = usize::from(kinds[i] / 14) % hists.len();
                h.push(t, Arc::new(hists[pick].clone()), 0);
            }
        }
        let (f2, h2) = again(&f, &h);
        prop_assert_eq!(f2, f);
        prop_assert_eq!(&h2.times, &h.times);
        for (got, want) in h2.values.iter().zip(&h.values) {
            prop_assert_eq!(bare(got), bare(want));
        }
    }

    #[test]
    fn arbitrary_bytes_are_calm(bytes in vec(any::<u8>(), 0..300), few in 0..300_u16) {
        for encoding in [Encoding::Xor, Encoding::Histogram, Encoding::FloatHistogram] {
            let mut data = few.to_be_bytes().to_vec();
            data.extend(&bytes);
            for data in [data, bytes.clone()] {
                let _ = Chunk { encoding, min_time: 0, max_time: 0, data }.decode();
            }
        }
    }
}

#[test]
fn runs_are_cut_where_readers_need_it() {
    let growing = |i: u64| histogram(1, 0.001, 1.0, ResetHint::Unknown, ints(&[i, i]), &[]);
    let with = |h: Histogram, reset_hint| Histogram { reset_hint, ..h };
    let wide = histogram(1, 0.001, 1.0, ResetHint::Unknown, ints(&[5, 5, 5]), &[]);
    let cases: [(&str, Vec<Histogram>, &[usize]); 7] = [
        ("grows", (0..130).map(growing).collect(), &[120, 10]),
        ("falls", vec![growing(5), growing(6), growing(4)], &[2, 1]),
        (
            "is said to be reset",
            vec![growing(5), with(growing(6), ResetHint::CounterReset)],
            &[1, 1],
        ),
        ("turns gauge", vec![growing(5), with(growing(6), ResetHint::Gauge)], &[1, 1]),
        ("changes layout", vec![growing(1), wide], &[1, 1]),
        ("turns float", vec![growing(1), growing(2).to_float()], &[1, 1]),
        ("goes and comes", vec![growing(1), marker(ints(&[])), growing(2)], &[2, 1]),
    ];
    for (name, run, want) in cases {
        let mut column = HistogramSamples::default();
        for (t, h) in (0..).zip(run) {
            column.push(t * 1000, h.into(), 0);
        }
        let lens: Vec<usize> = chunks(&FloatSamples::default(), &column)
            .map(|c| match c.and_then(|c| c.decode()) {
                Ok(Decoded::Histograms(h)) => h.len(),
                other => panic!("{name}: {other:?}"),
            })
            .collect();
        assert_eq!(lens, want, "{name}");
    }
}

#[test]
fn what_spans_do_not_name_is_refused() {
    let mut h = histogram(1, 0.0, 1.0, ResetHint::Unknown, ints(&[1, 2]), &[]);
    h.positive_spans.clear();
    let mut column = HistogramSamples::default();
    column.push(7, h.into(), 0);
    let chunk = chunks(&FloatSamples::default(), &column).next();
    assert_eq!(chunk, Some(Err(ChunkError::Irregular(7))));
}
