//! What reads of labels, exemplars and metadata return: sorted answers.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use varve_model::{Exemplar, Labels, Matcher, Metadata, TenantId, TimeRange};

use crate::Result;
use crate::buffer::Buffer;
use crate::chunk::Chunk;
use crate::dictionary::PairId;
use crate::exemplars::{self, ExemplarBuffer};
use crate::kind::Kind;
use crate::series::Series;
use crate::state::State;
use crate::tenant::Tenant;

/// A sorted answer with the seam's version, see [`crate::HeadRead::released_at`].
#[derive(Clone, Debug, PartialEq)]
pub struct HeadAnswer<T> {
    /// See [`crate::HeadRead::released_at`].
    pub released_at: u64,
    /// What was asked for.
    pub values: Vec<T>,
}

/// A series with its exemplars, sorted by time.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesExemplars {
    /// Who they belong to.
    pub labels: Labels,
    /// The exemplars.
    pub exemplars: Vec<Exemplar>,
}

/// What one metric family says of itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FamilyMetadata {
    /// The family's name.
    pub metric: String,
    /// What it says. A family may stand several times, the newest text last.
    pub metadata: Metadata,
}

impl<T> Default for HeadAnswer<T> {
    fn default() -> Self {
        Self { released_at: 0, values: Vec::new() }
    }
}

/// Whether a buffer may hold something in a range.
pub(crate) fn buffer_overlaps(buffer: &Option<Arc<Buffer>>, range: &TimeRange) -> bool {
    let span = buffer.as_ref().and_then(|b| b.span());
    span.is_some_and(|(min, max)| range.start < max && min <= range.end)
}

/// Whether a series may have samples in a range.
pub(crate) fn overlaps(state: &State, series: &Series, range: &TimeRange) -> bool {
    let samples = |(kind, min, max): (Kind, i64, i64)| {
        kind != Kind::Exemplar && range.start < max && min <= range.end
    };
    buffer_overlaps(&series.open, range)
        || buffer_overlaps(&series.late, range)
        || series.spans(&state.files).any(samples)
}

/// The series that match and may have samples in the range.
pub(crate) fn matched<'a>(
    state: &'a State,
    tenant: &'a Tenant,
    matchers: &[Matcher],
    range: TimeRange,
) -> impl Iterator<Item = &'a Series> + use<'a> {
    let references = tenant.index.select(matchers, |r| tenant.pairs(r));
    references
        .into_iter()
        .filter_map(|reference| tenant.series.get(reference))
        .filter(move |series| overlaps(state, series, &range))
}

/// At most `limit` of what is sorted; 0 = all.
fn limited<T>(mut values: Vec<T>, limit: usize) -> Vec<T> {
    if limit > 0 {
        values.truncate(limit);
    }
    values
}

/// Whether the whole vocabulary answers: nothing is asked of single series.
fn takes_all(tenant: &Tenant, matchers: &[Matcher], range: &TimeRange) -> bool {
    matchers.is_empty() && range.start == i64::MIN && tenant.max_time <= range.end
}

