//! The chunk codec: outside bytes never panic, and what decodes is written
//! back and read again to the same bits.

use varve_block::chunk::{
    decode_floats, decode_histograms, decode_increasing_times, decode_starts, decode_times,
    encode_floats, encode_histograms, encode_starts, encode_times,
};

/// The times at the head of the input as raw numbers, too.
fn raw(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect()
}

/// Columns of timestamps and start timestamps.
pub fn times(bytes: &[u8]) {
    let check = |times: &[i64]| {
        let (mut encoded, mut decoded) = (Vec::new(), Vec::new());
        encode_times(times, &mut encoded);
        decode_times(&encoded, &mut decoded).expect("what was encoded decodes");
        assert_eq!(decoded, times);
        let starts: Vec<i64> = times.iter().rev().copied().collect();
        let (mut encoded, mut decoded) = (Vec::new(), Vec::new());
        encode_starts(&starts, times, &mut encoded);
        decode_starts(&encoded, times, &mut decoded).expect("what was encoded decodes");
        assert_eq!(decoded, starts);
    };
    check(&raw(bytes).iter().map(|v| *v as i64).collect::<Vec<_>>());
    let mut times = Vec::new();
    if decode_times(bytes, &mut times).is_ok() {
        check(&times);
        // The second time they are remembered.
        for _ in 0..2 {
            let mut increasing = Vec::new();
            let found = decode_increasing_times(bytes, &mut increasing);
            assert_eq!(found.is_ok(), times.is_sorted_by(|a, b| a < b));
            assert!(found.is_err() || increasing == times);
        }
    }
    let _ = decode_starts(bytes, &times, &mut Vec::new());
}

/// Columns of floats.
pub fn floats(bytes: &[u8]) {
    let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let check = |values: &[f64]| {
        let (mut encoded, mut decoded) = (Vec::new(), Vec::new());
        encode_floats(values, &mut encoded);
        decode_floats(&encoded, &mut decoded).expect("what was encoded decodes");
        assert_eq!(bits(&decoded), bits(values));
    };
    check(&raw(bytes).iter().map(|v| f64::from_bits(*v)).collect::<Vec<_>>());
    let mut values = Vec::new();
    if decode_floats(bytes, &mut values).is_ok() {
        check(&values);
    }
}

/// Columns of histograms; reset hints are decided anew by the encoder.
pub fn histograms(bytes: &[u8]) {
    let mut values = Vec::new();
    if decode_histograms(bytes, &mut values).is_err() {
        return;
    }
    let (mut encoded, mut decoded) = (Vec::new(), Vec::new());
    encode_histograms(&values, &mut encoded);
    decode_histograms(&encoded, &mut decoded).expect("what was encoded decodes");
    assert_eq!(decoded.len(), values.len());
    for (decoded, value) in decoded.iter().zip(&values) {
        let mut value = value.as_ref().clone();
        value.reset_hint = decoded.reset_hint;
        assert_eq!(decoded.as_ref(), &value);
    }
}
