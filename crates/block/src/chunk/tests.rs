//! The promises of the codec: round trips bit by bit, decoders that neither
//! panic nor allocate beyond reason, and small chunks for plain data.

mod damage;
mod floats;
mod golden;
mod times;

use proptest::prelude::*;

use super::*;

/// Encodes, decodes behind a value that is there already, and returns the length.
fn check_floats(values: &[f64]) -> usize {
    let mut bytes = Vec::new();
    encode_floats(values, &mut bytes);
    let mut decoded = vec![7.5];
    decode_floats(&bytes, &mut decoded).expect("a chunk just encoded decodes");
    let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(decoded[0], 7.5);
    assert_eq!(bits(&decoded[1..]), bits(values));
    bytes.len()
}

fn check_times(times: &[i64]) -> usize {
    let mut bytes = Vec::new();
    encode_times(times, &mut bytes);
    let mut decoded = vec![7];
    decode_times(&bytes, &mut decoded).expect("a chunk just encoded decodes");
    assert_eq!(decoded[0], 7);
    assert_eq!(&decoded[1..], times);
    bytes.len()
}

fn check_starts(starts: &[i64], times: &[i64]) -> usize {
    let mut bytes = Vec::new();
    encode_starts(starts, times, &mut bytes);
    let mut decoded = Vec::new();
    decode_starts(&bytes, times, &mut decoded).expect("a chunk just encoded decodes");
    assert_eq!(decoded, starts);
    bytes.len()
}

/// Integers of all magnitudes and of many shapes over time.
fn integers() -> impl Strategy<Value = Vec<i64>> {
    let magnitude = || (0u32..64, any::<i64>()).prop_map(|(shift, v)| v >> shift);
    prop_oneof![
        prop::collection::vec(magnitude(), 0..400),
        (magnitude(), magnitude(), 0usize..400).prop_map(|(first, step, n)| {
            (0..n as i64).map(|i| first.wrapping_add(step.wrapping_mul(i))).collect()
        }),
        (magnitude(), magnitude(), prop::collection::vec(-20i64..20, 0..400)).prop_map(
            |(first, step, jitter)| {
                let at = |(i, j): (usize, &i64)| {
                    first.wrapping_add(step.wrapping_mul(i as i64)).wrapping_add(*j)
                };
                jitter.iter().enumerate().map(at).collect()
            }
        ),
        // Sums of small steps with rare big ones, times a factor.
        (magnitude(), 1i64..5000, prop::collection::vec((-3i64..50, 0u8..60), 0..400)).prop_map(
            |(first, factor, steps)| {
                let mut at = first;
                let step = |(step, rare): &(i64, u8)| {
                    let big = if *rare == 0 { -1_000_000 } else { 1 };
                    at = at.wrapping_add(step.wrapping_mul(big).wrapping_mul(factor));
                    at
                };
                steps.iter().map(step).collect()
            }
        ),
    ]
}
