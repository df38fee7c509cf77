//! Equal seeds give equal runs: what is done, what is seen, and every byte
//! and sync on the way.

use std::cell::RefCell;

use crate::world::World;

/// All that a run did and saw; each life ends with the disk's history.
fn run(seed: u64) -> Vec<String> {
    let mut world = World::new(seed);
    world.notes = Some(RefCell::default());
    if let Err(error) = world.run() {
        panic!("VARVE_SIM_SEED={seed}: {error}");
    }
    world.notes.unwrap_or_default().into_inner()
}

#[test]
fn equal_seeds_give_equal_runs() {
    let seeds = crate::setting("VARVE_SIM_SEED").map_or(0..40, |seed| seed..seed + 1);
    for seed in seeds {
        let (first, again) = (run(seed), run(seed));
        let equal = first.iter().zip(&again).take_while(|(a, b)| a == b).count();
        assert!(
            equal == first.len() && equal == again.len(),
            "VARVE_SIM_SEED={seed}: {equal} equal lines, then {:?} and {:?}",
            first.get(equal),
            again.get(equal),
        );
        assert!(first.len() > 20, "VARVE_SIM_SEED={seed}: {} lines", first.len());
    }
}
