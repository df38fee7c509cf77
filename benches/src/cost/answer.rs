//! Answers to queries, to be compared: nobody shall be fast by being wrong.

use std::collections::BTreeMap;
use std::io;

use serde_json::Value;

/// One answer: by labels, the points of each series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points(BTreeMap<String, BTreeMap<i64, f64>>);

/// How far two answers are from each other.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Difference {
    /// Series that only one of them has.
    pub series: usize,
    /// Share of the points that only one of them has, or that differ by more
    /// than a billionth.
    pub points: f64,
    /// The middle of all relative differences.
    pub middle: f64,
}

impl Points {
    /// Reads the body of an answer.
    ///
    /// # Errors
    /// When it is no vector or matrix, or reports an error.
    pub fn read(body: &str) -> io::Result<Self> {
        let bad = || io::Error::other(format!("answer: {}", &body[..body.len().min(300)]));
        let json: Value = serde_json::from_str(body).map_err(io::Error::other)?;
        let result = json["data"]["result"].as_array().ok_or_else(bad)?;
        let mut all = BTreeMap::new();
        for series in result {
            let mut points = BTreeMap::new();
            let values = series["values"].as_array().map(Vec::as_slice);
            for pair in values.unwrap_or(std::slice::from_ref(&series["value"])) {
                let time = pair[0].as_f64().ok_or_else(bad)?;
                let value = pair[1].as_str().and_then(|v| v.parse().ok()).ok_or_else(bad)?;
                points.insert((time * 1000.0) as i64, value);
            }
            all.insert(series["metric"].to_string(), points);
        }
        Ok(Self(all))
    }

    /// Number of series.
    pub fn series(&self) -> usize {
        self.0.len()
    }

    /// Number of points.
    pub fn points(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// What distinguishes it from another.
    pub fn difference(&self, other: &Self) -> Difference {
        let only = |a: &Self, b: &Self| a.0.keys().filter(|k| !b.0.contains_key(*k)).count();
        let (mut all, mut differ, mut distances) = (0, 0, Vec::new());
        for (labels, mine) in &self.0 {
            let Some(theirs) = other.0.get(labels) else { continue };
            all += mine.len().max(theirs.len());
            differ += mine.len().abs_diff(theirs.len());
            for (time, a) in mine {
                let Some(b) = theirs.get(time) else { continue };
                let distance = match a == b || a.is_nan() && b.is_nan() {
                    true => 0.0,
                    false => (a - b).abs() / a.abs().max(b.abs()),
                };
                differ += usize::from(distance.is_nan() || distance > 1e-9);
                distances.push(distance);
            }
        }
        distances.sort_unstable_by(f64::total_cmp);
        Difference {
            series: only(self, other) + only(other, self),
            points: differ as f64 / (all as f64).max(1.0),
            middle: distances.get(distances.len() / 2).copied().unwrap_or(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(series: &[(&str, &[(f64, &str)])]) -> Points {
        let one = |(name, values): &(&str, &[(f64, &str)])| serde_json::json!({"metric": {"a": name}, "values": values});
        let result: Vec<_> = series.iter().map(one).collect();
        Points::read(&serde_json::json!({"data": {"result": result}}).to_string()).unwrap()
    }

    #[test]
    fn differences_are_seen() {
        let a = answer(&[("x", &[(1.0, "1"), (2.0, "NaN")]), ("y", &[(1.0, "3")])]);
        assert_eq!((a.series(), a.points()), (2, 3));
        assert_eq!(a.difference(&a), Difference::default());
        let b = answer(&[("x", &[(1.0, "2"), (2.0, "NaN")]), ("z", &[(1.0, "3")])]);
        let expected = Difference { series: 2, points: 0.5, middle: 0.5 };
        assert_eq!(a.difference(&b), expected);
        let shorter = answer(&[("x", &[(1.0, "1")]), ("y", &[(1.0, "3")])]);
        assert_eq!(a.difference(&shorter).points, 1.0 / 3.0);
        assert!(Points::read("{\"status\":\"error\"}").is_err());
    }
}
