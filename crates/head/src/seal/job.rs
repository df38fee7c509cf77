//! What a seal has to write, taken from the state slice by slice.
//!
//! The entry has closed all buffers; entries behind it only add chunks with
//! higher indexes, and nothing else takes chunks away while the seal is under
//! way. So a slice read later tells the same, and no copy of all series is
//! made. Small chunks of one series and window that are in no cut are merged
//! when there are several: what is kept of each stays small however often
//! seals come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use varve_model::{Metadata, TenantId};

use crate::chunk::Chunk;
use crate::dictionary::{Dictionary, Pairs};
use crate::kind::Kind;
use crate::sealed::{Files, Row};
use crate::series::Series;
use crate::state::State;
use crate::tenant::Tenant;
use crate::windows::Windows;

/// This many chunks of one series, kind and window are merged into one,
const MERGE_CHUNKS: usize = 4;
/// unless they hold more samples than this together.
const MERGE_SAMPLES: u64 = 1500;

/// What a manifest says of the moment of the seal's entry.
#[derive(Debug, Default)]
pub(crate) struct Job {
    pub(crate) term: u64,
    pub(crate) index: u64,
    pub(crate) next_reference: u64,
    pub(crate) windows: Windows,
    pub(crate) tenants: BTreeMap<TenantId, TenantJob>,
    /// The place that the new file is to get; `None` when there is none.
    pub(crate) place: Option<u16>,
    /// Whether room is short: what can wait is not written.
    pub(crate) short: bool,
}

/// One tenant's part of it.
#[derive(Debug)]
pub(crate) struct TenantJob {
    pub(crate) max_time: i64,
    pub(crate) out_of_order: i64,
    pub(crate) released_at: u64,
    pub(crate) metadata: BTreeMap<Arc<str>, Vec<Metadata>>,
    /// Newest times of series whose chunks do not tell, sorted.
    pub(crate) newest: Vec<(u64, i64)>,
    /// Pages of the series that there were, sorted.
    pub(crate) pages: Vec<u64>,
    /// How many there were.
    pub(crate) series: u64,
}

/// Some series of one tenant.
pub(crate) struct Slice {
    /// Those of which something is to be written, by reference.
    pub(crate) series: Vec<SeriesJob>,
    /// All of them, by reference.
    pub(crate) all: Vec<(u64, Pairs)>,
    /// Resolves their pairs.
    pub(crate) dictionary: Dictionary,
    /// Numbers of files that keep chunks of them.
    pub(crate) files: BTreeSet<u64>,
}

/// What to write of one series.
pub(crate) struct SeriesJob {
    pub(crate) reference: u64,
    pub(crate) pairs: Pairs,
    /// Whether no file names it.
    pub(crate) new: bool,
    /// How many unsealed chunks there are, from the first on.
    pub(crate) taken: u32,
    pub(crate) groups: Vec<Group>,
}

/// Chunks of one kind, window and cut.
pub(crate) struct Group {
    key: (Kind, i64, u64),
    /// Already in files, to be merged with the new ones: where in the series.
    pub(crate) old: Vec<(u32, Chunk)>,
    /// In memory.
    pub(crate) new: Vec<Chunk>,
    /// Whether all become one.
    pub(crate) merge: bool,
}

impl Job {
    /// What is told of the present moment; all buffers are closed.
    pub(crate) fn take(state: &State) -> Self {
        let tenant = |(id, tenant): (&TenantId, &Tenant)| {
            let mut newest = tenant.untold.clone();
            newest.sort_unstable();
            let part = TenantJob {
                max_time: tenant.max_time,
                out_of_order: tenant.out_of_order,
                released_at: tenant.released_at,
                metadata: tenant.metadata.clone(),
                newest,
                pages: tenant.series.pages(),
                series: tenant.series.len() as u64,
            };
            (id.clone(), part)
        };
        Self {
            term: state.term,
            index: state.applied,
            next_reference: state.next_reference,
            windows: state.windows.clone(),
            tenants: state.tenants.iter().map(tenant).collect(),
            place: state.files.free(),
            short: false,
        }
    }

    /// The series of some pages, as they were at the seal's entry.
    pub(crate) fn slice(&self, state: &State, tenant: &TenantId, pages: &[u64]) -> Slice {
        let mut slice = Slice {
            series: Vec::new(),
            all: Vec::new(),
            dictionary: Dictionary::default(),
            files: BTreeSet::new(),
        };
        let Some(tenant) = state.tenants.get(tenant) else { return slice };
        slice.dictionary = tenant.index.dictionary().clone();
        let there = |s: &&Series| s.reference < self.next_reference;
        for series in tenant.series.in_pages(pages).filter(there) {
            let (reference, pairs) = (series.reference, Arc::clone(&series.pairs));
            slice.all.push((reference, Arc::clone(&pairs)));
            let taken = series.unsealed().iter().take_while(|c| c.last_index < self.index).count();
            let groups = self.groups(series, taken, &state.files, &mut slice.files);
            if !groups.is_empty() {
                let (new, taken) = (!series.named, taken as u32);
                slice.series.push(SeriesJob { reference, pairs, new, taken, groups });
            }
        }
        slice
    }

    /// What to write of a series; notes the files of what stays where it is.
    fn groups(
        &self,
        series: &Series,
        taken: usize,
        files: &Files,
        keep: &mut BTreeSet<u64>,
    ) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let cut = |window, index| self.windows.cut_at(window, index).map_or(u64::MAX, |c| c.index);
        for chunk in &series.unsealed()[..taken] {
            let key = (chunk.kind, chunk.window(), cut(chunk.window(), chunk.last_index));
            match groups.iter_mut().find(|g| g.key == key) {
                Some(group) => group.new.push(chunk.clone()),
                None => {
                    let new = vec![chunk.clone()];
                    groups.push(Group { key, old: Vec::new(), new, merge: false });
                }
            }
        }
        let mut olds: Vec<(usize, u32, &Row)> = Vec::new();
        for (at, row) in (0u32..).zip(series.sealed.iter()) {
            let Some(section) = files.section(row) else { continue };
            let key = (section.kind, section.window, cut(section.window, section.index));
            match groups.iter().position(|g| g.key == key) {
                Some(group) => olds.push((group, at, row)),
                None => keep.extend(files.file(row).map(|f| f.id)),
            }
        }
        for (i, group) in groups.iter_mut().enumerate() {
            let rows = olds.iter().filter(|(g, ..)| *g == i);
            let samples = rows.clone().map(|(_, _, row)| u64::from(row.count())).sum::<u64>()
                + group.new.iter().map(|c| u64::from(c.count)).sum::<u64>();
            group.merge = !self.short
                && group.key.0 != Kind::Exemplar
                && group.key.2 == u64::MAX
                && rows.clone().count() + group.new.len() >= MERGE_CHUNKS
                && samples <= MERGE_SAMPLES;
            for (_, at, row) in rows {
                if !group.merge {
                    keep.extend(files.file(row).map(|f| f.id));
                } else if let Some(chunk) = files.chunk(row) {
                    group.old.push((*at, chunk));
                }
            }
        }
        groups
    }
}
