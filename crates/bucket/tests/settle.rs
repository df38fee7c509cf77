//! 480 partitions ship at the same time, on a bucket that takes 100 ms for
//! every request: how long it takes until all are committed, and what it costs.
//!
//! Time is tokio's, which passes only while everybody waits: what is measured
//! is requests behind one another, not how fast this machine computes.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::{catalog, clock, cut, listed, over, shipment, tenant};
use object_store::memory::InMemory;
use tokio::time::Instant;
use varve_bucket::{Bucket, Change};
use varve_runtime::ManualClock;
use varve_testkit::FaultyStore;

const PARTITIONS: u32 = 480;
const LATENCY: Duration = Duration::from_millis(100);

/// What settling took.
#[derive(Debug)]
#[expect(dead_code, reason = "shown when a bound is missed")]
struct Settled {
    took: Duration,
    puts: u64,
    counts: BTreeMap<String, u64>,
    versions: u64,
}

/// Commits a block of each partition by way of `queues` processes. The catalog
/// has a version already, unless it is `cold`.
async fn settle(queues: u32, cold: bool) -> Settled {
    let store = FaultyStore::new(Arc::new(InMemory::new()));
    let (bucket, clock) = (over(Arc::new(store.clone())), clock());
    if !cold {
        let first = shipment(&bucket, &clock, cut(PARTITIONS, 0, 0)).await;
        catalog(&bucket, &clock).commit(&tenant(), first).await.unwrap();
    }
    let mut changes: Vec<Vec<Change>> = Vec::new();
    for queue in 0..queues {
        let own = (0..PARTITIONS).filter(|p| p % queues == queue);
        let mut shipments = Vec::new();
        for partition in own {
            shipments.push(shipment(&bucket, &clock, cut(partition, 0, 0)).await);
        }
        changes.push(shipments);
    }
    store.take_counts();
    store.delay(LATENCY);
    let begun = Instant::now();
    let queues = changes.into_iter().map(|changes| queue(&bucket, &clock, changes));
    let versions = futures::future::join_all(queues).await.into_iter().max().unwrap();
    let took = begun.elapsed();
    store.delay(Duration::ZERO);
    let counts = store.take_counts();
    let expected = PARTITIONS as usize + usize::from(!cold);
    assert_eq!(listed(&bucket, &clock).await.len(), expected, "each is there once");
    Settled { took, puts: counts["put"], counts, versions: versions - u64::from(!cold) }
}

/// One process with its partitions; returns the newest version it has made.
async fn queue(bucket: &Bucket, clock: &Arc<ManualClock>, changes: Vec<Change>) -> u64 {
    let own = catalog(bucket, clock);
    let commits = changes.into_iter().map(|change| {
        let own = own.clone();
        tokio::spawn(async move { own.commit(&tenant(), change).await.unwrap().version() })
    });
    let versions = futures::future::join_all(commits).await;
    versions.into_iter().map(Result::unwrap).max().unwrap()
}

#[tokio::test(start_paused = true)]
async fn one_process_settles_480_partitions() {
    for cold in [true, false] {
        let settled = settle(1, cold).await;
        println!("one process: {settled:?}");
        assert!(settled.took <= Duration::from_secs(5), "{settled:?}");
        assert!(settled.puts <= 50, "{settled:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn eight_processes_settle_480_partitions() {
    let mut all = Vec::new();
    for _ in 0..20 {
        all.push(settle(8, false).await);
    }
    let seconds: Vec<f64> = all.iter().map(|s| s.took.as_secs_f64()).collect();
    let puts: Vec<u64> = all.iter().map(|s| s.puts).collect();
    println!("eight processes: {seconds:.1?} s, {puts:?} PUTs, for example {:?}", all[0]);
    // Who tries when is drawn by lot, so the bound holds for the mean, and a
    // wider one for each.
    let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
    assert!(mean <= 5.0, "{mean} s");
    assert!(puts.iter().sum::<u64>() <= 52 * puts.len() as u64, "{puts:?}");
    for settled in &all {
        assert!(settled.took <= Duration::from_secs(8), "{settled:?}");
        assert!(settled.puts <= 72, "{settled:?}");
    }
}
