//! Everything but samples of blocks: estimates, label sets, names, values,
//! exemplars and metadata.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use tonic::Status;
use varve_block::Estimate;
use varve_model::{Labels, Matcher};
use varve_query::stream::{Frames, at_most, channel};
use varve_wire::{convert, v1};

use crate::Gateway;
use crate::scope::{from_block, read_matchers};

/// Label sets in one frame.
const LABELS_PER_FRAME: usize = 4096;

impl Gateway {
    pub(crate) fn run_series(
        &self,
        request: v1::SeriesRequest,
    ) -> Result<Frames<v1::SeriesFrame>, Status> {
        let matchers = read_matchers(&request.matchers)?;
        let scope = self.open(request.scope, &matchers)?;
        let limit = at_most(request.limit);
        let (send, end, receive) = channel();
        let in_flight = self.blocks_in_flight;
        tokio::spawn(async move {
            let streams = scope.readers.into_iter().map(|r| r.series(matchers.clone(), limit));
            let mut batches = stream::iter(streams).flatten_unordered(in_flight);
            let mut seen: HashSet<Labels> = HashSet::new();
            while seen.len() < limit {
                let fresh: Vec<Labels> = match batches.next().await {
                    None => break,
                    Some(Ok(batch)) => batch.into_iter().filter(|l| !seen.contains(l)).collect(),
                    Some(Err(e)) => {
                        let _ = send.send(Err(from_block(e))).await;
                        return;
                    }
                };
                let room = limit - seen.len();
                for part in fresh[..fresh.len().min(room)].chunks(LABELS_PER_FRAME) {
                    seen.extend(part.iter().cloned());
                    let labels = part.iter().map(convert::labels).collect();
                    let frame = v1::SeriesFrame { header: Some(Default::default()), labels };
                    if send.send(Ok(frame)).await.is_err() {
                        return;
                    }
                }
            }
            end.finish();
        });
        Ok(receive)
    }

    pub(crate) async fn run_estimate(
        &self,
        request: v1::EstimateRequest,
    ) -> Result<v1::EstimateResponse, Status> {
        let matchers = read_matchers(&request.matchers)?;
        let scope = self.open(request.scope, &matchers)?;
        let range = scope.range;
        let mut all = stream::iter(scope.readers)
            .map(|r| {
                let matchers = matchers.clone();
                async move { r.estimate(matchers, range).await }
            })
            .buffer_unordered(self.blocks_in_flight);
        let mut sum = Estimate::default();
        while let Some(estimate) = all.try_next().await.map_err(from_block)? {
            sum += estimate;
        }
        let Estimate { series, samples, bytes } = sum;
        Ok(v1::EstimateResponse { header: Some(Default::default()), series, samples, bytes })
    }

    pub(crate) async fn run_label_names(
        &self,
        request: v1::LabelNamesRequest,
    ) -> Result<v1::LabelsResponse, Status> {
        let matchers = read_matchers(&request.matchers)?;
        let scope = self.open(request.scope, &matchers)?;
        let limit = at_most(request.limit);
        let lists = stream::iter(scope.readers)
            .map(|r| {
                let matchers = matchers.clone();
                async move { r.label_names(matchers, limit).await }
            })
            .buffer_unordered(self.blocks_in_flight);
        union(lists, limit).await
    }

    pub(crate) async fn run_label_values(
        &self,
        request: v1::LabelValuesRequest,
    ) -> Result<v1::LabelsResponse, Status> {
        let mut matchers = read_matchers(&request.matchers)?;
        // Only series that have the label can add a value.
        if let Ok(present) = Matcher::new(varve_model::MatchOp::NotEqual, &request.name, "")
            && !matchers.is_empty()
        {
            matchers.push(present);
        }
        let scope = self.open(request.scope, &matchers)?;
        let limit = at_most(request.limit);
        let lists = stream::iter(scope.readers)
            .map(|r| {
                let (matchers, name) = (matchers.clone(), request.name.clone());
                async move { r.label_values(&name, matchers, limit).await }
            })
            .buffer_unordered(self.blocks_in_flight);
        union(lists, limit).await
    }

    pub(crate) async fn run_exemplars(
        &self,
        request: v1::ExemplarsRequest,
    ) -> Result<v1::ExemplarsResponse, Status> {
        let selectors: Vec<Vec<Matcher>> = request
            .selectors
            .iter()
            .map(|s| read_matchers(&s.matchers))
            .collect::<Result<_, _>>()?;
        let scope = self.open(request.scope, &[])?;
        let range = scope.range;
        let mut answers = stream::iter(scope.readers)
            .map(|r| {
                let selectors = selectors.clone();
                async move { r.exemplars(selectors, range).await }
            })
            .buffer_unordered(self.blocks_in_flight);
        let mut series = Vec::new();
        while let Some(found) = answers.try_next().await.map_err(from_block)? {
            series.extend(found.into_iter().map(|s| v1::SeriesExemplars {
                labels: convert::labels(&s.labels),
                exemplars: s.exemplars.iter().map(convert::exemplar).collect(),
            }));
        }
        Ok(v1::ExemplarsResponse { header: Some(Default::default()), series })
    }

    pub(crate) async fn run_metadata(
        &self,
        request: v1::MetadataRequest,
    ) -> Result<v1::MetadataResponse, Status> {
        let scope = self.open(request.scope, &[])?;
        let mut answers = stream::iter(scope.readers)
            .map(|r| async move { r.metadata().await })
            .buffer_unordered(self.blocks_in_flight);
        let mut all: BTreeMap<String, BTreeSet<varve_model::Metadata>> = BTreeMap::new();
        while let Some(found) = answers.try_next().await.map_err(from_block)? {
            for (metric, metadata) in found {
                if request.metric.is_empty() || request.metric == metric {
                    all.entry(metric).or_default().insert(metadata);
                }
            }
        }
        let metadata = all
            .iter()
            .take(at_most(request.limit))
            .flat_map(|(name, set)| set.iter().map(|m| convert::metadata(name, m)))
            .collect();
        Ok(v1::MetadataResponse { header: Some(Default::default()), metadata })
    }
}

/// Joins sorted lists into one, keeping no more than `limit` at any time.
async fn union(
    mut lists: impl futures::Stream<Item = varve_block::Result<Vec<String>>> + Unpin,
    limit: usize,
) -> Result<v1::LabelsResponse, Status> {
    let mut all = BTreeSet::new();
    while let Some(list) = lists.try_next().await.map_err(from_block)? {
        all.extend(list);
        while all.len() > limit {
            all.pop_last();
        }
    }
    let values = all.into_iter().collect();
    Ok(v1::LabelsResponse { header: Some(Default::default()), values })
}
