//! What a catalog says about a block: enough to skip it without a read, or to
//! go straight to its bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ulid::Ulid;
use varve_model::{METRIC_NAME, Matcher, TimeRange};

use crate::BlockMeta;

/// Where one file of a block ends, and where its footer begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Size in bytes.
    pub size: u64,
    /// See [`crate::FileMeta::footer_len`].
    pub footer_len: u64,
    /// See [`crate::FileMeta::footer_crc32c`].
    pub footer_crc32c: u32,
}

/// One block in a catalog manifest. The fields mean what they mean in
/// [`BlockMeta`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockEntry {
    /// Format version of the block, see [`crate::BLOCK_VERSION`].
    #[serde(default = "first_version")]
    pub version: u32,
    /// The block's identity and the name of its folder.
    #[serde(with = "crate::text::ulid")]
    pub id: Ulid,
    /// Samples lie in this (start, end].
    #[serde(with = "crate::text::range")]
    pub range: TimeRange,
    /// Time of the first sample, in milliseconds since the epoch.
    pub min_time: i64,
    /// Time of the last sample, in milliseconds since the epoch.
    pub max_time: i64,
    /// Lowest series hash that the block may hold.
    pub min_hash: u64,
    /// Highest series hash that the block may hold (inclusive).
    pub max_hash: u64,
    /// 0 for a block of an ingester.
    pub level: u32,
    /// Milliseconds between samples of a rollup; 0 = raw.
    pub resolution: i64,
    /// The blocks that it was made from, all levels down.
    #[serde(with = "crate::text::ulids", default)]
    pub sources: Vec<Ulid>,
    /// With `index`, where its cut stands in the partition's log.
    pub term: u64,
    /// See `term`.
    pub index: u64,
    /// The ingest partition that cut it.
    pub partition: u32,
    /// Number of the cut within (partition, window).
    pub cut: u64,
    /// When it was written, in milliseconds since the epoch.
    pub created_ms: i64,
    /// Series.
    pub series: u64,
    /// Samples, floats and histograms together.
    pub samples: u64,
    /// First metric name in byte order; empty when a series has none.
    pub min_name: String,
    /// Last metric name in byte order.
    pub max_name: String,
    /// Its files but `block.json`.
    pub files: BTreeMap<String, FileEntry>,
}

impl BlockEntry {
    /// The entry of the block that `meta` describes.
    pub fn new(meta: &BlockMeta) -> Self {
        let entry = |f: &crate::FileMeta| FileEntry {
            size: f.size,
            footer_len: f.footer_len,
            footer_crc32c: f.footer_crc32c,
        };
        Self {
            version: meta.version,
            id: meta.id,
            range: meta.range,
            min_time: meta.min_time,
            max_time: meta.max_time,
            min_hash: meta.min_hash,
            max_hash: meta.max_hash,
            level: meta.level,
            resolution: meta.resolution,
            sources: meta.sources.clone(),
            term: meta.term,
            index: meta.index,
            partition: meta.partition,
            cut: meta.cut,
            created_ms: meta.created_ms,
            series: meta.counts.series,
            samples: meta.counts.samples,
            min_name: meta.min_name.clone(),
            max_name: meta.max_name.clone(),
            files: meta.files.iter().map(|(name, f)| (name.clone(), entry(f))).collect(),
        }
    }

    /// Bytes of all files together, without `block.json`.
    pub fn size(&self) -> u64 {
        self.files.values().map(|f| f.size).sum()
    }

    /// Whether some sample may lie in `range`.
    pub fn overlaps(&self, range: &TimeRange) -> bool {
        range.start < self.max_time && self.min_time <= range.end
    }

    /// Whether some series' metric name may satisfy the matchers.
    pub fn matches_names(&self, matchers: &[Matcher]) -> bool {
        matchers.iter().filter(|m| m.name() == METRIC_NAME).all(|m| {
            if self.min_name == self.max_name {
                return m.matches(&self.min_name);
            }
            m.set_matches().is_none_or(|names| {
                names.iter().any(|n| self.min_name <= *n && *n <= self.max_name)
            })
        })
    }

    /// Whether some series' hash may lie in `min..=max`.
    pub fn matches_hashes(&self, min: u64, max: u64) -> bool {
        self.min_hash <= max && min <= self.max_hash
    }

    /// Whether a query must open this block.
    pub fn may_match(&self, matchers: &[Matcher], range: &TimeRange) -> bool {
        self.overlaps(range) && self.matches_names(matchers)
    }
}

/// The version of an entry that does not name one.
fn first_version() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(names: (&str, &str)) -> BlockEntry {
        BlockEntry {
            version: first_version(),
            id: Ulid::nil(),
            range: TimeRange::new(0, 100),
            min_time: 10,
            max_time: 90,
            min_hash: 100,
            max_hash: 199,
            level: 0,
            resolution: 0,
            sources: Vec::new(),
            term: 0,
            index: 0,
            partition: 0,
            cut: 0,
            created_ms: 0,
            series: 1,
            samples: 1,
            min_name: names.0.to_owned(),
            max_name: names.1.to_owned(),
            files: BTreeMap::new(),
        }
    }

    #[test]
    fn names_prune() {
        let check = |names, op, value: &str, expected| {
            let matcher = Matcher::new(op, METRIC_NAME, value).expect("valid pattern");
            assert_eq!(entry(names).matches_names(&[matcher]), expected, "{names:?} {value}");
        };
        use varve_model::MatchOp::{Equal, NotEqual, Regex};
        check(("b", "d"), Equal, "a", false);
        check(("b", "d"), Equal, "b", true);
        check(("b", "d"), Equal, "e", false);
        check(("b", "d"), Equal, "", false);
        check(("", "d"), Equal, "", true);
        check(("b", "d"), Regex, "a|e", false);
        check(("b", "d"), Regex, "a|c", true);
        check(("b", "d"), Regex, "x.*", true);
        check(("b", "b"), Regex, "x.*", false);
        check(("b", "b"), NotEqual, "b", false);
        check(("b", "d"), NotEqual, "b", true);
    }

    #[test]
    fn times_and_hashes_prune() {
        let e = entry(("a", "a"));
        let times = [(0, 9, false), (0, 10, true), (89, 200, true), (90, 200, false)];
        for (start, end, expected) in times {
            assert_eq!(e.overlaps(&TimeRange::new(start, end)), expected, "({start}, {end}]");
        }
        let hashes = [(0, 99, false), (0, 100, true), (199, 300, true), (200, 300, false)];
        for (min, max, expected) in hashes {
            assert_eq!(e.matches_hashes(min, max), expected, "{min}..={max}");
        }
    }
}
