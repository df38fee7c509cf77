//! Calls: arguments by the types of the function's table, and by name where
//! only some make sense.

use varve_promql::ast::ValueType;
use varve_promql::functions::{self, Function};

use super::{Generator, Piece, Want};

impl Generator {
    /// A call that returns an instant vector.
    pub(super) fn vector_call(&mut self, depth: u32, want: Option<Want>) -> Piece {
        let function = self.function(ValueType::Vector);
        Piece::atom(self.call(function, depth, want))
    }

    /// A call that returns a scalar.
    pub(super) fn scalar_call(&mut self, depth: u32) -> Piece {
        let function = self.function(ValueType::Scalar);
        Piece::atom(self.call(function, depth, None))
    }

    fn function(&mut self, returns: ValueType) -> &'static Function {
        let fits = |f: &&Function| {
            f.returns == returns && (self.options.experimental_functions || !f.experimental)
        };
        let all: Vec<&Function> = functions::all().iter().filter(fits).collect();
        self.random.choose(&all)
    }

    fn call(&mut self, function: &'static Function, depth: u32, want: Option<Want>) -> String {
        let mut types = function.args.to_vec();
        match function.variadic {
            0 => {}
            1 => {
                if self.random.percent(35) {
                    types.pop();
                }
            }
            // The last stands up to so many times; the judge allows any number for -1.
            n => {
                let most = if n < 0 { 3 } else { n as usize };
                let last = types.pop();
                let times = self.random.below(most.min(4) + 1);
                types.extend(std::iter::repeat_n(last, times).flatten());
            }
        }
        let want = Self::wanted(function.name, self.random.percent(70)).or(want);
        let args: Vec<String> = types
            .iter()
            .enumerate()
            .map(|(i, kind)| self.argument(function.name, i, *kind, depth - 1, want))
            .collect();
        format!("{}({})", function.name, args.join(", "))
    }

    /// What the vectors of a function should hold; `usual` most of the time.
    fn wanted(function: &str, usual: bool) -> Option<Want> {
        match function {
            "histogram_quantile" | "histogram_fraction" | "histogram_quantiles" if !usual => {
                Some(Want::Bucket)
            }
            name if name.starts_with("histogram_") => Some(Want::Histogram),
            "rate" | "increase" | "irate" | "resets" if usual => Some(Want::Counter),
            "info" => Some(Want::Float),
            _ => None,
        }
    }

    fn argument(
        &mut self,
        function: &str,
        position: usize,
        kind: ValueType,
        depth: u32,
        want: Option<Want>,
    ) -> String {
        // Of `timestamp(x @ t offset d)` Prometheus forgets the offset, but not
        // the samples that it reads for it (docs/gaps).
        let times = matches!(function, "timestamp" | "start_timestamp");
        let shifts = std::mem::replace(&mut self.one_shift, times);
        let text = self.argument_of(function, position, kind, depth, want);
        self.one_shift = shifts;
        text
    }

    fn argument_of(
        &mut self,
        function: &str,
        position: usize,
        kind: ValueType,
        depth: u32,
        want: Option<Want>,
    ) -> String {
        match kind {
            ValueType::Vector if function == "info" && position == 1 => self.info_selector(),
            ValueType::Vector
                if matches!(function, "timestamp" | "absent" | "start_timestamp")
                    && self.random.percent(60) =>
            {
                self.selector(want)
            }
            ValueType::Vector => self.vector(depth, want).text,
            ValueType::Matrix => {
                let extended: &[&str] = match function {
                    "rate" | "increase" | "delta" => &["anchored", "smoothed"],
                    "changes" | "resets" => &["anchored"],
                    _ => &[],
                };
                self.matrix(depth, want, extended)
            }
            ValueType::Scalar => self.scalar_argument(function, depth),
            ValueType::String => self.string_argument(function, position),
        }
    }

    fn scalar_argument(&mut self, function: &str, depth: u32) -> String {
        if self.random.percent(12) {
            return self.scalar(depth).text;
        }
        match function {
            "histogram_quantile" | "quantile_over_time" | "histogram_quantiles" => self.quantile(),
            "double_exponential_smoothing" => {
                self.random.pick(&["0.5", "0.1", "0.9", "0.3", "1", "0"]).to_owned()
            }
            "round" => self.random.pick(&["0.1", "5", "1", "0.3", "-2", "0"]).to_owned(),
            "predict_linear" => self.random.pick(&["60", "3600", "-100", "5m"]).to_owned(),
            "histogram_fraction" => self
                .random
                .pick(&["-Inf", "-1", "0", "0.3", "1", "2", "5", "Inf", "NaN"])
                .to_owned(),
            _ => self.number(),
        }
    }

    fn string_argument(&mut self, function: &str, position: usize) -> String {
        let all: &[&str] = match (function, position) {
            ("label_replace", 1) => &["\"a\"", "\"new\"", "'x.y'", "\"__name__\"", "\"b\""],
            ("label_replace", 2) => {
                &["\"$1\"", "\"${1}-z\"", "\"$name\"", "\"\"", "\"v\"", "'$0$2'"]
            }
            ("label_replace", 3) => &["\"a\"", "\"b\"", "\"instance\"", "\"none\"", "\"label.x\""],
            ("label_replace", _) => &["\"(.*)\"", "'(?P<name>.)'", "\"[0-9]+\"", "``", "\"x|(y)\""],
            ("label_join", 1) => &["\"new\"", "\"a\"", "\"__name__\"", "'x.y'"],
            ("label_join", 2) => &["\"-\"", "\"\"", "', '"],
            ("histogram_quantiles", _) => &["\"quantile\"", "\"q\"", "\"a\""],
            _ => &["\"a\"", "\"b\"", "\"le\"", "\"label.x\"", "\"none\"", "\"instance\""],
        };
        self.random.pick(all).to_owned()
    }

    fn info_selector(&mut self) -> String {
        let all = [
            "{version=~\".+\"}",
            "{version=\"1.0\"}",
            "{env=\"prod\"}",
            "{__name__=\"build_info\"}",
            "{__name__=~\"(target|build)_info\"}",
            "{__name__=~\".+_info\", go=~\".*\"}",
            "{env=~\".*\"}",
            "{__name__!=\"target_info\"}",
        ];
        self.random.pick(&all).to_owned()
    }
}
