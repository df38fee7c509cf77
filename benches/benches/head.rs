//! How long appends wait while a head of many series seals, cuts, ships and
//! answers a select of everything.
//!
//! `cargo bench -p varve-benches --bench head -- --series 1000000` fills one
//! partition, then sends a small append every few milliseconds through each of
//! its works, and prints how long those took. Kept answers are in
//! `results/head.md`.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use varve_head::{AppendLimits, HeadConfig, Metrics, Partition};
use varve_log::{Disk, RealDisk, SegmentLog, SegmentLogConfig};
use varve_model::{Labels, TenantId, TimeRange, WINDOW_MS};
use varve_runtime::{Clock, ManualClock};
use varve_wire::batch::{BatchSeries, SeriesId, WriteBatch};

/// As the server has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const START_MS: i64 = 238_889 * WINDOW_MS;
const STEP_MS: i64 = 15_000;
/// Series of one append.
const BATCH: u64 = 2000;
/// Series of one of the appends that are measured.
const PROBE: u64 = 10;
const PAUSE: Duration = Duration::from_millis(2);

struct Rig {
    partition: Arc<Partition>,
    clock: Arc<ManualClock>,
    series: u64,
    /// Scrapes so far.
    scrapes: i64,
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip_while(|a| a != "--series");
    let series = arguments.nth(1).map_or(100_000, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(dir.path(), series).await;
    println!("{series} series, {} MiB\n", resident() >> 20);
    println!("| what | took ms | appends | median ms | 99 % ms | longest ms |");
    println!("|---|---|---|---|---|---|");
    rig.scrape(4).await;
    rig.probe("nothing", tokio::time::sleep(Duration::from_secs(3))).await;
    rig.seal("a first seal").await;
    for _ in 0..4 {
        rig.scrape(4).await;
        rig.seal("a seal").await;
    }
    rig.scrape(4).await;
    let partition = Arc::clone(&rig.partition);
    let end = partition.uncut().first().unwrap().window_end;
    rig.probe("a cut", async { partition.cut(end, true).await.unwrap().unwrap() }).await;
    let cut = partition.unfinished_cuts()[0];
    let versions = BTreeMap::from([(tenant(), 1)]);
    partition.shipped(&cut, versions).await.unwrap();
    let before = resident();
    let read = rig.probe("a snapshot of all", async {
        let partition = Arc::clone(&partition);
        let all = move || partition.select(&tenant(), &[], TimeRange::ALL);
        tokio::task::spawn_blocking(all).await.unwrap()
    });
    let read = read.await;
    let snapshot = resident().saturating_sub(before) / series;
    drop(read);
    rig.clock.advance(Duration::from_secs(3600));
    rig.seal("a seal that releases all").await;
    println!("\na snapshot takes {snapshot} bytes a series");
}

impl Rig {
    async fn new(dir: &std::path::Path, series: u64) -> Self {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let log =
            SegmentLog::open(Arc::clone(&disk), &dir.join("log"), SegmentLogConfig::default());
        let clock = Arc::new(ManualClock::new(START_MS));
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let (log, head) = (log.unwrap().partition(0), HeadConfig::default());
        let clocks: Arc<dyn Clock> = clock.clone();
        let partition = Partition::open(dir.join("head"), disk, log, head, clocks, metrics);
        let mut rig = Self { partition: partition.await.unwrap(), clock, series, scrapes: 0 };
        rig.scrape(1).await;
        rig
    }

    /// One or more samples of every series.
    async fn scrape(&mut self, times: u64) {
        for _ in 0..times {
            let time = START_MS + 1 + self.scrapes * STEP_MS;
            for first in (1..=self.series).step_by(BATCH as usize) {
                let references = first..=self.series.min(first + BATCH - 1);
                let batch = batch(references, time, self.scrapes == 0);
                let limits = AppendLimits::default();
                let outcome = self.partition.append(batch.encode(), limits).await.unwrap();
                assert!(outcome.unknown.is_empty() && outcome.refusals.is_empty());
            }
            self.scrapes += 1;
        }
    }

    async fn seal(&self, what: &str) {
        let partition = Arc::clone(&self.partition);
        self.probe(what, async move { partition.seal().await.unwrap() }).await;
    }

    /// Appends small batches while a work goes on.
    async fn probe<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
        let (partition, base) = (Arc::clone(&self.partition), START_MS + 1);
        let time = base + (self.scrapes - 1) * STEP_MS;
        let probe = tokio::spawn(async move {
            let mut took = Vec::new();
            let mut n = 0;
            while stopped.try_recv().is_err() {
                n += 1;
                let batch = batch(1..=PROBE, time + n, false).encode();
                let begun = Instant::now();
                partition.append(batch, AppendLimits::default()).await.unwrap();
                took.push(begun.elapsed());
                tokio::time::sleep(PAUSE).await;
            }
            took
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        let begun = Instant::now();
        let done = work.await;
        let whole = begun.elapsed();
        let _ = stop.send(());
        let mut took = probe.await.unwrap();
        took.sort_unstable();
        let ms = |d: Duration| d.as_secs_f64() * 1000.0;
        let at = |share: f64| ms(took[((took.len() - 1) as f64 * share) as usize]);
        println!(
            "| {what} | {:.0} | {} | {:.2} | {:.2} | {:.0} |",
            ms(whole),
            took.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        );
        done
    }
}

fn tenant() -> TenantId {
    TenantId::new("bench").unwrap()
}

/// One sample each; references are given out from 1 on.
fn batch(references: impl Iterator<Item = u64>, time: i64, new: bool) -> WriteBatch {
    let mut batch = WriteBatch::new(tenant());
    for reference in references {
        let id = if new { SeriesId::New(labels(reference)) } else { SeriesId::Known(reference) };
        let mut series = BatchSeries::new(id);
        series.floats.push(time, (reference as i64 ^ time) as f64, 0);
        batch.series.push(series);
    }
    batch
}

/// Labels of a Kubernetes target with 100 series.
fn labels(reference: u64) -> Labels {
    let pod = reference / 100;
    let labels = [
        ("__name__", format!("metric_{}", reference % 100)),
        ("app", format!("app-{}", pod % 30)),
        ("cluster", "cluster-1".to_owned()),
        ("container", "main".to_owned()),
        ("endpoint", "http".to_owned()),
        ("instance", format!("10.0.{}.{}:8080", pod / 256, pod % 256)),
        ("job", "kubernetes-pods".to_owned()),
        ("namespace", format!("namespace-{}", pod % 8)),
        ("node", format!("node-{}", pod % 200)),
        ("pod", format!("app-{}-{:x}", pod % 30, pod.wrapping_mul(0x9e37_79b9))),
        ("service", format!("app-{}", pod % 30)),
    ];
    Labels::from_pairs(labels).unwrap()
}

/// Bytes of memory that the process has.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    pages * 4096
}
