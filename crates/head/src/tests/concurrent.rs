//! Writers, readers and seals at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

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
