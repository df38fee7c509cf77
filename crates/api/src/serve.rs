//! Serving the routes on a listener.

use axum::Router;
use tokio::net::TcpListener;

use crate::lenient::Lenient;

/// Serves until `shutdown` resolves, then takes no more connections and lets
/// requests under way finish.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(Lenient(listener), router).with_graceful_shutdown(shutdown).await
}
