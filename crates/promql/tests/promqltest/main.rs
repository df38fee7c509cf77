//! Runs Prometheus' own test scripts of the language against the engine.
//!
//! The scripts are not part of this repository: `VARVE_PROMQLTEST_DIR` names
//! the folder that holds `*.test` (promql/promqltest/testdata of Prometheus
//! 3.15). Every evaluation has to give the answer that its script expects, in
//! every variation that Prometheus' runner tries, or be refused as not
//! supported; how many may be refused is written down here, a file at a time.

mod check;
mod compare;
mod nhcb;
mod run;
mod script;
mod store;
mod vary;

use std::path::PathBuf;

/// How many evaluations of each script may be refused. May only go down.
const REFUSED: &[(&str, usize)] = &[];

#[test]
fn prometheus_scripts_give_the_expected_answers() {
    let Some(dir) = std::env::var_os("VARVE_PROMQLTEST_DIR").map(PathBuf::from) else {
        eprintln!("SKIPPED: VARVE_PROMQLTEST_DIR does not name a folder of test scripts");
        return;
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(&dir)
        .expect("the folder can be read")
        .map(|f| f.expect("the folder can be listed").path())
        .filter(|f| f.extension().is_some_and(|e| e == "test"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no scripts in {}", dir.display());
    let (mut passed, mut refused, mut wrong) = (0, 0, Vec::new());
    for path in files {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a script is text");
        let commands = script::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let report = run::run(&commands);
        eprintln!(
            "{name}: {} passed, {} refused, {} wrong",
            report.passed,
            report.refused.len(),
            report.wrong.len()
        );
        for (line, why) in &report.refused {
            eprintln!("  refused {name}:{line}: {why}");
        }
        for (line, why) in &report.wrong {
            eprintln!("  WRONG {name}:{line}: {why}");
            wrong.push(format!("{name}:{line}"));
        }
        let allowed = REFUSED.iter().find(|(n, _)| *n == name).map_or(0, |(_, n)| *n);
        if report.refused.len() > allowed {
            wrong.push(format!("{name}: {} refused, {allowed} allowed", report.refused.len()));
        }
        passed += report.passed;
        refused += report.refused.len();
    }
    eprintln!("TOTAL: {passed} passed, {refused} refused, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{} failures: {wrong:?}", wrong.len());
}
