//! Floats of every form.

use super::*;

/// Decimals, accumulated sums, bits, specials, and mixes of them.
fn values() -> impl Strategy<Value = Vec<f64>> {
    let special = || {
        prop::sample::select(vec![
            f64::NAN,
            -f64::NAN,
            varve_model::stale_nan(),
            f64::INFINITY,
            f64::NEG_INFINITY,
            -0.0,
            0.0,
            f64::from_bits(0x7ff8_0000_dead_beef),
            f64::MIN_POSITIVE,
            f64::from_bits(1),
            f64::MAX,
            9_007_199_254_740_993.0,
            9_223_372_036_854_775_808.0,
            -9_223_372_036_854_775_808.0,
        ])
    };
    let plain = prop_oneof![
        prop::collection::vec(any::<u64>().prop_map(f64::from_bits), 0..300),
        integers().prop_map(|v| v.iter().map(|i| *i as f64).collect()),
        (integers(), 0i32..23)
            .prop_map(|(v, e)| { v.iter().map(|i| *i as f64 / 10f64.powi(e)).collect() }),
        (any::<f64>(), prop::collection::vec(0i64..1000, 0..300), 0i32..9).prop_map(
            |(first, steps, e)| {
                let mut sum = first;
                steps
                    .iter()
                    .map(|s| {
                        sum += *s as f64 / 10f64.powi(e);
                        sum
                    })
                    .collect()
            }
        ),
        prop::collection::vec(0.0f64..1.0, 0..300),
    ];
    let holes = prop::collection::vec((any::<prop::sample::Index>(), special(), 1usize..9), 0..6);
    (plain, holes).prop_map(|(mut v, holes): (Vec<f64>, _)| {
        for (at, value, len) in holes {
            if !v.is_empty() {
                let at = at.index(v.len());
                let end = v.len().min(at + len);
                v[at..end].fill(value);
            }
        }
        v
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn floats_round_trip(values in values()) {
        check_floats(&values);
    }
}

#[test]
fn plain_data_is_small() {
    let cases: [(&str, Vec<f64>, usize); 9] = [
        ("nothing", vec![], 2),
        ("one", vec![1.0], 5),
        ("a constant", vec![42.0; 480], 5),
        ("a constant decimal", vec![0.1; 480], 6),
        ("a constant NaN", vec![f64::NAN; 480], 10),
        ("a line", (0..480).map(|i| f64::from(i * 15)).collect(), 8),
        (
            "40 of a counter",
            (0..40).map(|i| f64::from(1_000_000 + i * 150 + i * i % 61)).collect(),
            50,
        ),
        ("bytes in pages", (0..480).map(|i| f64::from((i * i % 15) * 4096)).collect(), 4 * 60 + 30),
        (
            "sums",
            {
                let mut sum = 0.0;
                (0..480)
                    .map(|i| {
                        sum += f64::from(i * i % 4) * 0.01;
                        sum
                    })
                    .collect()
            },
            480 * 6 / 8 + 60,
        ),
    ];
    for (name, values, most) in cases {
        let len = check_floats(&values);
        assert!(len <= most, "{name}: {len} bytes, at most {most} are expected");
    }
}

#[test]
fn a_stale_marker_costs_a_few_bytes() {
    let mut values: Vec<f64> = (0..480).map(|i| f64::from(i * 300 + i * i % 7)).collect();
    let before = check_floats(&values);
    values[479] = varve_model::stale_nan();
    assert!(check_floats(&values) <= before + 8);
}

#[test]
fn a_reset_costs_a_few_bytes() {
    let counter = |i: i32| f64::from(5_000_000 + i * 100 + i * i % 7);
    let mut values: Vec<f64> = (0..480).map(counter).collect();
    let before = check_floats(&values);
    for (i, v) in values.iter_mut().enumerate().skip(200) {
        *v = counter(i as i32) - counter(200);
    }
    assert!(check_floats(&values) <= before + 12);
}

#[test]
fn bytes_are_those_of_the_format_page() {
    let check = |values: &[f64], expected: &[u8]| {
        let mut bytes = Vec::new();
        encode_floats(values, &mut bytes);
        assert_eq!(bytes, expected, "docs/formats/chunk.md says otherwise");
    };
    check(
        &[10.0, 12.0, 15.0, 15.0, 900.0, varve_model::stale_nan()],
        &[0x18, 6, 1, 0x14, 0x0a, 4, 0, 0x0c, 0x30, 0, 0xde, 0x78, 3, 1, 5, 0, 0],
    );
    let quarters = |i: i32| {
        let outlier = if i == 9 { 500.0 } else { 0.0 };
        f64::from(1000 + i * 3 + i * i % 3) / 4.0 + outlier
    };
    check(
        &(0..24).map(quarters).collect::<Vec<_>>(),
        &[
            0x11, 0x18, 2, 0x12, 0xd0, 0x86, 3, 0x19, 0x82, 4, 0x86, 0x61, 0x18, 0x86, 0x61, 0x18,
            2, 8, 0xe8, 7, 9, 0xe7, 7,
        ],
    );
}
