//! Lives of an ingester on a disk that crashes, its local bucket included.
//!
//! Writers, seals, cuts, shipments with their catalog commits, collections and
//! restarts, all of them the ingester's own, over one [`varve_log::SimDisk`]
//! that stops in the middle of any change. After every crash what was
//! acknowledged must be in the heads or in the blocks of the newest version,
//! with its value, and nothing else; and no start may refuse.
//!
//! * `VARVE_SIM_CRASHES`: how many crashes
//! * `VARVE_SIM_SEED`: the one seed to run. With `VARVE_SIM_CRASHES`, the first
//!   one. Equal seeds give equal runs, whatever the machine does
//! * `VARVE_SIM_TRACE`: tells what happens
#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]
#![allow(clippy::print_stdout, reason = "what a run saw is worth reading")]

mod life;
mod model;
mod read;
mod replay;
mod syncs;
mod world;

use std::time::Instant;

use world::{LIVES, World};

/// A third of the time goes by in the allocator of the C library.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[expect(clippy::disallowed_methods, reason = "how a run is repeated, or made longer")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Crashes after which a long run says how far it is.
const TELL_EVERY: u64 = 50_000;

#[test]
fn crashes_lose_nothing_that_was_acknowledged() {
    let (seed, crashes) = (setting("VARVE_SIM_SEED"), setting("VARVE_SIM_CRASHES"));
    let first = seed.unwrap_or(0);
    let count = match (seed, crashes) {
        (Some(_), None) => 1,
        (_, crashes) => crashes.unwrap_or(10_000).div_ceil(LIVES),
    };
    let began = Instant::now();
    let mut told = Vec::new();
    for seed in first..first + count {
        let mut world = World::new(seed);
        if let Err(error) = world.run() {
            panic!("VARVE_SIM_SEED={seed}: {error}");
        }
        world.told.add_to(&mut told);
        let (done, seconds) = ((seed - first + 1) * LIVES, began.elapsed().as_secs_f64());
        if done.is_multiple_of(TELL_EVERY) || done == count * LIVES {
            let rate = done as f64 / seconds;
            println!("seeds {first} to {seed}: {done} crashes in {seconds:.1} s, {rate:.0}/s");
        }
    }
    println!("{told:?}");
}
