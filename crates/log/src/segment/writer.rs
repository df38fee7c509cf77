//! The thread that writes: drain the queue, one write, one sync, answer all.
//!
//! Only this thread touches segment files once the log is open. It owns which
//! segment is being written, which hold needed entries and which are free.

use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::format::{
    BATCH_HEADER, BatchHeader, FIRST_BATCH, KIND_PURGE, KIND_STATE, RECORD_ALIGN, RECORD_HEADER,
    RecordHeader, SegmentHeader, StateRow, record_len,
};
use super::index::{Place, Segment};
use super::recover::{Free, Live, Recovered, file_name};
use super::{PartitionState, Queue, Shared};
use crate::{Entry, EntryKind, LogError, Metrics, Position, is_full};

/// Term of a log without replicas.
const TERM: u64 = 1;
/// The last part of a segment (1/64) is kept for purges and for entries other
/// than samples, so that a full disk can still be relieved.
const RESERVE_SHARE: u64 = 64;

/// What a view asks of the writer.
pub(crate) struct Request {
    pub(super) state: Arc<PartitionState>,
    pub(super) operation: Operation,
    pub(super) done: oneshot::Sender<Result<Position, LogError>>,
    /// Room in the queue, given back with the answer.
    pub(super) permit: OwnedSemaphorePermit,
}

pub(crate) enum Operation {
    Append { kind: EntryKind, payload: Bytes },
    Purge { index: u64 },
}

impl Operation {
    /// Payload bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Append { payload, .. } => payload.len() + RECORD_HEADER,
            Self::Purge { .. } => RECORD_HEADER,
        }
    }

    fn payload(&self) -> &[u8] {
        match self {
            Self::Append { payload, .. } => payload,
            Self::Purge { .. } => &[],
        }
    }
}

impl Request {
    /// Tells the view; a view that no longer waits is no error.
    pub(super) fn answer(self, result: Result<Position, LogError>, metrics: &Metrics) {
        metrics.queue_bytes.sub(i64::try_from(self.operation.bytes()).unwrap_or(i64::MAX));
        drop(self.permit);
        let _ = self.done.send(result);
    }
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    active: Option<Active>,
    live: VecDeque<Live>,
    free: Vec<Free>,
    /// The newest generation and where its batches end.
    newest: (u64, u64),
    next_file: u64,
}

/// The segment being written.
struct Active {
    live: Live,
    /// Where the next batch goes. All below is synced.
    tail: u64,
    /// Whether a mark says so.
    marked: bool,
}

