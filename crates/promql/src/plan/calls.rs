//! Calls: which operator evaluates each function of the language.

use super::build::{Around, Planner, absent_labels};
use super::invariant::unwrapped;
use super::{
    DatePart, Grid, HistogramMap, Info, LabelJoin, LabelReplace, Node, Op, RangeCall, RangeFn,
};
use crate::ast::{Call, Expr, ExprKind, Extended, Span, VectorSelector};
use crate::engine::EngineError;
use crate::eval::functions::math;

/// Plans a call.
pub(super) fn call(
    planner: &Planner<'_>,
    call: &Call,
    grid: Grid,
    around: Around,
) -> Result<Op, EngineError> {
    let Call { func, func_span: _, args } = call;
    let name = func.name;
    let around = around.of(name);
    let arg = |i: usize| planner.boxed(unwrapped(&args[i]), grid, around);
    let optional = |i: usize| if args.len() > i { arg(i).map(Some) } else { Ok(None) };
    if let Some(range_fn) = range_fn(name) {
        return range_call(planner, name, range_fn, args, grid, around);
    }
    if let Some(f) = math::simple(name) {
        return Ok(Op::Map(f, arg(0)?));
    }
    Ok(match name {
        "pi" => Op::Number(std::f64::consts::PI),
        "time" => Op::Time,
        "start" => Op::Number(planner.times.start as f64 / 1000.0),
        "end" => Op::Number(planner.times.end as f64 / 1000.0),
        "range" => Op::Number(planner.times.range_seconds()),
        "step" if planner.times.start == planner.times.end => Op::Number(0.0),
        "step" => Op::Number(planner.times.step_seconds()),
        "min_of" => Op::MinOf(arg(0)?, arg(1)?),
        "max_of" => Op::MaxOf(arg(0)?, arg(1)?),
        "scalar" => Op::ScalarOf(arg(0)?),
        "vector" => Op::VectorOf(arg(0)?),
        "timestamp" | "start_timestamp" => match &unwrapped(&args[0]).kind {
            ExprKind::Selector(s) if name == "timestamp" => {
                Op::Timestamp(planner.select(&plain(s), around)?)
            }
            ExprKind::Selector(s) => Op::StartTimestamp(planner.select(&plain(s), around)?),
            _ if name == "timestamp" => Op::TimestampOf(arg(0)?),
            _ => Op::Unused(arg(0)?),
        },
        "absent" => {
            let labels = match &unwrapped(&args[0]).kind {
                ExprKind::Selector(s) => absent_labels(&s.matchers),
                _ => varve_model::Labels::empty(),
            };
            Op::Absent(arg(0)?, labels)
        }
        "absent_over_time" => {
            let inner = unwrapped(&args[0]);
            let labels = match &inner.kind {
                ExprKind::Range(r) => absent_labels(&r.selector.matchers),
                _ => varve_model::Labels::empty(),
            };
            let source = planner.range_source(inner, grid, around, true)?;
            refuse_extended(name, source.extended)?;
            Op::AbsentOverTime(Box::new(source), labels)
        }
        "clamp" => Op::Clamp(arg(0)?, Some(arg(1)?), Some(arg(2)?)),
        "clamp_min" => Op::Clamp(arg(0)?, Some(arg(1)?), None),
        "clamp_max" => Op::Clamp(arg(0)?, None, Some(arg(1)?)),
        "round" => Op::Round(arg(0)?, optional(1)?),
        "days_in_month" => Op::Date(DatePart::DaysInMonth, optional(0)?),
        "day_of_month" => Op::Date(DatePart::DayOfMonth, optional(0)?),
        "day_of_week" => Op::Date(DatePart::DayOfWeek, optional(0)?),
        "day_of_year" => Op::Date(DatePart::DayOfYear, optional(0)?),
        "hour" => Op::Date(DatePart::Hour, optional(0)?),
        "minute" => Op::Date(DatePart::Minute, optional(0)?),
        "month" => Op::Date(DatePart::Month, optional(0)?),
        "year" => Op::Date(DatePart::Year, optional(0)?),
        "histogram_count" => Op::HistogramMap(HistogramMap::Count, arg(0)?),
        "histogram_sum" => Op::HistogramMap(HistogramMap::Sum, arg(0)?),
        "histogram_avg" => Op::HistogramMap(HistogramMap::Avg, arg(0)?),
        "histogram_stddev" => Op::HistogramMap(HistogramMap::Stddev, arg(0)?),
        "histogram_stdvar" => Op::HistogramMap(HistogramMap::Stdvar, arg(0)?),
        "histogram_quantile" => Op::HistogramQuantile(arg(0)?, arg(1)?),
        "histogram_quantiles" => {
            let quantiles = (2..args.len()).map(|i| arg(i).map(|a| *a));
            let label = string(&args[1]);
            Op::HistogramQuantiles(arg(0)?, label, quantiles.collect::<Result<_, _>>()?)
        }
        "histogram_fraction" => Op::HistogramFraction(arg(0)?, arg(1)?, arg(2)?),
        "label_replace" => label_replace(*arg(0)?, &args[1..])?,
        "label_join" => label_join(*arg(0)?, &args[1..])?,
        "sort" | "sort_desc" => Op::Sort { arg: arg(0)?, descending: name == "sort_desc" },
        "sort_by_label" | "sort_by_label_desc" => Op::SortByLabel {
            arg: arg(0)?,
            labels: args[1..].iter().map(string).collect(),
            descending: name == "sort_by_label_desc",
        },
        "info" => Op::Info(Box::new(info(planner, args, grid, around)?)),
        name => return Err(EngineError::unsupported(format!("function {name}()"))),
    })
}

/// `timestamp` reads samples as they are, whatever the selector's modifier.
fn plain(s: &VectorSelector) -> VectorSelector {
    VectorSelector { extended: None, ..s.clone() }
}

