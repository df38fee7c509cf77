//! What a reader fetches: few requests, few bytes, and the store's own errors.

mod common;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use common::{WINDOW, answer, floats, labels, select, write};
use futures::StreamExt;
use varve_block::{BlockError, BlockFiles, BlockReader, LocalFiles};
use varve_model::{ErrorKind, Matcher, TimeRange};

/// Counts requests and bytes; refuses the request number `fail`, from 1.
struct Counted {
    files: LocalFiles,
    requests: AtomicU64,
    bytes: AtomicU64,
    fail: u64,
}

impl Counted {
    fn new(dir: &std::path::Path, fail: u64) -> Arc<Self> {
        let (requests, bytes) = Default::default();
        Arc::new(Self { files: LocalFiles::new(dir), requests, bytes, fail })
    }

    /// Requests and bytes since the last call.
    fn take(&self) -> (u64, u64) {
        (self.requests.swap(0, Ordering::Relaxed), self.bytes.swap(0, Ordering::Relaxed))
    }
}

#[async_trait]
impl BlockFiles for Counted {
    async fn read(&self, file: &str, range: Range<u64>) -> varve_block::Result<Bytes> {
        if self.requests.fetch_add(1, Ordering::Relaxed) + 1 == self.fail {
            return Err(BlockError::read(file, ErrorKind::Unavailable, "slow down"));
        }
        self.bytes.fetch_add(range.end - range.start, Ordering::Relaxed);
        self.files.read(file, range).await
    }
}

/// Values that no codec can shrink.
fn noise(seed: i64) -> f64 {
    let x = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    f64::from_bits((x ^ (x >> 29)) >> 2)
}

#[test]
fn one_metric_of_many_costs_few_bytes() {
    let times: Vec<i64> = (1..30).map(|t| t * 200_000).collect();
    let mut inputs = Vec::new();
    for i in 0..40_000i64 {
        let (name, pod) = (format!("metric_{:03}", i / 400), format!("pod-{:04}", i % 400));
        let labels = labels(&[("__name__", &name), ("job", "x"), ("pod", &pod)]);
        inputs.push(floats(labels, &times, |t| noise(t * 40_000 + i)));
    }
    let dir = tempfile::tempdir().expect("dir");
    let block = write(dir.path(), WINDOW, &mut inputs);
    let files = Counted::new(dir.path(), 0);
    let reader = BlockReader::new(block.entry.clone(), files.clone());
    let size = block.entry.size();

    let one = [Matcher::equal("__name__", "metric_050"), Matcher::equal("pod", "pod-0007")];
    assert_eq!(select(&reader, &one, WINDOW).expect("select").len(), 1);
    let (requests, bytes) = files.take();
    assert!(size > 8 << 20, "{size} bytes are too few to tell");
    // Three footers, then pages of series, samples and timestamps.
    assert!(requests <= 8, "{requests} requests for one series");
    assert!(bytes < size / 3, "{bytes} of {size} bytes for one series");

    assert_eq!(select(&reader, &one[..1], WINDOW).expect("select").len(), 400);
    let (requests, bytes) = files.take();
    assert!(requests <= 5, "{requests} requests for one metric, footers known");
    assert!(bytes < size / 4, "{bytes} of {size} bytes for one metric, footers known");

    let none = [Matcher::equal("__name__", "metric_0500")];
    assert_eq!(select(&reader, &none, WINDOW).expect("select").len(), 0);
    let before = [Matcher::equal("__name__", "a")];
    assert_eq!(select(&reader, &before, WINDOW).expect("select").len(), 0);
    let early = TimeRange::new(0, 199_999);
    assert_eq!(select(&reader, &one, early).expect("select").len(), 0);
    let (_, bytes) = files.take();
    assert!(bytes < size / 8, "{bytes} of {size} bytes for nothing");
}

#[test]
fn an_error_of_the_store_arrives_as_it_was_and_ends_the_stream() {
    let mut inputs: Vec<_> = (0..100)
        .map(|i| floats(labels(&[("__name__", "m"), ("i", &i.to_string())]), &[1, 2], |_| 1.0))
        .collect();
    let dir = tempfile::tempdir().expect("dir");
    let block = write(dir.path(), WINDOW, &mut inputs);
    let mut fail = 1;
    loop {
        let reader = BlockReader::new(block.entry.clone(), Counted::new(dir.path(), fail));
        let results: Vec<_> = common::run(reader.select(Vec::new(), WINDOW).collect());
        let Some(error) = results.iter().find_map(|r| r.as_ref().err()) else {
            break;
        };
        assert_eq!(error.kind(), ErrorKind::Unavailable, "request {fail}: {error}");
        assert!(error.to_string().ends_with("slow down"), "{error}");
        assert!(results.last().is_some_and(Result::is_err), "something follows the error");
        // The failure is not remembered.
        assert_eq!(answer(&reader, &[], WINDOW).expect("answer").len(), 100);
        fail += 1;
    }
    assert!(fail > 4, "only {fail} requests were made");
}
