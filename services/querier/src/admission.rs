//! Who may run now: a bounded number of queries at once, tenants by turns, and
//! a bounded number that wait.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use varve_api::QueryError;
use varve_model::{ErrorKind, TenantId};

/// Lets queries in.
#[derive(Debug)]
pub(crate) struct Admission {
    max_per_tenant: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    outstanding: HashMap<TenantId, usize>,
    /// Tenants that have somebody waiting, the next one first.
    turns: VecDeque<TenantId>,
    waiting: HashMap<TenantId, VecDeque<oneshot::Sender<()>>>,
}

/// A query that runs; dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Admitted {
    admission: Arc<Admission>,
    tenant: TenantId,
    running: bool,
}

impl Admission {
    pub(crate) fn new(max_concurrent: usize, max_per_tenant: usize) -> Arc<Self> {
        let state = State {
            free: max_concurrent.max(1),
            outstanding: HashMap::new(),
            turns: VecDeque::new(),
            waiting: HashMap::new(),
        };
        Arc::new(Self { max_per_tenant, state: Mutex::new(state) })
    }

    /// Waits for this tenant's turn.
    ///
    /// # Errors
    /// When the tenant has too many queries outstanding already.
    pub(crate) async fn enter(self: &Arc<Self>, tenant: &TenantId) -> Result<Admitted, QueryError> {
        let wait = self.begin(tenant)?;
        // From here on the place is given back whatever happens.
        let mut admitted =
            Admitted { admission: Arc::clone(self), tenant: tenant.clone(), running: false };
        if let Some(turn) = wait {
            // The sender is dropped only together with the state.
            let _ = turn.await;
        }
        admitted.running = true;
        Ok(admitted)
    }

    fn begin(&self, tenant: &TenantId) -> Result<Option<oneshot::Receiver<()>>, QueryError> {
        let mut state = self.state.lock();
        let outstanding = state.outstanding.entry(tenant.clone()).or_default();
        if *outstanding >= self.max_per_tenant {
            let text = format!(
                "tenant {tenant} has {outstanding} queries outstanding, the limit is {} (setting querier.max_outstanding_per_tenant)",
                self.max_per_tenant
            );
            return Err(QueryError::new(ErrorKind::Unavailable, text));
        }
        *outstanding += 1;
        if state.free > 0 {
            state.free -= 1;
            return Ok(None);
        }
        let (send, receive) = oneshot::channel();
        let queue = state.waiting.entry(tenant.clone()).or_default();
        queue.push_back(send);
        if queue.len() == 1 {
            state.turns.push_back(tenant.clone());
        }
        Ok(Some(receive))
    }
}

impl State {
    /// Hands a free place to the tenant whose turn it is. A waiter that went
    /// away is passed over.
    fn next(&mut self) {
        while let Some(tenant) = self.turns.pop_front() {
            let Some(queue) = self.waiting.get_mut(&tenant) else { continue };
            let first = queue.pop_front();
            if queue.is_empty() {
                self.waiting.remove(&tenant);
            } else {
                self.turns.push_back(tenant);
            }
            if first.is_some_and(|waiter| waiter.send(()).is_ok()) {
                return;
            }
        }
        self.free += 1;
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut state = self.admission.state.lock();
        if let Some(n) = state.outstanding.get_mut(&self.tenant) {
            *n -= 1;
            if *n == 0 {
                state.outstanding.remove(&self.tenant);
            }
        }
        if self.running {
            state.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(id: &str) -> TenantId {
        TenantId::new(id).expect("valid")
    }

    #[tokio::test]
    async fn tenants_take_turns_and_too_many_are_refused() {
        let admission = Admission::new(1, 3);
        let running = admission.enter(&tenant("a")).await.expect("free");
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for id in ["a", "a", "b"] {
            let (admission, order) = (Arc::clone(&admission), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let _place = admission.enter(&tenant(id)).await.expect("waits");
                order.lock().push(id);
            }));
            tokio::task::yield_now().await;
        }
        let refused = admission.enter(&tenant("a")).await.expect_err("a fourth");
        assert!(refused.message.contains("max_outstanding_per_tenant"), "{refused}");
        drop(running);
        for task in tasks {
            task.await.expect("ran");
        }
        assert_eq!(*order.lock(), ["a", "b", "a"]);
        assert!(admission.state.lock().outstanding.is_empty());
        assert_eq!(admission.state.lock().free, 1);
    }

    #[tokio::test]
    async fn a_waiter_that_leaves_loses_no_place() {
        let admission = Admission::new(1, 10);
        let running = admission.enter(&tenant("a")).await.expect("free");
        let waiter = {
            let admission = Arc::clone(&admission);
            tokio::spawn(async move { admission.enter(&tenant("b")).await.map(drop) })
        };
        tokio::task::yield_now().await;
        waiter.abort();
        let _ = waiter.await;
        drop(running);
        admission.enter(&tenant("c")).await.expect("the place is free again");
    }
}
