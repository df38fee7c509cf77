//! Random lives of a partition, held against the naive model.
//!
//! Appends in and out of order, repeated, conflicting, of all kinds; seals,
//! cuts, shipments, restarts, power cuts, also in the middle of a seal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use varve_log::{Crash, RealDisk};
use varve_model::{Labels, MatchOp, Matcher, TenantId, TimeRange};
use varve_runtime::{Clock, ManualClock};
use varve_wire::batch::{BatchSeries, SeriesId, WriteBatch};

use super::faulty::STEPS;
use super::harness::{Bench, HOUR, MINUTE, T0, decode, exemplar, open, push, tenant, value};
use super::model::{Model, ModelWrite};
use crate::{AppendLimits, AppendOutcome, Cut, HeadConfig, Partition};

/// One series of an append: which, by reference, samples, exemplars.
type Write = (u8, bool, Vec<(i16, u8, bool)>, Vec<(i16, u8)>);

#[derive(Clone, Debug)]
enum Step {
    Append {
        tenant: u8,
        out_of_order: u8,
        writes: Vec<Write>,
    },
    Seal,
    Cut(u8),
    Ship(u8),
    Wait(u16),
    Restart,
    PowerCut,
    /// A crash at a change of the disk while sealing.
    CrashInSeal(u8, bool),
    /// A step of a seal fails; the partition goes on.
    FailInSeal(u8),
}

/// `crashes` weighs seals that do not come to their end.
fn steps(count: std::ops::Range<usize>, crashes: u32) -> impl Strategy<Value = Vec<Step>> {
    let sample = (0i16..97, 0u8..8, any::<bool>());
    let write = (
        0u8..6,
        any::<bool>(),
        proptest::collection::vec(sample, 0..6),
        proptest::collection::vec((0i16..97, 0u8..3), 0..2),
    );
    let append = (0u8..2, 0u8..4, proptest::collection::vec(write, 1..4))
        .prop_map(|(tenant, out_of_order, writes)| Step::Append { tenant, out_of_order, writes });
    let step = prop_oneof![
        12 => append,
        2 => Just(Step::Seal),
        2 => any::<u8>().prop_map(Step::Cut),
        2 => any::<u8>().prop_map(Step::Ship),
        1 => (1u16..20).prop_map(Step::Wait),
        1 => Just(Step::Restart),
        1 => Just(Step::PowerCut),
        crashes => (1..=STEPS).prop_map(Step::FailInSeal),
        crashes => (1u8..40, any::<bool>()).prop_map(|(at, power)| Step::CrashInSeal(at, power)),
    ];
    proptest::collection::vec(step, count)
}

fn labels(n: u8) -> Labels {
    let job = ["", "a", "b"][usize::from(n % 3)];
    Labels::from_pairs([
        ("__name__", format!("s{}", n / 2)),
        ("job", job.to_owned()),
        ("n", n.to_string()),
    ])
    .unwrap()
}

fn time(slot: i16) -> i64 {
    T0 + i64::from(slot) * 5 * MINUTE
}

fn tenant_of(n: u8) -> TenantId {
    tenant(["one", "two"][usize::from(n % 2)])
}

/// The batch of a step, with the writes as the model takes them.
fn batch(model: &Model, id: &TenantId, writes: &[Write]) -> (WriteBatch, Vec<ModelWrite>) {
    let mut out = WriteBatch::new(id.clone());
    let mut told = Vec::new();
    for (n, by_reference, samples, exemplars) in writes {
        let labels = labels(*n);
        let reference = model.reference(id, &labels).filter(|_| *by_reference);
        let series = reference.map_or(SeriesId::New(labels.clone()), SeriesId::Known);
        let mut one = BatchSeries::new(series);
        // The model takes floats first at equal times, like the head.
        for (slot, kind, start) in samples {
            push(&mut one, time(*slot), &value(*kind), i64::from(*start) * (time(*slot) - 7));
        }
        let order = |v: &(i16, u8, bool)| (value(v.1), time(v.0), i64::from(v.2) * (time(v.0) - 7));
        let samples = samples.iter().map(order).map(|(v, t, s)| (t, v, s)).collect();
        one.exemplars =
            exemplars.iter().map(|(slot, id)| exemplar(time(*slot), &id.to_string())).collect();
        let exemplars = one.exemplars.clone();
        told.push(ModelWrite { labels, by_reference: reference.is_some(), samples, exemplars });
        out.series.push(one);
    }
    (out, told)
}

fn without_details(mut outcome: AppendOutcome) -> AppendOutcome {
    outcome.refusals.iter_mut().for_each(|r| r.detail.clear());
    outcome.refusals.sort_by_key(|r| (r.series, r.reason));
    outcome
}

