//! Checks every byte of a block against its `block.json`, for tools and for
//! whoever is about to build on a block.

use crate::meta::BLOCK_JSON;
use crate::{BlockError, BlockFiles, BlockMeta, Result};

/// Bytes that are read at a time.
const STEP: u64 = 8 << 20;

/// Reads every file that `meta` names and compares its checksum. Returns the
/// number of bytes read; the first difference is [`BlockError::Corrupt`].
pub async fn verify(meta: &BlockMeta, files: &dyn BlockFiles) -> Result<u64> {
    let mut total = 0;
    for (name, expected) in &meta.files {
        let (mut crc, mut at) = (0, 0);
        while at < expected.size {
            let end = expected.size.min(at + STEP);
            let bytes = files.read(name, at..end).await?;
            if bytes.len() as u64 != end - at {
                let detail = format!("{} bytes at {at}..{end}", bytes.len());
                return Err(BlockError::corrupt(name, detail));
            }
            crc = crc32c::crc32c_append(crc, &bytes);
            at = end;
        }
        if crc != expected.crc32c {
            let detail =
                format!("it has checksum {crc:08x}, {BLOCK_JSON} says {:08x}", expected.crc32c);
            return Err(BlockError::corrupt(name, detail));
        }
        total += expected.size;
    }
    Ok(total)
}
