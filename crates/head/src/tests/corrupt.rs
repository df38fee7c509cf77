//! Damaged sealed files: refused with their name and offset, never a panic.

use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use varve_log::{Crash, Disk, read_file};
use varve_model::{ErrorKind, TimeRange};

use super::harness::{Bench, HOUR, T0, dir, exemplar, floats, open, tenant, value};
use crate::HeadError;
use crate::seal::{decode_chunk_index, decode_series, wrap};

async fn sealed(seed: u64) -> (Bench, Vec<PathBuf>) {
    let bench = Bench::new(seed).await;
    let samples: Vec<(i64, f64)> = (1..=200).map(|i| (T0 + i * 60_000, i as f64 / 3.0)).collect();
    let mut batch = floats("a", &samples);
    batch.series[0].exemplars.push(exemplar(T0 + 4 * HOUR, "x"));
    super::harness::push(&mut batch.series[0], T0 + 5 * HOUR, &value(4), 3);
    bench.append(batch).await;
    bench.partition.seal().await.unwrap();
    let names = bench.disk.list(&dir()).unwrap();
    assert_eq!(names.len(), 3, "{names:?}");
    (bench, names.into_iter().map(|n| dir().join(n)).collect())
}

#[tokio::test]
async fn every_flipped_byte_is_noticed_at_the_start() {
    let (bench, files) = sealed(30).await;
    bench.disk.crash(Crash::Process);
    let Bench { disk, clock, partition, .. } = bench;
    drop(partition);
    for path in files {
        let disk = disk.reboot();
        let len = read_file(&disk, &path, 1 << 20).unwrap().len();
        for at in (0..len).step_by(1 + len / 60) {
            assert!(disk.flip(&path, at));
            let opened = open(Arc::new(disk.clone()), "/data", Arc::clone(&clock)).await;
            let Err(HeadError::Corrupt { path: named, .. }) = &opened else {
                let error = opened.err();
                panic!("byte {at} of {} was not noticed: {error:?}", path.display());
            };
            assert_eq!(named, &path);
            assert_eq!(opened.err().unwrap().kind(), ErrorKind::Corrupt);
            assert!(disk.flip(&path, at));
        }
        open(Arc::new(disk.clone()), "/data", Arc::clone(&clock)).await.unwrap();
    }
}

#[tokio::test]
async fn samples_that_go_bad_later_fail_their_reader_only() {
    let (bench, files) = sealed(31).await;
    let chunks = files.iter().find(|f| f.extension().is_some_and(|e| e == "chunks")).unwrap();
    assert!(bench.disk.flip(chunks, 12));
    let errors = bench.partition.select(&tenant("t"), &[], TimeRange::ALL).filter_map(Result::err);
    let errors: Vec<HeadError> = errors.collect();
    assert!(matches!(&errors[..], [HeadError::Corrupt { offset: 8, .. }]), "{errors:?}");
    bench.append(floats("b", &[(T0 + 6 * HOUR, 1.0)])).await;
}

#[tokio::test]
async fn a_missing_file_is_refused() {
    for extension in ["chunks", "series"] {
        let (bench, files) = sealed(32).await;
        let gone = files.iter().find(|f| f.extension().is_some_and(|e| e == extension)).unwrap();
        bench.disk.remove(gone).unwrap();
        bench.disk.crash(Crash::Process);
        let Bench { disk, clock, partition, .. } = bench;
        drop(partition);
        let error = open(Arc::new(disk.reboot()), "/data", clock).await.err().unwrap();
        assert!(error.to_string().contains(gone.to_str().unwrap()), "{error}");
    }
}

/// Content that is wrong behind a checksum that is right: taken or refused.
#[tokio::test]
async fn lying_manifests_and_series_are_safe() {
    let (bench, files) = sealed(33).await;
    let cut = bench.partition.cut(T0 + 2 * HOUR, true).await.unwrap().unwrap();
    let versions = [(tenant("t"), 3)].into_iter().collect();
    bench.partition.shipped(&cut, versions).await.unwrap();
    bench.append(floats("b", &[(T0 + 6 * HOUR, 1.0)])).await;
    bench.partition.seal().await.unwrap();
    bench.disk.crash(Crash::Process);
    let Bench { disk, clock, partition, .. } = bench;
    drop(partition);
    for path in files.iter().filter(|f| f.extension().is_none_or(|e| e == "series")) {
        let good = read_file(&disk.reboot(), path, 1 << 20).unwrap();
        let (magic, body) = (good[..8].try_into().unwrap(), &good[8..good.len() - 4]);
        for at in 0..body.len() {
            let disk = disk.reboot();
            let mut body = body.to_vec();
            body[at] ^= [1, 0x40, 0x80, 0xff][at % 4];
            varve_log::write_file_atomic(&disk, path, &wrap(magic, &body)).unwrap();
            let opened = open(Arc::new(disk.clone()), "/data", Arc::clone(&clock)).await;
            if let Ok(partition) = opened {
                let read = partition.select(&tenant("t"), &[], TimeRange::ALL);
                read.for_each(|series| drop(series.map(|s| s.decode(TimeRange::ALL))));
            }
            disk.crash(Crash::Process);
            let disk = disk.reboot();
            varve_log::write_file_atomic(&disk, path, &good).unwrap();
        }
    }
}

proptest! {
    #[test]
    fn any_index_and_series_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_chunk_index(&bytes, 1 << 20);
        let _ = decode_series(&bytes, u64::MAX, |_, _, _| {});
    }

    /// Close to what is valid, so that more of the decoder is reached.
    #[test]
    fn damaged_indexes_are_safe(at in 0usize..40, to: u8, cut in 0usize..60) {
        let mut bytes = vec![1, 1, b't', 1, 1, 2];
        for _ in 0..2 {
            bytes.extend([0, 3, 2, 4, 9, 5]);
        }
        prop_assert!(decode_chunk_index(&bytes, 18).is_ok());
        let at = at % bytes.len();
        bytes[at] = to;
        bytes.truncate(cut);
        let _ = decode_chunk_index(&bytes, 18);
    }
}
