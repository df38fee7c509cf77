//! The bytes of a segment file: header, batches, records (docs/formats/log.md).
//!
//! Every checksum covers the generation of the file's present use, so that
//! what an earlier use left behind never passes for a record (L-1). Decoders
//! take any bytes, never panic and never allocate by a length they read.

use std::path::Path;

use crate::{Entry, EntryKind, LogError};

/// First bytes of a segment file.
const SEGMENT_MAGIC: [u8; 8] = *b"VARVELOG";
/// First bytes of a batch header.
const BATCH_MAGIC: [u8; 4] = *b"VBAT";
/// Version of all that this file describes.
const VERSION: u32 = 1;

/// Where the first batch starts: the header has a disk block of its own, so
/// that writing batches never rewrites it.
pub(crate) const FIRST_BATCH: u64 = 4096;
/// Bytes of a segment header that mean something.
pub(crate) const SEGMENT_HEADER: usize = 56;
/// Bytes of a batch header.
pub(crate) const BATCH_HEADER: usize = 48;
/// Bytes of a record header.
pub(crate) const RECORD_HEADER: usize = 32;
/// Batches start at multiples of this, so that they can be looked for.
pub(crate) const BATCH_ALIGN: u64 = 64;
/// Records start at multiples of this after their batch's header.
pub(crate) const RECORD_ALIGN: usize = 8;
/// Bytes of one partition in a state record.
pub(crate) const STATE_ROW: usize = 32;

/// Kind byte of a state record: where every partition stands.
pub(crate) const KIND_STATE: u8 = 0x80;
/// Kind byte of a purge record: entries up to its index are not needed.
pub(crate) const KIND_PURGE: u8 = 0x81;

/// The payload's bytes follow the record header.
const TAG_INLINE: u8 = 0;

/// Rounds up to the next multiple of `align` (a power of two).
pub(crate) fn align_up(value: u64, align: u64) -> u64 {
    (value + align - 1) & !(align - 1)
}

/// Bytes that a record with a payload of `len` takes in a batch.
pub(crate) fn record_len(len: usize) -> usize {
    (RECORD_HEADER + len + RECORD_ALIGN - 1) & !(RECORD_ALIGN - 1)
}

/// What one use of a segment file starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Number of this use; every use of every file has its own, growing.
    pub(crate) generation: u64,
    /// The generation written before this one; 0 if there was none.
    pub(crate) previous: u64,
    /// Where the batches of `previous` end. All below was synced.
    pub(crate) previous_end: u64,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut out = [0; SEGMENT_HEADER];
        out[..8].copy_from_slice(&SEGMENT_MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[16..24].copy_from_slice(&self.generation.to_le_bytes());
        out[24..32].copy_from_slice(&self.previous.to_le_bytes());
        out[32..40].copy_from_slice(&self.previous_end.to_le_bytes());
        let crc = crc32c::crc32c(&out[..48]);
        out[48..52].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// `Ok(None)` if the bytes are no header; an error if they are one of a
    /// version that this program does not know.
    pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<Option<Self>, LogError> {
        let Some(bytes) = bytes.get(..SEGMENT_HEADER) else { return Ok(None) };
        if bytes[..8] != SEGMENT_MAGIC || u32_at(bytes, 48) != Some(crc32c::crc32c(&bytes[..48])) {
            return Ok(None);
        }
        let version = u32_at(bytes, 8).unwrap_or(0);
        if version != VERSION {
            let detail = format!("segment version {version}, this program knows {VERSION}");
            return Err(LogError::Corrupt { path: path.to_owned(), offset: 8, detail });
        }
        let header = (|| {
            Some(Self {
                generation: u64_at(bytes, 16)?,
                previous: u64_at(bytes, 24)?,
                previous_end: u64_at(bytes, 32)?,
            })
        })();
        Ok(header.filter(|header| header.generation > 0))
    }
}

/// What a group of records that share one sync starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) generation: u64,
    /// Where this header stands in the file.
    pub(crate) offset: u64,
    /// Everything of this generation below was synced before this was written.
    pub(crate) synced: u64,
    /// Bytes of records after the header; 0 in a mark.
    pub(crate) body: u32,
    pub(crate) records: u32,
}

