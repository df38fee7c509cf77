//! Making a catalog anew from the blocks in the bucket, when it is lost or
//! damaged.
//!
//! `block.json` says what a block is and from which blocks it was made, and
//! the marks beside it what became of it (`marks.rs`), so neither a block that
//! another one replaced nor one that was deleted rises again, and none that
//! was built but never committed takes the place of those that it was made
//! from. Which blocks are chosen is in `chosen.rs`.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt, TryStreamExt};
use ulid::Ulid;
use varve_block::{BLOCK_JSON, BlockEntry, BlockMeta};
use varve_model::{TenantId, window_end};

use super::chosen::{self, Chosen, Found, Gone};
use super::error::{CatalogError, Result};
use super::floor::{self, Floor};
use super::format::{self, FORMAT, Hint, Leaf, MAX_BYTES, Manifest};
use super::marks::Mark;
use super::tenant::{Inner, Tenant};
use super::{Catalog, Cause, CutKey};
use crate::bucket::PutOutcome;
use crate::paths;

/// Requests in flight at once.
const IN_FLIGHT: usize = 16;
/// The most bytes that a `block.json` may have.
const MAX_BLOCK_JSON: u64 = 16 << 20;

/// What a rebuild found and made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// The version that was made.
    pub version: u64,
    /// Blocks that it lists.
    pub blocks: u64,
    /// Blocks that it leaves out because others were made from them.
    pub replaced: Vec<Ulid>,
    /// Blocks that it leaves out because they had been deleted.
    pub removed: Vec<Ulid>,
    /// Blocks that it leaves out because they were never committed, or because
    /// another block of the same cut was.
    pub uncommitted: Vec<Ulid>,
    /// Folders that are not a whole block, and what each lacks.
    pub skipped: Vec<(String, String)>,
}

/// Lists every block of a tenant that is whole and was neither replaced nor
/// deleted, as a new version of its catalog. Nothing else is changed or deleted. Needs a
/// LIST and a few requests a block; nobody should commit at the same time (a
/// commit that does makes this fail with `Contended`).
pub async fn rebuild_catalog(catalog: &Catalog, tenant: &TenantId) -> Result<Rebuilt> {
    let inner = &*catalog.0;
    let mut rebuilt = Rebuilt::default();
    let found = inner.whole_blocks(tenant, &mut rebuilt).await?;
    let last = inner.last_used(tenant, &found).await?;
    let Chosen { listed, gone, cuts } = chosen::choose(found, inner.gone_cuts(tenant).await?);
    let mut leaves: BTreeMap<i64, Leaf> = BTreeMap::new();
    let remembered = inner.remembered_cuts(tenant).await?;
    for cut in cuts.into_iter().chain(remembered) {
        let leaf = leaf_of(&mut leaves, cut.window_end);
        if let Err(at) = leaf.cuts.binary_search(&cut) {
            leaf.cuts.insert(at, cut);
        }
    }
    for entry in listed {
        let leaf = leaf_of(&mut leaves, window_end(entry.range.end));
        leaf.blocks.push(entry);
        rebuilt.blocks += 1;
    }
    for (id, why) in gone {
        match why {
            Gone::Replaced => rebuilt.replaced.push(id),
            Gone::Removed => rebuilt.removed.push(id),
            Gone::Uncommitted => rebuilt.uncommitted.push(id),
        }
    }
    rebuilt.version = last + 1;
    inner.write_rebuilt(tenant, rebuilt.version, leaves).await?;
    inner.tenant(tenant).known.lock().distrust();
    Ok(rebuilt)
}

fn leaf_of(leaves: &mut BTreeMap<i64, Leaf>, window: i64) -> &mut Leaf {
    leaves.entry(window).or_insert_with(|| Leaf::empty(window))
}

impl Inner {
    /// The highest version that was ever used, as far as the bucket shows. All
    /// versions between the floor and it exist: where they were lost, the floor
    /// is raised over them.
    async fn last_used(&self, tenant: &TenantId, blocks: &[Found]) -> Result<u64> {
        let state = self.tenant(tenant);
        let floor = self.read_floor(tenant, &state).await?;
        let folder = self.bucket.list_folder(&paths::catalog(tenant)).await?;
        let listed = folder.objects.iter();
        let listed = listed.filter_map(|o| paths::manifest_version(o.path.file_name()));
        let mut above: Vec<u64> = listed.filter(|v| *v > floor.version).collect();
        above.sort_unstable();
        let path = paths::hint(tenant);
        let hint = match self.bucket.get(&path, 4096).await {
            Ok(bytes) => format::decode::<Hint>(&path, &bytes).map_or(0, |hint| hint.version),
            Err(error) if error.is_not_found() => 0,
            Err(error) => return Err(error.into()),
        };
        let marked = blocks.iter().flat_map(|b| &b.marks).map(|m| m.version).max().unwrap_or(0);
        let last = above.last().copied().unwrap_or(0).max(hint).max(floor.version).max(marked);
        let unbroken = (floor.version + 1..=last).eq(above);
        if !unbroken {
            self.raise_to(tenant, &state, floor, last).await?;
        }
        Ok(last)
    }

