//! Names and reading of the files in a partition's folder.

use std::path::{Path, PathBuf};

use varve_log::Disk;

use crate::codec::Malformed;
use crate::{HeadError, Result};

/// The one file whose name never changes.
pub(crate) const MANIFEST: &str = "manifest";
/// What `varve_log::prepare_file` writes before it becomes the manifest.
pub(crate) const SCRATCH: &str = "manifest.tmp";
/// The most bytes of a manifest or series file.
const MAX_FILE: u64 = 8 << 30;

/// A file of samples; `id` is the index of the seal that wrote it.
pub(crate) fn chunks(id: u64) -> String {
    format!("{id:020}.chunks")
}

/// A file of series; `id` is the index of the seal that wrote it.
pub(crate) fn series(id: u64) -> String {
    format!("{id:020}.series")
}

/// Bytes that [`wrap`] adds.
pub(crate) const WRAP: u64 = 12;

/// Puts a magic number before and a CRC-32C of all behind a file's body.
pub(crate) fn wrap(magic: &[u8; 8], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 12);
    out.extend_from_slice(magic);
    out.extend_from_slice(body);
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// The body of a file that [`wrap`] made; `None` when there is no such file.
pub(crate) fn unwrap(disk: &dyn Disk, path: &Path, magic: &[u8; 8]) -> Result<Option<Vec<u8>>> {
    let mut bytes = match varve_log::read_file(disk, path, MAX_FILE) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(HeadError::io("read", path)(e)),
    };
    let Some(body_end) = bytes.len().checked_sub(4).filter(|end| *end >= magic.len()) else {
        return Err(HeadError::corrupt(path, 0, format!("only {} bytes long", bytes.len())));
    };
    let found = crc32c::crc32c(&bytes[..body_end]);
    let stored = bytes[body_end..].iter().rev().fold(0u32, |n, b| n << 8 | u32::from(*b));
    if found != stored {
        let detail = format!("checksum {found:#010x}, expected {stored:#010x}");
        return Err(HeadError::corrupt(path, body_end as u64, detail));
    }
    if bytes[..magic.len()] != magic[..] {
        return Err(HeadError::corrupt(path, 0, "not a file of this kind and version"));
    }
    bytes.truncate(body_end);
    bytes.drain(..magic.len());
    Ok(Some(bytes))
}

/// Turns a reader's complaint into an error that names the file.
pub(crate) fn malformed(path: &Path, base: u64) -> impl Fn(Malformed) -> HeadError {
    let path: PathBuf = path.to_owned();
    move |e| HeadError::corrupt(&path, base + e.at as u64, e.what)
}
