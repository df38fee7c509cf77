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
use crate::side_by_side::{Stop, put, side_by_side};

/// Label sets in one frame.
const LABELS_PER_FRAME: usize = 4096;
/// How much less of a block a lookup reads than a select.
const LESS: usize = 4;

impl Gateway {
    /// Blocks of one lookup that are read at once.
    fn lookups_at_once(&self) -> usize {
        LESS * self.blocks_in_flight
    }

    pub(crate) fn run_series(
        &self,
        request: v1::SeriesRequest,
    ) -> Result<Frames<v1::SeriesFrame>, Status> {
        let matchers = read_matchers(&request.matchers)?;
        let scope = self.open(request.scope, &matchers)?;
        let limit = at_most(request.limit);
        let mut batches =
            side_by_side(scope.readers, self.lookups_at_once(), move |reader, send| {
                let mut batches = reader.series(matchers.clone(), limit).map_err(failed);
                async move {
                    while let Some(batch) = batches.try_next().await? {
                        put(&send, batch).await?;
                    }
                    Ok(())
                }
            });
        let (send, end, receive) = channel();
        tokio::spawn(async move {
            let mut seen: HashSet<Labels> = HashSet::new();
            while seen.len() < limit {
                let batch = tokio::select! {
                    batch = batches.recv() => batch,
                    () = send.closed() => return,
                };
                let fresh: Vec<Labels> = match batch {
                    None => break,
                    Some(Ok(batch)) => batch.into_iter().filter(|l| !seen.contains(l)).collect(),
                    Some(Err(status)) => {
                        let _ = send.send(Err(status)).await;
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
        let mut all = side_by_side(scope.readers, self.lookups_at_once(), move |reader, send| {
            let matchers = matchers.clone();
            async move { put(&send, reader.estimate(matchers, range).await.map_err(failed)?).await }
        });
        let mut sum = Estimate::default();
        while let Some(estimate) = all.recv().await {
            sum += estimate?;
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
        let lists = side_by_side(scope.readers, self.lookups_at_once(), move |reader, send| {
            let matchers = matchers.clone();
            async move { put(&send, reader.label_names(matchers, limit).await.map_err(failed)?).await }
        });
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
        let lists = side_by_side(scope.readers, self.lookups_at_once(), move |reader, send| {
            let (matchers, name) = (matchers.clone(), request.name.clone());
            async move {
                let values = reader.label_values(&name, matchers, limit).await;
                put(&send, values.map_err(failed)?).await
            }
        });
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

fn failed(e: varve_block::BlockError) -> Stop {
    Stop::Failed(from_block(e))
}

/// Joins sorted lists into one, keeping no more than `limit` at any time.
async fn union(mut lists: Frames<Vec<String>>, limit: usize) -> Result<v1::LabelsResponse, Status> {
    let mut all = BTreeSet::new();
    let mut last = Vec::new();
    while let Some(list) = lists.recv().await {
        let list = list?;
        // Most blocks say what their neighbour says.
        if list == last {
            continue;
        }
        all.extend(list.iter().cloned());
        last = list;
        while all.len() > limit {
            all.pop_last();
        }
    }
    let values = all.into_iter().collect();
    Ok(v1::LabelsResponse { header: Some(Default::default()), values })
}
