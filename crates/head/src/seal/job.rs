//! What a seal has to write, taken from the state when its entry was applied.
//!
//! Small chunks of one series and window that are in no cut are merged when
//! there are several, so that what is kept of each in memory stays small
//! however often seals come.

use std::collections::BTreeMap;
use std::sync::Arc;

use varve_model::{Labels, Metadata, TenantId};

use crate::chunk::{Chunk, Data, Kind};
use crate::file::SealFile;
use crate::series::Series;
use crate::state::State;
use crate::windows::Windows;

/// This many chunks of one series, kind and window are merged into one,
const MERGE_CHUNKS: usize = 4;
/// unless they hold more samples than this together.
const MERGE_SAMPLES: u64 = 1500;

/// A snapshot of all that a manifest says, and of what no file holds yet.
#[derive(Debug, Default)]
pub(crate) struct Job {
    pub(crate) term: u64,
    pub(crate) index: u64,
    pub(crate) next_reference: u64,
    pub(crate) windows: Windows,
    pub(crate) tenants: BTreeMap<TenantId, TenantJob>,
    /// Files that hold samples of the state which are not written anew.
    pub(crate) files: BTreeMap<u64, Arc<SealFile>>,
}

/// One tenant's part of it.
#[derive(Debug)]
pub(crate) struct TenantJob {
    pub(crate) max_time: i64,
    pub(crate) out_of_order: i64,
    pub(crate) released_at: u64,
    pub(crate) metadata: BTreeMap<Arc<str>, Vec<Metadata>>,
    /// Newest times of series whose chunks do not tell.
    pub(crate) newest: Vec<(u64, i64)>,
    /// All series, sorted by reference; true for those that no file names.
    pub(crate) series: Vec<(u64, Labels, bool)>,
    /// What to write, sorted by reference.
    pub(crate) chunks: Vec<SeriesJob>,
}

/// What to write of one series.
#[derive(Debug)]
pub(crate) struct SeriesJob {
    pub(crate) reference: u64,
    pub(crate) labels: Labels,
    pub(crate) groups: Vec<Group>,
}

/// Chunks of one kind, window and cut, with their positions in the series.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// Already in files; to be merged with the new ones when there are any.
    pub(crate) old: Vec<(usize, Chunk)>,
    /// In memory.
    pub(crate) new: Vec<(usize, Chunk)>,
    /// Whether all become one.
    pub(crate) merge: bool,
}

/// Chunks of one series that are now in a file: which positions each replaces.
pub(crate) type Placed = (u64, Vec<(Vec<usize>, Chunk)>);

/// Where the chunks of a job lie now.
#[derive(Debug, Default)]
pub(crate) struct Placement {
    /// Index of the seal.
    pub(crate) index: u64,
    pub(crate) tenants: Vec<(TenantId, Vec<Placed>)>,
}

impl Job {
    /// Takes the snapshot; all buffers are closed.
    pub(crate) fn take(state: &State) -> Self {
        let mut job = Self {
            term: state.term,
            index: state.applied,
            next_reference: state.next_reference,
            windows: state.windows.clone(),
            ..Self::default()
        };
        for (id, tenant) in &state.tenants {
            let mut part = TenantJob {
                max_time: tenant.max_time,
                out_of_order: tenant.out_of_order,
                released_at: tenant.released_at,
                metadata: tenant.metadata.clone(),
                newest: Vec::new(),
                series: Vec::with_capacity(tenant.series.len()),
                chunks: Vec::new(),
            };
            for series in tenant.series.values() {
                let (reference, labels) = (series.reference, series.labels.clone());
                part.series.push((reference, labels.clone(), !series.sealed));
                let samples = series.chunks.iter().filter(|c| c.kind != Kind::Exemplar);
                if samples.map(|c| c.max).max().unwrap_or(i64::MIN) != series.newest {
                    part.newest.push((reference, series.newest));
                }
                let groups = job.groups(series);
                if !groups.is_empty() {
                    part.chunks.push(SeriesJob { reference, labels, groups });
                }
            }
            part.newest.sort_unstable();
            part.series.sort_unstable_by_key(|(reference, ..)| *reference);
            part.chunks.sort_unstable_by_key(|series| series.reference);
            job.tenants.insert(id.clone(), part);
        }
        job
    }

    /// What to write of a series; keeps the files of what stays where it is.
    fn groups(&mut self, series: &Series) -> Vec<Group> {
        let mut groups: Vec<((Kind, i64, u64), Group)> = Vec::new();
        for (position, chunk) in series.chunks.iter().enumerate() {
            let cut = self.windows.cut_of(chunk).map_or(u64::MAX, |c| c.index);
            let key = (chunk.kind, chunk.window(), cut);
            let at = groups.iter().position(|(k, _)| *k == key).unwrap_or_else(|| {
                groups.push((key, Group::default()));
                groups.len() - 1
            });
            let group = &mut groups[at].1;
            let side = if chunk.is_sealed() { &mut group.old } else { &mut group.new };
            side.push((position, chunk.clone()));
        }
        for ((kind, _, cut), group) in &mut groups {
            group.merge = *kind != Kind::Exemplar && *cut == u64::MAX && group.is_worth_merging();
            if !group.merge {
                for (_, chunk) in group.old.drain(..) {
                    self.keep(&chunk);
                }
            }
        }
        groups.into_iter().map(|(_, group)| group).filter(|g| !g.new.is_empty()).collect()
    }

    /// Notes that a chunk stays in its file.
    pub(crate) fn keep(&mut self, chunk: &Chunk) {
        if let Data::Sealed(sealed) = &chunk.data {
            self.files.entry(sealed.file.id).or_insert_with(|| Arc::clone(&sealed.file));
        }
    }
}

impl Group {
    fn is_worth_merging(&self) -> bool {
        let samples: u64 = self.all().map(|(_, c)| u64::from(c.count)).sum();
        let chunks = self.old.len() + self.new.len();
        !self.new.is_empty() && chunks >= MERGE_CHUNKS && samples <= MERGE_SAMPLES
    }

    /// All chunks of the group.
    pub(crate) fn all(&self) -> impl Iterator<Item = &(usize, Chunk)> {
        self.old.iter().chain(&self.new)
    }
}
