//! Opens a folder of segments: which files hold what, and whether all that
//! was promised is there.
//!
//! Files are scanned in parallel, put in the order of their generations and
//! checked against each other (docs/formats/log.md, L-4 to L-9). Nothing is
//! written: the next append starts a new segment.

use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::format::{SEGMENT_HEADER, SegmentHeader};
use super::index::{Index, Place, Segment};
use super::scan::{Content, Item, Scan, scan};
use crate::{Disk, DiskFile, LogError};

/// Ending of segment file names.
const SUFFIX: &str = ".segment";
/// Most threads that scan at once.
const SCANNERS: usize = 4;

/// A segment that holds entries, and what must be purged before it is free.
pub(crate) struct Live {
    pub(crate) segment: Arc<Segment>,
    /// Highest index of each partition in it.
    pub(crate) holds: BTreeMap<u32, u64>,
}

/// A segment file that holds nothing needed.
pub(crate) struct Free {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DiskFile>,
}

/// A segment file with a good header.
struct Used {
    segment: Arc<Segment>,
    header: SegmentHeader,
    last_batch: u64,
    end: u64,
    items: Vec<Item>,
}

/// What a folder holds.
#[derive(Default)]
pub(crate) struct Recovered {
    /// In the order of their generations.
    pub(crate) live: VecDeque<Live>,
    pub(crate) free: Vec<Free>,
    /// The newest generation and where its batches end; 0 if there is none.
    pub(crate) newest: (u64, u64),
    pub(crate) partitions: BTreeMap<u32, Index>,
    /// Number for the next new file.
    pub(crate) next_file: u64,
}

/// The name of segment file `number`.
pub(crate) fn file_name(number: u64) -> String {
    format!("{number:08}{SUFFIX}")
}

/// Reads the folder. `segment_bytes` is the length of a reusable file.
///
/// Errors: `Io`, and `Corrupt` naming file and offset where something that
/// was synced is not there.
pub(crate) fn recover(
    disk: &dyn Disk,
    dir: &Path,
    segment_bytes: u64,
) -> Result<Recovered, LogError> {
    let mut recovered = Recovered::default();
    let names = disk.list(dir).map_err(|e| LogError::io("list", dir, e))?;
    let mut paths = Vec::new();
    for name in names {
        if let Some(number) = name.strip_suffix(SUFFIX).and_then(|n| n.parse::<u64>().ok()) {
            recovered.next_file = recovered.next_file.max(number + 1);
            paths.push(dir.join(name));
        }
    }
    let mut used = BTreeMap::new();
    let mut unused: Vec<(Free, Option<u64>)> = Vec::new();
    for mut scan in scan_all(disk, &paths)? {
        match std::mem::replace(&mut scan.content, Content::Unused { stray: None }) {
            Content::Unused { stray } => {
                unused.push((Free { path: scan.path, file: scan.file }, stray));
            }
            Content::Used { header, last_batch, end, items } => {
                let generation = header.generation;
                let segment =
                    Arc::new(Segment { generation, path: scan.path.clone(), file: scan.file });
                let file = Used { segment, header, last_batch, end, items };
                if let Some(other) = used.insert(generation, file) {
                    let other = other.segment.path.display();
                    let detail = format!("generation {generation} is also that of {other}");
                    return Err(LogError::Corrupt { path: scan.path, offset: 16, detail });
                }
            }
        }
    }
    if let Some((generation, newest)) = used.last_key_value() {
        recovered.newest = (*generation, newest.end);
        newest.make_durable()?;
    }
    // A crashed process may have left names that are not durable yet, of free
    // files too, which are about to be used (L-2).
    disk.sync_dir(dir).map_err(|e| LogError::io("sync", dir, e))?;
    check_headers(&unused, recovered.newest.0)?;
    let ends = check_ends(&used)?;
    for (generation, file) in used {
        let limit = ends.get(&generation).copied().unwrap_or(file.end);
        let holds = recovered.replay(&file.segment, file.items, limit)?;
        recovered.live.push_back(Live { segment: file.segment, holds });
    }
    recovered.finish(dir, unused.iter().map(|(free, _)| free.path.as_path()))?;
    for (free, _) in unused {
        let len = free.file.len().map_err(|e| LogError::io("read", &free.path, e))?;
        if len == segment_bytes {
            recovered.free.push(free);
        } else {
            disk.remove(&free.path).map_err(|e| LogError::io("remove", &free.path, e))?;
        }
    }
    Ok(recovered)
}

fn scan_all(disk: &dyn Disk, paths: &[PathBuf]) -> Result<Vec<Scan>, LogError> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(paths.len()));
    std::thread::scope(|scope| {
        for _ in 0..SCANNERS.min(paths.len()) {
            scope.spawn(|| {
                while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = disk
                        .open(path)
                        .map_err(|e| LogError::io("open", path, e))
                        .and_then(|file| scan(path, file));
                    results.lock().push(result);
                }
            });
        }
    });
    let mut scans: Vec<Scan> = results.into_inner().into_iter().collect::<Result<_, _>>()?;
    // Whichever thread was faster: the same folder is always seen alike.
    scans.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(scans)
}

