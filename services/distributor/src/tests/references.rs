//! What travels: references of known series, labels when they are needed.

use varve_model::MetricType;
use varve_wire::batch::{SeriesId, WriteBatch};

use super::fake::Fault;
use super::*;

fn request(n: usize, t: i64) -> Request {
    (0..n).fold(Request::default(), |r, i| {
        r.float(&[("__name__", "m"), ("i", &i.to_string())], t, i as f64)
    })
}

/// How many series of the batches were named by labels, and by reference.
fn named(batches: &[WriteBatch]) -> (usize, usize) {
    let all: Vec<_> = batches.iter().flat_map(|b| &b.series).collect();
    let new = all.iter().filter(|s| matches!(s.id, SeriesId::New(_))).count();
    (new, all.len() - new)
}

#[tokio::test]
async fn known_series_travel_without_labels() {
    for protocol in BOTH {
        let bench = bench(LimitsPatch::default());
        assert_eq!(bench.send(protocol, &request(50, NOW)).await.status, 204);
        assert_eq!(named(&bench.fake.seen(0)), (50, 0));
        assert_eq!(bench.send(protocol, &request(60, NOW + 1)).await.status, 204);
        assert_eq!(named(&bench.fake.seen(0)), (10, 50));
        assert_eq!(bench.fake.series(), 60);
        assert_eq!(bench.metric("varve_distributor_cached_references"), 60.0);
    }
}

#[tokio::test]
async fn both_protocols_and_other_tenants_write_the_right_series() {
    let bench = bench(LimitsPatch::default());
    bench.send(Protocol::V1, &request(5, NOW)).await;
    bench.send(Protocol::V2, &request(5, NOW + 1)).await;
    assert_eq!(bench.fake.series(), 5);
    bench.send_as("team-2", Protocol::V2, &request(5, NOW + 2)).await;
    assert_eq!(bench.fake.series(), 10);
    let m = labels(&[("__name__", "m"), ("i", "3")]);
    assert_eq!(bench.fake.held("team-1", &m)[0].1.floats.len(), 2);
    assert_eq!(bench.fake.held("team-2", &m)[0].1.floats.len(), 1);
}

#[tokio::test]
async fn forgotten_references_are_sent_with_labels() {
    for protocol in BOTH {
        let bench = bench(LimitsPatch::default());
        bench.send(protocol, &request(20, NOW)).await;
        bench.fake.forget();
        bench.fake.seen(0);
        // A fault between the question for labels and the answer.
        let reply = bench.send(protocol, &request(25, NOW + 1)).await;
        assert_eq!((reply.status, reply.samples), (204, 25));
        let seen = bench.fake.seen(0);
        assert_eq!(
            seen.iter().map(|b| named(std::slice::from_ref(b))).collect::<Vec<_>>(),
            [(5, 20), (25, 0)]
        );
        assert_eq!(bench.send(protocol, &request(25, NOW + 2)).await.status, 204);
        assert_eq!(named(&bench.fake.seen(0)), (0, 25));
        assert_eq!(bench.metric("varve_distributor_unknown_references_total"), 20.0);
        for i in 0..25 {
            let l = labels(&[("__name__", "m"), ("i", &i.to_string())]);
            let held = &bench.fake.held("team-1", &l)[0].1;
            assert!(held.floats.values().all(|(v, _)| *v == f64::from(i)));
        }
    }
}

#[tokio::test]
async fn a_failed_write_teaches_no_references() {
    let bench = bench_with(1, LimitsPatch::default(), impatient());
    bench.fake.fail(0, Fault::Hang);
    assert_eq!(bench.send(Protocol::V2, &request(5, NOW)).await.status, 503);
    assert_eq!(bench.metric("varve_distributor_cached_references"), 0.0);
    assert_eq!(bench.send(Protocol::V2, &request(5, NOW)).await.status, 204);
}

