//! A partition on a disk that can crash, and short ways to feed and read it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use varve_block::EncodedSeries;
use varve_log::{Crash, Disk, SegmentLog, SegmentLogConfig, SimDisk};
use varve_model::{
    Counts, Exemplar, Histogram, Labels, Matcher, ResetHint, Span, TenantId, TimeRange, stale_nan,
};
use varve_runtime::ManualClock;
use varve_wire::batch::{BatchSeries, SeriesId, WriteBatch};

use super::faulty::{Fault, Faulty};
use crate::buffer::Value;
use crate::{AppendLimits, AppendOutcome, HeadConfig, Metrics, Partition, Result};

/// An aligned window's start long after 1970.
pub(super) const T0: i64 = 1_700_006_400_000;
pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;

/// A partition and what it stands on.
pub(super) struct Bench {
    pub(super) disk: SimDisk,
    pub(super) fault: Fault,
    pub(super) clock: Arc<ManualClock>,
    pub(super) partition: Arc<Partition>,
}

pub(super) fn dir() -> PathBuf {
    PathBuf::from("/data/head")
}

pub(super) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

pub(super) async fn open(
    disk: Arc<dyn Disk>,
    root: &str,
    clock: Arc<ManualClock>,
) -> Result<Arc<Partition>> {
    let config = SegmentLogConfig { segment_bytes: 256 << 10, ..SegmentLogConfig::default() };
    let log = SegmentLog::open(Arc::clone(&disk), &PathBuf::from(root).join("log"), config)?;
    let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
    let dir = PathBuf::from(root).join("head");
    Partition::open(dir, disk, log.partition(0), HeadConfig::default(), clock, metrics).await
}

impl Bench {
    pub(super) async fn new(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        Self::start(disk, Arc::new(ManualClock::new(T0))).await
    }

    async fn start(disk: SimDisk, clock: Arc<ManualClock>) -> Self {
        let fault = Fault::default();
        let faulty = Faulty { disk: disk.clone(), fault: fault.clone() };
        let partition = open(Arc::new(faulty), "/data", Arc::clone(&clock)).await.unwrap();
        Self { disk, fault, clock, partition }
    }

    /// Opens anew what a crash left.
    pub(super) async fn crash(self, crash: Crash) -> Self {
        self.disk.crash(crash);
        self.reboot().await
    }

    /// Opens anew after the disk has crashed.
    pub(super) async fn reboot(self) -> Self {
        let Self { disk, clock, partition, .. } = self;
        drop(partition);
        Self::start(disk.reboot(), clock).await
    }

    pub(super) async fn append(&self, batch: WriteBatch) -> AppendOutcome {
        self.append_with(batch, 2 * HOUR).await
    }

    pub(super) async fn append_with(&self, batch: WriteBatch, out_of_order: i64) -> AppendOutcome {
        let limits = AppendLimits { max_series: 0, out_of_order_window_ms: out_of_order };
        self.partition.append(batch.encode(), limits).await.unwrap()
    }

    /// All samples of a tenant by series and time, with start timestamps.
    pub(super) fn all(&self, id: &TenantId) -> BTreeMap<String, BTreeMap<i64, (String, i64)>> {
        self.read(id, &[], TimeRange::ALL)
    }

    pub(super) fn read(
        &self,
        id: &TenantId,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> BTreeMap<String, BTreeMap<i64, (String, i64)>> {
        let mut out = BTreeMap::new();
        for series in self.partition.select(id, matchers, range) {
            let (labels, samples) = decode(&series.unwrap(), range);
            if !samples.is_empty() {
                assert!(out.insert(labels.clone(), samples).is_none(), "{labels} came twice");
            }
        }
        out
    }
}

pub(super) fn decode(
    series: &EncodedSeries,
    range: TimeRange,
) -> (String, BTreeMap<i64, (String, i64)>) {
    let (floats, histograms) = series.decode(range).unwrap();
    let mut samples = BTreeMap::new();
    for (i, time) in floats.times.iter().enumerate() {
        samples.insert(*time, (show(&Value::Float(floats.values[i])), floats.start(i)));
    }
    for (i, time) in histograms.times.iter().enumerate() {
        let value = Value::Histogram(Arc::clone(&histograms.values[i]));
        let there = samples.insert(*time, (show(&value), histograms.start(i)));
        assert!(there.is_none(), "a float and a histogram at {time}");
    }
    (series.labels.to_string(), samples)
}

/// A value as text, equal for equal data.
pub(super) fn show(value: &Value) -> String {
    match value.clone().normal() {
        Value::Float(v) => format!("{:#x}", v.to_bits()),
        Value::Histogram(h) => format!("{h:?}"),
    }
}

pub(super) fn series(name: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("job", "test")]).unwrap()
}

/// A batch of one new series with floats.
pub(super) fn floats(name: &str, samples: &[(i64, f64)]) -> WriteBatch {
    let mut one = BatchSeries::new(SeriesId::New(series(name)));
    for (time, value) in samples {
        one.floats.push(*time, *value, 0);
    }
    WriteBatch { tenant: tenant("t"), series: vec![one], metadata: Vec::new() }
}

/// One of a few values: floats, stale markers, histograms of all kinds.
pub(super) fn value(n: u8) -> Value {
    let histogram = |sum: f64, hint: ResetHint, counts: Counts| {
        Value::Histogram(Arc::new(Histogram {
            schema: 1,
            zero_threshold: 0.5,
            sum,
            reset_hint: hint,
            positive_spans: vec![Span { offset: 0, length: 2 }],
            negative_spans: Vec::new(),
            custom_bounds: Vec::new(),
            counts,
        }))
    };
    let int = |n| Counts::Int { count: 3 + n, zero: n, positive: vec![1, 2], negative: Vec::new() };
    match n % 8 {
        0 => Value::Float(1.0),
        1 => Value::Float(2.5),
        2 => Value::Float(-0.0),
        3 => Value::Float(stale_nan()),
        4 => histogram(7.0, ResetHint::Unknown, int(1)),
        5 => histogram(8.0, ResetHint::NotCounterReset, int(2)),
        6 => histogram(
            9.0,
            ResetHint::Gauge,
            Counts::Float { count: 3.5, zero: 0.0, positive: vec![1.5, 2.0], negative: Vec::new() },
        ),
        _ => histogram(stale_nan(), ResetHint::Unknown, int(0)),
    }
}

pub(super) fn push(series: &mut BatchSeries, time: i64, value: &Value, start: i64) {
    match value {
        Value::Float(v) => series.floats.push(time, *v, start),
        Value::Histogram(h) => series.histograms.push(time, Arc::clone(h), start),
    }
}

pub(super) fn exemplar(time: i64, id: &str) -> Exemplar {
    let labels = Labels::from_pairs([("trace_id", id)]).unwrap();
    Exemplar { labels, value: 0.5, timestamp: time }
}
