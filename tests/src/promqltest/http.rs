//! The running binary over HTTP: remote write 2.0 in, the query API out. A
//! fresh tenant stands for a fresh storage.
//!
//! The API shows of a histogram neither schema nor reset hint; expectations
//! are held against what it does show.

use std::time::Duration;

use serde_json::Value;
use varve_model::{Labels, Series};
use varve_promql::engine::Query;
use varve_wire::prompb::{RequestV2, compress};

use super::shown::{Shown, number};
use super::{Answer, Place, Point, Reply};
use crate::client::{Client, V2};
use crate::http::Response;
use crate::varve::Varve;

/// A tenant of a running Varve.
pub struct Http {
    url: String,
    client: Client,
    tenants: usize,
}

impl Http {
    /// A first tenant.
    pub fn new(varve: &Varve) -> Self {
        Self { url: varve.url(""), client: tenant(0), tenants: 0 }
    }
}

fn tenant(number: usize) -> Client {
    Client::new(&format!("script-{number}"), Duration::from_secs(60))
}

impl Place for Http {
    fn clear(&mut self) {
        self.tenants += 1;
        self.client = tenant(self.tenants);
    }

    fn load(&mut self, series: Vec<Series>) {
        let mut request = RequestV2::new();
        series.iter().for_each(|s| request.push(s, &[], None));
        let body = compress(&request.finish());
        let answer = self.client.write(&format!("{}/api/v1/write", self.url), V2, body);
        assert_eq!(answer.status, 204, "write: {}", answer.body);
    }

    fn ask(&mut self, query: &Query) -> Result<Reply, String> {
        let seconds = |ms: i64| (ms as f64 / 1000.0).to_string();
        let (start, end) = (seconds(query.start_ms), seconds(query.end_ms));
        let step = seconds(query.step_ms);
        let answer = match query.step_ms {
            0 => {
                let params = [("query", query.text.as_str()), ("time", &start)];
                self.client.get(&format!("{}/api/v1/query", self.url), &params)
            }
            _ => {
                let params = [
                    ("query", query.text.as_str()),
                    ("start", &start),
                    ("end", &end),
                    ("step", &step),
                ];
                self.client.get(&format!("{}/api/v1/query_range", self.url), &params)
            }
        };
        read(&answer)
    }
}

fn read(response: &Response) -> Result<Reply, String> {
    let json = response.json();
    if json["status"] != "success" {
        let error = json["error"].as_str();
        let error = error.ok_or_else(|| format!("{}: {}", response.status, response.body))?;
        // The API says of which parameter the engine complains.
        return Err(error.trim_start_matches("invalid parameter \"query\": ").to_owned());
    }
    let data = &json["data"];
    let answer = answer(data["resultType"].as_str().unwrap_or_default(), &data["result"]);
    let texts = |key: &str| {
        let list = json[key].as_array().into_iter().flatten();
        list.filter_map(|t| t.as_str().map(str::to_owned)).collect()
    };
    Ok(Reply {
        answer: answer.ok_or_else(|| format!("the answer is malformed: {data}"))?,
        warnings: texts("warnings"),
        infos: texts("infos"),
    })
}

fn answer(kind: &str, result: &Value) -> Option<Answer> {
    Some(match kind {
        "scalar" => Answer::Scalar(number(&result[1])?),
        "string" => Answer::String(result[1].as_str()?.to_owned()),
        "vector" => {
            let one = |s: &Value| Some((labels(&s["metric"])?, points(s)?.pop()?.1));
            Answer::Vector(result.as_array()?.iter().map(one).collect::<Option<_>>()?)
        }
        "matrix" => {
            let one = |s: &Value| Some((labels(&s["metric"])?, points(s)?));
            Answer::Matrix(result.as_array()?.iter().map(one).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

fn labels(json: &Value) -> Option<Labels> {
    let pairs = json.as_object()?.iter().map(|(n, v)| Some((n.as_str(), v.as_str()?)));
    Labels::from_pairs(pairs.collect::<Option<Vec<_>>>()?).ok()
}

/// The points of a series, by time.
fn points(series: &Value) -> Option<Vec<(i64, Point)>> {
    let float = |v: &Value| number(v).map(Point::Float);
    let histogram = |v: &Value| Shown::read(v).map(Point::Shown);
    let mut all = Vec::new();
    let mut add = |point: &Value, read: &dyn Fn(&Value) -> Option<Point>| -> Option<()> {
        all.push(((point[0].as_f64()? * 1000.0).round() as i64, read(&point[1])?));
        Some(())
    };
    for (key, read) in [("value", &float as &dyn Fn(&Value) -> _), ("histogram", &histogram)] {
        if !series[key].is_null() {
            add(&series[key], read)?;
        }
    }
    for (key, read) in [("values", &float as &dyn Fn(&Value) -> _), ("histograms", &histogram)] {
        for point in series[key].as_array().into_iter().flatten() {
            add(point, read)?;
        }
    }
    all.sort_by_key(|(t, _)| *t);
    Some(all)
}
