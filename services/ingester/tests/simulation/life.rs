//! One life of an ingester: start, see what is there, work until the disk
//! stops or the day ends.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use prometheus::Registry;
use rand::RngExt;
use tokio::sync::mpsc;
use tonic::{Request, Status};
use varve_bucket::{Bucket, BucketConfig, Catalog, CatalogConfig, Metrics};
use varve_ingester::{Config, Deps, Ingester, Running, start};
use varve_model::{Counts, Histogram, Labels, ResetHint, Span, WINDOW_MS};
use varve_runtime::config::{ByteSize, HumanDuration};
use varve_runtime::{Clock, Shutdown};
use varve_wire::batch::{BatchSeries, SeriesId, WriteBatch};
use varve_wire::v1;
use varve_wire::v1::ingest_server::Ingest;

use crate::model::{Fate, Value};
use crate::read::read;
use crate::world::{OPENING, PARTITIONS, RUNNING, World};

/// Series of a tenant in a partition.
const SERIES: u32 = 6;
/// Milliseconds between two times that samples can have.
const STEP_MS: i64 = 10 * 60_000;
/// A period without work of its own accord.
const NEVER: HumanDuration = HumanDuration(Duration::from_secs(1_000_000_000));

/// An ingester that runs.
struct Live {
    ingester: Ingester,
    catalog: Arc<Catalog>,
    _shutdown: Shutdown,
}

/// A series by its number, whether it is named by its labels, and its samples.
type SentSeries = (u32, bool, Vec<(i64, Value)>);

/// A batch and what it holds, series by series.
struct Sent {
    request: v1::AppendRequest,
    tenant: usize,
    partition: u32,
    series: Vec<SentSeries>,
}

fn config(disk_high_water: f64) -> Config {
    Config {
        seal_interval: NEVER,
        ship_check_interval: NEVER,
        hold: HumanDuration::from_secs(60),
        log_segment: ByteSize(32 << 10),
        disk_high_water,
        log_stepped: true,
        ..Config::default()
    }
}

impl World {
    /// Runs one life; an error is something that must not happen.
    pub(crate) async fn live(&mut self) -> Result<(), String> {
        self.phase.set(OPENING);
        let live = match self.start().await {
            Ok(live) => live,
            Err(error) => return self.excuse(&error).map_err(|e| format!("no start: {e}")),
        };
        if let Err(error) = self.check(&live, true).await {
            return self.excuse(&error);
        }
        self.phase.set(RUNNING);
        self.told.count("lives that served");
        for _ in 0..self.random.random_range(0..16) {
            if self.disk.has_crashed() {
                break;
            }
            let done = match self.random.random_range(0..100) {
                0..50 => {
                    self.append(&live).await;
                    Ok(())
                }
                50..64 => self.seal(&live).await,
                64..78 => self.ship(&live).await,
                78..84 => self.collect(&live).await,
                84..95 => {
                    self.wait();
                    Ok(())
                }
                _ => self.check(&live, false).await,
            };
            if let Err(error) = done {
                self.excuse(&error)?;
            }
        }
        Ok(())
    }

    /// Takes an error that the disk explains.
    fn excuse(&self, error: &str) -> Result<(), String> {
        self.say(|| error.to_owned());
        let failed = error.contains("simulated sync") && !error.contains("lost");
        if self.disk.has_crashed() || failed || (!self.healthy && error.starts_with("op ")) {
            return Ok(());
        }
        Err(error.to_owned())
    }

    async fn start(&mut self) -> Result<Live, String> {
        let bucket = BucketConfig { max_retries: 1, retry_pause_ms: 0, ..BucketConfig::default() };
        let metrics = Metrics::new(&Registry::new());
        let disk = Arc::new(self.disk.clone());
        let folder = Path::new("/bucket");
        let bucket = Bucket::in_folder(disk.clone(), folder, &bucket, metrics);
        let bucket = bucket.map_err(|e| format!("bucket: {e}"))?;
        let clock: Arc<dyn Clock> = self.clock.clone();
        let catalog = Catalog::open(bucket, clock.clone(), CatalogConfig::default());
        let catalog = Arc::new(catalog.map_err(|e| format!("catalog: {e}"))?);
        let shutdown = Shutdown::new();
        let deps = Deps {
            data_dir: self.scratch.path().to_owned(),
            partitions: PARTITIONS.to_vec(),
            catalog: Arc::clone(&catalog),
            clock,
            disk,
            registry: Registry::new(),
            shutdown: shutdown.register(1, "ingester"),
        };
        // On a disk that fills up, half of the lives find out the hard way.
        let mark = if self.random.random_bool(0.5) { 1.0 } else { 0.95 };
        let Running { ingester, .. } =
            start(config(mark), deps).await.map_err(|e| e.to_string())?;
        Ok(Live { ingester, catalog, _shutdown: shutdown })
    }

