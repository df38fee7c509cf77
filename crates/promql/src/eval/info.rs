//! `info`: labels of info metrics (`target_info` and the like) are added to
//! the series of the same job and instance.
//!
//! Source: Prometheus, promql/info.go. At each step the newest info sample of
//! each info metric counts; the choice is made per step, the labels are built
//! once for each combination of info series.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use varve_model::{Labels, METRIC_NAME, MatchOp, Matcher};

use super::context::Context;
use super::row::{Batch, Row, is_absent};
use super::select::{self, Take};
use super::stream::{gather, merge_same};
use crate::ast::ValueType;
use crate::engine::EngineError;
use crate::plan::{Info, Node, Op, Select};

/// The labels that say which target a series is of.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// An info metric and a target.
type Key = (String, [String; 2]);

/// Evaluates `info`.
pub(crate) async fn info(
    ctx: &Context<'_>,
    node: &Node,
    call: &Info,
) -> Result<Batch, EngineError> {
    let Batch { rows, hold } = gather(ctx, super::vector(ctx, &call.arg)).await?;
    let (names, data): (Vec<_>, Vec<_>) =
        call.matchers.iter().cloned().partition(|m| m.name() == METRIC_NAME);
    let names = effective_names(names)?;
    // Info series themselves stay what they are.
    let ignored: Vec<bool> =
        rows.iter().map(|r| names.iter().all(|m| m.matches(r.labels.metric_name()))).collect();
    let mut infos = Vec::new();
    let mut holds = ctx.hold(0, 0)?;
    for identifying in target_matchers(&rows, &ignored)? {
        let matchers = [identifying, data.clone(), names.clone()].concat();
        let Batch { rows, hold } = fetch(ctx, node, call, matchers).await?;
        infos.extend(rows);
        holds.merge(hold);
    }
    let combine = Combine::new(&data, &infos);
    let out = combine.rows(ctx, &rows, &ignored)?;
    drop(hold);
    ctx.batch(merge_same(out)?)
}

/// The info metrics that are meant: `target_info` unless something else is
/// named; what is only excluded is excluded from all `*_info`.
fn effective_names(names: Vec<Matcher>) -> Result<Vec<Matcher>, EngineError> {
    let matcher = |op, value: &str| {
        Matcher::new(op, METRIC_NAME, value).map_err(|e| EngineError::execution(e.to_string()))
    };
    if names.is_empty() {
        return Ok(vec![matcher(MatchOp::Equal, "target_info")?]);
    }
    if names.iter().any(|m| matches!(m.op(), MatchOp::Equal | MatchOp::Regex)) {
        return Ok(names);
    }
    let mut all = vec![matcher(MatchOp::Regex, ".+_info")?];
    all.extend(names);
    Ok(all)
}

/// Matchers of the targets of some series: one set for each pattern of
/// identifying labels that are there.
fn target_matchers(rows: &[Row], ignored: &[bool]) -> Result<Vec<Vec<Matcher>>, EngineError> {
    let mut patterns: BTreeMap<[bool; 2], [BTreeSet<&str>; 2]> = BTreeMap::new();
    for (row, _) in rows.iter().zip(ignored).filter(|(_, i)| !**i) {
        let values = IDENTIFYING.map(|name| row.labels.get(name));
        let present = values.map(|v| !v.is_empty());
        if present != [false, false] {
            let sets = patterns.entry(present).or_default();
            values.into_iter().zip(sets).filter(|(v, _)| !v.is_empty()).for_each(|(v, set)| {
                set.insert(v);
            });
        }
    }
    let matcher = |name: &str, values: &BTreeSet<&str>| {
        let escaped: Vec<String> = values.iter().map(|v| escape(v)).collect();
        match escaped.is_empty() {
            true => Matcher::new(MatchOp::Equal, name, ""),
            false => Matcher::new(MatchOp::Regex, name, &escaped.join("|")),
        }
    };
    let sets = patterns.into_values().map(|sets| {
        let pairs = IDENTIFYING.iter().zip(&sets);
        pairs.map(|(name, values)| matcher(name, values)).collect::<Result<Vec<_>, _>>()
    });
    sets.collect::<Result<_, _>>().map_err(|e| EngineError::execution(e.to_string()))
}

/// Go's `regexp.QuoteMeta`.
fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The info series; their cells hold the times of the samples.
async fn fetch(
    ctx: &Context<'_>,
    node: &Node,
    call: &Info,
    matchers: Vec<Matcher>,
) -> Result<Batch, EngineError> {
    let select = Select {
        matchers,
        lookup: call.lookup,
        lookback: call.lookback,
        smoothed: false,
        stats_only: false,
        func: Some("info"),
    };
    let Node { part, scope, span, grid, .. } = *node;
    let selector = Node { part, scope, span, value_type: ValueType::Vector, grid, op: Op::Nothing };
    let batch = gather(ctx, select::rows(ctx, &selector, &select, Take::FloatTime)).await?;
    if let Some(row) = batch.rows.iter().find(|r| r.has_histograms()) {
        let message = format!("this should be an info metric, with float samples: {}", row.labels);
        return Err(EngineError::execution(message));
    }
    Ok(batch)
}

