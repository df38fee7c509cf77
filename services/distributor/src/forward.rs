//! Sending batches to their partitions: all partitions at once, the batches
//! of one in order, until they are durable or the request's time is over.
//!
//! A reference that the head no longer knows is answered by sending the
//! labels; a partition that is away is tried again. Both are harmless when
//! the first attempt was applied after all: (series, time, value) is
//! idempotent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;
use tonic::Status;
use varve_model::{ErrorKind, Labels};
use varve_wire::batch::SeriesId;
use varve_wire::v1::{AppendRequest, AppendResponse, Refusal};

use crate::body::Body;
use crate::cache::{Entry, References};
use crate::plan::{Origin, Pending};
use crate::refusal::{Reason, Refusals};
use crate::{Metrics, Partitions, WriteError};

/// How often labels are sent for references that a head does not know. A
/// head that goes on asking is broken.
const MAX_RELABELS: u32 = 4;
/// The longest pause between two attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// What the batches of one request need on their way.
pub(crate) struct Forwarder<'a> {
    pub(crate) partitions: &'a dyn Partitions,
    pub(crate) references: &'a References,
    pub(crate) metrics: &'a Metrics,
    pub(crate) body: &'a Body,
    pub(crate) generation: u32,
    pub(crate) max_series: u64,
    pub(crate) out_of_order_window_ms: i64,
    pub(crate) deadline: Instant,
    pub(crate) backoff: Duration,
}

/// What became of a request's batches.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) samples: u64,
    pub(crate) histograms: u64,
    pub(crate) exemplars: u64,
    pub(crate) refusals: Refusals,
    /// Why some partition's share is not durable; a retryable one first.
    pub(crate) errors: Vec<WriteError>,
}

impl Forwarder<'_> {
    /// Sends everything and waits for all answers.
    pub(crate) async fn forward(&self, partitions: BTreeMap<u32, Vec<Pending>>) -> Outcome {
        let sends = partitions.into_iter().map(|(p, batches)| self.partition(p, batches));
        let mut out = Outcome::default();
        for one in join_all(sends).await {
            out.samples += one.samples;
            out.histograms += one.histograms;
            out.exemplars += one.exemplars;
            out.refusals.merge(one.refusals);
            out.errors.extend(one.errors);
        }
        out.errors.sort_by_key(|e| e.kind() != ErrorKind::Unavailable);
        out
    }

    /// In order, because of two values at one time the first counts; after a
    /// failure the rest waits for the sender's next attempt.
    async fn partition(&self, partition: u32, batches: Vec<Pending>) -> Outcome {
        let mut out = Outcome::default();
        for pending in batches {
            if let Err(e) = self.batch(partition, pending, &mut out).await {
                out.errors.push(e);
                break;
            }
        }
        out
    }

    async fn batch(
        &self,
        partition: u32,
        mut pending: Pending,
        out: &mut Outcome,
    ) -> Result<(), WriteError> {
        let mut relabels = 0;
        loop {
            let response = self.append(partition, &pending).await?;
            if response.unknown.is_empty() {
                self.take(partition, &pending, response, out);
                return Ok(());
            }
            relabels += 1;
            if relabels > MAX_RELABELS {
                let message = "it keeps asking for labels that it was sent".to_owned();
                return Err(WriteError::Unavailable { partition, message });
            }
            self.metrics.unknown(response.unknown.len());
            self.relabel(partition, &mut pending, &response.unknown)?;
        }
    }

    /// One batch until it is answered, within the request's deadline.
    async fn append(
        &self,
        partition: u32,
        pending: &Pending,
    ) -> Result<AppendResponse, WriteError> {
        let request = AppendRequest {
            partition,
            batch: pending.batch.encode(),
            max_series: self.max_series,
            out_of_order_window_ms: self.out_of_order_window_ms,
            tenant: pending.batch.tenant.to_string(),
        };
        self.metrics.batch(request.batch.len(), pending.batch.samples());
        let mut pause = self.backoff;
        loop {
            let call = self.partitions.append(partition, request.clone());
            let status = match tokio::time::timeout_at(self.deadline, call).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("the request's time is over"),
            };
            let message = status.message().to_owned();
            if !is_retryable(&status) {
                let kind = varve_wire::status::kind(&status);
                return Err(WriteError::Failed { partition, message, kind });
            }
            if Instant::now() + pause >= self.deadline {
                return Err(WriteError::Unavailable { partition, message });
            }
            self.metrics.retried();
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(MAX_BACKOFF);
        }
    }

    /// Replaces references that the head does not know by labels.
    fn relabel(
        &self,
        partition: u32,
        pending: &mut Pending,
        unknown: &[u32],
    ) -> Result<(), WriteError> {
        let wanted: BTreeSet<u32> = unknown
            .iter()
            .filter_map(|i| pending.origins.get(*i as usize))
            .map(|o| o.ordinal)
            .collect();
        let found = self.body.labels(&wanted)?;
        for i in unknown {
            let i = *i as usize;
            let pairs = pending.origins.get(i).and_then(|o| found.get(&o.ordinal));
            let labels = pairs.and_then(|p| Labels::from_pairs(p.iter().copied()).ok());
            let (Some(labels), Some(series)) = (labels, pending.batch.series.get_mut(i)) else {
                let message = format!("it does not know series {i}, which has no labels");
                let kind = ErrorKind::Internal;
                return Err(WriteError::Failed { partition, message, kind });
            };
            series.id = SeriesId::New(labels);
            self.references.remove(pending.origins[i].fingerprint);
        }
        Ok(())
    }

    /// Counts an answer and remembers new references.
    fn take(&self, partition: u32, pending: &Pending, r: AppendResponse, out: &mut Outcome) {
        out.samples += r.samples;
        out.histograms += r.histograms;
        out.exemplars += r.exemplars;
        let mut new = r.references.iter();
        for (series, origin) in pending.batch.series.iter().zip(&pending.origins) {
            let reference = match series.id {
                SeriesId::New(_) => new.next().copied().unwrap_or(0),
                // What is known is remembered anew when its metadata changed.
                SeriesId::Known(reference) if origin.metadata != 0 => reference,
                SeriesId::Known(_) => 0,
            };
            if reference != 0 {
                let (generation, metadata) = (self.generation, origin.metadata);
                let entry = Entry { reference, metadata, partition, generation };
                self.references.insert(origin.fingerprint, entry);
            }
        }
        for refusal in &r.refusals {
            let origin = pending.origins.get(refusal.series as usize);
            self.refuse(refusal, origin, out);
        }
    }

    fn refuse(&self, refusal: &Refusal, origin: Option<&Origin>, out: &mut Outcome) {
        let reason = Reason::of_head(refusal.reason);
        let time = Some(refusal.timestamp).filter(|_| reason != Reason::SeriesLimit);
        let place = (origin.map(|o| o.ordinal), time);
        out.refusals.add(reason, u64::from(refusal.count), place, || refusal.detail.clone());
    }
}

/// Whether the same batch can be taken later. A partition that is not hosted
/// where it was is on its way to elsewhere.
fn is_retryable(status: &Status) -> bool {
    let kind = varve_wire::status::kind(status);
    kind.is_retryable() || kind == ErrorKind::NotFound
}
