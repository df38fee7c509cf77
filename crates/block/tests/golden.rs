//! A block of each format still reads: testdata/block-v1 was written when
//! version 1 was new, block-v2 when 2 was. `VARVE_BLESS=1` writes the newest
//! one anew; do so only for a format that was never released.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{Input, answer, floats, histogram, labels, naive, run, without_hints, write};
use varve_block::{
    BLOCK_JSON, BLOCK_VERSION, BlockEntry, BlockMeta, BlockReader, LocalFiles, verify,
};
use varve_model::{Exemplar, Matcher, TimeRange, WINDOW_MS, stale_nan};

/// What the golden block of a version holds.
fn inputs(version: u32) -> Vec<Input> {
    let mut out = Vec::new();
    for i in 0..60i64 {
        let (name, i_text) = (format!("metric_{}", i % 3), i.to_string());
        let case = ["instance", "Instance"][i as usize % 2];
        let mut pairs = vec![("__name__", name.as_str()), ("job", "node"), (case, &i_text)];
        if i % 4 == 0 {
            pairs.push(("ünïcode", "✓"));
        }
        let labels = labels(&pairs);
        // From version 2 on, parts of vectors are shared.
        let first = if version > 1 && i % 9 == 4 { 12 } else { 1 };
        let times: Vec<i64> = (first..60).map(|t| t * 240_000 + i % 2 * 17).collect();
        let mut input = floats(labels.clone(), &times, |t| match (i, t) {
            (0, _) => 1.0,
            (1, 240_017) => stale_nan(),
            (2, _) => (t as f64).sqrt(),
            _ => (i * t) as f64 / 100.0,
        });
        if i % 6 == 0 {
            input.floats.starts = vec![1; input.floats.len()];
        }
        if i % 10 == 3 {
            for k in 0..5 {
                input.histograms.push(2 * WINDOW_MS - 5 + k, histogram((k * i) as u64), 9);
            }
            let timestamp = WINDOW_MS;
            input.exemplars.push(Exemplar { labels, value: 0.25, timestamp });
        }
        out.push(input);
    }
    out
}

const RANGE: TimeRange = TimeRange { start: 0, end: 2 * WINDOW_MS };

fn check(dir: &Path, version: u32) {
    let json = std::fs::read(dir.join(BLOCK_JSON)).expect("block.json");
    let meta = BlockMeta::from_json(&json).expect("meta");
    let files = LocalFiles::new(dir);
    run(verify(&meta, &files)).expect("checksums");
    assert_eq!(meta.version, version);
    let mut inputs = inputs(version);
    inputs.sort_by(|a, b| varve_block::block_order(&a.labels, &b.labels));
    assert_eq!(meta.counts.series, 60);
    assert_eq!((meta.range, meta.term, meta.index), (RANGE, 3, 41));
    let reader = BlockReader::new(BlockEntry::new(&meta), Arc::new(files));
    for matchers in [
        Vec::new(),
        vec![Matcher::equal("__name__", "metric_1")],
        vec![Matcher::equal("Instance", "7")],
        vec![Matcher::equal("ünïcode", "")],
    ] {
        let found = answer(&reader, &matchers, RANGE).expect("answer");
        assert_eq!(without_hints(found), without_hints(naive(&inputs, &matchers, RANGE)));
    }
    assert_eq!(meta.files.contains_key("labels.parquet"), version == 1);
    let jobs = run(reader.label_values("job", Vec::new(), 0)).expect("values");
    assert_eq!(jobs, ["node"]);
    let names = run(reader.label_names(Vec::new(), 0)).expect("names");
    assert_eq!(names, ["Instance", "__name__", "instance", "job", "ünïcode"]);
    let exemplars = run(reader.exemplars(vec![Vec::new()], RANGE)).expect("exemplars");
    assert_eq!(exemplars.len(), 6);
    let metadata = run(reader.metadata()).expect("metadata");
    assert_eq!(metadata[0].0, "up");
}

fn golden(version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/block-v{version}"))
}

#[test]
fn version_1() {
    check(&golden(1), 1);
}

#[test]
fn version_2() {
    let dir = golden(2);
    if std::env::var_os("VARVE_BLESS").is_some() {
        // An earlier one may not be there.
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("create");
        write(&dir, RANGE, &mut inputs(2));
    }
    check(&dir, 2);
}

#[test]
fn the_newest() {
    let dir = tempfile::tempdir().expect("dir");
    write(dir.path(), RANGE, &mut inputs(BLOCK_VERSION));
    check(dir.path(), BLOCK_VERSION);
}
