//! The data of one seed: about eighty series of every kind, an hour long, in
//! a slice of time that is the seed's own, so that seeds share a server.
//!
//! Each metric is drawn to have most of its samples, and all of what upsets
//! engines: resets, gaps, NaN, infinities, stale markers, series that come,
//! go, and change between floats and histograms.

use std::sync::Arc;

use varve_model::{Counts, Histogram, Labels, Series, stale_nan};
use varve_wire::prompb::{RequestV2, compress};

use super::histograms::{self, Kind, Observer};
use super::random::Random;

/// The time of the first seed's data, in milliseconds.
const T0: i64 = 1_700_000_000_000 / SLICE_MS * SLICE_MS;
/// How far the data of neighbouring seeds lie apart.
const SLICE_MS: i64 = 4 * 3_600_000;
/// How long before the data every series is called once.
const CALL_MS: i64 = 5 * 3_600_000 / 2;
/// After so many seeds times begin anew.
const SLICES: u64 = 4000;
/// Samples of a request; a series keeps its kind meanwhile.
const REQUEST: usize = 8;

/// One sample.
#[derive(Clone, Debug)]
pub struct Sample {
    time: i64,
    /// When the counter began, 0 for unknown.
    began: i64,
    held: Held,
}

/// What a sample holds.
#[derive(Clone, Debug)]
enum Held {
    Float(f64),
    Histogram(Arc<Histogram>),
}

/// One series; its samples in order of time.
#[derive(Clone, Debug)]
pub struct Line {
    labels: Labels,
    samples: Vec<Sample>,
}

/// All data of a seed.
#[derive(Clone, Debug)]
pub struct Data {
    /// Time of the first sample, in milliseconds.
    pub start: i64,
    /// Time of the last sample, in milliseconds.
    pub end: i64,
    step: i64,
    lines: Vec<Line>,
}

impl Data {
    /// The data of this seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, 1);
        let step = random.choose(&[15_000, 30_000, 30_000, 60_000]);
        let start = T0 + (seed % SLICES) as i64 * SLICE_MS;
        let count = 3_600_000 / step;
        let mut maker = Maker { random, start, step, count, lines: Vec::new() };
        maker.floats();
        maker.counters();
        maker.classic();
        maker.native();
        maker.mixed();
        maker.information();
        let mut lines = maker.lines;
        lines.sort_by(|a, b| a.labels.cmp(&b.labels));
        Self { start, end: start + count * step, step, lines }
    }

    /// The same with every float moved by at most one unit in the last place,
    /// and series in another order. What a judge makes of it shows how much
    /// its own answer means.
    pub fn moved(&self, seed: u64) -> Self {
        let mut random = Random::new(seed, 3);
        let mut moved = self.clone();
        for sample in moved.lines.iter_mut().flat_map(|l| &mut l.samples) {
            let mut shift = |v: f64| match random.below(3) {
                0 if v.is_finite() => v.next_up(),
                1 if v.is_finite() => v.next_down(),
                _ => v,
            };
            match &mut sample.held {
                Held::Float(v) if *v != 0.0 => *v = shift(*v),
                Held::Float(_) => {}
                Held::Histogram(h) => {
                    let h = Arc::make_mut(h);
                    h.sum = shift(h.sum);
                    if let Counts::Float { positive, negative, .. } = &mut h.counts {
                        let counts = positive.iter_mut().chain(negative);
                        counts.filter(|c| **c > 0.0).for_each(|c| *c = shift(*c));
                    }
                }
            }
        }
        random.shuffle(&mut moved.lines);
        moved
    }

    /// Remote-write 2.0 requests that hold it all, in order of time. Before
    /// that every series is called once, hours earlier, with a stale marker:
    /// the judge reads series in the order in which it met them.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        let mut call = RequestV2::new();
        for line in &self.lines {
            let mut series = Series { labels: line.labels.clone(), ..Series::default() };
            series.floats.push(self.start - CALL_MS, stale_nan(), 0);
            call.push(&series, &[], None);
        }
        let span = REQUEST as i64 * self.step;
        let rest = (0..=(self.end - self.start) / span)
            .map(|i| self.request(self.start + i * span, self.start + (i + 1) * span));
        std::iter::once(compress(&call.finish())).chain(rest.flatten()).collect()
    }

    fn request(&self, from: i64, to: i64) -> Option<Vec<u8>> {
        let mut request = RequestV2::new();
        let mut empty = true;
        for line in &self.lines {
            let mut series = Series { labels: line.labels.clone(), ..Series::default() };
            for s in line.samples.iter().filter(|s| s.time >= from && s.time < to) {
                match &s.held {
                    Held::Float(v) => series.floats.push(s.time, *v, s.began),
                    Held::Histogram(h) => series.histograms.push(s.time, Arc::clone(h), s.began),
                }
            }
            if !series.is_empty() {
                request.push(&series, &[], None);
                empty = false;
            }
        }
        (!empty).then(|| compress(&request.finish()))
    }
}

