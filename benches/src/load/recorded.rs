//! Feeds of recorded scrapes: as they were, or every n-th of each target.
//!
//! Times are shifted by whole milliseconds, all by the same, so that their
//! raw jitter stays. Each target comes by one connection.

use std::collections::BTreeMap;
use std::io;

use super::feed::{Feed, Request};
use super::protobuf;
use crate::scrape::Recorded;

/// Makes the feeds, one for each target. `thin` of 15 keeps the 1st, 16th, …
/// scrape. The first sample of all then has the time `start_ms`.
pub fn feeds(all: &[Recorded], thin: usize, start_ms: i64, samples: usize) -> Vec<Box<dyn Feed>> {
    let first = all.iter().filter_map(|r| r.samples.times.first()).min();
    let shift = first.map_or(0, |first| start_ms - first);
    let mut targets = BTreeMap::<u8, BTreeMap<i64, Vec<(usize, f64)>>>::new();
    for (at, series) in all.iter().enumerate() {
        let scrapes = targets.entry(series.target).or_default();
        for (time, value) in series.samples.times.iter().zip(&series.samples.values) {
            scrapes.entry(*time).or_default().push((at, *value));
        }
    }
    let labels: Vec<Vec<u8>> = all.iter().map(|r| encode(&r.name)).collect();
    let one = |scrapes: BTreeMap<i64, Vec<(usize, f64)>>| {
        let mut requests = Vec::new();
        for (scrape, (time, row)) in scrapes.into_iter().step_by(thin.max(1)).enumerate() {
            for part in row.chunks(samples.max(1)) {
                let (scrape, part) = (scrape as u64, part.to_vec());
                requests.push(Part { scrape, time: time + shift, part });
            }
        }
        let feed = RecordedFeed {
            labels: labels.clone(),
            requests: requests.into_iter(),
            encoder: snap::raw::Encoder::new(),
            body: Vec::new(),
        };
        Box::new(feed) as Box<dyn Feed>
    };
    targets.into_values().map(one).collect()
}

/// How long the recording is, in ms.
pub fn length_ms(all: &[Recorded]) -> i64 {
    let first = all.iter().filter_map(|r| r.samples.times.first()).min();
    let last = all.iter().filter_map(|r| r.samples.times.last()).max();
    first.zip(last).map_or(0, |(first, last)| last - first)
}

/// Samples of one scrape: position of the series and value.
struct Part {
    scrape: u64,
    time: i64,
    part: Vec<(usize, f64)>,
}

struct RecordedFeed {
    labels: Vec<Vec<u8>>,
    requests: std::vec::IntoIter<Part>,
    encoder: snap::raw::Encoder,
    body: Vec<u8>,
}

impl Feed for RecordedFeed {
    fn next(&mut self) -> io::Result<Option<Request<'_>>> {
        let Some(Part { scrape, time, part }) = self.requests.next() else { return Ok(None) };
        let mut plain = Vec::new();
        for (at, value) in &part {
            protobuf::series(&self.labels[*at], *value, time, &mut plain);
        }
        self.body = self.encoder.compress_vec(&plain).map_err(io::Error::other)?;
        let samples = part.len() as u64;
        Ok(Some(Request { body: &self.body, samples, newest_ms: time, scrape }))
    }
}

/// Label fields of `name{a="b",c="d"}`.
fn encode(text: &str) -> Vec<u8> {
    let (name, rest) = text.split_once('{').unwrap_or((text, ""));
    let mut owned = vec![("__name__".to_owned(), name.to_owned())];
    let mut rest = rest.trim_end_matches('}');
    while let Some((label, after)) = rest.split_once("=\"") {
        let (value, next) = unquote(after);
        owned.push((label.trim_start_matches(',').to_owned(), value));
        rest = next;
    }
    let mut out = Vec::new();
    protobuf::labels(owned.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect(), &mut out);
    out
}

/// Reads to the closing quote; returns the value and what follows.
fn unquote(text: &str) -> (String, &str) {
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in text.char_indices() {
        match (escaped, c) {
            (false, '\\') => escaped = true,
            (false, '"') => return (value, &text[at + 1..]),
            (true, 'n') => {
                value.push('\n');
                escaped = false;
            }
            _ => {
                value.push(c);
                escaped = false;
            }
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_labels() {
        let cases = [
            ("up", vec![("__name__", "up")]),
            (
                r#"a{b="c",d="x\"y,z=\"}"}"#,
                vec![("__name__", "a"), ("b", "c"), ("d", "x\"y,z=\"}")],
            ),
        ];
        for (text, pairs) in cases {
            let mut expected = Vec::new();
            protobuf::labels(pairs, &mut expected);
            assert_eq!(encode(text), expected, "{text}");
        }
    }
}
