//! One series in memory: two open buffers, closed chunks, sealed ones.
//!
//! Samples newer than all before go to `open`, which lies in one window;
//! others to `late`, which may span several. Both turn into chunks when full,
//! at a window's border, at a cut and at a seal. This struct is there a
//! million times: what a series does not have takes no room but a pointer.

use std::sync::Arc;

use varve_model::{Exemplar, window_end};

use crate::Result;
use crate::buffer::{Buffer, Value};
use crate::chunk::{Chunk, Data};
use crate::dictionary::Pairs;
use crate::exemplars::{ExemplarBuffer, same};
use crate::kind::Kind;
use crate::sealed::{Files, Row};

/// A buffer is closed and coded when it holds this many samples.
const CHUNK_SAMPLES: usize = 120;

/// One series.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) reference: u64,
    /// Hash of its labels in its tenant's map.
    pub(crate) hash: u64,
    /// Its labels in its tenant's dictionary.
    pub(crate) pairs: Pairs,
    /// Time of its newest sample; `i64::MIN` when it never had one.
    pub(crate) newest: i64,
    pub(crate) open: Option<Arc<Buffer>>,
    pub(crate) late: Option<Arc<Buffer>>,
    pub(crate) exemplars: Option<Arc<ExemplarBuffer>>,
    /// Closed and not sealed, oldest first. Shared with readers, so that a
    /// snapshot of many series is quick.
    pub(crate) chunks: Option<Arc<Vec<Chunk>>>,
    /// In files.
    pub(crate) sealed: Arc<[Row]>,
    /// Whether a file that a durable seal names has its labels.
    pub(crate) named: bool,
    /// Bytes that its tenant's account holds for it.
    pub(crate) charged: u32,
}

impl Series {
    pub(crate) fn new(reference: u64, hash: u64, pairs: Pairs) -> Self {
        Self {
            reference,
            hash,
            pairs,
            newest: i64::MIN,
            open: None,
            late: None,
            exemplars: None,
            chunks: None,
            sealed: Arc::default(),
            named: false,
            charged: 0,
        }
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_none()
            && self.late.is_none()
            && self.exemplars.is_none()
            && self.unsealed().is_empty()
            && self.sealed.is_empty()
    }

    /// Closed chunks that are in no file.
    pub(crate) fn unsealed(&self) -> &[Chunk] {
        self.chunks.as_deref().map_or(&[], Vec::as_slice)
    }

    /// All closed chunks, the sealed ones first.
    pub(crate) fn closed<'a>(&'a self, files: &'a Files) -> impl Iterator<Item = Chunk> + 'a {
        files.chunks(&self.sealed).chain(self.unsealed().iter().cloned())
    }

