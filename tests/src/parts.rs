//! Real neighbours that a machine may lack.

use std::process::{Command, Stdio};

/// Whether a program is there. When it is not: in CI a failure, elsewhere a
/// loud line on standard error and `false`.
pub fn require(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|s| s.success());
    if !found {
        missing(program);
    }
    found
}

/// Says that a part is missing; panics in CI.
#[expect(clippy::disallowed_methods, reason = "CI is told apart by its environment")]
pub fn missing(part: &str) {
    let in_ci = std::env::var("CI").is_ok_and(|v| !v.is_empty());
    assert!(!in_ci, "{part} is not installed, and CI must not skip (tests/install-parts.sh)");
    eprintln!("SKIPPED: {part} is not installed (run tests/install-parts.sh)");
}
