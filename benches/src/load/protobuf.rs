//! The few protobuf fields of remote write 1.0 that a sender needs.
//!
//! `WriteRequest { repeated TimeSeries timeseries = 1 }`,
//! `TimeSeries { repeated Label labels = 1; repeated Sample samples = 2;
//! repeated Histogram histograms = 4 }`, `Label { name = 1; value = 2 }`,
//! `Sample { double value = 1; int64 timestamp = 2 }`.

/// Bytes of a timestamp of our times: its varint has 6 from 2004 to 2109.
pub const TIME_BYTES: usize = 6;
/// What stands before a sample's value: the field, its length, the value's tag.
pub const SAMPLE_HEAD: [u8; 3] = [0x12, 1 + 8 + 1 + TIME_BYTES as u8, 0x09];
/// What stands between a sample's value and its time.
pub const TIME_TAG: u8 = 0x10;
/// Bytes of a sample, its field and length included.
pub const SAMPLE_BYTES: usize = SAMPLE_HEAD.len() + 8 + 1 + TIME_BYTES;

/// Appends a number, seven bits a byte.
pub fn varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// A signed number so that small ones are short.
pub fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

/// Appends a field that holds bytes.
pub fn field(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// The label fields of one series. The labels are sorted here by name.
pub fn labels(mut pairs: Vec<(&str, &str)>, out: &mut Vec<u8>) {
    pairs.sort_unstable();
    for (name, value) in pairs {
        let lengths = [name, value].map(|s| 1 + varint_len(s.len()) + s.len());
        out.push(0x0A);
        varint(lengths.iter().sum::<usize>() as u64, out);
        field(0x0A, name.as_bytes(), out);
        field(0x12, value.as_bytes(), out);
    }
}

fn varint_len(n: usize) -> usize {
    (usize::BITS - (n | 1).leading_zeros()).div_ceil(7) as usize
}

/// A timestamp's varint; only times that have 6 bytes come out right.
#[inline]
pub fn time(ms: i64) -> [u8; TIME_BYTES] {
    let n = ms as u64;
    let mut bytes = [0; TIME_BYTES];
    for (k, byte) in bytes.iter_mut().enumerate() {
        *byte = (n >> (7 * k)) as u8 & 0x7F | 0x80;
    }
    bytes[TIME_BYTES - 1] &= 0x7F;
    bytes
}

/// Whether [`time`] can hold these milliseconds.
pub fn time_fits(ms: i64) -> bool {
    (1 << 35..1 << 42).contains(&ms)
}

/// Appends one series with one sample.
pub fn series(labels: &[u8], value: f64, ms: i64, out: &mut Vec<u8>) {
    series_head(labels.len() + SAMPLE_BYTES, out);
    out.extend_from_slice(labels);
    out.extend_from_slice(&SAMPLE_HEAD);
    out.extend_from_slice(&value.to_le_bytes());
    out.push(TIME_TAG);
    out.extend_from_slice(&time(ms));
}

/// Appends what stands before the content of one series.
pub fn series_head(content: usize, out: &mut Vec<u8>) {
    out.push(0x0A);
    varint(content as u64, out);
}
