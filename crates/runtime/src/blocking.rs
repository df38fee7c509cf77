//! Work that may block: file work, and codecs that take long.

use tokio::task::JoinHandle;

/// Runs work on a thread that may block, as tokio's function of this name
/// does. In a simulation (see `Steps`) the caller's thread waits for it.
pub fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    #[cfg(feature = "failpoints")]
    if let Some(steps) = crate::steps::Steps::of_this_thread() {
        return steps.spawn_blocking(work);
    }
    tokio::task::spawn_blocking(work)
}
