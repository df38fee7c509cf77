//! Random schedules of committers, readers and collections on one bucket,
//! against a model: nothing that is live, pinned or under way is ever deleted,
//! and nothing dead stays. And that the model would notice.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use common::world::{Bed, PROCESSES, SKEW_MS, Step, World, step};
use common::{HOUR_MS, MINUTE_MS};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

/// Schedules tried; an unoptimised build is a tenth as fast.
const SCHEDULES: u32 = if cfg!(debug_assertions) { 200 } else { 2000 };

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

/// A committer that sleeps before its marks until what they are about has been
/// deleted leaves a folder of marks, which goes as an orphan.
#[test]
fn marks_that_come_too_late_go_as_orphans() {
    use Step::{Build, Collect, Die, ExpireAsleep, MergeAsleep, Pass, Ship, Wake};
    for bed in [Bed::AfterManifest, Bed::AfterFloor] {
        for asleep in [ExpireAsleep(0, bed), MergeAsleep(0, bed)] {
            for ends in [Wake(0), Die(0)] {
                let mut steps = vec![Build(0), Ship(0), Build(1), Ship(1), asleep];
                steps.extend([Pass(2 * HOUR_MS), Collect(1)].repeat(5));
                steps.extend([ends, Collect(1), Pass(2 * HOUR_MS), Collect(1)]);
                run(SKEW_MS, &steps);
            }
        }
    }
}
