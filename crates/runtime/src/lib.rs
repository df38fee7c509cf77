//! What a process gets from outside, so that a test can replace it: clock,
//! shutdown, configuration, telemetry, failpoints. No network.
//!
//! Only this crate reads the wall clock and the environment.

pub mod config;

mod clock;
mod failpoint;
mod random;
mod room;
mod shutdown;
mod telemetry;

pub use clock::{Clock, ManualClock, SystemClock};
pub use failpoint::{configure_failpoints_from_env, fail};
pub use random::random_bytes;
#[cfg(feature = "failpoints")]
pub use random::seed_thread;
pub use room::{NoRoom, Room, Share};
pub use shutdown::{Shutdown, ShutdownToken};
pub use telemetry::{LogFormat, RateLimitedLog, init_tracing};