/// Draws the series of a seed.
struct Maker {
    random: Random,
    start: i64,
    step: i64,
    count: i64,
    lines: Vec<Line>,
}

impl Maker {
    /// Adds a series: `value` gives what it holds at each scrape, if anything.
    /// Before that it is decided when the series lives and where it has gaps.
    fn line(
        &mut self,
        labels: &[(&str, &str)],
        mut value: impl FnMut(&mut Random, i64) -> Option<(Held, i64)>,
    ) {
        let random = &mut self.random;
        let first = if random.percent(25) { random.between(0, self.count / 2) } else { 0 };
        let last = if random.percent(25) { random.between(first, self.count) } else { self.count };
        let gap = if random.percent(30) { random.between(first, last + 1) } else { -1 };
        let gap_length = random.choose(&[3, 8, 15]);
        let jitter = random.choose(&[0, 0, 7, self.step / 4]);
        let mut samples = Vec::new();
        for i in first..=last {
            let time =
                self.start + i * self.step + if jitter > 0 { random.between(0, jitter) } else { 0 };
            let Some((held, began)) = value(random, i) else { continue };
            let in_gap = gap >= 0 && i > gap && i <= gap + gap_length;
            // Half of the gaps begin with a marker, most ends are one.
            let marked = in_gap && gap % 2 == 0 && i == gap + 1
                || i == last && last < self.count && last % 3 > 0;
            if in_gap && !marked || random.percent(1) {
                continue;
            }
            let held = match held {
                Held::Float(_) if marked => Held::Float(stale_nan()),
                Held::Histogram(_) if marked => Held::Histogram(Arc::new(histograms::stale())),
                held => held,
            };
            samples.push(Sample { time, began, held });
        }
        let labels = Labels::from_pairs(labels.iter().copied()).expect("valid labels");
        self.lines.push(Line { labels, samples });
    }

    /// Gauges: walks, small whole numbers that tie, special values, few samples.
    fn floats(&mut self) {
        for a in ["0", "1", "2"] {
            for b in ["x", "y"] {
                let labels = |name| -> Vec<(&'static str, &str)> {
                    vec![("__name__", name), ("job", "api"), ("instance", a), ("a", a), ("b", b)]
                };
                let mut level = self.random.float(-50.0, 50.0);
                self.line(&labels("fuzz_gauge"), |random, _| {
                    level += random.float(-5.0, 5.0);
                    let value = match random.below(60) {
                        0 => f64::NAN,
                        1 => f64::INFINITY,
                        2 => f64::NEG_INFINITY,
                        3 => 0.0,
                        4 => -0.0,
                        5 => 1e300,
                        _ => level,
                    };
                    Some((Held::Float(value), 0))
                });
                self.line(&labels("fuzz_small"), |random, _| {
                    Some((Held::Float(random.between(-1, 4) as f64), 0))
                });
                let share = self.random.choose(&[5, 15, 40]);
                self.line(&labels("fuzz_sparse"), |random, i| {
                    random.percent(share).then(|| (Held::Float(i as f64 / 10.0), 0))
                });
            }
        }
        for (x, by) in [("ä", "1"), ("b c", "2"), ("", "10")] {
            self.line(
                &[("__name__", "fuzz.utf8/é"), ("label.x", x), ("by", by), ("a", "0")],
                |random, i| Some((Held::Float(i as f64 * 0.1 + random.float(0.0, 0.3)), 0)),
            );
        }
    }

    /// Counters with resets; some know when they began.
    fn counters(&mut self) {
        for a in ["0", "1", "2"] {
            for b in ["x", "y"] {
                let (start, step) = (self.start, self.step);
                let knows = self.random.percent(50);
                let whole = self.random.percent(50);
                let (mut total, mut began) = (self.random.float(0.0, 1e3).floor(), start - 1);
                let labels = [
                    ("__name__", "fuzz_requests_total"),
                    ("job", "api"),
                    ("instance", a),
                    ("a", a),
                    ("b", b),
                ];
                self.line(&labels, |random, i| {
                    if random.percent(4) {
                        total = 0.0;
                        began = start + i * step - random.between(1, step);
                    }
                    let more = random.choose(&[0.0, 1.0, 3.0, 17.0]);
                    total += if whole { more } else { more * 1.1 };
                    Some((Held::Float(total), if knows { began } else { 0 }))
                });
            }
        }
    }

    /// Classic histograms; one lacks its last bucket, one has a bucket that is none.
    fn classic(&mut self) {
        for (a, bounds) in [
            ("0", &["0.1", "0.5", "1", "5", "+Inf"][..]),
            ("1", &["-1", "0", "0.5", "1", "+Inf"]),
            ("2", &["0.1", "1", "10"]),
            ("3", &["0.5", "1.0", "+Inf", "odd"]),
        ] {
            let rates: Vec<f64> =
                bounds.iter().map(|_| self.random.float(0.0, 3.0).floor()).collect();
            let float = self.random.percent(30);
            for (i, le) in bounds.iter().enumerate() {
                let rate: f64 = rates[..=i].iter().sum();
                let mut total = 0.0;
                self.line(
                    &[("__name__", "fuzz_latency_bucket"), ("a", a), ("le", le)],
                    |random, _| {
                        if random.percent(1) {
                            total = 0.0;
                        }
                        total +=
                            rate * if float { 0.3 } else { 1.0 } * random.choose(&[1.0, 1.0, 2.0]);
                        Some((Held::Float(total), 0))
                    },
                );
            }
        }
    }

