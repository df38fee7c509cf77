//! Warnings and infos that travel with an answer.
//!
//! Texts are Prometheus' (util/annotations). They are deduplicated by text
//! without position; the position is added when they are rendered. Two of
//! them gather details of all steps.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::ast::Span;

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Something is likely wrong with the answer.
    Warning,
    /// Something may be wrong with the answer.
    Info,
}

/// One warning or info.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    severity: Severity,
    text: String,
    span: Span,
    /// The part of the query that says it, when `span` is not its end.
    by: Option<Span>,
    detail: Detail,
}

/// What is gathered over all steps.
#[derive(Clone, Debug, PartialEq)]
enum Detail {
    None,
    Monotonicity(Monotonicity),
    Overlaps(u64),
}

/// How far buckets had to be fixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Monotonicity {
    /// First time in milliseconds.
    pub min_time: i64,
    /// Last time in milliseconds.
    pub max_time: i64,
    /// Lowest bucket bound that was fixed.
    pub min_bucket: f64,
    /// Highest bucket bound that was fixed.
    pub max_bucket: f64,
    /// The largest correction.
    pub max_diff: f64,
    /// How many samples were fixed, as Prometheus counts.
    pub count: i64,
}

impl Monotonicity {
    /// Takes in what another has gathered.
    pub fn merge(&mut self, other: &Self) {
        self.min_time = self.min_time.min(other.min_time);
        self.max_time = self.max_time.max(other.max_time);
        if other.min_bucket < self.min_bucket {
            self.min_bucket = other.min_bucket;
        }
        if other.max_bucket > self.max_bucket {
            self.max_bucket = other.max_bucket;
        }
        if other.max_diff > self.max_diff {
            self.max_diff = other.max_diff;
        }
        self.count = self.count.wrapping_add(other.count);
    }
}

/// The histogram operations that annotations name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistogramOperation {
    /// `+`
    Addition,
    /// `-`, `rate` and the like.
    Subtraction,
    /// `sum`, `avg` and `*_over_time`.
    Aggregation,
}

impl HistogramOperation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        }
    }
}

/// Appends which metric is meant, when it has a name.
fn named(text: &str, metric: &str) -> String {
    match metric {
        "" => text.to_owned(),
        metric => format!("{text} for metric name {metric:?}"),
    }
}

impl Annotation {
    fn warning(span: Span, text: impl Into<String>) -> Self {
        let (severity, detail) = (Severity::Warning, Detail::None);
        let text = format!("PromQL warning: {}", text.into());
        Self { severity, text, span, by: None, detail }
    }

    fn info(span: Span, text: impl Into<String>) -> Self {
        let (severity, detail) = (Severity::Info, Detail::None);
        let text = format!("PromQL info: {}", text.into());
        Self { severity, text, span, by: None, detail }
    }

    /// A quantile outside 0 to 1.
    pub fn invalid_quantile(q: f64, span: Span) -> Self {
        let got = crate::number::general(q);
        Self::warning(span, format!("quantile value should be between 0 and 1, got {got}"))
    }

    /// A `limit_ratio` outside −1 to 1.
    pub fn invalid_ratio(ratio: f64, capped: f64, span: Span) -> Self {
        let (got, to) = (crate::number::general(ratio), crate::number::general(capped));
        let text = format!("ratio value should be between -1 and 1, got {got}, capping to {to}");
        Self::warning(span, text)
    }

    /// A bucket without a number in `le`.
    pub fn bad_bucket_label(metric: &str, le: &str, span: Span) -> Self {
        let text = format!("bucket label \"le\" is missing or has a malformed value of {le:?}");
        Self::warning(span, named(&text, metric))
    }

    /// Floats and histograms in one range.
    pub fn mixed_floats_histograms(metric: &str, span: Span) -> Self {
        let text = format!("encountered a mix of histograms and floats for metric name {metric:?}");
        Self::warning(span, text)
    }

    /// Floats and histograms in one group.
    pub fn mixed_floats_histograms_aggregation(span: Span) -> Self {
        Self::warning(span, "encountered a mix of histograms and floats for aggregation")
    }

    /// Classic buckets and a native histogram under the same labels.
    pub fn mixed_classic_native(metric: &str, span: Span) -> Self {
        let text = "vector contains a mix of classic and native histograms";
        Self::warning(span, named(text, metric))
    }

    /// `rate` of a gauge histogram.
    pub fn histogram_not_counter(metric: &str, span: Span) -> Self {
        Self::warning(span, format!("this native histogram metric is not a counter: {metric:?}"))
    }

