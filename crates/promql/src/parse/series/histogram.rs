//! Histogram literals: `{{schema:0 sum:5 count:4 buckets:[1 2 1] offset:-1}}`,
//! repeated (`x3`) and counted up or down (`{{…}}+{{…}}x3`).

use std::collections::BTreeMap;

use varve_model::{CUSTOM_BUCKETS_SCHEMA, Counts, Histogram, ResetHint, Span as Buckets};

use super::super::parser::Parsed;
use super::{Scanner, SequenceValue};

/// A literal and whether it says something of resets.
struct Literal {
    histogram: Histogram,
    hint_set: bool,
}

impl Scanner<'_> {
    /// A literal, perhaps with a step, perhaps repeated.
    pub(super) fn histograms(&mut self, values: &mut Vec<SequenceValue>) -> Parsed<()> {
        let start = self.pos;
        let base = self.literal()?;
        let sign = match self.peek() {
            Some(b'+') => 1.0,
            Some(b'-') => -1.0,
            _ => 0.0,
        };
        let mut step = None;
        let mut hint_set = base.hint_set;
        if sign != 0.0 {
            self.pos += 1;
            let literal = self.literal()?;
            hint_set = literal.hint_set;
            step = Some(literal.histogram);
        }
        let times = self.times()?;
        if step.is_some() && times.is_none() {
            return self.unexpected(self.pos);
        }
        let count = times.map_or(1, |n| n.saturating_add(1));
        self.room(start, values, count)?;
        let mut histogram = base.histogram;
        for left in (0..count).rev() {
            let next = match (&step, left) {
                (Some(step), 1..) => match combine(&histogram, step, sign) {
                    Ok(next) => next,
                    Err(message) => return self.fail(start, message),
                },
                (_, _) => histogram.clone(),
            };
            let this = std::mem::replace(&mut histogram, next);
            values.push(SequenceValue::Histogram { histogram: Box::new(this), hint_set });
        }
        Ok(())
    }

    fn literal(&mut self) -> Parsed<Literal> {
        let start = self.pos;
        if !self.take("{{") {
            return self.unexpected(start);
        }
        let mut seen: Vec<String> = Vec::new();
        let mut h = Histogram {
            schema: 0,
            zero_threshold: 0.0,
            sum: 0.0,
            reset_hint: ResetHint::Unknown,
            positive_spans: Vec::new(),
            negative_spans: Vec::new(),
            custom_bounds: Vec::new(),
            counts: Counts::Float {
                count: 0.0,
                zero: 0.0,
                positive: Vec::new(),
                negative: Vec::new(),
            },
        };
        let (mut total, mut zero_count, mut up, mut down) = (0.0, 0.0, Vec::new(), Vec::new());
        let (mut up_offset, mut down_offset) = (0, 0);
        loop {
            self.spaces();
            if self.take("}}") {
                break;
            }
            let at = self.pos;
            let key = self.key()?;
            match key.as_str() {
                "schema" => h.schema = self.int(at)?,
                "sum" => h.sum = self.signed(at)?,
                "count" => total = self.signed(at)?,
                "z_bucket" => zero_count = self.signed(at)?,
                "z_bucket_w" => h.zero_threshold = self.signed(at)?,
                "custom_values" => h.custom_bounds = self.list(at)?,
                "buckets" => up = self.list(at)?,
                "n_buckets" => down = self.list(at)?,
                "offset" => up_offset = self.int(at)?,
                "n_offset" => down_offset = self.int(at)?,
                "counter_reset_hint" => h.reset_hint = self.hint(at)?,
                _ => {
                    let message = format!("bad histogram descriptor found: {key:?}");
                    return self.fail(at, message);
                }
            }
            if seen.contains(&key) {
                return self.fail(at, format!("duplicate key \"{key}\" in histogram"));
            }
            seen.push(key);
        }
        h.positive_spans = span(up_offset, up.len());
        h.negative_spans = span(down_offset, down.len());
        h.counts = Counts::Float { count: total, zero: zero_count, positive: up, negative: down };
        let hint_set = seen.iter().any(|k| k == "counter_reset_hint");
        Ok(Literal { histogram: h, hint_set })
    }

    fn letters(&mut self) -> String {
        let end = self.rest().find(|c: char| !(c == '_' || c.is_ascii_alphabetic()));
        let word = &self.rest()[..end.unwrap_or(self.rest().len())];
        self.pos += word.len();
        word.to_ascii_lowercase()
    }

    /// `key:`
    fn key(&mut self) -> Parsed<String> {
        let start = self.pos;
        let key = self.letters();
        if key.is_empty() {
            let message = "histogram description incomplete";
            return self.fail(start, message);
        }
        if !self.take(":") {
            return self.fail(start, "missing `:` for histogram descriptor");
        }
        Ok(key)
    }

    fn int(&mut self, at: usize) -> Parsed<i32> {
        let value = self.signed(at)?;
        let int = value as i32;
        if f64::from(int) != value {
            return self.fail(at, format!("{value} is no 32-bit integer"));
        }
        Ok(int)
    }

    fn hint(&mut self, at: usize) -> Parsed<ResetHint> {
        match self.letters().as_str() {
            "unknown" => Ok(ResetHint::Unknown),
            "reset" => Ok(ResetHint::CounterReset),
            "not_reset" => Ok(ResetHint::NotCounterReset),
            "gauge" => Ok(ResetHint::Gauge),
            other => self.fail(at, format!("bad counter_reset_hint {other:?}")),
        }
    }

    /// `[1 2 3]`
    fn list(&mut self, at: usize) -> Parsed<Vec<f64>> {
        if !self.take("[") {
            return self.unexpected(at);
        }
        let mut values = Vec::new();
        loop {
            self.spaces();
            if self.take("]") {
                return Ok(values);
            }
            values.push(self.signed(at)?);
        }
    }
}

