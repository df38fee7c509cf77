//! What is refused, one case after the other; the neighbour is always kept.

use varve_model::{Counts, ResetHint, Span};

use super::*;

const GOOD: &[(&str, &str)] = &[("__name__", "good")];

pub(super) fn histogram() -> Histogram {
    Histogram {
        schema: 0,
        zero_threshold: 0.001,
        sum: 12.5,
        reset_hint: ResetHint::Unknown,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        negative_spans: vec![],
        custom_bounds: vec![],
        counts: Counts::Int { count: 6, zero: 1, positive: vec![2, 3], negative: vec![] },
    }
}

async fn check(what: &str, limits: LimitsPatch, bad: Request, message: &str) {
    for protocol in BOTH {
        let bench = bench(limits.clone());
        let request = Request(
            bad.0.iter().cloned().chain(Request::default().float(GOOD, NOW, 1.0).0).collect(),
        );
        let reply = bench.send(protocol, &request).await;
        assert_eq!((reply.status, reply.samples), (400, 1), "{what}: {}", reply.message);
        assert_eq!(reply.histograms + reply.exemplars, 0, "{what}");
        assert!(reply.message.contains(message), "{what}: {}", reply.message);
        assert_eq!(bench.fake.held("team-1", &labels(GOOD)).len(), 1, "{what}");
    }
}

fn float(pairs: &[(&str, &str)]) -> Request {
    Request::default().float(pairs, NOW, 1.0)
}

#[tokio::test]
async fn labels_are_checked() {
    let limits = || LimitsPatch {
        max_label_names_per_series: Some(3),
        max_label_name_length: Some(8),
        max_label_value_length: Some(10),
        ..LimitsPatch::default()
    };
    check("no name", limits(), float(&[("a", "b")]), "series has no metric name").await;
    check(
        "many labels",
        limits(),
        float(&[("__name__", "m"), ("a", "1"), ("b", "1"), ("c", "1")]),
        "series has 4 labels, the limit is 3 (max_label_names_per_series)",
    )
    .await;
    check(
        "long name",
        limits(),
        float(&[("__name__", "m"), ("abcdefghi", "1")]),
        "label name \"abcdefghi\" is 9 bytes long, the limit is 8 (max_label_name_length)",
    )
    .await;
    check(
        "long value",
        limits(),
        float(&[("__name__", "m"), ("a", "0123456789x")]),
        "value of label \"a\" is 11 bytes long, the limit is 10 (max_label_value_length)",
    )
    .await;
}

#[tokio::test]
async fn times_are_checked() {
    let limits = || LimitsPatch {
        retention: Some(HumanDuration::from_secs(3600)),
        ..LimitsPatch::default()
    };
    let m = &[("__name__", "m"), ("a", "1")];
    let future = NOW + 600_001;
    check(
        "far future",
        limits(),
        Request::default().float(m, future, 1.0),
        &format!(
            "far_future m{{a=\"1\"}} at {future}: sample is 600001 ms ahead of the clock, the \
             limit is 600000 ms (creation_grace_period)"
        ),
    )
    .await;
    check(
        "histogram in the far future",
        limits(),
        Request::default().histogram(m, future, histogram()),
        "far_future",
    )
    .await;
    check(
        "too old",
        limits(),
        Request::default().float(m, NOW - 3_600_000, 1.0),
        "sample is 3600000 ms old, samples are kept for 3600000 ms (retention)",
    )
    .await;
    for ok in [NOW + 600_000, NOW - 3_599_999] {
        let bench = bench(limits());
        let reply = bench.send(Protocol::V2, &Request::default().float(m, ok, 1.0)).await;
        assert_eq!(reply.status, 204);
    }
}

