//! Finding the newest version, without a LIST.
//!
//! Versions above the floor have no gaps, so the newest is found by probing
//! from any version above the floor that is known to exist (C-4). Below the
//! floor a manifest proves nothing: it may be the void one of a committer that
//! slept through a collection. A version that was the newest less than half a
//! grace period ago cannot be below the floor yet, so in steady state one
//! request for `v+1` suffices.

use std::sync::Arc;

use varve_model::TenantId;

use super::error::{CatalogError, Result};
use super::floor::{self, Floor};
use super::format::{self, FORMAT, Hint, MAX_BYTES, Manifest, corrupt};
use super::snapshot::Snapshot;
use super::tenant::{Inner, Tenant};
use crate::paths;

/// The most bytes a hint may have.
const MAX_HINT_BYTES: u64 = 4096;
/// Versions that a committer that lost a race asks for at once.
const AHEAD: u64 = 4;
/// Collections that a search may collide with before it gives up.
const MAX_RESTARTS: u32 = 16;

impl Inner {
    /// The newest version. `strict` asks the bucket for everything, the floor
    /// included, whatever is remembered.
    pub(crate) async fn refresh(
        &self,
        tenant: &TenantId,
        state: &Tenant,
        strict: bool,
    ) -> Result<Arc<Snapshot>> {
        let _one_at_a_time = state.refreshing.lock().await;
        for _ in 0..MAX_RESTARTS {
            let began_ms = self.clock.now_ms();
            let base = state.known.lock().newest.clone();
            let (base, trusted) = match base {
                Some((base, confirmed)) if !strict && self.is_recent(confirmed, began_ms) => {
                    (Some(base), true)
                }
                _ => (self.start(tenant, state).await?, false),
            };
            let from = base.as_ref().map_or(0, |b| b.version());
            let (found, confirmed_ms) = self.probe(tenant, from).await?;
            let snapshot = match (found, base) {
                (Some(manifest), _) => self.snapshot(tenant, manifest),
                (None, Some(base)) => base,
                (None, None) => self.snapshot(tenant, empty(tenant)),
            };
            // Probes that found nothing mean "not yet written" only above the
            // floor: look that it has not overtaken the search.
            let sure = if trusted {
                self.is_recent(began_ms, self.clock.now_ms())
            } else {
                let floor = self.read_floor(tenant, state).await?;
                floor.version < snapshot.version() || floor.version == 0
            };
            if sure {
                let mut known = state.known.lock();
                known.remember(snapshot.clone(), confirmed_ms);
                return Ok(snapshot);
            }
            state.known.lock().distrust();
        }
        let path = paths::catalog(tenant);
        Err(corrupt(&path, format!("its newest version was collected {MAX_RESTARTS} times")))
    }

    /// Whether what was the newest version at `then` cannot have been
    /// collected by `now`.
    fn is_recent(&self, then: i64, now: i64) -> bool {
        (0..self.config.grace_ms / 2).contains(&now.saturating_sub(then))
    }

    /// A version above the floor to begin probing from; `None` = version 0.
    async fn start(&self, tenant: &TenantId, state: &Tenant) -> Result<Option<Arc<Snapshot>>> {
        let known = state.known.lock().newest.clone();
        let (hint, floor) = match &known {
            Some((snapshot, _)) => (snapshot.version(), self.read_floor(tenant, state).await?),
            None => self.hint(tenant, state).await?,
        };
        if hint > floor.version {
            if let Some((snapshot, _)) = known.filter(|(s, _)| s.version() == hint) {
                return Ok(Some(snapshot));
            }
            if let Some(manifest) = self.read_manifest(tenant, hint).await? {
                return Ok(Some(self.snapshot(tenant, manifest)));
            }
        } else if floor.version == 0 {
            return Ok(None);
        }
        self.list_newest(tenant, hint, floor).await
    }

