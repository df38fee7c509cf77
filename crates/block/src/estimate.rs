//! What a select would have to read, told without reading it.

use std::ops::AddAssign;

use varve_model::TimeRange;

/// About how much a select would find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Series.
    pub series: u64,
    /// Samples of theirs that lie in the range.
    pub samples: u64,
    /// Coded bytes of these.
    pub bytes: u64,
}

impl Estimate {
    /// Adds what lies in `range` of samples that are spread evenly over
    /// `[min, max]`.
    pub fn add_spread(
        &mut self,
        (min, max): (i64, i64),
        samples: u64,
        bytes: u64,
        range: TimeRange,
    ) {
        let within = range.end.min(max) as f64 - (range.start.saturating_add(1)).max(min) as f64;
        let share = ((within + 1.0) / (max as f64 - min as f64 + 1.0)).clamp(0.0, 1.0);
        self.samples += (samples as f64 * share).round() as u64;
        self.bytes += (bytes as f64 * share).round() as u64;
    }
}

impl AddAssign for Estimate {
    fn add_assign(&mut self, other: Self) {
        self.series += other.series;
        self.samples += other.samples;
        self.bytes += other.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_share_within_the_range_counts() {
        let cases = [
            ((i64::MIN, i64::MAX), 100),
            ((0, 100), 100),
            ((50, 100), 50),
            ((0, 25), 25),
            ((100, 200), 0),
            ((-5, 0), 0),
        ];
        for ((start, end), expected) in cases {
            let mut estimate = Estimate::default();
            estimate.add_spread((1, 100), 100, 200, TimeRange::new(start, end));
            assert_eq!(
                (estimate.samples, estimate.bytes),
                (expected, 2 * expected),
                "{start} {end}"
            );
        }
    }
}
