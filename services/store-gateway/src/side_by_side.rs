//! Blocks read side by side: several at once, each on a task of its own, never
//! further ahead of the reader than one channel holds.

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::Status;
use varve_block::BlockReader;
use varve_query::stream::{Frames, channel};

/// Where a task puts what it has read.
pub(crate) type Sender<T> = mpsc::Sender<Result<T, Status>>;

/// Why a block is not read to its end.
pub(crate) enum Stop {
    /// For this reason.
    Failed(Status),
    /// Nobody waits for it.
    Gone,
}

/// Does `work` on each block, `at_once` at a time. Ends when all are done, at
/// the first failure, and as soon as nobody waits.
pub(crate) fn side_by_side<T, F>(
    readers: Vec<BlockReader>,
    at_once: usize,
    work: impl Fn(BlockReader, Sender<T>) -> F + Send + 'static,
) -> Frames<T>
where
    T: Send + 'static,
    F: Future<Output = Result<(), Stop>> + Send + 'static,
{
    let (send, end, receive) = channel();
    tokio::spawn(async move {
        // Dropped at the first failure, which ends the other blocks' tasks.
        let mut blocks = JoinSet::new();
        let mut readers = readers.into_iter();
        for reader in readers.by_ref().take(at_once) {
            blocks.spawn(work(reader, send.clone()));
        }
        loop {
            let block = tokio::select! {
                block = blocks.join_next() => block,
                // Also where no block has anything to send.
                () = send.closed() => return,
            };
            match block {
                None => break,
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(Stop::Failed(status)))) => {
                    let _ = send.send(Err(status)).await;
                    return;
                }
                // The end says that the read was cut off.
                Some(Ok(Err(Stop::Gone)) | Err(_)) => return,
            }
            if let Some(reader) = readers.next() {
                blocks.spawn(work(reader, send.clone()));
            }
        }
        end.finish();
    });
    receive
}

/// Hands something on.
///
/// # Errors
/// When nobody waits for it.
pub(crate) async fn put<T>(send: &Sender<T>, found: T) -> Result<(), Stop> {
    send.send(Ok(found)).await.map_err(|_| Stop::Gone)
}
