//! Selectors, their matchers and modifiers, durations, subqueries.

use super::{Generator, Piece, Want};

const FLOATS: [&str; 4] = ["fuzz_gauge", "fuzz_small", "fuzz_sparse", "fuzz.utf8/é"];
const HISTOGRAMS: [&str; 7] = [
    "fuzz_native",
    "fuzz_native_float",
    "fuzz_native_gauge",
    "fuzz_native_gauge_float",
    "fuzz_custom",
    "fuzz_custom_float",
    "fuzz_custom_gauge",
];
/// Label and matcher; most take something of each metric. The last is for
/// selectors without a name of their own.
const MATCHERS: [&str; 16] = [
    "a=\"0\"",
    "a!=\"0\"",
    "b=\"x\"",
    "b=~\"x|y\"",
    "a=~\"0|1\"",
    "a=~`[01]`",
    "a!~\"2|7\"",
    "b!=\"\"",
    "a=~\".+\"",
    "none=\"\"",
    "b=~'(?i)X'",
    "job=~\"a.*\"",
    "le!=\"1\"",
    "instance=~\"[^1]\"",
    "\"label.x\"!=\"ä\"",
    "__name__=~\"fuzz.*\"",
];

impl Generator {
    fn metric(&mut self, want: Want) -> &'static str {
        match want {
            Want::Float => self.random.pick(&FLOATS),
            Want::Counter => "fuzz_requests_total",
            Want::Histogram => self.random.pick(&HISTOGRAMS),
            Want::Bucket => "fuzz_latency_bucket",
            Want::Mixed => self.random.pick(&["fuzz_mixed", "fuzz_mixed", "build_info"]),
        }
    }

    fn want(&mut self, want: Option<Want>) -> Want {
        want.unwrap_or_else(|| match self.random.weighted(&[40, 20, 25, 5, 10]) {
            0 => Want::Float,
            1 => Want::Counter,
            2 => Want::Histogram,
            3 => Want::Bucket,
            _ => Want::Mixed,
        })
    }

    /// Name and matchers.
    pub(super) fn bare_selector(&mut self, want: Option<Want>) -> String {
        let want = self.want(want);
        if self.random.percent(5) {
            let names = match want {
                Want::Histogram => "fuzz_(native|custom)",
                Want::Mixed => "fuzz_(mixed|small|native)",
                _ => "fuzz_(gauge|small)",
            };
            return format!("{{__name__=~\"{names}\"{}}}", self.matchers(", ", &MATCHERS));
        }
        let name = self.metric(want);
        let named = &MATCHERS[..MATCHERS.len() - 1];
        if name.contains('.') {
            return format!("{{\"{name}\"{}}}", self.matchers(", ", named));
        }
        match self.random.weighted(&[60, 35, 5]) {
            0 => name.to_owned(),
            1 => format!("{name}{{{}}}", self.matchers("", named)),
            _ => format!("{{__name__=\"{name}\"{}}}", self.matchers(",", &MATCHERS)),
        }
    }

    /// Some of these matchers, the first after `before`.
    fn matchers(&mut self, before: &str, all: &[&str]) -> String {
        let mut out = String::new();
        for _ in 0..self.random.weighted(&[3, 6, 1]) {
            out.push_str(if out.is_empty() { before } else { "," });
            out.push_str(self.random.pick(all));
        }
        if !out.is_empty() && self.random.percent(5) {
            out.push(',');
        }
        out
    }

    /// An instant selector.
    pub(super) fn selector(&mut self, want: Option<Want>) -> String {
        let selector = self.bare_selector(want);
        let extended = self.options.extended_range_selectors && self.random.percent(6);
        self.modified(selector, if extended { Some("smoothed") } else { None })
    }

    /// A range vector. `extended` are the modifiers that may stand on it.
    pub(super) fn matrix(&mut self, depth: u32, want: Option<Want>, extended: &[&str]) -> String {
        if depth > 1 && self.random.percent(30) {
            return self.subquery(depth - 1, want);
        }
        let selector = format!("{}[{}]", self.bare_selector(want), self.range());
        let mut modifier = None;
        if self.options.extended_range_selectors {
            if !extended.is_empty() && self.random.percent(35) {
                modifier = Some(self.random.pick(extended));
            } else if self.random.percent(1) {
                modifier = Some(self.random.pick(&["anchored", "smoothed"]));
            }
        }
        self.modified(selector, modifier)
    }

    fn subquery(&mut self, depth: u32, want: Option<Want>) -> String {
        let inner = match self.random.percent(8) {
            true => Piece::atom(format!("vector({})", self.scalar(depth).text)),
            false => self.vector(depth, want),
        };
        let step = if self.random.percent(80) { self.subquery_step() } else { String::new() };
        let text = format!("{}[{}:{step}]", inner.closed(), self.range());
        self.modified(text, None)
    }

    fn subquery_step(&mut self) -> String {
        let plain = self.random.pick(&["15s", "30s", "1m", "47s", "90", "2m"]);
        self.computed(plain)
    }

    /// How far back a range goes.
    fn range(&mut self) -> String {
        let plain = self.random.pick(&["1m", "2m", "5m", "5m", "10m", "90s", "3m30s", "250", "1h"]);
        self.computed(plain)
    }

    /// A duration as it is, or as part of an expression.
    fn computed(&mut self, plain: &str) -> String {
        if !self.options.duration_expr || !self.random.percent(12) {
            return plain.to_owned();
        }
        match self.random.below(9) {
            0 => format!("{plain} + 30s"),
            1 => format!("2 * {plain}"),
            2 => format!("max_of(step(), {plain})"),
            3 => format!("min_of({plain}, range() + 1m)"),
            4 => format!("({plain} + step())"),
            5 => format!("-(-{plain})"),
            6 => format!("{plain} - 5s % 3"),
            7 => format!("{plain} / 2 ^ 1"),
            _ => format!("(range() / 2) + {plain}"),
        }
    }

    /// With `offset`, `@` and what else is given, in any order.
    fn modified(&mut self, text: String, extended: Option<&str>) -> String {
        let mut all: Vec<String> = extended.map(str::to_owned).into_iter().collect();
        let offset = self.random.percent(12);
        if offset {
            all.push(format!("offset {}", self.offset()));
        }
        if self.random.percent(8) && !(offset && self.one_shift) && !self.unpinned {
            all.push(format!("@ {}", self.at()));
        }
        self.random.shuffle(&mut all);
        all.into_iter().fold(text, |text, m| format!("{text} {m}"))
    }

    fn offset(&mut self) -> String {
        let sign = if self.random.percent(25) { "-" } else { "" };
        let plain = self.random.pick(&["30s", "1m", "5m", "10m", "45", "1m30s", "0"]);
        if self.options.duration_expr && self.random.percent(12) {
            let inner = self.computed(plain);
            return format!("{sign}({inner})");
        }
        format!("{sign}{plain}")
    }

    fn at(&mut self) -> String {
        match self.random.weighted(&[2, 1, 1]) {
            0 => {
                let time = self.time();
                format!("{}.{:03}", time / 1000, time % 1000)
            }
            1 => "start()".to_owned(),
            _ => "end()".to_owned(),
        }
    }
}
