//! Prometheus' own test scripts of PromQL, and ours beside them, in four
//! settings: the engine over lists in memory, over a head, over shipped
//! blocks, and the running binary over HTTP. Every evaluation has to give what
//! its script expects, in every variation that Prometheus' runner tries.
//!
//! Prometheus' scripts are not part of this repository: `VARVE_PROMQLTEST_DIR`
//! names the folder that holds them (promql/promqltest/testdata of Prometheus
//! 3.15). The binary is started by the command of docs/operations/promqltest.md.

use varve_tests::promqltest::check;
use varve_tests::promqltest::http::Http;
use varve_tests::promqltest::memory::Memory;
use varve_tests::promqltest::services::Services;
use varve_tests::varve::Varve;

const BINARY: &str = env!("CARGO_BIN_EXE_varve");

#[test]
fn the_engine_over_memory_gives_the_expected_answers() {
    check(&mut Memory::new(), "memory");
}

#[test]
fn the_engine_over_a_head_gives_the_expected_answers() {
    let mut services = Services::head();
    check(&mut services, "head");
    let (heads, blocks) = services.series_sent();
    assert!(heads > 0 && blocks == 0, "{heads} series came from heads, {blocks} from blocks");
}

#[test]
fn the_engine_over_shipped_blocks_gives_the_expected_answers() {
    let mut services = Services::blocks();
    check(&mut services, "blocks");
    let (heads, blocks) = services.series_sent();
    assert!(heads == 0 && blocks > 0, "{heads} series came from heads, {blocks} from blocks");
}

#[test]
fn the_running_binary_gives_the_expected_answers() {
    let dir = tempfile::tempdir().expect("make a folder");
    let varve = Varve::new(BINARY, "varve", dir.path())
        .documented("docs/operations/promqltest.md")
        .started();
    check(&mut Http::new(&varve), "http");
}
