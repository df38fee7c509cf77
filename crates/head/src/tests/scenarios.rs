//! Single promises of a partition, one short story each.

use std::collections::BTreeMap;
use std::time::Duration;

use varve_log::{Crash, Disk};
use varve_model::{Metadata, MetricType, TimeRange, WINDOW_MS, window_end};
use varve_wire::batch::{BatchSeries, SeriesId, WriteBatch};

use super::harness::{Bench, HOUR, MINUTE, T0, exemplar, floats, series, tenant, value};
use crate::buffer::Value;
use crate::{AppendLimits, AppendOutcome, HeadError, RefusalReason};

fn reasons(outcome: &AppendOutcome) -> Vec<(RefusalReason, u32, Option<i64>, u32)> {
    outcome.refusals.iter().map(|r| (r.reason, r.series, r.timestamp, r.count)).collect()
}

#[tokio::test]
async fn admission_follows_the_rules() {
    let bench = Bench::new(1).await;
    let first = bench.append(floats("a", &[(T0 + HOUR, 1.0), (T0 + 5 * HOUR, 2.0)])).await;
    assert_eq!((first.samples, first.references.clone()), (2, vec![1]));
    // Newer than its series' newest, however old: taken.
    assert_eq!(bench.append(floats("b", &[(T0, 1.0)])).await.samples, 1);
    // Older, within two hours of the tenant's newest: taken; else refused.
    let old = bench.append(floats("a", &[(T0 + 3 * HOUR, 9.0), (T0 + 3 * HOUR + 1, 9.0)])).await;
    assert_eq!(old.samples, 1);
    assert_eq!(reasons(&old), [(RefusalReason::OutOfOrder, 0, Some(T0 + 3 * HOUR), 1)]);
    // The same again is fine at any age; another value is a duplicate.
    let again = bench.append(floats("a", &[(T0 + HOUR, 1.0), (T0 + 5 * HOUR, 3.0)])).await;
    assert_eq!(again.samples, 1);
    assert_eq!(reasons(&again), [(RefusalReason::Duplicate, 0, Some(T0 + 5 * HOUR), 1)]);
    // Nowhere near a window.
    let far = bench.append(floats("a", &[(i64::MAX, 1.0), (i64::MIN, 1.0)])).await;
    assert_eq!(reasons(&far), [(RefusalReason::TooOld, 0, Some(i64::MIN), 2)]);
    let all = bench.all(&tenant("t"));
    let times = |name: &str| all[&series(name).to_string()].keys().copied().collect::<Vec<_>>();
    assert_eq!(times("a"), [T0 + HOUR, T0 + 3 * HOUR + 1, T0 + 5 * HOUR]);
    assert_eq!(times("b"), [T0]);
}

#[tokio::test]
async fn a_histogram_and_a_float_at_one_time_are_a_conflict() {
    let bench = Bench::new(2).await;
    let mut one = BatchSeries::new(SeriesId::New(series("h")));
    super::harness::push(&mut one, T0 + 1, &value(4), 0);
    super::harness::push(&mut one, T0 + 1, &value(0), 0);
    let batch = WriteBatch { tenant: tenant("t"), series: vec![one], metadata: Vec::new() };
    let outcome = bench.append(batch).await;
    assert_eq!((outcome.samples, outcome.histograms), (1, 0));
    assert_eq!(reasons(&outcome), [(RefusalReason::Duplicate, 0, Some(T0 + 1), 1)]);
}

#[tokio::test]
async fn unknown_references_apply_nothing() {
    let bench = Bench::new(3).await;
    let mut batch = floats("a", &[(T0 + 1, 1.0)]);
    let mut unknown = BatchSeries::new(SeriesId::Known(77));
    unknown.floats.push(T0 + 1, 1.0, 0);
    batch.series.push(unknown);
    let outcome = bench.append(batch).await;
    assert_eq!(outcome, AppendOutcome { unknown: vec![1], ..AppendOutcome::default() });
    assert!(bench.all(&tenant("t")).is_empty());
}

#[tokio::test]
async fn a_reference_of_another_tenant_is_unknown() {
    let bench = Bench::new(4).await;
    let reference = bench.append(floats("a", &[(T0 + 1, 1.0)])).await.references[0];
    let mut stolen = BatchSeries::new(SeriesId::Known(reference));
    stolen.floats.push(T0 + 2, 6.0, 0);
    let batch = WriteBatch { tenant: tenant("thief"), series: vec![stolen], metadata: Vec::new() };
    assert_eq!(bench.append(batch).await.unknown, [0]);
}

