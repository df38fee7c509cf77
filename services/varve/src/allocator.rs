//! The process' allocator, and what makes it give memory back.
//!
//! mimalloc frees as it allocates: a thread looks for pages of its own that
//! others have emptied, and hands pages that were free for a second back to
//! the system, when it needs memory next. After a burst of queries nobody does,
//! and hundreds of MiB stay resident. So each worker has a look before it goes
//! to sleep, once a second, and an idle thread of blocking work ends.
//!
//! Nothing of that is forced: what was freed a moment ago is kept for whoever
//! asks next, and a thread with work to do is not held up.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};

/// Many small buffers come and go by the second: the system's allocator spends
/// a third of a write on them and keeps the holes (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often a thread has a look; a page that is kept for its next user is
/// given up after 4 (large) to 16 looks.
const ROUND: Duration = Duration::from_secs(1);
/// How long a thread of blocking work waits for the next piece. (Ten seconds
/// are tokio's default; starting a thread takes some 50 µs.)
const IDLE: Duration = Duration::from_secs(2);

/// The round that it is.
static NOW: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The round in which this thread had its last look.
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// The allocator asks for huge pages, each of which counts whole as soon as a
/// byte of it is used: a quarter of the memory after a seal was such holes.
/// An old kernel that refuses keeps them.
pub(crate) fn take_small_pages() {
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_thp_disable(true);
}

/// A runtime whose threads look after their memory; it needs [`rounds`].
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all().thread_keep_alive(IDLE).on_thread_park(look).build()
}

/// Begins the rounds, and wakes the workers so that each goes to sleep anew.
pub(crate) async fn rounds() {
    let workers = Handle::current().metrics().num_workers();
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        NOW.fetch_add(1, Ordering::Relaxed);
        // One that finds others asleep wakes one of them, and so on.
        (0..2 * workers).for_each(|_| drop(tokio::spawn(async { look() })));
    }
}

/// Frees what this thread has empty, and what any thread freed a second ago.
fn look() {
    let now = NOW.load(Ordering::Relaxed);
    if LAST.replace(now) != now {
        collect();
    }
}

#[expect(unsafe_code, reason = "the allocator's crate does not offer the call")]
fn collect() {
    unsafe extern "C" {
        /// `force` would also free what is most likely needed again.
        safe fn mi_collect(force: bool);
    }
    mi_collect(false);
}
