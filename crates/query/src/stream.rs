//! Streams that end well or with an error.
//!
//! A stream is filled by a task of its own. Were that task to die, the channel
//! would close and the reader would take what came so far for everything. So
//! each channel keeps a place for a last word, which is an error unless the
//! task says that it has finished.

use tokio::sync::mpsc;
use tonic::Status;

/// The sending side's promise to say how the stream ended.
pub struct StreamEnd<T> {
    last_word: Option<mpsc::OwnedPermit<Result<T, Status>>>,
}

/// What a stream hands to its reader.
pub type Frames<T> = mpsc::Receiver<Result<T, Status>>;

/// Frames that may wait for the reader.
const FRAMES_AHEAD: usize = 4;

/// A channel of a few frames that the reader has not taken.
pub fn channel<T>() -> (mpsc::Sender<Result<T, Status>>, StreamEnd<T>, Frames<T>) {
    let (send, receive) = mpsc::channel(FRAMES_AHEAD + 1);
    let last_word = send.clone().try_reserve_owned().ok();
    (send, StreamEnd { last_word }, receive)
}

/// The limit of a request, which says 0 when there is none.
pub fn at_most(limit: u64) -> usize {
    if limit == 0 { usize::MAX } else { usize::try_from(limit).unwrap_or(usize::MAX) }
}

impl<T> StreamEnd<T> {
    /// Everything was sent.
    pub fn finish(mut self) {
        self.last_word = None;
    }
}

impl<T> Drop for StreamEnd<T> {
    fn drop(&mut self) {
        if let Some(permit) = self.last_word.take() {
            permit.send(Err(Status::internal("the read was cut off before its end")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_producer_that_dies_does_not_look_finished() {
        let (send, end, mut frames) = channel::<u8>();
        tokio::spawn(async move {
            let _end = end;
            let _ = send.send(Ok(1)).await;
            panic!("the producer dies");
        });
        assert!(matches!(frames.recv().await, Some(Ok(1))));
        assert!(matches!(frames.recv().await, Some(Err(_))));

        let (send, end, mut frames) = channel::<u8>();
        send.send(Ok(1)).await.expect("has room");
        end.finish();
        drop(send);
        assert!(matches!(frames.recv().await, Some(Ok(1))));
        assert!(frames.recv().await.is_none());
    }
}
