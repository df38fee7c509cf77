//! The catalog's handle, and what a process remembers of each tenant.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use ulid::Ulid;
use varve_model::TenantId;
use varve_runtime::{Clock, random_bytes};

use super::error::{CatalogError, Result};
use super::floor::{self, Floor};
use super::leaves::Leaves;
use super::queue::Queue;
use super::snapshot::{Pin, Snapshot};
use super::{CatalogConfig, Change, Committed};
use crate::{Bucket, paths};

/// Older versions kept at hand: those that queries in flight have pinned.
const RECENT: usize = 16;
/// From this many tenants on, those without a catalog are forgotten.
const MANY_TENANTS: usize = 4096;

/// The catalogs of all tenants in a bucket. Clones share what they remember.
#[derive(Clone)]
pub struct Catalog(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) bucket: Bucket,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: CatalogConfig,
    pub(crate) leaves: Arc<Leaves>,
    tenants: Mutex<HashMap<TenantId, Arc<Tenant>>>,
}

/// What is remembered of one tenant. Nothing in it is needed for safety: a
/// commit that builds on an outdated memory loses its race or is void.
#[derive(Default)]
pub(crate) struct Tenant {
    pub(crate) known: Mutex<Known>,
    /// Held by whoever asks the bucket for the newest version.
    pub(crate) refreshing: tokio::sync::Mutex<()>,
    pub(crate) queue: Mutex<Queue>,
    /// Whether the last commit had to race.
    pub(crate) contended: AtomicBool,
}

#[derive(Default)]
pub(crate) struct Known {
    /// The newest version seen, and when it was certainly the newest.
    pub(crate) newest: Option<(Arc<Snapshot>, i64)>,
    pub(crate) floor: Floor,
    recent: VecDeque<Arc<Snapshot>>,
}

impl Known {
    pub(crate) fn remember(&mut self, snapshot: Arc<Snapshot>, confirmed_ms: i64) {
        match &mut self.newest {
            // Two that looked at the same time may finish in either order.
            Some((newer, _)) if newer.version() > snapshot.version() => {}
            Some((same, confirmed)) if same.version() == snapshot.version() => {
                *confirmed = confirmed_ms.max(*confirmed);
            }
            newest => {
                if let Some((old, _)) = newest.replace((snapshot, confirmed_ms)) {
                    self.keep(old);
                }
            }
        }
    }

    pub(crate) fn keep(&mut self, snapshot: Arc<Snapshot>) {
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(snapshot);
    }

    /// Forgets what was thought to be the newest version.
    pub(crate) fn distrust(&mut self) {
        self.newest = None;
        self.recent.clear();
    }

    fn held(&self, version: u64) -> Option<Arc<Snapshot>> {
        let newest = self.newest.iter().map(|(snapshot, _)| snapshot);
        newest.chain(&self.recent).find(|s| s.version() == version).cloned()
    }
}

impl Catalog {
    /// The catalogs in `bucket`. Makes no request.
    pub fn open(bucket: Bucket, clock: Arc<dyn Clock>, config: CatalogConfig) -> Result<Self> {
        config.validate().map_err(CatalogError::Invalid)?;
        let leaves = Arc::new(Leaves::new(bucket.clone(), config.leaf_cache_bytes));
        let tenants = Mutex::default();
        Ok(Self(Arc::new(Inner { bucket, clock, config, leaves, tenants })))
    }

    /// The bucket that it is in.
    pub fn bucket(&self) -> &Bucket {
        &self.0.bucket
    }

    /// The settings that it was opened with.
    pub fn config(&self) -> &CatalogConfig {
        &self.0.config
    }

    /// The newest version, or one that was the newest less than
    /// `fresh_ms` ago. A tenant that was never heard of has version 0.
    pub async fn newest(&self, tenant: &TenantId) -> Result<Arc<Snapshot>> {
        let state = self.0.tenant(tenant);
        let now = self.0.clock.now_ms();
        if let Some((snapshot, confirmed)) = &state.known.lock().newest
            && (0..self.0.config.fresh_ms).contains(&now.saturating_sub(*confirmed))
        {
            return Ok(snapshot.clone());
        }
        self.0.refresh(tenant, &state, false).await
    }

    /// The newest version: every commit that was acknowledged before this call
    /// is in it. One small request when nothing has changed.
    pub async fn refresh(&self, tenant: &TenantId) -> Result<Arc<Snapshot>> {
        let state = self.0.tenant(tenant);
        self.0.refresh(tenant, &state, false).await
    }

