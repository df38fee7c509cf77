//! Answers from a block through range reads.
//!
//! To a first cold answer it takes four reads one after the other: the footers
//! of the files involved at once, pages of `series.parquet`, pages of
//! `samples.parquet`, and shared timestamp vectors. Memory is bounded by a
//! batch; what a stream has handed out is the caller's.

mod column;
mod extras;
mod kept;
mod pages;
mod pool;
mod prune;
mod rows;
mod samples;
mod scan;
mod source;
mod verify;
mod vocabulary;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use futures::lock::Mutex;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use varve_model::{Exemplar, Labels, Matcher, Metadata, TimeRange, WINDOW_MS};

use self::kept::Kept;
pub use self::pool::LabelPool;
use self::rows::{Found, Wanted};
use self::samples::{Chunks, Vectors};
use self::scan::{scan, schema_of};
use self::source::Source;
pub use self::verify::verify;
use self::vocabulary::FirstOf;
use crate::meta::BLOCK_VERSION;
use crate::schema::{self, EXEMPLARS, LABELS, METADATA, SAMPLES, SERIES, TIMESTAMPS};
use crate::{BlockEntry, BlockError, BlockFiles, EncodedSeries, Estimate, Result};

/// Coded bytes of samples that a batch of `select` aims at.
const BATCH_BYTES: u64 = 4 << 20;
/// A block of more series than this is never kept decoded.
const MAX_KEPT_SERIES: u64 = 1 << 18;
/// Batches of `select` that are fetched at the same time.
const BATCHES_AHEAD: usize = 2;

/// The exemplars of one series, in order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesExemplars {
    /// The series.
    pub labels: Labels,
    /// Its exemplars.
    pub exemplars: Vec<Exemplar>,
}

/// Reads one block. Cheap to clone; footers are read once and shared.
#[derive(Clone)]
pub struct BlockReader {
    inner: Arc<Inner>,
}

struct Inner {
    entry: BlockEntry,
    files: Arc<dyn BlockFiles>,
    open: [Mutex<Option<Source>>; 6],
    /// Whether it was selected from before.
    selected: AtomicBool,
    kept: OnceLock<Arc<Kept>>,
    /// Held by who reads what is to be kept.
    keeping: Mutex<()>,
    pool: Arc<LabelPool>,
    /// Timestamp vectors that selects have read.
    vectors: Arc<Mutex<Vectors>>,
    /// Bytes of memory behind footers.
    memory: AtomicUsize,
}

impl BlockReader {
    /// A reader of the block that `entry` describes. Reads nothing yet.
    pub fn new(entry: BlockEntry, files: Arc<dyn BlockFiles>) -> Self {
        Self::sharing(Arc::default(), entry, files)
    }

    /// A reader that shares the label sets that it keeps with others.
    pub fn sharing(pool: Arc<LabelPool>, entry: BlockEntry, files: Arc<dyn BlockFiles>) -> Self {
        Self { inner: Arc::new(Inner::new(pool, entry, files)) }
    }

    /// What the catalog says about the block.
    pub fn entry(&self) -> &BlockEntry {
        &self.inner.entry
    }

    /// Bytes of memory that the reader keeps for further requests: footers,
    /// and the decoded tables of a block that is selected from repeatedly. The
    /// label sets of those are the pool's.
    pub fn memory(&self) -> usize {
        let kept = self.inner.kept.get().map_or(0, |kept| kept.memory());
        self.inner.memory.load(Ordering::Relaxed) + kept
    }