fn key(name: &str, labels: &Labels) -> Key {
    (name.to_owned(), IDENTIFYING.map(|n| labels.get(n).to_owned()))
}

struct Combine<'a> {
    data: &'a [Matcher],
    infos: &'a [Row],
    /// The info metrics.
    names: BTreeSet<&'a str>,
    /// Info series by metric and target.
    by_key: HashMap<Key, Vec<usize>>,
}

impl<'a> Combine<'a> {
    fn new(data: &'a [Matcher], infos: &'a [Row]) -> Self {
        let names = infos.iter().map(|r| r.labels.metric_name()).collect();
        let mut by_key: HashMap<Key, Vec<usize>> = HashMap::new();
        for (i, row) in infos.iter().enumerate() {
            by_key.entry(key(row.labels.metric_name(), &row.labels)).or_default().push(i);
        }
        Self { data, infos, names, by_key }
    }

    fn rows(
        &self,
        ctx: &Context<'_>,
        base: &[Row],
        ignored: &[bool],
    ) -> Result<Vec<Row>, EngineError> {
        self.check_newest(base)?;
        let mut out = Vec::with_capacity(base.len());
        for (row, ignored) in base.iter().zip(ignored) {
            ctx.check()?;
            match ignored {
                true => out.push(row.clone()),
                false => self.enrich(row, &mut out)?,
            }
        }
        Ok(out)
    }

    /// Of two info series of one metric and target, one has to be newer.
    fn check_newest(&self, base: &[Row]) -> Result<(), EngineError> {
        for series in self.by_key.values().filter(|s| s.len() > 1) {
            let steps = self.infos[series[0]].floats.len();
            for step in (0..steps).filter(|s| base.iter().any(|r| r.has(*s))) {
                let mut newest: Option<(usize, f64)> = None;
                for i in series {
                    let t = self.infos[*i].floats[step];
                    match newest {
                        _ if is_absent(t) => {}
                        Some((j, n)) if n == t => {
                            let ms = (t * 1000.0).round();
                            let message = format!(
                                "found duplicate series for info metric: existing {} @ {ms}, new {} @ {ms}",
                                self.infos[j].labels, self.infos[*i].labels
                            );
                            return Err(EngineError::execution(message));
                        }
                        Some((_, n)) if n > t => {}
                        _ => newest = Some((*i, t)),
                    }
                }
            }
        }
        Ok(())
    }

    /// The newest of some info series at a step.
    fn newest(&self, series: &[usize], step: usize) -> Option<usize> {
        let present = series.iter().filter(|i| !is_absent(self.infos[**i].floats[step]));
        let newest = present
            .max_by(|a, b| self.infos[**a].floats[step].total_cmp(&self.infos[**b].floats[step]));
        newest.copied()
    }

    /// Divides a series by the info series that belong to it at each step.
    fn enrich(&self, row: &Row, out: &mut Vec<Row>) -> Result<(), EngineError> {
        let none = Vec::new();
        let keys = self.names.iter().map(|name| key(name, &row.labels));
        let candidates: Vec<&Vec<usize>> =
            keys.map(|k| self.by_key.get(&k).unwrap_or(&none)).collect();
        let mut built: HashMap<Vec<usize>, Option<usize>> = HashMap::new();
        for step in (0..row.floats.len()).filter(|s| row.has(*s)) {
            let chosen: Vec<usize> =
                candidates.iter().filter_map(|c| self.newest(c, step)).collect();
            let at = match built.get(&chosen) {
                Some(at) => *at,
                None => {
                    let at = self.labels(&row.labels, &chosen)?.map(|labels| {
                        let mut enriched = Row::empty(labels, row.floats.len());
                        enriched.drop_name = row.drop_name;
                        out.push(enriched);
                        out.len() - 1
                    });
                    built.insert(chosen, at);
                    at
                }
            };
            if let Some(at) = at {
                out[at].set(step, row.cell(step));
            }
        }
        Ok(())
    }

    /// The labels of a series with those of its info series; `None` when there
    /// are no info series, but a label of them was asked for.
    fn labels(&self, base: &Labels, chosen: &[usize]) -> Result<Option<Labels>, EngineError> {
        if chosen.is_empty() {
            let wanted = self.data.iter().any(|m| !m.matches_empty());
            return Ok((!wanted).then(|| base.clone()));
        }
        let mut added = Labels::empty().builder();
        for i in chosen {
            for (name, value) in &self.infos[*i].labels {
                let asked = self.data.is_empty() || self.data.iter().any(|m| m.name() == name);
                if name == METRIC_NAME || !asked {
                    continue;
                }
                let before = added.get(name);
                if !before.is_empty() && before != value {
                    let message = format!("conflicting label: {name}");
                    return Err(EngineError::execution(message));
                }
                if base.get(name).is_empty() {
                    added.set(name, value);
                }
            }
        }
        let mut builder = base.builder();
        for (name, value) in &added.build() {
            builder.set(name, value);
        }
        Ok(Some(builder.build()))
    }
}
