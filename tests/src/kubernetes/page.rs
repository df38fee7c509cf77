//! A page in the text format.

use std::fmt::Write;

/// Labels of a sample, as they are written.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// A page that is being written.
#[derive(Default)]
pub(super) struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, name: &'static str, kind: &str) -> &mut Self {
        let _ = write!(self.text, "# HELP {name} Synthetic.\n# TYPE {name} {kind}\n");
        self.family = name;
        self
    }

    /// A sample of the family.
    pub(super) fn sample(&mut self, labels: &[Labels<'_>], value: f64) -> &mut Self {
        self.line("", labels, value)
    }

    /// The buckets, count and sum of a classic histogram, with `count`
    /// observations of `mean` on average.
    pub(super) fn histogram(
        &mut self,
        labels: &[Labels<'_>],
        bounds: &[f64],
        count: f64,
        mean: f64,
    ) {
        for bound in bounds {
            // As an exponential distribution has it, in whole observations.
            let below = (count * (1.0 - (-bound / mean).exp())).floor();
            let le = [("le", &*bound.to_string())];
            self.line("_bucket", &[labels, &[&le]].concat(), below);
        }
        let count = count.floor();
        self.line("_bucket", &[labels, &[&[("le", "+Inf")]]].concat(), count);
        self.line("_sum", labels, count * mean);
        self.line("_count", labels, count);
    }

    fn line(&mut self, suffix: &str, labels: &[Labels<'_>], value: f64) -> &mut Self {
        let _ = write!(self.text, "{}{suffix}", self.family);
        let mut open = '{';
        for (name, value) in labels.iter().copied().flatten() {
            let _ = write!(self.text, "{open}{name}=\"{value}\"");
            open = ',';
        }
        let _ = writeln!(self.text, "{} {value}", if open == ',' { "}" } else { "" });
        self
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// A number from 0 to 1 that belongs to a name.
pub(super) fn share(name: &str) -> f64 {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    (hash >> 40) as f64 / f64::from(1 << 24)
}

/// A gauge around `middle` that belongs to a name.
pub(super) fn wave(name: &str, middle: f64, seconds: f64) -> f64 {
    let phase = share(name) * std::f64::consts::TAU;
    middle * (1.0 + 0.2 * (seconds / 9.0 + phase).sin())
}

/// A counter that grows by about `rate` a second, faster and slower by turns.
pub(super) fn count(name: &str, rate: f64, seconds: f64) -> f64 {
    let phase = share(name) * std::f64::consts::TAU;
    // Its slope stays above 0.
    rate * (seconds + 2.0 * (1.0 - ((seconds / 4.0 + phase).sin())))
}
