//! Feeds one subscriber: what is there, then what becomes durable.
//!
//! A subscriber owns nothing in the log: it asks the index for the next run of
//! entries, so one that is slow only reads from disk instead of memory.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::index::{Place, Run};
use super::{PartitionState, Shared};
use crate::{Entry, LogError, LogEvent};

/// Runs until the subscriber is gone or the log cannot go on.
pub(super) async fn deliver(
    shared: Arc<Shared>,
    state: Arc<PartitionState>,
    from: u64,
    sender: mpsc::Sender<LogEvent>,
) {
    // An error means that the subscriber is gone, which is nobody's problem.
    let _ = feed(&shared, &state, from, &sender).await;
}

async fn feed(
    shared: &Shared,
    state: &PartitionState,
    mut next: u64,
    sender: &mpsc::Sender<LogEvent>,
) -> Result<(), mpsc::error::SendError<LogEvent>> {
    let mut durable = state.durable.subscribe();
    let mut closed = shared.closed.subscribe();
    let there = state.index.lock().last;
    let mut caught_up = false;
    loop {
        if !caught_up && next > there {
            sender.send(LogEvent::CaughtUp).await?;
            caught_up = true;
        }
        let run = state.index.lock().run(next);
        let entries = match run {
            Run::Nothing => {
                let error = closed.borrow_and_update().as_ref().map(|closed| closed.error.clone());
                if let Some(error) = error {
                    return sender.send(LogEvent::Failed(error)).await;
                }
                tokio::select! {
                    _ = durable.changed() => continue,
                    _ = closed.changed() => continue,
                    () = sender.closed() => return Ok(()),
                }
            }
            Run::Purged(first) => Err(LogError::Purged { partition: state.id, index: next, first }),
            Run::Entries(entries) => Ok(entries),
            Run::Places(places) => match read(places).await {
                Ok(entries) => {
                    shared.config.metrics.replayed.inc_by(entries.len() as u64);
                    Ok(entries)
                }
                // A purge may have freed the segment under the reader.
                Err(error) => match state.index.lock().run(next) {
                    Run::Purged(first) => {
                        Err(LogError::Purged { partition: state.id, index: next, first })
                    }
                    _ => Err(error),
                },
            },
        };
        match entries {
            Ok(entries) => {
                for entry in entries {
                    next = entry.index + 1;
                    sender.send(LogEvent::Entry(entry)).await?;
                }
            }
            Err(error) => return sender.send(LogEvent::Failed(error)).await,
        }
    }
}

async fn read(places: Vec<Place>) -> Result<Vec<Entry>, LogError> {
    let read = move || places.iter().map(Place::read).collect();
    match varve_runtime::spawn_blocking(read).await {
        Ok(result) => result,
        Err(_) => Err(LogError::Closed { reason: "the runtime is shutting down".into() }),
    }
}