#[tokio::test]
async fn the_series_limit_refuses_new_series_only() {
    let bench = Bench::new(5).await;
    let limits = AppendLimits { max_series: 2, ..AppendLimits::default() };
    let append = async |names: &[&str]| {
        let mut batch = WriteBatch::new(tenant("t"));
        for name in names {
            batch.series.extend(floats(name, &[(T0 + 1, 1.0)]).series);
        }
        bench.partition.append(batch.encode(), limits).await.unwrap()
    };
    assert_eq!(append(&["a"]).await.references, [1]);
    let outcome = append(&["b", "c", "a", "d"]).await;
    assert_eq!(outcome.references, [2, 0, 1, 0]);
    assert_eq!(outcome.samples, 2);
    let limit = |position| (RefusalReason::SeriesLimit, position, None, 1);
    assert_eq!(reasons(&outcome), [limit(1), limit(3)]);
    assert!(outcome.refusals[0].detail.contains("max_series 2"), "{}", outcome.refusals[0].detail);
    assert_eq!(append(&["z"]).await.references, [0]);
    assert_eq!(bench.all(&tenant("t")).len(), 2);
}

#[tokio::test]
async fn sealed_and_unsealed_samples_survive_a_power_cut() {
    let mut bench = Bench::new(6).await;
    let id = tenant("t");
    for hour in 0..6 {
        let samples: Vec<(i64, f64)> =
            (1..=60).map(|m| (T0 + hour * HOUR + m * MINUTE, m as f64)).collect();
        bench.append(floats("a", &samples)).await;
        bench.append(floats(&format!("b{hour}"), &samples)).await;
        if hour % 2 == 0 {
            bench.partition.seal().await.unwrap();
        }
        let before = bench.all(&id);
        bench = bench.crash(Crash::Power).await;
        assert_eq!(bench.all(&id), before);
    }
    let stats = bench.partition.stats();
    assert_eq!(stats.tenants[&id].series, 7);
    assert_eq!(stats.max_time, Some(T0 + 6 * HOUR));
}

#[tokio::test]
async fn a_seal_moves_samples_out_of_memory() {
    let bench = Bench::new(7).await;
    let mut random = 1u64;
    let samples: Vec<(i64, f64)> = (1..=3000)
        .map(|i| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (T0 + i * 1000, f64::from_bits(random >> 2))
        })
        .collect();
    bench.append(floats("a", &samples)).await;
    let before = (bench.partition.stats(), bench.all(&tenant("t")));
    bench.partition.seal().await.unwrap();
    let after = (bench.partition.stats(), bench.all(&tenant("t")));
    assert_eq!(after.1, before.1);
    assert!(after.0.memory * 3 < before.0.memory, "{} {}", after.0.memory, before.0.memory);
    // Conflicts are seen in sealed chunks too.
    let outcome =
        bench.append(floats("a", &[(samples[5].0, samples[5].1), (samples[6].0, 0.25)])).await;
    assert_eq!(outcome.samples, 1);
    assert_eq!(reasons(&outcome), [(RefusalReason::Duplicate, 0, Some(samples[6].0), 1)]);
}

