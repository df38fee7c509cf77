//! Measuring the parts of a query, when that was asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};

use crate::explain::Cost;
use crate::source::Reads;

/// What one part of a query has cost so far.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    series: AtomicU64,
    samples: AtomicU64,
    nanos: AtomicU64,
    /// What its selects have read.
    pub(crate) reads: Arc<Reads>,
}

impl Meter {
    /// Counts what the part reads or passes on.
    pub(crate) fn count(&self, series: usize, samples: u64) {
        self.series.fetch_add(series as u64, Ordering::Relaxed);
        self.samples.fetch_add(samples, Ordering::Relaxed);
    }

    /// Counts time.
    pub(crate) fn took(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The same stream; the time until each item is there is counted, that of
    /// its taker is not.
    pub(crate) fn watch<'a, T: Send + 'a>(
        &'a self,
        items: impl Stream<Item = T> + Send + Unpin + 'a,
    ) -> impl Stream<Item = T> + Send + 'a {
        futures::stream::unfold(items, |mut items| async {
            let begun = Instant::now();
            let item = items.next().await;
            self.took(begun.elapsed());
            item.map(|item| (item, items))
        })
    }

    /// All that was counted; `memory` is the most that the part held.
    pub(crate) fn cost(&self, memory: usize) -> Cost {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Cost {
            series: of(&self.series),
            samples: of(&self.samples),
            bytes: self.reads.bytes(),
            requests: self.reads.requests(),
            memory: memory as u64,
            seconds: of(&self.nanos) as f64 / 1e9,
        }
    }
}
