//! What the tests of blocks share: series to write, and a naive answer to
//! compare a reader's with.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt;
use ulid::Ulid;
use varve_block::{
    BlockReader, BlockSpec, BlockWriter, EncodedSeries, FinishedBlock, Layout, LocalFiles,
    block_order,
};
use varve_model::{
    Counts, Exemplar, FloatSamples, Histogram, HistogramSamples, Labels, Matcher, Metadata,
    ResetHint, Series, Span, TenantId, TimeRange, WINDOW_MS,
};

/// A series to write, and what must come back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Input {
    pub(crate) labels: Labels,
    pub(crate) floats: FloatSamples,
    pub(crate) histograms: HistogramSamples,
    pub(crate) exemplars: Vec<Exemplar>,
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).expect("valid labels")
}

/// A series of floats at `times`.
pub(crate) fn floats(labels: Labels, times: &[i64], value: impl Fn(i64) -> f64) -> Input {
    let mut floats = FloatSamples::default();
    for t in times {
        floats.push(*t, value(*t), 0);
    }
    Input { labels, floats, ..Input::default() }
}

pub(crate) fn histogram(seed: u64) -> Arc<Histogram> {
    Arc::new(Histogram {
        schema: 3,
        zero_threshold: 1e-9,
        sum: seed as f64 / 4.0,
        reset_hint: ResetHint::Unknown,
        positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 3, length: 1 }],
        negative_spans: Vec::new(),
        custom_bounds: Vec::new(),
        counts: Counts::Int {
            count: 6 + 3 * seed,
            zero: 3,
            positive: vec![1 + seed, 2 + seed, seed],
            negative: Vec::new(),
        },
    })
}

pub(crate) fn spec(range: TimeRange) -> BlockSpec {
    let mut spec = BlockSpec::new(Ulid::from_parts(1, 2), TenantId::anonymous(), range);
    (spec.term, spec.index) = (3, 41);
    spec
}

/// Writes the series, in block order, as one block.
pub(crate) fn write(dir: &Path, range: TimeRange, inputs: &mut [Input]) -> FinishedBlock {
    write_as(dir, range, inputs, Layout::default())
}

/// Pages and row groups so small that few series have many, and all files.
pub(crate) const SMALL: Layout = Layout {
    row_group_rows: 7,
    page_rows: 2,
    page_bytes: 300,
    dictionary_bytes: 12,
    labels_from: 0,
};

pub(crate) fn write_as(
    dir: &Path,
    range: TimeRange,
    inputs: &mut [Input],
    layout: Layout,
) -> FinishedBlock {
    inputs.sort_by(|a, b| block_order(&a.labels, &b.labels));
    let mut writer = BlockWriter::with_layout(dir, spec(range), layout).expect("create");
    for i in inputs.iter() {
        writer.push(&i.labels, i.floats.clone(), i.histograms.clone(), &i.exemplars).expect("push");
    }
    writer.metadata("up", &Metadata { help: "Is it up".into(), ..Metadata::default() });
    writer.finish().expect("finish")
}

pub(crate) fn reader(block: &FinishedBlock, dir: &Path) -> BlockReader {
    BlockReader::new(block.entry.clone(), Arc::new(LocalFiles::new(dir)))
}

pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("runtime").block_on(future)
}

pub(crate) fn select(
    reader: &BlockReader,
    matchers: &[Matcher],
    range: TimeRange,
) -> varve_block::Result<Vec<EncodedSeries>> {
    let batches: Vec<_> = run(reader.select(matchers.to_vec(), range).try_collect())?;
    Ok(batches.into_iter().flatten().collect())
}

/// The samples of `range` that a reader answers with, series without left out.
pub(crate) fn answer(
    reader: &BlockReader,
    matchers: &[Matcher],
    range: TimeRange,
) -> varve_block::Result<Vec<Series>> {
    let mut out = Vec::new();
    for s in select(reader, matchers, range)? {
        let (floats, histograms) = s.decode(range)?;
        out.push(Series { labels: s.labels, floats, histograms });
    }
    out.retain(|s| !s.is_empty());
    Ok(out)
}

/// The same, from the input.
pub(crate) fn naive(inputs: &[Input], matchers: &[Matcher], range: TimeRange) -> Vec<Series> {
    let mut out = Vec::new();
    for input in inputs.iter().filter(|i| matches(&i.labels, matchers)) {
        let mut series = Series { labels: input.labels.clone(), ..Series::default() };
        let (f, h) = (&input.floats, &input.histograms);
        for i in (0..f.len()).filter(|i| range.contains(f.times[*i])) {
            series.floats.push(f.times[i], f.values[i], f.start(i));
        }
        for i in (0..h.len()).filter(|i| range.contains(h.times[*i])) {
            series.histograms.push(h.times[i], Arc::clone(&h.values[i]), h.start(i));
        }
        out.push(series);
    }
    out.retain(|s| !s.is_empty());
    out
}

pub(crate) fn matches(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|m| m.matches(labels.get(m.name())))
}

/// Reset hints are what the reader derives, so they are not compared.
pub(crate) fn without_hints(mut series: Vec<Series>) -> Vec<Series> {
    for h in series.iter_mut().flat_map(|s| &mut s.histograms.values) {
        Arc::make_mut(h).reset_hint = ResetHint::Unknown;
    }
    series
}

pub(crate) const WINDOW: TimeRange = TimeRange { start: 0, end: WINDOW_MS };
