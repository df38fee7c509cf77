//! Requests that are compressed once and then only filled in.
//!
//! A scrape differs from the one before in values and times alone, and in our
//! encoding each has a fixed length. So a template holds the snappy block of
//! all that stays, with holes for what changes. The compressor here works on
//! symbols: one for each fixed byte, a new one for each byte of a value (so
//! that values are always literals), and the same six for all times of one
//! target (so that only the first is a literal and the others copy it, as a
//! usual compressor has it). What comes out is what `snap` makes of the same
//! request, to a few percent; see the tests.

use super::protobuf::{SAMPLE_BYTES, SAMPLE_HEAD, TIME_BYTES, TIME_TAG, series_head};

/// A compressed request with holes.
#[derive(Debug, Default)]
pub struct Template {
    bytes: Vec<u8>,
    /// Where the value of each series lies, in the order they were pushed.
    values: Vec<u32>,
    /// Where bytes of times lie: position, target, which byte.
    times: Vec<(u32, u32, u8)>,
}

/// First symbol that is not a byte of itself.
const TIMES: u32 = 256;
/// First symbol of values.
const VALUES: u32 = 1 << 24;
/// Furthest back that a copy reaches.
const REACH: usize = 65_535;
const HASH_BITS: u32 = 15;

/// Builds a template; keeps its buffers from one to the next.
#[derive(Debug, Default)]
pub struct Builder {
    symbols: Vec<u32>,
    head: Vec<u8>,
    values: u32,
    target: u32,
    table: Vec<u32>,
}

impl Builder {
    /// Begins the series of another scrape target; returns its number.
    pub fn target(&mut self) -> u32 {
        self.target += 1;
        self.target - 1
    }

    /// Adds a series of the newest target: its label fields, ready-made.
    pub fn push(&mut self, labels: &[u8]) {
        self.head.clear();
        series_head(labels.len() + SAMPLE_BYTES, &mut self.head);
        let fixed = self.head.iter().chain(labels).chain(&SAMPLE_HEAD);
        self.symbols.extend(fixed.map(|b| u32::from(*b)));
        let value = VALUES + 8 * self.values;
        self.symbols.extend(value..value + 8);
        self.values += 1;
        self.symbols.push(u32::from(TIME_TAG));
        let time = TIMES + TIME_BYTES as u32 * self.target.saturating_sub(1);
        self.symbols.extend(time..time + TIME_BYTES as u32);
    }

    /// The template of all that was pushed; the builder is empty afterwards.
    pub fn finish(&mut self) -> Template {
        let mut out = Template::default();
        super::protobuf::varint(self.symbols.len() as u64, &mut out.bytes);
        self.table.clear();
        self.table.resize(1 << HASH_BITS, u32::MAX);
        compress(&self.symbols, &mut self.table, &mut out);
        self.symbols.clear();
        (self.values, self.target) = (0, 0);
        out
    }
}

fn hash(four: &[u32]) -> usize {
    let word = four.iter().fold(0u32, |h, s| h.wrapping_mul(0x0100_0193) ^ s);
    (word.wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS)) as usize
}

/// Greedy matching over all positions, as snappy's own does without skipping.
fn compress(symbols: &[u32], table: &mut [u32], out: &mut Template) {
    let (mut at, mut literal) = (0, 0);
    while let Some(four) = symbols.get(at..at + 4) {
        let slot = &mut table[hash(four)];
        let before = std::mem::replace(slot, at as u32) as usize;
        let near = before < at && at - before <= REACH;
        if !near || symbols[before..before + 4] != *four {
            at += 1;
            continue;
        }
        let same = symbols[at..].iter().zip(&symbols[before..]).take_while(|(a, b)| a == b);
        let length = same.count();
        put_literal(&symbols[literal..at], out);
        put_copy(at - before, length, &mut out.bytes);
        at += length;
        literal = at;
    }
    put_literal(&symbols[literal..], out);
}

