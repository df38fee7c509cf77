//! Asking the store-gateways: every block once.
//!
//! Any gateway can read any block. Rendezvous hashing only decides whose
//! cache is likely to have it; when that gateway does not answer, the next in
//! order is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::future;
use varve_block::BlockEntry;
use varve_bucket::Snapshot;
use varve_cluster::{Address, rendezvous};
use varve_model::{ErrorKind, Matcher, TimeRange};
use varve_wire::v1;

use crate::gather::{Ask, Part};
use crate::{QueryError, Session};

impl Session {
    pub(crate) async fn ask_blocks<T>(
        self: &Arc<Self>,
        snapshot: &Snapshot,
        range: TimeRange,
        matchers: &[Matcher],
        ask: &Ask<T>,
    ) -> Result<Vec<Part<T>>, QueryError> {
        let mut left: Vec<BlockEntry> = snapshot.blocks(range).await?;
        left.retain(|b| b.may_match(matchers, &range));
        let all = left.len() as u64;
        let gateways = self.reader.topology.store_gateways();
        let names: Vec<String> = gateways.iter().map(Address::to_string).collect();

        let mut parts = Vec::new();
        let mut failed = None;
        for preference in 0..gateways.len() {
            if left.is_empty() {
                break;
            }
            let mut groups: BTreeMap<usize, Vec<BlockEntry>> = BTreeMap::new();
            for block in left.drain(..) {
                let choice = rendezvous(&block.id.to_bytes(), &names)[preference];
                let at = names.iter().position(|n| n == choice).unwrap_or(0);
                groups.entry(at).or_default().push(block);
            }
            let calls = groups.into_iter().map(|(at, blocks)| async move {
                let answer = match self.scope_of(range, &blocks) {
                    Ok(scope) => self.ask_one(("store_gateway", &gateways[at]), scope, ask).await,
                    Err(e) => Err(e),
                };
                (blocks, answer)
            });
            for (blocks, answer) in future::join_all(calls).await {
                match answer {
                    Ok(part) => parts.push(part),
                    Err(e) if e.kind.is_retryable() => {
                        left.extend(blocks);
                        failed = Some(e);
                    }
                    Err(e) => return Err(e),
                }
            }
        }
        match failed.filter(|_| !left.is_empty()) {
            Some(e) => Err(e),
            None => {
                self.cover(|c| c.blocks = c.blocks.max(all));
                Ok(parts)
            }
        }
    }

    fn scope_of(&self, range: TimeRange, blocks: &[BlockEntry]) -> Result<v1::Scope, QueryError> {
        let entry = |b: &BlockEntry| {
            serde_json::to_vec(b)
                .map(Bytes::from)
                .map_err(|e| QueryError::new(ErrorKind::Internal, format!("name block: {e}")))
        };
        let blocks = blocks.iter().map(entry).collect::<Result<_, _>>()?;
        Ok(v1::Scope { blocks, ..self.scope(range) })
    }
}
