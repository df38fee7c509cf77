//! What can be set of a distributor. Limits of tenants are apart
//! ([`crate::OverridesConfig`]), because they change while it runs.

use serde::{Deserialize, Serialize};
use varve_runtime::config::{ByteSize, HumanDuration};

/// Settings of a distributor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long one request may take, retries included. Longer than a
    /// sender's own timeout only repeats work that nobody waits for.
    pub request_timeout: HumanDuration,
    /// The pause before the first repetition towards a partition that is
    /// away; it doubles each time.
    pub retry_backoff: HumanDuration,
    /// What a sender is told to wait after a 503.
    pub retry_after: HumanDuration,
    /// Most memory for references of known series: 256 MiB are enough for 1.8
    /// million series; what is there takes 45 to 90 bytes each. Too little
    /// makes labels travel again, which costs CPU, network and log.
    pub reference_cache: ByteSize,
    /// Bytes that requests under way may take: their bodies as they arrive,
    /// and twice their length after decompression. Beyond it the answer is
    /// 503; the process stays alive instead. One tenant gets three quarters
    /// of it at most, many that fill it share it evenly. A request that is
    /// larger by itself is taken when no other is under way.
    pub inflight: ByteSize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            request_timeout: HumanDuration::from_secs(10),
            retry_backoff: HumanDuration(std::time::Duration::from_millis(50)),
            retry_after: HumanDuration::from_secs(5),
            reference_cache: ByteSize(256 << 20),
            inflight: ByteSize(512 << 20),
        }
    }
}