    /// `delta` of a counter histogram.
    pub fn histogram_not_gauge(metric: &str, span: Span) -> Self {
        Self::warning(span, format!("this native histogram metric is not a gauge: {metric:?}"))
    }

    /// Exponential and custom buckets together.
    pub fn mixed_exponential_custom(metric: &str, span: Span) -> Self {
        let text = format!(
            "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {metric:?}"
        );
        Self::warning(span, text)
    }

    /// Custom bounds that cannot be matched.
    pub fn incompatible_bucket_layout(operator: &str, span: Span) -> Self {
        let text = format!("incompatible bucket layout encountered for binary operator {operator}");
        Self::warning(span, text)
    }

    /// `sort` in a range query.
    pub fn sort_in_range_query(span: Span) -> Self {
        let text =
            "sort is ineffective for range queries since results are always ordered by labels";
        Self::warning(span, text)
    }

    /// `rate` of something not named like a counter.
    pub fn possible_non_counter(metric: &str, span: Span) -> Self {
        let text = format!(
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {metric:?}"
        );
        Self::info(span, text)
    }

    /// `rate` of something whose `__type__` is not that of a counter.
    pub fn possible_non_counter_label(metric: &str, kind: &str, span: Span) -> Self {
        let text = format!(
            "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {kind:?}: {metric:?}"
        );
        Self::info(span, text)
    }

    /// Bucket counts that went down.
    pub fn forced_monotonicity(metric: &str, detail: Monotonicity, span: Span) -> Self {
        let text = "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        let mut annotation = Self::info(span, named(text, metric));
        annotation.detail = Detail::Monotonicity(detail);
        annotation
    }

    /// A float and a histogram where that makes no sense.
    pub fn incompatible_types(lhs: &str, operator: &str, rhs: &str, span: Span) -> Self {
        let text = format!(
            "incompatible sample types encountered for binary operator {operator:?}: {lhs} {operator} {rhs}"
        );
        Self::info(span, text)
    }

    /// A histogram in an aggregation of floats.
    pub fn histogram_ignored_in_aggregation(aggregation: &str, span: Span) -> Self {
        Self::info(span, format!("ignored histogram in {aggregation} aggregation"))
    }

    /// Histograms in a range function of floats.
    pub fn histogram_ignored_in_range(metric: &str, span: Span) -> Self {
        let text = format!(
            "ignored histograms in a range containing both floats and histograms for metric name {metric:?}"
        );
        Self::info(span, text)
    }

    /// A quantile among observations that are not numbers.
    pub fn quantile_nan_result(metric: &str, span: Span) -> Self {
        let text = "input to histogram_quantile has NaN observations, result is NaN";
        Self::info(span, named(text, metric))
    }

    /// A quantile that observations which are not numbers push up.
    pub fn quantile_nan_skew(metric: &str, span: Span) -> Self {
        let text = "input to histogram_quantile has NaN observations, result is skewed higher";
        Self::info(span, named(text, metric))
    }

    /// A fraction that leaves observations out which are not numbers.
    pub fn fraction_nan(metric: &str, span: Span) -> Self {
        let text = "input to histogram_fraction has NaN observations, which are excluded from all fractions";
        Self::info(span, named(text, metric))
    }

    /// A histogram after a reset met one without.
    pub fn counter_reset_collision(operation: HistogramOperation, span: Span) -> Self {
        let text = format!("conflicting counter resets during histogram {}", operation.as_str());
        Self::warning(span, text)
    }

    /// Custom bounds of which only the common ones were kept.
    pub fn mismatched_custom_buckets(operation: HistogramOperation, span: Span) -> Self {
        let text =
            format!("mismatched custom buckets were reconciled during {}", operation.as_str());
        Self::info(span, text)
    }

    /// Start timestamps that lie before the sample before them.
    pub fn start_time_overlap(metric: &str, span: Span) -> Self {
        let text = format!(
            "sample has start time that overlaps with previous sample timestamp for metric {metric:?}"
        );
        let mut annotation = Self::warning(span, text);
        annotation.detail = Detail::Overlaps(1);
        annotation
    }

    /// Said by this part of the query once all of it is evaluated, though it
    /// points to what stands earlier in it.
    pub fn by(self, part: Span) -> Self {
        Self { by: Some(part), ..self }
    }

    /// The same, said so many bytes further on in the query.
    pub(crate) fn moved(self, by: i64) -> Self {
        let to = |at: u32| u32::try_from(i64::from(at).saturating_add(by)).unwrap_or(at);
        let span = |Span { start, end }| Span { start: to(start), end: to(end) };
        Self { span: span(self.span), by: self.by.map(span), ..self }
    }

