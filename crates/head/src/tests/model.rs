//! A naive head: a list of samples, scanned for everything.

use std::collections::{BTreeMap, BTreeSet};

use varve_model::{Exemplar, Labels, TenantId, WINDOW_MS, window_end};

use super::harness::show;
use crate::buffer::Value;
use crate::exemplars::same;
use crate::{AppendOutcome, RefusalReason};

/// Index of the entry that a sample came with, and the cut that took it.
#[derive(Clone, Debug)]
struct Sample {
    time: i64,
    value: Value,
    start: i64,
    cut: Option<u64>,
}

#[derive(Clone, Debug)]
struct OneExemplar {
    exemplar: Exemplar,
    cut: Option<u64>,
    /// Still in the buffer in which repetitions are noticed.
    open: bool,
}

#[derive(Clone, Debug)]
struct Series {
    reference: u64,
    newest: i64,
    samples: Vec<Sample>,
    exemplars: Vec<OneExemplar>,
}

#[derive(Clone, Debug)]
struct Tenant {
    series: BTreeMap<Labels, Series>,
    max_time: i64,
    out_of_order: i64,
    released_at: u64,
}

#[derive(Clone, Debug)]
pub(super) struct ModelCut {
    pub(super) window: i64,
    pub(super) number: u64,
    /// When it shipped, and the version.
    pub(super) shipped: Option<(i64, u64)>,
    pub(super) released: bool,
}

/// What a partition should hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    tenants: BTreeMap<TenantId, Tenant>,
    next: u64,
    pub(super) cuts: Vec<ModelCut>,
}

/// One series to append: by reference or by labels.
#[derive(Clone, Debug)]
pub(super) struct ModelWrite {
    pub(super) labels: Labels,
    pub(super) by_reference: bool,
    pub(super) samples: Vec<(i64, Value, i64)>,
    pub(super) exemplars: Vec<Exemplar>,
}

impl Model {
    pub(super) fn reference(&self, id: &TenantId, labels: &Labels) -> Option<u64> {
        Some(self.tenants.get(id)?.series.get(labels)?.reference)
    }

    pub(super) fn append(
        &mut self,
        id: &TenantId,
        out_of_order: i64,
        writes: &[ModelWrite],
    ) -> AppendOutcome {
        let mut outcome = AppendOutcome::default();
        let fresh =
            Tenant { series: BTreeMap::new(), max_time: i64::MIN, out_of_order, released_at: 0 };
        let tenant = self.tenants.entry(id.clone()).or_insert(fresh);
        tenant.out_of_order = out_of_order;
        for (position, write) in (0..).zip(writes) {
            let next = &mut self.next;
            let series = tenant.series.entry(write.labels.clone()).or_insert_with(|| {
                *next += 1;
                Series {
                    reference: *next,
                    newest: i64::MIN,
                    samples: Vec::new(),
                    exemplars: Vec::new(),
                }
            });
            if !write.by_reference {
                outcome.references.push(series.reference);
            }
            let mut samples = write.samples.clone();
            samples.sort_by_key(|(time, value, _)| (*time, matches!(value, Value::Histogram(_))));
            let mut refuse = |reason, time| refuse(&mut outcome, position, reason, time);
            let (mut floats, mut histograms) = (0, 0);
            for (time, value, start) in samples {
                let there: Vec<&Sample> =
                    series.samples.iter().filter(|s| s.time == time).collect();
                let shipped = |s: &Sample| {
                    let cut = self
                        .cuts
                        .iter()
                        .find(|c| c.window == window_end(time) && Some(c.number) == s.cut);
                    cut.is_some_and(|c| c.shipped.is_some())
                };
                let mut stored = false;
                if time > series.newest {
                    stored = true;
                } else if there.iter().any(|s| s.value.same(&value)) {
                } else if there.iter().any(|s| !shipped(s)) {
                    refuse(RefusalReason::Duplicate, time);
                    continue;
                } else if time <= tenant.max_time.saturating_sub(out_of_order) {
                    refuse(RefusalReason::OutOfOrder, time);
                    continue;
                } else {
                    stored = true;
                }
                match value {
                    Value::Float(_) => floats += 1,
                    Value::Histogram(_) => histograms += 1,
                }
                if stored {
                    series.newest = series.newest.max(time);
                    tenant.max_time = tenant.max_time.max(time);
                    series.samples.push(Sample { time, value, start, cut: None });
                }
            }
            let floor = tenant.max_time.saturating_sub(out_of_order.max(WINDOW_MS));
            let mut exemplars = 0;
            for exemplar in &write.exemplars {
                if exemplar.timestamp <= floor {
                    refuse(RefusalReason::OutOfOrder, exemplar.timestamp);
                    continue;
                }
                exemplars += 1;
                if !series.exemplars.iter().any(|e| e.open && same(&e.exemplar, exemplar)) {
                    let exemplar = exemplar.clone();
                    series.exemplars.push(OneExemplar { exemplar, cut: None, open: true });
                }
            }
            outcome.samples += floats;
            outcome.histograms += histograms;
            outcome.exemplars += exemplars;
        }
        outcome
    }

    /// Windows with something that is in no cut.
    pub(super) fn uncut(&self) -> Vec<i64> {
        let series = self.tenants.values().flat_map(|t| t.series.values());
        let windows: BTreeSet<i64> = series
            .flat_map(|s| {
                let samples =
                    s.samples.iter().filter(|s| s.cut.is_none()).map(|s| window_end(s.time));
                let exemplars = s.exemplars.iter().filter(|e| e.cut.is_none());
                samples.chain(exemplars.map(|e| window_end(e.exemplar.timestamp)))
            })
            .collect();
        windows.into_iter().collect()
    }