const WINDOWS: [i64; 4] = [0, 30 * MINUTE, 2 * HOUR, 10 * HOUR];

/// Checks all reads every so many steps and at the end.
async fn run(steps: Vec<Step>, seed: u64, check_every: usize) {
    let mut bench = Bench::new(seed).await;
    let mut model = Model::default();
    let mut version = 0;
    for (i, step) in steps.into_iter().enumerate() {
        match &step {
            Step::Append { tenant, out_of_order, writes } => {
                append(&bench.partition, &mut model, *tenant, *out_of_order, writes).await;
            }
            Step::Seal => {
                bench.partition.seal().await.unwrap();
                seal(&mut model, &bench.clock);
            }
            Step::Cut(n) => cut(&bench.partition, &mut model, *n).await,
            Step::Ship(n) => {
                version += 1;
                ship(&bench.partition, &mut model, *n, version, bench.clock.now_ms()).await;
            }
            Step::Wait(minutes) => {
                bench.clock.advance(Duration::from_secs(60 * u64::from(*minutes)));
            }
            Step::Restart => bench = bench.crash(Crash::Process).await,
            Step::PowerCut => bench = bench.crash(Crash::Power).await,
            Step::FailInSeal(step) => {
                bench.fault.set(*step);
                // Not every seal takes every step.
                let _ = bench.partition.seal().await;
                bench.fault.set(0);
                seal(&mut model, &bench.clock);
            }
            Step::CrashInSeal(at, power) => {
                let before = bench.partition.stats().applied;
                let crash = if *power { Crash::Power } else { Crash::Process };
                bench.disk.crash_at(u64::from(*at), crash);
                // Whether it comes to its end depends on where the disk stops.
                let _ = bench.partition.seal().await;
                bench = bench.crash(crash).await;
                let after = bench.partition.stats().applied;
                assert!((before..=before + 1).contains(&after), "{before} {after}");
                if after > before {
                    seal(&mut model, &bench.clock);
                }
            }
        }
        if (i + 1) % check_every == 0 {
            check(&bench.partition, &model);
        }
    }
    check(&bench.partition, &model);
}

async fn append(
    partition: &Partition,
    model: &mut Model,
    who: u8,
    out_of_order: u8,
    writes: &[Write],
) {
    let id = tenant_of(who);
    let out_of_order = WINDOWS[usize::from(out_of_order)];
    let (batch, told) = batch(model, &id, writes);
    let limits = AppendLimits { max_series: 0, out_of_order_window_ms: out_of_order };
    let outcome = partition.append(batch.encode(), limits).await.unwrap();
    let expected = model.append(&id, out_of_order, &told);
    assert_eq!(without_details(outcome), without_details(expected));
}

fn seal(model: &mut Model, clock: &ManualClock) {
    let hold = i64::try_from(HeadConfig::default().hold.as_millis()).unwrap();
    model.seal(clock.now_ms(), hold);
}

async fn cut(partition: &Partition, model: &mut Model, n: u8) {
    let uncut = model.uncut();
    assert_eq!(partition.uncut().iter().map(|c| c.window_end).collect::<Vec<_>>(), uncut);
    let Some(window) = uncut.get(usize::from(n) % uncut.len().max(1)) else { return };
    let cut = partition.cut(*window, true).await.unwrap().unwrap();
    model.cut(*window, cut.number);
}

async fn ship(partition: &Partition, model: &mut Model, n: u8, version: u64, now: i64) {
    let open: Vec<Cut> = partition.unfinished_cuts();
    let Some(cut) = open.get(usize::from(n) % open.len().max(1)) else { return };
    let versions: BTreeMap<TenantId, u64> =
        partition.cut_tenants(cut).into_iter().map(|id| (id, version)).collect();
    partition.shipped(cut, versions).await.unwrap();
    let same =
        |c: &&mut super::model::ModelCut| c.window == cut.window_end && c.number == cut.number;
    model.cuts.iter_mut().find(same).unwrap().shipped = Some((now, version));
}

