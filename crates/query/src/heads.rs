//! Asking the ingesters: each once, for all partitions that it hosts.

use std::sync::Arc;

use futures::future;
use varve_bucket::Snapshot;
use varve_model::TimeRange;
use varve_wire::v1;

use crate::gather::{Ask, Part};
use crate::{QueryError, Session};

impl Session {
    pub(crate) async fn ask_heads<T>(
        self: &Arc<Self>,
        snapshot: &Snapshot,
        range: TimeRange,
        ask: &Ask<T>,
    ) -> Result<Vec<Part<T>>, QueryError> {
        let topology = Arc::clone(&self.reader.topology);
        let calls = topology.ingesters().into_iter().map(|(address, partitions)| {
            let scope = v1::Scope {
                partitions: partitions.clone(),
                beside_version: snapshot.version(),
                ..self.scope(range)
            };
            async move {
                let part = self.ask_one(("ingester", address), scope, ask).await?;
                self.cover(|c| c.partitions.extend(partitions));
                Ok(part)
            }
        });
        future::try_join_all(calls).await
    }
}