#[tokio::test]
async fn a_cut_ships_and_leaves_after_the_hold() {
    let mut bench = Bench::new(8).await;
    let id = tenant("t");
    let end = T0 + WINDOW_MS;
    bench.append(floats("a", &[(end - 1, 1.0), (end, 2.0), (end + 1, 3.0)])).await;
    bench.append(floats("gone", &[(end, 1.0)])).await;
    assert!(bench.partition.due(T0 + WINDOW_MS).is_empty());
    let due = bench.partition.due(T0 + WINDOW_MS + 31 * MINUTE);
    assert_eq!(due.iter().map(|d| d.window_end).collect::<Vec<_>>(), [end]);
    let cut = bench.partition.cut(end, false).await.unwrap().unwrap();
    assert_eq!(cut.number, T0 as u64);
    assert_eq!(bench.partition.unfinished_cuts(), [cut]);
    assert_eq!(bench.partition.cut_tenants(&cut), std::slice::from_ref(&id));
    let content = |bench: &Bench| -> Vec<(String, Vec<i64>)> {
        let read = bench.partition.cut_series(&cut, &id).unwrap().map(|s| s.unwrap());
        read.map(|s| (s.labels.metric_name().to_owned(), s.floats.times)).collect()
    };
    let expected = [("a".to_owned(), vec![end - 1, end]), ("gone".to_owned(), vec![end])];
    assert_eq!(content(&bench), expected);
    // Late: not in this cut, and not due again for two hours.
    bench.append(floats("a", &[(end - 2, 9.0)])).await;
    assert_eq!(content(&bench), expected);
    assert!(bench.partition.due(T0 + HOUR).is_empty());
    assert_eq!(bench.partition.due(T0 + 2 * HOUR).len(), 1);
    assert_eq!(bench.partition.cut(end, false).await.unwrap(), None);

    bench = bench.crash(Crash::Power).await;
    assert_eq!(bench.partition.unfinished_cuts(), [cut]);
    assert_eq!(content(&bench), expected);
    bench.partition.seal().await.unwrap();
    bench = bench.crash(Crash::Power).await;
    assert_eq!(content(&bench), expected);

    let missing = bench.partition.shipped(&cut, BTreeMap::new()).await;
    assert!(matches!(missing, Err(HeadError::NotShipped { .. })), "{missing:?}");
    bench.partition.shipped(&cut, BTreeMap::from([(id.clone(), 42)])).await.unwrap();
    assert!(bench.partition.unfinished_cuts().is_empty());
    // In the hold time a reader is given what it does not find in blocks.
    for sealed in [false, true] {
        let times = |version| -> Vec<Vec<i64>> {
            let read = bench.partition.select_beside(version, &id, &[], TimeRange::ALL);
            assert_eq!(read.len(), read.estimate().series as usize);
            let estimated = read.estimate().samples as usize;
            let read = read.map(|s| s.unwrap().decode(TimeRange::ALL).unwrap().0.times);
            let read: Vec<Vec<i64>> = read.collect();
            assert_eq!(read.iter().map(Vec::len).sum::<usize>(), estimated, "{sealed}");
            read
        };
        let other = bench.partition.select_beside(42, &tenant("other"), &[], TimeRange::ALL);
        assert!(other.is_empty());
        assert_eq!(times(0).len(), 2, "{sealed}");
        assert_eq!(times(41), times(0), "{sealed}");
        assert_eq!(times(42), [[end - 2, end + 1]], "{sealed}");
        assert_eq!(times(43), times(42), "{sealed}");
        bench.partition.seal().await.unwrap();
    }
    assert_eq!(bench.partition.select(&id, &[], TimeRange::ALL).released_at, 0);
    assert_eq!(bench.all(&id).len(), 2);
    bench.clock.advance(Duration::from_secs(301));
    bench.partition.seal().await.unwrap();
    for _ in 0..2 {
        assert_eq!(bench.partition.select(&id, &[], TimeRange::ALL).released_at, 42);
        let all = bench.all(&id);
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!(
            all[&series("a").to_string()].keys().copied().collect::<Vec<_>>(),
            [end - 2, end + 1]
        );
        assert!(matches!(bench.partition.cut_series(&cut, &id), Err(HeadError::NoCut { .. })));
        bench = bench.crash(Crash::Power).await;
    }
    let late = bench.partition.cut(end, true).await.unwrap().unwrap();
    assert!(late.number > cut.number);
    let read: Vec<_> =
        bench.partition.cut_series(&late, &id).unwrap().map(|s| s.unwrap().floats.times).collect();
    assert_eq!(read, [[end - 2]]);
}