fn check(partition: &Partition, model: &Model) {
    let regex = |op, name, value| Matcher::new(op, name, value).unwrap();
    let matchers: [Vec<Matcher>; 5] = [
        vec![],
        vec![Matcher::equal("__name__", "s1")],
        vec![regex(MatchOp::Regex, "job", "|b"), regex(MatchOp::NotEqual, "n", "2")],
        vec![regex(MatchOp::NotRegex, "n", "[0-2]"), regex(MatchOp::Regex, "__name__", "s.*")],
        vec![Matcher::equal("job", "")],
    ];
    let ranges =
        [TimeRange::ALL, TimeRange::new(time(20), time(50)), TimeRange::new(time(24), time(25))];
    for id in model.tenants() {
        for (i, matchers) in matchers.iter().enumerate() {
            let range = ranges[i % ranges.len()];
            let takes = |l: &Labels| matchers.iter().all(|m| m.matches(l.get(m.name())));
            let expected = model.read(id, takes, range.start, range.end);
            let read = partition.select(id, matchers, range);
            assert_eq!(read.released_at, model.released_at(id));
            let mut found: BTreeMap<_, _> = read.map(|s| decode(&s.unwrap(), range)).collect();
            found.retain(|_, samples| !samples.is_empty());
            assert_eq!(found, expected, "{matchers:?} {range:?}");
            if range == TimeRange::ALL {
                let series = partition.series(id, matchers, range, 0).values;
                let mut names: Vec<String> = series.iter().map(Labels::to_string).collect();
                names.sort();
                assert_eq!(names, expected.keys().cloned().collect::<Vec<_>>());
            }
        }
        let found = partition.exemplars(id, &[Vec::new()], TimeRange::ALL).unwrap();
        let times = |s: &crate::SeriesExemplars| s.exemplars.iter().map(|e| e.timestamp).collect();
        let found: BTreeMap<String, Vec<i64>> =
            found.values.iter().map(|s| (s.labels.to_string(), times(s))).collect();
        assert_eq!(found, model.exemplars(id));
        for cut in model.cuts.iter().filter(|c| !c.released) {
            let wanted = Cut { window_end: cut.window, number: cut.number, term: 0, index: 0 };
            let read: Vec<_> =
                partition.cut_series(&wanted, id).unwrap().map(|s| s.unwrap()).collect();
            assert!(
                read.is_sorted_by(|a, b| varve_block::block_order(&a.labels, &b.labels).is_lt())
            );
            let found: BTreeMap<String, _> = read
                .into_iter()
                .map(|s| {
                    let series = varve_block::EncodedSeries::encode(
                        s.labels,
                        &s.floats,
                        &s.histograms,
                        0,
                        0,
                    );
                    decode(&series, TimeRange::ALL)
                })
                .collect();
            assert_eq!(found, model.cut_content(id, cut));
        }
    }
    let open: Vec<(i64, u64)> =
        partition.unfinished_cuts().iter().map(|c| (c.window_end, c.number)).collect();
    let mut expected: Vec<(i64, u64)> =
        model.cuts.iter().filter(|c| c.shipped.is_none()).map(|c| (c.window, c.number)).collect();
    expected.sort_unstable();
    assert_eq!(open, expected);
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 600, ..ProptestConfig::default() })]
    #[test]
    fn equals_the_model_whatever_happens(steps in steps(1..60, 1), seed: u64) {
        block_on(run(steps, seed, 1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 600, ..ProptestConfig::default() })]
    /// Crash upon crash, so that what one left meets the next.
    #[test]
    fn interrupted_seals_lose_nothing(steps in steps(20..60, 12), seed: u64) {
        block_on(run(steps, seed, 30));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 30, ..ProptestConfig::default() })]
    #[test]
    fn equals_the_model_on_a_real_disk(steps in steps(1..40, 1)) {
        block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().to_str().unwrap().to_owned();
            let clock = Arc::new(ManualClock::new(T0));
            let mut model = Model::default();
            let reopen = async || open(Arc::new(RealDisk), &root, Arc::clone(&clock)).await.unwrap();
            let mut partition = reopen().await;
            let mut version = 0;
            for step in &steps {
                match step {
                    Step::Append { tenant, out_of_order, writes } => {
                        append(&partition, &mut model, *tenant, *out_of_order, writes).await;
                    }
                    Step::Cut(n) => cut(&partition, &mut model, *n).await,
                    Step::Ship(n) => {
                        version += 1;
                        ship(&partition, &mut model, *n, version, clock.now_ms()).await;
                    }
                    Step::Wait(minutes) => clock.advance(Duration::from_secs(60 * u64::from(*minutes))),
                    Step::Seal => {
                        partition.seal().await.unwrap();
                        seal(&mut model, &clock);
                    }
                    Step::Restart | Step::PowerCut | Step::CrashInSeal(..) | Step::FailInSeal(_) => {
                        drop(partition);
                        partition = reopen().await;
                    }
                }
                check(&partition, &model);
            }
        });
    }
}

/// The same log applied twice tells the same and holds the same, wherever the
/// second one restarted and sealed files replaced memory.
#[test]
fn a_replay_tells_the_same() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..10 {
        let life = steps(30..50, 1).new_tree(&mut runner).unwrap().current();
        let with_restarts: Vec<Step> =
            life.iter().flat_map(|s| [s.clone(), Step::PowerCut]).collect();
        block_on(run(life, 1, 1));
        block_on(run(with_restarts, 2, 1));
    }
}