/// One record of the batch being built.
struct Record {
    header: [u8; RECORD_HEADER],
    position: Position,
    /// Offset of the header in the file.
    at: u64,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, recovered: Recovered) -> Self {
        let Recovered { live, free, newest, next_file, .. } = recovered;
        let mut writer = Self { shared, active: None, live, free, newest, next_file };
        writer.release_segments();
        writer
    }

    pub(super) fn run(mut self) {
        while let Some(requests) = self.next_requests() {
            if !self.write_or_close(requests) {
                return;
            }
        }
        let reason = match self.mark().and_then(|()| self.sync_active()) {
            Ok(()) => "it was shut down".into(),
            Err(error) => error.to_string().into(),
        };
        self.shared.close(LogError::Closed { reason }, false);
    }

    /// Writes what is queued, once. `false` when the log has failed.
    pub(super) fn step(&mut self) -> bool {
        let requests = self.take(&mut self.shared.queue.lock());
        if requests.is_empty() {
            return true;
        }
        let good = self.write_or_close(requests);
        if good && self.shared.queue.lock().requests.is_empty() {
            self.mark_idle();
        }
        good
    }

    fn write_or_close(&mut self, requests: VecDeque<Request>) -> bool {
        let result = self.write_all(requests);
        if let Err(error) = result {
            tracing::error!(%error, "log failed, nothing is acknowledged from here on");
            self.shared.close(error, true);
            return false;
        }
        true
    }

    fn mark_idle(&mut self) {
        if let Err(error) = self.mark() {
            tracing::warn!(%error, "cannot mark the end of the log");
        }
    }

    /// What to write next; waits until there is something. `None` to stop.
    fn next_requests(&mut self) -> Option<VecDeque<Request>> {
        let shared = Arc::clone(&self.shared);
        let mut queue = shared.queue.lock();
        if queue.requests.is_empty() && !queue.stop {
            drop(queue);
            self.mark_idle();
            queue = shared.queue.lock();
        }
        while queue.requests.is_empty() {
            if queue.stop {
                return None;
            }
            shared.queued.wait(&mut queue);
        }
        Some(self.take(&mut queue))
    }

    /// As many requests as share a write.
    fn take(&self, queue: &mut Queue) -> VecDeque<Request> {
        let mut bytes = 0;
        let mut count = 0;
        for request in &queue.requests {
            bytes += request.operation.bytes();
            if count > 0 && bytes > self.shared.config.batch_bytes {
                break;
            }
            count += 1;
        }
        queue.requests.drain(..count).collect()
    }

    /// Writes the requests in one batch, or in as many as segments demand.
    ///
    /// Errors: fatal ones only; those who wait have been answered.
    fn write_all(&mut self, mut requests: VecDeque<Request>) -> Result<(), LogError> {
        let mut full = None;
        while !requests.is_empty() {
            let count = self.fitting(&requests);
            if count > 0 {
                let batch: Vec<Request> = requests.drain(..count).collect();
                if let Err(error) = self.write_batch(batch) {
                    return Err(self.fail(requests, error));
                }
                continue;
            }
            let fresh = self.active.as_ref().is_some_and(|active| active.tail == FIRST_BATCH);
            let refusal = if fresh {
                let size = requests.front().map_or(0, |request| request.operation.bytes());
                let limit = usize::try_from(self.shared.config.segment_bytes / 2);
                Some(LogError::TooLarge { size, limit: limit.unwrap_or(usize::MAX) })
            } else if full.is_some() {
                full.clone()
            } else {
                match self.rotate() {
                    Ok(()) => None,
                    Err(error @ LogError::Full { .. }) => {
                        full = Some(error.clone());
                        Some(error)
                    }
                    Err(error) => return Err(self.fail(requests, error)),
                }
            };
            if let Some(error) = refusal
                && let Some(request) = requests.pop_front()
            {
                self.shared.config.metrics.refused_full.inc();
                request.answer(Err(error), &self.shared.config.metrics);
            }
        }
        Ok(())
    }

    /// Answers everybody with what has closed the log.
    fn fail(&self, requests: impl IntoIterator<Item = Request>, error: LogError) -> LogError {
        let closed = match error {
            closed @ LogError::Closed { .. } => closed,
            error => LogError::Closed { reason: error.to_string().into() },
        };
        for request in requests {
            request.answer(Err(closed.clone()), &self.shared.config.metrics);
        }
        closed
    }

    /// How many of the requests fit into the segment being written.
    fn fitting(&self, requests: &VecDeque<Request>) -> usize {
        let Some(active) = &self.active else { return 0 };
        let segment = self.shared.config.segment_bytes;
        let mut end = active.tail + BATCH_HEADER as u64;
        if active.tail == FIRST_BATCH {
            let rows = self.shared.partitions.read().len();
            end += record_len(rows * super::format::STATE_ROW) as u64;
        }
        let fits = |request: &&Request| {
            end += record_len(request.operation.payload().len()) as u64;
            let samples =
                matches!(request.operation, Operation::Append { kind: EntryKind::Batch, .. });
            end <= if samples { segment - segment / RESERVE_SHARE } else { segment }
        };
        requests.iter().take_while(fits).count()
    }

    /// Writes and syncs one batch and answers its requests.
    ///
    /// Errors: fatal ones; its requests have been answered.
    fn write_batch(&mut self, batch: Vec<Request>) -> Result<(), LogError> {
        let Some(active) = &self.active else { return Ok(()) };
        let (tail, generation) = (active.tail, active.live.segment.generation);
        let state = (tail == FIRST_BATCH).then(|| self.state_payload());
        let (records, header) = build(generation, tail, state.as_deref(), &batch);
        let mut parts = Vec::with_capacity(3 * records.len() + 4);
        parts.push(IoSlice::new(&header.bytes));
        if let Some(state) = &state {
            push_record(&mut parts, &header.state, state);
        }
        for (record, request) in records.iter().zip(&batch) {
            push_record(&mut parts, &record.header, request.operation.payload());
        }
        let segment = Arc::clone(&active.live.segment);
        if let Err(error) = segment.file.write_at(tail, &parts) {
            let full = is_full(&error);
            let error = if full {
                LogError::Full { path: segment.path.clone(), doing: "write a batch" }
            } else {
                self.fail([], LogError::io("write", &segment.path, error))
            };
            for request in batch {
                request.answer(Err(error.clone()), &self.shared.config.metrics);
            }
            return if full { Ok(()) } else { Err(error) };
        }
        if let Err(error) = self.sync_active() {
            return Err(self.fail(batch, error));
        }
        let metrics = &self.shared.config.metrics;
        metrics.bytes.inc_by(header.end - tail);
        metrics.entries.inc_by(batch.len() as u64);
        metrics.entries_per_sync.observe(batch.len() as f64);
        self.complete(header.end, records, batch);
        Ok(())
    }

    /// Makes a synced batch known, then answers.
    fn complete(&mut self, end: u64, records: Vec<Record>, batch: Vec<Request>) {
        let Some(active) = &mut self.active else { return };
        active.tail = end;
        active.marked = false;
        self.newest.1 = end;
        let mut purged = false;
        let mut touched: BTreeMap<u32, (Arc<PartitionState>, u64)> = BTreeMap::new();
        for (record, request) in records.iter().zip(&batch) {
            let state = &request.state;
            let mut index = state.index.lock();
            match &request.operation {
                Operation::Append { kind, payload } => {
                    let Position { term, index: number } = record.position;
                    let entry = Entry {
                        partition: state.id,
                        term,
                        index: number,
                        kind: *kind,
                        payload: payload.clone(),
                    };
                    let place = Place {
                        segment: Arc::clone(&active.live.segment),
                        at: u32::try_from(record.at).unwrap_or(u32::MAX),
                        len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
                    };
                    index.push(entry, place, self.shared.config.tail_bytes);
                    active.live.holds.insert(state.id, number);
                    touched.insert(state.id, (Arc::clone(state), number));
                }
                Operation::Purge { .. } => {
                    index.purge(record.position.index);
                    purged = true;
                }
            }
        }
        for (state, last) in touched.into_values() {
            state.durable.send_replace(last);
        }
        if purged {
            self.release_segments();
        }
        for (record, request) in records.into_iter().zip(batch) {
            request.answer(Ok(record.position), &self.shared.config.metrics);
        }
    }

    fn state_payload(&self) -> Vec<u8> {
        let partitions = self.shared.partitions.read();
        let mut payload = Vec::with_capacity(partitions.len() * super::format::STATE_ROW);
        for state in partitions.values() {
            let index = state.index.lock();
            let row = StateRow {
                partition: state.id,
                term: index.term,
                last: index.last,
                purged: index.purged,
            };
            row.encode(&mut payload);
        }
        payload
    }

    /// Goes on in a free segment, or in a new one.
    ///
    /// Errors: `Full` leaves everything as it was; others are fatal.
    fn rotate(&mut self) -> Result<(), LogError> {
        let (Free { path, file }, is_new) = match self.free.pop() {
            Some(free) => (free, false),
            None => (self.create()?, true),
        };
        let (previous, previous_end) = self.newest;
        let generation = previous + 1;
        let header = SegmentHeader { generation, previous, previous_end };
        if let Err(error) = file.write_at(0, &[IoSlice::new(&header.encode())]) {
            if !is_full(&error) {
                return Err(LogError::io("start", &path, error));
            }
            self.free.push(Free { path, file });
            return Err(LogError::Full { path: self.shared.dir.clone(), doing: "start a segment" });
        }
        let written = file.sync_data().and_then(|()| {
            if is_new { self.shared.disk.sync_dir(&self.shared.dir) } else { Ok(()) }
        });
        written.map_err(|e| LogError::io("start", &path, e))?;
        let segment = Arc::new(Segment { generation, path, file });
        let live = Live { segment, holds: BTreeMap::new() };
        let next = Active { live, tail: FIRST_BATCH, marked: true };
        if let Some(done) = self.active.replace(next) {
            self.live.push_back(done.live);
        }
        self.newest = (generation, FIRST_BATCH);
        self.count_segments();
        Ok(())
    }

    fn create(&mut self) -> Result<Free, LogError> {
        let shared = &self.shared;
        let path = shared.dir.join(file_name(self.next_file));
        let failed = |doing, error: std::io::Error| {
            if is_full(&error) {
                LogError::Full { path: shared.dir.clone(), doing: "reserve a segment" }
            } else {
                LogError::io(doing, &path, error)
            }
        };
        let file = shared.disk.create(&path).map_err(|e| failed("create", e))?;
        if let Err(error) = file.preallocate(shared.config.segment_bytes) {
            if let Err(error) = shared.disk.remove(&path) {
                tracing::warn!(%error, path = %path.display(), "cannot remove half a segment");
                self.next_file += 1;
            }
            return Err(failed("reserve room for", error));
        }
        self.next_file += 1;
        Ok(Free { path, file })
    }

    /// Frees the segments whose entries are all purged. The one being written
    /// holds the newest state and stays.
    fn release_segments(&mut self) {
        // The newest segment holds the state only once it has a batch; until
        // then the state stands in the one before it.
        if self.newest.1 <= FIRST_BATCH {
            return;
        }
        let partitions = self.shared.partitions.read();
        let needed = |live: &Live| {
            live.holds.iter().any(|(partition, last)| {
                partitions.get(partition).is_none_or(|state| state.index.lock().purged < *last)
            })
        };
        let newest = self.newest.0;
        let mut freed = Vec::new();
        for live in std::mem::take(&mut self.live) {
            if live.segment.generation == newest || needed(&live) {
                self.live.push_back(live);
            } else {
                freed.push(live.segment);
            }
        }
        drop(partitions);
        for segment in freed {
            if self.free.len() < self.shared.config.spare_segments {
                let (path, file) = (segment.path.clone(), Arc::clone(&segment.file));
                self.free.push(Free { path, file });
            } else if let Err(error) = self.shared.disk.remove(&segment.path) {
                tracing::warn!(%error, path = %segment.path.display(), "cannot remove a segment");
            }
        }
        self.count_segments();
    }

    fn count_segments(&self) {
        let metrics = &self.shared.config.metrics;
        let live = self.live.len() + usize::from(self.active.is_some());
        metrics.segments.set(i64::try_from(live).unwrap_or(i64::MAX));
        metrics.free_segments.set(i64::try_from(self.free.len()).unwrap_or(i64::MAX));
    }

    /// Writes an empty batch that says that all before it is synced. The next
    /// batch overwrites it; until then, damage to the last batch is told from
    /// a torn tail.
    fn mark(&mut self) -> Result<(), LogError> {
        let Some(active) = self.active.as_mut().filter(|active| !active.marked) else {
            return Ok(());
        };
        let (offset, segment) = (active.tail, &active.live.segment);
        if offset + BATCH_HEADER as u64 > self.shared.config.segment_bytes {
            return Ok(());
        }
        let generation = segment.generation;
        let mark = BatchHeader { generation, offset, synced: offset, body: 0, records: 0 };
        let written = segment.file.write_at(offset, &[IoSlice::new(&mark.encode())]);
        active.marked = true;
        written.map_err(|e| LogError::io("write", &segment.path, e))
    }

    fn sync_active(&self) -> Result<(), LogError> {
        let Some(active) = &self.active else { return Ok(()) };
        let metrics = &self.shared.config.metrics;
        let start = Instant::now();
        let segment = &active.live.segment;
        varve_runtime::failpoint!("log.sync");
        segment.file.sync_data().map_err(|e| LogError::io("sync", &segment.path, e))?;
        metrics.sync_seconds.observe(start.elapsed().as_secs_f64());
        metrics.syncs.inc();
        Ok(())
    }
}

