//! Every sync is needed: with all syncs of one place taken out, some seed
//! finds that something is lost.
//!
//! The places are those of the table in docs/decisions/0008; the log's own
//! are under test in `crates/log` too, where lives are shorter.

use varve_log::Unsynced;

use crate::world::{OPENING, Phase, RUNNING, World};

/// Holds that some seed below `within` finds it.
fn check(within: u64, place: fn(&Unsynced<'_>, &Phase) -> bool) {
    for seed in 0..within {
        let mut world = World::new(seed);
        let phase = world.phase.clone();
        world.disk.ignore_syncs(move |sync| place(sync, &phase));
        if let Err(found) = world.run() {
            println!("seed {seed} finds: {found}");
            return;
        }
    }
    panic!("no seed below {within} finds that this sync is missing");
}

fn ends(sync: &Unsynced<'_>, end: &str) -> bool {
    sync.path.to_string_lossy().ends_with(end)
}

fn is_log(sync: &Unsynced<'_>) -> bool {
    sync.is_dir && sync.path.ends_with("log")
}

/// The folder of a partition's seals.
fn is_seals(sync: &Unsynced<'_>) -> bool {
    sync.is_dir && sync.path.parent().is_some_and(|parent| parent.ends_with("partitions"))
}

fn is_bucket(sync: &Unsynced<'_>) -> bool {
    sync.path.starts_with("/bucket")
}

fn last_name<'a>(sync: &'a Unsynced<'_>) -> &'a str {
    sync.last_name.and_then(|name| name.to_str()).unwrap_or_default()
}

/// Whether the last name that changed in a folder is an object's.
fn is_object(name: &str) -> bool {
    name.contains('.') || (!name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()))
}

#[test]
fn of_a_batch_in_the_log() {
    check(50, |sync, phase| {
        ends(sync, ".segment") && phase.is(RUNNING) && sync.last_offset > Some(0)
    });
}

#[test]
fn of_a_segments_header() {
    check(2000, |sync, phase| {
        ends(sync, ".segment") && phase.is(RUNNING) && sync.last_offset == Some(0)
    });
}

#[test]
fn of_a_segments_name() {
    check(50, |sync, phase| is_log(sync) && phase.is(RUNNING));
}

#[test]
fn of_a_recovered_batch() {
    check(500, |sync, phase| ends(sync, ".segment") && phase.is(OPENING));
}

#[test]
fn of_recovered_segment_names() {
    check(500, |sync, phase| is_log(sync) && phase.is(OPENING));
}

#[test]
fn of_a_seals_samples() {
    check(100, |sync, _| ends(sync, ".chunks"));
}

#[test]
fn of_a_seals_series() {
    check(100, |sync, _| ends(sync, ".series"));
}

#[test]
fn of_a_seals_manifest() {
    check(100, |sync, _| ends(sync, "manifest.tmp"));
}

#[test]
fn of_a_seals_names_before_its_manifest() {
    check(500, |sync, phase| is_seals(sync) && phase.is(RUNNING) && last_name(sync) != "manifest");
}

#[test]
fn of_a_manifests_name() {
    check(100, |sync, phase| is_seals(sync) && phase.is(RUNNING) && last_name(sync) == "manifest");
}

#[test]
fn of_folders() {
    check(50, |sync, _| sync.is_dir && !is_log(sync) && !is_seals(sync) && !is_bucket(sync));
}

#[test]
fn of_an_objects_bytes() {
    check(100, |sync, _| !sync.is_dir && is_bucket(sync));
}

#[test]
fn of_an_objects_name() {
    check(100, |sync, phase| {
        sync.is_dir && is_bucket(sync) && phase.is(RUNNING) && is_object(last_name(sync))
    });
}

#[test]
fn of_the_names_of_a_buckets_folders() {
    check(200, |sync, phase| {
        sync.is_dir && is_bucket(sync) && phase.is(RUNNING) && !is_object(last_name(sync))
    });
}

#[test]
fn of_an_object_that_a_process_left() {
    check(2000, |sync, phase| sync.is_dir && is_bucket(sync) && phase.is(OPENING));
}