    pub(super) fn cut(&mut self, window: i64, number: u64) {
        for series in self.tenants.values_mut().flat_map(|t| t.series.values_mut()) {
            for sample in series.samples.iter_mut().filter(|s| window_end(s.time) == window) {
                sample.cut.get_or_insert(number);
            }
            let mut closes = false;
            for e in
                series.exemplars.iter_mut().filter(|e| window_end(e.exemplar.timestamp) == window)
            {
                closes |= e.open;
                e.cut.get_or_insert(number);
            }
            if closes {
                series.exemplars.iter_mut().for_each(|e| e.open = false);
            }
        }
        self.cuts.push(ModelCut { window, number, shipped: None, released: false });
    }

    pub(super) fn seal(&mut self, now: i64, hold: i64) {
        let windows: BTreeSet<i64> = self.cuts.iter().map(|c| c.window).collect();
        for window in windows {
            for cut in self.cuts.iter_mut().filter(|c| c.window == window && !c.released) {
                let Some((_, version)) = cut.shipped.filter(|(at, _)| now >= at + hold) else {
                    break;
                };
                cut.released = true;
                let mine = |number: Option<u64>| number == Some(cut.number);
                for tenant in self.tenants.values_mut() {
                    for series in tenant.series.values_mut() {
                        let before = series.samples.len() + series.exemplars.len();
                        series.samples.retain(|s| window_end(s.time) != window || !mine(s.cut));
                        series
                            .exemplars
                            .retain(|e| window_end(e.exemplar.timestamp) != window || !mine(e.cut));
                        if series.samples.len() + series.exemplars.len() < before {
                            tenant.released_at = tenant.released_at.max(version);
                        }
                    }
                }
            }
        }
        for tenant in self.tenants.values_mut() {
            tenant.series.retain(|_, s| !s.samples.is_empty() || !s.exemplars.is_empty());
            for series in tenant.series.values_mut() {
                series.exemplars.iter_mut().for_each(|e| e.open = false);
            }
        }
    }

    pub(super) fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.tenants.keys()
    }

    pub(super) fn released_at(&self, id: &TenantId) -> u64 {
        self.tenants.get(id).map_or(0, |t| t.released_at)
    }

    /// What a select answers: by labels and time, the value of the first cut.
    pub(super) fn read(
        &self,
        id: &TenantId,
        takes: impl Fn(&Labels) -> bool,
        from: i64,
        to: i64,
    ) -> BTreeMap<String, BTreeMap<i64, (String, i64)>> {
        let mut out = BTreeMap::new();
        for (labels, series) in self.tenants.get(id).iter().flat_map(|t| &t.series) {
            let samples = best(series.samples.iter().filter(|s| from < s.time && s.time <= to));
            if takes(labels) && !samples.is_empty() {
                out.insert(labels.to_string(), samples);
            }
        }
        out
    }

    /// What a cut holds of a tenant.
    pub(super) fn cut_content(
        &self,
        id: &TenantId,
        cut: &ModelCut,
    ) -> BTreeMap<String, BTreeMap<i64, (String, i64)>> {
        let mut out = BTreeMap::new();
        for (labels, series) in self.tenants.get(id).iter().flat_map(|t| &t.series) {
            let mine = |s: &&Sample| window_end(s.time) == cut.window && s.cut == Some(cut.number);
            let samples = best(series.samples.iter().filter(mine));
            let exemplars = series.exemplars.iter().any(|e| {
                window_end(e.exemplar.timestamp) == cut.window && e.cut == Some(cut.number)
            });
            if !samples.is_empty() || exemplars {
                out.insert(labels.to_string(), samples);
            }
        }
        out
    }

    /// Exemplar times by series, each exemplar once.
    pub(super) fn exemplars(&self, id: &TenantId) -> BTreeMap<String, Vec<i64>> {
        let mut out = BTreeMap::new();
        for (labels, series) in self.tenants.get(id).iter().flat_map(|t| &t.series) {
            let mut all: Vec<Exemplar> =
                series.exemplars.iter().map(|e| e.exemplar.clone()).collect();
            crate::exemplars::sort(&mut all);
            if !all.is_empty() {
                out.insert(labels.to_string(), all.iter().map(|e| e.timestamp).collect());
            }
        }
        out
    }
}

fn best<'a>(samples: impl Iterator<Item = &'a Sample>) -> BTreeMap<i64, (String, i64)> {
    let mut found: BTreeMap<i64, &Sample> = BTreeMap::new();
    for sample in samples {
        let order = |s: &Sample| s.cut.unwrap_or(u64::MAX);
        let there = found.entry(sample.time).or_insert(sample);
        if order(sample) < order(there) {
            *there = sample;
        }
    }
    found.into_iter().map(|(time, s)| (time, (show(&s.value), s.start))).collect()
}

fn refuse(outcome: &mut AppendOutcome, position: u32, reason: RefusalReason, time: i64) {
    let same = |r: &&mut crate::Refusal| r.series == position && r.reason == reason;
    match outcome.refusals.iter_mut().find(same) {
        Some(refusal) => refusal.count += 1,
        None => outcome.refusals.push(crate::Refusal {
            reason,
            series: position,
            timestamp: Some(time),
            count: 1,
            detail: String::new(),
        }),
    }
}
