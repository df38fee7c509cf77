//! Reading leaves, through a cache in memory that all tenants share.
//!
//! A leaf's name holds its writer's token and the hash of its content, so a
//! cached leaf is never stale.

use std::sync::Arc;

use foyer::{Cache, CacheBuilder};

use varve_model::TenantId;

use super::error::Result;
use super::format::{Leaf, LeafRef};
use crate::{Bucket, paths};

/// How much larger a parsed leaf is than its JSON, about.
const PARSED: usize = 2;

pub(crate) struct Leaves {
    bucket: Bucket,
    cache: Cache<paths::ObjectPath, Arc<Leaf>>,
}

impl Leaves {
    pub(crate) fn new(bucket: Bucket, capacity: usize) -> Self {
        // The weight of a leaf is what it was parsed from, known by its entries.
        let weight = |_: &paths::ObjectPath, leaf: &Arc<Leaf>| {
            let entry = |b: &varve_block::BlockEntry| 512 + 128 * b.files.len();
            256 + leaf.blocks.iter().map(entry).sum::<usize>() * PARSED + leaf.cuts.len() * 24
        };
        let cache = CacheBuilder::new(capacity).with_weighter(weight).build();
        Self { bucket, cache }
    }

    /// The leaf of a reference. One that has been collected is `NotFound`.
    pub(crate) async fn read(&self, tenant: &TenantId, reference: &LeafRef) -> Result<Arc<Leaf>> {
        let path = paths::leaf(tenant, &reference.name);
        if let Some(entry) = self.cache.get(&path) {
            return Ok(entry.value().clone());
        }
        let bytes = self.bucket.get(&path, reference.size).await?;
        let leaf = Arc::new(Leaf::decode(&path, reference, &bytes)?);
        self.cache.insert(path, leaf.clone());
        Ok(leaf)
    }

    /// Remembers a leaf that this process has just written.
    pub(crate) fn remember(&self, tenant: &TenantId, reference: &LeafRef, leaf: Arc<Leaf>) {
        self.cache.insert(paths::leaf(tenant, &reference.name), leaf);
    }
}
