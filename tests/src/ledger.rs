//! What was sent and what was acknowledged, and whether an answer agrees.
//!
//! Every event gets a number from one counter. What was acknowledged before a
//! query was sent must be in its answer; what had not been sent when the
//! answer was there must not; between the two either is right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::traffic::{Sample, T0, TICK_MS, labels, shown};

/// How far an instant selector looks back, in ticks (five minutes).
const LOOKBACK: i64 = 300_000 / TICK_MS;

/// Numbers the events of all writers and readers.
#[derive(Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// The number of an event that happens now.
    pub fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

struct Fate {
    sent: u64,
    acknowledged: Option<u64>,
}

/// The samples of one writer.
pub struct Ledger {
    writer: u32,
    counter: Counter,
    samples: Mutex<BTreeMap<Sample, Fate>>,
}

/// The time around a query.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Before the query was sent.
    pub before: u64,
    /// After its answer was there.
    pub after: u64,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Samples that were acknowledged.
    pub acknowledged: usize,
    /// Samples that were sent and never acknowledged.
    pub open: usize,
    /// Series.
    pub series: usize,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(writer: u32, counter: Counter) -> Self {
        Self { writer, counter, samples: Mutex::default() }
    }

    /// These are about to be sent, perhaps again.
    pub fn sending(&self, samples: &[Sample]) {
        let mut all = self.lock();
        for sample in samples {
            let sent = self.counter.now();
            all.entry(*sample).or_insert(Fate { sent, acknowledged: None });
        }
    }

    /// These were acknowledged.
    pub fn acknowledged(&self, samples: &[Sample]) {
        let mut all = self.lock();
        for sample in samples {
            let now = self.counter.now();
            let fate = all.get_mut(sample).expect("was sent");
            fate.acknowledged.get_or_insert(now);
        }
    }

    /// What there is by now.
    pub fn totals(&self) -> Totals {
        let all = self.lock();
        let acknowledged = all.values().filter(|f| f.acknowledged.is_some()).count();
        let series = all.keys().map(|(id, _)| id).collect::<BTreeSet<_>>().len();
        Totals { acknowledged, open: all.len() - acknowledged, series }
    }

    /// Checks the raw samples at ticks in `(from, to]`; gives their number.
    ///
    /// # Errors
    /// Says what is lost, wrong or invented.
    pub fn check_raw(
        &self,
        data: &Value,
        (from, to): (i64, i64),
        asked: Asked,
    ) -> Result<usize, String> {
        let mut found = self.points(data)?;
        let count = found.len();
        for (&(id, tick), fate) in &*self.lock() {
            if tick <= from || tick > to {
                continue;
            }
            let Some(expected) = shown(self.writer, (id, tick)) else { continue };
            match found.remove(&(id, tick)) {
                Some(value) if value != expected => {
                    return Err(format!("series {id} tick {tick}: {value} in place of {expected}"));
                }
                Some(_) if fate.sent > asked.after => {
                    return Err(format!("series {id} tick {tick}: there before it was sent"));
                }
                None if fate.acknowledged.is_some_and(|a| a < asked.before) => {
                    return Err(format!("series {id} tick {tick}: lost, of {count} in the answer"));
                }
                _ => {}
            }
        }
        match found.into_iter().next() {
            Some(((id, tick), value)) => {
                Err(format!("series {id} tick {tick}: {value}, which was never sent"))
            }
            None => Ok(count),
        }
    }

    /// Checks the instant selector at every tick of `[from, to]`.
    ///
    /// # Errors
    /// Says which step is wrong.
    pub fn check_steps(
        &self,
        data: &Value,
        (from, to): (i64, i64),
        asked: Asked,
    ) -> Result<usize, String> {
        let mut found = self.points(data)?;
        let count = found.len();
        let all = self.lock();
        let mut lives: BTreeMap<u32, (i64, i64)> = BTreeMap::new();
        for (id, tick) in all.keys() {
            lives.entry(*id).or_insert((*tick, *tick)).1 = *tick;
        }
        for (id, (first, last)) in lives {
            for tick in from.max(first)..=to.min(last + LOOKBACK) {
                let got = found.remove(&(id, tick));
                let mut allowed = Vec::new();
                let mut absent = true;
                for ((_, at), fate) in all.range((id, tick - LOOKBACK + 1)..=(id, tick)).rev() {
                    if fate.sent < asked.after {
                        allowed.push(shown(self.writer, (id, *at)));
                    }
                    if fate.acknowledged.is_some_and(|a| a < asked.before) {
                        absent = false;
                        break;
                    }
                }
                if !(allowed.contains(&got) || got.is_none() && absent) {
                    return Err(format!("series {id} step {tick}: {got:?}, allowed: {allowed:?}"));
                }
            }
        }
        match found.into_iter().next() {
            Some(((id, tick), value)) => Err(format!("series {id} step {tick}: invented {value}")),
            None => Ok(count),
        }
    }

    /// Checks a number of samples at ticks in `(from, to]`, stale markers not
    /// counted.
    ///
    /// # Errors
    /// When the number cannot be.
    pub fn check_count(
        &self,
        data: &Value,
        (from, to): (i64, i64),
        asked: Asked,
    ) -> Result<usize, String> {
        let result = data["result"].as_array().cloned().unwrap_or_default();
        let text = result.first().map_or("0", |s| s["value"][1].as_str().unwrap_or_default());
        let count: usize = text.parse().map_err(|_| format!("no number: {data}"))?;
        let (mut least, mut most) = (0, 0);
        for (&(id, tick), fate) in &*self.lock() {
            if tick > from && tick <= to && shown(self.writer, (id, tick)).is_some() {
                most += usize::from(fate.sent < asked.after);
                least += usize::from(fate.acknowledged.is_some_and(|a| a < asked.before));
            }
        }
        if (least..=most).contains(&count) {
            Ok(count)
        } else {
            Err(format!("{count} samples, not {least} to {most}"))
        }
    }

    /// Every point of an answer by series and tick.
    fn points(&self, data: &Value) -> Result<BTreeMap<Sample, Value>, String> {
        let mut found = BTreeMap::new();
        let Some(result) = data["result"].as_array() else {
            return Err(format!("no result in {data}"));
        };
        for series in result {
            let metric = &series["metric"];
            let id: u32 = metric["id"]
                .as_str()
                .and_then(|id| id.parse().ok())
                .ok_or_else(|| format!("series without id: {metric}"))?;
            let expected: serde_json::Map<String, Value> =
                labels(self.writer, id).into_iter().map(|(n, v)| (n, json!(v))).collect();
            if metric.as_object() != Some(&expected) {
                return Err(format!("a series that was never sent: {metric}"));
            }
            for key in ["values", "histograms"] {
                for point in series[key].as_array().into_iter().flatten() {
                    let ms = point[0].as_i64().map_or(-1, |s| s * 1000 - T0);
                    if ms % TICK_MS != 0 {
                        return Err(format!("series {id}: a time that was never sent: {point}"));
                    }
                    if found.insert((id, ms / TICK_MS), point[1].clone()).is_some() {
                        return Err(format!("series {id}: twice in the answer: {point}"));
                    }
                }
            }
        }
        Ok(found)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Sample, Fate>> {
        self.samples.lock().expect("no panic while it is held")
    }
}