fn range_fn(name: &str) -> Option<RangeFn> {
    Some(match name {
        "rate" => RangeFn::Rate,
        "increase" => RangeFn::Increase,
        "delta" => RangeFn::Delta,
        "irate" => RangeFn::Irate,
        "idelta" => RangeFn::Idelta,
        "resets" => RangeFn::Resets,
        "changes" => RangeFn::Changes,
        "deriv" => RangeFn::Deriv,
        "predict_linear" => RangeFn::PredictLinear,
        "double_exponential_smoothing" => RangeFn::DoubleExponentialSmoothing,
        "sum_over_time" => RangeFn::Sum,
        "avg_over_time" => RangeFn::Avg,
        "min_over_time" => RangeFn::Min,
        "max_over_time" => RangeFn::Max,
        "count_over_time" => RangeFn::Count,
        "first_over_time" => RangeFn::First,
        "last_over_time" => RangeFn::Last,
        "present_over_time" => RangeFn::Present,
        "stddev_over_time" => RangeFn::Stddev,
        "stdvar_over_time" => RangeFn::Stdvar,
        "quantile_over_time" => RangeFn::Quantile,
        "mad_over_time" => RangeFn::Mad,
        "ts_of_first_over_time" => RangeFn::TsOfFirst,
        "ts_of_last_over_time" => RangeFn::TsOfLast,
        "ts_of_min_over_time" => RangeFn::TsOfMin,
        "ts_of_max_over_time" => RangeFn::TsOfMax,
        _ => return None,
    })
}

fn range_call(
    planner: &Planner<'_>,
    name: &'static str,
    func: RangeFn,
    args: &[Expr],
    grid: Grid,
    around: Around,
) -> Result<Op, EngineError> {
    let matrix = usize::from(func == RangeFn::Quantile);
    let source = planner.range_source(unwrapped(&args[matrix]), grid, around, true)?;
    match (source.extended, func) {
        (None, _)
        | (Some(_), RangeFn::Rate | RangeFn::Increase | RangeFn::Delta)
        | (Some(Extended::Anchored), RangeFn::Resets | RangeFn::Changes) => {}
        (extended, _) => refuse_extended(name, extended)?,
    }
    let scalars = args.iter().enumerate().filter(|(i, _)| *i != matrix);
    let params = scalars.map(|(_, a)| planner.node(unwrapped(a), grid, around));
    let params = params.collect::<Result<_, _>>()?;
    // Prometheus has forgotten where a subquery stood when it says something.
    let first_arg = match &unwrapped(&args[0]).kind {
        ExprKind::Subquery(_) => Span::default(),
        _ => unwrapped(&args[0]).span,
    };
    Ok(Op::Range(Box::new(RangeCall { func, source, params, first_arg })))
}

fn refuse_extended(name: &str, extended: Option<Extended>) -> Result<(), EngineError> {
    let (modifier, allowed) = match extended {
        None => return Ok(()),
        Some(Extended::Anchored) => ("anchored", "changes, delta, increase, rate, resets"),
        Some(Extended::Smoothed) => ("smoothed", "delta, increase, rate"),
    };
    let message = format!("{modifier} modifier can only be used with: {allowed} - not with {name}");
    Err(EngineError::execution(message))
}

/// The bytes of a string argument.
fn bytes(expr: &Expr) -> &[u8] {
    match &unwrapped(expr).kind {
        ExprKind::String(s) => s,
        _ => &[],
    }
}

/// The text of a string argument.
fn string(expr: &Expr) -> String {
    String::from_utf8_lossy(bytes(expr)).into_owned()
}

/// The bytes as the name of a label: UTF-8, and not empty.
pub(super) fn label_name(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|name| !name.is_empty())
}

/// A string argument that names a label.
fn label_argument(expr: &Expr, what: &str, func: &str) -> Result<String, EngineError> {
    label_name(bytes(expr)).map(str::to_owned).ok_or_else(|| {
        let name = string(expr);
        EngineError::execution(format!("invalid {what} label name in {func}(): {name}"))
    })
}

fn label_replace(arg: Node, strings: &[Expr]) -> Result<Op, EngineError> {
    let (replacement, src) = (string(&strings[1]), string(&strings[2]));
    let pattern = string(&strings[3]);
    let regex = varve_model::compile_regex(&pattern);
    let Ok(regex) = regex else {
        let message = format!("invalid regular expression in label_replace(): {pattern}");
        return Err(EngineError::execution(message));
    };
    let dst = label_argument(&strings[0], "destination", "label_replace")?;
    Ok(Op::LabelReplace(Box::new(LabelReplace { arg, dst, replacement, src, regex })))
}

fn label_join(arg: Node, strings: &[Expr]) -> Result<Op, EngineError> {
    let separator = string(&strings[1]);
    let src = strings[2..].iter().map(|s| label_argument(s, "source", "label_join"));
    let src = src.collect::<Result<_, _>>()?;
    let dst = label_argument(&strings[0], "destination", "label_join")?;
    Ok(Op::LabelJoin(Box::new(LabelJoin { arg, dst, separator, src })))
}

fn info(
    planner: &Planner<'_>,
    args: &[Expr],
    grid: Grid,
    around: Around,
) -> Result<Info, EngineError> {
    let first = unwrapped(&args[0]);
    let lookup = super::info::reference(first, &planner.times).unwrap_or_default();
    let matchers = match args.get(1).map(|a| &unwrapped(a).kind) {
        Some(ExprKind::Selector(s)) => s.matchers.clone(),
        _ => Vec::new(),
    };
    let arg = planner.node(first, grid, around)?;
    Ok(Info { arg, matchers, lookup, lookback: planner.lookback })
}
