//! Reads one segment file from front to back and says what in it is good.
//!
//! A batch counts whole or not at all. Where the first bad one starts, the
//! rest of the file is searched for a later batch of the same generation: if
//! one says that the bad place had been synced before, the file is corrupt
//! (L-4); else the bad batch is a torn tail that nobody was promised (L-5).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::{
    BATCH_ALIGN, BATCH_HEADER, BatchHeader, FIRST_BATCH, KIND_PURGE, KIND_STATE, RECORD_HEADER,
    RecordHeader, SEGMENT_HEADER, SegmentHeader, StateRow, align_up, record_len,
};
use crate::{DiskFile, LogError};

/// Bytes read at a time when looking for later batches.
const SEARCH_STEP: usize = 1 << 20;

/// What a segment file turned out to hold.
pub(crate) struct Scan {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) content: Content,
}

pub(crate) enum Content {
    /// No readable header. `stray` is the generation that the first batch
    /// claims, if there is one.
    Unused { stray: Option<u64> },
    Used {
        header: SegmentHeader,
        /// Start of the last good batch: what is below was synced. 0, the
        /// header's place, if there is no batch.
        last_batch: u64,
        /// Where the good batches end.
        end: u64,
        items: Vec<Item>,
    },
}

/// One record of the log, without its payload.
pub(crate) enum Item {
    Entry { at: u64, len: u32, partition: u32, term: u64, index: u64 },
    Purge { partition: u32, index: u64 },
    State(Vec<StateRow>),
}

/// Scans a file.
///
/// Errors: `Io`, and `Corrupt` where something below a synced offset is bad.
pub(crate) fn scan(path: &Path, file: Arc<dyn DiskFile>) -> Result<Scan, LogError> {
    let read_error = |source| LogError::io("read", path, source);
    let len = file.len().map_err(read_error)?;
    let mut reader = Reader { path, file: &*file, len, buffer: Vec::new() };
    let mut bytes = [0; SEGMENT_HEADER];
    let read = file.read_at(0, &mut bytes).map_err(read_error)?;
    let content = match SegmentHeader::decode(&bytes[..read], path)? {
        Some(header) => {
            let mut items = Vec::new();
            let (mut last_batch, mut at) = (0, FIRST_BATCH);
            while let Some(next) = reader.batch(header.generation, at, &mut items)? {
                (last_batch, at) = (at, next);
            }
            reader.check_tail(header.generation, at)?;
            Content::Used { header, last_batch, end: at, items }
        }
        None => {
            let stray = reader.batch_header(FIRST_BATCH)?.map(|batch| batch.generation);
            Content::Unused { stray }
        }
    };
    Ok(Scan { path: path.to_owned(), file, content })
}

struct Reader<'a> {
    path: &'a Path,
    file: &'a dyn DiskFile,
    len: u64,
    buffer: Vec<u8>,
}

impl Reader<'_> {
    /// Reads one batch into `items` and says where the next one would start;
    /// `None` (and nothing new in `items`) where there is no good one.
    fn batch(
        &mut self,
        generation: u64,
        at: u64,
        items: &mut Vec<Item>,
    ) -> Result<Option<u64>, LogError> {
        let before = items.len();
        let Some(header) = self.batch_header(at)? else { return Ok(None) };
        let start = at + BATCH_HEADER as u64;
        let fits = u64::from(header.body) <= self.len.saturating_sub(start);
        if header.generation != generation || header.records == 0 || !fits {
            return Ok(None);
        }
        let mut used = 0;
        for _ in 0..header.records {
            match self.record(generation, start + used, u64::from(header.body) - used, items)? {
                Some(len) => used += len,
                None => {
                    items.truncate(before);
                    return Ok(None);
                }
            }
        }
        if used != u64::from(header.body) {
            items.truncate(before);
            return Ok(None);
        }
        Ok(Some(header.end()))
    }

    fn record(
        &mut self,
        generation: u64,
        at: u64,
        room: u64,
        items: &mut Vec<Item>,
    ) -> Result<Option<u64>, LogError> {
        let mut bytes = [0; RECORD_HEADER];
        if room < RECORD_HEADER as u64 || self.read(at, &mut bytes)? < RECORD_HEADER {
            return Ok(None);
        }
        let Some(header) = RecordHeader::decode(&bytes) else { return Ok(None) };
        let len = header.len as usize;
        let total = record_len(len) as u64;
        if total > room {
            return Ok(None);
        }
        let mut payload = std::mem::take(&mut self.buffer);
        payload.resize(len, 0);
        let read = self.read(at + RECORD_HEADER as u64, &mut payload)?;
        let intact = read == len && header.is_intact(generation, &payload);
        if intact {
            header.check_known(self.path, at)?;
            let RecordHeader { partition, term, index, .. } = header;
            items.push(match header.kind {
                KIND_STATE => Item::State(StateRow::decode_all(&payload).collect()),
                KIND_PURGE => Item::Purge { partition, index },
                _ => Item::Entry { at, len: header.len, partition, term, index },
            });
        }
        self.buffer = payload;
        Ok(intact.then_some(total))
    }

    /// Fails if any batch after `bad` says that `bad` had been synced.
    fn check_tail(&self, generation: u64, bad: u64) -> Result<(), LogError> {
        let mut bytes = Vec::new();
        let mut at = align_up(bad, BATCH_ALIGN);
        while at < self.len {
            let step = SEARCH_STEP as u64;
            let want = usize::try_from((self.len - at).min(step + BATCH_HEADER as u64))
                .expect("bounded by the step");
            bytes.resize(want, 0);
            let read = self.read(at, &mut bytes)?;
            for offset in (0..read.min(SEARCH_STEP)).step_by(BATCH_ALIGN as usize) {
                let place = at + offset as u64;
                let Some(batch) = BatchHeader::decode(&bytes[offset..read], place) else {
                    continue;
                };
                if batch.generation == generation && batch.synced > bad {
                    let synced = batch.synced;
                    return Err(LogError::Corrupt {
                        path: self.path.to_owned(),
                        offset: bad,
                        detail: format!(
                            "batch is unreadable, but was synced: the batch at {place} says that all below {synced} was"
                        ),
                    });
                }
            }
            at += step;
        }
        Ok(())
    }

    fn batch_header(&self, at: u64) -> Result<Option<BatchHeader>, LogError> {
        let mut bytes = [0; BATCH_HEADER];
        let read = self.read(at, &mut bytes)?;
        Ok(BatchHeader::decode(&bytes[..read], at))
    }

    fn read(&self, at: u64, buf: &mut [u8]) -> Result<usize, LogError> {
        self.file.read_at(at, buf).map_err(|source| LogError::io("read", self.path, source))
    }
}
