//! Appending a batch: check, limit, propose, wait until it is applied.
//!
//! Limits are decided here, before the log; whatever an entry in the log says
//! is applied.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use varve_log::EntryKind;
use varve_model::{Labels, TenantId};
use varve_wire::batch::{SeriesId, WriteBatch};

use crate::entry::ConfigEntry;
use crate::offered::Offer;
use crate::partition::Inner;
use crate::state::Applied;
use crate::tenant::DEFAULT_OUT_OF_ORDER;
use crate::{AppendLimits, AppendOutcome, HeadError, Refusal, RefusalReason, Result};

/// New series that are on their way through the log, by tenant.
pub(crate) type Reserved = Arc<Mutex<HashMap<TenantId, u64>>>;

/// Keeps a reservation until the entry is applied or given up.
struct Reservation {
    reserved: Reserved,
    tenant: TenantId,
    count: u64,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut reserved = self.reserved.lock();
        if let Some(count) = reserved.get_mut(&self.tenant) {
            *count -= self.count;
            if *count == 0 {
                reserved.remove(&self.tenant);
            }
        }
    }
}

/// What the state says of a batch before it is proposed.
struct Checked {
    unknown: Vec<u32>,
    out_of_order: i64,
    /// Where the references of this head, which has none yet, are to begin.
    first_reference: Option<u64>,
    /// [`crate::state::State::removals`] when this was asked.
    removals: u64,
    /// Positions of new series that the limit refuses.
    refused: Vec<usize>,
    /// Series that the tenant has or is about to have.
    series: u64,
    reservation: Reservation,
}

pub(crate) async fn append(
    inner: &Arc<Inner>,
    bytes: Bytes,
    limits: AppendLimits,
) -> Result<AppendOutcome> {
    let batch = WriteBatch::decode(&bytes).map_err(|e| HeadError::Batch(e.to_string()))?;
    let checked = check(inner, &batch, &limits);
    if !checked.unknown.is_empty() {
        return Ok(AppendOutcome { unknown: checked.unknown, ..AppendOutcome::default() });
    }
    let out_of_order_window = limits.out_of_order_window_ms.max(0);
    if checked.out_of_order != out_of_order_window || checked.first_reference.is_some() {
        let tenant = batch.tenant.clone();
        let first_reference = checked.first_reference.unwrap_or(0);
        let entry = ConfigEntry { tenant, out_of_order_window, first_reference };
        inner.propose(EntryKind::Config, entry.encode()).await?;
    }
    let (payload, positions) = without(&checked.refused, batch, bytes);
    let mut outcome = match payload {
        Some((payload, batch)) => {
            let offer = Offer { batch, removals: checked.removals };
            let _offering = inner.shared.offered.offer(&payload, offer);
            match inner.propose(EntryKind::Batch, payload).await? {
                Applied::Batch(outcome) => outcome,
                _ => return Err(inner.shared.stopped()),
            }
        }
        None => AppendOutcome::default(),
    };
    if let Some(positions) = positions {
        positions.restore(&mut outcome);
        if !outcome.unknown.is_empty() {
            return Ok(AppendOutcome { unknown: outcome.unknown, ..AppendOutcome::default() });
        }
        let detail = format!(
            "max_series {} is reached: the tenant has {} series in this partition",
            limits.max_series, checked.series
        );
        let reason = RefusalReason::SeriesLimit;
        let refused = |(position, count): &(u32, u32)| Refusal {
            reason,
            series: *position,
            timestamp: None,
            count: *count,
            detail: detail.clone(),
        };
        outcome.refusals.extend(positions.refused.iter().map(refused));
        let count: u64 = positions.refused.iter().map(|(_, count)| u64::from(*count)).sum();
        inner.shared.metrics.refused.with_label_values(&[reason.as_str()]).inc_by(count);
    }
    drop(checked.reservation);
    Ok(outcome)
}

fn check(inner: &Inner, batch: &WriteBatch, limits: &AppendLimits) -> Checked {
    let state = inner.shared.state.read();
    let tenant = state.tenants.get(&batch.tenant);
    let unknown = state.unknown(batch);
    let mut reserved = inner.reserved.lock();
    let under_way = reserved.get(&batch.tenant).copied().unwrap_or(0);
    let mut series = tenant.map_or(0, |t| t.series.len() as u64).saturating_add(under_way);
    let before = series;
    let mut new: std::collections::HashSet<&Labels> = std::collections::HashSet::new();
    let mut refused = Vec::new();
    if unknown.is_empty() {
        for (i, one) in batch.series.iter().enumerate() {
            let SeriesId::New(labels) = &one.id else { continue };
            if tenant.is_some_and(|t| t.find(labels).is_some()) || new.contains(labels) {
                continue;
            }
            if limits.max_series > 0 && series >= limits.max_series {
                refused.push(i);
            } else {
                new.insert(labels);
                series += 1;
            }
        }
    }
    let count = series - before;
    if count > 0 {
        *reserved.entry(batch.tenant.clone()).or_default() += count;
    }
    let reservation =
        Reservation { reserved: Arc::clone(&inner.reserved), tenant: batch.tenant.clone(), count };
    let out_of_order = tenant.map_or(DEFAULT_OUT_OF_ORDER, |t| t.out_of_order);
    let first = inner.config.first_reference;
    let first_reference = (state.next_reference == 1 && first > 1).then_some(first);
    let removals = state.removals;
    Checked { unknown, out_of_order, first_reference, removals, refused, series, reservation }
}

/// How positions in a proposed batch relate to those in the batch as sent.
struct Positions {
    /// By position in the proposed batch.
    sent: Vec<u32>,
    /// By new series as sent: whether it was proposed.
    new: Vec<bool>,
    /// Refused series and their numbers of samples.
    refused: Vec<(u32, u32)>,
}

/// The payload without the refused series; none when nothing is left.
fn without(
    refused: &[usize],
    mut batch: WriteBatch,
    bytes: Bytes,
) -> (Option<(Bytes, WriteBatch)>, Option<Positions>) {
    if refused.is_empty() {
        return (Some((bytes, batch)), None);
    }
    let mut positions = Positions { sent: Vec::new(), new: Vec::new(), refused: Vec::new() };
    let mut kept = Vec::with_capacity(batch.series.len() - refused.len());
    for (i, series) in std::mem::take(&mut batch.series).into_iter().enumerate() {
        let keep = refused.binary_search(&i).is_err();
        if matches!(series.id, SeriesId::New(_)) {
            positions.new.push(keep);
        }
        // A batch holds at most `MAX_SERIES`, far below 2^32.
        let position = i as u32;
        if keep {
            positions.sent.push(position);
            kept.push(series);
        } else {
            let count = series.floats.len() + series.histograms.len() + series.exemplars.len();
            positions.refused.push((position, u32::try_from(count).unwrap_or(u32::MAX)));
        }
    }
    batch.series = kept;
    let empty = batch.series.is_empty() && batch.metadata.is_empty();
    ((!empty).then(|| (batch.encode(), batch)), Some(positions))
}

impl Positions {
    /// Turns positions of the proposed batch into those of the batch as sent.
    fn restore(&self, outcome: &mut AppendOutcome) {
        let sent = |p: &mut u32| *p = self.sent.get(*p as usize).copied().unwrap_or(*p);
        outcome.unknown.iter_mut().for_each(sent);
        outcome.refusals.iter_mut().for_each(|r| sent(&mut r.series));
        let mut references = std::mem::take(&mut outcome.references).into_iter();
        let of = |proposed: &bool| if *proposed { references.next().unwrap_or(0) } else { 0 };
        outcome.references = self.new.iter().map(of).collect();
    }
}
