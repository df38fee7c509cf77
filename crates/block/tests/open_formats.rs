//! Other people's Parquet readers read what we write: runs
//! tests/open_formats.py over a block when python3 has pyarrow and duckdb.

mod common;

use std::path::Path;
use std::process::Command;

use common::{Input, floats, histogram, labels, write_as};
use varve_block::Layout;
use varve_model::{Exemplar, TimeRange, WINDOW_MS};

#[test]
fn pyarrow_and_duckdb_agree_with_block_json() {
    let probe = Command::new("python3").args(["-c", "import pyarrow, duckdb"]).output();
    if !probe.is_ok_and(|o| o.status.success()) {
        let in_ci = std::env::var_os("CI").is_some();
        assert!(!in_ci, "CI needs python3 with pyarrow and duckdb");
        eprintln!("SKIPPED: python3 with pyarrow and duckdb is needed to check open formats");
        return;
    }
    let mut inputs = Vec::new();
    for i in 0..200i64 {
        let times: Vec<i64> = (1 + i % 5..100).map(|t| t * 90_000 + i % 2).collect();
        let (name, own, i_text) = (format!("m{}", i % 9), format!("own_{i}"), i.to_string());
        let case = ["case", "Case", "cAse"][i as usize % 3];
        let labels =
            labels(&[("__name__", &name), ("i", &i_text), (case, "x"), (&own, "ü"), ("a.b", "c")]);
        let mut input = floats(labels.clone(), &times, |t| (t * i) as f64 / 3.0);
        if i % 4 == 0 {
            input.histograms.push(2 * WINDOW_MS, histogram(i as u64), 5);
            input.exemplars.push(Exemplar { labels, value: 0.5, timestamp: 2 * WINDOW_MS });
        }
        inputs.push(input);
    }
    for layout in [Layout::default(), Layout { labels_from: 0, ..Layout::default() }] {
        check(&mut inputs, layout);
    }
}

fn check(inputs: &mut [Input], layout: Layout) {
    let dir = tempfile::tempdir().expect("dir");
    write_as(dir.path(), TimeRange::new(0, 2 * WINDOW_MS), inputs, layout);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/open_formats.py");
    let output = Command::new("python3").arg(script).arg(dir.path()).output().expect("python3");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
}
