//! `varve tools bucket rebuild-catalog`: the catalog made anew from blocks.

use std::sync::Arc;

use prometheus::Registry;
use varve_bucket::catalog::rebuild::rebuild_catalog;
use varve_bucket::{Bucket, Catalog};
use varve_model::TenantId;
use varve_runtime::SystemClock;

use crate::cli::{Failure, print};
use crate::config::Config;

/// Rebuilds the catalogs of these tenants, of all when none is named. What
/// was found is printed, one line a tenant and one a folder that was skipped.
pub(super) fn run(config: &Config, tenants: &[String]) -> Result<(), Failure> {
    tokio::runtime::Runtime::new()?.block_on(rebuild(config, tenants))
}

async fn rebuild(config: &Config, tenants: &[String]) -> Result<(), Failure> {
    let bucket = Bucket::open(&config.bucket_url(), &config.bucket.client, &Registry::new())?;
    let catalog = Catalog::open(bucket, Arc::new(SystemClock), config.catalog.clone())?;
    let tenants: Vec<TenantId> = match tenants {
        [] => catalog.tenants().await?,
        some => some.iter().map(|t| TenantId::new(t)).collect::<Result<_, _>>()?,
    };
    if tenants.is_empty() {
        return print(&format!("{} holds no tenant", catalog.bucket().url()));
    }
    for tenant in tenants {
        let rebuilt = rebuild_catalog(&catalog, &tenant).await?;
        print(&format!(
            "tenant {tenant}: version {} lists {} blocks ({} replaced, {} deleted, {} not \
             committed, {} folders skipped)",
            rebuilt.version,
            rebuilt.blocks,
            rebuilt.replaced.len(),
            rebuilt.removed.len(),
            rebuilt.uncommitted.len(),
            rebuilt.skipped.len()
        ))?;
        for (folder, lacks) in rebuilt.skipped {
            print(&format!("tenant {tenant}: skipped {folder}: {lacks}"))?;
        }
    }
    Ok(())
}
