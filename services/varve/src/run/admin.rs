//! The process as operators see it: ready or not, its configuration, and
//! shipping by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use varve_api::{Admin, QueryError};
use varve_cluster::{Pool, Topology};
use varve_model::ErrorKind;
use varve_wire::v1;
use varve_wire::v1::ingest_client::IngestClient;

/// What the operating routes ask.
pub(crate) struct ProcessAdmin {
    pub(crate) config_yaml: String,
    pub(crate) topology: Arc<Topology>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) ready: AtomicBool,
}

#[async_trait]
impl Admin for ProcessAdmin {
    async fn ready(&self) -> Result<(), String> {
        if self.ready.load(Ordering::Acquire) {
            Ok(())
        } else {
            Err("roles are starting or stopping".to_owned())
        }
    }

    fn config_yaml(&self) -> String {
        self.config_yaml.clone()
    }

    async fn ship(&self) -> Result<Vec<String>, QueryError> {
        let calls = self.topology.ingesters().into_iter().map(|(address, partitions)| async move {
            let failed = |what: String| {
                QueryError::new(ErrorKind::Unavailable, format!("ingester {address}: {what}"))
            };
            let channel = self.pool.channel(address).map_err(|e| failed(e.to_string()))?;
            let answer = IngestClient::new(channel)
                .ship(v1::ShipRequest { partitions })
                .await
                .map_err(|s| failed(s.message().to_owned()))?;
            Ok(answer.into_inner().blocks)
        });
        Ok(futures::future::try_join_all(calls).await?.concat())
    }
}
