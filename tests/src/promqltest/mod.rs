//! Prometheus' test scripts of the language, run against whatever keeps
//! series and answers queries.
//!
//! ```text
//! script.rs  text ─▶ commands           vary.rs     one query ─▶ those with the same answer
//! load.rs    a load ─▶ series           check.rs    errors, warnings, infos
//! run.rs     commands ─▶ report         compare.rs  values
//! ```
//!
//! A [`Place`] keeps the series and answers: [`memory`] is the engine over
//! lists, [`services`] the engine over a head or over shipped blocks, [`http`]
//! the running binary. Source of the rules: Prometheus, promql/promqltest
//! (README.md and test.go).

pub mod http;
pub mod memory;
pub mod services;

mod answer;
mod check;
mod compare;
mod load;
mod nhcb;
mod run;
mod script;
mod shown;
mod vary;

use std::path::{Path, PathBuf};

pub use answer::{Answer, Point, Reply};
use varve_model::Series;
use varve_promql::engine::{EngineOptions, Query};
use varve_promql::parse;

use crate::report::report;

/// Where series are kept, and who answers.
pub trait Place {
    /// Forgets all series.
    fn clear(&mut self);

    /// Keeps series. Their samples are newer than those kept before.
    fn load(&mut self, series: Vec<Series>);

    /// Answers a query, or says why not.
    ///
    /// # Errors
    /// What Prometheus' engine would say.
    fn ask(&mut self, query: &Query) -> Result<Reply, String>;
}

/// The engine as the scripts expect it.
pub fn options() -> EngineOptions {
    EngineOptions {
        delayed_name_removal: true,
        start_timestamps: true,
        parse: parse::Options::all(),
        threads: 2,
        ..EngineOptions::default()
    }
}

/// The scripts of Prometheus (from the folder that `VARVE_PROMQLTEST_DIR`
/// names; skipped loudly without it) and our own.
pub fn scripts() -> Vec<PathBuf> {
    let mut all = in_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("promqltest"));
    match std::env::var_os("VARVE_PROMQLTEST_DIR") {
        Some(dir) => all.extend(in_folder(Path::new(&dir))),
        None => report("SKIPPED: VARVE_PROMQLTEST_DIR does not name a folder of test scripts"),
    }
    all
}

fn in_folder(dir: &Path) -> Vec<PathBuf> {
    let list = std::fs::read_dir(dir).unwrap_or_else(|e| panic!("read {}: {e}", dir.display()));
    let mut files: Vec<PathBuf> = list
        .map(|f| f.expect("the folder can be listed").path())
        .filter(|f| f.extension().is_some_and(|e| e == "test"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no scripts in {}", dir.display());
    files
}

/// Runs all scripts; panics unless every evaluation gives what its script
/// expects.
pub fn check(place: &mut dyn Place, what: &str) {
    let (mut passed, mut wrong) = (0, Vec::new());
    for path in scripts() {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a script is text");
        let commands = script::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let outcome = run::run(place, &commands);
        passed += outcome.passed;
        wrong.extend(outcome.wrong.iter().map(|(line, why)| format!("{name}:{line}: {why}")));
    }
    report(format!("{what}: {passed} evaluations passed, {} did not", wrong.len()));
    assert!(wrong.is_empty(), "{what}: {} failures:\n{}", wrong.len(), wrong.join("\n"));
}