    /// The parts of a query in the order in which Prometheus evaluates them:
    /// operands from left to right, then what they are operands of.
    fn turn(&self) -> (u32, Reverse<u32>) {
        let part = self.by.unwrap_or(self.span);
        (part.end, Reverse(part.start))
    }

    /// Warning or info.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// The text with what was gathered and `(line:col)`.
    pub fn render(&self, query: &str) -> String {
        let at = position(query, self.span);
        match &self.detail {
            Detail::None | Detail::Overlaps(0 | 1) => format!("{} ({at})", self.text),
            Detail::Overlaps(n) => format!("{} ({n} occurrences) ({at})", self.text),
            Detail::Monotonicity(m) => format!(
                "{}, from buckets {} to {}, with a max diff of {}, over {} samples from {} to {} ({at})",
                self.text,
                crate::number::general(m.min_bucket),
                crate::number::general(m.max_bucket),
                crate::number::general_digits(m.max_diff, 2),
                m.count,
                crate::number::rfc3339(m.min_time),
                crate::number::rfc3339(m.max_time),
            ),
        }
    }
}

/// `line:col` of a span's first byte; both count from 1, columns in bytes.
pub fn position(query: &str, span: Span) -> String {
    let Some(before) = query.as_bytes().get(..span.start as usize) else {
        return "invalid position".to_owned();
    };
    let line = 1 + before.iter().filter(|b| **b == b'\n').count();
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    format!("{line}:{}", before.len() - start + 1)
}

/// The annotations of one evaluation, each text once.
#[derive(Clone, Debug, Default)]
pub struct Annotations(BTreeMap<String, Annotation>);

impl Annotations {
    /// Adds one. Of two with the same text that stays which Prometheus says
    /// last, but the first position of those that gather details. In which
    /// order they are added here does not matter: parts of a query are
    /// evaluated at once.
    pub fn add(&mut self, annotation: Annotation) {
        let Some(before) = self.0.get_mut(&annotation.text) else {
            self.0.insert(annotation.text.clone(), annotation);
            return;
        };
        let later = annotation.turn() >= before.turn();
        let gathered = match (&mut before.detail, &annotation.detail) {
            (Detail::Monotonicity(b), Detail::Monotonicity(m)) => {
                b.merge(m);
                true
            }
            (Detail::Overlaps(b), Detail::Overlaps(n)) => {
                *b += n;
                true
            }
            _ => false,
        };
        if gathered && !later {
            (before.span, before.by) = (annotation.span, annotation.by);
        } else if !gathered && later {
            *before = annotation;
        }
    }

    /// Adds all of another evaluation.
    pub fn merge(&mut self, other: Self) {
        for annotation in other.0.into_values() {
            self.add(annotation);
        }
    }

    /// All of them, in order of text.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Annotation> {
        self.0.values()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The texts of one severity, rendered, in order of text.
    pub fn render(&self, query: &str, severity: Severity) -> Vec<String> {
        let of = self.0.values().filter(|a| a.severity == severity);
        of.map(|a| a.render(query)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_bytes_from_one() {
        let at = |q: &str, start| position(q, Span { start, end: start });
        assert_eq!(at("rate(x[5m])", 5), "1:6");
        assert_eq!(at("a +\n b", 5), "2:2");
        assert_eq!(at("a", 9), "invalid position");
    }

    #[test]
    fn of_one_text_the_part_evaluated_last_is_named() {
        // Operands stand before what they are operands of, left before right.
        let parts = [(5, 9), (3, 9), (12, 15), (12, 18), (1, 20)];
        let spans = parts.map(|(start, end)| Span { start, end });
        for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 4, 0, 3, 1]] {
            let mut all = Annotations::default();
            for i in order {
                all.add(Annotation::possible_non_counter("x", spans[i]));
                all.add(Annotation::start_time_overlap("x", spans[i]));
                // Points to its beginning, but is said at its end.
                let parameter = Span { start: spans[i].start, end: spans[i].start + 1 };
                all.add(Annotation::invalid_quantile(2.0, parameter).by(spans[i]));
            }
            let query = "x".repeat(20);
            let infos = all.render(&query, Severity::Info);
            assert!(infos.len() == 1 && infos[0].ends_with(": \"x\" (1:2)"), "{infos:?}");
            let warnings = all.render(&query, Severity::Warning);
            assert_eq!(warnings.len(), 2);
            assert!(warnings[0].ends_with("got 2 (1:2)"), "{warnings:?}");
            assert!(warnings[1].ends_with("\"x\" (5 occurrences) (1:6)"), "{warnings:?}");
        }
    }
}
