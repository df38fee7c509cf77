//! A start removes the files that its manifest does not name. Were that
//! manifest's name not durable by then, a power cut could bring back an older
//! one, which names what is gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use varve_log::Crash;
use varve_model::{TimeRange, window_end};

use super::harness::{Bench, HOUR, T0, decode, dir, floats, open, tenant};

/// A manifest that names a file, then one that does not, whose process dies
/// between its rename and the sync of that; a start; a power cut; a start.
/// Returns how many samples the last one has, or why there is none.
async fn run(seed: u64, lies: bool) -> Result<usize, String> {
    let bench = Bench::new(seed).await;
    let (id, end) = (tenant("t"), window_end(T0 + 1));
    bench.append(floats("a", &[(T0 + 1, 1.0)])).await;
    bench.partition.seal().await.unwrap();
    let cut = bench.partition.cut(end, true).await.unwrap().unwrap();
    bench.partition.shipped(&cut, BTreeMap::from([(id.clone(), 1)])).await.unwrap();
    bench.clock.advance(Duration::from_secs(301));
    bench.append(floats("b", &[(T0 + 3 * HOUR, 1.0), (T0 + 3 * HOUR + 1, 2.0)])).await;
    bench.fault.set(4);
    bench.partition.seal().await.unwrap_err();

    let Bench { disk, clock, partition, .. } = bench;
    disk.crash(Crash::Process);
    drop(partition);
    let mut disk = disk.reboot();
    disk.ignore_syncs(move |sync| lies && sync.is_dir && sync.path == dir());
    drop(open(Arc::new(disk.clone()), "/data", Arc::clone(&clock)).await.unwrap());
    disk.crash(Crash::Power);
    disk = disk.reboot();
    let again = open(Arc::new(disk), "/data", clock).await.map_err(|e| e.to_string())?;
    let series =
        again.select(&id, &[], TimeRange::ALL).map(|s| decode(&s.unwrap(), TimeRange::ALL));
    Ok(series.map(|(_, samples)| samples.len()).sum())
}

#[tokio::test]
async fn are_removed_once_the_manifest_has_its_name_for_good() {
    for seed in 0..40 {
        let found = run(seed, false).await;
        assert_eq!(found, Ok(2), "seed {seed}");
    }
    let mut lost = Vec::new();
    for seed in 0..40 {
        lost.extend(run(seed, true).await.err());
    }
    assert!(!lost.is_empty(), "no seed finds that this sync is missing");
    assert!(lost.iter().all(|error| error.contains(".chunks")), "{lost:?}");
}
