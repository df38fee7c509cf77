//! An object store with toxics: failures, delays, answers that get lost,
//! outages, and gates that hold a request back until a test lets it go.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::{Semaphore, oneshot};

/// Wraps a store. Clones share the toxics and the store.
#[derive(Clone)]
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    state: Arc<std::sync::Mutex<Toxics>>,
}

#[derive(Default)]
struct Toxics {
    calls: u64,
    writes: u64,
    fail_every: u64,
    lose_every: u64,
    delay: Duration,
    outage: bool,
    gates: VecDeque<Held>,
    log: Vec<String>,
    counts: BTreeMap<String, u64>,
}

/// A gate that waits for its request.
struct Held {
    what: What,
    arrived: oneshot::Sender<()>,
    open: Arc<Semaphore>,
}

/// The request that a gate waits for.
enum What {
    /// A write to a path that contains this.
    Write(String),
    /// A call whose `operation path` contains this.
    Call(String),
    /// The one after so many others.
    After(u64),
}

impl What {
    fn is(&mut self, call: &str, path: &str, write: bool) -> bool {
        match self {
            Self::Write(part) => write && path.contains(part.as_str()),
            Self::Call(part) => call.contains(part.as_str()),
            Self::After(0) => true,
            Self::After(more) => {
                *more -= 1;
                false
            }
        }
    }
}

/// Holds the first request that it is for, before it happens.
pub struct Gate {
    arrived: Option<oneshot::Receiver<()>>,
    open: Arc<Semaphore>,
}

impl Gate {
    /// Waits until the write stands at the gate.
    pub async fn arrived(&mut self) {
        if let Some(arrived) = self.arrived.take() {
            let _ = arrived.await;
        }
    }

    /// Lets the write happen.
    pub fn open(&self) {
        self.open.add_permits(1);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

/// What a call has to suffer.
enum Fate {
    Pass,
    /// Nothing happens and an error is told.
    Fail,
    /// It happens and an error is told.
    Lose,
}

impl FaultyStore {
    /// A store without any toxic yet.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, state: Arc::default() }
    }

    /// Lets every `n`-th call fail without effect; 0 = none.
    pub fn fail_every(&self, n: u64) {
        self.toxics().fail_every = n;
    }

    /// Lets every `n`-th write happen, but report a failure; 0 = none.
    pub fn lose_every(&self, n: u64) {
        self.toxics().lose_every = n;
    }

    /// Delays every call.
    pub fn delay(&self, delay: Duration) {
        self.toxics().delay = delay;
    }

    /// Lets every call fail until it is switched off.
    pub fn outage(&self, on: bool) {
        self.toxics().outage = on;
    }

    /// Holds the next write to a path that contains `part`.
    pub fn hold(&self, part: &str) -> Gate {
        self.gate(What::Write(part.to_owned()))
    }

    /// Holds the next call whose `operation path` contains `part`.
    pub fn hold_call(&self, part: &str) -> Gate {
        self.gate(What::Call(part.to_owned()))
    }

    /// Holds the `n`-th call from now on, counted from 1.
    pub fn hold_nth(&self, n: u64) -> Gate {
        self.gate(What::After(n.saturating_sub(1)))
    }

    fn gate(&self, what: What) -> Gate {
        let (arrived, receiver) = oneshot::channel();
        let open = Arc::new(Semaphore::new(0));
        let held = Held { what, arrived, open: open.clone() };
        self.toxics().gates.push_back(held);
        Gate { arrived: Some(receiver), open }
    }

    /// How many calls of each operation there were since the last time. A
    /// `put` is any write of an object, whether it may overwrite or not.
    pub fn take_counts(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.toxics().counts)
    }

    /// The calls since the last time, each as `operation path`.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.toxics().log)
    }

    fn toxics(&self) -> std::sync::MutexGuard<'_, Toxics> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn suffer(&self, operation: &str, path: &str, write: bool) -> Result<Fate> {
        let (fate, delay, gate) = {
            let mut toxics = self.toxics();
            toxics.log.push(format!("{operation} {path}"));
            *toxics.counts.entry(operation.to_owned()).or_default() += 1;
            toxics.calls += 1;
            toxics.writes += u64::from(write);
            let nth = |n: u64, count: u64| n > 0 && count.is_multiple_of(n);
            let fate = if toxics.outage || nth(toxics.fail_every, toxics.calls) {
                Fate::Fail
            } else if write && nth(toxics.lose_every, toxics.writes) {
                Fate::Lose
            } else {
                Fate::Pass
            };
            let call = format!("{operation} {path}");
            let at = toxics.gates.iter_mut().position(|g| g.what.is(&call, path, write));
            let gate = at.and_then(|at| toxics.gates.remove(at));
            (fate, toxics.delay, gate)
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if let Some(gate) = gate {
            let _ = gate.arrived.send(());
            // The gate's owner never closes the semaphore.
            let _ = gate.open.acquire().await;
        }
        match fate {
            Fate::Fail => Err(fault(operation, path)),
            other => Ok(other),
        }
    }
}

fn fault(operation: &str, path: &str) -> Error {
    Error::Generic { store: "faulty", source: format!("fault at {operation} {path}").into() }
}

/// The outcome of a write that happened, unless it got lost.
fn told<T>(fate: &Fate, result: Result<T>, operation: &str, path: &Path) -> Result<T> {
    match fate {
        Fate::Lose => Err(fault(operation, path.as_ref())),
        _ => result,
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let fate = self.suffer("put", location.as_ref(), true).await?;
        told(&fate, self.inner.put_opts(location, payload, opts).await, "put", location)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.suffer("upload", location.as_ref(), false).await?;
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let operation = if options.head { "head" } else { "get" };
        self.suffer(operation, location.as_ref(), false).await?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .then(move |location| {
                let store = store.clone();
                async move {
                    use object_store::ObjectStoreExt;
                    let location = location?;
                    let fate = store.suffer("delete", location.as_ref(), true).await?;
                    let done = store.inner.delete(&location).await;
                    told(&fate, done, "delete", &location)?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, owned) = (self.clone(), prefix.cloned());
        futures::stream::once(async move {
            let path = owned.as_ref().map_or("", |p| p.as_ref());
            match store.suffer("list", path, false).await {
                Ok(_) => store.inner.list(owned.as_ref()),
                Err(error) => futures::stream::once(async { Err(error) }).boxed(),
            }
        })
        .flatten()
        .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.suffer("list", prefix.map_or("", |p| p.as_ref()), false).await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let fate = self.suffer("copy", to.as_ref(), true).await?;
        told(&fate, self.inner.copy_opts(from, to, options).await, "copy", to)
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty {}", self.inner)
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
