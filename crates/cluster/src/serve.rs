//! Serving gRPC routes on a TCP listener or on the process' own network.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use varve_runtime::ShutdownToken;

use crate::LocalNetwork;

/// The largest gRPC message in bytes, either way. Streams are cut into far
/// smaller frames; only a single huge series can come near it.
pub const MAX_MESSAGE: usize = 256 << 20;

/// Calls under way on one connection. Peers share one connection for all
/// tenants, so it is no place to queue: who takes a call bounds its memory.
const MAX_STREAMS: u32 = 1 << 16;

fn server() -> Server {
    Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(16 << 20)
        .http2_keepalive_interval(Some(std::time::Duration::from_secs(10)))
}

/// Serves until the token is cancelled, then lets calls in flight finish.
///
/// # Errors
/// When the listener breaks.
pub async fn serve_tcp(
    listener: TcpListener,
    routes: Routes,
    token: ShutdownToken,
) -> Result<(), tonic::transport::Error> {
    // The server's own setting counts only for sockets that it opens itself.
    // Without it an answer of two segments waits 40 ms for the reader's ACK.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    server()
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, async { token.cancelled().await })
        .await
}

/// Serves the process' own network until the token is cancelled.
///
/// # Errors
/// When the network already has a listener's failure to report.
pub async fn serve_local(
    network: Arc<LocalNetwork>,
    routes: Routes,
    token: ShutdownToken,
) -> Result<(), tonic::transport::Error> {
    let Some(accept) = network.listen() else { return Ok(()) };
    let incoming = ReceiverStream::new(accept).map(Ok::<_, std::io::Error>);
    server()
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, async { token.cancelled().await })
        .await
}
