//! How values move from scrape to scrape: counters in whole steps, gauges
//! with few digits, classic histograms whose buckets agree with each other.

use super::random::Random;

/// How a series moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Stays.
    Constant,
    /// Grows by 0 to twice the mean.
    Counter,
    /// Grows by 1 in one scrape of sixteen.
    RareCounter,
    /// A counter in hundredths, such as CPU seconds.
    Hundredths,
    /// Walks up and down in steps of 1.
    Whole,
    /// Walks up and down in thousandths.
    Thousandths,
    /// Walks up and down in pages of 4,096.
    Pages,
    /// Walks by a page in one scrape of ten.
    RarePages,
    /// A new value each time, of nine digits: how long something took.
    Nanoseconds,
    /// The first bucket of a histogram: draws what was observed, for all.
    FirstBucket,
    /// Another bucket.
    Bucket,
    /// The sum of a histogram: a sum of floats, with all their digits.
    Sum,
}

/// One series' value and what it needs to move.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    now: f64,
    /// Share of a histogram's observations in a bucket; unused elsewhere.
    share: f32,
    /// The mean step, or the observations a scrape.
    mean: u16,
    kind: Kind,
}

/// What one histogram has observed between two scrapes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Observed {
    count: f64,
    dither: f64,
}

impl Value {
    /// A series that begins now.
    pub fn new(kind: Kind, mean: u16, share: f32, random: &mut Random) -> Self {
        let now = match kind {
            Kind::Constant => f64::from(random.below(1000)),
            Kind::Whole => f64::from(50 + random.below(200)),
            Kind::Thousandths => f64::from(random.below(1_000_000)),
            Kind::Pages | Kind::RarePages => f64::from(10_000 + random.below(100_000)),
            _ => 0.0,
        };
        Self { now, share, mean, kind }
    }

    /// The value of the next scrape. Series of one histogram follow each
    /// other, and `observed` passes from one to the next.
    #[inline]
    pub fn step(&mut self, random: &mut Random, observed: &mut Observed) -> f64 {
        let mean = u32::from(self.mean);
        match self.kind {
            Kind::Constant => self.now,
            Kind::Counter => {
                self.now += f64::from(random.below(2 * mean + 1));
                self.now
            }
            Kind::RareCounter => {
                self.now += f64::from(u8::from(random.below(16) == 0));
                self.now
            }
            Kind::Hundredths => {
                self.now += f64::from(random.below(2 * mean + 1));
                self.now / 100.0
            }
            Kind::Whole => {
                self.now = (self.now + f64::from(random.below(7)) - 3.0).max(1.0);
                self.now
            }
            Kind::Thousandths => {
                let step = f64::from(random.below(2 * mean + 1)) - f64::from(mean);
                self.now = (self.now + step).max(0.0);
                self.now / 1000.0
            }
            Kind::Pages => self.pages(random),
            Kind::RarePages => match random.below(10) {
                0 => self.pages(random),
                _ => self.now * 4096.0,
            },
            Kind::Nanoseconds => f64::from(1_000_000 + random.below(20_000_000)) / 1e9,
            Kind::FirstBucket => {
                let count = f64::from(random.below(2 * mean + 1));
                *observed = Observed { count, dither: random.unit() };
                self.bucket(observed)
            }
            Kind::Bucket => self.bucket(observed),
            Kind::Sum => {
                self.now += observed.count * 0.05 * (0.5 + random.unit());
                self.now
            }
        }
    }

    fn pages(&mut self, random: &mut Random) -> f64 {
        self.now = (self.now + f64::from(random.below(129)) - 64.0).max(1.0);
        self.now * 4096.0
    }

    /// The same dither for all buckets keeps them in order.
    fn bucket(&mut self, observed: &Observed) -> f64 {
        self.now += (observed.count * f64::from(self.share) + observed.dither).floor();
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_stay_in_order_and_end_at_the_count() {
        let mut random = Random::new(1, 2);
        let shares = [0.1, 0.5, 0.9, 1.0, 1.0];
        let mut histogram: Vec<Value> = (0..shares.len())
            .map(|i| if i == 0 { Kind::FirstBucket } else { Kind::Bucket })
            .zip(shares)
            .map(|(kind, share)| Value::new(kind, 40, share, &mut random))
            .collect();
        let mut observed = Observed::default();
        for _ in 0..1000 {
            let now: Vec<f64> =
                histogram.iter_mut().map(|v| v.step(&mut random, &mut observed)).collect();
            assert!(now.is_sorted(), "{now:?}");
            assert_eq!(now[3], now[4]);
        }
        assert!(histogram[4].now > 20_000.0);
    }

    #[test]
    fn counters_never_fall() {
        let mut random = Random::new(3, 4);
        for kind in [Kind::Counter, Kind::RareCounter, Kind::Hundredths, Kind::Sum] {
            let mut value = Value::new(kind, 9, 0.0, &mut random);
            let mut observed = Observed { count: 3.0, dither: 0.5 };
            let all: Vec<f64> = (0..500).map(|_| value.step(&mut random, &mut observed)).collect();
            assert!(all.is_sorted() && all[499] > all[0], "{kind:?}");
        }
    }
}
