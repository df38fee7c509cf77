//! Random series in, the same samples out, for random matchers and ranges.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{
    Input, SMALL, WINDOW, answer, floats, histogram, labels, matches, naive, reader, run, select,
    without_hints, write, write_as,
};
use futures::TryStreamExt;
use proptest::prelude::*;
use varve_block::{Layout, SeriesExemplars};
use varve_model::{
    Exemplar, FloatSamples, HistogramSamples, Labels, MatchOp, Matcher, TimeRange, WINDOW_MS,
    stale_nan,
};

const NAMES: [&str; 8] =
    ["__name__", "cluster", "job", "Job", "JOB", "http.code", "ünïcode", "instance"];
const VALUES: [&str; 7] = ["", "a", "b", "ab", "node-1", "x y\n\"", "ü"];

fn any_labels() -> impl Strategy<Value = Labels> {
    let pair = (0..NAMES.len(), 0..VALUES.len());
    proptest::collection::vec(pair, 0..6).prop_map(|pairs| {
        let pairs: BTreeMap<&str, &str> =
            pairs.into_iter().map(|(n, v)| (NAMES[n], VALUES[v])).collect();
        Labels::from_pairs(pairs).expect("unique names")
    })
}

/// Times of one of a few targets, so that vectors are shared, also in part.
fn times(target: u8, count: usize) -> Vec<i64> {
    let step = 3 * WINDOW_MS / 200;
    (0..count as i64).map(|i| 1 + i64::from(target) * 7 + i * step).collect()
}

prop_compose! {
    fn any_input()(
        labels in any_labels(),
        target in 0u8..3,
        count in 0usize..200,
        late in prop_oneof![Just(0usize), 0usize..60],
        values in proptest::collection::vec(prop_oneof![
            Just(0.0), Just(stale_nan()), Just(f64::NAN), Just(-0.0), any::<f64>(), Just(1e9),
        ], 200),
        starts in proptest::collection::vec(prop_oneof![4 => Just(0i64), 1 => 0i64..99], 200),
        kinds in proptest::collection::vec(prop_oneof![Just(0u8), Just(1u8)], 3),
        exemplars in proptest::collection::vec((1i64..3 * WINDOW_MS, any_labels()), 0..3),
    ) -> Input {
        let (mut floats, mut histograms) = (FloatSamples::default(), HistogramSamples::default());
        for (i, t) in times(target, count).into_iter().enumerate().skip(late) {
            match kinds[i % 3] {
                0 => floats.push(t, values[i], starts[i]),
                _ => histograms.push(t, histogram(i as u64), starts[i]),
            }
        }
        let exemplars = exemplars
            .into_iter()
            .map(|(timestamp, labels)| Exemplar { labels, value: 0.5, timestamp })
            .collect();
        Input { labels, floats, histograms, exemplars }
    }
}

