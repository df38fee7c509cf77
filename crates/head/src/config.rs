//! What a partition is told when it is opened.
//!
//! Nothing here changes what an entry of the log does when it is applied;
//! whatever does, stands in the log itself.

use std::time::Duration;

/// Settings of one partition's head.
#[derive(Clone, Debug)]
pub struct HeadConfig {
    /// The partition's number; spreads cuts and names metrics.
    pub partition: u32,
    /// How long shipped samples stay readable here after `Shipped`, so that
    /// readers that pinned an older catalog version rarely have to pin anew.
    /// They are dropped by the first seal after that.
    pub hold: Duration,
    /// How long after a window's end it is cut.
    pub cut_delay: Duration,
    /// Partitions cut at different moments within this span after `cut_delay`.
    pub cut_spread: Duration,
    /// Least time between two cuts of one window.
    pub late_cut_interval: Duration,
    /// The first reference that an empty head gives out. Drawn anew for every
    /// process (and kept in the log from then on), so that references which
    /// senders remember of a head whose disk was lost are unknown to its
    /// successor, never those of other series.
    pub first_reference: u64,
    /// Whether opening reads all sealed samples to check their checksum; what
    /// is read later is checked in any case.
    pub verify_on_open: bool,
}

impl Default for HeadConfig {
    fn default() -> Self {
        Self {
            partition: 0,
            hold: Duration::from_secs(5 * 60),
            cut_delay: Duration::from_secs(10 * 60),
            cut_spread: Duration::from_secs(20 * 60),
            late_cut_interval: Duration::from_secs(2 * 60 * 60),
            first_reference: 1,
            verify_on_open: true,
        }
    }
}

/// What the sender's tenant may do, as configured at the moment of an append.
#[derive(Clone, Copy, Debug)]
pub struct AppendLimits {
    /// Most series that the partition may hold for the tenant; 0 = no limit.
    pub max_series: u64,
    /// How far behind the tenant's newest sample others are taken, in
    /// milliseconds.
    pub out_of_order_window_ms: i64,
}

impl Default for AppendLimits {
    fn default() -> Self {
        Self { max_series: 0, out_of_order_window_ms: varve_model::WINDOW_MS }
    }
}
