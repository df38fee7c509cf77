//! Everything but samples of recent series: estimates, label sets, names,
//! values, exemplars and metadata; one answer per partition, united.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use varve_block::Estimate;
use varve_head::{HeadAnswer, Partition};
use varve_model::Labels;
use varve_query::stream::{Frames, at_most, channel};
use varve_wire::{convert, v1};

use crate::error::Result;
use crate::scope::{Scope, blocking};
use crate::start::Ingester;

/// Bytes of label sets in one frame, about.
const FRAME_BYTES: usize = 1 << 20;

/// Asks every partition and unites the sorted answers.
fn unite<T: Ord>(
    scope: &Scope,
    limit: usize,
    ask: impl Fn(&Arc<Partition>) -> HeadAnswer<T>,
) -> (u64, Vec<T>) {
    let mut released_at = 0;
    let mut all = BTreeSet::new();
    for partition in &scope.partitions {
        let answer = ask(partition);
        released_at = released_at.max(answer.released_at);
        all.extend(answer.values);
    }
    (released_at, all.into_iter().take(limit).collect())
}

fn header(released_at: u64) -> Option<v1::SelectHeader> {
    Some(v1::SelectHeader { released_at })
}

impl Ingester {
    pub(crate) async fn run_estimate(
        &self,
        request: v1::EstimateRequest,
    ) -> Result<v1::EstimateResponse> {
        let scope = self.read_scope(request.scope.as_ref())?;
        let matchers = convert::read_matchers(&request.matchers)?;
        // It takes the same snapshot as a select.
        let permit = self.permit("an estimate").await?;
        blocking("an estimate", move || {
            let _permit = permit;
            let (mut released_at, mut sum) = (0, Estimate::default());
            for read in scope.select(&matchers) {
                released_at = read.released_at.max(released_at);
                sum += read.estimate();
            }
            let Estimate { series, samples, bytes } = sum;
            Ok(v1::EstimateResponse { header: header(released_at), series, samples, bytes })
        })
        .await
    }

    pub(crate) async fn run_series(
        &self,
        request: v1::SeriesRequest,
    ) -> Result<Frames<v1::SeriesFrame>> {
        let scope = self.read_scope(request.scope.as_ref())?;
        let matchers = convert::read_matchers(&request.matchers)?;
        let limit = at_most(request.limit);
        let (released_at, series) = blocking("a series request", move || {
            Ok(unite(&scope, limit, |p| {
                let answer = p.series(&scope.tenant, &matchers, scope.range, limit);
                let values = answer.values.iter().map(convert::labels).collect();
                HeadAnswer { released_at: answer.released_at, values }
            }))
        })
        .await?;
        let (send, end, receive) = channel();
        tokio::spawn(async move {
            let mut frame = v1::SeriesFrame { header: header(released_at), labels: Vec::new() };
            let mut bytes = 0;
            for labels in series {
                bytes += labels.len();
                frame.labels.push(labels);
                if bytes >= FRAME_BYTES {
                    bytes = 0;
                    if send.send(Ok(std::mem::take(&mut frame))).await.is_err() {
                        return;
                    }
                }
            }
            if frame.header.is_some() || !frame.labels.is_empty() {
                let _ = send.send(Ok(frame)).await;
            }
            end.finish();
        });
        Ok(receive)
    }

    pub(crate) async fn run_label_names(
        &self,
        request: v1::LabelNamesRequest,
    ) -> Result<v1::LabelsResponse> {
        let scope = self.read_scope(request.scope.as_ref())?;
        let matchers = convert::read_matchers(&request.matchers)?;
        let limit = at_most(request.limit);
        blocking("a label names request", move || {
            let (released_at, values) = unite(&scope, limit, |p| {
                p.label_names(&scope.tenant, &matchers, scope.range, limit)
            });
            Ok(v1::LabelsResponse { header: header(released_at), values })
        })
        .await
    }

    pub(crate) async fn run_label_values(
        &self,
        request: v1::LabelValuesRequest,
    ) -> Result<v1::LabelsResponse> {
        let scope = self.read_scope(request.scope.as_ref())?;
        let matchers = convert::read_matchers(&request.matchers)?;
        let limit = at_most(request.limit);
        blocking("a label values request", move || {
            let (released_at, values) = unite(&scope, limit, |p| {
                p.label_values(&scope.tenant, &request.name, &matchers, scope.range, limit)
            });
            Ok(v1::LabelsResponse { header: header(released_at), values })
        })
        .await
    }

    pub(crate) async fn run_exemplars(
        &self,
        request: v1::ExemplarsRequest,
    ) -> Result<v1::ExemplarsResponse> {
        let scope = self.read_scope(request.scope.as_ref())?;
        let selectors = request
            .selectors
            .iter()
            .map(|set| convert::read_matchers(&set.matchers))
            .collect::<Result<Vec<_>, _>>()?;
        blocking("an exemplars request", move || {
            let mut released_at = 0;
            let mut series: BTreeMap<Labels, Vec<v1::Exemplar>> = BTreeMap::new();
            for partition in &scope.partitions {
                let answer = partition.exemplars(&scope.tenant, &selectors, scope.range)?;
                released_at = released_at.max(answer.released_at);
                for one in answer.values {
                    let exemplars = one.exemplars.iter().map(convert::exemplar);
                    series.entry(one.labels).or_default().extend(exemplars);
                }
            }
            let series = series
                .into_iter()
                .map(|(labels, exemplars)| v1::SeriesExemplars {
                    labels: convert::labels(&labels),
                    exemplars,
                })
                .collect();
            Ok(v1::ExemplarsResponse { header: header(released_at), series })
        })
        .await
    }

    pub(crate) async fn run_metadata(
        &self,
        request: v1::MetadataRequest,
    ) -> Result<v1::MetadataResponse> {
        let scope = self.read_scope(request.scope.as_ref())?;
        let limit = at_most(request.limit);
        blocking("a metadata request", move || {
            let metric = (!request.metric.is_empty()).then_some(request.metric.as_str());
            let (released_at, families) =
                unite(&scope, limit, |p| p.metadata(&scope.tenant, metric, limit));
            let metadata =
                families.iter().map(|f| convert::metadata(&f.metric, &f.metadata)).collect();
            Ok(v1::MetadataResponse { header: header(released_at), metadata })
        })
        .await
    }
}