    /// What the hint says, and the floor. A missing or unreadable hint says 0.
    async fn hint(&self, tenant: &TenantId, state: &Tenant) -> Result<(u64, Floor)> {
        let path = paths::hint(tenant);
        let hint = match self.bucket.get(&path, MAX_HINT_BYTES).await {
            Ok(bytes) => format::decode::<Hint>(&path, &bytes).ok(),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        let Hint { version, floor_sequence, .. } =
            hint.unwrap_or(Hint { format: FORMAT, version: 0, floor_sequence: 0 });
        if state.known.lock().floor.sequence < floor_sequence {
            let floor = floor::read_from(&self.bucket, tenant, floor_sequence).await?;
            state.known.lock().floor = floor;
            return Ok((version, floor));
        }
        Ok((version, self.read_floor(tenant, state).await?))
    }

    /// The newest version by one LIST: the hint lies below the floor.
    async fn list_newest(
        &self,
        tenant: &TenantId,
        hint: u64,
        floor: Floor,
    ) -> Result<Option<Arc<Snapshot>>> {
        self.bucket.metrics().catalog_lists.inc();
        let folder = self.bucket.list_folder(&paths::catalog(tenant)).await?;
        let versions = folder.objects.iter().filter_map(|o| {
            paths::manifest_version(o.path.file_name()).filter(|v| *v > floor.version)
        });
        let Some(newest) = versions.max() else {
            // Beginning anew would hide every block that there is.
            let (path, floor) = (paths::catalog(tenant), floor.version);
            let detail = format!("version {hint} was committed, none above {floor} is there");
            return Err(corrupt(&path, detail));
        };
        match self.read_manifest(tenant, newest).await? {
            Some(manifest) => Ok(Some(self.snapshot(tenant, manifest))),
            // Collected since the listing; the search starts again.
            None => Ok(None),
        }
    }

    /// The highest version above `from`, and when it was seen to be that.
    async fn probe(&self, tenant: &TenantId, from: u64) -> Result<(Option<Manifest>, i64)> {
        let (mut low, mut high, mut step) = (from, None, 1);
        let mut best = None;
        let mut missed_ms = self.clock.now_ms();
        loop {
            let next = match high {
                None => low + step,
                Some(high) if high - low > 1 => low + (high - low) / 2,
                Some(_) => return Ok((best, missed_ms)),
            };
            let asked_ms = self.clock.now_ms();
            match self.read_manifest(tenant, next).await? {
                Some(manifest) => {
                    low = next;
                    best = Some(manifest);
                }
                None => {
                    high = Some(next);
                    missed_ms = asked_ms;
                }
            }
            step *= 2;
        }
    }

    /// The newest version for a committer that has just lost a race: there is
    /// a newer one, so several are asked for at once.
    pub(crate) async fn catch_up(
        &self,
        tenant: &TenantId,
        state: &Tenant,
    ) -> Result<Arc<Snapshot>> {
        let known = state.known.lock().newest.clone();
        let Some((mut newest, confirmed)) = known else {
            return self.refresh(tenant, state, false).await;
        };
        loop {
            let asked_ms = self.clock.now_ms();
            let next = newest.version() + 1;
            let found = (next..next + AHEAD).map(|version| self.read_manifest(tenant, version));
            let found = futures::future::try_join_all(found).await?;
            let all = found.iter().all(Option::is_some);
            // Up to the first that is not there: with a gap it is another's
            // search that is late, not this one that is wrong.
            if let Some(last) = found.into_iter().map_while(|m| m).last() {
                newest = self.snapshot(tenant, last);
            }
            // Else what was found may be void: the floor may have passed it.
            if !self.is_recent(confirmed, self.clock.now_ms()) {
                return self.refresh(tenant, state, true).await;
            }
            if !all {
                state.known.lock().remember(newest.clone(), asked_ms);
                return Ok(newest);
            }
        }
    }

    pub(crate) async fn read_manifest(
        &self,
        tenant: &TenantId,
        version: u64,
    ) -> Result<Option<Manifest>> {
        let path = paths::manifest(tenant, version);
        match self.bucket.get(&path, MAX_BYTES).await {
            Ok(bytes) => Manifest::decode(&path, tenant.as_str(), version, &bytes).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn snapshot(&self, tenant: &TenantId, manifest: Manifest) -> Arc<Snapshot> {
        Arc::new(Snapshot::new(tenant.clone(), manifest, self.leaves.clone()))
    }

    /// Exactly `version`, when it is not at hand.
    pub(crate) async fn read_at(
        &self,
        tenant: &TenantId,
        state: &Tenant,
        version: u64,
    ) -> Result<Arc<Snapshot>> {
        if version == 0 {
            return Ok(self.snapshot(tenant, empty(tenant)));
        }
        // Above a version that was the newest a moment ago nothing is collected.
        let above = state.known.lock().newest.as_ref().is_some_and(|(newest, confirmed)| {
            version > newest.version() && self.is_recent(*confirmed, self.clock.now_ms())
        });
        let manifest = self.read_manifest(tenant, version).await?;
        // The floor is read after the manifest: one that was found although the
        // floor has passed it may be a void one, and proves nothing.
        let floor = match &manifest {
            Some(_) if above => Floor::default(),
            _ => self.read_floor(tenant, state).await?,
        };
        let tenant_id = tenant.clone();
        match manifest {
            _ if version <= floor.version => {
                let floor = floor.version;
                Err(CatalogError::VersionGone { tenant: tenant_id, version, floor })
            }
            None => Err(CatalogError::NoSuchVersion { tenant: tenant_id, version }),
            Some(manifest) => {
                let snapshot = self.snapshot(tenant, manifest);
                state.known.lock().keep(snapshot.clone());
                Ok(snapshot)
            }
        }
    }

    /// Writes the hint. It only saves requests, so a failure is no error.
    pub(crate) async fn write_hint(&self, tenant: &TenantId, version: u64, floor: Floor) {
        let hint = Hint { format: FORMAT, version, floor_sequence: floor.sequence };
        let Ok(bytes) = format::encode(&hint) else { return };
        if let Err(error) = self.bucket.put(&paths::hint(tenant), bytes).await {
            tracing::debug!(%error, %tenant, "catalog hint is not written");
        }
    }
}

/// The content of version 0.
pub(super) fn empty(tenant: &TenantId) -> Manifest {
    Manifest {
        format: FORMAT,
        tenant: tenant.to_string(),
        version: 0,
        token: String::new(),
        created_ms: 0,
        causes: Vec::new(),
        leaves: Vec::new(),
        fresh: Vec::new(),
        masks: Vec::new(),
    }
}
