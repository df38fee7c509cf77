//! Native histograms that live through time as a real one does: they count
//! up, are reset, change resolution, hold observations that are no numbers.

use std::collections::BTreeMap;

use varve_model::{CUSTOM_BUCKETS_SCHEMA, Counts, Histogram, ResetHint, Span};

use super::random::Random;

/// The sets of bounds between which custom buckets change.
const BOUNDS: [&[f64]; 4] =
    [&[0.5, 2.5, 10.0], &[0.5, 1.0, 2.5, 10.0, 25.0], &[-1.0, 2.5, 7.5], &[1.0]];

/// What kind a series of histograms is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Bounds of its own rather than exponential ones.
    pub(crate) custom: bool,
    /// Float counts.
    pub(crate) float: bool,
    /// A gauge: counts go up and down, and it says so.
    pub(crate) gauge: bool,
}

/// A histogram that observes.
#[derive(Debug)]
pub(crate) struct Observer {
    kind: Kind,
    schema: i32,
    zero_threshold: f64,
    bounds: &'static [f64],
    zero: u64,
    positive: BTreeMap<i32, u64>,
    negative: BTreeMap<i32, u64>,
    /// Observations that are not a number.
    nan: u64,
    sum: f64,
    /// What one observation of a float histogram counts.
    weight: f64,
}

impl Observer {
    /// One that has seen nothing yet.
    pub(crate) fn new(kind: Kind, random: &mut Random) -> Self {
        let mut new = Self {
            kind,
            schema: 0,
            zero_threshold: random.choose(&[0.001, 0.001, 0.0, 1e-128]),
            bounds: BOUNDS[0],
            zero: 0,
            positive: BTreeMap::new(),
            negative: BTreeMap::new(),
            nan: 0,
            sum: 0.0,
            weight: if kind.float { random.choose(&[0.5, 1.0, 0.1, 3.0]) } else { 1.0 },
        };
        new.change_layout(random);
        new
    }

    /// Another resolution, zero bucket or set of bounds; counts begin anew.
    pub(crate) fn change_layout(&mut self, random: &mut Random) {
        self.reset();
        self.schema = random.choose(&[0, 1, 2, 3, -1, 0]);
        self.bounds = random.choose(&BOUNDS);
        if random.percent(30) {
            self.zero_threshold = random.choose(&[0.001, 0.01, 0.3, 0.0]);
        }
    }

    /// A counter that begins anew.
    pub(crate) fn reset(&mut self) {
        (self.zero, self.nan, self.sum) = (0, 0, 0.0);
        self.positive.clear();
        self.negative.clear();
    }

    /// Some more observations; now and then none, or one that is no number.
    pub(crate) fn observe(&mut self, random: &mut Random) {
        if self.kind.gauge {
            self.reset();
        }
        for _ in 0..random.choose(&[0, 1, 3, 8]) {
            let n = random.below(5) as u64;
            if self.kind.custom {
                let bucket = random.below(self.bounds.len() + 1) as i32;
                *self.positive.entry(bucket).or_default() += n;
            } else {
                let (side, far) = match random.weighted(&[1, 6, 2]) {
                    0 => (None, 0),
                    1 => (Some(&mut self.positive), random.between(-2, 7)),
                    _ => (Some(&mut self.negative), random.between(-1, 3)),
                };
                // No bucket lies within the zero bucket.
                let near = 2f64.powf((far - 1) as f64 * 2f64.powi(-self.schema));
                match side.filter(|_| near >= self.zero_threshold) {
                    Some(side) => *side.entry(far as i32).or_default() += n,
                    None => self.zero += n,
                }
            }
            self.sum += n as f64 * random.float(-1.0, 4.0);
        }
        if random.percent(1) {
            self.nan += 1;
        }
    }

    /// The histogram as it stands.
    pub(crate) fn histogram(&self) -> Histogram {
        let (positive_spans, positive) = spans(&self.positive);
        let (negative_spans, negative) = spans(&self.negative);
        let float = |counts: &[u64]| counts.iter().map(|c| *c as f64 * self.weight).collect();
        let counts = if self.kind.float {
            let (positive, negative): (Vec<f64>, Vec<f64>) = (float(&positive), float(&negative));
            let zero = self.zero as f64 * self.weight;
            let buckets = zero + negative.iter().sum::<f64>() + positive.iter().sum::<f64>();
            let count = buckets + self.nan as f64 * self.weight;
            Counts::Float { count, zero, positive, negative }
        } else {
            let buckets = positive.iter().sum::<u64>() + negative.iter().sum::<u64>();
            Counts::Int {
                count: self.zero + buckets + self.nan,
                zero: self.zero,
                positive,
                negative,
            }
        };
        Histogram {
            schema: if self.kind.custom { CUSTOM_BUCKETS_SCHEMA } else { self.schema },
            zero_threshold: if self.kind.custom { 0.0 } else { self.zero_threshold },
            sum: if self.nan > 0 { f64::NAN } else { self.sum },
            reset_hint: if self.kind.gauge { ResetHint::Gauge } else { ResetHint::Unknown },
            positive_spans,
            negative_spans,
            custom_bounds: if self.kind.custom { self.bounds.to_vec() } else { Vec::new() },
            counts,
        }
    }
}

/// Buckets by index as spans and counts.
fn spans(buckets: &BTreeMap<i32, u64>) -> (Vec<Span>, Vec<u64>) {
    let mut spans: Vec<Span> = Vec::new();
    let mut next = 0;
    for &index in buckets.keys() {
        match spans.last_mut() {
            Some(last) if index == next => last.length += 1,
            _ => spans.push(Span { offset: index - next, length: 1 }),
        }
        next = index + 1;
    }
    (spans, buckets.values().copied().collect())
}

/// The marker that a series of histograms is gone.
pub(crate) fn stale() -> Histogram {
    Histogram {
        schema: 0,
        zero_threshold: 0.0,
        sum: varve_model::stale_nan(),
        reset_hint: ResetHint::Unknown,
        positive_spans: Vec::new(),
        negative_spans: Vec::new(),
        custom_bounds: Vec::new(),
        counts: Counts::Int { count: 0, zero: 0, positive: Vec::new(), negative: Vec::new() },
    }
}
