//! The bytes of manifests, leaves, floor and hint: JSON, versioned; that of
//! manifests and leaves in a zstd frame.
//!
//! `docs/formats/catalog.md` draws them. What cannot be parsed, contradicts
//! its own name, or is of a newer format is an error, never a guess.

use std::borrow::Cow;
use std::io::Read;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use ulid::Ulid;
use varve_block::BlockEntry;
use xxhash_rust::xxh3::xxh3_128;

use super::error::{CatalogError, Result};
use super::{Cause, CutKey};
use crate::paths::{self, ObjectPath};

/// The format written, and the newest one read. Format 1 had manifests and
/// leaves without the zstd frame, and no fresh entries.
pub(crate) const FORMAT: u32 = 2;
/// The most bytes a manifest, leaf, floor or hint may have, as JSON too.
pub(crate) const MAX_BYTES: u64 = 256 << 20;

/// How every zstd frame begins; no JSON does.
const ZSTD_MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
/// Level of zstd: a leaf of 480 blocks takes a few milliseconds.
const ZSTD_LEVEL: i32 = 3;

/// The content of `catalog/<version>.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    pub(crate) tenant: String,
    pub(crate) version: u64,
    /// Unique to the attempt that wrote it.
    pub(crate) token: String,
    /// When it was written, by the writer's clock.
    pub(crate) created_ms: i64,
    /// Why, one for each change that this version made.
    pub(crate) causes: Vec<Cause>,
    /// In order of `window_end`, each window once.
    pub(crate) leaves: Vec<LeafRef>,
    /// Entries and cuts that have been added to windows since their leaves were
    /// written, in order of `window_end`, each window once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) fresh: Vec<Leaf>,
    /// Deletion masks in force. Reserved: always empty so far.
    #[serde(default)]
    pub(crate) masks: Vec<MaskRef>,
}

/// Where the entries of one window are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeafRef {
    /// End of the window: blocks whose range ends in it are in this leaf.
    pub window_end: i64,
    /// The leaf's file name. It holds the hash of its content, so equal names
    /// mean equal entries: results may be cached by it.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Number of blocks.
    pub blocks: u64,
    /// The earliest (exclusive) start of a block's range; equal to
    /// `window_end` without blocks.
    pub start: i64,
    /// When it was last changed, in milliseconds since the epoch.
    pub changed_ms: i64,
}

/// A deletion mask: samples that are to be read as if they were not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskRef {
    /// The mask's file name below `catalog/mask`.
    pub name: String,
    /// Exclusive start of the time that it touches.
    pub start: i64,
    /// Inclusive end of the time that it touches.
    pub end: i64,
}

/// The content of `catalog/leaf/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leaf {
    pub(crate) format: u32,
    pub(crate) window_end: i64,
    /// In order of id.
    pub(crate) blocks: Vec<BlockEntry>,
    /// Cuts that have been committed, also those whose blocks were replaced.
    /// In order.
    #[serde(default)]
    pub(crate) cuts: Vec<CutKey>,
}

/// The content of `catalog/floor/<sequence>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FloorObject {
    pub(crate) format: u32,
    /// Versions up to this one are collected.
    pub(crate) version: u64,
    /// A version that its writer had found in the bucket.
    #[serde(default)]
    pub(crate) seen: u64,
    pub(crate) token: String,
    pub(crate) created_ms: i64,
}

/// The content of `catalog/hint.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hint {
    pub(crate) format: u32,
    pub(crate) version: u64,
    pub(crate) floor_sequence: u64,
}

impl Leaf {
    pub(crate) fn empty(window_end: i64) -> Self {
        Self { format: FORMAT, window_end, blocks: Vec::new(), cuts: Vec::new() }
    }

    /// Takes in what `other` has and this one has not.
    pub(crate) fn merge(&mut self, other: &Self) {
        for entry in &other.blocks {
            if let Err(at) = self.blocks.binary_search_by_key(&entry.id, |b| b.id) {
                self.blocks.insert(at, entry.clone());
            }
        }
        for cut in &other.cuts {
            if let Err(at) = self.cuts.binary_search(cut) {
                self.cuts.insert(at, *cut);
            }
        }
    }

    /// How much a leaf holds: entries and cuts.
    pub(crate) fn len(&self) -> usize {
        self.blocks.len() + self.cuts.len()
    }

    /// The leaf's bytes and its reference, as written by attempt `id`.
    pub(crate) fn encode(&self, id: Ulid, now_ms: i64) -> Result<(LeafRef, Bytes)> {
        let bytes = pack(self)?;
        let start = self.blocks.iter().map(|b| b.range.start).min().unwrap_or(self.window_end);
        let reference = LeafRef {
            window_end: self.window_end,
            name: paths::leaf_name(id, xxh3_128(&bytes)),
            size: bytes.len() as u64,
            blocks: self.blocks.len() as u64,
            start,
            changed_ms: now_ms,
        };
        Ok((reference, bytes))
    }

