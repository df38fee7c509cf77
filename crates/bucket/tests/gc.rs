//! Random schedules of committers, readers and collections on one bucket,
//! against a model: nothing that is live, pinned or under way is ever deleted,
//! and nothing dead stays. And that the model would notice.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use common::world::{Bed, Nap, PROCESSES, SKEW_MS, Step, World};
use common::{HOUR_MS, MINUTE_MS};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

/// Schedules tried; an unoptimised build is a tenth as fast.
const SCHEDULES: u32 = if cfg!(debug_assertions) { 200 } else { 2000 };

fn step() -> impl Strategy<Value = Step> {
    let by = 0..PROCESSES;
    let bed = prop::sample::select(vec![Bed::BeforeManifest, Bed::AfterManifest, Bed::AfterFloor]);
    let nap = prop::sample::select(vec![Nap::BeforeRaise, Nap::BeforeManifests, Nap::BeforeBlocks]);
    let which = 0..4usize;
    prop_oneof![
        6 => by.clone().prop_map(Step::Build),
        8 => by.clone().prop_map(Step::Ship),
        2 => (by.clone(), bed.clone()).prop_map(|(by, bed)| Step::ShipAsleep(by, bed)),
        4 => by.clone().prop_map(Step::Merge),
        2 => (by.clone(), bed.clone()).prop_map(|(by, bed)| Step::MergeAsleep(by, bed)),
        2 => by.clone().prop_map(Step::Expire),
        1 => (by.clone(), bed).prop_map(|(by, bed)| Step::ExpireAsleep(by, bed)),
        4 => which.clone().prop_map(Step::Wake),
        2 => which.clone().prop_map(Step::Doze),
        1 => which.clone().prop_map(Step::Die),
        4 => by.clone().prop_map(Step::Pin),
        6 => by.clone().prop_map(Step::Collect),
        2 => (by, nap).prop_map(|(by, nap)| Step::CollectAsleep(by, nap)),
        2 => which.clone().prop_map(Step::WakeCollector),
        1 => which.prop_map(Step::CollectorDies),
        6 => (1..30i64).prop_map(|m| Step::Pass(m * MINUTE_MS)),
        5 => (1..13i64).prop_map(|h| Step::Pass(h * HOUR_MS)),
        1 => Just(Step::Pass(19 * HOUR_MS)),
        1 => Just(Step::Pass(25 * HOUR_MS)),
    ]
}

fn run(skew_ms: [i64; PROCESSES], steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(skew_ms);
        for step in steps {
            world.run(*step).await;
            world.check().await;
        }
        world.finish().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(SCHEDULES))]
    #[test]
    fn what_is_needed_stays_and_what_is_not_goes(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        run(SKEW_MS, &steps);
    }
}

/// Clocks that differ by more than is promised break what rests on them, and
/// the model sees it. How many schedules that takes is not the point: a fixed
/// seed, and a bound.
#[test]
fn clocks_beyond_the_bound_are_found_out() {
    let config = Config { max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(
        Config { cases: 2000, ..config },
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let skew_ms = [-3 * HOUR_MS, 0, 3 * HOUR_MS];
    let found = runner.run(&prop::collection::vec(step(), 1..60), |steps| {
        run(skew_ms, &steps);
        Ok(())
    });
    assert!(matches!(found, Err(TestError::Fail(..))), "no loss was found: {found:?}");
}

/// A manifest must not land when what it names has been collected as orphans:
/// its committer may never wake again to mend it.
#[test]
fn nothing_lands_whose_files_are_gone() {
    use Step::{Build, Collect, Die, Doze, ExpireAsleep, Pass, Ship, ShipAsleep};
    let bed = Bed::BeforeManifest;
    for asleep in [ShipAsleep(0, bed), ExpireAsleep(0, bed)] {
        let steps = [Build(0), Ship(0), Build(0), asleep, Pass(25 * HOUR_MS)];
        run([0; 3], &[&steps[..], &[Collect(1), Doze(0), Collect(1), Die(0)]].concat());
    }
}

/// The two accidents that a collection must not turn into a loss.
#[test]
fn sleepers_are_woken_after_collections() {
    use Step::{Build, Collect, MergeAsleep, Pass, Ship, ShipAsleep, Wake};
    run(
        SKEW_MS,
        &[
            Build(0),
            Ship(0),
            Build(1),
            Ship(1),
            Build(2),
            ShipAsleep(0, Bed::BeforeManifest),
            MergeAsleep(1, Bed::BeforeManifest),
            Build(0),
            Ship(0),
            Pass(2 * HOUR_MS),
            Build(0),
            Ship(0),
            Collect(0),
            Pass(2 * HOUR_MS),
            Collect(1),
            Wake(0),
            Wake(0),
            Collect(0),
        ],
    );
}

/// A manifest that says that it is hours old although it was created now must
/// not let the version before it go at once.
#[test]
fn what_a_late_manifest_replaces_stays_for_its_readers() {
    use Step::{Build, Collect, MergeAsleep, Pass, Pin, Ship, Wake};
    let asleep = MergeAsleep(1, Bed::BeforeManifest);
    let steps = [Build(1), Ship(1), Build(1), Ship(1), asleep, Pass(3 * HOUR_MS), Pin(1), Wake(0)];
    run([0; 3], &[&steps[..], &[Collect(1)]].concat());
}

/// A commit that lands after so long that its block may be taken for an orphan,
/// by one who then sleeps again while what it replaced is collected.
#[test]
fn a_late_merge_stays_whole() {
    use Step::{Build, Collect, Doze, MergeAsleep, Pass, Ship, Wake};
    for dozes in 1..=3 {
        let asleep = MergeAsleep(1, Bed::BeforeManifest);
        let mut steps = vec![Build(1), Ship(1), Build(1), Ship(1), asleep, Pass(19 * HOUR_MS)];
        steps.extend(vec![Doze(0); dozes]);
        for _ in 0..3 {
            steps.extend([Build(1), Ship(1), Pass(90 * MINUTE_MS), Collect(1)]);
        }
        steps.extend([Wake(0), Collect(1)]);
        run([0; 3], &steps);
    }
}
