//! Arbitrary bytes as a segment file: refused or empty, never a panic.

use std::io::IoSlice;
use std::sync::Arc;

use proptest::prelude::*;

use super::{dir, open};
use crate::segment::format::{
    BatchHeader, FIRST_BATCH, KIND_PURGE, KIND_STATE, RecordHeader, SegmentHeader,
};
use crate::{Disk, SimDisk};

fn start_with(bytes: &[u8]) {
    let disk = SimDisk::new(0);
    disk.create_dir_all(dir()).unwrap();
    let file = disk.create(&dir().join("00000003.segment")).unwrap();
    file.write_at(0, &[IoSlice::new(bytes)]).unwrap();
    // Whether it starts is not asked here.
    drop(open(&disk));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..6000)) {
        start_with(&bytes);
    }

    #[test]
    fn arbitrary_records_behind_good_headers_never_panic(
        body in proptest::collection::vec(any::<u8>(), 0..500),
        (len, count) in (any::<u32>(), any::<u32>()),
        (previous, end) in (any::<u64>(), any::<u64>()),
        honest in any::<bool>(),
    ) {
        let header = SegmentHeader { generation: 5, previous, previous_end: end };
        let batch = BatchHeader {
            generation: 5,
            offset: FIRST_BATCH,
            synced: FIRST_BATCH,
            body: if honest { body.len() as u32 } else { len },
            records: if honest { 1 } else { count },
        };
        let mut bytes = header.encode().to_vec();
        bytes.resize(FIRST_BATCH as usize, 0);
        bytes.extend(batch.encode());
        bytes.extend(body);
        start_with(&bytes);
    }

    #[test]
    fn intact_records_of_any_kind_never_panic(
        partition in any::<u32>(),
        kind in prop_oneof![any::<u8>(), Just(KIND_STATE), Just(KIND_PURGE), 1_u8..6],
        index in prop_oneof![any::<u64>(), Just(u64::MAX), 0..3_u64],
        payload in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let header = SegmentHeader { generation: 5, previous: 0, previous_end: 0 };
        let record = RecordHeader::new(5, (partition, kind, 1, index), &payload);
        let mut body = record.encode().to_vec();
        body.extend(&payload);
        body.resize(body.len().next_multiple_of(8), 0);
        let batch = BatchHeader {
            generation: 5,
            offset: FIRST_BATCH,
            synced: FIRST_BATCH,
            body: body.len() as u32,
            records: 1,
        };
        let mut bytes = header.encode().to_vec();
        bytes.resize(FIRST_BATCH as usize, 0);
        bytes.extend(batch.encode());
        bytes.extend(body);
        start_with(&bytes);
    }
}

#[tokio::test]
async fn a_header_cut_off_anywhere_is_no_header() {
    let header = SegmentHeader { generation: 5, previous: 0, previous_end: 0 }.encode();
    for len in 0..header.len() {
        let disk = SimDisk::new(0);
        disk.create_dir_all(dir()).unwrap();
        let file = disk.create(&dir().join("00000003.segment")).unwrap();
        file.write_at(0, &[IoSlice::new(&header[..len])]).unwrap();
        let log = open(&disk).unwrap();
        assert_eq!(super::append(&*log.partition(0), b"x").await.unwrap(), 1, "{len} bytes");
    }
}

#[test]
fn other_files_in_the_folder_are_left_alone() {
    let disk = SimDisk::new(0);
    disk.create_dir_all(dir()).unwrap();
    disk.create(&dir().join("notes.txt")).unwrap();
    disk.create(&dir().join("x.segment")).unwrap();
    drop(open(&disk).unwrap());
    assert_eq!(Disk::list(&*Arc::new(disk), dir()).unwrap(), ["notes.txt", "x.segment"]);
}
