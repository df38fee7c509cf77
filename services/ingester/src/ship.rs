//! Cutting windows and shipping them: build, upload, commit, say so.
//!
//! A cut is an entry of the log, so a restart finds the cuts that have not
//! shipped and ships them. Doing any step twice is harmless: a block gets a
//! new name each time it is built, one that nobody committed is collected as
//! an orphan, and the catalog takes a (tenant, partition, window, cut) once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ulid::Ulid;
use varve_bucket::{Change, Committed, CutKey, paths};
use varve_head::Cut;
use varve_model::TenantId;
use varve_runtime::failpoint;
use varve_wire::v1;

use crate::build::Built;
use crate::error::Result;
use crate::start::{Hosted, Ingester};

/// The first pause after a failure.
pub(crate) const FIRST_BACKOFF: Duration = Duration::from_secs(1);

/// Blocks of a partition that are built but not committed.
pub(crate) type Waiting = BTreeMap<(Cut, TenantId), Built>;

impl Ingester {
    /// Ships everything that the named partitions hold, whatever its age.
    pub(crate) async fn run_ship(&self, request: v1::ShipRequest) -> Result<v1::ShipResponse> {
        let mut ids = request.partitions;
        if ids.is_empty() {
            ids.extend(self.partitions.keys());
        }
        let hosted = ids.into_iter().map(|id| self.hosted(id)).collect::<Result<Vec<_>>>()?;
        // All at once, so that their commits share versions of the catalog.
        let shipped = join_all(hosted.into_iter().map(|hosted| self.ship_all(hosted))).await;
        let shipped = shipped.into_iter().collect::<Result<Vec<_>>>()?;
        let blocks = shipped.iter().flatten().map(Ulid::to_string).collect();
        Ok(v1::ShipResponse { blocks })
    }