fn put_literal(symbols: &[u32], out: &mut Template) {
    let Some(last) = symbols.len().checked_sub(1) else { return };
    match last {
        0..60 => out.bytes.push((last as u8) << 2),
        60..256 => out.bytes.extend([60 << 2, last as u8]),
        256..65_536 => out.bytes.extend([61 << 2, last as u8, (last >> 8) as u8]),
        _ => {
            out.bytes.push(63 << 2);
            out.bytes.extend((last as u32).to_le_bytes());
        }
    }
    for symbol in symbols {
        let here = out.bytes.len() as u32;
        if *symbol >= VALUES {
            if (symbol - VALUES).is_multiple_of(8) {
                out.values.push(here);
            }
        } else if let Some(time) = symbol.checked_sub(TIMES) {
            let width = TIME_BYTES as u32;
            out.times.push((here, time / width, (time % width) as u8));
        }
        out.bytes.push(*symbol as u8);
    }
}

fn put_copy(offset: usize, mut length: usize, out: &mut Vec<u8>) {
    let low = offset as u8;
    while length > 0 {
        // The last piece must not be shorter than the shortest short copy.
        let piece = if (65..68).contains(&length) { 60 } else { length.min(64) };
        if (4..12).contains(&piece) && offset < 2048 {
            out.extend([1 | ((piece - 4) as u8) << 2 | ((offset >> 8) as u8) << 5, low]);
        } else {
            out.extend([2 | ((piece - 1) as u8) << 2, low, (offset >> 8) as u8]);
        }
        length -= piece;
    }
}

impl Template {
    /// The request as it stands.
    pub fn body(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of series.
    pub fn series(&self) -> usize {
        self.values.len()
    }

    /// Fills in a value for each series, in order.
    pub fn fill(&mut self, values: impl Iterator<Item = f64>) {
        for (at, value) in self.values.iter().zip(values) {
            let at = *at as usize;
            if let Some(hole) = self.bytes.get_mut(at..at + 8) {
                hole.copy_from_slice(&value.to_le_bytes());
            }
        }
    }

    /// Fills in the time of each target, in the order they were begun.
    pub fn set_times(&mut self, times: &[[u8; TIME_BYTES]]) {
        for (at, target, k) in &self.times {
            if let Some(time) = times.get(*target as usize) {
                self.bytes[*at as usize] = time[usize::from(*k)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::protobuf;
    use super::*;

    /// What it decompresses to must be what was meant, and about as small.
    fn check(targets: usize, series: usize, label: impl Fn(usize, usize) -> String) {
        let (mut builder, mut plain) = (Builder::default(), Vec::new());
        let mut labels = Vec::new();
        let time = |t: usize| 1_795_000_000_000 + 977 * t as i64;
        // All digits differ, so that the usual compressor finds nothing in them.
        let value = |t: usize, s: usize| ((t * 7919 + s * 104_729 + 3) as f64).sqrt();
        for t in 0..targets {
            assert_eq!(builder.target() as usize, t);
            for s in 0..series {
                labels.clear();
                let name = label(t, s);
                protobuf::labels(vec![("__name__", &name), ("job", "test")], &mut labels);
                builder.push(&labels);
                protobuf::series(&labels, value(t, s), time(t), &mut plain);
            }
        }
        let mut template = builder.finish();
        assert_eq!(template.series(), targets * series);
        for _ in 0..2 {
            template.fill((0..targets).flat_map(|t| (0..series).map(move |s| value(t, s))));
            let times: Vec<_> = (0..targets).map(|t| protobuf::time(time(t))).collect();
            template.set_times(&times);
            let back = snap::raw::Decoder::new().decompress_vec(template.body()).unwrap();
            assert!(back == plain, "{targets} targets of {series} series differ");
        }
        let usual = snap::raw::Encoder::new().compress_vec(&plain).unwrap().len();
        let ours = template.body().len();
        assert!(ours <= usual + usual / 8 + 64, "{ours} B against {usual} B");
        assert!(usual <= ours + ours / 3 + 64, "{ours} B against {usual} B");
    }

    #[test]
    fn templates_are_the_requests_that_were_meant() {
        check(0, 0, |_, _| String::new());
        check(1, 1, |_, _| "up".to_owned());
        check(3, 40, |t, s| format!("metric_{s}_of_target_{t}"));
        check(20, 100, |t, s| format!("a_rather_long_name_of_a_metric_number_{s}_of_{t}"));
        check(2, 900, |_, s| "x".repeat(s));
        check(2, 3, |t, _| format!("{t}").repeat(70_000));
    }
}
