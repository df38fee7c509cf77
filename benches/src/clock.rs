//! The time of the world, which a load generator stamps on its samples.

/// Milliseconds since 1970.
#[allow(clippy::disallowed_methods, reason = "a bench measures the world as it is")]
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}
