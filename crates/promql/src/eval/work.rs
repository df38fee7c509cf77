//! Work on several batches at once, on threads that live as long as it takes.
//!
//! Batches are large enough (tens of thousands of samples) that starting a
//! thread for some of them costs little, and nothing outlives the poll.

use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};

use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::context::Context;
use crate::engine::EngineError;

/// Batches that are worked on in one go, a thread: enough that a slow one does
/// not leave the others idle for long.
const EACH: usize = 4;

/// Does `work` on each batch of a stream, and passes on what comes of it in
/// the same order. Batches that are ready at the same time are shared among
/// the query's threads.
pub(crate) fn spread<'a, T: Send + 'a, R: Send + 'a>(
    ctx: &'a Context<'a>,
    batches: BoxStream<'a, Result<T, EngineError>>,
    work: impl Fn(T) -> Result<R, EngineError> + Send + Sync + 'a,
) -> BoxStream<'a, Result<R, EngineError>> {
    let threads = ctx.options.threads.max(1);
    let work = move |batch: Result<T, EngineError>| {
        ctx.check()?;
        work(batch?)
    };
    if threads == 1 {
        return batches.map(work).boxed();
    }
    let some = batches.ready_chunks(threads * EACH);
    some.flat_map(move |some| stream::iter(at_once(threads, some, &work))).boxed()
}

/// `work` on each item, in order.
fn at_once<T: Send, R: Send>(
    threads: usize,
    items: Vec<T>,
    work: &(impl Fn(T) -> R + Sync),
) -> Vec<R> {
    let threads = threads.min(items.len());
    if threads < 2 {
        return items.into_iter().map(work).collect();
    }
    let left = Mutex::new(items.into_iter().enumerate());
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    let take = || {
        let mut done = Vec::new();
        while let Some((place, item)) = next() {
            done.push((place, work(item)));
        }
        done
    };
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(take)).collect();
        let mut done = take();
        for other in others {
            match other.join() {
                Ok(some) => done.extend(some),
                Err(panic) => resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_from_any_number_of_threads() {
        for threads in [1, 2, 3, 8] {
            for items in [0, 1, 2, 50] {
                let done = at_once(threads, (0..items).collect(), &|i| i * 2);
                assert_eq!(done, (0..items).map(|i| i * 2).collect::<Vec<_>>());
            }
        }
    }
}
