//! Both versions of each loop against one that is too simple to be wrong, on
//! blocks of all lengths.
//!
//! On a machine without AVX2 and FMA the plain version is compared twice.

use proptest::prelude::*;

use super::super::{choose, decimal};
use super::*;

/// A block of integers of all magnitudes, and how many of them count.
fn blocks() -> impl Strategy<Value = ([i64; BLOCK], usize)> {
    let integer = (0u32..64, any::<i64>()).prop_map(|(shift, v)| v >> shift);
    let edge = prop::sample::select(vec![0, 1, -1, i64::MIN, i64::MAX, 1 << 53, 1 << 48, -1 << 47]);
    let block = prop::collection::vec(prop_oneof![9 => integer, 1 => edge], BLOCK);
    let len = prop_oneof![Just(BLOCK), 0..=BLOCK];
    (block.prop_map(|v| v.try_into().expect("a block's length")), len)
}

/// What both versions make of a block in place.
fn check_in_place(
    (block, len): &([i64; BLOCK], usize),
    expected: &[i64],
    run: impl Fn(Kernels, &mut [i64; BLOCK], usize),
) {
    for kernels in [Kernels::plain(), Kernels::best()] {
        let mut block = *block;
        run(kernels, &mut block, *len);
        assert_eq!(block[..*len], *expected, "{kernels:?}, {len} integers");
    }
}

