//! A tenant that writes a little all the time, and must not notice what
//! others do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::http::Response;
use crate::ledger::{Asked, Counter, Ledger};
use crate::report::report;
use crate::traffic::{TICK_MS, Traffic, time_ms};
use crate::varve::Varve;

/// The tenant's name.
pub const TENANT: &str = "calm";

/// What became of the writes of a calm tenant.
#[derive(Debug, Default)]
pub struct Writes {
    /// Those that were acknowledged.
    pub taken: usize,
    /// The answers that were no acknowledgement.
    pub refused: Vec<Response>,
    /// The longest time until an answer.
    pub slowest: Duration,
}

/// A calm tenant at work.
pub struct Calm {
    ledger: Arc<Ledger>,
    counter: Counter,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<(Writes, i64)>>,
    last: i64,
}

impl Calm {
    /// Begins to write every 50 ms; a write that is refused is sent again.
    pub fn start(varve: &Varve) -> Self {
        let counter = Counter::default();
        let ledger = Arc::new(Ledger::new(0, counter.clone()));
        let stop = Arc::new(AtomicBool::new(false));
        let (url, shared, stopped) = (varve.write_url(), Arc::clone(&ledger), Arc::clone(&stop));
        let thread = thread::spawn(move || write(&url, &shared, &stopped));
        Self { ledger, counter, stop, thread: Some(thread), last: 0 }
    }

    /// Stops writing; gives what became of it.
    pub fn stop(&mut self) -> Writes {
        self.stop.store(true, Ordering::SeqCst);
        let thread = self.thread.take().expect("is stopped once");
        let (writes, last) = thread.join().expect("the calm tenant writes");
        self.last = last;
        report(format!("calm: {} writes, the slowest took {:.2?}", writes.taken, writes.slowest));
        writes
    }

    /// Everything that was acknowledged must be there.
    pub fn complete(&self, varve: &Varve) {
        let client = Client::new(TENANT, Duration::from_secs(60));
        let seconds = (self.last + 1) * TICK_MS / 1000;
        let before = self.counter.now();
        let query = format!("kills[{seconds}s]");
        let data = client.query(&varve.url(""), &query, time_ms(self.last) / 1000);
        let data = data.unwrap_or_else(|a| panic!("calm: {} {}", a.status, a.body));
        let asked = Asked { before, after: self.counter.now() };
        let found = self.ledger.check_raw(&data, (-1, self.last), asked);
        let found = found.unwrap_or_else(|e| panic!("calm: {e}"));
        assert!(found > 0, "calm: no data");
    }
}

fn write(url: &str, ledger: &Ledger, stop: &AtomicBool) -> (Writes, i64) {
    let client = Client::new(TENANT, Duration::from_secs(30));
    let mut traffic = Traffic::new(0, 1);
    let mut writes = Writes::default();
    let mut tick = 0;
    while !stop.load(Ordering::SeqCst) {
        tick += 1;
        let batch = traffic.next(tick);
        ledger.sending(&batch.samples);
        while !stop.load(Ordering::SeqCst) {
            let begun = Instant::now();
            let answer = client.write(url, batch.content_type, batch.body.clone());
            writes.slowest = writes.slowest.max(begun.elapsed());
            if answer.status == 204 {
                ledger.acknowledged(&batch.samples);
                writes.taken += 1;
                break;
            }
            writes.refused.push(answer);
            thread::sleep(Duration::from_millis(100));
        }
        thread::sleep(Duration::from_millis(50));
    }
    (writes, tick)
}
