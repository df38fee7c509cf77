//! Native histograms: exponential and custom buckets, integer and float
//! counts, counters and gauges.
//!
//! The layout is Prometheus': spans say which buckets are populated, counts
//! hold one entry a bucket. Integer counts are kept absolute here; the delta
//! form of the wire is made and undone at the edge.

/// The schema number that means custom bucket bounds.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;
/// The coarsest exponential schema.
pub const MIN_EXPONENTIAL_SCHEMA: i32 = -4;
/// The finest exponential schema.
pub const MAX_EXPONENTIAL_SCHEMA: i32 = 8;

/// A run of populated buckets: how many to skip, how many follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Gap to the end of the span before it; of the first one, the index of
    /// its first bucket. Only the first may be negative.
    pub offset: i32,
    /// Number of consecutive buckets.
    pub length: u32,
}

/// What a histogram says of a counter reset before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ResetHint {
    /// Has to be found out by comparing.
    #[default]
    Unknown = 0,
    /// There was a reset.
    CounterReset = 1,
    /// There was none.
    NotCounterReset = 2,
    /// Not a counter.
    Gauge = 3,
}

/// The counts of a histogram, in the kind in which they were sent.
#[derive(Clone, Debug)]
pub enum Counts {
    /// Integer counts, absolute.
    Int {
        /// Number of observations.
        count: u64,
        /// Observations in the zero bucket.
        zero: u64,
        /// One count a positive bucket, in span order.
        positive: Vec<u64>,
        /// One count a negative bucket, in span order.
        negative: Vec<u64>,
    },
    /// Float counts.
    Float {
        /// Number of observations.
        count: f64,
        /// Observations in the zero bucket.
        zero: f64,
        /// One count a positive bucket, in span order.
        positive: Vec<f64>,
        /// One count a negative bucket, in span order.
        negative: Vec<f64>,
    },
}

/// One native histogram.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// −4 to 8: bucket bounds are powers of 2^(2^−schema); −53: `custom_bounds`.
    pub schema: i32,
    /// Half width of the zero bucket.
    pub zero_threshold: f64,
    /// Sum of observations. The stale marker here marks the series as gone.
    pub sum: f64,
    /// What is known of a reset before it.
    pub reset_hint: ResetHint,
    /// Populated positive buckets.
    pub positive_spans: Vec<Span>,
    /// Populated negative buckets; none with custom bounds.
    pub negative_spans: Vec<Span>,
    /// Upper bounds of custom buckets, strictly increasing, without +Inf.
    pub custom_bounds: Vec<f64>,
    /// The counts.
    pub counts: Counts,
}

/// Why a histogram was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HistogramError {
    /// Neither −4 to 8 nor −53.
    #[error("histogram schema {0} is not supported: use -4 to 8, or -53 for custom buckets")]
    Schema(i32),
    /// Spans and counts disagree.
    #[error("histogram has {counts} {side} counts but its spans name {spans} buckets")]
    SpanCounts {
        /// "positive" or "negative".
        side: &'static str,
        /// Number of counts.
        counts: usize,
        /// Number of buckets in the spans.
        spans: u64,
    },
    /// A span after the first goes back.
    #[error("histogram {side} span {index} has the negative offset {offset}")]
    SpanOffset {
        /// "positive" or "negative".
        side: &'static str,
        /// Which span.
        index: usize,
        /// Its offset.
        offset: i32,
    },
    /// A bucket's count went below zero.
    #[error("histogram {side} bucket {index} has the negative count {count}")]
    NegativeCount {
        /// "positive" or "negative".
        side: &'static str,
        /// Which bucket.
        index: usize,
        /// Its count.
        count: f64,
    },
    /// The count is smaller than the sum of the buckets.
    #[error("histogram count {count} does not fit the {buckets} observations in its buckets")]
    CountMismatch {
        /// The count sent.
        count: f64,
        /// The sum of zero, positive and negative buckets.
        buckets: f64,
    },
    /// Custom bounds are not finite and strictly increasing.
    #[error("histogram custom bounds must be finite and strictly increasing, bound {0} is not")]
    CustomBounds(usize),
    /// Custom buckets with negative buckets, a zero bucket or a zero threshold.
    #[error("histogram with custom buckets must not have {0}")]
    CustomWith(&'static str),
    /// More buckets than bounds.
    #[error("histogram has {bounds} custom bounds, too few for bucket {bucket}")]
    CustomTooFew {
        /// Number of bounds.
        bounds: usize,
        /// The highest bucket index in use.
        bucket: i64,
    },
    /// Exponential buckets with custom bounds.
    #[error("histogram with schema {0} must not have custom bounds")]
    ExponentialWithBounds(i32),
    /// A number that cannot be a zero threshold.
    #[error("histogram zero threshold {0} is negative or not a number")]
    ZeroThreshold(f64),
}

