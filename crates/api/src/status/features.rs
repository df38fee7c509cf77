//! `/features`: what clients may use, under the names that Prometheus gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use varve_promql::functions;

use crate::reply::success;
use crate::routes::QueryState;

/// Operators and aggregations of the language that are no experiments.
const OPERATORS: [&str; 33] = [
    "!=",
    "!~",
    "%",
    "*",
    "+",
    "-",
    "/",
    "</",
    "<",
    "<=",
    "==",
    "=~",
    ">",
    ">/",
    ">=",
    "@",
    "^",
    "and",
    "atan2",
    "or",
    "unless",
    "avg",
    "bottomk",
    "count",
    "count_values",
    "group",
    "max",
    "min",
    "quantile",
    "stddev",
    "stdvar",
    "sum",
    "topk",
];

type Features = BTreeMap<&'static str, BTreeMap<&'static str, bool>>;

pub(crate) async fn features(State(state): State<Arc<QueryState>>) -> Response {
    let engine = state.querier.engine_options();
    let options = engine.parse;
    let experimental = options.experimental_functions;
    let mut all = Features::from([
        (
            "api",
            BTreeMap::from([
                ("admin", false),
                ("exclude_alerts", true),
                ("label_values_match", true),
                ("lifecycle", false),
                ("openapi_3.1", true),
                ("openapi_3.2", false),
                ("otlp_write_receiver", false),
                ("query_stats", true),
                ("query_warnings", true),
                ("remote_write_receiver", true),
                ("search", false),
                ("time_range_labels", true),
                ("time_range_series", true),
            ]),
        ),
        (
            "promql",
            BTreeMap::from([
                ("anchored", options.extended_range_selectors),
                ("at_modifier", true),
                ("bool", true),
                ("by", true),
                ("delayed_name_removal", engine.delayed_name_removal),
                ("duration_expr", options.duration_expr),
                ("fill", options.binop_fill),
                ("fill_left", options.binop_fill),
                ("fill_right", options.binop_fill),
                ("group_left", true),
                ("group_right", true),
                ("ignoring", true),
                ("negative_offset", true),
                ("offset", true),
                ("on", true),
                ("per_query_lookback_delta", true),
                ("smoothed", options.extended_range_selectors),
                ("subqueries", true),
                ("type_and_unit_labels", engine.type_and_unit_labels),
                ("without", true),
            ]),
        ),
        ("tsdb", BTreeMap::from([("exemplar_storage", true), ("native_histograms", true)])),
    ]);
    let mut operators: BTreeMap<_, _> = OPERATORS.iter().map(|o| (*o, true)).collect();
    operators.extend([("limitk", experimental), ("limit_ratio", experimental)]);
    all.insert("promql_operators", operators);
    let function = |f: &functions::Function| (f.name, !f.experimental || experimental);
    all.insert("promql_functions", functions::all().iter().map(function).collect());
    let json = serde_json::to_string(&all).unwrap_or_default();
    success(|out| out.push_str(&json))
}
