//! Everything but samples: label sets, names, values, exemplars, metadata.
//! Each is asked of every source and joined here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use varve_block::BlockEntry;
use varve_model::{Exemplar, Labels, Matcher, Metadata, TimeRange};
use varve_promql::source::{Charge, MemoryBudget};
use varve_wire::{convert, v1};

use crate::gather::{Ask, Part};
use crate::peer::Peer;
use crate::{QueryError, Session};

/// Memory of a block's entry, about.
const ENTRY_BYTES: usize = 2048;

fn released(header: Option<v1::SelectHeader>) -> u64 {
    header.map_or(0, |h| h.released_at)
}

/// No selector means every series.
fn each(selectors: &[Vec<Matcher>]) -> Vec<Vec<Matcher>> {
    if selectors.is_empty() { vec![Vec::new()] } else { selectors.to_vec() }
}

impl Session {
    /// The label sets of series that fit any of the selectors, sorted, at
    /// most `limit` of them (0 = all).
    pub async fn series(
        self: &Arc<Self>,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<Labels>, QueryError> {
        let mut all: BTreeSet<Labels> = BTreeSet::new();
        let budget: Arc<dyn MemoryBudget> = self.budget();
        let mut charge = Charge::take(&budget, 0)?;
        for selector in each(selectors) {
            let (matchers, limit) = (convert::matchers(&selector), limit as u64);
            let budget = Arc::clone(&budget);
            let ask: Ask<(Vec<Bytes>, Charge)> = Arc::new(move |Peer { mut client, .. }, scope| {
                let request =
                    v1::SeriesRequest { scope: Some(scope), matchers: matchers.clone(), limit };
                let budget = Arc::clone(&budget);
                Box::pin(async move {
                    let failed = |s| QueryError::from_status("series", &s);
                    let mut frames = client.series(request).await.map_err(failed)?.into_inner();
                    let (mut value, mut released_at) = (Vec::new(), 0);
                    let mut charge = Charge::take(&budget, 0)?;
                    while let Some(frame) = frames.message().await.map_err(failed)? {
                        released_at = released_at.max(released(frame.header));
                        charge.grow(frame.labels.iter().map(|l| l.len() + 64).sum())?;
                        value.extend(frame.labels);
                    }
                    Ok(Part { released_at, value: (value, charge) })
                })
            });
            for (part, _held) in self.gather(range, &selector, ask).await? {
                for bytes in part {
                    charge.grow(bytes.len() + 64)?;
                    all.insert(convert::read_labels(&bytes)?);
                }
            }
        }
        Ok(all.into_iter().take(if limit == 0 { usize::MAX } else { limit }).collect())
    }

    /// Label names in use, sorted, at most `limit` (0 = all).
    pub async fn label_names(
        self: &Arc<Self>,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<String>, QueryError> {
        self.strings(selectors, range, limit, |mut client, scope, matchers, limit| {
            let request = v1::LabelNamesRequest { scope: Some(scope), matchers, limit };
            Box::pin(async move { client.label_names(request).await })
        })
        .await
    }

    /// Values in use of one label, sorted, at most `limit` (0 = all).
    pub async fn label_values(
        self: &Arc<Self>,
        name: &str,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<String>, QueryError> {
        let name = name.to_owned();
        self.strings(selectors, range, limit, move |mut client, scope, matchers, limit| {
            let (name, scope) = (name.clone(), Some(scope));
            let request = v1::LabelValuesRequest { scope, name, matchers, limit };
            Box::pin(async move { client.label_values(request).await })
        })
        .await
    }

    async fn strings(
        self: &Arc<Self>,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
        call: impl Fn(
            v1::store_client::StoreClient<tonic::transport::Channel>,
            v1::Scope,
            Vec<v1::Matcher>,
            u64,
        ) -> futures::future::BoxFuture<
            'static,
            Result<tonic::Response<v1::LabelsResponse>, tonic::Status>,
        > + Send
        + Sync
        + Clone
        + 'static,
    ) -> Result<Vec<String>, QueryError> {
        let budget: Arc<dyn MemoryBudget> = self.budget();
        let mut charge = Charge::take(&budget, 0)?;
        let mut all = BTreeSet::new();
        for selector in each(selectors) {
            let (matchers, call) = (convert::matchers(&selector), call.clone());
            let ask: Ask<Vec<String>> = Arc::new(move |Peer { client, .. }, scope| {
                let answer = call(client, scope, matchers.clone(), limit as u64);
                Box::pin(async move {
                    let failed = |s| QueryError::from_status("labels", &s);
                    let answer = answer.await.map_err(failed)?.into_inner();
                    Ok(Part { released_at: released(answer.header), value: answer.values })
                })
            });
            for part in self.gather(range, &selector, ask).await? {
                charge.grow(part.iter().map(|v| v.len() + 48).sum())?;
                all.extend(part);
            }
        }
        Ok(all.into_iter().take(if limit == 0 { usize::MAX } else { limit }).collect())
    }

    /// The blocks of the newest version of the catalog, charged to the budget.
    pub async fn blocks(self: &Arc<Self>) -> Result<(Vec<BlockEntry>, Charge), QueryError> {
        let budget: Arc<dyn MemoryBudget> = self.budget();
        let snapshot = self.pin().await?;
        let entries = usize::try_from(snapshot.block_count()).unwrap_or(usize::MAX);
        let charge = Charge::take(&budget, entries.saturating_mul(ENTRY_BYTES))?;
        let blocks = snapshot.all_blocks().await?;
        self.cover(|c| c.complete = true);
        Ok((blocks, charge))
    }

    /// Exemplars of series that fit any of the selectors, by series, in order
    /// of time, each once.
    pub async fn exemplars(
        self: &Arc<Self>,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, QueryError> {
        let sets: Vec<v1::MatcherSet> =
            selectors.iter().map(|s| v1::MatcherSet { matchers: convert::matchers(s) }).collect();
        let ask: Ask<Vec<v1::SeriesExemplars>> = Arc::new(move |Peer { mut client, .. }, scope| {
            let request = v1::ExemplarsRequest { scope: Some(scope), selectors: sets.clone() };
            Box::pin(async move {
                let failed = |s| QueryError::from_status("exemplars", &s);
                let answer = client.exemplars(request).await.map_err(failed)?.into_inner();
                Ok(Part { released_at: released(answer.header), value: answer.series })
            })
        });
        let budget: Arc<dyn MemoryBudget> = self.budget();
        let mut charge = Charge::take(&budget, 0)?;
        let mut all: BTreeMap<Labels, Vec<Exemplar>> = BTreeMap::new();
        for series in self.gather(range, &[], ask).await?.into_iter().flatten() {
            let into = all.entry(convert::read_labels(&series.labels)?).or_default();
            for e in &series.exemplars {
                charge.grow(e.labels.len() + 64)?;
                into.push(convert::read_exemplar(e)?);
            }
        }
        for exemplars in all.values_mut() {
            exemplars.sort_by(|a, b| {
                (a.timestamp, &a.labels)
                    .cmp(&(b.timestamp, &b.labels))
                    .then(a.value.total_cmp(&b.value))
            });
            exemplars.dedup();
        }
        Ok(all.into_iter().collect())
    }

    /// What metric families say of themselves: each distinct statement once.
    pub async fn metadata(
        self: &Arc<Self>,
        metric: Option<&str>,
    ) -> Result<BTreeMap<String, BTreeSet<Metadata>>, QueryError> {
        let metric = metric.unwrap_or_default().to_owned();
        let ask: Ask<Vec<v1::MetricMetadata>> = Arc::new(move |Peer { mut client, .. }, scope| {
            let (scope, metric) = (Some(scope), metric.clone());
            let request = v1::MetadataRequest { scope, metric, limit: 0 };
            Box::pin(async move {
                let failed = |s| QueryError::from_status("metadata", &s);
                let answer = client.metadata(request).await.map_err(failed)?.into_inner();
                Ok(Part { released_at: released(answer.header), value: answer.metadata })
            })
        });
        let mut all: BTreeMap<String, BTreeSet<Metadata>> = BTreeMap::new();
        for m in self.gather(TimeRange::ALL, &[], ask).await?.into_iter().flatten() {
            let (name, metadata) = convert::read_metadata(m);
            all.entry(name).or_default().insert(metadata);
        }
        Ok(all)
    }
}
