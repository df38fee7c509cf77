//! What every [`PartitionLog`] must do; here held by the segment log.

use std::sync::Arc;

use bytes::Bytes;
use varve_model::ErrorKind;

use super::{append, dir, open, read, small};
use crate::{
    EntryKind, LogError, LogEvent, Position, RealDisk, SegmentLog, SegmentLogConfig, SimDisk,
};

#[tokio::test]
async fn indexes_are_consecutive_per_partition_and_survive_a_restart() {
    let disk = SimDisk::new(1);
    for life in 0..3_u64 {
        let log = open(&disk).unwrap();
        let (a, b) = (log.partition(1), log.partition(9));
        for i in 1..=20 {
            assert_eq!(append(&*a, b"a").await.unwrap(), life * 20 + i);
            assert_eq!(append(&*b, &[0; 300]).await.unwrap(), life * 20 + i);
        }
        assert_eq!(a.read_barrier().await.unwrap(), life * 20 + 20);
        assert_eq!(log.partitions(), [1, 9]);
    }
    let log = open(&disk).unwrap();
    let entries = read(&*log.partition(9), 0).await.unwrap();
    assert_eq!(entries.len(), 60);
    assert!(entries.iter().all(|e| e.partition == 9 && e.payload[..] == [0; 300]));
    assert_eq!(read(&*log.partition(9), 58).await.unwrap().len(), 3);
    assert_eq!(read(&*log.partition(2), 1).await.unwrap(), []);
}

#[tokio::test]
async fn every_kind_and_an_empty_payload_come_back() {
    let disk = SimDisk::new(1);
    let kinds =
        [EntryKind::Batch, EntryKind::Seal, EntryKind::Cut, EntryKind::Shipped, EntryKind::Config];
    for kind in kinds {
        let log = open(&disk).unwrap();
        log.partition(0).append(kind, Bytes::new()).await.unwrap();
    }
    let entries = read(&*open(&disk).unwrap().partition(0), 1).await.unwrap();
    assert_eq!(entries.iter().map(|e| e.kind).collect::<Vec<_>>(), kinds);
    assert_eq!(entries[4].position(), Position { term: 1, index: 5 });
}

#[tokio::test]
async fn a_subscription_goes_from_replay_to_live_without_a_gap() {
    let disk = SimDisk::new(1);
    let log = open(&disk).unwrap();
    let part = log.partition(3);
    for _ in 0..50 {
        append(&*part, &[7; 500]).await.unwrap();
    }
    let mut events = part.subscribe(11);
    let (mut next, mut caught_up_at) = (11, None);
    let writer = {
        let part = Arc::clone(&part);
        tokio::spawn(async move {
            for _ in 0..100 {
                append(&*part, &[8; 500]).await.unwrap();
            }
        })
    };
    while next <= 150 {
        match events.recv().await.unwrap() {
            LogEvent::Entry(entry) => {
                assert_eq!(entry.index, next);
                assert_eq!(entry.payload[0], if next <= 50 { 7 } else { 8 });
                next += 1;
            }
            LogEvent::CaughtUp => assert_eq!(caught_up_at.replace(next), None),
            LogEvent::Failed(error) => panic!("{error}"),
        }
    }
    writer.await.unwrap();
    assert!(caught_up_at.unwrap() >= 51);
}

#[tokio::test]
async fn purged_entries_are_gone_and_their_segments_are_reused() {
    let disk = SimDisk::new(1);
    let log = open(&disk).unwrap();
    let (a, b) = (log.partition(1), log.partition(2));
    append(&*b, b"kept").await.unwrap();
    for round in 0..40_u64 {
        for _ in 0..8 {
            append(&*a, &[round as u8; 3000]).await.unwrap();
        }
        a.purge(round * 8 + 4).await.unwrap();
    }
    let metrics = &small().metrics;
    assert_eq!(metrics.segments.get(), 0, "metrics of another log are not touched");
    let files = crate::Disk::list(&disk, dir()).unwrap();
    assert!(files.len() <= 5, "{files:?}");
    assert!(matches!(read(&*a, 5).await, Err(LogError::Purged { first: 317, .. })));
    drop((log, a, b));
    let log = open(&disk).unwrap();
    assert_eq!(read(&*log.partition(2), 1).await.unwrap()[0].payload, &b"kept"[..]);
    assert_eq!(read(&*log.partition(1), 317).await.unwrap().len(), 4);
    // Purging everything, and beyond, leaves the numbering.
    log.partition(1).purge(u64::MAX).await.unwrap();
    log.partition(2).purge(u64::MAX).await.unwrap();
    drop(log);
    let log = open(&disk).unwrap();
    assert_eq!(append(&*log.partition(1), b"x").await.unwrap(), 321);
    assert_eq!(append(&*log.partition(2), b"x").await.unwrap(), 2);
}

