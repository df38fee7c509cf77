//! The grids of a plan: that of the query, of the parts that are evaluated
//! once, and of subqueries. Samples are counted on each, and then told in
//! those of the query's steps.

use super::{Grid, ScopeId};

/// A grid, and what it is evaluated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    /// The grid on which its results are used; its own for the query's.
    pub(crate) parent: ScopeId,
    pub(crate) grid: Grid,
    pub(crate) kind: Kind,
}

/// Why there is a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is that of the query.
    Query,
    /// Its part is the same at every step.
    Once,
    /// It is that of a subquery.
    Subquery {
        /// How far back it is moved, in milliseconds.
        offset: i64,
        /// The length of the windows, in milliseconds; 0 when there is no
        /// function of them.
        range: i64,
    },
}
