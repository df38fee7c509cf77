//! A cut: the samples of one two-hour window that become one block a tenant.
//!
//! What a cut holds is fixed by its place in the log: all samples of the
//! window that were applied before it and belong to no earlier cut.

/// A window that should be cut now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CutKey {
    /// The window's end, in milliseconds since the epoch.
    pub window_end: i64,
}

/// One cut of one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cut {
    /// The window's end, in milliseconds since the epoch.
    pub window_end: i64,
    /// Unique in the partition and increasing, also over the loss of its
    /// disk: at least the millisecond (since the epoch) at which it was proposed.
    pub number: u64,
    /// Term of the log entry that made the cut.
    pub term: u64,
    /// Index of the log entry that made the cut.
    pub index: u64,
}
