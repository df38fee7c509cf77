//! Reading ahead: a query's selectors are evaluated one after the other, but
//! what the later ones read can come while the first is at work.

use super::context::Context;
use crate::plan::Plan;
use crate::source::{SelectHints, SelectRequest};

/// Selectors, beside the first, that are read for from the beginning.
const AHEAD: usize = 3;

/// Tells the source of the selectors that come after the first.
pub(crate) fn begin(ctx: &Context<'_>, plan: &Plan) {
    for leaf in plan.leaves().iter().skip(1).take(AHEAD) {
        let (budget, reads) = (ctx.ledger.of(leaf.part), ctx.reads(leaf.part));
        let (matchers, range, hints) = (leaf.matchers.to_vec(), leaf.range, SelectHints::default());
        let uses = ctx.uses(leaf.part);
        ctx.source.ahead(SelectRequest { matchers, range, hints, budget, reads, uses });
    }
}
