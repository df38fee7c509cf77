//! Time: milliseconds since the Unix epoch in an `i64`, and the left-open,
//! right-closed ranges and windows that blocks and rollups are cut along.

/// The length of a block window: two hours, in milliseconds.
pub const WINDOW_MS: i64 = 2 * 60 * 60 * 1000;

/// The end of the aligned two-hour window `(end - WINDOW_MS, end]` that holds `t`.
///
/// Windows are left-open and right-closed, exactly like PromQL ranges: a
/// sample at a window's end belongs to it, one at its start to the one before.
pub fn window_end(t: i64) -> i64 {
    let floor = t.div_euclid(WINDOW_MS) * WINDOW_MS;
    if floor == t { t } else { floor.saturating_add(WINDOW_MS) }
}

/// A left-open, right-closed range of time `(start, end]`, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimeRange {
    /// Exclusive lower bound.
    pub start: i64,
    /// Inclusive upper bound.
    pub end: i64,
}

impl TimeRange {
    /// All time that a sample can carry.
    pub const ALL: Self = Self { start: i64::MIN, end: i64::MAX };

    /// The range `(start, end]`.
    pub fn new(start: i64, end: i64) -> Self {
        Self { start, end }
    }

    /// The aligned two-hour window that ends at `end`.
    pub fn window(end: i64) -> Self {
        Self { start: end.saturating_sub(WINDOW_MS), end }
    }

    /// Whether `t` lies within.
    pub fn contains(&self, t: i64) -> bool {
        self.start < t && t <= self.end
    }

    /// Whether the two ranges share a moment.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Whether no moment lies within.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_left_open_and_right_closed() {
        assert_eq!(window_end(0), 0);
        assert_eq!(window_end(1), WINDOW_MS);
        assert_eq!(window_end(WINDOW_MS), WINDOW_MS);
        assert_eq!(window_end(WINDOW_MS + 1), 2 * WINDOW_MS);
        assert_eq!(window_end(-1), 0);
        assert_eq!(window_end(-WINDOW_MS), -WINDOW_MS);
        assert_eq!(window_end(i64::MAX), i64::MAX);
    }
}
