//! One request of one tenant: what it reads from, what it may use, and what
//! it has covered.

use std::sync::Arc;

use parking_lot::Mutex;
use varve_bucket::{Catalog, Snapshot};
use varve_cluster::{Pool, Topology};
use varve_model::{ErrorKind, TenantId};

use crate::budget::{Budgets, QueryBudget};
use crate::near::Near;
use crate::{Coverage, Metrics, QueryConfig, QueryError};

/// Reads the cluster's series. One a process.
#[derive(Clone)]
pub struct Reader {
    pub(crate) config: QueryConfig,
    pub(crate) topology: Arc<Topology>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) metrics: Metrics,
    pub(crate) near: Option<Arc<dyn Near>>,
    budgets: Arc<Budgets>,
}

impl Reader {
    /// A reader of the cluster that `topology` describes.
    pub fn new(
        config: QueryConfig,
        topology: Arc<Topology>,
        pool: Arc<Pool>,
        catalog: Arc<Catalog>,
        metrics: Metrics,
    ) -> Self {
        let budgets = Arc::new(Budgets::new(&config, metrics.memory.clone()));
        Self { config, topology, pool, catalog, metrics, near: None, budgets }
    }

    /// A reader that takes what [`varve_cluster::Address::Local`] holds from `near`.
    #[must_use]
    pub fn with_near(self, near: Arc<dyn Near>) -> Self {
        Self { near: Some(near), ..self }
    }

    /// Begins a request of a tenant.
    pub fn session(&self, tenant: TenantId) -> Arc<Session> {
        let budget = self.budgets.query(&tenant);
        Arc::new(Session {
            reader: self.clone(),
            tenant,
            budget,
            pinned: tokio::sync::Mutex::default(),
            coverage: Mutex::default(),
        })
    }

    /// Bytes that all requests hold now.
    pub fn memory_used(&self) -> usize {
        self.budgets.used()
    }
}

/// One request of one tenant. All its reads share a pinned catalog version
/// (raised when the seam demands it) and a memory budget.
pub struct Session {
    pub(crate) reader: Reader,
    pub(crate) tenant: TenantId,
    pub(crate) budget: Arc<QueryBudget>,
    pinned: tokio::sync::Mutex<Option<Arc<Snapshot>>>,
    coverage: Mutex<Coverage>,
}

impl Session {
    /// The request's memory.
    pub fn budget(&self) -> Arc<QueryBudget> {
        Arc::clone(&self.budget)
    }

    /// What has been read so far.
    pub fn coverage(&self) -> Coverage {
        self.coverage.lock().clone()
    }

    pub(crate) fn cover(&self, update: impl FnOnce(&mut Coverage)) {
        update(&mut self.coverage.lock());
    }

    /// The pinned snapshot, pinned on first use.
    pub(crate) async fn pin(&self) -> Result<Arc<Snapshot>, QueryError> {
        let mut pinned = self.pinned.lock().await;
        if let Some(snapshot) = &*pinned {
            return Ok(Arc::clone(snapshot));
        }
        let newest = self.reader.catalog.newest(&self.tenant).await?;
        self.take(&mut pinned, newest)
    }

    /// Pins a version that is at least `version`.
    pub(crate) async fn pin_anew(&self, version: u64) -> Result<Arc<Snapshot>, QueryError> {
        let mut pinned = self.pinned.lock().await;
        if let Some(snapshot) = pinned.as_ref().filter(|s| s.version() >= version) {
            return Ok(Arc::clone(snapshot));
        }
        self.reader.metrics.repins.inc();
        self.cover(|c| c.repins += 1);
        let newest = self.reader.catalog.at_least(&self.tenant, version).await?;
        self.take(&mut pinned, newest)
    }

    /// Refuses what this version of Varve cannot honour, and remembers the rest.
    fn take(
        &self,
        pinned: &mut Option<Arc<Snapshot>>,
        snapshot: Arc<Snapshot>,
    ) -> Result<Arc<Snapshot>, QueryError> {
        if !snapshot.masks().is_empty() {
            let text = format!(
                "catalog version {} of tenant {} names deletion masks, which this version of Varve does not know",
                snapshot.version(),
                self.tenant
            );
            return Err(QueryError::new(ErrorKind::Internal, text));
        }
        self.cover(|c| c.catalog_version = snapshot.version());
        *pinned = Some(Arc::clone(&snapshot));
        Ok(snapshot)
    }
}
