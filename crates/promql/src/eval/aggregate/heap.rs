//! The `k` largest or smallest of some values.
//!
//! Which of equal values remain, and in which order, is that of Prometheus: it
//! keeps a binary heap of `k` elements with the worst on top, as Go's
//! container/heap does, and replaces the top only by what is better.

/// So many elements Go sorts by insertion.
const DOZEN: usize = 12;

/// A value and whose it is.
type Entry = (f64, usize);

/// The best values seen so far.
pub(super) struct Best {
    entries: Vec<Entry>,
    k: usize,
    /// The largest rather than the smallest.
    top: bool,
}

impl Best {
    /// No values; `k` is at least 1.
    pub(super) fn new(k: usize, top: bool) -> Self {
        Self { entries: Vec::new(), k, top }
    }

    /// Whether `a` is worse than `b`. NaN is worse than all, itself included.
    fn worse(&self, a: f64, b: f64) -> bool {
        a.is_nan() || if self.top { a < b } else { a > b }
    }

    /// Takes a value in.
    pub(super) fn push(&mut self, value: f64, whose: usize) {
        if self.entries.len() < self.k {
            self.entries.push((value, whose));
            self.rise(self.entries.len() - 1);
            return;
        }
        let worst = self.entries[0].0;
        let better = if self.top { worst < value } else { worst > value };
        if better || worst.is_nan() && !value.is_nan() {
            self.entries[0] = (value, whose);
            self.sink(0);
        }
    }

    fn rise(&mut self, mut at: usize) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if !self.worse(self.entries[at].0, self.entries[parent].0) {
                break;
            }
            self.entries.swap(at, parent);
            at = parent;
        }
    }

    fn sink(&mut self, mut at: usize) {
        let n = self.entries.len();
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            if left >= n {
                break;
            }
            let second = right < n && self.worse(self.entries[right].0, self.entries[left].0);
            let child = if second { right } else { left };
            if !self.worse(self.entries[child].0, self.entries[at].0) {
                break;
            }
            self.entries.swap(at, child);
            at = child;
        }
    }

    /// Whose the best values are, best first.
    pub(super) fn into_sorted(mut self) -> Vec<usize> {
        if self.entries.len() > DOZEN {
            let order = |a: f64, b: f64| match self.top {
                true => b.partial_cmp(&a).unwrap_or(a.is_nan().cmp(&b.is_nan())),
                false => a.partial_cmp(&b).unwrap_or(a.is_nan().cmp(&b.is_nan())),
            };
            self.entries.sort_by(|a, b| order(a.0, b.0));
            return self.entries.into_iter().map(|(_, whose)| whose).collect();
        }
        for i in 1..self.entries.len() {
            let mut j = i;
            while j > 0 && self.worse(self.entries[j - 1].0, self.entries[j].0) {
                self.entries.swap(j - 1, j);
                j -= 1;
            }
        }
        self.entries.into_iter().map(|(_, whose)| whose).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(values: &[f64], k: usize, top: bool) -> Vec<usize> {
        let mut best = Best::new(k, top);
        values.iter().enumerate().for_each(|(i, v)| best.push(*v, i));
        best.into_sorted()
    }

    #[test]
    fn the_best_remain_and_of_equal_ones_those_of_a_heap() {
        let nan = f64::NAN;
        for (values, k, top, want) in [
            (&[1.0, 3.0, 2.0][..], 2, true, &[1, 2][..]),
            (&[1.0, 3.0, 2.0], 2, false, &[0, 2]),
            (&[nan, 1.0, nan], 2, true, &[1, 0]),
            (&[nan, 1.0, 0.0, 5.0], 2, false, &[2, 1]),
            (&[1.0, 1.0, 1.0], 2, true, &[0, 1]),
            // The first of two equal worst ones is on top, and goes.
            (&[1.0, 1.0, 2.0], 2, true, &[2, 1]),
            (&[2.0, 1.0, 1.0, 3.0], 3, true, &[3, 0, 2]),
        ] {
            assert_eq!(best(values, k, top), want, "{values:?} {k} {top}");
        }
        let many: Vec<f64> = (0..100).map(|i| f64::from(i * 37 % 100)).collect();
        let top: Vec<f64> = best(&many, 20, true).into_iter().map(|i| many[i]).collect();
        assert_eq!(top, (80..100).rev().map(f64::from).collect::<Vec<_>>());
    }
}
