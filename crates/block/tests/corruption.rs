//! Damaged files give errors or the right answer: never a panic, never
//! another answer. Files that lie on purpose, with checksums that fit, give
//! errors or some answer.

mod common;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use common::{Input, SMALL, answer, floats, histogram, labels, run, write_as};
use futures::TryStreamExt;
use proptest::prelude::*;
use varve_block::{
    BlockEntry, BlockError, BlockFiles, BlockMeta, BlockReader, FinishedBlock, Layout,
    SeriesExemplars,
};
use varve_model::{ErrorKind, Exemplar, Labels, Matcher, Metadata, Series, TimeRange, WINDOW_MS};

/// The files of a block in memory.
struct MemFiles(BTreeMap<String, Vec<u8>>);

#[async_trait]
impl BlockFiles for MemFiles {
    async fn read(&self, file: &str, range: Range<u64>) -> varve_block::Result<Bytes> {
        let bytes = self.0.get(file);
        let part = bytes.and_then(|b| b.get(range.start as usize..range.end as usize));
        let missing = || BlockError::read(file, ErrorKind::NotFound, format!("{range:?}"));
        part.map(Bytes::copy_from_slice).ok_or_else(missing)
    }
}

/// Everything that a reader can say about a block.
#[derive(Debug, PartialEq)]
struct Answers {
    samples: Vec<Series>,
    some: Vec<Series>,
    /// Asked last: through what is kept of the block.
    again: Vec<Series>,
    series: Vec<Labels>,
    names: Vec<String>,
    values: Vec<String>,
    exemplars: Vec<SeriesExemplars>,
    metadata: Vec<(String, Metadata)>,
}

type Asked<T> = varve_block::Result<T>;

/// All answers, each with its own error.
struct Results {
    samples: Asked<Vec<Series>>,
    some: Asked<Vec<Series>>,
    again: Asked<Vec<Series>>,
    series: Asked<Vec<Labels>>,
    names: Asked<Vec<String>>,
    values: Asked<Vec<String>>,
    exemplars: Asked<Vec<SeriesExemplars>>,
    metadata: Asked<Vec<(String, Metadata)>>,
}

fn ask(entry: &BlockEntry, files: &BTreeMap<String, Vec<u8>>) -> Results {
    let reader = BlockReader::new(entry.clone(), Arc::new(MemFiles(files.clone())));
    let one = [Matcher::equal("__name__", "m1"), Matcher::equal("Case", "x")];
    let late = TimeRange::new(WINDOW_MS, 2 * WINDOW_MS);
    let series = run(reader.series(Vec::new(), 0).try_collect::<Vec<_>>());
    Results {
        samples: answer(&reader, &[], TimeRange::ALL),
        some: answer(&reader, &one, late),
        again: answer(&reader, &[], TimeRange::ALL),
        series: series.map(|batches| batches.into_iter().flatten().collect()),
        names: run(reader.label_names(Vec::new(), 0)),
        values: run(reader.label_values("case", Vec::new(), 0)),
        exemplars: run(reader.exemplars(vec![Vec::new()], TimeRange::ALL)),
        metadata: run(reader.metadata()),
    }
}

impl Results {
    fn whole(self) -> varve_block::Result<Answers> {
        Ok(Answers {
            samples: self.samples?,
            some: self.some?,
            again: self.again?,
            series: self.series?,
            names: self.names?,
            values: self.values?,
            exemplars: self.exemplars?,
            metadata: self.metadata?,
        })
    }

    /// Every answer that is not an error is the right one.
    fn check(self, right: &Answers) {
        fn same<T: PartialEq + std::fmt::Debug>(found: Asked<T>, right: &T) {
            if let Ok(found) = found {
                assert_eq!(&found, right);
            }
        }
        same(self.samples, &right.samples);
        same(self.some, &right.some);
        same(self.again, &right.again);
        same(self.series, &right.series);
        same(self.names, &right.names);
        same(self.values, &right.values);
        same(self.exemplars, &right.exemplars);
        same(self.metadata, &right.metadata);
    }
}

