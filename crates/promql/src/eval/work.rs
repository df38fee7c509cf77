//! Work on several batches at once: on the query's own thread, and on those
//! that all queries of an engine share, as far as they are free.

use std::sync::{Mutex, PoisonError};

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use rayon_core::{ThreadPool, ThreadPoolBuilder};

use super::context::Context;
use crate::engine::EngineError;

/// Batches that are worked on in one go: some a thread, and enough that threads
/// seldom wait for each other. What comes of them is held together.
const EACH: usize = 4;
const AT_LEAST: usize = 32;

/// The threads that the queries of an engine share.
#[derive(Debug)]
pub(crate) struct Workers {
    pool: Option<ThreadPool>,
    /// Threads that one query may use, its own included.
    threads: usize,
}

impl Workers {
    /// So many that a query may use `threads`, its own included. Where the
    /// system gives none, every query works alone.
    pub(crate) fn new(threads: usize) -> Self {
        let others = threads.saturating_sub(1);
        let builder = ThreadPoolBuilder::new().num_threads(others);
        let build = |b: ThreadPoolBuilder| b.thread_name(|i| format!("query-{i}")).build().ok();
        let pool = (others > 0).then(|| build(builder)).flatten();
        let threads = if pool.is_some() { threads } else { 1 };
        Self { pool, threads }
    }
}

/// Does `work` on each batch of a stream, and passes on what comes of it in
/// the same order. Batches that are ready at the same time are shared among
/// the query's threads.
pub(crate) fn spread<'a, T: Send + 'a, R: Send + 'a>(
    ctx: &'a Context<'a>,
    batches: BoxStream<'a, Result<T, EngineError>>,
    work: impl Fn(T) -> Result<R, EngineError> + Send + Sync + 'a,
) -> BoxStream<'a, Result<R, EngineError>> {
    let workers = ctx.workers;
    let work = move |batch: Result<T, EngineError>| {
        ctx.check()?;
        work(batch?)
    };
    if workers.threads == 1 {
        return batches.map(work).boxed();
    }
    let some = batches.ready_chunks((workers.threads * EACH).max(AT_LEAST));
    some.flat_map(move |some| stream::iter(at_once(workers, some, &work))).boxed()
}

/// `work` on each item, in order.
fn at_once<T: Send, R: Send>(
    workers: &Workers,
    items: Vec<T>,
    work: &(impl Fn(T) -> R + Sync),
) -> Vec<R> {
    let threads = workers.threads.min(items.len());
    let Some(pool) = workers.pool.as_ref().filter(|_| threads > 1) else {
        return items.into_iter().map(work).collect();
    };
    let left = Mutex::new(items.into_iter().enumerate());
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    let done = Mutex::new(Vec::new());
    let take = || {
        let mut own = Vec::new();
        while let Some((place, item)) = next() {
            own.push((place, work(item)));
        }
        done.lock().unwrap_or_else(PoisonError::into_inner).extend(own);
    };
    pool.in_place_scope(|scope| {
        (1..threads).for_each(|_| scope.spawn(|_| take()));
        take();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_from_any_number_of_threads() {
        for threads in [0, 1, 2, 3, 8] {
            let workers = Workers::new(threads);
            for items in [0, 1, 2, 50] {
                let done = at_once(&workers, (0..items).collect(), &|i| i * 2);
                assert_eq!(done, (0..items).map(|i| i * 2).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    #[should_panic(expected = "the work panics")]
    fn a_panic_on_any_thread_is_the_query_s() {
        let work = |i: usize| assert!(i < 40, "the work panics");
        at_once(&Workers::new(3), (0..50).collect(), &work);
    }
}
