//! What can be set about a bucket: its URL, how long to wait, how often to try
//! again, and the options of its provider.
//!
//! Credentials come from the environment as each provider's own tools expect
//! them (`AWS_*`, `AZURE_*`, `GOOGLE_*`); `options` overrides single ones.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How to reach a bucket and how patient to be with it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BucketConfig {
    /// Provider options by the names that `object_store` gives them, for
    /// example `aws_endpoint`, `aws_region`, `aws_access_key_id`,
    /// `allow_http`, `azure_storage_account_name`,
    /// `azure_storage_use_emulator`, `google_service_account_key`,
    /// `google_base_url`. An unknown name is refused when the bucket is opened.
    /// Values are secrets: `Debug` does not show them.
    pub options: BTreeMap<String, String>,
    /// Seconds that one attempt of one request may take before it is given up
    /// and tried again. An upload gets a second more for every 256 KiB.
    pub timeout_seconds: u64,
    /// How often a request that failed for a passing reason is tried again. 0
    /// hands every passing failure of the store to the caller.
    pub max_retries: u32,
    /// Milliseconds of pause before the first retry; it doubles with each one,
    /// up to `retry_max_pause_ms`, and a random part of it is left out.
    pub retry_pause_ms: u64,
    /// The longest pause between two attempts, in milliseconds.
    pub retry_max_pause_ms: u64,
    /// Files larger than this many bytes are uploaded in parts. More memory
    /// per upload, fewer requests.
    pub part_bytes: u64,
}

impl Default for BucketConfig {
    fn default() -> Self {
        Self {
            options: BTreeMap::new(),
            timeout_seconds: 30,
            max_retries: 6,
            retry_pause_ms: 100,
            retry_max_pause_ms: 5_000,
            part_bytes: 16 << 20,
        }
    }
}

impl BucketConfig {
    /// How long one attempt that moves `bytes` may take.
    pub(crate) fn timeout(&self, bytes: u64) -> Duration {
        Duration::from_secs(self.timeout_seconds.max(1) + (bytes >> 18))
    }
}

impl std::fmt::Debug for BucketConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BucketConfig")
            .field("options", &self.options.keys().collect::<Vec<_>>())
            .field("timeout_seconds", &self.timeout_seconds)
            .field("max_retries", &self.max_retries)
            .field("retry_pause_ms", &self.retry_pause_ms)
            .field("retry_max_pause_ms", &self.retry_max_pause_ms)
            .field("part_bytes", &self.part_bytes)
            .finish()
    }
}
