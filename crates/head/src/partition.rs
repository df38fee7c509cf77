//! The head of one ingest partition.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use varve_log::{Disk, PartitionLog};
use varve_model::{Labels, Matcher, TenantId, TimeRange};
use varve_runtime::Clock;

use crate::{
    AppendLimits, AppendOutcome, Cut, CutKey, CutRead, FamilyMetadata, HeadAnswer, HeadConfig,
    HeadError, HeadRead, Metrics, Result, SeriesExemplars,
};

/// What a partition holds at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartitionStats {
    /// Index of the last applied entry.
    pub applied: u64,
    /// Index of the last entry that the last seal made needless.
    pub sealed: u64,
    /// Highest time of any sample, in milliseconds; `None` when there is none.
    pub max_time: Option<i64>,
    /// Bytes of memory behind all tenants, about.
    pub memory: u64,
    /// By tenant.
    pub tenants: BTreeMap<TenantId, TenantStats>,
}

/// What a partition holds of one tenant at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TenantStats {
    /// Series.
    pub series: u64,
    /// Highest time of any sample, in milliseconds.
    pub max_time: Option<i64>,
    /// Bytes of memory, about.
    pub memory: u64,
    /// See [`HeadRead::released_at`].
    pub released_at: u64,
}

/// The head of one ingest partition.
pub struct Partition {}

impl Partition {
    /// Opens the partition in `dir`: loads the last seal and replays the log
    /// behind it. Returns when all of it is applied.
    pub async fn open(
        _dir: PathBuf,
        _disk: Arc<dyn Disk>,
        _log: Arc<dyn PartitionLog>,
        _config: HeadConfig,
        _clock: Arc<dyn Clock>,
        _metrics: Metrics,
    ) -> Result<Arc<Self>> {
        Err(stopped())
    }

    /// Appends an encoded [`varve_wire::batch::WriteBatch`]. What was accepted
    /// is durable and in the answer of every later read when this returns.
    pub async fn append(&self, _batch: Bytes, _limits: AppendLimits) -> Result<AppendOutcome> {
        Err(stopped())
    }

    /// The series that match, with chunks that may reach beyond the range.
    pub fn select(&self, _: &TenantId, _: &[Matcher], _: TimeRange) -> HeadRead {
        HeadRead { released_at: 0 }
    }

    /// Label sets that match and have samples in the range, sorted; at most
    /// `limit` (0 = all).
    pub fn series(
        &self,
        _: &TenantId,
        _: &[Matcher],
        _: TimeRange,
        _limit: usize,
    ) -> HeadAnswer<Labels> {
        HeadAnswer::default()
    }

    /// Label names of the series that match, sorted; at most `limit` (0 = all).
    pub fn label_names(
        &self,
        _: &TenantId,
        _: &[Matcher],
        _: TimeRange,
        _limit: usize,
    ) -> HeadAnswer<String> {
        HeadAnswer::default()
    }

    /// Values of one label of the series that match, sorted.
    pub fn label_values(
        &self,
        _: &TenantId,
        _name: &str,
        _: &[Matcher],
        _: TimeRange,
        _limit: usize,
    ) -> HeadAnswer<String> {
        HeadAnswer::default()
    }

    /// Exemplars in the range of series that match one of the selectors.
    pub fn exemplars(
        &self,
        _: &TenantId,
        _selectors: &[Vec<Matcher>],
        _: TimeRange,
    ) -> Result<HeadAnswer<SeriesExemplars>> {
        Err(stopped())
    }

    /// Metadata, sorted by family; of one family only when `metric` names one.
    pub fn metadata(
        &self,
        _: &TenantId,
        _metric: Option<&str>,
        _limit: usize,
    ) -> HeadAnswer<FamilyMetadata> {
        HeadAnswer::default()
    }

    /// Writes everything in memory to files and purges the log behind it.
    pub async fn seal(&self) -> Result<()> {
        Err(stopped())
    }

    /// Windows that should be cut at `now_ms`, oldest first.
    pub fn due(&self, _now_ms: i64) -> Vec<CutKey> {
        Vec::new()
    }

    /// Windows that hold samples which are in no cut, oldest first.
    pub fn uncut(&self) -> Vec<CutKey> {
        Vec::new()
    }

    /// Cuts a window: what is in it now becomes one cut. `None` when it holds
    /// no uncut samples, or (unless `force`) was cut too short a time ago.
    pub async fn cut(&self, _window_end: i64, _force: bool) -> Result<Option<Cut>> {
        Err(stopped())
    }

    /// Tenants that have samples or exemplars in a cut, sorted.
    pub fn cut_tenants(&self, _cut: &Cut) -> Vec<TenantId> {
        Vec::new()
    }

    /// A tenant's series of a cut, in block order. Always the same content for
    /// the same cut.
    pub fn cut_series(&self, _cut: &Cut, _tenant: &TenantId) -> Result<CutRead> {
        Err(stopped())
    }

    /// Cuts that have not shipped, oldest first.
    pub fn unfinished_cuts(&self) -> Vec<Cut> {
        Vec::new()
    }

    /// Records that the blocks of a cut are committed: by tenant, the catalog
    /// version that names its block. Durable when it returns.
    pub async fn shipped(&self, _cut: &Cut, _versions: BTreeMap<TenantId, u64>) -> Result<()> {
        Err(stopped())
    }

    /// What the partition holds.
    pub fn stats(&self) -> PartitionStats {
        PartitionStats::default()
    }

    /// Resolves with the first failure when the partition can no longer apply
    /// its log (the process should exit and recover).
    pub async fn failed(&self) -> HeadError {
        stopped()
    }
}

fn stopped() -> HeadError {
    HeadError::Stopped { partition: 0, reason: "not opened".to_owned() }
}
