//! Starting a compactor: rounds over all tenants until shutdown.

use std::sync::Arc;

use futures::StreamExt;
use prometheus::Registry;
use varve_bucket::catalog::{Catalog, CatalogError, gc};
use varve_model::TenantId;
use varve_runtime::{Clock, ShutdownToken};

use crate::metrics::Metrics;
use crate::{Config, Retention};

/// Keeps the bucket tidy.
pub struct Compactor {
    pub(crate) config: Config,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) retention: Arc<dyn Retention>,
    pub(crate) metrics: Metrics,
}

/// Makes a compactor; [`Compactor::run`] does the work.
///
/// # Errors
/// When its metrics are registered already.
pub fn start(
    config: Config,
    catalog: Arc<Catalog>,
    clock: Arc<dyn Clock>,
    retention: Arc<dyn Retention>,
    registry: &Registry,
) -> Result<Compactor, prometheus::Error> {
    let metrics = Metrics::new(registry)?;
    Ok(Compactor { config, catalog, clock, retention, metrics })
}

impl Compactor {
    /// Works until the token is cancelled. A round that is cut short is
    /// harmless: the next one finds what it left.
    pub async fn run(&self, token: ShutdownToken) {
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                () = tokio::time::sleep(self.config.interval.0) => {}
            }
            tokio::select! {
                () = token.cancelled() => return,
                () = self.round() => {}
            }
        }
    }

    /// Looks at every tenant once. A tenant that fails does not hold up others.
    pub async fn round(&self) {
        let tenants = match self.catalog.tenants().await {
            Ok(tenants) => tenants,
            Err(error) => {
                tracing::warn!(%error, "list tenants");
                return;
            }
        };
        futures::stream::iter(tenants)
            .for_each_concurrent(self.config.concurrency.max(1), |tenant| async move {
                let outcome = self.tend(&tenant).await;
                if let Err(error) = &outcome {
                    tracing::warn!(%tenant, %error, "tend tenant");
                }
                let outcome = if outcome.is_ok() { "ok" } else { "error" };
                self.metrics.rounds.with_label_values(&[outcome]).inc();
            })
            .await;
    }

    async fn tend(&self, tenant: &TenantId) -> Result<(), CatalogError> {
        let expired = self.expire(tenant).await?;
        self.metrics.expired.inc_by(expired as u64);
        let report = gc::collect(&self.catalog, tenant).await?;
        self.metrics.deleted.inc_by(report.manifests + report.leaves + report.files);
        Ok(())
    }
}