    /// The series that satisfy all matchers and have a chunk that overlaps
    /// `range`, with these chunks, in block order, in batches of bounded size.
    /// Ends with the first error.
    pub fn select(
        &self,
        matchers: Vec<Matcher>,
        range: TimeRange,
    ) -> BoxStream<'static, Result<Vec<EncodedSeries>>> {
        if !self.inner.entry.may_match(&matchers, &range) {
            return stream::empty().boxed();
        }
        let inner = Arc::clone(&self.inner);
        let open = async move {
            let (series, chunks) = futures::try_join!(inner.need(SERIES), inner.chunks())?;
            let entry = &inner.entry;
            let whole = range.start < entry.min_time && entry.max_time <= range.end;
            let filter = !whole && entry.max_time.saturating_sub(entry.min_time) > WINDOW_MS;
            let rows = chunks.rows_for(BATCH_BYTES);
            let kept = inner.kept(&series, &chunks.samples).await?;
            let found = match &kept {
                Some(kept) => {
                    let found = kept.series.find(matchers);
                    stream::once(std::future::ready(found)).boxed()
                }
                None => scan(series, matchers, Wanted::All),
            };
            let found =
                found.map_ok(move |found| stream::iter(split(found, rows)).map(Ok)).try_flatten();
            let read = move |found: Result<Vec<Found>>| {
                let (chunks, kept) = (chunks.clone(), kept.clone());
                async move {
                    match kept {
                        Some(kept) => chunks.read_kept(found?, &kept.samples, range).await,
                        None => chunks.read(found?, range, filter).await,
                    }
                }
            };
            Ok::<_, BlockError>(found.map(read).buffered(BATCHES_AHEAD))
        };
        let batches = stream::once(open).try_flatten();
        until_error(batches.try_filter(|batch| std::future::ready(!batch.is_empty())).boxed())
    }

    /// What `select` of the same would read: from the series that match, how
    /// many rows of samples they have, and what the average row is.
    pub async fn estimate(&self, matchers: Vec<Matcher>, range: TimeRange) -> Result<Estimate> {
        let (inner, entry) = (&self.inner, &self.inner.entry);
        let mut estimate = Estimate::default();
        if !entry.may_match(&matchers, &range) {
            return Ok(estimate);
        }
        let (series, samples) = futures::try_join!(inner.need(SERIES), inner.need(SAMPLES))?;
        let (mut found, mut rows) = (scan(series, matchers, Wanted::Place), 0_u64);
        while let Some(batch) = found.try_next().await? {
            estimate.series += batch.len() as u64;
            rows += batch.iter().map(|f| u64::try_from(f.rows).unwrap_or(0)).sum::<u64>();
        }
        let all = samples.metadata.metadata().file_metadata().num_rows().max(1) as f64;
        let of = |whole: u64| (whole as f64 * rows as f64 / all).round() as u64;
        let bytes = entry.files.get(SAMPLES).map_or(0, |file| file.size);
        estimate.add_spread((entry.min_time, entry.max_time), of(entry.samples), of(bytes), range);
        Ok(estimate)
    }

    /// The label sets that satisfy all matchers, in block order, at most
    /// `limit` of them (0 = no limit), in batches.
    pub fn series(
        &self,
        matchers: Vec<Matcher>,
        limit: usize,
    ) -> BoxStream<'static, Result<Vec<Labels>>> {
        if !self.inner.entry.matches_names(&matchers) {
            return stream::empty().boxed();
        }
        let inner = Arc::clone(&self.inner);
        let open = async move {
            let found = scan(inner.need(SERIES).await?, matchers, Wanted::Labels);
            let mut left = if limit == 0 { usize::MAX } else { limit };
            let labels = found.map_ok(move |found| {
                let labels: Vec<Labels> = found.into_iter().take(left).map(|f| f.labels).collect();
                left -= labels.len();
                (left, labels)
            });
            // The batch that fills the limit is the last one that is read.
            let mut full = false;
            let labels = labels.try_take_while(move |(left, _)| {
                let go_on = !full;
                full = *left == 0;
                std::future::ready(Ok(go_on))
            });
            Ok::<_, BlockError>(labels.map_ok(|(_, labels)| labels))
        };
        let batches = stream::once(open).try_flatten();
        until_error(batches.try_filter(|batch| std::future::ready(!batch.is_empty())).boxed())
    }

    /// Label names in use among the series that satisfy all matchers, sorted,
    /// the first `limit` of them (0 = no limit).
    pub async fn label_names(&self, matchers: Vec<Matcher>, limit: usize) -> Result<Vec<String>> {
        if matchers.is_empty() {
            return match self.inner.open(LABELS).await? {
                Some(source) => vocabulary::names(&source, limit).await,
                None => vocabulary::names_of_series(&self.inner.need(SERIES).await?, limit).await,
            };
        }
        let mut names = FirstOf::new(limit);
        let mut series = self.series(matchers, 0);
        while let Some(batch) = series.try_next().await? {
            for (name, _) in batch.iter().flatten() {
                names.add(name);
            }
        }
        Ok(names.into_vec())
    }

    /// Values of label `name` among the series that satisfy all matchers,
    /// sorted, the first `limit` of them (0 = no limit).
    pub async fn label_values(
        &self,
        name: &str,
        matchers: Vec<Matcher>,
        limit: usize,
    ) -> Result<Vec<String>> {
        if matchers.is_empty() {
            return match self.inner.open(LABELS).await? {
                Some(source) => vocabulary::values(&source, name, limit).await,
                None => {
                    let source = self.inner.need(SERIES).await?;
                    vocabulary::values_of_series(&source, name, limit).await
                }
            };
        }
        let mut values = FirstOf::new(limit);
        if !self.inner.entry.matches_names(&matchers) {
            return Ok(values.into_vec());
        }
        let source = self.inner.need(SERIES).await?;
        let mut found = scan(source, matchers, Wanted::Only(name.to_owned()));
        while let Some(batch) = found.try_next().await? {
            for labels in batch.iter().map(|f| &f.labels).filter(|l| !l.is_empty()) {
                values.add(labels.get(name));
            }
        }
        Ok(values.into_vec())
    }

    /// Exemplars in `range` of the series that satisfy all matchers of one of
    /// the `selectors`, in block order.
    pub async fn exemplars(
        &self,
        selectors: Vec<Vec<Matcher>>,
        range: TimeRange,
    ) -> Result<Vec<SeriesExemplars>> {
        let Some(source) = self.inner.open(EXEMPLARS).await? else {
            return Ok(Vec::new());
        };
        let mut series: HashMap<i64, Labels> = HashMap::new();
        for matchers in selectors {
            if !self.inner.entry.matches_names(&matchers) {
                continue;
            }
            let mut found = scan(self.inner.need(SERIES).await?, matchers, Wanted::All);
            while let Some(batch) = found.try_next().await? {
                series.extend(batch.into_iter().map(|f| (f.series, f.labels)));
            }
        }
        let mut found: Vec<(i64, Vec<Exemplar>)> =
            extras::exemplars(&source, &series, range).await?.into_iter().collect();
        found.sort_by_key(|(series, _)| *series);
        let of = |(row, exemplars)| {
            Some(SeriesExemplars { labels: series.get(&row)?.clone(), exemplars })
        };
        Ok(found.into_iter().filter_map(of).collect())
    }

    /// Metadata by metric family, sorted.
    pub async fn metadata(&self) -> Result<Vec<(String, Metadata)>> {
        match self.inner.open(METADATA).await? {
            Some(source) => extras::metadata(&source).await,
            None => Ok(Vec::new()),
        }
    }
}

