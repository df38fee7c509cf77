//! Prometheus' own test scripts: every query and every series in them is
//! read, and every query survives printing. The scripts are in no repository
//! of ours: `VARVE_PROMQLTEST_DIR` says where they are.

use super::super::parse_series_desc;
use super::parse;

/// The lines of all scripts, without comments; empty when there are none.
#[allow(clippy::print_stderr, clippy::disallowed_methods)]
fn lines() -> Vec<String> {
    let Ok(dir) = std::env::var("VARVE_PROMQLTEST_DIR") else {
        eprintln!("SKIPPED: VARVE_PROMQLTEST_DIR is not set");
        return Vec::new();
    };
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "test") {
            let text = std::fs::read_to_string(path).unwrap();
            lines.extend(text.lines().map(|l| l.trim().to_owned()));
        }
    }
    lines.retain(|l| !l.starts_with('#'));
    lines
}

/// The query of an `eval` line.
fn query(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("eval")?;
    let (_, rest) = rest.split_once(' ')?;
    let words = |rest: &str, n: usize| {
        let mut rest = rest.trim_start().to_owned();
        for _ in 0..n {
            rest = rest.split_once(char::is_whitespace)?.1.trim_start().to_owned();
        }
        Some(rest.len())
    };
    let range = line.contains(" range from ") && !line.contains("instant at");
    let left = words(rest, if range { 7 } else { 3 })?;
    Some(&line[line.len() - left..])
}

#[test]
fn every_query_parses_and_survives_printing() {
    let mut count = 0;
    for line in lines() {
        let Some(query) = query(&line) else { continue };
        count += 1;
        let expr = parse(query).unwrap_or_else(|e| panic!("{query}: {e}"));
        let printed = expr.to_string();
        let again = parse(&printed).unwrap_or_else(|e| panic!("{query} as {printed}: {e}"));
        assert_eq!(again.to_string(), printed, "{query}");
    }
    assert!(count == 0 || count > 2000, "only {count} queries were found");
}

#[test]
fn every_loaded_series_is_read() {
    let (mut count, mut loading) = (0, false);
    for line in lines() {
        if line.is_empty() {
            loading = false;
        } else if line.starts_with("load") {
            loading = true;
        } else if loading && !line.contains("@st") {
            count += 1;
            let series = parse_series_desc(&line).unwrap_or_else(|e| panic!("{line}: {e}"));
            assert!(!series.0.is_empty() || line.starts_with('{'), "{line}");
        }
    }
    assert!(count == 0 || count > 500, "only {count} series were found");
}