#[tokio::test]
async fn cut_chunks_order_before_uncut_ones() {
    let bench = Bench::new(9).await;
    let id = tenant("t");
    let end = window_end(T0 + 1);
    bench.append(floats("a", &[(T0 + 10, 1.0), (T0 + 20, 1.0)])).await;
    let cut = bench.partition.cut(end, true).await.unwrap().unwrap();
    // Unshipped: the first value stays.
    assert_eq!(bench.append(floats("a", &[(T0 + 10, 2.0)])).await.refusals.len(), 1);
    bench.partition.shipped(&cut, BTreeMap::from([(id.clone(), 1)])).await.unwrap();
    // Shipped: taken, and the merge lets the earlier cut win.
    assert_eq!(bench.append(floats("a", &[(T0 + 10, 2.0)])).await.samples, 1);
    // Both are there now: each is fine again, a third is not.
    for value in [1.0, 2.0] {
        let again = bench.append(floats("a", &[(T0 + 10, value)])).await;
        assert_eq!((again.samples, again.refusals.len()), (1, 0), "{value} again");
    }
    assert_eq!(bench.append(floats("a", &[(T0 + 10, 3.0)])).await.refusals.len(), 1);
    let all = bench.all(&id);
    assert_eq!(
        all[&series("a").to_string()][&(T0 + 10)].0,
        super::harness::show(&Value::Float(1.0))
    );
    let orders: Vec<(u64, u64)> = bench
        .partition
        .select(&id, &[], TimeRange::ALL)
        .flat_map(|s| s.unwrap().chunks)
        .map(|c| (c.term, c.index))
        .collect();
    assert_eq!(orders, [(cut.term, cut.index), (u64::MAX, u64::MAX)]);
}

#[tokio::test]
async fn exemplars_and_metadata_are_kept_like_samples() {
    let mut bench = Bench::new(10).await;
    let id = tenant("t");
    let mut batch = floats("a", &[(T0 + 100, 1.0)]);
    batch.series[0].exemplars =
        vec![exemplar(T0 + 50, "x"), exemplar(T0 + 60, "y"), exemplar(T0 + 50, "x")];
    let help =
        |text: &str| Metadata { kind: MetricType::Gauge, help: text.into(), unit: "s".into() };
    batch.metadata = vec![("a".to_owned(), help("one")), ("b".to_owned(), help("two"))];
    let outcome = bench.append(batch).await;
    assert_eq!(outcome.exemplars, 3);
    for round in 0..3 {
        let found = bench.partition.exemplars(&id, &[Vec::new()], TimeRange::ALL).unwrap();
        let times: Vec<i64> = found.values[0].exemplars.iter().map(|e| e.timestamp).collect();
        assert_eq!(times, [T0 + 50, T0 + 60]);
        let found = bench.partition.metadata(&id, Some("b"), 0);
        assert_eq!(found.values[0].metadata, help("two"));
        assert_eq!(bench.partition.metadata(&id, None, 1).values.len(), 1);
        if round == 0 {
            bench.partition.seal().await.unwrap();
        }
        bench = bench.crash(Crash::Power).await;
    }
    let cut = bench.partition.cut(window_end(T0 + 1), true).await.unwrap().unwrap();
    let read: Vec<_> = bench.partition.cut_series(&cut, &id).unwrap().map(|s| s.unwrap()).collect();
    assert_eq!(read[0].exemplars, [exemplar(T0 + 50, "x"), exemplar(T0 + 60, "y")]);
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let bench = Bench::new(11).await;
    bench.append(floats("a", &[(T0 + 1, 1.0)])).await;
    bench.disk.set_capacity(1);
    let error = bench.partition.seal().await.unwrap_err();
    assert_eq!(error.kind(), varve_model::ErrorKind::Unavailable, "{error}");
    bench.disk.set_capacity(u64::MAX);
    bench.partition.seal().await.unwrap();
    assert_eq!(bench.all(&tenant("t")).len(), 1);
}

#[tokio::test]
async fn sealing_with_nothing_new_writes_nothing() {
    let bench = Bench::new(12).await;
    bench.append(floats("a", &[(T0 + 1, 1.0)])).await;
    bench.partition.seal().await.unwrap();
    let (applied, syncs) = (bench.partition.stats().applied, bench.disk.syncs());
    bench.partition.seal().await.unwrap();
    assert_eq!((bench.partition.stats().applied, bench.disk.syncs()), (applied, syncs));
}

#[tokio::test]
async fn many_seals_leave_few_chunks() {
    let mut bench = Bench::new(13).await;
    let chunks = |bench: &Bench| -> usize {
        let read = bench.partition.select(&tenant("t"), &[], TimeRange::ALL);
        read.map(|s| s.unwrap().chunks.len()).sum()
    };
    for round in 0..12 {
        let samples: Vec<(i64, f64)> =
            (1..=10).map(|i| (T0 + round * 10 * MINUTE + i * MINUTE, i as f64)).collect();
        bench.append(floats("a", &samples)).await;
        bench.partition.seal().await.unwrap();
        let (before, all) = (chunks(&bench), bench.all(&tenant("t")));
        assert!(before <= 3, "{before} chunks after {round} seals");
        bench = bench.crash(Crash::Power).await;
        assert_eq!((chunks(&bench), bench.all(&tenant("t"))), (before, all));
    }
    // What a merge left behind goes, once a later seal finds nobody reading it.
    let files = bench.disk.list(&super::harness::dir()).unwrap();
    assert!(files.iter().filter(|f| f.ends_with(".chunks")).count() <= 4, "{files:?}");
}

