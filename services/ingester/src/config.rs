//! What can be set about an ingester. Which partitions it hosts follows from
//! the cluster's topology, so it is given to [`crate::start`] apart.

use serde::{Deserialize, Serialize};
use varve_runtime::config::{ByteSize, HumanDuration};

/// Settings of an ingester.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How often each partition is sealed. A restart replays at most what came
    /// since; less means more, smaller files.
    pub seal_interval: HumanDuration,
    /// Memory that all partitions together may take before they are sealed
    /// early: it bounds what a burst of samples or series holds, and what a
    /// restart replays.
    pub seal_memory: ByteSize,
    /// How often each partition looks for windows to cut and ship.
    pub ship_check_interval: HumanDuration,
    /// How long after its end a window is cut.
    pub cut_delay: HumanDuration,
    /// Partitions cut at different moments within this span after `cut_delay`,
    /// so that they do not upload all at once.
    pub cut_spread: HumanDuration,
    /// Least time between two cuts of one window, for samples that come late.
    pub late_cut_interval: HumanDuration,
    /// How long shipped samples stay readable here, so that queries under way
    /// rarely have to begin anew.
    pub hold: HumanDuration,
    /// Blocks that are built at once. Each takes about one core.
    pub build_concurrency: usize,
    /// Blocks that are uploaded at once, over all partitions. Each may hold
    /// some parts of a file in memory while the bucket is slow.
    pub upload_concurrency: usize,
    /// Selects that are answered at once; more wait. Each may hold a thread for
    /// as long as its reader takes, and some frames of memory.
    pub select_concurrency: usize,
    /// The longest pause before shipping is tried again while the bucket is
    /// away. The first is a second, and it doubles.
    pub ship_max_backoff: HumanDuration,
    /// Whether a graceful shutdown ships everything first. Takes as long as
    /// the uploads, makes small blocks, and leaves the node empty.
    pub ship_on_shutdown: bool,
    /// Share of the disk in use from which writes are refused (503); senders
    /// retry. Below it they are refused too while what the next seal and the
    /// largest block will take is not free. With 1 nothing is kept free: the
    /// disk may then be so full that only its owner can make room.
    pub disk_high_water: f64,
    /// Length of a log segment file.
    pub log_segment: ByteSize,
    /// Bytes of appends that may wait for the disk; an eighth of them one
    /// tenant's.
    pub log_queue: ByteSize,
    /// Writes the log on the threads that append; for simulations.
    #[serde(skip)]
    pub log_stepped: bool,
    /// Bytes of all appends under way, those that wait for their turn at the
    /// log included. Beyond it they are refused (503 to senders, who repeat
    /// them). One tenant gets three quarters of it at most.
    pub append_room: ByteSize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seal_interval: HumanDuration::from_secs(10 * 60),
            seal_memory: ByteSize(512 << 20),
            ship_check_interval: HumanDuration::from_secs(10),
            cut_delay: HumanDuration::from_secs(10 * 60),
            cut_spread: HumanDuration::from_secs(20 * 60),
            late_cut_interval: HumanDuration::from_secs(2 * 60 * 60),
            hold: HumanDuration::from_secs(5 * 60),
            build_concurrency: 2,
            upload_concurrency: 8,
            select_concurrency: 128,
            ship_max_backoff: HumanDuration::from_secs(60),
            ship_on_shutdown: false,
            disk_high_water: 0.95,
            log_segment: ByteSize(64 << 20),
            log_queue: ByteSize(64 << 20),
            log_stepped: false,
            append_room: ByteSize(256 << 20),
        }
    }
}

impl Config {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// Names the setting.
    pub fn validate(&self) -> Result<(), String> {
        let water = self.disk_high_water;
        if !(water > 0.0 && water <= 1.0) {
            return Err(format!("ingester.disk_high_water {water} must be above 0 and at most 1"));
        }
        let counts = [
            ("build_concurrency", self.build_concurrency),
            ("upload_concurrency", self.upload_concurrency),
            ("select_concurrency", self.select_concurrency),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(format!("ingester.{name} must be at least 1"));
        }
        if !(32 << 10..u64::from(u32::MAX)).contains(&self.log_segment.0) {
            let bytes = self.log_segment.0;
            return Err(format!("ingester.log_segment {bytes} B must lie in 32KiB to 4GiB"));
        }
        if self.log_queue.0 == 0 {
            return Err("ingester.log_queue must be above 0".to_owned());
        }
        if self.seal_memory.0 == 0 {
            return Err("ingester.seal_memory must be above 0".to_owned());
        }
        if self.append_room.0 == 0 {
            return Err("ingester.append_room must be above 0".to_owned());
        }
        let intervals = [
            ("seal_interval", self.seal_interval),
            ("ship_check_interval", self.ship_check_interval),
        ];
        match intervals.iter().find(|(_, interval)| interval.0.is_zero()) {
            Some((name, _)) => Err(format!("ingester.{name} must be above 0")),
            None => Ok(()),
        }
    }
}