#[tokio::test]
async fn histograms_are_checked() {
    let m = &[("__name__", "m")];
    let with = |change: fn(&mut Histogram)| {
        let mut h = histogram();
        change(&mut h);
        Request::default().histogram(m, NOW, h)
    };
    let none = LimitsPatch::default;
    check("schema", none(), with(|h| h.schema = 99), "histogram schema 99 is not supported").await;
    check(
        "spans",
        none(),
        with(|h| h.positive_spans[0].length = 3),
        "2 positive counts but its spans name 3 buckets",
    )
    .await;
    check(
        "count",
        none(),
        with(|h| {
            h.counts = Counts::Int { count: 9, zero: 1, positive: vec![2, 3], negative: vec![] };
        }),
        "count 9 does not fit the 6 observations",
    )
    .await;
    let few = LimitsPatch { max_native_histogram_buckets: Some(1), ..LimitsPatch::default() };
    check(
        "buckets",
        few,
        with(|_| {}),
        "histogram has 2 buckets, the limit is 1 (max_native_histogram_buckets)",
    )
    .await;
    // A delta below zero, which the model cannot even hold.
    let bench = bench(none());
    let mut bad = prompb::histogram_v1(&histogram(), NOW);
    bad.positive_deltas = vec![1, -5];
    let label = prompb::v1::Label { name: "__name__".into(), value: "m".into() };
    let series = prompb::v1::TimeSeries {
        labels: vec![label],
        histograms: vec![bad, prompb::histogram_v1(&histogram(), NOW + 1)],
        ..Default::default()
    };
    let request = prompb::v1::WriteRequest { timeseries: vec![series], metadata: vec![] };
    let reply = bench.send_body("team-1", Protocol::V1, prompb::compress(&request)).await;
    assert_eq!((reply.status, reply.histograms), (400, 1));
    assert!(reply.message.contains("positive bucket 1 has the negative count -4"));
}

#[tokio::test]
async fn exemplars_are_checked() {
    let long = "x".repeat(121);
    let bench = bench(LimitsPatch::default());
    let request = Request::default()
        .float(GOOD, NOW, 1.0)
        .exemplar(&[("trace_id", &long)], NOW)
        .exemplar(&[("trace_id", &long[..120])], NOW);
    let reply = bench.send(Protocol::V2, &request).await;
    assert_eq!((reply.status, reply.samples, reply.exemplars), (400, 1, 1));
    assert!(reply.message.contains("labels of 129 characters, the limit is 128"));
}

/// Labels that only a damaged or hostile sender makes.
#[tokio::test]
async fn bad_labels_are_refused_by_the_series() {
    let label = |n: &str, v: &str| prompb::v1::Label { name: n.into(), value: v.into() };
    let sample = || prompb::v1::Sample { value: 1.0, timestamp: NOW };
    let series = |labels: Vec<prompb::v1::Label>| prompb::v1::TimeSeries {
        labels,
        samples: vec![sample()],
        ..Default::default()
    };
    let timeseries = vec![
        series(vec![label("__name__", "m"), label("a", "1"), label("a", "2")]),
        series(vec![label("__name__", "m"), label("", "1")]),
        series(vec![label("__name__", "")]),
        // Unsorted labels and empty values are fine.
        series(vec![label("z", "1"), label("__name__", "good"), label("e", "")]),
    ];
    let request = prompb::v1::WriteRequest { timeseries, metadata: vec![] };
    let bench = bench(LimitsPatch::default());
    let reply = bench.send_body("team-1", Protocol::V1, prompb::compress(&request)).await;
    assert_eq!((reply.status, reply.samples), (400, 1));
    for part in ["1 duplicate_label", "1 invalid_labels", "1 missing_metric_name"] {
        assert!(reply.message.contains(part), "{part}: {}", reply.message);
    }
    let good = labels(&[("__name__", "good"), ("z", "1")]);
    assert_eq!(bench.fake.held("team-1", &good).len(), 1);

    // References to nothing, and bytes that are not text.
    let refs = |r: &[u32]| prompb::v2::TimeSeries {
        labels_refs: r.to_vec(),
        samples: vec![prompb::v2::Sample { value: 1.0, timestamp: NOW, start_timestamp: 0 }],
        ..Default::default()
    };
    let request = prompb::v2::Request {
        symbols: ["", "__name__", "good2", "@@"].map(str::to_owned).to_vec(),
        timeseries: vec![refs(&[1, 9]), refs(&[1]), refs(&[1, 3]), refs(&[1, 2])],
    };
    let plain = prost_bytes(&request);
    let at = plain.windows(2).position(|w| w == b"@@").unwrap();
    let mut plain = plain;
    plain[at] = 0xff;
    let body = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
    let reply = bench.send_body("team-1", Protocol::V2, body).await;
    assert_eq!((reply.status, reply.samples), (400, 1));
    assert!(reply.message.starts_with("3 refused for good (3 invalid_labels)"));
    for part in ["refers to symbol 9", "1 label references, an odd number", "not UTF-8"] {
        assert!(reply.message.contains(part), "{part}: {}", reply.message);
    }
    assert_eq!(bench.fake.held("team-1", &labels(&[("__name__", "good2")])).len(), 1);
}

fn prost_bytes(request: &prompb::v2::Request) -> Vec<u8> {
    snap::raw::Decoder::new().decompress_vec(&prompb::compress(request)).unwrap()
}
