//! What a distributor counts.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::Reason;
use crate::refusal::Refusals;

/// All metrics of a distributor.
pub struct Metrics {
    requests: IntCounterVec,
    seconds: Histogram,
    received: IntCounter,
    written: IntCounterVec,
    refused: IntCounterVec,
    references: IntCounterVec,
    unknown: IntCounter,
    cached: IntGauge,
    retries: IntCounter,
    overloaded: IntCounter,
    batch_bytes: IntCounter,
    batch_samples: IntCounter,
}

impl Metrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// When one of the names is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let c = IntCounter::new(format!("varve_distributor_{name}"), help)?;
            registry.register(Box::new(c.clone()))?;
            Ok(c)
        };
        let vec = |name: &str, help: &str, labels: &[&str]| -> Result<_, prometheus::Error> {
            let opts = Opts::new(format!("varve_distributor_{name}"), help);
            let c = IntCounterVec::new(opts, labels)?;
            registry.register(Box::new(c.clone()))?;
            Ok(c)
        };
        let seconds = Histogram::with_opts(
            HistogramOpts::new(
                "varve_distributor_request_duration_seconds",
                "Time from the body's arrival to the answer.",
            )
            .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0]),
        )?;
        registry.register(Box::new(seconds.clone()))?;
        let cached =
            IntGauge::new("varve_distributor_cached_references", "Series with a known reference.")?;
        registry.register(Box::new(cached.clone()))?;
        let metrics = Self {
            requests: vec("requests_total", "Answers by status.", &["protocol", "status"])?,
            seconds,
            received: counter("received_samples_total", "Samples in requests that were read.")?,
            written: vec("written_total", "What is durable, by kind.", &["kind"])?,
            refused: vec("refused_total", "What was refused for good, by reason.", &["reason"])?,
            references: vec("reference_lookups_total", "Lookups of known series.", &["result"])?,
            unknown: counter("unknown_references_total", "References that a head did not know.")?,
            cached,
            overloaded: counter(
                "overloaded_total",
                "Requests refused because those under way hold all room.",
            )?,
            retries: counter("append_retries_total", "Appends sent again.")?,
            batch_bytes: counter("batch_bytes_total", "Bytes of batches sent.")?,
            batch_samples: counter("batch_samples_total", "Samples in batches sent.")?,
        };
        for reason in Reason::ALL {
            metrics.refused.with_label_values(&[reason.as_str()]);
        }
        Ok(metrics)
    }

    pub(crate) fn request(&self, protocol: &str, status: u16, seconds: f64) {
        self.requests.with_label_values(&[protocol, &status.to_string()]).inc();
        self.seconds.observe(seconds);
    }

    pub(crate) fn received(&self, samples: u64) {
        self.received.inc_by(samples);
    }

    pub(crate) fn written(&self, samples: u64, histograms: u64, exemplars: u64) {
        for (kind, n) in [("float", samples), ("histogram", histograms), ("exemplar", exemplars)] {
            self.written.with_label_values(&[kind]).inc_by(n);
        }
    }

    pub(crate) fn refused(&self, refusals: &Refusals) {
        for (reason, n) in &refusals.counts {
            self.refused.with_label_values(&[reason.as_str()]).inc_by(*n);
        }
    }

    pub(crate) fn lookups(&self, [misses, hits]: [u64; 2]) {
        self.references.with_label_values(&["miss"]).inc_by(misses);
        self.references.with_label_values(&["hit"]).inc_by(hits);
    }

    pub(crate) fn unknown(&self, n: usize) {
        self.unknown.inc_by(n as u64);
    }

    pub(crate) fn cached(&self, n: usize) {
        self.cached.set(i64::try_from(n).unwrap_or(i64::MAX));
    }

    pub(crate) fn overloaded(&self) {
        self.overloaded.inc();
    }

    pub(crate) fn retried(&self) {
        self.retries.inc();
    }

    pub(crate) fn batch(&self, bytes: usize, samples: usize) {
        self.batch_bytes.inc_by(bytes as u64);
        self.batch_samples.inc_by(samples as u64);
    }
}