impl Histogram {
    /// The number of observations.
    pub fn count(&self) -> f64 {
        match &self.counts {
            Counts::Int { count, .. } => *count as f64,
            Counts::Float { count, .. } => *count,
        }
    }

    /// The observations in the zero bucket.
    pub fn zero_count(&self) -> f64 {
        match &self.counts {
            Counts::Int { zero, .. } => *zero as f64,
            Counts::Float { zero, .. } => *zero,
        }
    }

    /// Whether the buckets have custom bounds.
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Whether it marks the series as gone.
    pub fn is_stale(&self) -> bool {
        crate::is_stale(self.sum)
    }

    /// The same histogram with float counts, as PromQL computes on.
    pub fn to_float(&self) -> Self {
        let counts = match &self.counts {
            Counts::Int { count, zero, positive, negative } => Counts::Float {
                count: *count as f64,
                zero: *zero as f64,
                positive: positive.iter().map(|c| *c as f64).collect(),
                negative: negative.iter().map(|c| *c as f64).collect(),
            },
            floats @ Counts::Float { .. } => floats.clone(),
        };
        Self {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            sum: self.sum,
            reset_hint: self.reset_hint,
            positive_spans: self.positive_spans.clone(),
            negative_spans: self.negative_spans.clone(),
            custom_bounds: self.custom_bounds.clone(),
            counts,
        }
    }

    /// Bytes of memory behind this value.
    pub fn memory(&self) -> usize {
        let buckets = match &self.counts {
            Counts::Int { positive, negative, .. } => positive.len() + negative.len(),
            Counts::Float { positive, negative, .. } => positive.len() + negative.len(),
        };
        size_of::<Self>()
            + 8 * (self.positive_spans.len() + self.negative_spans.len())
            + 8 * (self.custom_bounds.len() + buckets)
    }

    /// Checks what Prometheus' `Histogram.Validate` checks.
    pub fn validate(&self) -> Result<(), HistogramError> {
        if self.uses_custom_buckets() {
            self.validate_custom()?;
        } else if !(MIN_EXPONENTIAL_SCHEMA..=MAX_EXPONENTIAL_SCHEMA).contains(&self.schema) {
            return Err(HistogramError::Schema(self.schema));
        } else if !self.custom_bounds.is_empty() {
            return Err(HistogramError::ExponentialWithBounds(self.schema));
        } else if self.zero_threshold < 0.0 || self.zero_threshold.is_nan() {
            return Err(HistogramError::ZeroThreshold(self.zero_threshold));
        }
        match &self.counts {
            Counts::Int { count, zero, positive, negative } => {
                check_spans("positive", &self.positive_spans, positive.len())?;
                check_spans("negative", &self.negative_spans, negative.len())?;
                let buckets =
                    positive.iter().chain(negative).fold(*zero, |sum, c| sum.saturating_add(*c));
                // With a NaN sum some observations may be in no bucket.
                let fits = if self.sum.is_nan() { buckets <= *count } else { buckets == *count };
                if !fits && !self.is_stale() {
                    let (count, buckets) = (*count as f64, buckets as f64);
                    return Err(HistogramError::CountMismatch { count, buckets });
                }
            }
            Counts::Float { count, zero, positive, negative } => {
                check_spans("positive", &self.positive_spans, positive.len())?;
                check_spans("negative", &self.negative_spans, negative.len())?;
                check_float_counts("positive", positive)?;
                check_float_counts("negative", negative)?;
                for (side, value) in [("zero", *zero), ("total", *count)] {
                    if value < 0.0 {
                        let (index, count) = (0, value);
                        return Err(HistogramError::NegativeCount { side, index, count });
                    }
                }
            }
        }
        Ok(())
    }

