//! The task that applies one partition's log, entry by entry.
//!
//! It alone changes the state (sealed chunks find their place through it
//! too), so that what it read before locking is still true when it writes.

use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot, watch};
use varve_log::{Entry, EntryKind, LogError, LogEvent};

use varve_model::TenantId;

use crate::file::SealFile;
use crate::offered::{Offer, Offered};
use crate::seal::{Job, Placement, Settled};
use crate::state::{Applied, Command, State};
use crate::tenant::{self, Loaded};
use crate::waiters::Waiters;
use crate::{AppendOutcome, HeadError, Metrics, Result};

/// What the task shares with the partition's callers.
pub(crate) struct Shared {
    pub(crate) partition: u32,
    pub(crate) state: RwLock<State>,
    pub(crate) waiters: Waiters,
    pub(crate) offered: Offered,
    /// The first failure, once there is one.
    pub(crate) failure: watch::Sender<Option<String>>,
    pub(crate) metrics: Metrics,
}

/// A seal's files are durable: the state may let go of what they hold. In
/// steps, so that neither readers nor the log wait for all of it.
pub(crate) enum Place {
    /// The new file, and the place that rows know it by.
    File(u16, Arc<SealFile>),
    /// Where the chunks of some series are.
    Series(TenantId, Placement),
    /// That was all.
    Done(Settled, oneshot::Sender<()>),
}

impl Shared {
    /// The error of a partition that no longer applies its log.
    pub(crate) fn stopped(&self) -> HeadError {
        let reason = self.failure.borrow().clone();
        let reason = reason.unwrap_or_else(|| "it was closed".to_owned());
        HeadError::Stopped { partition: self.partition, reason }
    }

    fn place(&self, place: Place) {
        let mut state = self.state.write();
        match place {
            Place::File(place, file) => state.files.set(place, file),
            Place::Series(tenant, placement) => state.place(&tenant, &placement),
            Place::Done(settled, done) => {
                state.sealed = settled.index;
                state.settled = state.memory();
                state.files.retain(|file| settled.named.contains(&file.id));
                state.manifest_len = settled.manifest_len;
                state.series_len = settled.series_len;
                // Whoever sealed may have gone away.
                let _ = done.send(());
            }
        }
    }

    fn fail(&self, error: &dyn std::fmt::Display) {
        tracing::error!(partition = self.partition, %error, "the log cannot be applied further");
        self.stop(error);
    }

    /// Nothing is applied from here on.
    fn stop(&self, error: &dyn std::fmt::Display) {
        self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            if first {
                *failure = Some(error.to_string());
            }
            first
        });
    }
}

/// Applies entries until the log or the partition ends; those that were there
/// before are applied already ([`crate::replay`]).
pub(crate) async fn run(
    shared: Arc<Shared>,
    mut events: mpsc::Receiver<LogEvent>,
    mut places: mpsc::UnboundedReceiver<Place>,
) {
    let _closing = Closing(&shared);
    let error = loop {
        tokio::select! {
            place = places.recv() => {
                let Some(place) = place else { break None };
                shared.place(place);
            }
            event = events.recv() => match event {
                Some(LogEvent::Entry(entry)) => match apply(&shared, &entry) {
                    Ok(Applied::Sealing) => {
                        let job = Box::new(Job::take(&shared.state.read()));
                        shared.waiters.complete(entry.index, Applied::Seal(job));
                    }
                    Ok(applied) => shared.waiters.complete(entry.index, applied),
                    Err(error) => break Some(error),
                },
                // It has told so before.
                Some(LogEvent::CaughtUp) => {}
                Some(LogEvent::Failed(error)) => break Some(error.into()),
                None => break Some(shared.stopped()),
            },
        }
    };
    if let Some(error) = error {
        match &error {
            // The log says itself why it was closed.
            HeadError::Log(LogError::Closed { .. }) => shared.stop(&error),
            _ => shared.fail(&error),
        }
    }
}

/// Lets waiting proposers go, however the task ends.
struct Closing<'a>(&'a Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(&"applying an entry panicked");
        }
        self.0.waiters.close();
    }
}

fn apply(shared: &Shared, entry: &Entry) -> Result<Applied> {
    let command = match shared.offered.take(&entry.payload) {
        Some(Offer { batch, removals }) if entry.kind == EntryKind::Batch => {
            Command::Batch(Box::new(batch), Some(removals))
        }
        _ => Command::decode(entry)?,
    };
    apply_command(shared, (entry.term, entry.index), command)
}

/// Applies the entry at a term and index; it must be the next one.
pub(crate) fn apply_command(
    shared: &Shared,
    (term, index): (u64, u64),
    command: Command,
) -> Result<Applied> {
    let mut loaded = Loaded::new();
    {
        let state = shared.state.read();
        let expected = state.applied.saturating_add(1);
        if index != expected {
            let detail = format!("entry {expected} was expected");
            return Err(HeadError::Entry { index, detail });
        }
        let wanted = match &command {
            Command::Batch(batch, _) => state.sealed_for(batch),
            _ => Vec::new(),
        };
        drop(state);
        for (chunk, labels) in wanted {
            if let Some(place) = tenant::place(&chunk) {
                loaded.insert(place, chunk.decode(|| labels)?);
            }
        }
    }
    let applied = shared.state.write().apply((term, index), command, &loaded)?;
    if let Applied::Batch(outcome) = &applied {
        count(&shared.metrics, outcome);
    }
    let at = i64::try_from(index).unwrap_or(i64::MAX);
    shared.metrics.applied.with_label_values(&[&shared.partition.to_string()]).set(at);
    Ok(applied)
}

fn count(metrics: &Metrics, outcome: &AppendOutcome) {
    let AppendOutcome { samples, histograms, exemplars, .. } = *outcome;
    let kinds = [("float", samples), ("histogram", histograms), ("exemplar", exemplars)];
    for (kind, count) in kinds.into_iter().filter(|(_, count)| *count > 0) {
        metrics.appended.with_label_values(&[kind]).inc_by(count);
    }
    for refusal in &outcome.refusals {
        let reason = refusal.reason.as_str();
        metrics.refused.with_label_values(&[reason]).inc_by(u64::from(refusal.count));
    }
}
