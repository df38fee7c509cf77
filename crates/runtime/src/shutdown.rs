//! Ordered shutdown: components register by name and stage, wait for their
//! stage, clean up, and complete; later stages wait for earlier ones.
//!
//! Stage 0 stops first (the listeners), higher stages later (what they fed).
//! Every five seconds the log names who is still pending.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The process' shutdown, held by the binary.
#[derive(Clone, Default)]
pub struct Shutdown {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    stages: Mutex<BTreeMap<u8, Stage>>,
    completed: Notify,
    requested: CancellationToken,
}

#[derive(Default)]
struct Stage {
    token: CancellationToken,
    pending: Vec<&'static str>,
}

/// One component's part in the shutdown; dropping it completes the part.
pub struct ShutdownToken {
    inner: Arc<Inner>,
    stage: u8,
    name: &'static str,
    token: CancellationToken,
}

impl Shutdown {
    /// A shutdown that nobody has asked for.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a component. Its token is cancelled once all lower stages have completed.
    pub fn register(&self, stage: u8, name: &'static str) -> ShutdownToken {
        let mut stages = self.inner.stages.lock();
        let entry = stages.entry(stage).or_default();
        entry.pending.push(name);
        let token = entry.token.clone();
        ShutdownToken { inner: Arc::clone(&self.inner), stage, name, token }
    }

    /// Asks for the shutdown, from anywhere (a signal, a fatal error).
    pub fn request(&self) {
        self.inner.requested.cancel();
    }

    /// Waits until somebody asks for the shutdown.
    pub async fn requested(&self) {
        self.inner.requested.cancelled().await;
    }

    /// Stops stage after stage; gives up after `deadline`.
    ///
    /// Returns the names of those who were still pending, none when all is done.
    pub async fn run(&self, deadline: Duration) -> Vec<&'static str> {
        self.request();
        let numbers: Vec<u8> = self.inner.stages.lock().keys().copied().collect();
        let all = async {
            for stage in numbers {
                self.stop(stage).await;
            }
        };
        let _ = tokio::time::timeout(deadline, all).await;
        let stages = self.inner.stages.lock();
        stages.values().flat_map(|s| s.pending.iter().copied()).collect()
    }

    async fn stop(&self, stage: u8) {
        if let Some(s) = self.inner.stages.lock().get(&stage) {
            s.token.cancel();
        }
        loop {
            let completed = self.inner.completed.notified();
            let pending = self.pending(stage);
            if pending.is_empty() {
                return;
            }
            if tokio::time::timeout(Duration::from_secs(5), completed).await.is_err() {
                tracing::info!(stage, ?pending, "shutdown waits");
            }
        }
    }

    fn pending(&self, stage: u8) -> Vec<&'static str> {
        self.inner.stages.lock().get(&stage).map(|s| s.pending.clone()).unwrap_or_default()
    }
}

impl ShutdownToken {
    /// Waits until it is this component's turn to stop.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// Whether it is this component's turn to stop.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// A plain token for the tasks below this component.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Asks for the shutdown of the whole process (after a fatal error).
    pub fn request_shutdown(&self) {
        self.inner.requested.cancel();
    }
}

impl Drop for ShutdownToken {
    fn drop(&mut self) {
        if let Some(stage) = self.inner.stages.lock().get_mut(&self.stage)
            && let Some(i) = stage.pending.iter().position(|n| *n == self.name)
        {
            stage.pending.swap_remove(i);
        }
        self.inner.completed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stages_stop_in_order_and_laggards_are_named() {
        let shutdown = Shutdown::new();
        let order = Arc::new(Mutex::new(Vec::new()));
        for (stage, name) in [(1, "second"), (0, "first")] {
            let (token, order) = (shutdown.register(stage, name), Arc::clone(&order));
            tokio::spawn(async move {
                token.cancelled().await;
                order.lock().push(name);
            });
        }
        let stuck = shutdown.register(2, "stuck");
        let pending = shutdown.run(Duration::from_millis(200)).await;
        assert_eq!(*order.lock(), ["first", "second"]);
        assert_eq!(pending, ["stuck"]);
        assert!(stuck.is_cancelled());
    }
}