    /// Reads everything and holds it against what was promised.
    async fn check(&mut self, live: &Live, restarted: bool) -> Result<(), String> {
        let found =
            read(&live.ingester, &live.catalog, &self.tenants, &mut self.remembered).await?;
        self.say(|| format!("{} samples, versions {:?}", found.samples.len(), found.versions));
        self.say(|| format!("{:?} {:?}", found.samples, found.blocks));
        self.told.count("checks");
        for (tenant, before) in &self.versions {
            let now = found.versions.get(tenant).copied().unwrap_or(0);
            if now < *before {
                return Err(format!("the catalog of tenant {tenant} was at {before}, is at {now}"));
            }
        }
        if let Some(lost) = self.blocks.difference(&found.blocks).next() {
            return Err(format!("block {lost} was shipped and is not listed"));
        }
        self.model.check(&found.samples, restarted)?;
        self.versions = found.versions;
        self.blocks = found.blocks;
        Ok(())
    }

    /// A few batches at once.
    async fn append(&mut self, live: &Live) {
        let count = if self.random.random_bool(0.5) { 1 } else { self.random.random_range(2..5) };
        let sent: Vec<Sent> = (0..count).map(|n| self.batch(n, count)).collect();
        self.say(|| format!("append {count}"));
        let answers = sent.iter().map(|s| live.ingester.append(Request::new(s.request.clone())));
        let answers = join_all(answers).await;
        for (sent, answer) in sent.into_iter().zip(answers) {
            self.told.count("appends");
            self.learn(sent, answer.map(tonic::Response::into_inner));
        }
    }

    /// A batch of series that no other of the same group names.
    fn batch(&mut self, turn: u32, turns: u32) -> Sent {
        let tenant = self.random.random_range(0..self.tenants.len());
        let partition = PARTITIONS[self.random.random_range(0..PARTITIONS.len())];
        let mut batch = WriteBatch::new(self.tenants[tenant].clone());
        let mut series = Vec::new();
        for number in (0..SERIES).filter(|number| number % turns == turn) {
            if self.random.random_bool(0.4) {
                continue;
            }
            let known = self.references.get(&(tenant, partition, number)).copied();
            let known = known.filter(|_| self.random.random_bool(0.7));
            let id =
                known.map_or_else(|| SeriesId::New(labels(partition, number)), SeriesId::Known);
            let mut one = BatchSeries::new(id);
            let samples = self.samples(number);
            for (time, value) in &samples {
                match value {
                    Value::Float(bits) => one.floats.push(*time, f64::from_bits(*bits), 0),
                    Value::Histogram(bits) => one.histograms.push(*time, histogram(*bits), 0),
                }
            }
            batch.series.push(one);
            series.push((number, known.is_some(), samples));
        }
        let request = v1::AppendRequest {
            partition,
            batch: batch.encode(),
            out_of_order_window_ms: WINDOW_MS,
            ..Default::default()
        };
        Sent { request, tenant, partition, series }
    }

    /// Mostly new and in order; some late, some again, some of another value.
    fn samples(&mut self, series: u32) -> Vec<(i64, Value)> {
        let now = self.clock.now_ms() / STEP_MS;
        let count = self.random.random_range(1..5);
        let back = if self.random.random_bool(0.3) { self.random.random_range(0..14) } else { 0 };
        let other = self.random.random_bool(0.1);
        let slots = if other { 0..1 } else { 0..count };
        let value = |slot: i64| {
            let plain = (slot * 7 + i64::from(series)) as f64;
            let bits = if other { plain + 0.5 } else { plain }.to_bits();
            if series % 3 == 2 { Value::Histogram(bits) } else { Value::Float(bits) }
        };
        slots.map(|n| now - back - count + 1 + n).map(|s| (s * STEP_MS, value(s))).collect()
    }