    /// A version that is at least `version`: the one at hand when it suffices,
    /// else the newest. `NoSuchVersion` when the newest is older.
    pub async fn at_least(&self, tenant: &TenantId, version: u64) -> Result<Arc<Snapshot>> {
        let snapshot = self.newest(tenant).await?;
        if snapshot.version() >= version {
            return Ok(snapshot);
        }
        let snapshot = self.refresh(tenant).await?;
        if snapshot.version() >= version {
            return Ok(snapshot);
        }
        Err(CatalogError::NoSuchVersion { tenant: tenant.clone(), version })
    }

    /// Exactly this version: `VersionGone` when it has been collected,
    /// `NoSuchVersion` when it was never committed.
    pub async fn at(&self, tenant: &TenantId, version: u64) -> Result<Arc<Snapshot>> {
        let state = self.0.tenant(tenant);
        let held = state.known.lock().held(version);
        if let Some(snapshot) = held {
            return Ok(snapshot);
        }
        self.0.read_at(tenant, &state, version).await
    }

    /// Holds the newest version for a reader, for at most `pin_ms` from when
    /// it was seen to be that.
    pub async fn pin(&self, tenant: &TenantId) -> Result<Pin> {
        // It was the newest at some time after this one, however long it takes
        // until the pin is made.
        let asked_ms = self.0.clock.now_ms().saturating_sub(self.0.config.fresh_ms);
        let snapshot = self.newest(tenant).await?;
        let until_ms = asked_ms.saturating_add(self.0.config.pin_ms);
        Ok(Pin::new(snapshot, self.0.clock.clone(), until_ms))
    }

    /// Makes one change, with others of the same tenant that wait at the same
    /// time. When it returns `Ok`, the change is durable and no collection, no
    /// other committer and no restart loses it. After an `Unavailable` or
    /// `Timeout` error the outcome is unknown: repeat it, a cut or a set of
    /// blocks is never committed twice. Dropping the future does not stop it.
    pub async fn commit(&self, tenant: &TenantId, change: Change) -> Result<Committed> {
        let state = self.0.tenant(tenant);
        let done = self.0.clone().submit(tenant, state, change).await;
        let outcome = match &done {
            Ok(Committed::Now { .. }) => "committed",
            Ok(Committed::Already { .. }) => "already",
            Err(e) if e.kind().is_retryable() => "failed",
            Err(_) => "refused",
        };
        self.0.bucket.metrics().commits.with_label_values(&[outcome]).inc();
        done
    }

    /// How far old versions have been collected, as the bucket says now.
    pub async fn floor(&self, tenant: &TenantId) -> Result<Floor> {
        let state = self.0.tenant(tenant);
        self.0.read_floor(tenant, &state).await
    }

    /// Every tenant that the bucket has a folder for. A LIST of the root: for
    /// start-up and compactors, not for queries.
    pub async fn tenants(&self) -> Result<Vec<TenantId>> {
        let root = self.0.bucket.list_folder(&paths::root()).await?;
        let mut tenants: Vec<_> =
            root.folders.iter().filter_map(|part| paths::tenant_of(part)).collect();
        tenants.sort();
        Ok(tenants)
    }
}

impl Inner {
    pub(crate) fn tenant(&self, tenant: &TenantId) -> Arc<Tenant> {
        let mut tenants = self.tenants.lock();
        if let Some(state) = tenants.get(tenant) {
            return state.clone();
        }
        if tenants.len() >= MANY_TENANTS && tenants.len().is_power_of_two() {
            // Anybody may ask about tenants that do not exist.
            let exists =
                |t: &Tenant| t.known.lock().newest.as_ref().is_some_and(|(s, _)| s.version() > 0);
            tenants.retain(|_, t| Arc::strong_count(t) > 1 || exists(t));
        }
        tenants.entry(tenant.clone()).or_default().clone()
    }

    /// Reads the floor and remembers it.
    pub(crate) async fn read_floor(&self, tenant: &TenantId, state: &Tenant) -> Result<Floor> {
        let known = state.known.lock().floor;
        let floor = floor::read(&self.bucket, tenant, known).await?;
        let mut known = state.known.lock();
        if floor.sequence >= known.floor.sequence {
            known.floor = floor;
        }
        Ok(known.floor)
    }

    /// A name that no other attempt of any process has.
    pub(crate) fn token(&self) -> Ulid {
        let now = u64::try_from(self.clock.now_ms()).unwrap_or(0);
        Ulid::from_parts(now, u128::from_le_bytes(random_bytes()))
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Catalog").field(&self.0.bucket).finish()
    }
}
