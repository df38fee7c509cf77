//! The cuts whose blocks a collection has deleted, kept for as long as another
//! block of the same cut may lie around: one that was built by a leader that
//! died before its commit. Without them a catalog that is made anew would take
//! that one for the cut's block, and bring back what was deleted.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use ulid::Ulid;
use varve_model::TenantId;

use super::CutKey;
use super::error::{CatalogError, Result};
use super::format::{self, FORMAT, MAX_BYTES};
use super::tenant::Inner;
use crate::paths::{self, ObjectPath};

/// Requests in flight at once.
const IN_FLIGHT: usize = 16;

/// The content of `gone/<ulid>.json`.
#[derive(Serialize, Deserialize)]
struct GoneCuts {
    format: u32,
    /// In order.
    cuts: BTreeSet<CutKey>,
}

impl Inner {
    /// Puts down that the blocks of these cuts are about to be deleted.
    pub(crate) async fn put_gone(&self, tenant: &TenantId, cuts: BTreeSet<CutKey>) -> Result<()> {
        if cuts.is_empty() {
            return Ok(());
        }
        let path = paths::gone(tenant).join(&format!("{}.json", self.token().to_string()));
        let bytes = format::encode(&GoneCuts { format: FORMAT, cuts })?;
        Ok(self.bucket.put(&path, bytes).await?)
    }

    /// What was put down and has had its time.
    pub(crate) async fn old_gone(
        &self,
        tenant: &TenantId,
        is_old: impl Fn(Ulid) -> bool,
    ) -> Result<Vec<ObjectPath>> {
        let folder = self.bucket.list_folder(&paths::gone(tenant)).await?;
        let paths = folder.objects.into_iter().map(|o| o.path);
        let id = |p: &ObjectPath| {
            p.file_name().strip_suffix(".json").and_then(|id| Ulid::from_string(id).ok())
        };
        Ok(paths.filter(|p| id(p).is_some_and(&is_old)).collect())
    }

    /// All that was put down and is there still.
    pub(crate) async fn gone_cuts(&self, tenant: &TenantId) -> Result<BTreeSet<CutKey>> {
        let folder = self.bucket.list_folder(&paths::gone(tenant)).await?;
        let all: Vec<Option<GoneCuts>> = stream::iter(folder.objects)
            .map(|object| async move {
                match self.bucket.get(&object.path, MAX_BYTES).await {
                    Ok(bytes) => format::decode(&object.path, &bytes).map(Some),
                    Err(error) if error.is_not_found() => Ok(None),
                    Err(error) => Err(CatalogError::from(error)),
                }
            })
            .buffered(IN_FLIGHT)
            .try_collect()
            .await?;
        Ok(all.into_iter().flatten().flat_map(|gone| gone.cuts).collect())
    }
}
