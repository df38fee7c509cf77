//! Retention: a block leaves the catalog when its last sample is older than
//! the tenant keeps samples. Whole blocks only.

use varve_block::BlockEntry;
use varve_bucket::catalog::{CatalogError, Cause, Change};
use varve_model::{TenantId, TimeRange};

use crate::Compactor;

/// How long each tenant keeps samples. The answer may change at any time.
pub trait Retention: Send + Sync {
    /// In milliseconds; `None` = for ever.
    fn retention_ms(&self, tenant: &TenantId) -> Option<i64>;
}

impl Compactor {
    /// Drops what is past retention from the catalog; returns how many blocks.
    pub(crate) async fn expire(&self, tenant: &TenantId) -> Result<usize, CatalogError> {
        let Some(keep) = self.retention.retention_ms(tenant) else { return Ok(0) };
        let horizon = self.clock.now_ms().saturating_sub(keep);
        let snapshot = self.catalog.refresh(tenant).await?;
        let old = snapshot.blocks(TimeRange::new(i64::MIN, horizon)).await?;
        let expired: Vec<BlockEntry> = old.into_iter().filter(|b| b.max_time < horizon).collect();
        if expired.is_empty() {
            return Ok(0);
        }
        self.catalog.commit(tenant, Change::remove(Cause::Retention, &expired)).await?;
        tracing::info!(%tenant, blocks = expired.len(), horizon, "dropped blocks past retention");
        Ok(expired.len())
    }
}
