//! Writers, readers and seals at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use parking_lot::Mutex;
use varve_log::Crash;
use varve_model::{TimeRange, WINDOW_MS};

use super::harness::{Bench, T0, floats, series, tenant};
use crate::AppendLimits;

const WRITERS: usize = 3;
const ROUNDS: i64 = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_read_sees_all_that_was_acknowledged() {
    let bench = Bench::new(20).await;
    let acknowledged: Arc<Vec<AtomicI64>> =
        Arc::new((0..WRITERS).map(|_| AtomicI64::new(0)).collect());
    let done = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for w in 0..WRITERS {
        let (partition, acknowledged) = (Arc::clone(&bench.partition), Arc::clone(&acknowledged));
        writers.push(tokio::spawn(async move {
            for round in 1..=ROUNDS {
                let batch = floats(&format!("w{w}"), &[(T0 + round * 1000, round as f64)]);
                let outcome =
                    partition.append(batch.encode(), AppendLimits::default()).await.unwrap();
                assert_eq!((outcome.samples, outcome.refusals.len()), (1, 0));
                acknowledged[w].store(round, Ordering::SeqCst);
            }
        }));
    }
    let mut readers = Vec::new();
    for _ in 0..2 {
        let (partition, acknowledged) = (Arc::clone(&bench.partition), Arc::clone(&acknowledged));
        let done = Arc::clone(&done);
        readers.push(std::thread::spawn(move || {
            while !done.load(Ordering::SeqCst) {
                let floor: Vec<i64> =
                    acknowledged.iter().map(|a| a.load(Ordering::SeqCst)).collect();
                let mut found = [0; WRITERS];
                for read in partition.select(&tenant("t"), &[], TimeRange::ALL) {
                    let read = read.unwrap();
                    let (samples, _) = read.decode(TimeRange::ALL).unwrap();
                    // Without gaps, each value at its time.
                    for (i, time) in samples.times.iter().enumerate() {
                        assert_eq!(*time, T0 + (i as i64 + 1) * 1000);
                        assert_eq!(samples.values[i], i as f64 + 1.0);
                    }
                    let w = (0..WRITERS).find(|w| read.labels == series(&format!("w{w}"))).unwrap();
                    found[w] = samples.len() as i64;
                }
                for w in 0..WRITERS {
                    assert!(found[w] >= floor[w], "writer {w}: {} of {}", found[w], floor[w]);
                }
            }
        }));
    }
    let sealer = {
        let (partition, done) = (Arc::clone(&bench.partition), Arc::clone(&done));
        tokio::spawn(async move {
            while !done.load(Ordering::SeqCst) {
                partition.seal().await.unwrap();
                partition.cut(T0 + WINDOW_MS, true).await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    };
    for writer in writers {
        writer.await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    sealer.await.unwrap();
    for reader in readers {
        tokio::task::spawn_blocking(move || reader.join().unwrap()).await.unwrap();
    }
    let before = bench.all(&tenant("t"));
    assert!(before.values().all(|samples| samples.len() as i64 == ROUNDS));
    let bench = bench.crash(Crash::Power).await;
    assert_eq!(bench.all(&tenant("t")), before);
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_nothing_back_and_blocks_nobody() {
    let bench = Bench::new(21).await;
    for round in 1..=20 {
        let batch = floats("a", &[(T0 + round, 1.0)]).encode();
        let append = bench.partition.append(batch, AppendLimits::default());
        // Polled once, then dropped.
        let _ = tokio::time::timeout(std::time::Duration::ZERO, append).await;
    }
    let outcome = bench.append(floats("a", &[(T0 + 100, 1.0)])).await;
    assert_eq!(outcome.samples, 1);
    bench.partition.seal().await.unwrap();
}

/// Commits of a made-up catalog: version n names the samples of the first n.
type Catalog = Arc<Mutex<Vec<BTreeSet<i64>>>>;

/// Cuts, commits, says so and lets go, again and again.
async fn ship(bench: &Bench, catalog: &Catalog) {
    let (id, partition) = (tenant("t"), &bench.partition);
    for key in partition.uncut() {
        let Some(cut) = partition.cut(key.window_end, true).await.unwrap() else { continue };
        let series = partition.cut_series(&cut, &id).unwrap();
        let times = series.flat_map(|s| s.unwrap().floats.times).collect();
        let version = {
            let mut catalog = catalog.lock();
            catalog.push(times);
            catalog.len() as u64
        };
        partition.shipped(&cut, BTreeMap::from([(id.clone(), version)])).await.unwrap();
    }
    bench.clock.advance(std::time::Duration::from_secs(301));
    partition.seal().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_falls_between_head_and_catalog() {
    let bench = Bench::new(22).await;
    let catalog = Catalog::default();
    let (acknowledged, done) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let reader = {
        let (partition, catalog) = (Arc::clone(&bench.partition), Arc::clone(&catalog));
        let (acknowledged, done) = (Arc::clone(&acknowledged), Arc::clone(&done));
        std::thread::spawn(move || {
            while !done.load(Ordering::SeqCst) {
                let floor = acknowledged.load(Ordering::SeqCst);
                let mut pin = catalog.lock().len();
                std::thread::yield_now();
                let read = partition.select(&tenant("t"), &[], TimeRange::ALL);
                if read.released_at > pin as u64 {
                    pin = catalog.lock().len();
                }
                let mut found: BTreeSet<i64> =
                    read.flat_map(|s| s.unwrap().decode(TimeRange::ALL).unwrap().0.times).collect();
                found.extend(catalog.lock()[..pin].iter().flatten());
                let missing = (1..=floor).find(|n| !found.contains(&(T0 + n * 1000)));
                assert_eq!(missing, None, "of {floor} acknowledged, catalog at {pin}");
            }
        })
    };
    for n in 1..=400 {
        assert_eq!(bench.append(floats("a", &[(T0 + n * 1000, 1.0)])).await.samples, 1);
        acknowledged.store(n, Ordering::SeqCst);
        if n % 10 == 0 {
            ship(&bench, &catalog).await;
        }
    }
    done.store(true, Ordering::SeqCst);
    tokio::task::spawn_blocking(move || reader.join().unwrap()).await.unwrap();
    assert!(bench.all(&tenant("t")).is_empty());
    assert_eq!(catalog.lock().iter().map(BTreeSet::len).sum::<usize>(), 400);
}