fn span(offset: i32, buckets: usize) -> Vec<Buckets> {
    match u32::try_from(buckets) {
        Ok(length) if length > 0 => vec![Buckets { offset, length }],
        _ => Vec::new(),
    }
}

/// Buckets by index.
type Side = BTreeMap<i64, f64>;

fn side(spans: &[Buckets], counts: &[f64]) -> Side {
    let mut index = 0_i64;
    let mut counts = counts.iter();
    let mut out = Side::new();
    for span in spans {
        index += i64::from(span.offset);
        for count in counts.by_ref().take(span.length as usize) {
            out.insert(index, *count);
            index += 1;
        }
    }
    out
}

/// The same buckets at a resolution that is `steps` schemas coarser.
fn coarser(buckets: &Side, steps: u32) -> Side {
    let mut out = Side::new();
    for (index, count) in buckets {
        *out.entry(((index - 1) >> steps) + 1).or_default() += count;
    }
    out
}

fn columns(buckets: &Side) -> (Vec<Buckets>, Vec<f64>) {
    let (mut spans, mut counts): (Vec<Buckets>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut next = 0_i64;
    for (index, count) in buckets {
        match spans.last_mut() {
            Some(span) if *index == next => span.length += 1,
            // Indexes are differences of 32-bit offsets and so fit.
            _ => spans.push(Buckets { offset: (index - next) as i32, length: 1 }),
        }
        next = index + 1;
        counts.push(*count);
    }
    (spans, counts)
}

/// `a + sign × b`, for literals whose zero buckets and bounds agree or that
/// leave them out.
fn combine(a: &Histogram, b: &Histogram, sign: f64) -> Result<Histogram, String> {
    if a.schema > b.schema {
        return Err(format!(
            "error combining histograms: cannot merge from schema {} to {}",
            b.schema, a.schema
        ));
    }
    let custom = a.schema == CUSTOM_BUCKETS_SCHEMA;
    if custom != (b.schema == CUSTOM_BUCKETS_SCHEMA) || a.custom_bounds != b.custom_bounds {
        return Err("error combining histograms: custom bounds differ".to_owned());
    }
    let zero_agrees = a.zero_threshold == b.zero_threshold
        || (b.zero_threshold == 0.0 && b.zero_count() == 0.0)
        || (a.zero_threshold == 0.0 && a.zero_count() == 0.0);
    if !zero_agrees {
        return Err(format!(
            "error combining histograms: zero buckets of width {} and {}",
            a.zero_threshold, b.zero_threshold
        ));
    }
    let (
        Counts::Float { count, zero, positive, negative },
        Counts::Float { count: count_b, zero: zero_b, positive: up_b, negative: down_b },
    ) = (&a.counts, &b.counts)
    else {
        return Err("error combining histograms: integer counts".to_owned());
    };
    let steps = (b.schema - a.schema).unsigned_abs();
    let merge = |spans_a: &[Buckets], a: &[f64], spans_b: &[Buckets], b: &[f64]| {
        let mut sum = side(spans_a, a);
        let other = side(spans_b, b);
        let other = if steps > 0 { coarser(&other, steps) } else { other };
        for (index, count) in other {
            *sum.entry(index).or_default() += sign * count;
        }
        columns(&sum)
    };
    let (positive_spans, positive) = merge(&a.positive_spans, positive, &b.positive_spans, up_b);
    let (negative_spans, negative) = merge(&a.negative_spans, negative, &b.negative_spans, down_b);
    use ResetHint::{Gauge, Unknown};
    let reset_hint = match (a.reset_hint, b.reset_hint) {
        (x, y) if x == y => x,
        (Gauge, _) | (_, Gauge) => Gauge,
        _ => Unknown,
    };
    Ok(Histogram {
        schema: a.schema,
        zero_threshold: a.zero_threshold.max(b.zero_threshold),
        sum: a.sum + sign * b.sum,
        reset_hint,
        positive_spans,
        negative_spans,
        custom_bounds: a.custom_bounds.clone(),
        counts: Counts::Float {
            count: count + sign * count_b,
            zero: zero + sign * zero_b,
            positive,
            negative,
        },
    })
}
