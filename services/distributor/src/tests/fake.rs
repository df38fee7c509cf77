//! Partitions in memory, with the rules of a head that matter to a
//! distributor, and with faults on order.

use std::collections::{BTreeMap, HashMap, VecDeque};

use async_trait::async_trait;
use parking_lot::Mutex;
use tonic::Status;
use varve_model::{Exemplar, Histogram, Labels, Metadata, TenantId};
use varve_wire::batch::{Sample, SeriesId, WriteBatch};
use varve_wire::v1::refusal::Reason;
use varve_wire::v1::{AppendRequest, AppendResponse, Refusal};

use crate::Partitions;

/// One series of one partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    pub(super) floats: BTreeMap<i64, (f64, i64)>,
    pub(super) histograms: BTreeMap<i64, Histogram>,
    pub(super) exemplars: Vec<Exemplar>,
}

#[derive(Default)]
struct State {
    references: HashMap<u64, (TenantId, Labels)>,
    series: HashMap<(TenantId, Labels), (u64, Held)>,
    metadata: Vec<(String, Metadata)>,
    newest: i64,
    next: u64,
    /// Answers to give instead of doing anything, first come first served.
    faults: VecDeque<Fault>,
    /// Batches seen, as decoded.
    seen: Vec<WriteBatch>,
}

/// Something that goes wrong with one append.
pub(super) enum Fault {
    /// This answer, nothing applied.
    Status(Status),
    /// Applied, but the answer is lost.
    AnswerLost,
    /// No answer for ever.
    Hang,
}

/// All partitions.
pub(super) struct Fake(Vec<Mutex<State>>);

impl Fake {
    pub(super) fn new(partitions: u32) -> Self {
        Self((0..partitions).map(|_| Mutex::default()).collect())
    }

    pub(super) fn fail(&self, partition: usize, fault: Fault) {
        self.0[partition].lock().faults.push_back(fault);
    }

    /// Forgets references, as after a restart that lost them.
    pub(super) fn forget(&self) {
        for p in &self.0 {
            p.lock().references.clear();
        }
    }

    /// The batches that arrived at one partition since the last call.
    pub(super) fn seen(&self, partition: usize) -> Vec<WriteBatch> {
        std::mem::take(&mut self.0[partition].lock().seen)
    }

    /// What all partitions hold of one series.
    pub(super) fn held(&self, tenant: &str, labels: &Labels) -> Vec<(usize, Held)> {
        let key = (TenantId::new(tenant).unwrap(), labels.clone());
        let of = |(i, p): (usize, &Mutex<State>)| Some((i, p.lock().series.get(&key)?.1.clone()));
        self.0.iter().enumerate().filter_map(of).collect()
    }

    pub(super) fn series(&self) -> usize {
        self.0.iter().map(|p| p.lock().series.len()).sum()
    }

    pub(super) fn metadata(&self) -> Vec<(String, Metadata)> {
        self.0.iter().flat_map(|p| p.lock().metadata.clone()).collect()
    }
}

#[async_trait]
impl Partitions for Fake {
    fn count(&self) -> u32 {
        self.0.len() as u32
    }

    async fn append(
        &self,
        partition: u32,
        request: AppendRequest,
    ) -> Result<AppendResponse, Status> {
        assert_eq!(partition, request.partition);
        let fault = self.0[partition as usize].lock().faults.pop_front();
        match fault {
            Some(Fault::Status(status)) => return Err(status),
            Some(Fault::Hang) => std::future::pending::<()>().await,
            _ => {}
        }
        let answer = self.0[partition as usize].lock().apply(&request);
        match fault {
            Some(Fault::AnswerLost) => Err(Status::unavailable("connection reset")),
            _ => answer,
        }
    }
}

impl State {
    fn apply(&mut self, request: &AppendRequest) -> Result<AppendResponse, Status> {
        let batch = WriteBatch::decode(&request.batch)
            .map_err(|e| Status::invalid_argument(e.to_string()))?;
        self.seen.push(batch.clone());
        let mut out = AppendResponse::default();
        for (i, s) in batch.series.iter().enumerate() {
            if let SeriesId::Known(r) = &s.id
                && !self.references.contains_key(r)
            {
                out.unknown.push(i as u32);
            }
        }
        if !out.unknown.is_empty() {
            return Ok(out);
        }
        self.metadata.extend(batch.metadata.clone());
        for (i, s) in (0u32..).zip(&batch.series) {
            let total = (s.floats.len() + s.histograms.len() + s.exemplars.len()) as u32;
            let refuse = |reason: Reason, timestamp, count, detail: &str| Refusal {
                reason: reason.into(),
                series: i,
                timestamp,
                count,
                detail: detail.to_owned(),
            };
            let key = match &s.id {
                SeriesId::Known(r) => self.references[r].clone(),
                SeriesId::New(labels) => {
                    let key = (batch.tenant.clone(), labels.clone());
                    let known = self.series.contains_key(&key);
                    let limit = request.max_series;
                    if !known && limit > 0 && self.series.len() as u64 >= limit {
                        out.references.push(0);
                        let detail = format!("the tenant has {limit} series");
                        out.refusals.push(refuse(Reason::SeriesLimit, 0, total, &detail));
                        continue;
                    }
                    self.next += 1;
                    let next = self.next;
                    let (r, _) = self.series.entry(key.clone()).or_insert((next, Held::default()));
                    out.references.push(*r);
                    self.references.insert(*r, key.clone());
                    key
                }
            };
            let floor = self.newest - request.out_of_order_window_ms;
            let held = &mut self.series.get_mut(&key).unwrap().1;
            for Sample { time: t, value: v, start } in s.floats.iter() {
                let newest = held.floats.keys().last().copied().unwrap_or(i64::MIN);
                let old = held.floats.get(t).map(|(old, _)| old.to_bits());
                if old.is_some_and(|old| old != v.to_bits()) {
                    out.refusals.push(refuse(Reason::Duplicate, *t, 1, "another value"));
                } else if old.is_none() && *t <= newest && *t <= floor {
                    let detail = format!("sample is older than {floor}");
                    out.refusals.push(refuse(Reason::OutOfOrder, *t, 1, &detail));
                } else {
                    held.floats.insert(*t, (*v, *start));
                    self.newest = self.newest.max(*t);
                    out.samples += 1;
                }
            }
            for Sample { time: t, value: h, .. } in s.histograms.iter() {
                held.histograms.insert(*t, (**h).clone());
                out.histograms += 1;
            }
            held.exemplars.extend(s.exemplars.clone());
            out.exemplars += s.exemplars.len() as u64;
        }
        Ok(out)
    }
}
