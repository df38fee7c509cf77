//! Agreement with the generated decoder on what is valid, and calm on what
//! is not.

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use varve_model::{
    Counts, Exemplar, FloatSamples, Histogram, HistogramSamples, Labels, Metadata, MetricType,
    ResetHint, Series, Span, TenantId,
};

use super::*;
use crate::prompb;

const LIMIT: usize = 64 << 20;

fn fingerprints() -> TenantFingerprints {
    Fingerprints::new([7; 16]).tenant(&TenantId::anonymous())
}

type SeenSeries = (Vec<(String, String)>, Series, Vec<Exemplar>);

/// What a test compares: all that a request says.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    series: Vec<SeenSeries>,
    metadata: Vec<(String, Metadata)>,
    fingerprints: Vec<u128>,
}

fn take(seen: &mut Seen, raw: &mut RawSeries<'_>, budget: &mut Budget) -> Result<(), DecodeError> {
    let mut series = Series::default();
    for sample in raw.floats.iter() {
        series.floats.push(sample.time, sample.value, sample.start);
    }
    for h in &raw.histograms {
        if let Ok(value) = &h.value {
            series.histograms.push(h.time, value.clone().into(), h.start);
        }
    }
    let exemplars = raw
        .exemplars
        .iter()
        .filter_map(|e| {
            let labels = e.labels.clone().ok()?;
            Some(Exemplar { labels, value: e.value, timestamp: e.time })
        })
        .collect();
    if let Ok(labels) = raw.labels(budget)? {
        let labels = labels.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        seen.series.push((labels, series, exemplars));
        seen.fingerprints.push(raw.fingerprint);
    }
    if let Some(m) = &raw.metadata {
        let name = String::from_utf8_lossy(raw.metric_name()).into_owned();
        seen.metadata.push((name, m.to_metadata()));
    }
    Ok(())
}

fn read_v1(body: &[u8], limit: usize) -> Result<Seen, DecodeError> {
    let mut budget = Budget::new(limit);
    let mut reader = v1::Reader::new(body, fingerprints());
    let (mut raw, mut seen) = (RawSeries::default(), Seen::default());
    while reader.next(&mut raw, &mut budget)? {
        take(&mut seen, &mut raw, &mut budget)?;
    }
    seen.metadata = reader.take_metadata();
    Ok(seen)
}

fn read_v2(body: &[u8], limit: usize) -> Result<Seen, DecodeError> {
    let mut budget = Budget::new(limit);
    let mut reader = v2::Reader::new(body, fingerprints(), &mut budget)?;
    let (mut raw, mut seen) = (RawSeries::default(), Seen::default());
    while reader.next(&mut raw, &mut budget)? {
        take(&mut seen, &mut raw, &mut budget)?;
    }
    Ok(seen)
}

prop_compose! {
    fn any_labels()(
        name in "[a-z_]{1,6}",
        rest in proptest::collection::btree_map("[a-z]{1,5}", ".{1,300}", 0..4),
    ) -> Labels {
        let rest = rest.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        Labels::from_pairs(rest.chain([("__name__", name.as_str())])).unwrap()
    }
}

fn any_hint() -> impl Strategy<Value = ResetHint> {
    use ResetHint::*;
    prop_oneof![Just(Unknown), Just(CounterReset), Just(NotCounterReset), Just(Gauge)]
}

prop_compose! {
    fn any_histogram()(
        schema in -53i32..9,
        sum: i32,
        hint in any_hint(),
        spans in vec((any::<i32>(), any::<u32>()), 0..3),
        bounds in vec(any::<i32>(), 0..3),
        counts in vec(0u64..1 << 62, 2..8),
        float: bool,
    ) -> Histogram {
        let split = 2 + (counts.len() - 2) / 2;
        let f = |c: &[u64]| c.iter().map(|c| *c as f64).collect::<Vec<_>>();
        let spans: Vec<Span> =
            spans.into_iter().map(|(offset, length)| Span { offset, length }).collect();
        Histogram {
            schema,
            zero_threshold: 0.25,
            sum: f64::from(sum),
            reset_hint: hint,
            negative_spans: spans.iter().rev().copied().collect(),
            positive_spans: spans,
            custom_bounds: bounds.into_iter().map(f64::from).collect(),
            counts: if float {
                Counts::Float {
                    count: counts[0] as f64,
                    zero: counts[1] as f64,
                    positive: f(&counts[2..split]),
                    negative: f(&counts[split..]),
                }
            } else {
                Counts::Int {
                    count: counts[0],
                    zero: counts[1],
                    positive: counts[2..split].to_vec(),
                    negative: counts[split..].to_vec(),
                }
            },
        }
    }
}

