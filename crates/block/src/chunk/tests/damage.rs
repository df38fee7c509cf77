//! Bytes that no encoder wrote: errors, never panics, never endless memory.

use super::*;

/// Decodes bytes as every kind of column; returns how many samples came out.
fn decode_all(bytes: &[u8]) -> usize {
    let (mut times, mut values, mut starts) = (Vec::new(), Vec::new(), Vec::new());
    let mut histograms = Vec::new();
    let _ = decode_times(bytes, &mut times);
    let _ = decode_floats(bytes, &mut values);
    let _ = decode_starts(bytes, &times, &mut starts);
    let _ = decode_histograms(bytes, &mut histograms);
    assert!(times.len().max(values.len()).max(histograms.len()) <= MAX_CHUNK_SAMPLES);
    times.len() + values.len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0u8..16) {
        decode_all(&bytes);
        // Most of the above stop at the version.
        if let Some(first) = bytes.first_mut() {
            *first = 0x10 | kind;
            decode_all(&bytes);
        }
    }

    #[test]
    fn flipped_bytes_never_panic(values in integers(), at in any::<prop::sample::Index>(), with in 1u8..) {
        let mut bytes = Vec::new();
        encode_times(&values, &mut bytes);
        let at = at.index(bytes.len());
        bytes[at] ^= with;
        decode_all(&bytes);
    }
}

proptest! {
    // Each case is decoded as often as it has bytes.
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn truncation_is_an_error(values in integers()) {
        let floats: Vec<f64> = values.iter().map(|v| *v as f64 / 8.0).collect();
        let (mut a, mut b) = (Vec::new(), Vec::new());
        encode_times(&values, &mut a);
        encode_floats(&floats, &mut b);
        for len in 0..a.len() {
            assert!(decode_times(&a[..len], &mut Vec::new()).is_err(), "{len} of {}", a.len());
        }
        for len in 0..b.len() {
            assert!(decode_floats(&b[..len], &mut Vec::new()).is_err(), "{len} of {}", b.len());
        }
    }
}

#[test]
fn errors_name_what_is_wrong() {
    let check = |bytes: &[u8], message: &str| {
        let error = decode_times(bytes, &mut Vec::new()).expect_err(message);
        assert_eq!(error.to_string(), message);
    };
    check(&[], "chunk ends inside its version");
    check(&[0x20, 0], "chunk has version 2, this program reads version 1");
    check(&[0x15, 0], "chunk has the kind of times 5, which is not valid");
    check(&[0x10, 0, 9], "chunk is followed by 1 unexpected bytes");
    check(
        &[0x10, 0xff, 0xff, 0xff, 0x7f],
        "chunk claims 268435455 samples, at most 1048576 are possible",
    );
    check(&[0x10, 1, 7, 0], "chunk has the integer transform 7, which is not valid");
    check(&[0x10, 1], "chunk ends inside its integer stream");
}
