//! Applying what the log held when the partition was opened.
//!
//! Nobody waits for the single entries, so the next ones are decoded in a task
//! of their own while one is applied: a core more is at work.

use std::sync::Arc;

use tokio::sync::mpsc;
use varve_log::LogEvent;

use crate::state::Command;
use crate::task::{self, Shared};
use crate::{HeadError, Result};

/// Decoded entries that may wait: a few megabytes each at most.
const AHEAD: usize = 16;

/// An entry's term and index, and what it says.
type Decoded = Result<((u64, u64), Command)>;

/// Applies entries up to the log's word that there are no more. Returns the
/// events behind them.
///
/// # Errors
/// When an entry cannot be read or applied, or the log ends before that word.
pub(crate) async fn replay(
    shared: &Arc<Shared>,
    events: mpsc::Receiver<LogEvent>,
) -> Result<mpsc::Receiver<LogEvent>> {
    let (sender, mut decoded) = mpsc::channel(AHEAD);
    let rest = tokio::spawn(decode(events, sender));
    while let Some(next) = decoded.recv().await {
        let (position, command) = next?;
        task::apply_command(shared, position, command)?;
    }
    rest.await.ok().flatten().ok_or_else(|| shared.stopped())
}

/// Decodes until all that was there has been; nothing if the log ends before,
/// or whoever applies is gone.
async fn decode(
    mut events: mpsc::Receiver<LogEvent>,
    decoded: mpsc::Sender<Decoded>,
) -> Option<mpsc::Receiver<LogEvent>> {
    loop {
        let next = match events.recv().await? {
            LogEvent::Entry(entry) => {
                Command::decode(&entry).map(|command| ((entry.term, entry.index), command))
            }
            LogEvent::Failed(error) => Err(HeadError::from(error)),
            LogEvent::CaughtUp => return Some(events),
        };
        decoded.send(next).await.ok()?;
    }
}