fn block(layout: Layout) -> (FinishedBlock, BTreeMap<String, Vec<u8>>) {
    let mut inputs = Vec::new();
    for i in 0..40i64 {
        let times: Vec<i64> = (1..40).map(|t| t * 300_000 + i % 3).collect();
        let (name, i_text) = (format!("m{}", i % 4), i.to_string());
        let case = if i % 2 == 0 { "case" } else { "Case" };
        let labels = labels(&[("__name__", &name), ("i", &i_text), (case, "x")]);
        let mut input = floats(labels.clone(), &times, |t| (t * i) as f64 / 10.0);
        if i % 5 == 0 {
            let late = times[38] + 60_000;
            input.histograms.push(late, histogram(i as u64), 7);
            input.exemplars.push(Exemplar { labels, value: 0.25, timestamp: late });
        }
        inputs.push(input);
    }
    let dir = tempfile::tempdir().expect("dir");
    let range = TimeRange::new(0, 2 * WINDOW_MS);
    let block = write_as(dir.path(), range, &mut inputs, layout);
    let read = |(name, path): &(String, std::path::PathBuf)| {
        (name.clone(), std::fs::read(path).expect("read"))
    };
    let files = block.files.iter().map(read).collect();
    (block, files)
}

/// A block, its files and the right answers, made once.
fn sample() -> &'static (FinishedBlock, BTreeMap<String, Vec<u8>>, Answers) {
    static SAMPLE: std::sync::LazyLock<(FinishedBlock, BTreeMap<String, Vec<u8>>, Answers)> =
        std::sync::LazyLock::new(|| {
            let (block, files) = block(SMALL);
            let right = ask(&block.entry, &files).whole().expect("a whole block");
            (block, files, right)
        });
    &SAMPLE
}

fn parquet_file(files: &BTreeMap<String, Vec<u8>>, at: usize) -> &str {
    let names: Vec<&String> = files.keys().filter(|n| n.ends_with(".parquet")).collect();
    names[at % names.len()]
}

