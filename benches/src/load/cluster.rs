//! Feeds of the made-up cluster: each connection has every n-th batch of pods.
//!
//! A batch is one request a scrape, from a template; replaced pods make a
//! further request with their stale markers, and a new template.

use std::collections::VecDeque;
use std::io;

use super::feed::{Feed, Request};
use super::kube::{POD_SERIES, Pod, Shape};
use super::native::Native;
use super::protobuf::{self, TIME_BYTES};
use super::template::{Builder, Template};

/// What Prometheus marks ended series with: a NaN of its own.
pub const STALE: u64 = 0x7FF0_0000_0000_0002;

/// How much is sent and in which pieces.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The cluster.
    pub shape: Shape,
    /// Scrapes of each pod.
    pub scrapes: u64,
    /// Most samples of one request.
    pub request_samples: usize,
    /// Connections.
    pub connections: usize,
    /// Share of the series that are native histograms, beside the others.
    pub native: f64,
}

/// The feeds, one for each connection.
pub fn feeds(plan: &Plan) -> Vec<Box<dyn Feed>> {
    let pods = (plan.request_samples / POD_SERIES).max(1) as u32;
    let numbers: Vec<u32> = (0..plan.shape.pods).collect();
    let chunks: Vec<&[u32]> = numbers.chunks(pods as usize).collect();
    // Templates are built by all connections at once: it takes seconds for a
    // million series.
    std::thread::scope(|scope| {
        let one = |first: usize| {
            let mine: Vec<&[u32]> =
                chunks.iter().copied().skip(first).step_by(plan.connections).collect();
            scope.spawn(move || ClusterFeed::new(plan, &mine))
        };
        let begun: Vec<_> = (0..plan.connections).map(one).collect();
        let joined = begun.into_iter().filter_map(|thread| thread.join().ok());
        joined.map(|feed| Box::new(feed) as Box<dyn Feed>).collect()
    })
}

struct Batch {
    pods: Vec<Pod>,
    native: Vec<Native>,
    template: Template,
}

struct ClusterFeed {
    plan: Plan,
    batches: Vec<Batch>,
    builder: Builder,
    encoder: snap::raw::Encoder,
    /// The scrape and the batch that come next.
    at: (u64, usize),
    /// Further requests that go before the next batch, with their samples.
    extra: VecDeque<(Vec<u8>, u64)>,
    /// The one that was handed out last.
    sent: Vec<u8>,
    newest_ms: i64,
    times: Vec<[u8; TIME_BYTES]>,
    /// Whether the batch that comes next has been made ready.
    ready: bool,
}

impl ClusterFeed {
    fn new(plan: &Plan, batches: &[&[u32]]) -> Self {
        let mut builder = Builder::default();
        let make = |numbers: &&[u32]| {
            let begin = |number: &u32| {
                builder.target();
                let generation = plan.shape.generation(*number, 0);
                Pod::begin(&plan.shape, *number, generation, |labels| builder.push(labels))
            };
            let pods: Vec<Pod> = numbers.iter().map(begin).collect();
            let share = plan.native * POD_SERIES as f64;
            let native = pods.iter().flat_map(|pod| Native::of(pod, &plan.shape, share)).collect();
            Batch { pods, native, template: builder.finish() }
        };
        let batches = batches.iter().map(make).collect();
        Self {
            plan: plan.clone(),
            batches,
            builder,
            encoder: snap::raw::Encoder::new(),
            at: (0, 0),
            extra: VecDeque::new(),
            sent: Vec::new(),
            newest_ms: 0,
            times: Vec::new(),
            ready: false,
        }
    }

    /// Moves the next batch to its scrape.
    fn prepare(&mut self) -> io::Result<()> {
        let (scrape, at) = self.at;
        let shape = &self.plan.shape;
        let Some(batch) = self.batches.get_mut(at) else { return Ok(()) };
        self.times.clear();
        self.newest_ms = 0;
        let mut times = Vec::with_capacity(batch.pods.len());
        for pod in &mut batch.pods {
            let time = pod.time(shape, scrape);
            self.newest_ms = self.newest_ms.max(time);
            times.push(time);
            self.times.push(protobuf::time(time));
        }
        let replaced = |pod: &Pod| shape.generation(pod.number(), scrape) != pod.generation();
        if batch.pods.iter().any(replaced) {
            let (mut stale, mut ended) = (Vec::new(), 0);
            for (pod, time) in batch.pods.iter_mut().zip(&times) {
                let generation = shape.generation(pod.number(), scrape);
                self.builder.target();
                if generation == pod.generation() {
                    pod.labels(shape, |labels| self.builder.push(labels));
                    continue;
                }
                pod.labels(shape, |labels| {
                    protobuf::series(labels, f64::from_bits(STALE), *time, &mut stale);
                    ended += 1;
                });
                *pod = Pod::begin(shape, pod.number(), generation, |labels| {
                    self.builder.push(labels);
                });
            }
            batch.template = self.builder.finish();
            let share = self.plan.native * POD_SERIES as f64;
            let native = batch.pods.iter().flat_map(|pod| Native::of(pod, shape, share));
            batch.native = native.collect();
            self.extra.push_back((compress(&mut self.encoder, &stale)?, ended));
        }
        if !batch.native.is_empty() {
            let mut plain = Vec::new();
            for native in &mut batch.native {
                let first = batch.pods.first().map_or(0, Pod::number);
                let time = times.get((native.pod() - first) as usize).copied().unwrap_or_default();
                native.step(time, &mut plain);
            }
            let count = batch.native.len() as u64;
            self.extra.push_back((compress(&mut self.encoder, &plain)?, count));
        }
        batch.template.fill(batch.pods.iter_mut().flat_map(Pod::step));
        batch.template.set_times(&self.times);
        Ok(())
    }
}

fn compress(encoder: &mut snap::raw::Encoder, plain: &[u8]) -> io::Result<Vec<u8>> {
    encoder.compress_vec(plain).map_err(io::Error::other)
}

impl Feed for ClusterFeed {
    fn next(&mut self) -> io::Result<Option<Request<'_>>> {
        let (scrape, batch) = self.at;
        if scrape >= self.plan.scrapes || self.batches.is_empty() {
            return Ok(None);
        }
        if !self.ready {
            self.prepare()?;
            self.ready = true;
        }
        let newest_ms = self.newest_ms;
        if let Some((body, samples)) = self.extra.pop_front() {
            self.sent = body;
            return Ok(Some(Request { body: &self.sent, samples, newest_ms, scrape }));
        }
        self.ready = false;
        self.at =
            if batch + 1 < self.batches.len() { (scrape, batch + 1) } else { (scrape + 1, 0) };
        let template = &self.batches[batch].template;
        let samples = template.series() as u64;
        Ok(Some(Request { body: template.body(), samples, newest_ms, scrape }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_as_small_as_those_of_a_usual_compressor() {
        let shape = Shape {
            pods: 20,
            seed: 1,
            start_ms: 1_795_000_000_000,
            interval_ms: 15_000,
            jitter_ms: 5,
            churn: 0.0,
            rollout: None,
        };
        let plan = Plan { shape, scrapes: 5, request_samples: 2000, connections: 1, native: 0.0 };
        let mut feed = feeds(&plan).pop().unwrap();
        while let Some(request) = feed.next().unwrap() {
            let plain = snap::raw::Decoder::new().decompress_vec(request.body).unwrap();
            let usual = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
            let (ours, usual) = (request.body.len(), usual.len());
            assert!(ours.abs_diff(usual) * 4 < usual, "{ours} B against {usual} B");
        }
    }
}
