//! Traffic of one writer whose every sample can be computed from its series
//! and time: floats, NaNs, stale markers, integer and float histograms; in
//! order and out of order; new series all the time.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use varve_model::{Counts, Histogram, Labels, Series, Span};
use varve_wire::prompb::{RequestV2, compress, request_v1};

use crate::client;

/// A series by number, and a tick.
pub type Sample = (u32, i64);

/// Milliseconds of a tick.
pub const TICK_MS: i64 = 30_000;
/// The time of tick 0, in milliseconds.
pub const T0: i64 = 1_700_000_000_000 / TICK_MS * TICK_MS;
/// Series that a writer writes at once.
const ACTIVE: usize = 16;

/// The time of a tick, in milliseconds.
pub fn time_ms(tick: i64) -> i64 {
    T0 + tick * TICK_MS
}

/// What a sample holds.
#[derive(Clone, Debug)]
pub enum Held {
    /// A number, NaN included.
    Float(f64),
    /// The stale marker.
    Stale,
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

/// The value of a sample: always the same, another one for each neighbour.
pub fn held(writer: u32, (id, tick): Sample) -> Held {
    let mixed = i64::from(id) * 7919 + tick * 31 + i64::from(writer) * 104_729;
    let number = (mixed % 1_000_003) as f64 / 4.0;
    match id % 8 {
        5 if tick % 5 == 0 => Held::Stale,
        5 if tick % 7 == 0 => Held::Float(f64::NAN),
        6 => Held::Histogram(Arc::new(histogram(id, tick, number, false))),
        7 => Held::Histogram(Arc::new(histogram(id, tick, number, true))),
        _ => Held::Float(number),
    }
}

fn counts(id: u32, tick: i64) -> [u64; 3] {
    [tick.unsigned_abs() % 3, 1 + tick.unsigned_abs() % 7, 2 + u64::from(id) % 5]
}

fn histogram(id: u32, tick: i64, sum: f64, floats: bool) -> Histogram {
    let [zero, low, high] = counts(id, tick);
    let counts = if floats {
        let [zero, low, high] = [zero, low, high].map(|c| c as f64 + 0.5);
        Counts::Float {
            count: zero + low + high,
            zero,
            positive: vec![low, high],
            negative: vec![],
        }
    } else {
        let count = zero + low + high;
        Counts::Int { count, zero, positive: vec![low, high], negative: vec![] }
    };
    Histogram {
        schema: 0,
        zero_threshold: 0.001,
        sum,
        reset_hint: Default::default(),
        positive_spans: vec![Span { offset: 1, length: 2 }],
        negative_spans: Vec::new(),
        custom_bounds: Vec::new(),
        counts,
    }
}

/// A sample's value as the query API shows it; `None` for a stale marker,
/// which it does not show.
pub fn shown(writer: u32, sample: Sample) -> Option<Value> {
    let held = held(writer, sample);
    let number = |v: f64| if v.is_nan() { "NaN".to_owned() } else { v.to_string() };
    match &held {
        Held::Stale => None,
        Held::Float(v) => Some(json!(number(*v))),
        Held::Histogram(h) => {
            let add = if matches!(h.counts, Counts::Float { .. }) { 0.5 } else { 0.0 };
            let [zero, low, high] = counts(sample.0, sample.1).map(|c| c as f64 + add);
            let mut buckets = Vec::new();
            if zero > 0.0 {
                buckets.push(json!([3, "-0.001", "0.001", number(zero)]));
            }
            buckets.push(json!([0, "1", "2", number(low)]));
            buckets.push(json!([0, "2", "4", number(high)]));
            let count = number(zero + low + high);
            Some(json!({"count": count, "sum": number(h.sum), "buckets": buckets}))
        }
    }
}

/// The labels of a series.
pub fn labels(writer: u32, id: u32) -> Vec<(String, String)> {
    [
        ("__name__", "kills".to_owned()),
        ("id", id.to_string()),
        ("pod", format!("pod-{}-{id:x}", id.wrapping_mul(2_654_435_761))),
        ("writer", writer.to_string()),
    ]
    .map(|(n, v)| (n.to_owned(), v))
    .to_vec()
}

/// A request: what it holds, how it is said, and its bytes.
pub struct Batch {
    /// Every sample in it.
    pub samples: Vec<Sample>,
    /// Its content type.
    pub content_type: &'static str,
    /// Its body.
    pub body: bytes::Bytes,
    /// Float and histogram samples in it.
    pub counts: [usize; 2],
}

/// The traffic of one writer.
pub struct Traffic {
    writer: u32,
    random: StdRng,
    tick: i64,
    next: u32,
    active: Vec<u32>,
    /// Samples passed over, to come later.
    holes: Vec<Sample>,
}

impl Traffic {
    /// The traffic of a seed. Odd writers speak remote write 2.0.
    pub fn new(writer: u32, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed ^ (u64::from(writer) << 48));
        let active = (0..ACTIVE as u32).collect();
        Self { writer, random, tick: 0, next: ACTIVE as u32, active, holes: Vec::new() }
    }

    /// The next request: at `tick`, or one after the last when that is later.
    pub fn next(&mut self, tick: i64) -> Batch {
        self.tick = tick.max(self.tick + 1);
        if self.random.random_bool(0.3) {
            self.active.push(self.next);
            self.next += 1;
            if self.active.len() > ACTIVE {
                self.active.remove(0);
            }
        }
        let mut samples = Vec::new();
        for id in self.active.clone() {
            let late = self.random.random_bool(0.1);
            if late { &mut self.holes } else { &mut samples }.push((id, self.tick));
        }
        // Those behind the newest of their series, and some of old series.
        while !self.holes.is_empty() && self.random.random_bool(0.5) {
            let i = self.random.random_range(0..self.holes.len());
            samples.push(self.holes.swap_remove(i));
        }
        self.batch(samples)
    }

    /// Whether to take a step of this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.random.random_bool(probability)
    }

    fn batch(&self, mut samples: Vec<Sample>) -> Batch {
        samples.sort_unstable();
        let mut all: BTreeMap<u32, Series> = BTreeMap::new();
        let mut counts = [0, 0];
        for &(id, tick) in &samples {
            let series = all.entry(id).or_insert_with(|| {
                let labels = Labels::from_pairs(labels(self.writer, id));
                let labels = labels.expect("valid labels");
                Series { labels, floats: Default::default(), histograms: Default::default() }
            });
            let time = time_ms(tick);
            match held(self.writer, (id, tick)) {
                Held::Float(v) => series.floats.push(time, v, 0),
                Held::Stale => series.floats.push(time, varve_model::stale_nan(), 0),
                Held::Histogram(h) => series.histograms.push(time, h, 0),
            }
            counts[usize::from(id % 8 >= 6)] += 1;
        }
        let all: Vec<Series> = all.into_values().collect();
        let (content_type, body) = if self.writer % 2 == 1 {
            let mut request = RequestV2::new();
            all.iter().for_each(|s| request.push(s, &[], None));
            (client::V2, compress(&request.finish()))
        } else {
            (client::V1, compress(&request_v1(&all)))
        };
        Batch { samples, content_type, body: body.into(), counts }
    }
}