prop_compose! {
    fn any_series()(
        labels in any_labels(),
        floats in vec((any::<i64>(), any::<i32>(), prop_oneof![Just(0i64), any::<i64>()]), 0..4),
        histograms in vec((any::<i64>(), any_histogram(), prop_oneof![Just(0i64), any::<i64>()]), 0..3),
        exemplars in vec((any_labels(), any::<i32>(), any::<i64>()), 0..3),
        metadata in proptest::option::of((1i32..8, ".{0,20}", "[a-z]{0,4}")),
    ) -> (Series, Vec<Exemplar>, Option<Metadata>) {
        let (mut f, mut h) = (FloatSamples::default(), HistogramSamples::default());
        for (t, v, start) in floats {
            f.push(t, f64::from(v), start);
        }
        for (t, v, start) in histograms {
            h.push(t, v.into(), start);
        }
        let exemplars = exemplars
            .into_iter()
            .map(|(labels, v, timestamp)| Exemplar { labels, value: f64::from(v), timestamp })
            .collect();
        let metadata = metadata.map(|(kind, help, unit)| Metadata {
            kind: MetricType::from_number(kind),
            help: help.into(),
            unit: unit.into(),
        });
        (Series { labels, floats: f, histograms: h }, exemplars, metadata)
    }
}

