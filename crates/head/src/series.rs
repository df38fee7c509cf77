//! One series in memory: two open buffers and closed chunks.
//!
//! Samples newer than all before go to `open`, which lies in one window;
//! others to `late`, which may span several. Both turn into chunks when full,
//! at a window's border, at a cut and at a seal.

use std::sync::Arc;

use varve_model::{Exemplar, Labels, window_end};

use crate::Result;
use crate::buffer::{Buffer, Value};
use crate::chunk::{Chunk, Data, Kind};
use crate::exemplars::{ExemplarBuffer, same};

/// A buffer is closed and coded when it holds this many samples.
const CHUNK_SAMPLES: usize = 120;

/// One series.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) reference: u64,
    pub(crate) labels: Labels,
    /// Time of its newest sample; `i64::MIN` when it never had one.
    pub(crate) newest: i64,
    pub(crate) open: Option<Arc<Buffer>>,
    pub(crate) late: Option<Arc<Buffer>>,
    pub(crate) exemplars: Option<Arc<ExemplarBuffer>>,
    /// Shared with readers, so that a snapshot of many series is quick.
    pub(crate) chunks: Arc<Vec<Chunk>>,
    /// Whether a seal that is durable names it.
    pub(crate) sealed: bool,
    /// Bytes of its labels and of its places in the index.
    fixed: usize,
    /// Bytes that its tenant's account holds for it.
    pub(crate) charged: usize,
}

impl Series {
    pub(crate) fn new(reference: u64, labels: Labels) -> Self {
        // References in postings, and the two maps that name the series.
        let fixed = labels.memory() + 8 * labels.len() + 96;
        Self {
            reference,
            labels,
            fixed,
            newest: i64::MIN,
            open: None,
            late: None,
            exemplars: None,
            chunks: Arc::default(),
            sealed: false,
            charged: 0,
        }
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_none()
            && self.late.is_none()
            && self.exemplars.is_none()
            && self.chunks.is_empty()
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
            Arc::make_mut(&mut self.chunks).extend(Chunk::close_exemplars(&buffer));
        }
    }

    fn close(&mut self, buffer: &Arc<Buffer>, code: bool) -> Result<()> {
        for mut chunk in Chunk::close(buffer) {
            if code {
                chunk.data = Data::Coded(chunk.code(&self.labels)?);
            }
            Arc::make_mut(&mut self.chunks).push(chunk);
        }
        Ok(())
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

    /// The value at a time in the buffers.
    pub(crate) fn buffered(&self, time: i64) -> Option<Value> {
        let get = |b: &Option<Arc<Buffer>>| b.as_ref().and_then(|b| b.get(time));
        get(&self.open).or_else(|| get(&self.late))
    }

    /// Positions of the chunks that may hold a sample at a time.
    pub(crate) fn chunks_at(&self, time: i64) -> impl Iterator<Item = usize> {
        let at = move |c: &Chunk| c.kind != Kind::Exemplar && c.min <= time && time <= c.max;
        self.chunks.iter().enumerate().filter(move |(_, c)| at(c)).map(|(i, _)| i)
    }

    /// Bytes of memory behind the series, its place in the index included.
    pub(crate) fn memory(&self) -> usize {
        let buffer = |b: &Option<Arc<Buffer>>| b.as_ref().map_or(0, |b| b.memory());
        let chunks: usize = self.chunks.iter().map(Chunk::memory).sum();
        let unused = (self.chunks.capacity() - self.chunks.len()) * size_of::<Chunk>();
        size_of::<Self>()
            + self.fixed
            + buffer(&self.open)
            + buffer(&self.late)
            + self.exemplars.as_ref().map_or(0, |b| b.memory())
            + chunks
            + unused
    }
}
