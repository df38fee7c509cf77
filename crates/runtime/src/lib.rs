//! What a process gets from outside, so that a test can replace it: clock,
//! shutdown, configuration, telemetry, failpoints. No network.
//!
//! Only this crate reads the wall clock and the environment.

pub mod config;

mod blocking;
mod clock;
mod failpoint;
mod random;
mod room;
mod shutdown;
#[cfg(feature = "failpoints")]
mod steps;
mod telemetry;

pub use blocking::spawn_blocking;
pub use clock::{Clock, ManualClock, SystemClock};
pub use failpoint::{configure_failpoints_from_env, fail};
pub use random::{random_bytes, random_share};
pub use room::{NoRoom, Room, Share};
pub use shutdown::{Shutdown, ShutdownToken};
#[cfg(feature = "failpoints")]
pub use steps::Steps;
pub use telemetry::{LogFormat, RateLimitedLog, init_tracing};
