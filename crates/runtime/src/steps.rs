//! Simulations whose runs are the same each time: one stream of randomness,
//! and at any moment one thread that works.
//!
//! Tasks run on one thread in an order that only depends on themselves; what
//! comes in at its own time is blocking work on other threads. So the thread
//! that asks for such work stands still until it is done, or until it has
//! stopped of its own accord at a moment that the simulation chose. When it
//! begins, and when its end is seen, follows from the seed too.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, yield_now};

/// The most turns that others get before blocking work, and after it.
const MOST_TURNS: u32 = 3;

thread_local! {
    static STEPS: RefCell<Option<Steps>> = const { RefCell::new(None) };
}

/// The order of a simulation's threads. Clones are the same one.
#[derive(Clone)]
pub struct Steps(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    resumed: Notify,
}

struct State {
    random: StdRng,
    /// Whether blocking work runs; the asking thread waits meanwhile.
    working: bool,
    /// Whether it is done on other threads.
    threads: bool,
    /// Whether some has stopped in the middle.
    paused: bool,
}

impl Steps {
    /// Randomness that follows from `seed`.
    pub fn new(seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        let state = State { random, working: false, threads: false, paused: false };
        let (changed, resumed) = (Condvar::new(), Notify::new());
        Self(Arc::new(Shared { state: Mutex::new(state), changed, resumed }))
    }

    /// Makes this thread one of the simulation's: the one that runs tasks, or
    /// one for blocking work.
    pub fn enter(&self) {
        STEPS.set(Some(self.clone()));
    }

    pub(crate) fn of_this_thread() -> Option<Self> {
        STEPS.with_borrow(Clone::clone)
    }

    /// Says whether blocking work is done on threads of its own, so that it
    /// can pause. Else the thread of the tasks does it, which is quicker.
    pub fn use_threads(&self, threads: bool) {
        self.0.state.lock().threads = threads;
    }

    /// Stops the blocking work that this thread does, and lets the tasks go on
    /// until [`Steps::resume`]. One at a time.
    pub fn pause(&self) {
        let mut state = self.0.state.lock();
        state.working = false;
        state.paused = true;
        self.0.changed.notify_all();
        self.0.changed.wait_while(&mut state, |state| state.paused);
    }

    /// Lets what has paused go on, and returns when it is done.
    pub fn resume(&self) {
        let mut state = self.0.state.lock();
        state.paused = false;
        state.working = true;
        self.0.changed.notify_all();
        self.0.changed.wait_while(&mut state, |state| state.working);
        self.0.resumed.notify_waiters();
    }

    pub(crate) fn spawn_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let steps = self.clone();
        tokio::spawn(async move {
            steps.let_others().await;
            // It may need what the work has that has stopped in the middle.
            while steps.0.state.lock().paused {
                steps.0.resumed.notified().await;
            }
            let done = steps.run(work).await;
            steps.let_others().await;
            match done {
                Ok(Ok(done)) => done,
                Ok(Err(panic)) => resume_unwind(panic),
                // The runtime ends, and this task with it.
                Err(_) => std::future::pending().await,
            }
        })
    }

    /// Does the work, or waits here until another thread has, or has paused.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> oneshot::Receiver<std::thread::Result<T>> {
        let (done, result) = oneshot::channel();
        // Who asked may have gone away.
        let work = move || drop(done.send(catch_unwind(AssertUnwindSafe(work))));
        let threads = {
            let mut state = self.0.state.lock();
            state.working = state.threads;
            state.threads
        };
        if !threads {
            work();
            return result;
        }
        let turn = Turn(self.clone());
        // That thread is ready for more a moment after the turn, at its own
        // time, so nobody waits for that.
        drop(tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work();
        }));
        let mut state = self.0.state.lock();
        self.0.changed.wait_while(&mut state, |state| state.working);
        result
    }

    /// Lets other tasks run, as many turns as the seed says.
    async fn let_others(&self) {
        let turns = self.0.state.lock().random.next_u32() % (MOST_TURNS + 1);
        for _ in 0..turns {
            yield_now().await;
        }
    }
}

/// Blocking work has its turn until this is dropped, be it that it never runs.
struct Turn(Steps);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.0.state.lock().working = false;
        self.0.0.changed.notify_all();
    }
}

/// Fills bytes if this thread is a simulation's.
pub(crate) fn fill(bytes: &mut [u8]) -> bool {
    STEPS.with_borrow(|steps| match steps {
        Some(steps) => {
            steps.0.state.lock().random.fill_bytes(bytes);
            true
        }
        None => false,
    })
}