/// Makes the checksums of a damaged file fit again.
fn forge(file: &mut [u8], entry: &mut BlockEntry, name: &str) {
    const BLOCK: usize = 64 << 10;
    let meta = entry.files.get_mut(name).expect("file");
    let pages = file.len() - meta.footer_len as usize;
    let digits = 8 * pages.div_ceil(BLOCK);
    let key = b"varve.crc32c";
    let found = file.windows(key.len()).rposition(|w| w == key);
    // After the key: field type, varint length, text.
    if let Some(at) = found.filter(|at| at + key.len() + 3 + digits < file.len()) {
        let is_digit = |b: &u8| b.is_ascii_hexdigit();
        let text = (at + key.len()..at + key.len() + 5)
            .find(|i| file[*i..(*i + digits).min(file.len())].iter().all(is_digit));
        if let Some(text) = text {
            for i in 0..digits / 8 {
                let block = &file[i * BLOCK..((i + 1) * BLOCK).min(pages)];
                let sum = format!("{:08x}", crc32c::crc32c(block));
                file[text + 8 * i..text + 8 * i + 8].copy_from_slice(sum.as_bytes());
            }
        }
    }
    meta.footer_crc32c = crc32c::crc32c(&file[pages..]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    #[test]
    fn flipped_bits_are_noticed(file in 0usize..6, at in any::<u32>(), bit in 0u8..8) {
        let (block, files, right) = sample();
        let mut files = files.clone();
        let name = parquet_file(&files, file).to_owned();
        let bytes = files.get_mut(&name).expect("file");
        let at = at as usize % bytes.len();
        bytes[at] ^= 1 << bit;
        let verified = run(varve_block::verify(&block.meta, &MemFiles(files.clone())));
        prop_assert_eq!(verified.map_err(|e| e.kind()), Err(ErrorKind::Corrupt));
        ask(&block.entry, &files).check(right);
    }

    #[test]
    fn missing_ends_are_noticed(file in 0usize..6, keep in any::<u32>()) {
        let (block, files, right) = sample();
        let mut files = files.clone();
        let name = parquet_file(&files, file).to_owned();
        let bytes = files.get_mut(&name).expect("file");
        bytes.truncate(keep as usize % bytes.len());
        ask(&block.entry, &files).check(right);
    }

    #[test]
    fn lies_do_not_panic(
        file in 0usize..6,
        flips in proptest::collection::vec((any::<u32>(), 1u8..=255), 1..4),
        tail in any::<bool>(),
    ) {
        let (block, files, _) = sample();
        let (mut files, mut entry) = (files.clone(), block.entry.clone());
        let name = parquet_file(&files, file).to_owned();
        let bytes = files.get_mut(&name).expect("file");
        let footer = entry.files[&name].footer_len as usize;
        for (at, flip) in flips {
            let len = bytes.len();
            let at = if tail { len - 1 - at as usize % footer } else { at as usize % len };
            bytes[at] ^= flip;
        }
        forge(bytes, &mut entry, &name);
        let _ = ask(&entry, &files);
    }

    #[test]
    fn any_block_json_is_taken_or_refused(at in any::<u32>(), byte in any::<u8>(), cut in any::<bool>()) {
        let (block, files, _) = sample();
        let mut json = files["block.json"].clone();
        prop_assert_eq!(BlockMeta::from_json(&json).expect("own meta"), block.meta.clone());
        let at = at as usize % json.len();
        if cut { json.truncate(at) } else { json[at] = byte }
        let _ = BlockMeta::from_json(&json);
    }
}

#[test]
fn forged_checksums_reach_the_decoders() {
    let (block, files, right) = sample();
    let (mut files, mut entry) = (files.clone(), block.entry.clone());
    for (name, bytes) in files.iter_mut().filter(|(name, _)| name.ends_with(".parquet")) {
        forge(bytes, &mut entry, name);
    }
    assert_eq!(entry, block.entry, "forging an undamaged file changes nothing");
    assert_eq!(ask(&entry, &files).whole().expect("answers"), *right);
    let name = "samples.parquet";
    let bytes = files.get_mut(name).expect("file");
    bytes[4] ^= 0xff;
    forge(bytes, &mut entry, name);
    let error = ask(&entry, &files).samples.expect_err("a damaged page header").to_string();
    assert!(!error.contains("checksum"), "{error}");
}

#[test]
fn wrong_pushes_are_refused_by_name() {
    let dir = tempfile::tempdir().expect("dir");
    let range = TimeRange::new(0, WINDOW_MS);
    let mut writer =
        varve_block::BlockWriter::create(dir.path(), common::spec(range)).expect("create");
    let mut push = |input: Input| {
        let Input { labels, floats, histograms, exemplars } = input;
        writer.push(&labels, floats, histograms, &exemplars).map_err(|e| e.to_string())
    };
    let at = |name: &str, times: &[i64]| floats(labels(&[("__name__", name)]), times, |_| 1.0);
    assert_eq!(push(at("b", &[1])), Ok(()));
    let before = r#"must come after {__name__="b"} in block order"#;
    assert_eq!(push(at("a", &[1])), Err(format!(r#"series {{__name__="a"}} {before}"#)));
    assert_eq!(push(at("b", &[1])), Err(format!(r#"series {{__name__="b"}} {before}"#)));
    let refused =
        |detail: &str| Err(format!(r#"series {{__name__="c"}} cannot be written: {detail}"#));
    assert_eq!(push(at("c", &[0])), refused("time 0 lies outside (0, 7200000]"));
    assert_eq!(push(at("c", &[5, 5])), refused("time 5 is not after 5"));
    let mut short = at("c", &[5, 6]);
    short.floats.values.pop();
    assert_eq!(push(short), refused("1 values at 2 times"));
    assert_eq!(push(at("c", &[5, 7_200_000])), Ok(()));
}

#[test]
fn a_newer_block_is_refused() {
    let (_, files, _) = sample();
    let json = String::from_utf8(files["block.json"].clone()).expect("UTF-8");
    let json = json.replace("\"version\":2", "\"version\":3");
    let error = BlockMeta::from_json(json.as_bytes()).expect_err("newer");
    assert_eq!(error.to_string(), "block format version 3 is newer than 2, the newest known");
}