/// A header is synced before the first batch: one that is unreadable in front
/// of a batch newer than all others was damaged later (L-6).
fn check_headers(unused: &[(Free, Option<u64>)], newest: u64) -> Result<(), LogError> {
    match unused.iter().find(|(_, stray)| stray.is_some_and(|stray| stray > newest)) {
        Some((free, stray)) => Err(LogError::Corrupt {
            path: free.path.clone(),
            offset: 0,
            detail: format!(
                "segment header is unreadable, but batches of generation {} follow",
                stray.unwrap_or(0)
            ),
        }),
        None => Ok(()),
    }
}

/// Every generation must be good up to where its successor says that it was
/// synced (L-4); what lies above was given up by an earlier recovery (L-5).
fn check_ends(used: &BTreeMap<u64, Used>) -> Result<BTreeMap<u64, u64>, LogError> {
    let mut ends = BTreeMap::new();
    for (generation, file) in used {
        let SegmentHeader { previous, previous_end: synced, .. } = file.header;
        let Some(before) = used.get(&previous) else { continue };
        if before.end < synced {
            return Err(LogError::Corrupt {
                path: before.segment.path.clone(),
                offset: before.end,
                detail: format!(
                    "batch is unreadable, but was synced: generation {generation} says that all below {synced} was"
                ),
            });
        }
        ends.insert(previous, synced);
    }
    Ok(ends)
}

impl Used {
    /// Writes again, and syncs, what nothing says was synced: a process that
    /// crashed, or whose sync failed, may have left it in the system's cache
    /// only, where a sync no longer finds it. It is accepted from here on, so
    /// it must not vanish later (L-7).
    fn make_durable(&self) -> Result<(), LogError> {
        let Segment { path, file, .. } = &*self.segment;
        let end = if self.last_batch == 0 { SEGMENT_HEADER as u64 } else { self.end };
        let len = usize::try_from(end - self.last_batch).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len];
        let read =
            file.read_at(self.last_batch, &mut bytes).map_err(|e| LogError::io("read", path, e))?;
        file.write_at(self.last_batch, &[IoSlice::new(&bytes[..read])])
            .and_then(|()| file.sync_data())
            .map_err(|e| LogError::io("sync", path, e))
    }
}

impl Recovered {
    /// Takes what one segment holds below `limit`.
    fn replay(
        &mut self,
        segment: &Arc<Segment>,
        items: Vec<Item>,
        limit: u64,
    ) -> Result<BTreeMap<u32, u64>, LogError> {
        let mut holds = BTreeMap::new();
        for item in items {
            match item {
                Item::Entry { at, .. } if at >= limit => break,
                Item::Entry { at, len, partition, term, index } => {
                    let state = self.partitions.entry(partition).or_default();
                    let at32 = u32::try_from(at).map_err(|_| LogError::Corrupt {
                        path: segment.path.clone(),
                        offset: at,
                        detail: "segment is larger than 4 GiB".to_owned(),
                    })?;
                    // Entries before a gap that a purge explains are dropped
                    // with it; other gaps are found at the end.
                    if index != state.last.saturating_add(1) {
                        if index <= state.last {
                            return Err(LogError::Corrupt {
                                path: segment.path.clone(),
                                offset: at,
                                detail: format!(
                                    "entry {index} of partition {partition} follows entry {}",
                                    state.last
                                ),
                            });
                        }
                        state.forget(usize::MAX);
                    }
                    state.term = term;
                    state.last = index;
                    state.found(Place { segment: Arc::clone(segment), at: at32, len });
                    holds.insert(partition, index);
                }
                Item::Purge { partition, index } => {
                    let state = self.partitions.entry(partition).or_default();
                    state.purged = state.purged.max(index);
                }
                Item::State(rows) => {
                    for row in rows {
                        let state = self.partitions.entry(row.partition).or_default();
                        if state.last != row.last {
                            state.forget(usize::MAX);
                            state.last = state.last.max(row.last);
                        }
                        state.term = state.term.max(row.term);
                        state.purged = state.purged.max(row.purged);
                    }
                }
            }
        }
        Ok(holds)
    }

    /// Drops what is purged and checks that the rest has no gaps (L-8).
    fn finish<'a>(
        &mut self,
        dir: &Path,
        mut suspects: impl Iterator<Item = &'a Path>,
    ) -> Result<(), LogError> {
        for (partition, state) in &mut self.partitions {
            state.last = state.last.max(state.purged);
            let first = (state.last - state.places.len() as u64).saturating_add(1);
            let needed = state.purged.saturating_add(1);
            if first > needed {
                let detail = format!(
                    "entries {} to {} of partition {partition} were durable and are missing",
                    needed,
                    first - 1
                );
                let path = suspects.next().unwrap_or(dir).to_owned();
                return Err(LogError::Corrupt { path, offset: 0, detail });
            }
            let needless = usize::try_from(needed - first).unwrap_or(usize::MAX);
            state.forget(needless);
        }
        Ok(())
    }
}
