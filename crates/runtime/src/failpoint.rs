//! Named places at which a test can stop, delay, fail or kill the process.
//!
//! They do nothing unless the crate is built with its `failpoints` feature
//! (tests are; releases are not). A test in the process configures them with
//! the `fail` crate; a test of the binary through `VARVE_FAILPOINTS`, for
//! example `ship.before-commit=panic;seal.after-manifest=1*sleep(100)`.

pub use ::fail;

/// Passes a named place. `failpoint!("x")` can stop, delay or kill;
/// `failpoint!("x", |_| Err(e))` can also make the function return.
#[macro_export]
macro_rules! failpoint {
    ($name:expr) => {
        $crate::fail::fail_point!($name)
    };
    ($name:expr, $then:expr) => {
        $crate::fail::fail_point!($name, $then)
    };
}

/// Takes the failpoints named by the environment variable `VARVE_FAILPOINTS`.
///
/// # Errors
/// When the variable does not parse, or names any in a build without them.
#[expect(clippy::disallowed_methods, reason = "this crate reads the environment for all")]
pub fn configure_failpoints_from_env() -> Result<(), String> {
    let Ok(points) = std::env::var("VARVE_FAILPOINTS") else { return Ok(()) };
    if !fail::has_failpoints() {
        return Err("VARVE_FAILPOINTS is set, but this build has no failpoints".to_owned());
    }
    for point in points.split(';').filter(|p| !p.trim().is_empty()) {
        let (name, actions) = point
            .split_once('=')
            .ok_or_else(|| format!("VARVE_FAILPOINTS entry {point:?} is not name=actions"))?;
        if actions.trim() == "exit" {
            fail::cfg_callback(name.trim(), || std::process::exit(137))
        } else {
            fail::cfg(name.trim(), actions.trim())
        }
        .map_err(|e| format!("VARVE_FAILPOINTS entry {point:?}: {e}"))?;
    }
    Ok(())
}
