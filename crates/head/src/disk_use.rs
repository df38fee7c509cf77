//! What a partition takes of its disk, and what it will need of it before it
//! can give anything back: a full disk must leave room for that.
//!
//! The log gives room back when a seal has been written beside it, sealed
//! files when a block has been built beside them. Both are told rather too
//! high: a label is in a batch, in a seal and twice in a block; samples are
//! coded no worse in files than they lie in memory or in the log.

use crate::state::State;

/// What stands in small files whatever they hold: headers, footers, a part of
/// a page of the disk.
const FILES: u64 = 64 << 10;
/// What a block's spool takes for the numbers of a series and its labels.
const SPOOLED: u64 = 128;

/// Bytes on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUse {
    /// Of entries in the log that are in no seal.
    pub log: u64,
    /// Of sealed files, the manifest included.
    pub sealed: u64,
    /// What a seal of everything in memory will write, at most.
    pub seal: u64,
    /// What the largest block takes while it is built, at most.
    pub block: u64,
}

impl DiskUse {
    /// Of a state whose entries take `log` bytes.
    pub(crate) fn of(state: &State, log: u64) -> Self {
        let window = |end| state.files.all().filter(|f| f.holds(end)).map(|f| f.len).sum::<u64>();
        let largest = state.windows.by_end.keys().map(|end| window(*end)).max().unwrap_or(0);
        let names = state.manifest_len + state.series_len;
        let sealed = names + state.files.all().map(|f| f.len).sum::<u64>();
        let unsealed = state.memory().saturating_sub(state.settled) as u64;
        let series: u64 = state.tenants.values().map(|t| t.series.len() as u64).sum();
        let seal = if state.applied == state.sealed {
            0
        } else {
            log + unsealed + state.manifest_len + FILES
        };
        let content = largest + names + log + unsealed;
        let block = if series == 0 { 0 } else { 2 * content + SPOOLED * series + FILES };
        Self { log, sealed, seal, block }
    }
}
