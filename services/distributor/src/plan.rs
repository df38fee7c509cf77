//! From a request to what each partition is sent: every series is validated,
//! replaced by its reference when it is known, and put into the batch of its
//! partition.

use std::collections::{BTreeMap, HashSet};

use varve_model::{Labels, Metadata, MetricType, TenantId};
use varve_wire::batch::{BatchSeries, SeriesId, WriteBatch};
use varve_wire::remote_write::{DecodeError, RawSeries};

use crate::Limits;
use crate::body::Body;
use crate::cache::{Entry, References};
use crate::refusal::{Reason, Refusals};
use crate::shard::Shards;
use crate::validate::{self, Times};

/// A batch is closed when it is about this long before compression, so that
/// no message between processes grows with the request.
const BATCH_BYTES: usize = 4 << 20;

/// What is needed to plan one request.
pub(crate) struct Planner<'a> {
    pub(crate) tenant: &'a TenantId,
    pub(crate) limits: &'a Limits,
    pub(crate) generation: u32,
    pub(crate) shards: &'a Shards,
    pub(crate) references: &'a References,
    pub(crate) times: Times,
}

/// What is to be sent where, and what was refused already.
#[derive(Default)]
pub(crate) struct Plan {
    /// Samples of either kind in the request, refused ones included.
    pub(crate) received: u64,
    /// Batches by partition, in order.
    pub(crate) partitions: BTreeMap<u32, Vec<Pending>>,
    pub(crate) refusals: Refusals,
    /// Series whose reference was not known, and was.
    pub(crate) lookups: [u64; 2],
    /// Families whose 2.0 metadata is in this request's batches already.
    families: HashSet<(u32, String)>,
}

/// One batch and where its series came from.
pub(crate) struct Pending {
    pub(crate) batch: WriteBatch,
    /// As long as the batch's series.
    pub(crate) origins: Vec<Origin>,
    bytes: usize,
}

/// Where a series of a batch came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// Its position in the request.
    pub(crate) ordinal: u32,
    pub(crate) fingerprint: u128,
    /// What it says of its family; 0 = nothing, or what it said before.
    pub(crate) metadata: u64,
}

impl Planner<'_> {
    /// Reads the whole request.
    ///
    /// # Errors
    /// When it is malformed or too large; nothing is to be sent then.
    pub(crate) fn plan(&self, body: &Body) -> Result<Plan, DecodeError> {
        let mut plan = Plan::default();
        let families = body.walk(|ordinal, raw, budget| {
            let samples = raw.samples() as u64;
            plan.received += samples;
            let known = match raw.fault {
                None => self.references.get(raw.fingerprint, self.generation),
                Some(_) => None,
            };
            let count = samples + raw.exemplars.len() as u64;
            if count == 0 && raw.metadata.is_none() {
                return Ok(());
            }
            let (id, partition) = match known {
                Some(entry) => (SeriesId::Known(entry.reference), entry.partition),
                None => {
                    let labels = match raw.labels(budget)? {
                        Ok(pairs) => validate::labels(&pairs, self.limits),
                        Err(fault) => Err((Reason::InvalidLabels, format!("series {fault}"))),
                    };
                    match labels {
                        Ok(labels) => {
                            let partition = self.shards.of(&labels);
                            (SeriesId::New(labels), partition)
                        }
                        Err((reason, detail)) => {
                            let time = first_time(raw);
                            plan.refusals.add(reason, count, (Some(ordinal), time), || detail);
                            return Ok(());
                        }
                    }
                }
            };
            plan.lookups[usize::from(known.is_some())] += 1;
            self.series(&mut plan, ordinal, raw, (id, partition), known);
            Ok(())
        })?;
        for (family, metadata) in families {
            let hash = Labels::from_pairs([("__name__", &family)]).map_or(0, |l| l.hash64());
            self.metadata(&mut plan, self.shards.of_hash(hash), &family, metadata);
        }
        Ok(plan)
    }

    fn series(
        &self,
        plan: &mut Plan,
        ordinal: u32,
        raw: &mut RawSeries<'_>,
        (id, partition): (SeriesId, u32),
        known: Option<Entry>,
    ) {
        let said = known.map_or(0, |k| k.metadata);
        let mut metadata = 0;
        if let Some(m) = raw.metadata.filter(|m| m.fingerprint != said) {
            metadata = m.fingerprint;
            let family = family(&String::from_utf8_lossy(raw.metric_name()), m.kind).to_owned();
            if plan.families.insert((partition, family.clone())) {
                self.metadata(plan, partition, &family, m.to_metadata());
            }
        }
        let refusals = &mut plan.refusals;
        let floats = std::mem::take(&mut raw.floats);
        let floats = validate::floats(floats, &self.times, ordinal, refusals);
        let histograms = &mut raw.histograms;
        let histograms =
            validate::histograms(histograms, &self.times, self.limits, ordinal, refusals);
        let exemplars = validate::exemplars(&mut raw.exemplars, &self.times, ordinal, refusals);
        if floats.is_empty() && histograms.is_empty() && exemplars.is_empty() {
            return;
        }
        let series = BatchSeries { id, floats, histograms, exemplars };
        let origin = Origin { ordinal, fingerprint: raw.fingerprint, metadata };
        plan.pending(self.tenant, partition).push(series, origin);
    }

    fn metadata(&self, plan: &mut Plan, partition: u32, family: &str, metadata: Metadata) {
        match validate::metadata(family, &metadata, self.limits) {
            Ok(()) => {
                let pending = plan.pending(self.tenant, partition);
                pending.bytes += family.len() + metadata.help.len() + metadata.unit.len() + 4;
                pending.batch.metadata.push((family.to_owned(), metadata));
            }
            Err(detail) => {
                plan.refusals.add(Reason::InvalidMetadata, 1, (None, None), || detail);
            }
        }
    }
}

impl Plan {
    /// The batch of a partition that has room.
    fn pending(&mut self, tenant: &TenantId, partition: u32) -> &mut Pending {
        let batches = self.partitions.entry(partition).or_default();
        if batches.last().is_none_or(|p| p.bytes >= BATCH_BYTES) {
            let batch = WriteBatch::new(tenant.clone());
            batches.push(Pending { batch, origins: Vec::new(), bytes: 0 });
        }
        let last = batches.len() - 1;
        &mut batches[last]
    }
}

impl Pending {
    fn push(&mut self, series: BatchSeries, origin: Origin) {
        let labels = match &series.id {
            SeriesId::New(labels) => labels.as_bytes().len(),
            SeriesId::Known(_) => 4,
        };
        let exemplars: usize =
            series.exemplars.iter().map(|e| e.labels.as_bytes().len() + 16).sum();
        let histograms: usize = series.histograms.iter().map(|s| s.value.memory() + 24).sum();
        let samples = 20 * series.floats.len() + histograms;
        self.bytes += 4 + labels + samples + exemplars;
        self.batch.series.push(series);
        self.origins.push(origin);
    }
}

fn first_time(raw: &RawSeries<'_>) -> Option<i64> {
    let float = raw.floats.first().map(|s| s.time);
    float.or_else(|| raw.histograms.first().map(|h| h.time))
}

/// The family that a metric belongs to: classic histograms and summaries are
/// several metrics of one family.
fn family(metric: &str, kind: MetricType) -> &str {
    let suffixes: &[&str] = match kind {
        MetricType::Histogram | MetricType::GaugeHistogram => &["_bucket", "_count", "_sum"],
        MetricType::Summary => &["_count", "_sum"],
        _ => &[],
    };
    suffixes.iter().find_map(|s| metric.strip_suffix(s)).unwrap_or(metric)
}