    /// Cuts and ships what is due, again and again; backs off while it fails.
    pub(crate) async fn ship_loop(self, hosted: Arc<Hosted>) {
        let mut backoff = FIRST_BACKOFF;
        loop {
            let pause = match self.ship_due(&hosted).await {
                Ok(_) => {
                    backoff = FIRST_BACKOFF;
                    self.config.ship_check_interval.0
                }
                Err(error) => {
                    let pause = backoff;
                    backoff = (backoff * 2).min(self.config.ship_max_backoff.0);
                    let seconds = pause.as_secs();
                    tracing::warn!(partition = hosted.id, %error, seconds, "ship, tried again later");
                    pause
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Cuts the windows that are due, and ships all cuts that have not shipped.
    pub(crate) async fn ship_due(&self, hosted: &Hosted) -> Result<Vec<Ulid>> {
        let mut waiting = hosted.waiting.lock().await;
        for key in hosted.partition.due(self.clock.now_ms()) {
            hosted.partition.cut(key.window_end, false).await?;
        }
        self.ship_cuts(hosted, &mut waiting).await
    }

    /// Cuts and ships everything.
    pub(crate) async fn ship_all(&self, hosted: &Hosted) -> Result<Vec<Ulid>> {
        let mut waiting = hosted.waiting.lock().await;
        for key in hosted.partition.uncut() {
            hosted.partition.cut(key.window_end, true).await?;
        }
        self.ship_cuts(hosted, &mut waiting).await
    }

    /// Ships the partition's open cuts, oldest first. One that cannot be built
    /// does not hold up the others; a bucket that is away does.
    pub(crate) async fn ship_cuts(
        &self,
        hosted: &Hosted,
        waiting: &mut Waiting,
    ) -> Result<Vec<Ulid>> {
        let partition = hosted.id.to_string();
        let unshipped = self.metrics.unshipped.with_label_values(&[&partition]);
        let cuts = hosted.partition.unfinished_cuts();
        let mut left = i64::try_from(cuts.len()).unwrap_or(i64::MAX);
        unshipped.set(left);
        let mut blocks = Vec::new();
        let mut first_error = None;
        for cut in cuts {
            let timer = self.metrics.ship_seconds.start_timer();
            match self.ship_cut(hosted, waiting, cut, &mut blocks).await {
                Ok(()) => {
                    timer.observe_duration();
                    self.metrics.cuts_shipped.inc();
                    left -= 1;
                    unshipped.set(left);
                }
                Err(error) => {
                    timer.stop_and_discard();
                    self.metrics.ship_failures.inc();
                    let away = error.kind().is_retryable();
                    first_error.get_or_insert(error);
                    if away {
                        break;
                    }
                }
            }
        }
        first_error.map_or(Ok(blocks), Err)
    }

    async fn ship_cut(
        &self,
        hosted: &Hosted,
        waiting: &mut Waiting,
        cut: Cut,
        blocks: &mut Vec<Ulid>,
    ) -> Result<()> {
        let mut versions = BTreeMap::new();
        for tenant in hosted.partition.cut_tenants(&cut) {
            let version = match self.committed_before(hosted, &cut, &tenant).await? {
                Some(version) => {
                    // An attempt whose answer was lost left its block here.
                    waiting.remove(&(cut, tenant.clone()));
                    version
                }
                None => self.ship_tenant(hosted, waiting, cut, &tenant, blocks).await?,
            };
            versions.insert(tenant, version);
        }
        failpoint!("ship.before-shipped", |_| Err(crate::IngesterError::Failpoint(
            "before-shipped"
        )));
        hosted.partition.shipped(&cut, versions).await?;
        failpoint!("ship.after-shipped", |_| Err(crate::IngesterError::Failpoint("after-shipped")));
        tracing::info!(
            partition = hosted.id,
            window_end = cut.window_end,
            cut = cut.number,
            "shipped"
        );
        Ok(())
    }

    /// A catalog version that has the cut's block, if there is one: an earlier
    /// attempt got that far. Only saves work; the commit itself checks again.
    async fn committed_before(
        &self,
        hosted: &Hosted,
        cut: &Cut,
        tenant: &TenantId,
    ) -> Result<Option<u64>> {
        let newest = self.catalog.newest(tenant).await?;
        let had = newest.has_cut(key(hosted, cut)).await?;
        Ok(had.then(|| newest.version()))
    }

    /// Builds (unless that is done), uploads and commits one block.
    async fn ship_tenant(
        &self,
        hosted: &Hosted,
        waiting: &mut Waiting,
        cut: Cut,
        tenant: &TenantId,
        blocks: &mut Vec<Ulid>,
    ) -> Result<u64> {
        let key = (cut, tenant.clone());
        // Where room is short there is that of one block.
        let short = self.disk.is_short();
        let _alone = if short { Some(self.one_block.lock().await) } else { None };
        let mut built = match waiting.remove(&key) {
            Some(built) => built,
            None => {
                failpoint!("ship.before-build", |_| Err(crate::IngesterError::Failpoint(
                    "before-build"
                )));
                self.build(hosted, cut, tenant).await?
            }
        };
        match self.upload_and_commit(hosted, &cut, tenant, &mut built).await {
            Ok(committed) => {
                // With `Already` another attempt's block is the one that counts.
                if matches!(committed, Committed::Now { .. }) {
                    self.metrics.blocks_shipped.inc();
                    self.metrics.bytes_shipped.inc_by(built.block.entry.size());
                    blocks.push(built.block.entry.id);
                }
                Ok(committed.version())
            }
            Err(error) => {
                // Anything else (too old, a file is gone) is built again.
                if error.kind().is_retryable() && !short {
                    waiting.insert(key, built);
                }
                Err(error)
            }
        }
    }

    async fn upload_and_commit(
        &self,
        hosted: &Hosted,
        cut: &Cut,
        tenant: &TenantId,
        built: &mut Built,
    ) -> Result<Committed> {
        let entry = &built.block.entry;
        let turn = self.uploads.acquire().await;
        let turn = turn.map_err(|_| crate::IngesterError::CutOff("an upload"))?;
        for (name, file) in built.block.files.iter().skip(built.uploaded) {
            let path = paths::block_file(tenant, entry.id, name);
            self.catalog.bucket().put_file(&path, file).await?;
            built.uploaded += 1;
            if built.uploaded == 1 {
                failpoint!("ship.after-upload-some", |_| Err(crate::IngesterError::Failpoint(
                    "after-upload-some"
                )));
            }
        }
        drop(turn);
        failpoint!("ship.before-commit", |_| Err(crate::IngesterError::Failpoint("before-commit")));
        let change = Change::ship(key(hosted, cut), vec![entry.clone()]);
        let committed = self.catalog.commit(tenant, change).await?;
        failpoint!("ship.after-commit", |_| Err(crate::IngesterError::Failpoint("after-commit")));
        Ok(committed)
    }
}

/// The cut's name in the catalog.
fn key(hosted: &Hosted, cut: &Cut) -> CutKey {
    CutKey { partition: hosted.id, window_end: cut.window_end, cut: cut.number }
}
