//! Rate limits: one token bucket a tenant, filled by the clock passed in.
//!
//! A request larger than the burst passes when the bucket is full and leaves
//! it in debt: the average holds, and no request is refused for ever.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use varve_model::TenantId;

/// How many buckets are kept before full ones are dropped.
const TIDY: usize = 1024;

struct Bucket {
    tokens: f64,
    filled: Instant,
}

/// The buckets of all tenants.
#[derive(Default)]
pub(crate) struct Rates {
    buckets: Mutex<HashMap<TenantId, Bucket>>,
}

impl Rates {
    /// Takes `n` tokens, or says how long to wait for them. A rate of 0 is
    /// no limit.
    pub(crate) fn take(
        &self,
        tenant: &TenantId,
        (rate, burst): (u64, u64),
        n: u64,
        now: Instant,
    ) -> Result<(), Duration> {
        if rate == 0 || n == 0 {
            return Ok(());
        }
        let (rate, burst) = (rate as f64, burst as f64);
        let mut buckets = self.buckets.lock();
        if buckets.len() > TIDY && !buckets.contains_key(tenant) {
            let idle = Duration::from_secs(3600);
            buckets.retain(|_, b| now.saturating_duration_since(b.filled) < idle);
        }
        let full = || Bucket { tokens: burst, filled: now };
        let bucket = buckets.entry(tenant.clone()).or_insert_with(full);
        let passed = now.saturating_duration_since(bucket.filled).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * rate).min(burst);
        bucket.filled = now;
        let needed = (n as f64).min(burst);
        if bucket.tokens < needed {
            return Err(Duration::from_secs_f64((needed - bucket.tokens) / rate));
        }
        bucket.tokens -= n as f64;
        Ok(())
    }

    /// Gives tokens back, so that what the sender has to repeat does not
    /// count twice.
    pub(crate) fn give_back(&self, tenant: &TenantId, n: u64) {
        if let Some(bucket) = self.buckets.lock().get_mut(tenant) {
            bucket.tokens += n as f64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_holds_and_large_requests_pass() {
        let (rates, tenant, start) = (Rates::default(), TenantId::anonymous(), Instant::now());
        let take = |n, at| rates.take(&tenant, (10, 20), n, start + Duration::from_secs(at));
        assert_eq!(take(20, 0), Ok(()));
        assert_eq!(take(10, 0), Err(Duration::from_secs(1)));
        assert_eq!(take(10, 1), Ok(()));
        // More than a burst passes on a full bucket and leaves a debt.
        assert_eq!(take(50, 3), Ok(()));
        assert_eq!(take(10, 3), Err(Duration::from_secs(4)));
        rates.give_back(&tenant, 40);
        assert_eq!(take(10, 3), Ok(()));
        assert_eq!(rates.take(&tenant, (0, 0), u64::MAX, start), Ok(()));
    }
}
