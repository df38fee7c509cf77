//! When two answers to a query are equal: status, error and its type, result,
//! order where the language promises one, warnings and infos with their
//! positions. docs/decisions/0006-equal-answers.md says what equal values are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use varve_promql::ast::{AggregateOp, Expr, ExprKind};

use crate::compare::close;
use crate::http::Response;

/// What the order of an instant vector must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Any.
    Free,
    /// Values in order; equal ones as they come.
    Values,
    /// Series in order.
    Series,
}

impl Order {
    /// The order that an expression promises.
    pub fn of(expr: &Expr) -> Self {
        match &expr.kind {
            ExprKind::Paren(inner) => Self::of(inner),
            ExprKind::Call(call) => match call.func.name {
                "sort" | "sort_desc" => Self::Values,
                "sort_by_label" | "sort_by_label_desc" => Self::Series,
                _ => Self::Free,
            },
            ExprKind::Aggregate(a) if matches!(a.op, AggregateOp::Topk | AggregateOp::Bottomk) => {
                if a.grouping.is_empty() && !a.without {
                    Self::Values
                } else {
                    Self::Free
                }
            }
            _ => Self::Free,
        }
    }
}

/// Why two answers are not equal.
#[derive(Clone, Debug)]
pub struct Difference {
    /// For people.
    pub what: String,
    /// The cells that differ, when both are results; else none.
    cells: Option<Vec<Cell>>,
    /// Whether they differ in nothing but their order.
    order: bool,
    /// Whether they differ in nothing but warnings or infos.
    notes: bool,
}

/// A part of a result: series, time, and which number there.
type Cell = (String, String, String);

/// What a cell holds.
type Cells = BTreeMap<Cell, String>;

fn differs<T>(what: impl Into<String>) -> Result<T, Difference> {
    Err(Difference { what: what.into(), cells: None, order: false, notes: false })
}

/// Whether `ours` is what the judge says.
///
/// # Errors
/// The first difference, for people, and all cells in which results differ.
pub fn same(ours: &Response, judge: &Response, order: Order) -> Result<(), Difference> {
    if ours.status == judge.status && ours.body == judge.body && judge.status != 0 {
        return Ok(());
    }
    let (a, b) = (ours.json(), judge.json());
    if a.is_null() || b.is_null() {
        return differs(format!(
            "no JSON: {}, {:?} against {}, {:?}",
            ours.status, ours.body, judge.status, judge.body
        ));
    }
    let error = |r: &Response, v: &Value| match v["status"].as_str() {
        Some("success") => "an answer".to_owned(),
        _ => format!("{} {} {}", r.status, v["errorType"], rounded(&v["error"].to_string())),
    };
    let (mine, theirs) = (error(ours, &a), error(judge, &b));
    if mine != theirs {
        return differs(format!("{mine}\n  against {theirs}"));
    }
    if a["data"]["resultType"] != b["data"]["resultType"] {
        return differs(format!("{} against {}", a["data"]["resultType"], b["data"]["resultType"]));
    }
    same_cells(&a["data"], &b["data"])?;
    same_order(&a["data"], &b["data"], order)?;
    for kind in ["warnings", "infos"] {
        let (mine, theirs) = (notes(&a[kind]), notes(&b[kind]));
        if mine != theirs {
            let what = format!("{kind} {mine:#?}\n  against {theirs:#?}");
            return Err(Difference { what, cells: None, order: false, notes: true });
        }
    }
    Ok(())
}

/// Annotations in order. Of more than ten the judge shows any ten.
fn notes(list: &Value) -> Vec<String> {
    let list = list.as_array().map_or(&[][..], Vec::as_slice);
    let mut all: Vec<String> = list.iter().filter_map(|v| v.as_str().map(rounded)).collect();
    if let Some(omitted) = all.iter().find(|a| a.contains("annotations omitted")) {
        return vec![omitted.clone()];
    }
    all.sort();
    all
}

fn same_cells(ours: &Value, judge: &Value) -> Result<(), Difference> {
    let (mine, theirs) = (cells(ours), cells(judge));
    let mut all: Vec<&Cell> = mine.keys().chain(theirs.keys()).collect();
    all.sort();
    all.dedup();
    let differ = |cell: &&Cell| !close_cells(mine.get(*cell), theirs.get(*cell));
    let found: Vec<Cell> = all.iter().copied().filter(differ).cloned().collect();
    if found.is_empty() {
        return Ok(());
    }
    let show = |cell: &Cell| {
        let show = |v: Option<&String>| v.map_or("nothing", |v| v.as_str()).to_owned();
        let (series, time, part) = cell;
        let (mine, theirs) = (show(mine.get(cell)), show(theirs.get(cell)));
        format!("\n  {series} at {time} {part}: {mine} against {theirs}")
    };
    let first: String = found.iter().take(4).map(show).collect();
    let what = format!("{} of {} cells{first}", found.len(), all.len());
    Err(Difference { what, cells: Some(found), order: false, notes: false })
}