fn pairs(labels: &Labels) -> Vec<(String, String)> {
    labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

type Sent = Vec<(Series, Vec<Exemplar>, Option<Metadata>)>;

fn body_v1(sent: &Sent) -> Vec<u8> {
    let mut request = prompb::v1::WriteRequest::default();
    for (series, exemplars, metadata) in sent {
        request.timeseries.push(prompb::series_v1(series, exemplars));
        let name = series.labels.metric_name();
        request.metadata.extend(metadata.iter().map(|m| prompb::metadata_v1(name, m)));
    }
    request.encode_to_vec()
}

fn body_v2(sent: &Sent) -> Vec<u8> {
    let mut request = prompb::RequestV2::new();
    for (series, exemplars, metadata) in sent {
        request.push(series, exemplars, metadata.as_ref());
    }
    request.finish().encode_to_vec()
}

proptest! {
    #[test]
    fn v1_says_what_was_sent(sent in vec(any_series(), 0..5)) {
        let seen = read_v1(&body_v1(&sent), LIMIT).unwrap();
        prop_assert_eq!(seen.series.len(), sent.len());
        for ((labels, series, exemplars), (s, e, _)) in seen.series.iter().zip(&sent) {
            prop_assert_eq!(labels, &pairs(&s.labels));
            prop_assert_eq!(&series.floats.times, &s.floats.times);
            prop_assert_eq!(&series.floats.values, &s.floats.values);
            prop_assert_eq!(&series.histograms.times, &s.histograms.times);
            prop_assert_eq!(&series.histograms.values, &s.histograms.values);
            prop_assert_eq!(exemplars, e);
        }
        let metadata: Vec<_> = sent
            .iter()
            .filter_map(|(s, _, m)| Some((s.labels.metric_name().to_owned(), m.clone()?)))
            .collect();
        prop_assert_eq!(seen.metadata, metadata);
    }

    #[test]
    fn v2_says_what_was_sent(sent in vec(any_series(), 0..5)) {
        let seen = read_v2(&body_v2(&sent), LIMIT).unwrap();
        prop_assert_eq!(seen.series.len(), sent.len());
        for ((labels, series, exemplars), (s, e, _)) in seen.series.iter().zip(&sent) {
            prop_assert_eq!(labels, &pairs(&s.labels));
            prop_assert_eq!(&series.floats, &s.floats);
            prop_assert_eq!(&series.histograms, &s.histograms);
            prop_assert_eq!(exemplars, e);
        }
        let metadata: Vec<_> = sent
            .iter()
            .filter_map(|(s, _, m)| Some((s.labels.metric_name().to_owned(), m.clone()?)))
            .collect();
        prop_assert_eq!(seen.metadata, metadata);
    }

    /// One series has one fingerprint in whatever company it is sent, and
    /// two series have two.
    #[test]
    fn fingerprints_are_of_the_labels_alone(a in vec(any_series(), 1..4), b in vec(any_series(), 0..4)) {
        let both: Sent = b.iter().chain(&a).cloned().collect();
        for (body, read) in [
            (body_v1 as fn(&Sent) -> Vec<u8>, read_v1 as fn(&[u8], usize) -> _),
            (body_v2, read_v2),
        ] {
            let alone = read(&body(&a), LIMIT).unwrap();
            let all = read(&body(&both), LIMIT).unwrap();
            prop_assert_eq!(&alone.fingerprints[..], &all.fingerprints[b.len()..]);
            for (i, x) in all.series.iter().enumerate() {
                for (j, y) in all.series.iter().enumerate() {
                    prop_assert_eq!(x.0 == y.0, all.fingerprints[i] == all.fingerprints[j]);
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_taken_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        let _ = read_v1(&bytes, LIMIT);
        let _ = read_v2(&bytes, LIMIT);
        let _ = decompress(&bytes, 1 << 16);
    }

    #[test]
    fn damage_is_taken_or_refused(
        sent in vec(any_series(), 1..4),
        at: prop::sample::Index,
        byte: u8,
        cut: bool,
    ) {
        for mut body in [body_v1(&sent), body_v2(&sent)] {
            let at = at.index(body.len());
            body[at] = byte;
            if cut {
                body.truncate(at);
            }
            let ours = [read_v1(&body, LIMIT).is_ok(), read_v2(&body, LIMIT).is_ok()];
            // What the generated decoder takes, ours takes.
            if prompb::v1::WriteRequest::decode(&*body).is_ok() && no_groups(&body) {
                prop_assert!(ours[0]);
            }
            if prompb::v2::Request::decode(&*body).is_ok() && no_groups(&body) {
                prop_assert!(ours[1]);
            }
        }
    }
}

/// Groups are refused here and skipped there; they begin with wire type 3.
fn no_groups(body: &[u8]) -> bool {
    !body.iter().any(|b| b & 7 == 3)
}

#[test]
fn errors_say_what_and_where() {
    let check = |body: &[u8], want: &str| {
        let got = read_v1(body, LIMIT).unwrap_err().to_string();
        assert_eq!(got, want);
    };
    check(&[0x0a, 5, 1], "malformed write request at byte 2: it ends inside a field");
    check(&[0x0a, 2, 0x12, 9], "malformed time series at byte 4: it ends inside a field");
    check(
        &[0x0a, 4, 0x12, 2, 0x08, 1],
        "malformed sample at byte 4: a field has another type than the specification gives it",
    );
    check(&[0x0b], "malformed write request at byte 0: unknown wire type");
    check(&[0x00, 0], "malformed write request at byte 0: field number is out of range");
}

#[test]
fn a_series_with_a_fault_leaves_its_neighbours_alone() {
    let series = |labels_refs: &[u32]| prompb::v2::TimeSeries {
        labels_refs: labels_refs.to_vec(),
        samples: vec![prompb::v2::Sample { value: 1.0, timestamp: 5, start_timestamp: 2 }],
        ..Default::default()
    };
    let symbols = ["", "__name__", "up"].map(str::to_owned).to_vec();
    let timeseries = vec![series(&[1, 2]), series(&[1]), series(&[1, 3]), series(&[1, 2])];
    let body = prompb::v2::Request { symbols, timeseries }.encode_to_vec();
    let mut budget = Budget::new(LIMIT);
    let mut reader = v2::Reader::new(&body, fingerprints(), &mut budget).unwrap();
    let (mut raw, mut faults) = (RawSeries::default(), Vec::new());
    while reader.next(&mut raw, &mut budget).unwrap() {
        assert_eq!(raw.floats[0].start, 2);
        faults.push(raw.fault.clone());
    }
    let missing = SeriesFault::NoSuchSymbol { reference: 3, symbols: 3 };
    assert_eq!(faults, [None, Some(SeriesFault::OddReferences(1)), Some(missing), None]);
}

#[test]
fn labels_apart_from_each_other_are_one_series() {
    let label = |n: &str, v: &str| prompb::v1::Label { name: n.into(), value: v.into() };
    let field = |label: &prompb::v1::Label| {
        let bytes = label.encode_to_vec();
        [&[0x0a, bytes.len() as u8], bytes.as_slice()].concat()
    };
    let (a, b) = (field(&label("__name__", "up")), field(&label("job", "x")));
    let sample = [0x12, 2, 0x10, 5];
    let together = [&sample[..], &a, &b].concat();
    let apart = [&a[..], &sample, &b].concat();
    let body = |series: &[u8]| [&[0x0a, series.len() as u8], series].concat();
    let (x, y) =
        (read_v1(&body(&together), LIMIT).unwrap(), read_v1(&body(&apart), LIMIT).unwrap());
    assert_eq!(x, y);
    assert_eq!(x.series[0].0.len(), 2);
}

#[test]
fn bombs_are_refused() {
    // One symbol of a mebibyte, referred to a million times.
    let big = "x".repeat(1 << 20);
    let request = prompb::v2::Request {
        symbols: vec![String::new(), big],
        timeseries: (0..1000)
            .map(|_| prompb::v2::TimeSeries { labels_refs: vec![1; 1000], ..Default::default() })
            .collect(),
    };
    let got = read_v2(&request.encode_to_vec(), LIMIT);
    assert_eq!(got, Err(DecodeError::OverBudget { limit: LIMIT }));
    // Ten million empty histograms.
    let series = [0x22, 0].repeat(1_000_000);
    let mut body = vec![0x0a];
    crate::varint::put_bytes(&mut body, &series);
    assert_eq!(read_v1(&body, LIMIT), Err(DecodeError::OverBudget { limit: LIMIT }));
    // A snappy header that claims more than the limit, or than is possible.
    let zeros = snap::raw::Encoder::new().compress_vec(&vec![0; 1 << 20]).unwrap();
    let too_large = DecodeError::TooLarge { got: 1 << 20, limit: 1 << 16 };
    assert_eq!(decompress(&zeros, 1 << 16), Err(too_large));
    assert_eq!(decompress(&zeros, 1 << 20).map(|v| v.len()), Ok(1 << 20));
    let claim = [0x80, 0x80, 0x80, 0x10, 0];
    assert!(matches!(decompress(&claim, LIMIT), Err(DecodeError::Snappy(_))));
}

#[test]
fn tenants_and_protocols_do_not_share_fingerprints() {
    let labels = Labels::from_pairs([("__name__", "up")]).unwrap();
    let sent: Sent = vec![(Series { labels, ..Default::default() }, Vec::new(), None)];
    let keyed = |key: u8, tenant: &str, body: &[u8]| {
        let tenant = TenantId::new(tenant).unwrap();
        let f = Fingerprints::new([key; 16]).tenant(&tenant);
        let (mut raw, mut budget) = (RawSeries::default(), Budget::new(LIMIT));
        assert!(v1::Reader::new(body, f).next(&mut raw, &mut budget).unwrap());
        raw.fingerprint
    };
    let body = body_v1(&sent);
    let all = [keyed(1, "a", &body), keyed(1, "b", &body), keyed(2, "a", &body)];
    assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2]);
}