#[tokio::test]
async fn a_full_disk_refuses_keeps_reading_and_recovers() {
    let disk = SimDisk::new(1);
    let log = open(&disk).unwrap();
    let part = log.partition(1);
    disk.set_capacity(2 * (32 << 10) + 100);
    let mut good = 0;
    let error = loop {
        match append(&*part, &[1; 5000]).await {
            Ok(index) => good = index,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, LogError::Full { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(log.space().unwrap().free < 32 << 10);
    assert_eq!(read(&*part, 1).await.unwrap().len() as u64, good);
    // Purging needs no new segment, and makes room.
    part.purge(good - 1).await.unwrap();
    assert_eq!(append(&*part, &[2; 5000]).await.unwrap(), good + 1);
    while append(&*part, &[1; 5000]).await.is_ok() {}
    disk.set_capacity(u64::MAX);
    let index = append(&*part, &[3; 5000]).await.unwrap();
    drop((log, part));
    let log = open(&disk).unwrap();
    let entries = read(&*log.partition(1), good).await.unwrap();
    assert_eq!(entries.last().unwrap().index, index);
}

#[tokio::test]
async fn a_failed_sync_closes_the_log() {
    let disk = SimDisk::new(1);
    let log = open(&disk).unwrap();
    let part = log.partition(1);
    append(&*part, b"one").await.unwrap();
    let mut events = part.subscribe(2);
    assert!(matches!(events.recv().await, Some(LogEvent::CaughtUp)));
    disk.fail_sync(1);
    let error = append(&*part, b"two").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("simulated sync failure"), "{error}");
    assert!(matches!(log.fatal().await, LogError::Closed { .. }));
    assert!(matches!(append(&*part, b"three").await, Err(LogError::Closed { .. })));
    assert!(matches!(part.read_barrier().await, Err(LogError::Closed { .. })));
    assert!(matches!(events.recv().await, Some(LogEvent::Failed(LogError::Closed { .. }))));
    drop((log, part));
    let log = open(&disk).unwrap();
    assert_eq!(read(&*log.partition(1), 1).await.unwrap()[0].payload, &b"one"[..]);
}

#[tokio::test]
async fn too_large_a_payload_is_refused_for_good() {
    let log = open(&SimDisk::new(1)).unwrap();
    let part = log.partition(1);
    let error = append(&*part, &[0; (16 << 10) + 1]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    append(&*part, &[0; 16 << 10]).await.unwrap();
}

#[tokio::test]
async fn waiting_appends_share_a_sync() {
    let disk = SimDisk::new(1);
    let log = open(&disk).unwrap();
    let before = disk.syncs();
    let tasks: Vec<_> = (0..4_u32)
        .flat_map(|id| std::iter::repeat_n(log.partition(id), 50))
        .map(|part| tokio::spawn(async move { append(&*part, &[0; 10]).await.unwrap() }))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(disk.syncs() - before <= 200, "{}", disk.syncs() - before);
    for id in 0..4 {
        assert_eq!(log.partition(id).read_barrier().await.unwrap(), 50);
    }
}

#[tokio::test]
async fn the_queue_is_bounded_by_bytes() {
    let disk = Arc::new(SimDisk::new(1));
    let config = SegmentLogConfig { queue_bytes: 1000, ..small() };
    let log = SegmentLog::open(disk, dir(), config.clone()).unwrap();
    let part = log.partition(0);
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (part, metrics) = (Arc::clone(&part), config.metrics.clone());
            tokio::spawn(async move {
                append(&*part, &[0; 400]).await.unwrap();
                metrics.queue_bytes.get()
            })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap() <= 1000);
    }
    assert_eq!(config.metrics.queue_bytes.get(), 0);
    assert_eq!(config.metrics.entries.get(), 100);
}

#[tokio::test]
async fn it_works_on_a_real_disk() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("a/b");
    for life in 0..3 {
        let log = SegmentLog::open(Arc::new(RealDisk), &path, small()).unwrap();
        let part = log.partition(1);
        for _ in 0..30 {
            append(&*part, &[9; 3000]).await.unwrap();
        }
        part.purge(life * 30 + 10).await.unwrap();
        assert!(log.space().unwrap().total > 0);
    }
    let log = SegmentLog::open(Arc::new(RealDisk), &path, small()).unwrap();
    let entries = read(&*log.partition(1), 71).await.unwrap();
    assert_eq!(entries.len(), 20);
    assert!(entries.iter().all(|e| e.payload[..] == [9; 3000]));
}
