//! Building the block of one tenant's part of a cut in a scratch folder.
//!
//! A built block is kept until it is committed, so that an absent bucket costs
//! uploads only. The scratch folder is emptied at start: a block that was not
//! committed is built again from the log and the seals.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ulid::Ulid;
use varve_block::{BlockSpec, BlockWriter, FinishedBlock};
use varve_head::{Cut, Partition};
use varve_model::{TenantId, TimeRange, WINDOW_MS};
use varve_runtime::random_bytes;

use crate::error::{IngesterError, Result};
use crate::scope::blocking;
use crate::start::{Hosted, Ingester};

/// A block that waits to be committed.
pub(crate) struct Built {
    pub block: FinishedBlock,
    /// How many of its files, in order, are in the bucket.
    pub uploaded: usize,
    /// Holds the files until they are not needed.
    _folder: Folder,
}

/// A folder that is removed when it is dropped.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "remove scratch folder");
        }
    }
}

impl Ingester {
    /// Builds the block; waits for its turn among the builders.
    pub(crate) async fn build(
        &self,
        hosted: &Hosted,
        cut: Cut,
        tenant: &TenantId,
    ) -> Result<Built> {
        let permit = Arc::clone(&self.builders).acquire_owned().await;
        let permit = permit.map_err(|_| IngesterError::CutOff("a build"))?;
        let now_ms = self.clock.now_ms();
        let random = u128::from_le_bytes(random_bytes());
        let id = Ulid::from_parts(u64::try_from(now_ms).unwrap_or(0), random);
        let folder = self.scratch.join(id.to_string());
        let spec = BlockSpec {
            term: cut.term,
            index: cut.index,
            partition: hosted.id,
            cut: cut.number,
            created_ms: now_ms,
            ..BlockSpec::new(id, tenant.clone(), window(&cut))
        };
        let (partition, tenant) = (Arc::clone(&hosted.partition), tenant.clone());
        blocking("a build", move || {
            let _permit = permit;
            let made = std::fs::create_dir_all(&folder);
            made.map_err(IngesterError::io("create", &folder))?;
            let guard = Folder(folder);
            let block = write(&partition, &cut, &tenant, &guard.0, spec)?;
            Ok(Built { block, uploaded: 0, _folder: guard })
        })
        .await
    }
}

/// The time range of a cut.
fn window(cut: &Cut) -> TimeRange {
    TimeRange::new(cut.window_end.saturating_sub(WINDOW_MS), cut.window_end)
}

fn write(
    partition: &Partition,
    cut: &Cut,
    tenant: &TenantId,
    folder: &Path,
    spec: BlockSpec,
) -> Result<FinishedBlock> {
    let mut writer = BlockWriter::create(folder, spec)?;
    for series in partition.cut_series(cut, tenant)? {
        let series = series?;
        writer.push(&series.labels, series.floats, series.histograms, &series.exemplars)?;
    }
    for family in partition.metadata(tenant, None, 0).values {
        writer.metadata(&family.metric, &family.metadata);
    }
    Ok(writer.finish()?)
}
