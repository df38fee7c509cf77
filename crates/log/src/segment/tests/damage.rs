//! Damage below a synced offset refuses to start and says where; a torn tail
//! is dropped; what a recycled segment held before never comes back.

use std::path::PathBuf;

use super::{append, dir, open, read};
use crate::segment::format::{BATCH_HEADER, FIRST_BATCH};
use crate::{Disk, LogError, SimDisk};

fn first_file() -> PathBuf {
    dir().join("00000000.segment")
}

/// A log of ten entries of 100 bytes in one segment.
async fn ten_entries() -> SimDisk {
    let disk = SimDisk::new(7);
    let log = open(&disk).unwrap();
    for i in 0..10 {
        append(&*log.partition(1), &[i; 100]).await.unwrap();
    }
    drop(log);
    disk
}

/// Bytes of the file that mean something.
fn used_bytes(disk: &SimDisk) -> usize {
    let bytes = crate::read_file(disk, &first_file(), 1 << 20).unwrap();
    bytes.iter().rposition(|b| *b != 0).unwrap()
}

#[tokio::test]
async fn any_flipped_byte_below_the_synced_offset_refuses_to_start() {
    let disk = ten_entries().await;
    let bytes = crate::read_file(&disk, &first_file(), 1 << 20).unwrap();
    let mark = used_bytes(&disk) - 40;
    let (mut refused, mut padding) = (0, 0);
    for offset in (0..56).chain(FIRST_BATCH as usize..mark) {
        let before = bytes[offset];
        assert!(disk.flip(&first_file(), offset));
        match open(&disk) {
            Err(LogError::Corrupt { path, offset: at, .. }) => {
                assert_eq!(path, first_file());
                assert!(at as usize <= offset, "damage at {offset} was reported at {at}");
                refused += 1;
            }
            Err(other) => panic!("offset {offset}: {other}"),
            Ok(log) => {
                // Only bytes that mean nothing may change unnoticed.
                assert_eq!(before, 0, "flip of {before} at {offset} went unnoticed");
                let entries = read(&*log.partition(1), 1).await.unwrap();
                assert_eq!(entries.len(), 10, "flip at {offset} lost entries");
                padding += 1;
            }
        }
        assert!(disk.flip(&first_file(), offset));
    }
    assert!(refused > 1500, "{refused}");
    assert!(padding < 800, "{padding}");
}

#[tokio::test]
async fn a_torn_tail_is_dropped_and_never_written_to_again() {
    let disk = ten_entries().await;
    // Without its mark, damage to the last batch is a torn tail.
    let mark = used_bytes(&disk) - used_bytes(&disk) % 64;
    for offset in mark..mark + BATCH_HEADER {
        disk.flip(&first_file(), offset);
    }
    disk.flip(&first_file(), mark - 100);
    let log = open(&disk).unwrap();
    assert_eq!(read(&*log.partition(1), 1).await.unwrap().len(), 9);
    assert_eq!(append(&*log.partition(1), b"new").await.unwrap(), 10);
    assert_eq!(disk.list(dir()).unwrap().len(), 2);
    drop(log);
    let log = open(&disk).unwrap();
    let entries = read(&*log.partition(1), 1).await.unwrap();
    assert_eq!(entries.len(), 10);
    assert_eq!(entries[9].payload, &b"new"[..]);
    drop(log);
    // The tail was given up for good: even undamaged it stays so.
    disk.flip(&first_file(), mark - 100);
    let log = open(&disk).unwrap();
    assert_eq!(read(&*log.partition(1), 10).await.unwrap()[0].payload, &b"new"[..]);
}

#[tokio::test]
async fn damage_that_a_later_segment_vouches_for_is_corruption() {
    let disk = ten_entries().await;
    let mark = used_bytes(&disk) - used_bytes(&disk) % 64;
    append(&*open(&disk).unwrap().partition(1), b"in the next segment").await.unwrap();
    for offset in mark..mark + BATCH_HEADER {
        disk.flip(&first_file(), offset);
    }
    open(&disk).unwrap();
    disk.flip(&first_file(), mark - 100);
    assert!(matches!(open(&disk), Err(LogError::Corrupt { path, .. }) if path == first_file()));
}

#[tokio::test]
async fn a_missing_segment_is_corruption() {
    let disk = ten_entries().await;
    append(&*open(&disk).unwrap().partition(1), b"in the next segment").await.unwrap();
    disk.remove(&first_file()).unwrap();
    let Err(error) = open(&disk) else { panic!("it started without a segment") };
    assert!(error.to_string().contains("entries 1 to 10 of partition 1"), "{error}");
}

#[tokio::test]
async fn a_recycled_segment_never_resurrects_what_it_held() {
    let disk = SimDisk::new(3);
    let log = open(&disk).unwrap();
    let part = log.partition(1);
    let mut last = 0;
    for round in 0..30_u8 {
        // Batches of one size, so that old ones lie where new ones would.
        for _ in 0..6 {
            last = append(&*part, &[round; 4000]).await.unwrap();
        }
        part.purge(last).await.unwrap();
    }
    last = append(&*part, &[99; 4000]).await.unwrap();
    drop((log, part));
    let log = open(&disk).unwrap();
    let entries = read(&*log.partition(1), last).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].payload[..], [99; 4000]);
    assert!(disk.list(dir()).unwrap().len() <= 3);
}
