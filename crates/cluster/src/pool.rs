//! One gRPC channel an address, made on first use, shared by all callers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;
use varve_runtime::config::HumanDuration;

use crate::{Address, LocalNetwork};

/// How to talk to other processes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RpcConfig {
    /// How long to wait for a connection. Shorter finds a dead node sooner.
    pub connect_timeout: HumanDuration,
    /// How often to probe a silent connection; a probe unanswered for as long breaks it.
    pub keepalive: HumanDuration,
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            connect_timeout: HumanDuration::from_secs(2),
            keepalive: HumanDuration::from_secs(10),
        }
    }
}

/// All channels of a process.
pub struct Pool {
    config: RpcConfig,
    local: Arc<LocalNetwork>,
    channels: Mutex<HashMap<Address, Channel>>,
}

impl Pool {
    /// A pool without channels; `local` is where [`Address::Local`] leads.
    pub fn new(config: RpcConfig, local: Arc<LocalNetwork>) -> Self {
        Self { config, local, channels: Mutex::default() }
    }

    /// The channel to an address. It connects when it is used and reconnects
    /// by itself; calls fail as UNAVAILABLE while it cannot.
    ///
    /// # Errors
    /// When the address is not one that a URI can hold.
    pub fn channel(&self, address: &Address) -> Result<Channel, tonic::transport::Error> {
        let mut channels = self.channels.lock();
        if let Some(channel) = channels.get(address) {
            return Ok(channel.clone());
        }
        let channel = match address {
            Address::Local => self.local_channel(),
            Address::Remote(host) => self.endpoint(format!("http://{host}"))?.connect_lazy(),
        };
        channels.insert(address.clone(), channel.clone());
        Ok(channel)
    }

    fn endpoint(&self, uri: String) -> Result<Endpoint, tonic::transport::Error> {
        let keepalive: Duration = self.config.keepalive.0;
        Ok(Endpoint::from_shared(uri)?
            .connect_timeout(self.config.connect_timeout.0)
            .http2_keep_alive_interval(keepalive)
            .keep_alive_timeout(keepalive)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20)
            .tcp_nodelay(true))
    }

    fn local_channel(&self) -> Channel {
        let connect = self.local.connector();
        let endpoint = Endpoint::from_static("http://local")
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20);
        endpoint.connect_with_connector_lazy(service_fn(move |_| {
            let connect = connect.clone();
            async move { LocalNetwork::connect(connect).await.map(TokioIo::new) }
        }))
    }
}