/// The encoded headers that a batch starts with.
struct BatchStart {
    bytes: [u8; BATCH_HEADER],
    state: [u8; RECORD_HEADER],
    end: u64,
}

/// Gives each request its position and its header.
fn build(
    generation: u64,
    offset: u64,
    state: Option<&[u8]>,
    batch: &[Request],
) -> (Vec<Record>, BatchStart) {
    let mut lasts: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    let mut at = offset + BATCH_HEADER as u64;
    let mut state_header = [0; RECORD_HEADER];
    if let Some(payload) = state {
        state_header = RecordHeader::new(generation, (0, KIND_STATE, 0, 0), payload).encode();
        at += record_len(payload.len()) as u64;
    }
    let mut records = Vec::with_capacity(batch.len());
    for request in batch {
        let id = request.state.id;
        let (last, purged) = lasts.entry(id).or_insert_with(|| {
            let index = request.state.index.lock();
            (index.last, index.purged)
        });
        let (kind, index) = match &request.operation {
            Operation::Append { kind, .. } => {
                *last = last.saturating_add(1);
                (*kind as u8, *last)
            }
            Operation::Purge { index } => {
                *purged = (*index).min(*last).max(*purged);
                (KIND_PURGE, *purged)
            }
        };
        let payload = request.operation.payload();
        let header = RecordHeader::new(generation, (id, kind, TERM, index), payload).encode();
        records.push(Record { header, position: Position { term: TERM, index }, at });
        at += record_len(payload.len()) as u64;
    }
    let body = u32::try_from(at - offset - BATCH_HEADER as u64)
        .expect("a batch fits into its segment, which is below 4 GiB");
    let count = u32::try_from(records.len() + usize::from(state.is_some()))
        .expect("each record takes at least 32 bytes of a segment below 4 GiB");
    let header = BatchHeader { generation, offset, synced: offset, body, records: count };
    let start = BatchStart { bytes: header.encode(), state: state_header, end: header.end() };
    (records, start)
}

/// Appends a record's header, payload and padding.
fn push_record<'a>(parts: &mut Vec<IoSlice<'a>>, header: &'a [u8], payload: &'a [u8]) {
    static PADDING: [u8; RECORD_ALIGN] = [0; RECORD_ALIGN];
    parts.push(IoSlice::new(header));
    let padding = record_len(payload.len()) - RECORD_HEADER - payload.len();
    if !payload.is_empty() {
        parts.push(IoSlice::new(payload));
    }
    if padding > 0 {
        parts.push(IoSlice::new(&PADDING[..padding]));
    }
}
