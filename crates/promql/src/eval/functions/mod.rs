//! Functions of vectors.

pub(crate) mod absent;
pub(crate) mod buckets;
pub(crate) mod date;
mod fixes;
pub(crate) mod histograms;
pub(crate) mod labels;
pub(crate) mod map;
pub(crate) mod math;
pub(crate) mod sort;
