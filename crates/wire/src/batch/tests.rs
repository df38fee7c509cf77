//! Round trips of all that a batch can hold, and any bytes.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use varve_model::{Counts, Histogram, MetricType, ResetHint, Span, stale_nan};

use super::*;

fn tenant() -> TenantId {
    TenantId::new("team-1").unwrap()
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        any::<i32>().prop_map(f64::from),
        (any::<i32>(), 0u32..9).prop_map(|(m, e)| f64::from(m) / 10f64.powi(e as i32)),
        Just(stale_nan()),
        Just(-0.0),
        Just((1u64 << 53) as f64),
    ]
}

fn any_labels() -> impl Strategy<Value = Labels> {
    proptest::collection::btree_map("[a-z]{1,4}", ".{1,8}", 0..4)
        .prop_map(|m| Labels::from_pairs(m.iter()).unwrap())
}

prop_compose! {
    fn any_histogram()(
        schema in prop_oneof![-53i32..=-53, -4i32..9, any::<i32>()],
        zero_threshold in any_value(),
        sum in any_value(),
        hint in 0u8..4,
        spans in vec((any::<i32>(), any::<u32>()), 0..3),
        negative_spans in vec((any::<i32>(), any::<u32>()), 0..3),
        custom_bounds in vec(any_value(), 0..3),
        ints in vec(any::<u64>(), 2..6),
        floats in vec(any_value(), 2..6),
        float: bool,
    ) -> Histogram {
        let span = |(offset, length)| Span { offset, length };
        let counts = if float {
            Counts::Float {
                count: floats[0],
                zero: floats[1],
                positive: floats[2..].to_vec(),
                negative: floats[3.min(floats.len())..].to_vec(),
            }
        } else {
            Counts::Int {
                count: ints[0],
                zero: ints[1],
                positive: ints[2..].to_vec(),
                negative: ints[3.min(ints.len())..].to_vec(),
            }
        };
        let reset_hint = match hint {
            0 => ResetHint::Unknown,
            1 => ResetHint::CounterReset,
            2 => ResetHint::NotCounterReset,
            _ => ResetHint::Gauge,
        };
        Histogram {
            schema,
            zero_threshold,
            sum,
            reset_hint,
            positive_spans: spans.into_iter().map(span).collect(),
            negative_spans: negative_spans.into_iter().map(span).collect(),
            custom_bounds,
            counts,
        }
    }
}

prop_compose! {
    fn any_series()(
        id in prop_oneof![
            any::<u64>().prop_map(SeriesId::Known),
            any_labels().prop_map(SeriesId::New),
        ],
        floats in vec((any::<i64>(), any_value(), prop_oneof![Just(0i64), any::<i64>()]), 0..5),
        histograms in vec((any::<i64>(), any_histogram(), prop_oneof![Just(0i64), any::<i64>()]), 0..3),
        exemplars in vec((any_labels(), any::<i32>(), any::<i64>()), 0..3),
    ) -> BatchSeries {
        let mut s = BatchSeries::new(id);
        for (t, v, start) in floats {
            s.floats.push(t, v, start);
        }
        for (t, h, start) in histograms {
            s.histograms.push(t, Arc::new(h), start);
        }
        for (labels, value, timestamp) in exemplars {
            s.exemplars.push(Exemplar { labels, value: f64::from(value), timestamp });
        }
        s
    }
}

prop_compose! {
    fn any_batch()(
        series in vec(any_series(), 0..6),
        metadata in vec(("[a-z]{0,5}", 0i32..8, ".{0,9}", ".{0,3}"), 0..3),
    ) -> WriteBatch {
        let metadata = metadata
            .into_iter()
            .map(|(name, kind, help, unit)| {
                let kind = MetricType::from_number(kind);
                (name, Metadata { kind, help: help.into(), unit: unit.into() })
            })
            .collect();
        WriteBatch { tenant: tenant(), series, metadata }
    }
}

proptest! {
    #[test]
    fn batches_round_trip(batch in any_batch()) {
        let bytes = batch.encode();
        prop_assert_eq!(WriteBatch::decode(&bytes), Ok(batch));
    }

    #[test]
    fn any_bytes_are_taken_or_refused(form in 0u8..3, bytes in vec(any::<u8>(), 0..200)) {
        let _ = WriteBatch::decode(&bytes);
        let _ = WriteBatch::decode(&[&[VERSION, form], bytes.as_slice()].concat());
    }

    /// What a damaged batch decodes to is again a batch: nothing panics.
    #[test]
    fn damage_is_taken_or_refused(batch in any_batch(), at: prop::sample::Index, byte: u8, cut: bool) {
        // The plain form, so that damage reaches the columns.
        let mut bytes = plain(&batch);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        let _ = WriteBatch::decode(&bytes);
    }
}