/// What both versions write to floats that are there already.
fn check_floats(
    (block, len): &([i64; BLOCK], usize),
    before: impl Fn(usize) -> f64,
    expected: impl Fn(usize) -> f64,
    run: impl Fn(Kernels, &[i64; BLOCK], &mut [f64]),
) {
    for kernels in [Kernels::plain(), Kernels::best()] {
        let mut out: Vec<f64> = (0..*len).map(&before).collect();
        run(kernels, block, &mut out);
        for (i, float) in out.iter().enumerate() {
            let (found, expected) = (float.to_bits(), expected(i).to_bits());
            assert_eq!(found, expected, "{kernels:?}, {} at {i} of {len}", block[i]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn sums(block in blocks(), before in any::<i64>()) {
        let mut sum = before;
        let expected: Vec<i64> = block.0[..block.1]
            .iter()
            .map(|i| {
                sum = sum.wrapping_add(*i);
                sum
            })
            .collect();
        check_in_place(&block, &expected, |kernels, block, len| {
            assert_eq!(kernels.sums(block, len, before), sum);
        });
    }

    #[test]
    fn scaled(block in blocks(), factor in (0u32..64, any::<i64>()), offset in any::<i64>()) {
        let factor = factor.1 >> factor.0;
        let scaled = |i: &i64| i.wrapping_mul(factor).wrapping_add(offset);
        let expected: Vec<i64> = block.0[..block.1].iter().map(scaled).collect();
        check_in_place(&block, &expected, |k, block, len| k.scale(block, len, factor, offset));
    }

    #[test]
    fn lines(block in blocks(), slope in any::<i64>(), index in 0i64..1 << 20) {
        let on_line = |(at, i): (usize, &i64)| {
            i.wrapping_add(choose::predict(slope, index + at as i64))
        };
        let expected: Vec<i64> = block.0[..block.1].iter().enumerate().map(on_line).collect();
        check_in_place(&block, &expected, |k, block, len| k.line(block, len, slope, index));
    }

    #[test]
    fn narrow_sums(block in prop::collection::vec(any::<i32>(), BLOCK), len in 0..=BLOCK) {
        let mut sum = 0i32;
        let expected: Vec<i32> = block[..len]
            .iter()
            .map(|i| {
                sum = sum.wrapping_add(*i);
                sum
            })
            .collect();
        for kernels in [Kernels::plain(), Kernels::best()] {
            let mut block: [i32; BLOCK] = block.clone().try_into().expect("a block's length");
            kernels.sums_narrow(&mut block, len);
            assert_eq!(block[..len], expected, "{kernels:?}");
        }
    }

    #[test]
    fn narrow_lines(
        block in prop::collection::vec(-(1i32 << 20)..1 << 20, BLOCK),
        len in 0..=BLOCK,
        slope in (20u32..62, any::<i64>()),
        index in 0i64..1 << 18,
    ) {
        let slope = slope.1 >> slope.0;
        let height = choose::predict(slope, index);
        let (whole, ones) = ((slope >> choose::SLOPE_BITS) as i32, (1 << choose::SLOPE_BITS) - 1);
        let (part, from) = ((slope & ones) as u32, ((slope * index) & ones) as u32);
        let on_line = |(at, i): (usize, &i32)| {
            let above = choose::predict(slope, index + at as i64) - height;
            i.wrapping_add(above as i32)
        };
        let expected: Vec<i32> = block[..len].iter().enumerate().map(on_line).collect();
        for kernels in [Kernels::plain(), Kernels::best()] {
            let mut block: [i32; BLOCK] = block.clone().try_into().expect("a block's length");
            kernels.line_narrow(&mut block, len, NarrowSlope { whole, part, from });
            assert_eq!(block[..len], expected, "{kernels:?}");
        }
    }

    #[test]
    fn narrow_floats(
        block in prop::collection::vec((0u32..32, any::<i32>()), BLOCK),
        len in 0..=BLOCK,
        base in -(1i64 << 51)..1 << 51,
        factor in -(1i64 << 20)..1 << 20,
        exponent in 0..=MAX_EXPONENT,
    ) {
        let ints: Vec<i32> = block.iter().map(|(shift, i)| i >> shift).collect();
        let block: &[i32; BLOCK] = ints.as_slice().try_into().expect("a block's length");
        let (first, step) = (base as f64, factor as f64);
        let scale = Scale::new(exponent).expect("an exponent in range");
        for kernels in [Kernels::plain(), Kernels::best()] {
            let (mut floats, mut decimals) = (vec![0.5], vec![0.5]);
            kernels.floats_narrow(block, len, first, step, &mut floats);
            kernels.decimals_narrow(block, len, first, step, scale, &mut decimals);
            assert_eq!((floats.len(), decimals.len()), (len + 1, len + 1), "{kernels:?}");
            for (i, int) in block[..len].iter().enumerate() {
                let float = (base + factor * i64::from(*int)) as f64;
                let decimal = float / POWERS[usize::from(exponent)];
                assert_eq!(floats[i + 1].to_bits(), float.to_bits(), "{kernels:?}, at {i}");
                assert_eq!(decimals[i + 1].to_bits(), decimal.to_bits(), "{kernels:?}, at {i}");
            }
        }
    }

    #[test]
    fn floats(block in blocks()) {
        let expected = |i: usize| block.0[i] as f64;
        check_floats(&block, |_| 0.0, expected, |k, ints, out| k.floats(ints, out));
    }

    #[test]
    fn ordered(block in blocks()) {
        let expected = |i: usize| decimal::from_ordered(block.0[i]);
        check_floats(&block, |_| 0.0, expected, |k, ints, out| k.ordered(ints, out));
    }

    #[test]
    fn nudged(block in blocks()) {
        let before = |i: usize| block.0[i] as f64 / 100.0;
        let after = |i: usize| {
            decimal::from_ordered(decimal::ordered(before(i)).wrapping_add(block.0[i]))
        };
        check_floats(&block, before, after, |k, ints, floats| k.nudge(ints, floats));
    }

    #[test]
    fn decimals_are_quotients_bit_by_bit(block in blocks(), exponent in 0..=MAX_EXPONENT) {
        check_quotients(&block, exponent);
    }

    #[test]
    fn decimals_near_ties_are_quotients_bit_by_bit(
        raw in prop::collection::vec((any::<u64>(), -20i64..20), BLOCK),
        exponent in 1..=MAX_EXPONENT,
    ) {
        let near: Vec<i64> =
            raw.iter().map(|(bits, miss)| near_tie(*bits, 2 * miss + 1, exponent)).collect();
        check_quotients(&(near.try_into().expect("a block's length"), BLOCK), exponent);
    }
}

/// An integer whose quotient by 10^e misses a middle of two floats m by no more
/// than `miss`, an odd number, says: x × 2^j = m × 5^e - miss, solved for m
/// modulo 2^j, the higher bits of m being some of `bits`.
fn near_tie(bits: u64, miss: i64, exponent: u8) -> i64 {
    let power = 5u128.pow(exponent.into());
    let j = 128 - power.leading_zeros() + (bits & 1) as u32;
    // Newton's iteration doubles the bits that are right, three to begin with.
    let inverse = (0..6).fold(power, |inverse, _| {
        inverse.wrapping_mul(2u128.wrapping_sub(power.wrapping_mul(inverse)))
    });
    let low = inverse.wrapping_mul(miss as u128) & ((1 << j) - 1);
    let middle = low | u128::from(bits >> 10 | 1 << 53) >> j << j;
    let product = (middle * power) as i128 - i128::from(miss);
    assert_eq!(product & ((1 << j) - 1), 0, "{middle} solves the equation");
    (product >> j) as i64
}

fn check_quotients(block: &([i64; BLOCK], usize), exponent: u8) {
    let scale = Scale::new(exponent).expect("an exponent in range");
    let expected = |i: usize| block.0[i] as f64 / POWERS[usize::from(exponent)];
    check_floats(block, |_| 0.0, expected, |k, ints, out| k.decimals(ints, scale, out));
}

#[test]
fn no_scale_is_beyond_exact_powers() {
    assert!(Scale::new(MAX_EXPONENT + 1).is_none());
}

#[test]
fn every_width_and_length_is_unpacked_with_and_without_bytes_behind() {
    for width in 0..=64 {
        for len in 0..=BLOCK {
            let values: Vec<u64> = (1..=len as u64)
                .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) & pack::mask(width))
                .collect();
            let expected: Vec<i64> = values.iter().map(|v| (*v as i64).wrapping_sub(7)).collect();
            let mut bytes = Vec::new();
            pack::pack(&values, width, &mut bytes);
            for behind in [0, 1, 15, 40] {
                bytes.resize(pack::packed_len(len, width) + behind, 0xff);
                check_in_place(&([-1; BLOCK], len), &expected, |kernels, block, len| {
                    kernels.unpack(&bytes, len, width, -7, block);
                });
                for kernels in [Kernels::plain(), Kernels::best()] {
                    if width <= NARROW {
                        let mut block = [-1; BLOCK];
                        kernels.unpack_narrow(&bytes, len, width, -7, &mut block);
                        assert_eq!(block.map(i64::from)[..len], expected, "{kernels:?}, {width}");
                    }
                }
            }
        }
    }
}
