//! Serving the routes on a listener.

use axum::Router;
use tokio::net::TcpListener;

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
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}