#[tokio::test]
async fn a_tighter_limit_applies_to_known_series() {
    let bench = bench(LimitsPatch::default());
    let long = [("__name__", "m"), ("a", "0123456789")];
    let send = |t| Request::default().float(&long, t, 1.0);
    assert_eq!(bench.send(Protocol::V2, &send(NOW)).await.status, 204);
    let tighter = LimitsPatch { max_label_value_length: Some(9), ..LimitsPatch::default() };
    bench.limits.send(overrides(tighter)).unwrap();
    let reply = bench.send(Protocol::V2, &send(NOW + 1)).await;
    assert_eq!((reply.status, reply.samples), (400, 0));
    assert!(reply.message.contains("max_label_value_length"), "{}", reply.message);
}

#[tokio::test]
async fn a_series_stays_in_one_partition_of_its_tenants_few() {
    let bench = bench_of(8, LimitsPatch { partitions: Some(3), ..LimitsPatch::default() });
    for (t, protocol) in [(NOW, Protocol::V1), (NOW + 1, Protocol::V2), (NOW + 2, Protocol::V1)] {
        assert_eq!(bench.send(protocol, &request(200, t)).await.status, 204);
    }
    let mut used = std::collections::BTreeMap::<usize, usize>::new();
    for i in 0..200 {
        let l = labels(&[("__name__", "m"), ("i", &i.to_string())]);
        let held = bench.fake.held("team-1", &l);
        assert_eq!((held.len(), held[0].1.floats.len()), (1, 3));
        *used.entry(held[0].0).or_default() += 1;
    }
    assert!(used.len() == 3 && used.values().all(|n| *n > 40), "{used:?}");
}

#[tokio::test]
async fn the_series_limit_is_shared_by_the_partitions() {
    let limits =
        LimitsPatch { partitions: Some(2), max_series: Some(11), ..LimitsPatch::default() };
    let bench = bench_of(2, limits);
    let reply = bench.send(Protocol::V2, &request(100, NOW)).await;
    assert_eq!((reply.status, reply.samples), (400, 12));
    assert!(reply.message.contains("the tenant has 6 series (max_series)"), "{}", reply.message);
    // Refused series are not remembered; known ones go on.
    let reply = bench.send(Protocol::V2, &request(100, NOW + 1)).await;
    assert_eq!((reply.status, reply.samples), (400, 12));
}

#[tokio::test]
async fn a_large_request_travels_in_several_batches() {
    let bench = bench(LimitsPatch::default());
    let value = "v".repeat(2000);
    let large = (0..5000).fold(Request::default(), |r, i| {
        r.float(&[("__name__", "m"), ("i", &format!("{i}{value}"))], NOW, 1.0)
    });
    let reply = bench.send(Protocol::V1, &large).await;
    assert_eq!((reply.status, reply.samples), (204, 5000), "{}", reply.message);
    assert_eq!(bench.fake.seen(0).len(), 3);
}

#[tokio::test]
async fn metadata_travels_when_it_is_new() {
    let said =
        |help: &str| Metadata { kind: MetricType::Histogram, help: help.into(), unit: "s".into() };
    let send = |t: i64, help: &str| {
        ["a", "b"].iter().fold(Request::default(), |r, job| {
            r.float(&[("__name__", "m_bucket"), ("job", job)], t, 1.0).metadata(said(help))
        })
    };
    let bench = bench(LimitsPatch::default());
    let want = |help: &str| ("m".to_owned(), said(help));
    bench.send(Protocol::V2, &send(NOW, "one")).await;
    assert_eq!(bench.fake.metadata(), [want("one")]);
    bench.send(Protocol::V2, &send(NOW + 1, "one")).await;
    assert_eq!(bench.fake.metadata(), [want("one")]);
    bench.send(Protocol::V2, &send(NOW + 2, "two")).await;
    bench.send(Protocol::V2, &send(NOW + 3, "two")).await;
    assert_eq!(bench.fake.metadata(), [want("one"), want("two")]);
    // 1.0 sends families by name, rarely.
    let v1 = Request::default().float(&[("__name__", "up")], NOW, 1.0).metadata(said("three"));
    bench.send(Protocol::V1, &v1).await;
    assert_eq!(bench.fake.metadata()[2], ("up".to_owned(), said("three")));
}
