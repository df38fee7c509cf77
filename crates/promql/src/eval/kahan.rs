//! Compensated sums: Kahan's algorithm with Neumaier's improvement, as
//! Prometheus' util/kahansum has it, so that results agree to the last bit.

/// A running sum and its compensation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) sum: f64,
    pub(crate) c: f64,
}

impl Sum {
    /// Adds a number.
    #[inline]
    pub(crate) fn add(&mut self, inc: f64) {
        let t = self.sum + inc;
        if t.is_infinite() {
            self.c = 0.0;
        } else if self.sum.abs() >= inc.abs() {
            self.c += (self.sum - t) + inc;
        } else {
            self.c += (inc - t) + self.sum;
        }
        self.sum = t;
    }

    /// The sum with its compensation.
    pub(crate) fn value(self) -> f64 {
        self.sum + self.c
    }
}

/// A running mean: a plain sum and count while that does not overflow, from
/// then on an incremental mean.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mean {
    sum: Sum,
    count: f64,
    incremental: bool,
}

impl Mean {
    /// The mean of one number.
    pub(crate) fn new(first: f64) -> Self {
        Self { sum: Sum { sum: first, c: 0.0 }, count: 1.0, incremental: false }
    }

    /// Takes another number in.
    pub(crate) fn add(&mut self, v: f64) {
        self.count += 1.0;
        let n = self.count;
        if !self.incremental {
            let mut next = self.sum;
            next.add(v);
            if !next.sum.is_infinite() {
                self.sum = next;
                return;
            }
            self.incremental = true;
            self.sum = Sum { sum: self.sum.sum / (n - 1.0), c: self.sum.c / (n - 1.0) };
        }
        let q = (n - 1.0) / n;
        self.sum = Sum { sum: q * self.sum.sum, c: q * self.sum.c };
        self.sum.add(v / n);
    }

    /// The mean of the numbers taken in.
    pub(crate) fn value(self) -> f64 {
        match self.incremental {
            true => self.sum.sum + self.sum.c,
            false => self.sum.sum / self.count + self.sum.c / self.count,
        }
    }
}