fn any_matcher() -> impl Strategy<Value = Matcher> {
    let op = prop_oneof![
        Just(MatchOp::Equal),
        Just(MatchOp::NotEqual),
        Just(MatchOp::Regex),
        Just(MatchOp::NotRegex),
    ];
    let name = prop_oneof![8 => 0..NAMES.len(), 1 => Just(usize::MAX)];
    const PATTERNS: [&str; 10] =
        ["|a", "a.*", ".*", ".+", "(a|b)?", "a|b", "node-[0-9]", "", "a", "ü"];
    let value = proptest::sample::select(PATTERNS.as_slice());
    (op, name, value).prop_map(|(op, name, value)| {
        let name = NAMES.get(name).copied().unwrap_or("absent");
        Matcher::new(op, name, value).expect("valid pattern")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn answers_are_those_of_a_naive_filter(
        small in any::<bool>(),
        inputs in proptest::collection::vec(any_input(), 0..24),
        queries in proptest::collection::vec(
            (proptest::collection::vec(any_matcher(), 0..4), 0i64..100, 0i64..100), 1..8),
    ) {
        let mut unique: BTreeMap<Labels, Input> = BTreeMap::new();
        unique.extend(inputs.into_iter().map(|i| (i.labels.clone(), i)));
        let mut inputs: Vec<Input> = unique.into_values().collect();
        let dir = tempfile::tempdir().expect("dir");
        let layout = if small { SMALL } else { Layout::default() };
        let range = TimeRange::new(0, 3 * WINDOW_MS);
        let block = write_as(dir.path(), range, &mut inputs, layout);
        let kept: Vec<&Input> = inputs.iter().filter(|i| {
            !i.floats.is_empty() || !i.histograms.is_empty() || !i.exemplars.is_empty()
        }).collect();
        prop_assert_eq!(block.meta.counts.series as usize, kept.len());
        let reader = reader(&block, dir.path());
        for (matchers, from, len) in queries {
            let range = TimeRange::new(from * WINDOW_MS / 33, (from + len) * WINDOW_MS / 33);
            let found = answer(&reader, &matchers, range).expect("answer");
            let expected = naive(&inputs, &matchers, range);
            prop_assert_eq!(
                without_hints(found), without_hints(expected), "{:?}", matchers);
            for s in select(&reader, &matchers, range).expect("select") {
                prop_assert!(s.chunks.iter().all(|c| c.overlaps(&range)));
            }
            let expected: Vec<Labels> = kept.iter()
                .filter(|i| matches(&i.labels, &matchers)).map(|i| i.labels.clone()).collect();
            check_labels(&reader, &matchers, &expected);
            let estimate = run(reader.estimate(matchers.clone(), TimeRange::ALL)).expect("estimate");
            if block.meta.counts.samples > 0 {
                prop_assert_eq!(estimate.series as usize, expected.len(), "{:?}", matchers);
                let all = expected.len() == kept.len();
                prop_assert!(!all || estimate.samples == block.meta.counts.samples);
            }
            let found = run(reader.exemplars(vec![matchers.clone()], range)).expect("exemplars");
            prop_assert_eq!(found, naive_exemplars(&kept, &matchers, range));
        }
    }
}

fn naive_exemplars(
    inputs: &[&Input],
    matchers: &[Matcher],
    range: TimeRange,
) -> Vec<SeriesExemplars> {
    let of = |i: &&Input| {
        let mut exemplars = i.exemplars.clone();
        exemplars.sort_by_key(|e| e.timestamp);
        exemplars.retain(|e| range.contains(e.timestamp));
        SeriesExemplars { labels: i.labels.clone(), exemplars }
    };
    let wanted = inputs.iter().filter(|i| matches(&i.labels, matchers)).map(of);
    wanted.filter(|s| !s.exemplars.is_empty()).collect()
}

/// Label calls against the label sets that match, with and without a limit.
fn check_labels(reader: &varve_block::BlockReader, matchers: &[Matcher], expected: &[Labels]) {
    for limit in [0, 1, 3] {
        let first = |all: Vec<String>| -> Vec<String> {
            let mut all = all;
            all.sort();
            all.dedup();
            all.truncate(if limit == 0 { usize::MAX } else { limit });
            all
        };
        let series: Vec<Vec<Labels>> =
            run(reader.series(matchers.to_vec(), limit).try_collect()).expect("series");
        let series: Vec<Labels> = series.into_iter().flatten().collect();
        let count = if limit == 0 { expected.len() } else { limit.min(expected.len()) };
        assert_eq!(series, expected[..count], "{matchers:?}");
        let names = expected.iter().flatten().map(|(n, _)| n.to_owned()).collect();
        let found = run(reader.label_names(matchers.to_vec(), limit)).expect("names");
        assert_eq!(found, first(names), "{matchers:?}");
        for name in ["__name__", "Job", "ünïcode", "absent"] {
            let values = expected.iter().map(|l| l.get(name).to_owned());
            let values = values.filter(|v| !v.is_empty()).collect();
            let found = run(reader.label_values(name, matchers.to_vec(), limit)).expect("values");
            assert_eq!(found, first(values), "{name} {matchers:?}");
        }
    }
}

#[test]
fn five_thousand_label_names_and_a_hundred_thousand_values() {
    let mut inputs = Vec::new();
    for i in 0..5_000 {
        let (name, value) = (format!("name_{i}"), format!("value {i}"));
        inputs.push(floats(labels(&[("__name__", "wide"), (&name, &value)]), &[1], |_| 1.0));
    }
    for i in 0..100_000 {
        let pod = format!("pod-{i:06}");
        let labels = labels(&[("__name__", "deep"), ("job", "kubelet"), ("pod", &pod)]);
        inputs.push(floats(labels, &[5, 9], |t| (t * i) as f64));
    }
    let dir = tempfile::tempdir().expect("dir");
    let block = write(dir.path(), WINDOW, &mut inputs);
    let size = block.meta.files["series.parquet"].size;
    assert!(size < 1 << 20, "series.parquet has {size} bytes");
    let footer = block.meta.files["series.parquet"].footer_len;
    assert!(footer < 100 << 10, "its footer has {footer} bytes");
    let reader = reader(&block, dir.path());
    let check = |matchers: &[Matcher], count: usize| {
        let found = answer(&reader, matchers, WINDOW).expect("answer");
        assert_eq!(found.len(), count, "{matchers:?}");
        assert_eq!(found, naive(&inputs, matchers, WINDOW), "{matchers:?}");
    };
    let not = |name, value| Matcher::new(MatchOp::NotEqual, name, value).expect("literal");
    let regex = |name, value| Matcher::new(MatchOp::Regex, name, value).expect("regex");
    check(&[Matcher::equal("name_4321", "value 4321")], 1);
    check(&[Matcher::equal("__name__", "wide"), not("name_77", "")], 1);
    check(&[Matcher::equal("__name__", "wide"), Matcher::equal("pod", "")], 5_000);
    check(&[Matcher::equal("pod", "pod-099999")], 1);
    check(&[regex("pod", "pod-.*99"), Matcher::equal("__name__", "deep")], 1_000);
    check(&[regex("pod", "pod-.*99"), Matcher::equal("__name__", "none")], 0);
    check(&[not("job", "kubelet"), not("name_12", "value 12")], 4_999);
    let names = run(reader.label_names(Vec::new(), 0)).expect("names");
    assert_eq!(names.len(), 5_003);
    let pods = run(reader.label_values("pod", Vec::new(), 0)).expect("values");
    assert_eq!((pods.len(), pods[99_999].as_str()), (100_000, "pod-099999"));
}

#[test]
fn equal_times_are_stored_once() {
    let times: Vec<i64> = (1..400).map(|i| i * 15_000 + i * i % 7).collect();
    let mut inputs: Vec<Input> =
        (0..500).map(|i| floats(labels(&[("i", &i.to_string())]), &times, |_| 1.0)).collect();
    let dir = tempfile::tempdir().expect("dir");
    let block = write(dir.path(), WINDOW, &mut inputs);
    let size = block.entry.size();
    assert!(size < 16 << 10, "500 constant series of one target have {size} bytes");
    let found = answer(&reader(&block, dir.path()), &[], WINDOW).expect("answer");
    assert_eq!(found, naive(&inputs, &[], WINDOW));
    let shared = select(&reader(&block, dir.path()), &[], WINDOW).expect("select");
    let first = shared[0].chunks[0].times.as_ptr();
    assert!(shared.iter().all(|s| s.chunks[0].times.as_ptr() == first));
}

#[test]
fn ends_and_beginnings_of_shared_times_are_not_stored() {
    let times: Vec<i64> = (1..400).map(|i| i * 15_000 + i * i * 37 % 7_000).collect();
    let mut inputs: Vec<Input> = (0..300)
        .map(|i| {
            let part = match i % 3 {
                0 => &times[..],
                1 => &times[i..],
                _ => &times[..times.len() - i],
            };
            let mut input = floats(labels(&[("i", &i.to_string())]), part, |_| 1.0);
            if i % 5 == 0 {
                input.floats.starts = part.iter().map(|t| t / 60_000 * 60_000).collect();
            }
            if i % 30 == 7 {
                part.iter().for_each(|t| input.histograms.push(*t, histogram(*t as u64), 0));
                input.floats = FloatSamples::default();
            }
            input
        })
        .collect();
    let dir = tempfile::tempdir().expect("dir");
    let block = write(dir.path(), WINDOW, &mut inputs);
    let size = block.entry.size();
    assert!(size < 40 << 10, "300 series of one target have {size} bytes");
    let reader = reader(&block, dir.path());
    for range in [WINDOW, TimeRange::new(times[120], times[121]), TimeRange::new(0, times[20])] {
        let found = answer(&reader, &[], range).expect("answer");
        assert_eq!(without_hints(found), without_hints(naive(&inputs, &[], range)), "{range:?}");
    }
    let shared = select(&reader, &[], WINDOW).expect("select");
    let first = shared[0].chunks[0].times.as_ptr();
    assert!(shared.iter().all(|s| s.chunks[0].times.as_ptr() == first));
}

#[test]
fn metadata_comes_back() {
    let dir = tempfile::tempdir().expect("dir");
    let mut inputs = [floats(labels(&[("__name__", "up")]), &[1], |_| 1.0)];
    let block = write(dir.path(), WINDOW, &mut inputs);
    let metadata = run(reader(&block, dir.path()).metadata()).expect("metadata");
    assert_eq!(metadata.len(), 1);
    assert_eq!((metadata[0].0.as_str(), &*metadata[0].1.help), ("up", "Is it up"));
    let files = Arc::new(varve_block::LocalFiles::new(dir.path()));
    let bytes = run(varve_block::verify(&block.meta, &*files)).expect("verify");
    assert_eq!(bytes, block.entry.size());
}
