//! How committers of different processes make way for each other.
//!
//! Of those that try at the same time one always wins, so nothing is gained by
//! waiting until the bucket is calm; but each loser has written for nothing.
//! Whoever has lost therefore tries with a probability of about one in as many
//! as seem to try, looks again soon when it does not, and meanwhile takes along
//! what arrives in its own process. What it adds goes into the manifest, so
//! that to try is one request, and to look is another.

use std::sync::Arc;
use std::time::Duration;

use varve_model::TenantId;
use varve_runtime::random_share;

use super::error::{CatalogError, Result};
use super::queue::Pending;
use super::snapshot::Snapshot;
use super::tenant::{Inner, Tenant};

/// How many rivals the first lost race speaks for.
const RIVALS: f64 = 4.0;
/// How many of all rivals should try at the same time: more waste requests,
/// fewer waste time.
const TRY: f64 = 1.0;
/// How much a glance that finds nothing new lowers the number of rivals.
const QUIET: f64 = 0.75;
/// How much a further lost race raises it.
const LOST: f64 = 2.0;
/// The longest pause between two glances.
const MAX_PAUSE: Duration = Duration::from_millis(500);

/// What a committer knows of the others.
pub(crate) struct Race {
    began_ms: i64,
    lost: u32,
    /// How many others seem to be trying.
    rivals: f64,
    /// How long a request takes, about.
    request: Duration,
}

impl Race {
    pub(crate) fn new(began_ms: i64) -> Self {
        Self { began_ms, lost: 0, rivals: 0.0, request: Duration::ZERO }
    }

    /// Whether nobody else has been met.
    pub(crate) fn is_calm(&self) -> bool {
        self.lost == 0
    }

    /// Notes a lost race in which a request took so long.
    pub(crate) fn lose(&mut self, request: Duration) {
        self.lost += 1;
        self.rivals = if self.lost == 1 { RIVALS } else { self.rivals * LOST };
        self.request = request.min(MAX_PAUSE);
    }

    /// Notes how many versions a glance has found.
    fn found(&mut self, versions: u64) {
        self.rivals = match versions {
            0 => self.rivals * QUIET,
            some => self.rivals - some as f64,
        };
        self.rivals = self.rivals.max(1.0);
    }

    fn tries(&self) -> bool {
        random_share() < TRY / self.rivals
    }

    /// Up to half a request's time: to look takes a whole one.
    fn pause(&self) -> Duration {
        self.request.mul_f64(0.5 * random_share())
    }
}

impl Inner {
    /// Waits until it is this committer's turn, as far as it can tell, and
    /// returns the version to build on; an error when it has taken too long.
    pub(crate) async fn make_way(
        &self,
        tenant: &TenantId,
        state: &Tenant,
        batch: &[Pending],
        race: &mut Race,
    ) -> Result<Arc<Snapshot>> {
        let mut last = None;
        loop {
            let ms = self.clock.now_ms().saturating_sub(race.began_ms);
            if ms >= self.config.commit_ms {
                let (tenant, lost) = (tenant.clone(), race.lost);
                return Err(CatalogError::Contended { tenant, lost, ms });
            }
            let base = self.catch_up(tenant, state).await?;
            if let Some(last) = last {
                race.found(base.version().saturating_sub(last));
            }
            if last != Some(base.version()) {
                // The leaves that it will change are at hand then.
                self.apply_all(&base, batch).await;
            }
            if race.tries() {
                return Ok(base);
            }
            last = Some(base.version());
            tokio::time::sleep(race.pause()).await;
        }
    }
}