#[tokio::test]
async fn a_failed_sync_of_the_log_stops_the_partition() {
    let bench = Bench::new(14).await;
    bench.append(floats("a", &[(T0 + 1, 1.0)])).await;
    bench.disk.fail_sync(1);
    let batch = floats("a", &[(T0 + 2, 1.0)]).encode();
    let error = bench.partition.append(batch.clone(), AppendLimits::default()).await.unwrap_err();
    assert_eq!(error.kind(), varve_model::ErrorKind::Unavailable, "{error}");
    let stopped = bench.partition.failed().await;
    assert!(matches!(&stopped, HeadError::Stopped { .. }), "{stopped}");
    assert!(bench.partition.append(batch, AppendLimits::default()).await.is_err());
    // What was acknowledged is still readable, and there after a restart.
    assert_eq!(bench.all(&tenant("t")).len(), 1);
    let bench = bench.crash(Crash::Power).await;
    assert!(bench.all(&tenant("t"))[&series("a").to_string()].contains_key(&(T0 + 1)));
}

#[tokio::test]
async fn a_log_that_lost_its_end_is_refused() {
    let bench = Bench::new(15).await;
    bench.append(floats("a", &[(T0 + 1, 1.0)])).await;
    bench.partition.seal().await.unwrap();
    bench.disk.crash(Crash::Process);
    let Bench { disk, clock, partition, .. } = bench;
    drop(partition);
    let disk = disk.reboot();
    disk.remove_dir_all(std::path::Path::new("/data/log")).unwrap();
    let opened = super::harness::open(std::sync::Arc::new(disk), "/data", clock).await;
    assert!(matches!(&opened, Err(HeadError::Entry { index: 2, .. })), "{:?}", opened.err());
}

#[tokio::test]
async fn partitions_do_not_cut_at_once() {
    let mut moments = std::collections::BTreeSet::new();
    for partition in 0..40 {
        let config = crate::HeadConfig { partition, ..crate::HeadConfig::default() };
        moments.insert(crate::partition::cut_share(&config));
        assert!((0..20 * MINUTE).contains(&crate::partition::cut_share(&config)));
    }
    assert!(moments.len() > 35, "{moments:?}");
}

#[tokio::test]
async fn a_snapshot_outlives_what_it_shows() {
    let bench = Bench::new(16).await;
    let id = tenant("t");
    let round = async |n: i64| {
        let samples: Vec<(i64, f64)> = (1..=10).map(|i| (T0 + n * MINUTE + i, n as f64)).collect();
        bench.append(floats("a", &samples)).await;
        bench.partition.seal().await.unwrap();
    };
    for n in 0..3 {
        round(n).await;
    }
    let files = || -> Vec<String> {
        let all = bench.disk.list(&super::harness::dir()).unwrap();
        all.into_iter().filter(|f| f.ends_with(".chunks")).collect()
    };
    let (before, old) = (bench.all(&id), files());
    let snapshot = bench.partition.select(&id, &[], TimeRange::ALL);
    // Merged into one file; then shipped and dropped.
    round(3).await;
    let cut = bench.partition.cut(window_end(T0 + 1), true).await.unwrap().unwrap();
    bench.partition.shipped(&cut, BTreeMap::from([(id.clone(), 1)])).await.unwrap();
    bench.clock.advance(Duration::from_secs(301));
    bench.partition.seal().await.unwrap();
    assert!(bench.all(&id).is_empty());
    assert!(old.iter().all(|f| files().contains(f)), "{old:?} {:?}", files());
    let read: BTreeMap<_, _> =
        snapshot.map(|s| super::harness::decode(&s.unwrap(), TimeRange::ALL)).collect();
    assert_eq!(read, before);
    round(4).await;
    assert_eq!(files().len(), 1, "{:?}", files());
}