    /// Parses a leaf and checks that it is the one that its name promises.
    pub(crate) fn decode(path: &ObjectPath, reference: &LeafRef, bytes: &[u8]) -> Result<Self> {
        let hash = paths::parse_leaf_name(&reference.name).map(|(_, hash)| hash);
        if hash != Some(xxh3_128(bytes)) {
            return Err(corrupt(path, "its content does not have the hash of its name"));
        }
        let mut leaf: Self = decode(path, bytes)?;
        // What is made of it is written in today's format.
        leaf.format = FORMAT;
        if leaf.window_end != reference.window_end || leaf.blocks.len() as u64 != reference.blocks {
            return Err(corrupt(path, "it is not the leaf that the manifest describes"));
        }
        Ok(leaf)
    }
}

impl Manifest {
    pub(crate) fn encode(&self) -> Result<Bytes> {
        pack(self)
    }

    pub(crate) fn decode(
        path: &ObjectPath,
        tenant: &str,
        version: u64,
        bytes: &[u8],
    ) -> Result<Self> {
        let mut manifest: Self = decode(path, bytes)?;
        manifest.format = FORMAT;
        if manifest.tenant != tenant || manifest.version != version {
            let (t, v) = (&manifest.tenant, manifest.version);
            return Err(corrupt(path, format!("it says that it is version {v} of tenant {t:?}")));
        }
        if !manifest.leaves.is_sorted_by(|a, b| a.window_end < b.window_end) {
            return Err(corrupt(path, "its leaves are not in order"));
        }
        let in_order =
            |fresh: &Leaf| fresh.blocks.is_sorted_by(|a, b| a.id < b.id) && fresh.cuts.is_sorted();
        if !manifest.fresh.is_sorted_by(|a, b| a.window_end < b.window_end)
            || !manifest.fresh.iter().all(in_order)
        {
            return Err(corrupt(path, "its fresh entries are not in order"));
        }
        Ok(manifest)
    }

    /// Where the entries of a window are, when it has a leaf.
    pub(crate) fn leaf_of(&self, window: i64) -> Option<&LeafRef> {
        let at = self.leaves.binary_search_by_key(&window, |l| l.window_end).ok()?;
        self.leaves.get(at)
    }

    /// What has been added to a window since its leaf was written.
    pub(crate) fn fresh_of(&self, window: i64) -> Option<&Leaf> {
        let at = self.fresh.binary_search_by_key(&window, |l| l.window_end).ok()?;
        self.fresh.get(at)
    }
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Bytes> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|e| CatalogError::Invalid(format!("it has no JSON form: {e}")))
}

/// JSON in a zstd frame with a checksum.
fn pack<T: Serialize>(value: &T) -> Result<Bytes> {
    let json = encode(value)?;
    let packed = zstd::bulk::Compressor::new(ZSTD_LEVEL).and_then(|mut zstd| {
        zstd.include_checksum(true)?;
        zstd.compress(&json)
    });
    packed.map(Bytes::from).map_err(|e| CatalogError::Invalid(format!("it has no zstd form: {e}")))
}

/// The JSON in a frame; what is not a frame is taken for JSON.
fn unpack<'a>(path: &ObjectPath, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    if !bytes.starts_with(&ZSTD_MAGIC) {
        return Ok(Cow::Borrowed(bytes));
    }
    let frame = zstd::stream::read::Decoder::with_buffer(bytes).map_err(|e| corrupt(path, e))?;
    let mut json = Vec::new();
    let read = frame.take(MAX_BYTES + 1).read_to_end(&mut json).map_err(|e| corrupt(path, e))?;
    if read as u64 > MAX_BYTES {
        return Err(corrupt(path, format!("more than {MAX_BYTES} bytes in its zstd frame")));
    }
    Ok(Cow::Owned(json))
}

/// Parses JSON whose `format` is known, in a zstd frame or not.
pub(crate) fn decode<T: DeserializeOwned>(path: &ObjectPath, bytes: &[u8]) -> Result<T> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let json = unpack(path, bytes)?;
    let Format { format } = serde_json::from_slice(&json).map_err(|e| corrupt(path, e))?;
    if format > FORMAT {
        let path = path.to_string();
        return Err(CatalogError::Format { path, found: format, supported: FORMAT });
    }
    serde_json::from_slice(&json).map_err(|e| corrupt(path, e))
}

pub(crate) fn corrupt(path: &ObjectPath, detail: impl std::fmt::Display) -> CatalogError {
    CatalogError::Corrupt { path: path.to_string(), detail: detail.to_string() }
}

#[cfg(test)]
mod tests;