fn plain(batch: &WriteBatch) -> Vec<u8> {
    let bytes = batch.encode();
    if bytes[1] == FORM_PLAIN {
        return bytes.to_vec();
    }
    let mut header = crate::varint::Reader::new(&bytes[2..], 0);
    let len = header.varint().unwrap();
    let body = zstd::bulk::decompress(&bytes[2 + header.position()..], len as usize).unwrap();
    [&[VERSION, FORM_PLAIN], body.as_slice()].concat()
}

#[test]
fn a_bomb_is_refused_without_room_for_it() {
    let zeros = zstd::bulk::compress(&vec![0u8; 4 << 20], 1).unwrap();
    for claim in [16u64, (MAX_RAW_BYTES as u64) + 1, u64::MAX] {
        let mut bytes = vec![VERSION, FORM_ZSTD];
        crate::varint::put_varint(&mut bytes, claim);
        bytes.extend_from_slice(&zeros);
        assert!(WriteBatch::decode(&bytes).is_err(), "claim {claim} was taken");
    }
}

#[test]
fn the_envelope_is_checked() {
    assert_eq!(WriteBatch::decode(&[]), Err(BatchError::Empty));
    assert_eq!(WriteBatch::decode(&[9, 0]), Err(BatchError::Version(9)));
    assert_eq!(WriteBatch::decode(&[VERSION, 2]), Err(BatchError::Form(2)));
    let mut bytes = plain(&WriteBatch::new(tenant()));
    bytes.push(0);
    assert!(matches!(WriteBatch::decode(&bytes), Err(BatchError::Malformed { .. })));
}

/// A scrape of known series, one sample each, as a sender ships it.
#[test]
fn a_typical_sample_takes_few_bytes() {
    let mut batch = WriteBatch::new(tenant());
    for i in 0..2000u64 {
        let mut s = BatchSeries::new(SeriesId::Known(70_000 + i * 2));
        let value = match i % 4 {
            0 => 0.0,
            1 => (i * 7919 % 100_000) as f64,
            2 => (i * 104_729 % 10_000) as f64 / 100.0,
            _ => (i * 15_485_863) as f64,
        };
        s.floats.push(1_790_000_000_000 + (i as i64 / 500) * 137, value, 0);
        batch.series.push(s);
    }
    let bytes = batch.encode().len();
    assert!(bytes <= 5 * 2000, "{bytes} bytes for 2000 samples");
}

/// One of everything.
fn golden() -> WriteBatch {
    let labels = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied()).unwrap();
    let mut known = BatchSeries::new(SeriesId::Known(7));
    for (t, v, start) in [(1_790_000_000_000, 1.5, 0), (1_790_000_015_000, -0.0, 1_789_999_000_000)]
    {
        known.floats.push(t, v, start);
    }
    known.floats.push(1_790_000_030_000, stale_nan(), 0);
    known.floats.push(1_790_000_045_000, std::f64::consts::PI, 0);
    let mut new = BatchSeries::new(SeriesId::New(labels(&[("__name__", "h"), ("job", "a")])));
    let spans = vec![Span { offset: -2, length: 1 }, Span { offset: 3, length: 1 }];
    let int = Histogram {
        schema: 3,
        zero_threshold: 0.001,
        sum: 12.25,
        reset_hint: ResetHint::NotCounterReset,
        positive_spans: spans,
        negative_spans: vec![Span { offset: 0, length: 1 }],
        custom_bounds: vec![],
        counts: Counts::Int { count: 9, zero: 1, positive: vec![5, 2], negative: vec![1] },
    };
    let float = Histogram {
        schema: -53,
        zero_threshold: 0.0,
        reset_hint: ResetHint::Gauge,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        negative_spans: vec![],
        custom_bounds: vec![0.5, 1.0],
        counts: Counts::Float { count: 3.5, zero: 0.0, positive: vec![1.0, 2.5], negative: vec![] },
        ..int
    };
    new.histograms.push(1_790_000_000_000, Arc::new(int), 1_789_999_000_000);
    new.histograms.push(1_790_000_015_000, Arc::new(float), 0);
    new.exemplars.push(Exemplar {
        labels: labels(&[("trace_id", "abc")]),
        value: 0.25,
        timestamp: 1_790_000_014_000,
    });
    let metadata =
        Metadata { kind: MetricType::Histogram, help: "Some help.".into(), unit: "s".into() };
    WriteBatch {
        tenant: tenant(),
        series: vec![known, new],
        metadata: vec![("h".into(), metadata)],
    }
}

/// Batches lie in logs: what version 1 wrote is read for ever.
#[test]
fn batches_of_version_1_are_read() {
    let plain = include_bytes!("../../testdata/batch-v1-plain.bin");
    let packed = include_bytes!("../../testdata/batch-v1-packed.bin");
    assert_eq!(WriteBatch::decode(plain), Ok(golden()));
    assert_eq!(WriteBatch::decode(packed), Ok(golden()));
    assert_eq!(super::tests::plain(&golden()), plain);
}
