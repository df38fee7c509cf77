//! What a series, its samples, histograms and exemplars must be.
//!
//! Labels are checked once per series: a reference in the cache stands for
//! labels that passed. Each refusal names the value, the limit and, through
//! its reason, the setting.

use std::sync::Arc;

use varve_model::{Exemplar, Histogram, Labels, LabelsError, METRIC_NAME};
use varve_wire::batch::Samples;
use varve_wire::remote_write::{RawExemplar, RawHistogram};

use crate::Limits;
use crate::refusal::{Reason, Refusals};

/// The longest labels of an exemplar, in characters (OpenMetrics).
const MAX_EXEMPLAR_RUNES: usize = 128;

/// The times that samples may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) now: i64,
    /// Times up to here are too old; `i64::MIN` = none is.
    pub(crate) too_old: i64,
    /// Times after this are too far in the future.
    pub(crate) newest: i64,
}

impl Times {
    pub(crate) fn new(now: i64, limits: &Limits) -> Self {
        let retention = limits.retention.as_ms();
        let too_old = if retention == 0 { i64::MIN } else { now.saturating_sub(retention) };
        Self { now, too_old, newest: now.saturating_add(limits.creation_grace_period.as_ms()) }
    }

    fn refuses(&self, t: i64) -> Option<Reason> {
        if t > self.newest {
            Some(Reason::FarFuture)
        } else if t <= self.too_old && self.too_old != i64::MIN {
            Some(Reason::TooOld)
        } else {
            None
        }
    }

    fn detail(&self, reason: Reason, t: i64) -> String {
        let now = self.now;
        match reason {
            Reason::FarFuture => {
                let (by, limit) = (t.saturating_sub(now), self.newest.saturating_sub(now));
                format!("sample is {by} ms ahead of the clock, the limit is {limit} ms")
            }
            _ => {
                let (by, limit) = (now.saturating_sub(t), now.saturating_sub(self.too_old));
                format!("sample is {by} ms old, samples are kept for {limit} ms")
            }
        }
    }
}

/// Checks the labels of a new series and makes the label set.
pub(crate) fn labels(pairs: &[(&str, &str)], limits: &Limits) -> Result<Labels, (Reason, String)> {
    let over = |limit: u32, got: usize| limit > 0 && got > limit as usize;
    let limit = limits.max_label_names_per_series;
    if over(limit, pairs.len()) {
        let detail = format!("series has {} labels, the limit is {limit}", pairs.len());
        return Err((Reason::TooManyLabels, detail));
    }
    for (name, value) in pairs {
        let limit = limits.max_label_name_length;
        if over(limit, name.len()) {
            let (name, len) = (shorten(name), name.len());
            let detail = format!("label name {name:?} is {len} bytes long, the limit is {limit}");
            return Err((Reason::LabelNameTooLong, detail));
        }
        let limit = limits.max_label_value_length;
        if over(limit, value.len()) {
            let len = value.len();
            let detail =
                format!("value of label {name:?} is {len} bytes long, the limit is {limit}");
            return Err((Reason::LabelValueTooLong, detail));
        }
    }
    if !pairs.iter().any(|(n, v)| *n == METRIC_NAME && !v.is_empty()) {
        let detail = "series has no metric name (label __name__)".to_owned();
        return Err((Reason::MissingMetricName, detail));
    }
    Labels::from_pairs(pairs.iter().copied()).map_err(|e| {
        let reason = match e {
            LabelsError::Duplicate(_) => Reason::DuplicateLabel,
            _ => Reason::InvalidLabels,
        };
        (reason, e.to_string())
    })
}

/// Drops samples with times that are not allowed.
pub(crate) fn floats(
    mut samples: Samples<f64>,
    times: &Times,
    ordinal: u32,
    refusals: &mut Refusals,
) -> Samples<f64> {
    if samples.iter().any(|s| times.refuses(s.time).is_some()) {
        samples.retain(|s| {
            let refused = times.refuses(s.time);
            if let Some(r) = refused {
                refusals.add(r, 1, (Some(ordinal), Some(s.time)), || times.detail(r, s.time));
            }
            refused.is_none()
        });
    }
    samples
}

/// Drops histograms with times that are not allowed or contradictions.
pub(crate) fn histograms(
    raw: &mut Vec<RawHistogram>,
    times: &Times,
    limits: &Limits,
    ordinal: u32,
    refusals: &mut Refusals,
) -> Samples<Arc<Histogram>> {
    let mut out = Samples::default();
    for RawHistogram { time, start, value } in raw.drain(..) {
        let place = (Some(ordinal), Some(time));
        if let Some(r) = times.refuses(time) {
            refusals.add(r, 1, place, || times.detail(r, time));
            continue;
        }
        let checked = value.and_then(|h| h.validate().map(|()| h));
        match checked {
            Err(e) => refusals.add(Reason::InvalidHistogram, 1, place, || e.to_string()),
            Ok(h) => {
                let buckets = buckets(&h);
                let limit = limits.max_native_histogram_buckets;
                if limit > 0 && buckets > limit as usize {
                    refusals.add(Reason::TooManyBuckets, 1, place, || {
                        format!("histogram has {buckets} buckets, the limit is {limit}")
                    });
                } else {
                    out.push(time, h.into(), start);
                }
            }
        }
    }
    out
}

fn buckets(h: &Histogram) -> usize {
    match &h.counts {
        varve_model::Counts::Int { positive, negative, .. } => positive.len() + negative.len(),
        varve_model::Counts::Float { positive, negative, .. } => positive.len() + negative.len(),
    }
}

/// Drops exemplars with times or labels that are not allowed.
pub(crate) fn exemplars(
    raw: &mut Vec<RawExemplar>,
    times: &Times,
    ordinal: u32,
    refusals: &mut Refusals,
) -> Vec<Exemplar> {
    let mut out = Vec::with_capacity(raw.len());
    for RawExemplar { time, value, labels } in raw.drain(..) {
        let place = (Some(ordinal), Some(time));
        if let Some(r) = times.refuses(time) {
            refusals.add(r, 1, place, || times.detail(r, time));
            continue;
        }
        match labels {
            Err(e) => refusals.add(Reason::InvalidExemplar, 1, place, || format!("exemplar {e}")),
            Ok(labels) => {
                let runes: usize =
                    labels.iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum();
                if runes > MAX_EXEMPLAR_RUNES {
                    refusals.add(Reason::InvalidExemplar, 1, place, || {
                        format!(
                            "exemplar has labels of {runes} characters, the limit is \
                             {MAX_EXEMPLAR_RUNES}"
                        )
                    });
                } else {
                    out.push(Exemplar { labels, value, timestamp: time });
                }
            }
        }
    }
    out
}

/// Whether metadata may be kept, else why not.
pub(crate) fn metadata(
    family: &str,
    m: &varve_model::Metadata,
    limits: &Limits,
) -> Result<(), String> {
    if family.is_empty() {
        return Err("metadata has no metric family name".to_owned());
    }
    let (len, limit) = (family.len() + m.help.len() + m.unit.len(), limits.max_metadata_length);
    if limit > 0 && len > limit as usize {
        let family = shorten(family);
        return Err(format!("metadata of {family:?} is {len} bytes long, the limit is {limit}"));
    }
    Ok(())
}

/// The first 64 characters.
pub(crate) fn shorten(text: &str) -> String {
    text.chars().take(64).collect()
}
