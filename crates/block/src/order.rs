//! The order of series in a block: by metric name first, so that a query for
//! one metric reads neighbouring pages, then by what people select on.

use std::cmp::Ordering;

use varve_model::{Labels, METRIC_NAME};

/// The labels that come before all others in block order.
pub const SORT_LABELS: [&str; 4] = [METRIC_NAME, "cluster", "namespace", "job"];

/// Orders by metric name, cluster, namespace, job (absent = empty, first),
/// then by all labels. Equal only for equal label sets.
pub fn block_order(a: &Labels, b: &Labels) -> Ordering {
    SORT_LABELS
        .iter()
        .map(|name| a.get(name).cmp(b.get(name)))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_then_sort_labels_then_the_rest() {
        let of = |pairs: &[(&str, &str)]| {
            Labels::from_pairs(pairs.iter().copied()).expect("valid labels")
        };
        let sorted = [
            of(&[("a", "9")]),
            of(&[("__name__", "a"), ("zone", "1")]),
            of(&[("__name__", "a"), ("job", "x")]),
            of(&[("__name__", "a"), ("job", "x"), ("zone", "0")]),
            of(&[("__name__", "a"), ("a", "1"), ("job", "y")]),
            of(&[("__name__", "a"), ("a", "0"), ("cluster", "c"), ("job", "a")]),
            of(&[("__name__", "b")]),
        ];
        for pair in sorted.windows(2) {
            assert_eq!(block_order(&pair[0], &pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(block_order(&pair[1], &pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(block_order(&sorted[3], &sorted[3].clone()), Ordering::Equal);
    }
}
