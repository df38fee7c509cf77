//! The series of a load.

use std::sync::Arc;

use varve_model::Series;
use varve_promql::parse::SequenceValue;

use super::nhcb;
use super::script::Load;

/// The series that a load describes, each once.
pub(crate) fn series(load: &Load) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for (i, described) in load.series.iter().enumerate() {
        // Of a series that is described twice the later description counts.
        if load.series[i + 1..].iter().any(|later| later.labels == described.labels) {
            continue;
        }
        let mut s = Series { labels: described.labels.clone(), ..Series::default() };
        for (i, v) in described.values.iter().enumerate() {
            let time = i as i64 * load.gap;
            let start = described.starts.get(i).copied().flatten().map_or(0, |d| time + d);
            match v {
                SequenceValue::Omitted => {}
                SequenceValue::Float(v) => s.floats.push(time, *v, start),
                SequenceValue::Histogram { histogram, .. } => {
                    s.histograms.push(time, Arc::new((**histogram).clone()), start);
                }
            }
        }
        if !s.is_empty() {
            all.push(s);
        }
    }
    if load.with_nhcb {
        for (labels, histograms) in nhcb::convert(load) {
            let mut s = Series { labels, ..Series::default() };
            for (time, h) in histograms {
                s.histograms.push(time, Arc::new(h), 0);
            }
            assert!(all.iter().all(|a| a.labels != s.labels), "{} is loaded twice", s.labels);
            all.push(s);
        }
    }
    all
}
