//! Where each entry of one partition lies, and the newest of them in memory.
//!
//! The writer adds what has become durable; subscribers take runs of entries,
//! from memory if they keep up and from the segment files if they do not.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::format::{RECORD_HEADER, RecordHeader, record_len};
use crate::{DiskFile, Entry, LogError};

/// One use of a segment file.
pub(crate) struct Segment {
    pub(crate) generation: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DiskFile>,
}

/// Where a record lies.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) segment: Arc<Segment>,
    pub(crate) at: u32,
    pub(crate) len: u32,
}

/// The durable entries of a partition that are not purged.
#[derive(Default)]
pub(crate) struct Index {
    /// Term of the last entry.
    pub(crate) term: u64,
    /// Entries up to here are not needed.
    pub(crate) purged: u64,
    /// The last durable entry.
    pub(crate) last: u64,
    /// Of the entries `purged + 1 ..= last`.
    pub(crate) places: VecDeque<Place>,
    /// Bytes that they take in segments.
    held: u64,
    /// The newest entries, ending with `last`.
    tail: VecDeque<Entry>,
    tail_bytes: usize,
}

/// What a subscriber does next.
pub(crate) enum Run {
    /// Nothing is durable from there on yet.
    Nothing,
    /// The entries are gone; the first that is there has this index.
    Purged(u64),
    /// From memory.
    Entries(Vec<Entry>),
    /// To be read from the files.
    Places(Vec<Place>),
}

/// Bounds of one run.
const RUN_ENTRIES: usize = 64;
const RUN_BYTES: usize = 1 << 20;

impl Index {
    /// Adds a durable entry.
    pub(crate) fn push(&mut self, entry: Entry, place: Place, tail_limit: usize) {
        self.term = entry.term;
        self.last = entry.index;
        self.held += place.bytes();
        self.places.push_back(place);
        self.tail_bytes += entry.payload.len();
        self.tail.push_back(entry);
        while self.tail_bytes > tail_limit || self.tail.len() > self.places.len() {
            let Some(entry) = self.tail.pop_front() else { break };
            self.tail_bytes -= entry.payload.len();
        }
    }

    /// Forgets entries up to `index`.
    pub(crate) fn purge(&mut self, index: u64) {
        while self.purged < index.min(self.last) {
            self.purged += 1;
            self.held -= self.places.pop_front().map_or(0, |place| place.bytes());
        }
        while let Some(entry) = self.tail.pop_front_if(|entry| entry.index <= self.purged) {
            self.tail_bytes -= entry.payload.len();
        }
    }

    /// Notes a durable entry that was found at a start.
    pub(crate) fn found(&mut self, place: Place) {
        self.held += place.bytes();
        self.places.push_back(place);
    }

    /// Forgets the first `count` places, or all.
    pub(crate) fn forget(&mut self, count: usize) {
        for place in self.places.drain(..count.min(self.places.len())) {
            self.held -= place.bytes();
        }
    }

    /// Bytes that the entries take in segments.
    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    /// The next entries from `from` on, at least one if there is any.
    pub(crate) fn run(&self, from: u64) -> Run {
        if from > self.last {
            return Run::Nothing;
        }
        if from <= self.purged {
            return Run::Purged(self.purged.saturating_add(1));
        }
        let mut bytes = 0;
        let mut fits = |len: usize| {
            let first = bytes == 0;
            bytes += len + RECORD_HEADER;
            first || bytes <= RUN_BYTES
        };
        if let Some(first) = self.tail.front()
            && first.index <= from
        {
            let skip = usize::try_from(from - first.index).unwrap_or(usize::MAX);
            let run = self.tail.iter().skip(skip).take(RUN_ENTRIES);
            return Run::Entries(run.take_while(|e| fits(e.payload.len())).cloned().collect());
        }
        let skip = usize::try_from(from - self.purged - 1).unwrap_or(usize::MAX);
        let run = self.places.iter().skip(skip).take(RUN_ENTRIES);
        Run::Places(run.take_while(|p| fits(p.len as usize)).cloned().collect())
    }
}

impl Place {
    /// Bytes that the record takes in its segment.
    fn bytes(&self) -> u64 {
        record_len(self.len as usize) as u64
    }

    /// Reads the entry. Blocks.
    ///
    /// Errors: `Corrupt` if the bytes are not what was written, which is also
    /// what a reader sees whose entries were purged under it.
    pub(crate) fn read(&self) -> Result<Entry, LogError> {
        let Segment { generation, path, file } = &*self.segment;
        let mut bytes = vec![0; RECORD_HEADER + self.len as usize];
        let read = file
            .read_at(u64::from(self.at), &mut bytes)
            .map_err(|source| LogError::io("read", path, source))?;
        let header = RecordHeader::decode(&bytes).filter(|header| {
            read == bytes.len() && header.is_intact(*generation, &bytes[RECORD_HEADER..])
        });
        match header {
            Some(header) => {
                let payload = Bytes::from(bytes).slice(RECORD_HEADER..);
                header.entry(payload, path, u64::from(self.at))
            }
            None => Err(LogError::Corrupt {
                path: path.clone(),
                offset: u64::from(self.at),
                detail: "record was durable and is unreadable now".to_owned(),
            }),
        }
    }
}
