//! `load_with_nhcb`: classic histograms stored as native ones with custom
//! bounds, too.
//!
//! Source of the rules: Prometheus, util/convertnhcb.

use std::collections::BTreeMap;

use varve_model::{CUSTOM_BUCKETS_SCHEMA, Counts, Histogram, Labels, METRIC_NAME, ResetHint, Span};
use varve_promql::parse::SequenceValue;

use super::script::Load;

#[derive(Default)]
struct Classic {
    /// Bounds and cumulative counts.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// The native histograms of a load.
pub(crate) fn convert(load: &Load) -> Vec<(Labels, Vec<(i64, Histogram)>)> {
    let mut all: BTreeMap<Labels, BTreeMap<i64, Classic>> = BTreeMap::new();
    for s in &load.series {
        let name = s.labels.metric_name();
        let parts = ["_bucket", "_count", "_sum"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix).map(|base| (base.to_owned(), *suffix)));
        let Some((base, suffix)) = parts else { continue };
        let le = s.labels.get("le").parse::<f64>();
        if suffix == "_bucket" && le.as_ref().map_or(true, |v| v.is_nan()) {
            continue;
        }
        let mut builder = s.labels.builder();
        let labels = builder.remove("le").set(METRIC_NAME, &base).build();
        let times = all.entry(labels).or_default();
        for (i, v) in s.values.iter().enumerate() {
            let SequenceValue::Float(v) = v else { continue };
            let classic = times.entry(i as i64 * load.gap).or_default();
            match (suffix, &le) {
                ("_bucket", Ok(le)) => classic.buckets.push((*le, *v)),
                ("_count", _) => classic.count = Some(*v),
                _ => classic.sum = *v,
            }
        }
    }
    all.into_iter()
        .map(|(labels, times)| (labels, times.into_iter().map(|(t, c)| (t, native(c))).collect()))
        .collect()
}

fn native(mut c: Classic) -> Histogram {
    c.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    c.buckets.dedup_by(|a, b| a.0 == b.0);
    let last = c.buckets.last().copied();
    let count = c.count.or(last.map(|b| b.1)).unwrap_or(0.0);
    if last.is_none_or(|b| b.0 != f64::INFINITY) {
        c.buckets.push((f64::INFINITY, count));
    }
    let mut before = 0.0;
    let mut positive = Vec::new();
    for (_, cumulative) in &c.buckets {
        positive.push(cumulative - before);
        before = *cumulative;
    }
    let bounds = c.buckets.iter().map(|b| b.0).filter(|b| b.is_finite());
    Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        zero_threshold: 0.0,
        sum: c.sum,
        reset_hint: ResetHint::Unknown,
        positive_spans: vec![Span { offset: 0, length: positive.len() as u32 }],
        negative_spans: vec![],
        custom_bounds: bounds.collect(),
        counts: Counts::Float { count, zero: 0.0, positive, negative: vec![] },
    }
}