    fn validate_custom(&self) -> Result<(), HistogramError> {
        let increasing = |(i, w): (usize, &[f64])| (w[0] >= w[1]).then_some(i + 1);
        let bad = self.custom_bounds.iter().position(|b| !b.is_finite());
        if let Some(i) = bad.or(self.custom_bounds.windows(2).enumerate().find_map(increasing)) {
            return Err(HistogramError::CustomBounds(i));
        }
        if !self.negative_spans.is_empty() {
            return Err(HistogramError::CustomWith("negative buckets"));
        }
        if self.zero_count() != 0.0 {
            return Err(HistogramError::CustomWith("a zero bucket"));
        }
        if self.zero_threshold != 0.0 {
            return Err(HistogramError::CustomWith("a zero threshold"));
        }
        let end: i64 =
            self.positive_spans.iter().map(|s| i64::from(s.offset) + i64::from(s.length)).sum();
        if end > self.custom_bounds.len() as i64 + 1 {
            let (bounds, bucket) = (self.custom_bounds.len(), end - 1);
            return Err(HistogramError::CustomTooFew { bounds, bucket });
        }
        if let Some(first) = self.positive_spans.first().filter(|s| s.offset < 0) {
            let (side, index, offset) = ("positive", 0, first.offset);
            return Err(HistogramError::SpanOffset { side, index, offset });
        }
        Ok(())
    }
}

fn check_spans(side: &'static str, spans: &[Span], counts: usize) -> Result<(), HistogramError> {
    if let Some((index, span)) = spans.iter().enumerate().skip(1).find(|(_, s)| s.offset < 0) {
        return Err(HistogramError::SpanOffset { side, index, offset: span.offset });
    }
    let named: u64 = spans.iter().map(|s| u64::from(s.length)).sum();
    if named != counts as u64 {
        return Err(HistogramError::SpanCounts { side, counts, spans: named });
    }
    Ok(())
}

fn check_float_counts(side: &'static str, counts: &[f64]) -> Result<(), HistogramError> {
    match counts.iter().enumerate().find(|(_, c)| **c < 0.0) {
        Some((index, &count)) => Err(HistogramError::NegativeCount { side, index, count }),
        None => Ok(()),
    }
}

/// Histograms are equal when they hold the same bits.
impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        self.schema == other.schema
            && self.zero_threshold.to_bits() == other.zero_threshold.to_bits()
            && self.sum.to_bits() == other.sum.to_bits()
            && self.reset_hint == other.reset_hint
            && self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans
            && bits(&self.custom_bounds) == bits(&other.custom_bounds)
            && self.counts == other.counts
    }
}

/// Counts are equal when they are of one kind and hold the same bits.
impl PartialEq for Counts {
    fn eq(&self, other: &Self) -> bool {
        let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        match (self, other) {
            (
                Self::Int { count, zero, positive, negative },
                Self::Int { count: c, zero: z, positive: p, negative: n },
            ) => (count, zero, positive, negative) == (c, z, p, n),
            (
                Self::Float { count, zero, positive, negative },
                Self::Float { count: c, zero: z, positive: p, negative: n },
            ) => {
                count.to_bits() == c.to_bits()
                    && zero.to_bits() == z.to_bits()
                    && bits(positive) == bits(p)
                    && bits(negative) == bits(n)
            }
            _ => false,
        }
    }
}
