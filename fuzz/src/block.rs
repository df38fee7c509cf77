//! Blocks: any `block.json`, and files that were damaged on purpose with
//! checksums that fit, so that the damage reaches the decoders.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Once};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{TryStreamExt, executor::block_on};
use varve_block::{
    BlockEntry, BlockError, BlockFiles, BlockMeta, BlockReader, Result, chunk::MAX_CHUNK_SAMPLES,
};
use varve_model::{ErrorKind, TimeRange};

/// What is taken as `block.json` is written back to the same meta.
pub fn json(bytes: &[u8]) {
    if let Ok(meta) = BlockMeta::from_json(bytes) {
        let text = meta.to_json().expect("what was read can be written");
        assert_eq!(BlockMeta::from_json(&text).expect("what was written can be read"), meta);
    }
}

const JSON: &[u8] = include_bytes!("../../crates/block/testdata/block-v1/block.json");
const FILES: [(&str, &[u8]); 6] = [
    ("series.parquet", include_bytes!("../../crates/block/testdata/block-v1/series.parquet")),
    ("labels.parquet", include_bytes!("../../crates/block/testdata/block-v1/labels.parquet")),
    ("samples.parquet", include_bytes!("../../crates/block/testdata/block-v1/samples.parquet")),
    ("timestamps.parquet", include_bytes!("../../crates/block/testdata/block-v1/timestamps.parquet")),
    ("exemplars.parquet", include_bytes!("../../crates/block/testdata/block-v1/exemplars.parquet")),
    ("metadata.parquet", include_bytes!("../../crates/block/testdata/block-v1/metadata.parquet")),
];

struct MemFiles(BTreeMap<&'static str, Vec<u8>>);

#[async_trait]
impl BlockFiles for MemFiles {
    async fn read(&self, file: &str, range: Range<u64>) -> Result<Bytes> {
        let part = self.0.get(file).and_then(|b| b.get(range.start as usize..range.end as usize));
        let missing = || BlockError::read(file, ErrorKind::NotFound, "no such bytes");
        part.map(Bytes::copy_from_slice).ok_or_else(missing)
    }
}

/// The golden block with some bytes of one file changed: one byte to choose the
/// file, then 3 bytes a change: a little-endian position and what is xored.
pub fn files(bytes: &[u8]) {
    // The reader turns a panic of the Parquet library into an error; libFuzzer's
    // hook would abort before it can.
    static QUIET: Once = Once::new();
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));

    let Some((choice, changes)) = bytes.split_first() else {
        return;
    };
    let (name, golden) = FILES[usize::from(*choice) % FILES.len()];
    let meta = BlockMeta::from_json(JSON).expect("the golden block.json");
    let mut entry = BlockEntry::new(&meta);
    let mut file = golden.to_vec();
    for change in changes.as_chunks::<3>().0 {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % file.len();
        file[at] ^= change[2];
    }
    forge(&mut file, &mut entry, name);
    let mut all: BTreeMap<&str, Vec<u8>> =
        FILES.iter().map(|(name, bytes)| (*name, bytes.to_vec())).collect();
    all.insert(name, file);
    let reader = BlockReader::new(entry, Arc::new(MemFiles(all)));

    // The second time through what is kept of the block.
    for _ in 0..2 {
        let selected: Result<Vec<_>> =
            block_on(reader.select(Vec::new(), TimeRange::ALL).try_collect());
        for series in selected.into_iter().flatten().flatten() {
            if let Ok((floats, histograms)) = series.decode(TimeRange::ALL) {
                assert!(floats.len() + histograms.len() <= series.chunks.len() * MAX_CHUNK_SAMPLES);
            }
        }
    }
    let _: Result<Vec<_>> = block_on(reader.series(Vec::new(), 0).try_collect());
    let _ = block_on(reader.label_names(Vec::new(), 0));
    let _ = block_on(reader.label_values("job", Vec::new(), 0));
    let _ = block_on(reader.exemplars(vec![Vec::new()], TimeRange::ALL));
    let _ = block_on(reader.metadata());
}

/// Makes the checksums fit: the golden files have one page checksum each, the
/// only 8 hexadecimal digits that equal the sum of the golden pages.
fn forge(file: &mut [u8], entry: &mut BlockEntry, name: &str) {
    let Some(meta) = entry.files.get_mut(name) else {
        return;
    };
    let pages = file.len() - meta.footer_len as usize;
    let golden = FILES.iter().find(|(n, _)| *n == name).map_or(&[][..], |(_, bytes)| bytes);
    let old = format!("{:08x}", crc32c::crc32c(&golden[..pages]));
    if let Some(at) = golden.windows(8).rposition(|w| w == old.as_bytes()) {
        let new = format!("{:08x}", crc32c::crc32c(&file[..pages]));
        file[at..at + 8].copy_from_slice(new.as_bytes());
    }
    meta.footer_crc32c = crc32c::crc32c(&file[pages..]);
}