    /// Kind, first and last time of all closed chunks.
    pub(crate) fn spans<'a>(
        &'a self,
        files: &'a Files,
    ) -> impl Iterator<Item = (Kind, i64, i64)> + 'a {
        let unsealed = self.unsealed().iter().map(|c| (c.kind, c.min, c.max));
        self.sealed.iter().filter_map(|row| files.span(row)).chain(unsealed)
    }

    /// Adds a sample newer than all before.
    pub(crate) fn push(&mut self, time: i64, value: Value, start: i64, index: u64) -> Result<()> {
        let border = |b: &Arc<Buffer>| b.span().map(|(_, max)| window_end(max));
        if self.open.as_ref().is_some_and(|b| border(b) != Some(window_end(time))) {
            self.close_open(true)?;
        }
        let open = self.open.get_or_insert_default();
        Arc::make_mut(open).insert(time, value, start, index);
        self.newest = time;
        if open.len() >= CHUNK_SAMPLES {
            self.close_open(true)?;
        }
        Ok(())
    }

    /// Adds a sample that is not newer than all before, and not there yet.
    pub(crate) fn push_late(
        &mut self,
        time: i64,
        value: Value,
        start: i64,
        index: u64,
    ) -> Result<()> {
        let late = self.late.get_or_insert_default();
        Arc::make_mut(late).insert(time, value, start, index);
        if late.len() >= CHUNK_SAMPLES {
            self.close_late(true)?;
        }
        Ok(())
    }

    /// Adds an exemplar; false when it is there already.
    pub(crate) fn push_exemplar(&mut self, exemplar: Exemplar, index: u64) -> bool {
        let buffer = self.exemplars.get_or_insert_default();
        if buffer.items.iter().any(|e| same(e, &exemplar)) {
            return false;
        }
        let buffer = Arc::make_mut(buffer);
        buffer.items.push(exemplar);
        buffer.last_index = index;
        if buffer.items.len() >= CHUNK_SAMPLES {
            self.close_exemplars();
        }
        true
    }

    /// Turns the open buffer into chunks, coded at once when `code`.
    fn close_open(&mut self, code: bool) -> Result<()> {
        match self.open.take() {
            Some(buffer) => self.close(&buffer, code),
            None => Ok(()),
        }
    }

    fn close_late(&mut self, code: bool) -> Result<()> {
        match self.late.take() {
            Some(buffer) => {
                buffer.split_windows().iter().try_for_each(|part| self.close(part, code))
            }
            None => Ok(()),
        }
    }

    fn close_exemplars(&mut self) {
        if let Some(buffer) = self.exemplars.take() {
            Chunk::close_exemplars(&buffer).into_iter().for_each(|chunk| self.add(chunk));
        }
    }

    fn close(&mut self, buffer: &Arc<Buffer>, code: bool) -> Result<()> {
        for mut chunk in Chunk::close(buffer) {
            if code {
                chunk.data = Data::Coded(chunk.code()?);
            }
            self.add(chunk);
        }
        Ok(())
    }

    fn add(&mut self, chunk: Chunk) {
        let chunks = Arc::make_mut(self.chunks.get_or_insert_default());
        if chunks.len() == chunks.capacity() {
            chunks.reserve_exact(1 + chunks.len() / 2);
        }
        chunks.push(chunk);
    }

    /// Turns all buffers into chunks without coding them.
    pub(crate) fn close_all(&mut self) -> Result<()> {
        self.close_exemplars();
        self.close_open(false)?;
        self.close_late(false)
    }

    /// Turns the buffers that hold something of a window into chunks.
    pub(crate) fn close_window(&mut self, end: i64) -> Result<()> {
        let holds = |b: &Option<Arc<Buffer>>| {
            let span = b.as_ref().and_then(|b| b.span());
            span.is_some_and(|(min, max)| window_end(min) <= end && end <= window_end(max))
        };
        if self
            .exemplars
            .as_ref()
            .is_some_and(|b| b.items.iter().any(|e| window_end(e.timestamp) == end))
        {
            self.close_exemplars();
        }
        if holds(&self.open) {
            self.close_open(false)?;
        }
        if holds(&self.late) {
            self.close_late(false)?;
        }
        Ok(())
    }

    /// Drops the chunks that `leaves` takes by their window and the index of
    /// their last entry.
    pub(crate) fn release(&mut self, files: &Files, leaves: impl Fn(i64, u64) -> bool) {
        let gone = |row: &Row| files.section(row).is_some_and(|s| leaves(s.window, s.index));
        if self.sealed.iter().any(gone) {
            self.sealed = self.sealed.iter().filter(|row| !gone(row)).copied().collect();
        }
        let gone = |c: &Chunk| leaves(c.window(), c.last_index);
        if self.unsealed().iter().any(gone) {
            let left: Vec<Chunk> = self.unsealed().iter().filter(|c| !gone(c)).cloned().collect();
            self.chunks = (!left.is_empty()).then(|| Arc::new(left));
        }
    }

    /// The first `taken` unsealed chunks and the sealed ones at `merged`
    /// (sorted) are now what `rows` tell of.
    pub(crate) fn place(&mut self, taken: usize, merged: &[u32], rows: &[Row]) {
        let kept = (0u32..).zip(self.sealed.iter());
        let kept = kept.filter(|(i, _)| merged.binary_search(i).is_err()).map(|(_, row)| row);
        self.sealed = kept.chain(rows).copied().collect();
        let left = self.unsealed().get(taken..).unwrap_or_default().to_vec();
        self.chunks = (!left.is_empty()).then(|| Arc::new(left));
    }

    /// The value at a time in the buffers.
    pub(crate) fn buffered(&self, time: i64) -> Option<Value> {
        let get = |b: &Option<Arc<Buffer>>| b.as_ref().and_then(|b| b.get(time));
        get(&self.open).or_else(|| get(&self.late))
    }

    /// The chunks that may hold a sample at a time.
    pub(crate) fn chunks_at<'a>(
        &'a self,
        files: &'a Files,
        time: i64,
    ) -> impl Iterator<Item = Chunk> + 'a {
        let at = move |c: &Chunk| c.kind != Kind::Exemplar && c.min <= time && time <= c.max;
        self.closed(files).filter(at)
    }

    /// Bytes of memory behind the series, its place in the index included.
    pub(crate) fn memory(&self) -> usize {
        let buffer = |b: &Option<Arc<Buffer>>| b.as_ref().map_or(0, |b| 16 + b.memory());
        let chunks = self.chunks.as_ref().map_or(0, |chunks| {
            let unused = (chunks.capacity() - chunks.len()) * size_of::<Chunk>();
            40 + unused + chunks.iter().map(Chunk::memory).sum::<usize>()
        });
        let sealed = if self.sealed.is_empty() { 0 } else { 16 + size_of_val(&*self.sealed) };
        // The pairs, and the place in the map of labels.
        let fixed = size_of::<Self>() + 16 + size_of_val(&*self.pairs) + 12;
        fixed
            + buffer(&self.open)
            + buffer(&self.late)
            + self.exemplars.as_ref().map_or(0, |b| 16 + b.memory())
            + chunks
            + sealed
    }
}