    /// Native histograms of each kind.
    fn native(&mut self) {
        for (name, custom, float, gauge) in [
            ("fuzz_native", false, false, false),
            ("fuzz_native_float", false, true, false),
            ("fuzz_native_gauge", false, false, true),
            ("fuzz_native_gauge_float", false, true, true),
            ("fuzz_custom", true, false, false),
            ("fuzz_custom_float", true, true, false),
            ("fuzz_custom_gauge", true, true, true),
        ] {
            let kind = Kind { custom, float, gauge };
            for (a, b) in [("0", "x"), ("0", "y"), ("1", "x"), ("2", "x")] {
                let mut observer = Observer::new(kind, &mut self.random);
                let steady = self.random.percent(40);
                let knows = self.random.percent(30);
                let (start, step) = (self.start, self.step);
                let mut began = start - 1;
                self.line(&[("__name__", name), ("a", a), ("b", b)], |random, i| {
                    let fate = random.below(if steady { 1000 } else { 40 });
                    if fate == 0 {
                        observer.change_layout(random);
                    } else if fate == 1 {
                        observer.reset();
                    }
                    if fate < 2 {
                        began = start + i * step - random.between(1, step);
                    }
                    observer.observe(random);
                    let began = if knows { began } else { 0 };
                    Some((Held::Histogram(Arc::new(observer.histogram())), began))
                });
            }
        }
    }

    /// Series that change their kind, at the bounds of requests.
    fn mixed(&mut self) {
        for a in ["0", "1", "2"] {
            let mut kinds = Vec::new();
            for custom in [false, true] {
                let kind = Kind { custom, float: self.random.percent(50), gauge: false };
                kinds.push(Observer::new(kind, &mut self.random));
            }
            let (mut now, mut total) = (self.random.below(3), 0.0);
            self.line(&[("__name__", "fuzz_mixed"), ("a", a), ("b", "x")], |random, i| {
                if i % REQUEST as i64 == 0 && random.percent(40) {
                    now = random.below(3);
                }
                total += 1.5;
                let held = match kinds.get_mut(now) {
                    None => Held::Float(total),
                    Some(observer) => {
                        observer.observe(random);
                        Held::Histogram(Arc::new(observer.histogram()))
                    }
                };
                Some((held, 0))
            });
        }
    }

    /// What `info` joins; versions change in the middle.
    fn information(&mut self) {
        let middle = self.random.between(1, self.count);
        for instance in ["0", "1"] {
            for (version, old) in [("1.0", true), ("2.0", false)] {
                let labels = [
                    ("__name__", "target_info"),
                    ("job", "api"),
                    ("instance", instance),
                    ("version", version),
                    ("env", "prod"),
                ];
                self.line(&labels, |_, i| match (old, i - middle) {
                    (true, 0) if instance == "0" => Some((Held::Float(stale_nan()), 0)),
                    (true, n) if n < 0 => Some((Held::Float(1.0), 0)),
                    (false, n) if n >= 0 => Some((Held::Float(1.0), 0)),
                    _ => None,
                });
            }
            let labels = [
                ("__name__", "build_info"),
                ("job", "api"),
                ("instance", instance),
                ("go", "1.26"),
            ];
            self.line(&labels, |_, _| Some((Held::Float(1.0), 0)));
        }
    }
}

impl Line {
    /// Whether it holds any value that is no marker.
    #[cfg(test)]
    fn has_values(&self) -> bool {
        self.samples.iter().any(|s| match &s.held {
            Held::Float(v) => !varve_model::is_stale(*v),
            Held::Histogram(h) => !h.is_stale(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_are_valid_and_of_every_kind() {
        for seed in 0..50 {
            let data = Data::new(seed);
            assert!(data.lines.len() > 70, "{} series", data.lines.len());
            assert!(data.lines.windows(2).all(|w| w[0].labels < w[1].labels));
            let alive = data.lines.iter().filter(|l| l.has_values()).count();
            assert!(alive * 10 > data.lines.len() * 8, "{alive} of {}", data.lines.len());
            for line in data.lines.iter().chain(&data.moved(1).lines) {
                assert!(line.samples.windows(2).all(|w| w[0].time < w[1].time));
                for s in &line.samples {
                    if let Held::Histogram(h) = &s.held {
                        h.validate().unwrap_or_else(|e| panic!("{}: {e}", line.labels));
                    }
                }
            }
            assert_eq!(data.requests(), Data::new(seed).requests(), "one seed, one data");
        }
    }
}