impl Inner {
    fn new(pool: Arc<LabelPool>, entry: BlockEntry, files: Arc<dyn BlockFiles>) -> Self {
        Self {
            entry,
            files,
            open: Default::default(),
            selected: AtomicBool::new(false),
            kept: OnceLock::new(),
            keeping: Mutex::default(),
            pool,
            vectors: Arc::default(),
            memory: AtomicUsize::new(0),
        }
    }

    /// What is kept decoded: read by the second select, unless there is too much.
    async fn kept(&self, series: &Source, samples: &Source) -> Result<Option<Arc<Kept>>> {
        let again = self.selected.swap(true, Ordering::Relaxed);
        if !again || self.entry.series > MAX_KEPT_SERIES {
            return Ok(None);
        }
        if let Some(kept) = self.kept.get() {
            return Ok(Some(Arc::clone(kept)));
        }
        let _keeping = self.keeping.lock().await;
        if let Some(kept) = self.kept.get() {
            return Ok(Some(Arc::clone(kept)));
        }
        let read = Arc::new(Kept::read(series, samples, Arc::clone(&self.pool)).await?);
        Ok(Some(Arc::clone(self.kept.get_or_init(|| read))))
    }

    /// Opens a file, once; `None` when the block does not have it.
    async fn open(&self, name: &'static str) -> Result<Option<Source>> {
        if self.entry.version > BLOCK_VERSION {
            let (found, supported) = (self.entry.version, BLOCK_VERSION);
            return Err(BlockError::Version { found, supported });
        }
        let Some(entry) = self.entry.files.get(name) else {
            return Ok(None);
        };
        let slot = [SERIES, LABELS, SAMPLES, TIMESTAMPS, EXEMPLARS, METADATA]
            .iter()
            .position(|n| *n == name)
            .and_then(|i| self.open.get(i));
        let Some(slot) = slot else {
            return Ok(None);
        };
        let mut slot = slot.lock().await;
        if let Some(source) = &*slot {
            return Ok(Some(source.clone()));
        }
        let source = Source::open(Arc::clone(&self.files), name, entry, |metadata| match name {
            SERIES => schema_of(metadata),
            LABELS => Ok(schema::labels()),
            SAMPLES => Ok(schema::samples()),
            TIMESTAMPS => Ok(schema::timestamps()),
            EXEMPLARS => Ok(schema::exemplars()),
            _ => Ok(schema::metadata()),
        });
        let source = source.await?;
        self.memory.fetch_add(source.metadata.metadata().memory_size(), Ordering::Relaxed);
        *slot = Some(source.clone());
        Ok(Some(source))
    }

    async fn need(&self, name: &'static str) -> Result<Source> {
        let missing = || BlockError::corrupt(name, "the block does not name it");
        self.open(name).await?.ok_or_else(missing)
    }

    async fn chunks(&self) -> Result<Chunks> {
        let (samples, timestamps) = futures::try_join!(self.need(SAMPLES), self.open(TIMESTAMPS))?;
        let (term, index) = (self.entry.term, self.entry.index);
        Ok(Chunks { samples, timestamps, vectors: Arc::clone(&self.vectors), term, index })
    }
}

/// Splits series so that each part has about `rows` rows of samples.
fn split(found: Vec<Found>, rows: u64) -> Vec<Vec<Found>> {
    let mut out: Vec<Vec<Found>> = Vec::new();
    let mut room = 0;
    for f in found {
        let needed = u64::try_from(f.rows).unwrap_or(0);
        match out.last_mut() {
            Some(part) if needed <= room => part.push(f),
            _ => {
                room = rows;
                out.push(vec![f]);
            }
        }
        room = room.saturating_sub(needed);
    }
    out
}

/// The same stream, but nothing follows an error.
fn until_error<T: Send + 'static>(
    stream: BoxStream<'static, Result<T>>,
) -> BoxStream<'static, Result<T>> {
    stream::try_unfold(stream, |mut stream| async move {
        Ok(stream.try_next().await?.map(|item| (item, stream)))
    })
    .boxed()
}
