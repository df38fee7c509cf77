//! Seeds of random tests: drawn anew, printed, and given back to replay.

/// The seed of this run: the environment's `VARVE_SEED`, else a new one.
/// Printed, so that a failure can be replayed.
pub fn seed(test: &str) -> u64 {
    let drawn = || u64::from_le_bytes(varve_runtime::random_bytes()) >> 16;
    let seed = given().unwrap_or_else(drawn);
    eprintln!("{test}: VARVE_SEED={seed}");
    seed
}

/// The environment's `VARVE_SEED`, if there is one.
#[expect(clippy::disallowed_methods, reason = "a seed to replay comes from the environment")]
pub fn given() -> Option<u64> {
    std::env::var("VARVE_SEED").ok().and_then(|s| s.parse().ok())
}
