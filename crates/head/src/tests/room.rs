//! What is told of the room that seals and blocks need, held against what they
//! take; and that seals which fail give back what they took.

use varve_block::{BlockSpec, BlockWriter};
use varve_log::Disk;
use varve_model::{Labels, TimeRange, window_end};
use varve_wire::batch::{BatchSeries, SeriesId, WriteBatch};

use super::harness::{Bench, MINUTE, T0, dir, exemplar, floats, push, tenant, value};

/// How much of what there is in a load of appends.
#[derive(Clone, Copy, Debug)]
struct Load {
    series: usize,
    /// Bytes of labels of their own.
    label: usize,
    /// Samples an append.
    samples: i64,
    histograms: bool,
    /// Appends between two seals.
    appends: i64,
}

/// Numbers that do not compress.
fn noise(n: u64) -> u64 {
    let x = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ x >> 31
}

/// Sends one append of every series, in as many batches as the log takes.
async fn append(bench: &Bench, load: Load, turn: i64) {
    for first in (0..load.series).step_by(50) {
        let mut batch = WriteBatch::new(tenant("t"));
        let series = first..load.series.min(first + 50);
        batch.series.extend(series.map(|n| series_of(load, turn, n)));
        bench.append(batch).await;
    }
}

fn series_of(load: Load, turn: i64, n: usize) -> BatchSeries {
    let parts = (0..load.label.div_ceil(16)).map(|i| noise((n << 8 | i) as u64));
    let own: String = parts.map(|part| format!("{part:016x}")).collect();
    let labels = [("__name__", "m".to_owned()), ("n", n.to_string()), ("own", own)];
    let mut one = BatchSeries::new(SeriesId::New(Labels::from_pairs(labels).unwrap()));
    for i in 0..load.samples {
        let time = T0 + 1 + (turn * load.samples + i) * 1000;
        if load.histograms {
            push(&mut one, time, &value(5), time - 7);
        } else {
            one.floats.push(time, f64::from_bits(noise(time as u64) >> 2), 0);
        }
    }
    one.exemplars.push(exemplar(T0 + 1 + turn, "trace"));
    one
}

#[tokio::test]
async fn seals_and_blocks_take_no_more_than_was_told() {
    let load = Load { series: 40, label: 16, samples: 1, histograms: false, appends: 1 };
    for (seed, load) in (900..).zip([
        load,
        Load { appends: 10, ..load },
        Load { label: 2000, ..load },
        Load { series: 2000, label: 300, ..load },
        Load { series: 2000, label: 0, ..load },
        Load { samples: 100, appends: 5, ..load },
        Load { samples: 20, histograms: true, ..load },
    ]) {
        let bench = Bench::new(seed).await;
        for seal in 0..5 {
            for turn in 0..load.appends {
                append(&bench, load, seal * load.appends + turn).await;
            }
            let told = bench.partition.disk_use();
            assert!(told.log > 0);
            let block = block_bytes(&bench);
            assert!(block <= told.block, "{load:?}: a block of {block}, told {told:?}");
            let before = lengths(&bench);
            bench.partition.seal_for_room().await.unwrap();
            let new = lengths(&bench).into_iter().filter(|f| !before.contains(f));
            let written = new.map(|(_, len)| len).sum::<u64>();
            assert!(written <= told.seal, "{load:?}: a seal of {written}, told {told:?}");
            let after = bench.partition.disk_use();
            let sealed = lengths(&bench).into_iter().map(|(_, len)| len).sum::<u64>();
            assert_eq!((after.log, after.sealed, after.seal), (0, sealed, 0), "{load:?}");
        }
        let before = bench.partition.disk_use();
        let bench = bench.crash(varve_log::Crash::Process).await;
        assert_eq!(bench.partition.disk_use(), before, "{load:?}: started again");
        assert_eq!(bench.partition.unsealed_bytes(), 0, "{load:?}: all is sealed");
    }
}

/// Names and lengths of the partition's files.
fn lengths(bench: &Bench) -> Vec<(String, u64)> {
    let names = bench.disk.list(&dir()).unwrap();
    let len = |name: &String| bench.disk.open(&dir().join(name)).unwrap().len().unwrap();
    names.into_iter().map(|name| (name.clone(), len(&name))).collect()
}

/// Bytes of a block of everything.
fn block_bytes(bench: &Bench) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let spec = BlockSpec::new(id, tenant("t"), TimeRange::window(window_end(T0 + 1)));
    let mut writer = BlockWriter::create(dir.path(), spec).unwrap();
    let mut all: Vec<_> =
        bench.partition.select(&tenant("t"), &[], TimeRange::ALL).map(Result::unwrap).collect();
    all.sort_by(|a, b| varve_block::block_order(&a.labels, &b.labels));
    for series in all {
        let (floats, histograms) = series.decode(TimeRange::ALL).unwrap();
        writer.push(&series.labels, floats, histograms, &[exemplar(T0 + 1, "trace")]).unwrap();
    }
    let written = writer.finish().unwrap().files;
    written.iter().map(|(_, path)| path.metadata().unwrap().len()).sum()
}

#[tokio::test]
async fn a_seal_that_fails_leaves_nothing() {
    for (fault, kept) in [(1, false), (2, false), (3, true), (4, true)] {
        let bench = Bench::new(950 + u64::from(fault)).await;
        bench.append(floats("a", &[(T0 + 1, 1.0)])).await;
        bench.partition.seal().await.unwrap();
        let before = lengths(&bench);
        bench.append(floats("b", &[(T0 + MINUTE, 2.0)])).await;
        bench.fault.set(fault);
        bench.partition.seal().await.unwrap_err();
        let new = |bench: &Bench| {
            let new = lengths(bench).into_iter().filter(|f| !before.contains(f) && f.1 > 0);
            new.filter(|(name, _)| name != "manifest").count()
        };
        // Where the manifest may name them they stay until the next one does not.
        assert_eq!(new(&bench) > 0, kept, "fault {fault}: {:?}", lengths(&bench));
        bench.partition.seal().await.unwrap();
        assert_eq!(new(&bench), 2, "fault {fault}: {:?}", lengths(&bench));
    }
}

#[tokio::test]
async fn a_full_disk_is_as_full_after_a_seal_as_before() {
    let bench = Bench::new(960).await;
    let load = Load { series: 400, label: 2000, samples: 1, histograms: false, appends: 1 };
    append(&bench, load, 0).await;
    let before = bench.disk.used();
    bench.disk.set_capacity(before + (64 << 10));
    for _ in 0..3 {
        bench.partition.seal().await.unwrap_err();
        assert!(bench.disk.used() < before + (4 << 10), "{} of {before}", bench.disk.used());
    }
    bench.disk.set_capacity(u64::MAX);
    bench.partition.seal().await.unwrap();
}
