//! What a seal has to write, taken from the state when its entry was applied.

use std::collections::BTreeMap;
use std::sync::Arc;

use varve_model::{Labels, Metadata, TenantId};

use crate::chunk::{Chunk, Data, Sealed};
use crate::file::SealFile;
use crate::state::State;
use crate::windows::Windows;

/// A snapshot of all that a manifest says, and of what no file holds yet.
#[derive(Debug, Default)]
pub(crate) struct Job {
    pub(crate) term: u64,
    pub(crate) index: u64,
    pub(crate) next_reference: u64,
    pub(crate) windows: Windows,
    pub(crate) tenants: BTreeMap<TenantId, TenantJob>,
    /// Files that hold samples of the state.
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
    /// Chunks in memory by series, sorted by reference, with their positions.
    pub(crate) chunks: Vec<(u64, Labels, Vec<(usize, Chunk)>)>,
}

/// Positions of one series' chunks that are now in a file.
pub(crate) type Placed = (u64, Vec<(usize, Sealed)>);

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
                let (reference, labels) = (series.reference, &series.labels);
                part.series.push((reference, labels.clone(), !series.sealed));
                let mut newest = i64::MIN;
                let mut unsealed = Vec::new();
                for (i, chunk) in series.chunks.iter().enumerate() {
                    if chunk.kind != crate::chunk::Kind::Exemplar {
                        newest = newest.max(chunk.max);
                    }
                    match &chunk.data {
                        Data::Sealed(sealed) => {
                            if !job.files.contains_key(&sealed.file.id) {
                                job.files.insert(sealed.file.id, Arc::clone(&sealed.file));
                            }
                        }
                        _ => unsealed.push((i, chunk.clone())),
                    }
                }
                if newest != series.newest {
                    part.newest.push((reference, series.newest));
                }
                if !unsealed.is_empty() {
                    part.chunks.push((reference, labels.clone(), unsealed));
                }
            }
            part.newest.sort_unstable();
            part.series.sort_unstable_by_key(|(r, ..)| *r);
            part.chunks.sort_unstable_by_key(|(r, ..)| *r);
            job.tenants.insert(id.clone(), part);
        }
        job
    }
}