impl State {
    pub(crate) fn series(
        &self,
        tenant: &TenantId,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> HeadAnswer<Labels> {
        let Some(tenant) = self.tenants.get(tenant) else { return HeadAnswer::default() };
        let dictionary = tenant.index.dictionary();
        let series = matched(self, tenant, matchers, range);
        let values = series.map(|s| dictionary.labels(&s.pairs)).collect();
        HeadAnswer { released_at: tenant.released_at, values }
    }

    pub(crate) fn label_names(
        &self,
        tenant: &TenantId,
        matchers: &[Matcher],
        range: TimeRange,
        limit: usize,
    ) -> HeadAnswer<String> {
        let Some(tenant) = self.tenants.get(tenant) else { return HeadAnswer::default() };
        let values: Vec<String> = if takes_all(tenant, matchers, &range) {
            tenant.index.names().map(str::to_owned).collect()
        } else {
            let dictionary = tenant.index.dictionary();
            let pairs: HashSet<PairId> = matched(self, tenant, matchers, range)
                .flat_map(|series| series.pairs.iter().copied())
                .collect();
            let names = pairs.iter().filter_map(|id| dictionary.get(*id)).map(|p| &*p.name);
            let names: BTreeSet<&str> = names.collect();
            names.into_iter().map(str::to_owned).collect()
        };
        HeadAnswer { released_at: tenant.released_at, values: limited(values, limit) }
    }

    pub(crate) fn label_values(
        &self,
        tenant: &TenantId,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
        limit: usize,
    ) -> HeadAnswer<String> {
        let Some(tenant) = self.tenants.get(tenant) else { return HeadAnswer::default() };
        let values: Vec<String> = if takes_all(tenant, matchers, &range) {
            tenant.index.values(name).map(str::to_owned).collect()
        } else {
            let dictionary = tenant.index.dictionary();
            let values: BTreeSet<&str> = matched(self, tenant, matchers, range)
                .map(|series| dictionary.value(&series.pairs, name))
                .filter(|value| !value.is_empty())
                .collect();
            values.into_iter().map(str::to_owned).collect()
        };
        HeadAnswer { released_at: tenant.released_at, values: limited(values, limit) }
    }

    /// The exemplars of matching series, not decoded.
    pub(crate) fn exemplars(
        &self,
        tenant: &TenantId,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
    ) -> ExemplarRead {
        let Some(tenant) = self.tenants.get(tenant) else {
            return ExemplarRead { released_at: 0, range, series: Vec::new() };
        };
        let select = |matchers: &Vec<Matcher>| tenant.index.select(matchers, |r| tenant.pairs(r));
        let references: BTreeSet<u64> = selectors.iter().flat_map(select).collect();
        let wanted = |c: &Chunk| c.kind == Kind::Exemplar && c.overlaps(&range);
        let series = references.iter().filter_map(|reference| tenant.series.get(*reference));
        let series = series
            .map(|s| (s, s.closed(&self.files).filter(wanted).collect::<Vec<_>>()))
            .filter(|(s, chunks)| s.exemplars.is_some() || !chunks.is_empty())
            .map(|(s, chunks)| {
                (tenant.index.dictionary().labels(&s.pairs), chunks, s.exemplars.clone())
            });
        ExemplarRead { released_at: tenant.released_at, range, series: series.collect() }
    }

    pub(crate) fn metadata(
        &self,
        tenant: &TenantId,
        metric: Option<&str>,
        limit: usize,
    ) -> HeadAnswer<FamilyMetadata> {
        let Some(tenant) = self.tenants.get(tenant) else { return HeadAnswer::default() };
        let families =
            tenant.metadata.iter().filter(|(name, _)| metric.is_none_or(|m| m == &***name));
        let limit = if limit == 0 { usize::MAX } else { limit };
        let values = families
            .take(limit)
            .flat_map(|(name, texts)| {
                let of =
                    |m: &Metadata| FamilyMetadata { metric: name.to_string(), metadata: m.clone() };
                texts.iter().map(of)
            })
            .collect();
        HeadAnswer { released_at: tenant.released_at, values }
    }
}

/// Exemplars as they were at a moment.
pub(crate) struct ExemplarRead {
    released_at: u64,
    range: TimeRange,
    series: Vec<(Labels, Vec<Chunk>, Option<Arc<ExemplarBuffer>>)>,
}

impl ExemplarRead {
    /// Decodes them; done without the lock.
    pub(crate) fn decode(self) -> Result<HeadAnswer<SeriesExemplars>> {
        let mut values = Vec::new();
        for (labels, chunks, buffer) in self.series {
            let mut exemplars: Vec<Exemplar> =
                buffer.iter().flat_map(|b| b.items.iter().cloned()).collect();
            for chunk in &chunks {
                exemplars.extend(chunk.decode_exemplars(|| labels.clone())?);
            }
            exemplars.retain(|e| self.range.contains(e.timestamp));
            exemplars::sort(&mut exemplars);
            if !exemplars.is_empty() {
                values.push(SeriesExemplars { labels, exemplars });
            }
        }
        values.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        Ok(HeadAnswer { released_at: self.released_at, values })
    }
}

impl HeadAnswer<Labels> {
    /// Sorts and cuts to the limit; done without the lock.
    pub(crate) fn sorted(self, limit: usize) -> Self {
        let mut values = self.values;
        values.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        Self { released_at: self.released_at, values: limited(values, limit) }
    }
}
