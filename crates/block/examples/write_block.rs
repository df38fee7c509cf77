//! Writes a small block with something of everything into a directory:
//! `cargo run -p varve-block --example write_block DIR`. tests/open_formats.py
//! reads it with other people's Parquet readers.

use std::path::PathBuf;
use std::sync::Arc;

use ulid::Ulid;
use varve_block::{BlockError, BlockSpec, BlockWriter, block_order};
use varve_model::{
    Counts, Exemplar, FloatSamples, Histogram, HistogramSamples, Labels, LabelsError, Metadata,
    MetricType, ResetHint, Span, TenantId, TimeRange, WINDOW_MS, stale_nan,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: write_block DIR")?);
    std::fs::create_dir_all(&dir)?;
    write(&dir)?;
    Ok(())
}

/// A day's first two windows of three targets, one series in ten a histogram.
fn write(dir: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    let range = TimeRange::new(0, 2 * WINDOW_MS);
    let spec = BlockSpec::new(Ulid::from_parts(1, 1), TenantId::anonymous(), range);
    let mut series: Vec<(Labels, i64)> =
        (0..3_000).map(|i| Ok((labels(i)?, i))).collect::<Result<_, LabelsError>>()?;
    series.sort_by(|a, b| block_order(&a.0, &b.0));
    let mut writer = BlockWriter::create(dir, spec)?;
    for (labels, i) in &series {
        push(&mut writer, labels, *i)?;
    }
    let help = "Requests, by \"code\" — and ünïcode".into();
    let metadata = Metadata { kind: MetricType::Counter, help, unit: "".into() };
    writer.metadata("metric_1", &metadata);
    writer.finish()?;
    Ok(())
}

fn labels(i: i64) -> Result<Labels, LabelsError> {
    let own = format!("own_{}", i % 300);
    let mut pairs = vec![
        ("__name__".to_owned(), format!("metric_{}", i % 20)),
        ("job".to_owned(), format!("job {}", i % 3)),
        ("pod".to_owned(), format!("pod-{i:05}")),
        (own, "x".to_owned()),
    ];
    match i % 3 {
        0 => pairs.push(("Job".to_owned(), "case".to_owned())),
        1 => pairs.push(("http.status_code".to_owned(), "200".to_owned())),
        _ => pairs.push(("städte".to_owned(), "Köln \"am\" Rhein".to_owned())),
    }
    Labels::from_pairs(pairs)
}

fn push(writer: &mut BlockWriter, labels: &Labels, i: i64) -> Result<(), BlockError> {
    let (mut floats, mut histograms) = (FloatSamples::default(), HistogramSamples::default());
    let mut exemplars = Vec::new();
    for k in 0..480 {
        let t = 1 + (i % 3) * 1_000 + k * 30_000;
        if i % 10 == 9 {
            histograms.push(t, histogram((k * i) as u64), 0);
        } else {
            let value = if k == 479 { stale_nan() } else { (k * i) as f64 / 8.0 };
            floats.push(t, value, if i % 7 == 0 { 1 } else { 0 });
        }
        if i % 50 == 0 && k % 100 == 0 {
            let labels = labels.clone();
            exemplars.push(Exemplar { labels, value: k as f64, timestamp: t });
        }
    }
    writer.push(labels, floats, histograms, &exemplars)
}

fn histogram(count: u64) -> Arc<Histogram> {
    Arc::new(Histogram {
        schema: 2,
        zero_threshold: 0.001,
        sum: count as f64 * 1.5,
        reset_hint: ResetHint::Unknown,
        positive_spans: vec![Span { offset: 1, length: 2 }],
        negative_spans: Vec::new(),
        custom_bounds: Vec::new(),
        counts: Counts::Int {
            count: 2 * count,
            zero: 0,
            positive: vec![count, count],
            negative: Vec::new(),
        },
    })
}