    async fn raise_to(
        &self,
        tenant: &TenantId,
        state: &Tenant,
        floor: Floor,
        version: u64,
    ) -> Result<()> {
        let (sequence, created_ms) = (floor.sequence + 1, self.clock.now_ms());
        let raised = Floor { sequence, version, seen: version, created_ms };
        if !floor::raise(&self.bucket, tenant, raised, self.token()).await? {
            return Err(CatalogError::Contended { tenant: tenant.clone(), lost: 1, ms: 0 });
        }
        state.known.lock().floor = raised;
        Ok(())
    }

    /// The cuts that any leaf remembers which is still there.
    async fn remembered_cuts(&self, tenant: &TenantId) -> Result<BTreeSet<CutKey>> {
        let folder = self.bucket.list_folder(&paths::leaves(tenant)).await?;
        let leaves: Vec<Option<Leaf>> = stream::iter(folder.objects)
            .map(|object| async move {
                match self.bucket.get(&object.path, MAX_BYTES).await {
                    // What cannot be read is what the catalog is made anew for.
                    Ok(bytes) => Ok(format::decode(&object.path, &bytes).ok()),
                    Err(error) if error.is_not_found() => Ok(None),
                    Err(error) => Err(CatalogError::from(error)),
                }
            })
            .buffered(IN_FLIGHT)
            .try_collect()
            .await?;
        Ok(leaves.into_iter().flatten().flat_map(|leaf| leaf.cuts).collect())
    }

    /// Every block whose `block.json` can be read and whose files are there
    /// with the sizes that it says, in order of id.
    async fn whole_blocks(&self, tenant: &TenantId, rebuilt: &mut Rebuilt) -> Result<Vec<Found>> {
        let mut folders = self.bucket.list_folder(&paths::blocks(tenant)).await?.folders;
        folders.sort();
        let read: Vec<(String, Result<Found, String>)> = stream::iter(folders)
            .map(|folder| async move {
                let block = self.whole_block(tenant, &folder).await?;
                Ok::<_, CatalogError>((folder, block))
            })
            .buffered(IN_FLIGHT)
            .try_collect()
            .await?;
        let mut blocks = Vec::with_capacity(read.len());
        for (folder, block) in read {
            match block {
                Ok(entry) => blocks.push(entry),
                Err(lacks) => rebuilt.skipped.push((folder, lacks)),
            }
        }
        Ok(blocks)
    }

    /// A block, or what it lacks. Only the bucket's own failures are errors.
    async fn whole_block(&self, tenant: &TenantId, folder: &str) -> Result<Result<Found, String>> {
        let Ok(id) = Ulid::from_string(folder) else {
            return Ok(Err("its name is not a block id".to_owned()));
        };
        let json = paths::block_file(tenant, id, BLOCK_JSON);
        let bytes = match self.bucket.get(&json, MAX_BLOCK_JSON).await {
            Ok(bytes) => bytes,
            Err(error) if !error.kind().is_retryable() => return Ok(Err(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        let meta = match BlockMeta::from_json(&bytes) {
            Ok(meta) => meta,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if meta.id != id || meta.tenant != tenant.as_str() {
            let (id, owner) = (meta.id, meta.tenant);
            return Ok(Err(format!("it says that it is block {id} of tenant {owner:?}")));
        }
        let files = self.bucket.list(&paths::block(tenant, id));
        let files: BTreeMap<String, u64> = files
            .map_ok(|info| (info.path.file_name().to_owned(), info.size))
            .try_collect()
            .await?;
        for (name, file) in &meta.files {
            match files.get(name) {
                Some(size) if *size == file.size => {}
                Some(size) => {
                    return Ok(Err(format!("{name} has {size} bytes, expected {}", file.size)));
                }
                None => return Ok(Err(format!("{name} is missing"))),
            }
        }
        let marks = files.keys().filter_map(|name| Mark::parse(name)).collect();
        Ok(Ok(Found { entry: BlockEntry::new(&meta), marks }))
    }

    async fn write_rebuilt(
        &self,
        tenant: &TenantId,
        version: u64,
        leaves: BTreeMap<i64, Leaf>,
    ) -> Result<()> {
        let (token, now_ms) = (self.token(), self.clock.now_ms());
        let mut references = Vec::with_capacity(leaves.len());
        for (_, mut leaf) in leaves {
            leaf.blocks.sort_by_key(|b| b.id);
            let (reference, bytes) = leaf.encode(token, now_ms)?;
            self.bucket.put(&paths::leaf(tenant, &reference.name), bytes).await?;
            references.push(reference);
        }
        let manifest = Manifest {
            format: FORMAT,
            tenant: tenant.to_string(),
            version,
            token: token.to_string(),
            created_ms: now_ms,
            causes: vec![Cause::Rebuild],
            leaves: references,
            fresh: Vec::new(),
            masks: Vec::new(),
        };
        let bytes = manifest.encode()?;
        debug_assert!(bytes.len() as u64 <= MAX_BYTES);
        let outcome = self.bucket.put_if_absent(&paths::manifest(tenant, version), bytes).await?;
        let state = self.tenant(tenant);
        let floor = self.read_floor(tenant, &state).await?;
        if outcome == PutOutcome::Exists || floor.version >= version {
            return Err(CatalogError::Contended { tenant: tenant.clone(), lost: 1, ms: 0 });
        }
        self.write_hint(tenant, version, floor).await;
        if floor.version + 1 < version {
            // What came before may lack leaves: nobody is to read it again.
            self.raise_to(tenant, &state, floor, version - 1).await?;
        }
        Ok(())
    }
}