impl BatchHeader {
    pub(crate) fn encode(&self) -> [u8; BATCH_HEADER] {
        let mut out = [0; BATCH_HEADER];
        out[..4].copy_from_slice(&BATCH_MAGIC);
        out[8..12].copy_from_slice(&self.body.to_le_bytes());
        out[12..16].copy_from_slice(&self.records.to_le_bytes());
        out[16..24].copy_from_slice(&self.generation.to_le_bytes());
        out[24..32].copy_from_slice(&self.offset.to_le_bytes());
        out[32..40].copy_from_slice(&self.synced.to_le_bytes());
        let crc = crc32c::crc32c(&out[8..]);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The header that starts `bytes`, if one that belongs at `offset` does.
    pub(crate) fn decode(bytes: &[u8], offset: u64) -> Option<Self> {
        let bytes = bytes.get(..BATCH_HEADER)?;
        if bytes[..4] != BATCH_MAGIC || u32_at(bytes, 4)? != crc32c::crc32c(&bytes[8..]) {
            return None;
        }
        let header = Self {
            body: u32_at(bytes, 8)?,
            records: u32_at(bytes, 12)?,
            generation: u64_at(bytes, 16)?,
            offset: u64_at(bytes, 24)?,
            synced: u64_at(bytes, 32)?,
        };
        (header.offset == offset).then_some(header)
    }

    /// Where the next batch starts.
    pub(crate) fn end(&self) -> u64 {
        align_up(self.offset + BATCH_HEADER as u64 + u64::from(self.body), BATCH_ALIGN)
    }
}

/// What stands before a record's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) len: u32,
    pub(crate) crc: u32,
    pub(crate) partition: u32,
    /// An [`EntryKind`], [`KIND_STATE`] or [`KIND_PURGE`].
    pub(crate) kind: u8,
    tag: u8,
    pub(crate) term: u64,
    pub(crate) index: u64,
}

impl RecordHeader {
    /// The header of a record whose payload is `payload`.
    pub(crate) fn new(
        generation: u64,
        (partition, kind, term, index): (u32, u8, u64, u64),
        payload: &[u8],
    ) -> Self {
        let len = u32::try_from(payload.len()).expect("payloads are bounded by the segment size");
        let mut header = Self { len, crc: 0, partition, kind, tag: TAG_INLINE, term, index };
        header.crc = header.checksum(generation, payload);
        header
    }

    pub(crate) fn encode(&self) -> [u8; RECORD_HEADER] {
        let mut out = [0; RECORD_HEADER];
        out[..4].copy_from_slice(&self.len.to_le_bytes());
        out[4..8].copy_from_slice(&self.crc.to_le_bytes());
        out[8..12].copy_from_slice(&self.partition.to_le_bytes());
        out[12] = self.kind;
        out[13] = self.tag;
        out[16..24].copy_from_slice(&self.term.to_le_bytes());
        out[24..32].copy_from_slice(&self.index.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            len: u32_at(bytes, 0)?,
            crc: u32_at(bytes, 4)?,
            partition: u32_at(bytes, 8)?,
            kind: *bytes.get(12)?,
            tag: *bytes.get(13)?,
            term: u64_at(bytes, 16)?,
            index: u64_at(bytes, 24)?,
        })
    }

    /// Whether header and payload are what was written in this generation.
    pub(crate) fn is_intact(&self, generation: u64, payload: &[u8]) -> bool {
        self.len as usize == payload.len() && self.crc == self.checksum(generation, payload)
    }

    /// The entry, unless the record is of the log itself.
    ///
    /// Errors: `Corrupt`, if kind or tag are of a version not known here.
    pub(crate) fn entry(
        &self,
        payload: bytes::Bytes,
        path: &Path,
        offset: u64,
    ) -> Result<Entry, LogError> {
        self.check_known(path, offset)?;
        match EntryKind::from_u8(self.kind) {
            Some(kind) => Ok(Entry {
                partition: self.partition,
                term: self.term,
                index: self.index,
                kind,
                payload,
            }),
            None => Err(LogError::Corrupt {
                path: path.to_owned(),
                offset,
                detail: format!("record kind {} is no entry", self.kind),
            }),
        }
    }

    /// Errors: `Corrupt`, if kind or tag are of a version not known here.
    pub(crate) fn check_known(&self, path: &Path, offset: u64) -> Result<(), LogError> {
        let known =
            matches!(self.kind, KIND_STATE | KIND_PURGE) || EntryKind::from_u8(self.kind).is_some();
        if known && self.tag == TAG_INLINE {
            return Ok(());
        }
        let detail =
            format!("record kind {} with payload tag {} is not known", self.kind, self.tag);
        Err(LogError::Corrupt { path: path.to_owned(), offset, detail })
    }

    fn checksum(&self, generation: u64, payload: &[u8]) -> u32 {
        let mut header = self.encode();
        header[4..8].fill(0);
        let crc = crc32c::crc32c(&generation.to_le_bytes());
        crc32c::crc32c_append(crc32c::crc32c_append(crc, &header), payload)
    }
}

/// Where one partition stands when a segment begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StateRow {
    pub(crate) partition: u32,
    pub(crate) term: u64,
    /// The last index written.
    pub(crate) last: u64,
    /// Entries up to here are not needed.
    pub(crate) purged: u64,
}

impl StateRow {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.partition.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.term.to_le_bytes());
        out.extend_from_slice(&self.last.to_le_bytes());
        out.extend_from_slice(&self.purged.to_le_bytes());
    }

    /// The rows of a state record's payload.
    pub(crate) fn decode_all(payload: &[u8]) -> impl Iterator<Item = Self> + '_ {
        payload.chunks_exact(STATE_ROW).filter_map(|row| {
            Some(Self {
                partition: u32_at(row, 0)?,
                term: u64_at(row, 8)?,
                last: u64_at(row, 16)?,
                purged: u64_at(row, 24)?,
            })
        })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}
