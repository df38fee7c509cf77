//! What a place answers, whichever form it came in.

use std::sync::Arc;

use varve_model::{Histogram, Labels, Series};
use varve_promql::value::{QueryOutput, QueryValue, Value};

use super::shown::Shown;

/// An answer and what was said of it.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// Its warnings, with positions.
    pub warnings: Vec<String>,
    /// Its infos, with positions.
    pub infos: Vec<String>,
}

/// An answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A number.
    Scalar(f64),
    /// A text.
    String(String),
    /// A point a series.
    Vector(Vec<(Labels, Point)>),
    /// Points a series, by time in milliseconds.
    Matrix(Vec<(Labels, Vec<(i64, Point)>)>),
}

/// One value of a series.
#[derive(Clone, Debug)]
pub enum Point {
    /// A number.
    Float(f64),
    /// A histogram with all that belongs to it.
    Histogram(Arc<Histogram>),
    /// A histogram as the HTTP API shows it.
    Shown(Shown),
}

impl From<QueryOutput> for Reply {
    fn from(output: QueryOutput) -> Self {
        let QueryOutput { value, warnings, infos, stats: _, plan: _ } = output;
        Self { answer: value.into(), warnings, infos }
    }
}

impl From<QueryValue> for Answer {
    fn from(value: QueryValue) -> Self {
        match value {
            QueryValue::Scalar { value, .. } => Self::Scalar(value),
            QueryValue::String { value, .. } => {
                Self::String(String::from_utf8_lossy(&value).into_owned())
            }
            QueryValue::Vector(all) => {
                Self::Vector(all.into_iter().map(|s| (s.labels, s.value.into())).collect())
            }
            QueryValue::Matrix(all) => Self::Matrix(all.into_iter().map(points).collect()),
        }
    }
}

impl From<Value> for Point {
    fn from(value: Value) -> Self {
        match value {
            Value::Float(v) => Self::Float(v),
            Value::Histogram(h) => Self::Histogram(h),
        }
    }
}

fn points(series: Series) -> (Labels, Vec<(i64, Point)>) {
    let floats = series.floats.times.into_iter().zip(series.floats.values);
    let histograms = series.histograms.times.into_iter().zip(series.histograms.values);
    let mut all: Vec<(i64, Point)> = floats.map(|(t, v)| (t, Point::Float(v))).collect();
    all.extend(histograms.map(|(t, h)| (t, Point::Histogram(h))));
    all.sort_by_key(|(t, _)| *t);
    (series.labels, all)
}

impl Answer {
    /// Of a matrix the points at one time; anything else as it is.
    pub(crate) fn at(self, time: i64) -> Self {
        let Self::Matrix(all) = self else { return self };
        let at = |points: Vec<(i64, Point)>| points.into_iter().find(|(t, _)| *t == time);
        Self::Vector(all.into_iter().filter_map(|(l, p)| Some((l, at(p)?.1))).collect())
    }
}
