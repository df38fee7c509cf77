//! Native histograms: exponential buckets at schema 3 whose counts grow.
//!
//! Fields of `Histogram`: `count_int = 1`, `sum = 3`, `schema = 4`,
//! `zero_threshold = 5`, `zero_count_int = 6`, `positive_spans = 11`,
//! `positive_deltas = 12`, `timestamp = 15`.

use super::kube::{Pod, Shape};
use super::protobuf::{field, series_head, varint, zigzag};
use super::random::Random;

const SCHEMA: i64 = 3;
const BUCKETS: usize = 24;

/// One series of native histograms.
#[derive(Debug)]
pub struct Native {
    pod: u32,
    labels: Vec<u8>,
    random: Random,
    buckets: [u64; BUCKETS],
    zero: u64,
    sum: f64,
}

impl Native {
    /// As many for a pod as make up `share` a pod on average.
    pub fn of(pod: &Pod, shape: &Shape, share: f64) -> Vec<Self> {
        let thing = u64::from(pod.number()) << 32 | u64::from(pod.generation());
        let mut random = Random::new(shape.seed ^ 0x4157, thing);
        let count = (share + random.unit()) as u64;
        let one = |n: u64| Self {
            pod: pod.number(),
            labels: pod.extra(shape, &format!("native_latency_{n}_seconds")),
            random: Random::new(shape.seed ^ (n + 1), thing),
            buckets: [0; BUCKETS],
            zero: 0,
            sum: 0.0,
        };
        (0..count).map(one).collect()
    }

    /// The pod that it belongs to.
    pub fn pod(&self) -> u32 {
        self.pod
    }

    /// Appends the series with the histogram of the next scrape.
    pub fn step(&mut self, time: i64, out: &mut Vec<u8>) {
        for _ in 0..self.random.below(12) {
            // The sum of two draws: more in the middle than at the ends.
            let half = BUCKETS as u32 / 2;
            let bucket = self.random.below(half) + self.random.below(half + 1);
            self.buckets[bucket as usize] += 1;
            self.sum += 0.001 * self.random.unit() * f64::from(1 + bucket);
        }
        let mut histogram = Vec::with_capacity(96);
        histogram.push(0x08);
        varint(self.zero + self.buckets.iter().sum::<u64>(), &mut histogram);
        histogram.push(0x19);
        histogram.extend_from_slice(&self.sum.to_le_bytes());
        histogram.push(0x20);
        varint(zigzag(SCHEMA), &mut histogram);
        histogram.push(0x29);
        histogram.extend_from_slice(&1e-9f64.to_le_bytes());
        histogram.push(0x30);
        varint(self.zero, &mut histogram);
        let mut span = vec![0x08];
        varint(zigzag(-60), &mut span);
        span.push(0x10);
        varint(BUCKETS as u64, &mut span);
        field(0x5A, &span, &mut histogram);
        let (mut deltas, mut before) = (Vec::new(), 0);
        for count in self.buckets {
            varint(zigzag(count as i64 - before), &mut deltas);
            before = count as i64;
        }
        field(0x62, &deltas, &mut histogram);
        histogram.push(0x78);
        varint(time as u64, &mut histogram);
        let mut content = self.labels.clone();
        field(0x22, &histogram, &mut content);
        series_head(content.len(), out);
        out.extend_from_slice(&content);
    }
}
