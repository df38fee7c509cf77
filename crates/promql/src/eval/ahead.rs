//! Reading ahead: a query's selectors are evaluated one after the other, but
//! what the later ones read can come while the first is at work.

use super::context::Context;
use crate::plan::{Leaf, Plan};
use crate::source::{SelectHints, SelectRequest};

/// Selectors, beside the first, that are read for from the beginning.
const AHEAD: usize = 3;

/// Tells the source of the selectors that come after the first and ask for
/// something else.
pub(crate) fn begin(ctx: &Context<'_>, plan: &Plan) {
    let leaves = plan.leaves();
    let Some((first, others)) = leaves.split_first() else { return };
    let differs = |leaf: &&Leaf<'_>| leaf.range != first.range || leaf.matchers != first.matchers;
    for leaf in others.iter().filter(differs).take(AHEAD) {
        let (budget, reads) = (ctx.ledger.of(leaf.part), ctx.reads(leaf.part));
        let (matchers, range, hints) = (leaf.matchers.to_vec(), leaf.range, SelectHints::default());
        let uses = ctx.uses(leaf.part);
        ctx.source.ahead(SelectRequest { matchers, range, hints, budget, reads, uses });
    }
}
