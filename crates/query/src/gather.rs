//! Asking every source the same question and closing the seam between them.

use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use varve_cluster::{Address, MAX_MESSAGE};
use varve_model::{ErrorKind, Matcher, TimeRange};
use varve_wire::v1::store_client::StoreClient;
use varve_wire::{convert, v1};

use crate::peer::Peer;
use crate::seam::{self, Seam};
use crate::{QueryError, Session};

/// What one source has answered.
pub(crate) struct Part<T> {
    /// Of a head: the version to which it last released data.
    pub released_at: u64,
    /// The answer.
    pub value: T,
}

/// A question: called once a source, with the scope that the source is to read.
pub(crate) type Ask<T> =
    Arc<dyn Fn(Peer, v1::Scope) -> BoxFuture<'static, Result<Part<T>, QueryError>> + Send + Sync>;

/// How often a read starts over because its pinned version was collected.
const ATTEMPTS: usize = 3;

impl Session {
    /// Asks all heads, and all blocks that may hold samples of `range` and
    /// series that fit `matchers`; returns everybody's answer.
    ///
    /// # Errors
    /// When any source does not answer: a read is complete or it fails.
    pub(crate) async fn gather<T: Send + 'static>(
        self: &Arc<Self>,
        range: TimeRange,
        matchers: &[Matcher],
        ask: Ask<T>,
    ) -> Result<Vec<T>, QueryError> {
        let begun = Instant::now();
        // the version is pinned before any head is asked.
        let mut snapshot = self.pin().await?;
        varve_runtime::failpoint!("query.between-pin-and-heads");
        let heads = self.ask_heads(&snapshot, range, &ask);
        let blocks = self.ask_blocks(&snapshot, range, matchers, &ask);
        let (heads, mut blocks) = futures::join!(heads, blocks);
        let heads = heads?;

        let released_at = heads.iter().map(|p| p.released_at).max().unwrap_or(0);
        if let Seam::PinAnew(version) = seam::check(snapshot.version(), released_at) {
            snapshot = self.pin_anew(version).await?;
            blocks = self.ask_blocks(&snapshot, range, matchers, &ask).await;
        }
        for _ in 1..ATTEMPTS {
            match &blocks {
                Err(e) if matches!(e.kind, ErrorKind::NotFound | ErrorKind::Conflict) => {
                    snapshot = self.pin_anew(snapshot.version() + 1).await?;
                    blocks = self.ask_blocks(&snapshot, range, matchers, &ask).await;
                }
                _ => break,
            }
        }
        let mut parts: Vec<T> = heads.into_iter().map(|p| p.value).collect();
        parts.extend(blocks?.into_iter().map(|p| p.value));
        self.cover(|c| c.complete = true);
        self.reader.metrics.gather_seconds.observe(begun.elapsed().as_secs_f64());
        Ok(parts)
    }

    /// Asks one source, within the call's time limit.
    pub(crate) async fn ask_one<T>(
        &self,
        (kind, address): (&'static str, &Address),
        scope: v1::Scope,
        ask: &Ask<T>,
    ) -> Result<Part<T>, QueryError> {
        let name = format!("{} {address}", kind.replace('_', "-"));
        let unavailable = |what: String| QueryError::new(ErrorKind::Unavailable, what);
        let channel =
            self.reader.pool.channel(address).map_err(|e| unavailable(format!("{name}: {e}")))?;
        let client = StoreClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let near = self.reader.near.clone().filter(|_| *address == Address::Local);
        let limit = self.reader.config.call_timeout.0;
        let answer = match tokio::time::timeout(limit, ask(Peer { client, near }, scope)).await {
            Ok(answer) => answer.map_err(|e| QueryError::new(e.kind, format!("{name}: {e}"))),
            Err(_) => Err(unavailable(format!(
                "{name}: no answer within {limit:?} (setting querier.reads.call_timeout)"
            ))),
        };
        let outcome = if answer.is_ok() { "ok" } else { "error" };
        self.reader.metrics.calls.with_label_values(&[kind, outcome]).inc();
        answer
    }

    pub(crate) fn scope(&self, range: TimeRange) -> v1::Scope {
        convert::scope(&self.tenant, range)
    }
}
