//! The table of PromQL's functions: names, argument types, and which of them
//! are experimental. The parser checks calls against it; evaluation
//! dispatches on the name.
//!
//! Source: Prometheus 3.15, promql/parser/functions.go (90 functions).

use crate::ast::ValueType;
use crate::ast::ValueType::{Matrix as M, Scalar as S, String as T, Vector as V};

/// One function of the language.
#[derive(Debug)]
pub struct Function {
    /// The name as written.
    pub name: &'static str,
    /// Types of the arguments; a variadic function repeats the last.
    pub args: &'static [ValueType],
    /// How many of the last arguments may be left out or repeated:
    /// 0 none; n > 0: the last may be left out or stand up to n times;
    /// −1 the last may be left out or stand any number of times
    /// (as in Prometheus' table).
    pub variadic: i32,
    /// What it returns.
    pub returns: ValueType,
    /// Whether it needs `promql-experimental-functions`.
    pub experimental: bool,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// The function of this name; names are case-sensitive.
pub fn lookup(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok().map(|i| &FUNCTIONS[i])
}

/// All functions, sorted by name.
pub fn all() -> &'static [Function] {
    FUNCTIONS
}

/// A stable function that takes exactly `args`.
const fn stable(name: &'static str, args: &'static [ValueType], returns: ValueType) -> Function {
    Function { name, args, variadic: 0, returns, experimental: false }
}

/// An experimental function that takes exactly `args`.
const fn trial(name: &'static str, args: &'static [ValueType], returns: ValueType) -> Function {
    Function { name, args, variadic: 0, returns, experimental: true }
}

/// The same function with a variadic last argument.
const fn variadic(n: i32, f: Function) -> Function {
    Function { variadic: n, ..f }
}

static FUNCTIONS: &[Function] = &[
    stable("abs", &[V], V),
    stable("absent", &[V], V),
    stable("absent_over_time", &[M], V),
    stable("acos", &[V], V),
    stable("acosh", &[V], V),
    stable("asin", &[V], V),
    stable("asinh", &[V], V),
    stable("atan", &[V], V),
    stable("atanh", &[V], V),
    stable("avg_over_time", &[M], V),
    stable("ceil", &[V], V),
    stable("changes", &[M], V),
    stable("clamp", &[V, S, S], V),
    stable("clamp_max", &[V, S], V),
    stable("clamp_min", &[V, S], V),
    stable("cos", &[V], V),
    stable("cosh", &[V], V),
    stable("count_over_time", &[M], V),
    variadic(1, stable("day_of_month", &[V], V)),
    variadic(1, stable("day_of_week", &[V], V)),
    variadic(1, stable("day_of_year", &[V], V)),
    variadic(1, stable("days_in_month", &[V], V)),
    stable("deg", &[V], V),
    stable("delta", &[M], V),
    stable("deriv", &[M], V),
    trial("double_exponential_smoothing", &[M, S, S], V),
    trial("end", &[], S),
    stable("exp", &[V], V),
    stable("first_over_time", &[M], V),
    stable("floor", &[V], V),
    stable("histogram_avg", &[V], V),
    stable("histogram_count", &[V], V),
    stable("histogram_fraction", &[S, S, V], V),
    stable("histogram_quantile", &[S, V], V),
    variadic(9, trial("histogram_quantiles", &[V, T, S, S], V)),
    stable("histogram_stddev", &[V], V),
    stable("histogram_stdvar", &[V], V),
    stable("histogram_sum", &[V], V),
    variadic(1, stable("hour", &[V], V)),
    stable("idelta", &[M], V),
    stable("increase", &[M], V),
    variadic(1, trial("info", &[V, V], V)),
    stable("irate", &[M], V),
    variadic(-1, stable("label_join", &[V, T, T, T], V)),
    stable("label_replace", &[V, T, T, T, T], V),
    stable("last_over_time", &[M], V),
    stable("ln", &[V], V),
    stable("log10", &[V], V),
    stable("log2", &[V], V),
    trial("mad_over_time", &[M], V),
    trial("max_of", &[S, S], S),
    stable("max_over_time", &[M], V),
    trial("min_of", &[S, S], S),
    stable("min_over_time", &[M], V),
    variadic(1, stable("minute", &[V], V)),
    variadic(1, stable("month", &[V], V)),
    stable("pi", &[], S),
    stable("predict_linear", &[M, S], V),
    stable("present_over_time", &[M], V),
    stable("quantile_over_time", &[S, M], V),
    stable("rad", &[V], V),
    trial("range", &[], S),
    stable("rate", &[M], V),
    stable("resets", &[M], V),
    variadic(1, stable("round", &[V, S], V)),
    stable("scalar", &[V], S),
    stable("sgn", &[V], V),
    stable("sin", &[V], V),
    stable("sinh", &[V], V),
    stable("sort", &[V], V),
    variadic(-1, trial("sort_by_label", &[V, T], V)),
    variadic(-1, trial("sort_by_label_desc", &[V, T], V)),
    stable("sort_desc", &[V], V),
    stable("sqrt", &[V], V),
    trial("start", &[], S),
    trial("start_timestamp", &[V], V),
    stable("stddev_over_time", &[M], V),
    stable("stdvar_over_time", &[M], V),
    trial("step", &[], S),
    stable("sum_over_time", &[M], V),
    stable("tan", &[V], V),
    stable("tanh", &[V], V),
    stable("time", &[], S),
    stable("timestamp", &[V], V),
    trial("ts_of_first_over_time", &[M], V),
    trial("ts_of_last_over_time", &[M], V),
    trial("ts_of_max_over_time", &[M], V),
    trial("ts_of_min_over_time", &[M], V),
    stable("vector", &[S], V),
    variadic(1, stable("year", &[V], V)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete_and_sorted() {
        assert_eq!(all().len(), 90);
        assert_eq!(all().iter().filter(|f| f.experimental).count(), 17);
        assert!(all().windows(2).all(|w| w[0].name < w[1].name));
        assert!(all().iter().all(|f| lookup(f.name) == Some(f)));
        assert!(lookup("holt_winters").is_none());
    }
}
