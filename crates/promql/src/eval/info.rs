//! `info`.
use super::context::Context;
use super::row::Batch;
use crate::engine::EngineError;
use crate::plan::{Info, Node};

/// Not there.
pub(crate) async fn info(_ctx: &Context<'_>, _node: &Node, _call: &Info) -> Result<Batch, EngineError> {
    Err(EngineError::unsupported("function info()"))
}
