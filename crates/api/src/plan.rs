//! A plan as JSON, for `explain` and `analyze`.

use serde_json::{Value, json};
use varve_promql::explain::{Cost, PlanNode};

/// A part, with its parts.
pub(crate) fn render(node: &PlanNode) -> Value {
    let mut out = json!({
        "operator": node.operator,
        "text": node.text,
        "start": node.span.start,
        "end": node.span.end,
        "steps": node.steps,
        "estimated": cost(&node.estimated),
    });
    if let Some(measured) = &node.measured {
        out["measured"] = cost(measured);
    }
    out["parts"] = node.parts.iter().map(render).collect();
    out
}

fn cost(cost: &Cost) -> Value {
    let Cost { series, samples, bytes, requests, memory, seconds } = cost;
    json!({
        "series": series,
        "samples": samples,
        "bytes": bytes,
        "requests": requests,
        "memoryBytes": memory,
        "seconds": seconds,
    })
}
