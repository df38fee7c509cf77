//! The seam between heads and blocks (invariant Q-1).
//!
//! A head drops samples only after a commit that named the block which
//! replaces them, and from then on answers with `released_at`, that commit's
//! version. A reader pins a catalog version V *before* it asks the heads. If
//! every head says `released_at` ≤ V, then whatever the heads no longer had
//! stands in blocks of V, and head ∪ blocks(V) is everything. If a head says
//! more, only the bucket part is stale: the reader pins anew, at least at
//! `released_at`, and reads the blocks again; what the heads gave stays true,
//! because a block only repeats what a head once held.
//!
//! Reading too much is harmless: the merge drops repetitions.

/// What a reader has to do after the heads have answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seam {
    /// Blocks of the pinned version and the heads' answers add up.
    Closed,
    /// Pin a version that is at least this, and read the blocks again.
    PinAnew(u64),
}

/// Compares the pinned version with what the heads have released.
pub fn check(pinned: u64, released_at: u64) -> Seam {
    if released_at <= pinned { Seam::Closed } else { Seam::PinAnew(released_at) }
}