    /// Notes what an answer promises.
    fn learn(&mut self, sent: Sent, answer: Result<v1::AppendResponse, Status>) {
        self.say(|| format!("{answer:?}"));
        let Sent { tenant, partition, series, .. } = sent;
        let answer = match answer {
            Ok(answer) if !answer.unknown.is_empty() => {
                // Nothing of it was taken.
                self.references.retain(|(t, p, _), _| (*t, *p) != (tenant, partition));
                return;
            }
            Ok(answer) => Some(answer),
            Err(_) => {
                self.told.count("appends without an answer");
                None
            }
        };
        let given = answer.iter().flat_map(|answer| answer.references.iter().copied());
        let new = series.iter().filter(|(_, known, _)| !known);
        for ((number, ..), reference) in new.zip(given) {
            self.references.insert((tenant, partition, *number), reference);
        }
        for (position, (number, _, samples)) in (0u32..).zip(series) {
            let refused = answer.as_ref().map(|answer| {
                let refusals = answer.refusals.iter().filter(|r| r.series == position);
                refusals.map(|r| r.count as usize).sum::<usize>()
            });
            let fate = match refused {
                Some(0) => Fate::Acknowledged,
                Some(all) if all == samples.len() => continue,
                _ => Fate::Unknown,
            };
            for (time, value) in samples {
                self.model.sent((tenant, partition, number, time), value, fate);
            }
        }
    }

    async fn seal(&mut self, live: &Live) -> Result<(), String> {
        self.say(|| "seal".to_owned());
        self.told.count("seals");
        let ingester = live.ingester.clone();
        self.interrupted(live, async move { ingester.seal_all().await }).await;
        Ok(())
    }

    async fn ship(&mut self, live: &Live) -> Result<(), String> {
        self.say(|| "ship".to_owned());
        let ingester = live.ingester.clone();
        let work = async move { ingester.ship(Request::new(v1::ShipRequest::default())).await };
        let answer = self.interrupted(live, work).await;
        let answer = answer.map_err(|e| format!("op ship: {e}"))?.into_inner();
        self.told.count("ships");
        for block in &answer.blocks {
            self.told.count("blocks");
            self.blocks.insert(block.parse().map_err(|_| format!("{block} is no id"))?);
        }
        Ok(())
    }

    async fn collect(&mut self, live: &Live) -> Result<(), String> {
        self.say(|| "collect".to_owned());
        for tenant in self.tenants.clone() {
            let catalog = Arc::clone(&live.catalog);
            let work = async move { varve_bucket::catalog::gc::collect(&catalog, &tenant).await };
            let report = self.interrupted(live, work).await;
            let report = report.map_err(|e| format!("op collect: {e}"))?;
            self.say(|| format!("{report:?}"));
            self.told.count("collections");
            if report.manifests > 0 {
                self.told.count("collections of versions");
            }
            if !report.orphans.is_empty() {
                self.told.count("collections of orphans");
            }
        }
        Ok(())
    }

    /// Does work; sometimes, in the middle of it, before some change that
    /// another thread makes for it, a group of appends comes and goes.
    async fn interrupted<T>(&mut self, live: &Live, work: impl Future<Output = T>) -> T {
        let (ask, mut asked) = mpsc::unbounded_channel();
        let here = std::thread::current().id();
        let after = if self.random.random_bool(0.4) { self.random.random_range(1..50) } else { 0 };
        let left = AtomicI64::new(after);
        let steps = self.steps.clone();
        let hook = move || {
            if std::thread::current().id() != here && left.fetch_sub(1, Ordering::Relaxed) == 1 {
                // Nobody asks for it any more, nobody is waited for.
                if ask.send(()).is_ok() {
                    steps.pause();
                }
            }
        };
        self.steps.use_threads(after > 0);
        self.disk.before_change(Some(Arc::new(hook)));
        let mut work = pin!(work);
        let done = loop {
            tokio::select! {
                biased;
                Some(()) = asked.recv() => {
                    self.told.count("interruptions");
                    self.append(live).await;
                    self.steps.resume();
                }
                done = &mut work => break done,
            }
        };
        self.disk.before_change(None);
        self.steps.use_threads(false);
        done
    }
}

fn labels(partition: u32, series: u32) -> Labels {
    Labels::from_pairs([
        ("__name__", format!("m{series}")),
        ("job", "sim".to_owned()),
        ("partition", partition.to_string()),
        ("series", series.to_string()),
    ])
    .unwrap()
}

fn histogram(bits: u64) -> Arc<Histogram> {
    let counts = Counts::Int { count: 5, zero: 2, positive: vec![1, 1], negative: Vec::new() };
    Arc::new(Histogram {
        schema: 1,
        zero_threshold: 0.5,
        sum: f64::from_bits(bits),
        reset_hint: ResetHint::Unknown,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        negative_spans: Vec::new(),
        custom_bounds: Vec::new(),
        counts,
    })
}