fn close_cells(a: Option<&String>, b: Option<&String>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a == b || close(a, b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// Every number of a result by where it stands.
fn cells(data: &Value) -> Cells {
    let mut all = Cells::new();
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let mut point = |series: &str, p: &Value| {
        let (time, value) = (p[0].to_string(), &p[1]);
        let key = |part: String| (series.to_owned(), time.clone(), part);
        if let Value::Object(histogram) = value {
            for part in ["count", "sum"] {
                all.insert(key(part.to_owned()), text(&histogram[part]));
            }
            let buckets = histogram.get("buckets").and_then(Value::as_array);
            for b in buckets.into_iter().flatten() {
                let part = format!("bucket {} {} {}", b[0], text(&b[1]), text(&b[2]));
                all.insert(key(part), text(&b[3]));
            }
        } else {
            all.insert(key(String::new()), text(value));
        }
    };
    let result = &data["result"];
    match data["resultType"].as_str() {
        Some("scalar" | "string") => point("", result),
        _ => {
            for series in result.as_array().into_iter().flatten() {
                let name = name(&series["metric"]);
                for one in ["value", "histogram"] {
                    if !series[one].is_null() {
                        point(&name, &series[one]);
                    }
                }
                for many in ["values", "histograms"] {
                    series[many].as_array().into_iter().flatten().for_each(|p| point(&name, p));
                }
            }
        }
    }
    all
}

/// A series' labels. Numbers that a label holds (`count_values` puts them
/// there, those of a histogram among text) are compared as numbers, too.
fn name(metric: &Value) -> String {
    let mut metric = metric.clone();
    for label in metric.as_object_mut().into_iter().flat_map(|m| m.values_mut()) {
        if let Some(text) = label.as_str().filter(|v| v.len() > 12) {
            *label = Value::String(rounded(text));
        }
    }
    metric.to_string()
}

/// A text with its long numbers rounded.
fn rounded(text: &str) -> String {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    let (mut out, mut rest) = (String::new(), text);
    while !rest.is_empty() {
        let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        match word.parse::<f64>() {
            Ok(number) if word.len() > 12 => out.push_str(&format!("{number:.11e}")),
            _ => out.push_str(word),
        }
        let other = after.find(part).unwrap_or(after.len());
        out.push_str(&after[..other]);
        rest = &after[other..];
    }
    out
}

fn same_order(ours: &Value, judge: &Value, order: Order) -> Result<(), Difference> {
    let list = |data: &Value, key: &str| -> Vec<String> {
        let result = data["result"].as_array();
        let shown = |s: &Value| match &s[key] {
            metric @ Value::Object(_) => name(metric),
            Value::Array(point) => point[1].as_str().unwrap_or_default().to_owned(),
            other => other.to_string(),
        };
        result.into_iter().flatten().map(shown).collect()
    };
    let matrix = judge["resultType"] == "matrix";
    let key = match (matrix, order) {
        (true, _) | (false, Order::Series) => "metric",
        (false, Order::Values) => "value",
        (false, Order::Free) => return Ok(()),
    };
    let (mine, theirs) = (list(ours, key), list(judge, key));
    let equal = mine.len() == theirs.len()
        && mine.iter().zip(&theirs).all(|(a, b)| a == b || key == "value" && close(a, b));
    if equal {
        return Ok(());
    }
    let what = format!("order {mine:?}\n  against {theirs:?}");
    Err(Difference { what, cells: None, order: true, notes: false })
}

/// Whether the difference between `ours` and the judge's answer lies within
/// the spread that other judges show, who were given the same data in another
/// order and moved by one unit in the last place.
pub fn within_spread(
    ours: &Response,
    judge: &Response,
    jury: &[Response],
    order: Order,
    difference: &Difference,
) -> bool {
    if jury.iter().any(|j| same(ours, j, order).is_ok()) {
        return true;
    }
    // Which of several duplicates is named is chance where the judge goes
    // through a hash map: then it names another one when asked again.
    let duplicates = |r: &Response| r.body.contains("found duplicate series");
    if duplicates(ours) && duplicates(judge) && jury.iter().any(|j| j.body != judge.body) {
        return true;
    }
    // An order that is another one where the judge met the series in another
    // order is not one that the values have.
    let by_chance = |j: &Response| same(j, judge, order).is_err_and(|d| d.order);
    if difference.order && jury.iter().any(by_chance) {
        return true;
    }
    if difference.notes {
        return notes_within(ours, judge, jury);
    }
    let Some(differing) = &difference.cells else { return false };
    let mine = cells(&ours.json()["data"]);
    let theirs: Vec<Cells> =
        std::iter::once(judge).chain(jury).map(|r| cells(&r.json()["data"])).collect();
    differing.iter().all(|cell| {
        let theirs: Vec<Option<&String>> = theirs.iter().map(|c| c.get(cell)).collect();
        let value = mine.get(cell);
        theirs.iter().any(|t| close_cells(value, *t)) || within(value, &theirs)
    })
}

/// Whether all warnings and infos that only one of the two answers has are such
/// as some answers of the judge have and others have not: what is said of a
/// comparison of two sums that are the same but for rounding. Positions are
/// left out, as moved expressions stand elsewhere.
fn notes_within(ours: &Response, judge: &Response, jury: &[Response]) -> bool {
    let said = |r: &Response| -> BTreeSet<String> {
        let json = r.json();
        let all = ["warnings", "infos"].map(|kind| notes(&json[kind]));
        all.into_iter().flatten().map(|n| unplaced(&n).to_owned()).collect()
    };
    let (mine, theirs) = (said(ours), said(judge));
    let all: Vec<BTreeSet<String>> = jury.iter().map(said).collect();
    let doubtful = |note: &String| {
        let told = |said: &BTreeSet<String>| said.contains(note) != theirs.contains(note);
        all.iter().any(told)
    };
    mine != theirs && mine.symmetric_difference(&theirs).all(doubtful)
}

/// An annotation without where it points to.
fn unplaced(note: &str) -> &str {
    note.rsplit_once(" (").map_or(note, |(text, _)| text)
}

/// Whether a number lies no further out than the others lie apart.
fn within(value: Option<&String>, others: &[Option<&String>]) -> bool {
    let number = |v: Option<&String>| v.and_then(|v| v.parse::<f64>().ok());
    let Some(value) = number(value).filter(|v| v.is_finite()) else { return false };
    let others: Vec<f64> =
        others.iter().filter_map(|v| number(*v)).filter(|v| v.is_finite()).collect();
    let low = others.iter().copied().fold(f64::INFINITY, f64::min);
    let high = others.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let width = high - low;
    width > 0.0 && value >= low - width && value <= high + width
}

/// Whether two answers of `topk`, `bottomk` or `limitk` differ only in which
/// of equal elements they took. `input` is the judge's answer to what they
/// chose from.
pub fn tie(op: AggregateOp, ours: &Response, judge: &Response, input: &Response) -> bool {
    let (a, b) = (ours.json(), judge.json());
    if a["status"] != "success" || b["status"] != "success" || input.status != 200 {
        return false;
    }
    let (mine, theirs) = (cells(&a["data"]), cells(&b["data"]));
    let from = cells(&input.json()["data"]);
    let taken = mine.iter().all(|(cell, v)| from.get(cell).is_some_and(|w| v == w || close(v, w)));
    let by_time = |cells: &Cells| {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for ((_, time, part), v) in cells {
            // Of a histogram its count stands for the whole.
            if op == AggregateOp::Limitk && !part.is_empty() && part != "count" {
                continue;
            }
            let v = if op == AggregateOp::Limitk { String::new() } else { v.clone() };
            all.entry(time.clone()).or_default().push(v);
        }
        all.values_mut().for_each(|v| v.sort());
        all
    };
    taken && by_time(&mine) == by_time(&theirs)
}

/// Whether two answers have samples at the same places.
pub fn same_places(a: &Response, b: &Response) -> bool {
    let places = |r: &Response| cells(&r.json()["data"]).into_keys().collect::<Vec<_>>();
    a.status == b.status && places(a) == places(b)
}

/// Whether there is any value in it.
pub fn has_data(answer: &Response) -> bool {
    answer.status == 200 && !cells(&answer.json()["data"]).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Response {
        Response { status, headers: Default::default(), body: body.to_owned() }
    }

    fn vector(values: &[(&str, &str)], rest: &str) -> Response {
        let list: Vec<String> = values
            .iter()
            .map(|(a, v)| format!("{{\"metric\":{{\"a\":\"{a}\"}},\"value\":[1,\"{v}\"]}}"))
            .collect();
        answer(
            200,
            &format!(
                "{{\"status\":\"success\",\"data\":{{\"resultType\":\"vector\",\"result\":[{}]}}{rest}}}",
                list.join(",")
            ),
        )
    }

    #[test]
    fn what_differs_is_found() {
        let base = vector(&[("x", "1"), ("y", "2")], ",\"infos\":[\"i (1:2)\",\"j\"]");
        let free = |other: &Response| same(&base, other, Order::Free).is_ok();
        assert!(free(&vector(
            &[("y", "2.0000000000001"), ("x", "1")],
            ",\"infos\":[\"j\",\"i (1:2)\"]"
        )));
        for other in [
            vector(&[("x", "1"), ("y", "2")], ",\"infos\":[\"i (1:3)\",\"j\"]"),
            vector(&[("x", "1"), ("y", "2")], ",\"warnings\":[\"i (1:2)\",\"j\"]"),
            vector(&[("x", "1"), ("y", "2.0001")], ",\"infos\":[\"i (1:2)\",\"j\"]"),
            vector(&[("x", "1")], ",\"infos\":[\"i (1:2)\",\"j\"]"),
            answer(422, "{\"status\":\"error\",\"errorType\":\"execution\",\"error\":\"e\"}"),
            answer(0, ""),
        ] {
            assert!(!free(&other), "{}", other.body);
        }
        let turned = vector(&[("y", "2"), ("x", "1")], ",\"infos\":[\"i (1:2)\",\"j\"]");
        assert!(same(&base, &turned, Order::Values).is_err());
        assert!(same(&base, &turned, Order::Series).is_err());
        let error = |text: &str| {
            answer(
                422,
                &format!(
                    "{{\"status\":\"error\",\"errorType\":\"execution\",\"error\":\"{text}\"}}"
                ),
            )
        };
        assert!(same(&error("e"), &error("f"), Order::Free).is_err());
    }

    #[test]
    fn an_order_is_free_where_the_judge_has_two() {
        let order = Order::Series;
        let of = |names: [&str; 3]| vector(&names.map(|a| (a, "1")), "");
        let (judge, ours) = (of(["x", "y", "z"]), of(["z", "y", "x"]));
        let difference = same(&ours, &judge, order).expect_err("differs");
        let free = |juror| within_spread(&ours, &judge, &[juror], order, &difference);
        assert!(free(of(["y", "x", "z"])));
        assert!(!free(of(["x", "y", "z"])));
    }

    #[test]
    fn an_info_is_free_where_the_judge_says_it_now_and_then() {
        let of = |rest: &str| vector(&[("x", "1")], rest);
        let (judge, ours) = (of(""), of(",\"infos\":[\"i (1:2)\"]"));
        let difference = same(&ours, &judge, Order::Free).expect_err("differs");
        let free = |juror| within_spread(&ours, &judge, &[juror], Order::Free, &difference);
        assert!(free(of(",\"infos\":[\"i (1:5)\"]")));
        assert!(!free(of(",\"infos\":[\"j (1:2)\"]")));
        assert!(!free(of("")));
    }

    #[test]
    fn numbers_within_labels_are_compared_as_numbers() {
        let of = |n: &str| rounded(&format!("{{count:{n}, sum:-1.5, (0.5,1]:-{n}}} x"));
        assert_eq!(of("26.151881261899074"), of("26.151881261899078"));
        assert_ne!(of("26.151881261899074"), of("26.151881271899078"));
        assert_eq!(rounded("instance-000000000000a"), "instance-000000000000a");
    }

    #[test]
    fn spread_and_ties_are_told_from_differences() {
        let (judge, other) = (vector(&[("x", "1.00")], ""), vector(&[("x", "1.02")], ""));
        let check = |ours: &str| {
            let ours = vector(&[("x", ours)], "");
            let difference = same(&ours, &judge, Order::Free).expect_err("differs");
            within_spread(&ours, &judge, std::slice::from_ref(&other), Order::Free, &difference)
        };
        assert!(check("1.01") && check("1.03") && !check("1.05") && !check("NaN"));
        let from = vector(&[("x", "1"), ("y", "1"), ("z", "0")], "");
        let top = |a: &str, v: &str| vector(&[(a, v)], "");
        assert!(tie(AggregateOp::Topk, &top("y", "1"), &top("x", "1"), &from));
        assert!(!tie(AggregateOp::Topk, &top("z", "0"), &top("x", "1"), &from));
        assert!(!tie(AggregateOp::Topk, &top("w", "1"), &top("x", "1"), &from));
        assert!(tie(AggregateOp::Limitk, &top("z", "0"), &top("x", "1"), &from));
    }
}
