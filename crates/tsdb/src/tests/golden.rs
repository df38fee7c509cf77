//! Bytes that Prometheus' own library made (tests/oracle/golden_test.go).

use std::sync::Arc;

use varve_model::{
    Counts, FloatSamples, Histogram, HistogramSamples, ResetHint, Series, Span, stale_nan,
};

use super::again;
use crate::{Chunk, Encoding, chunks};

const FLOATS: &str = "000a8080f4f6905d3ff000000000000098753097ffe000f0fdfee666666666666de0ae1fe020cccccccccccde59d8600200200000000000079adb028000000000000002f000000000090f5609ffc000000000000bc000003fffd9da6027e37e43c8800759cfffffff00000000018fbffe3a902d13310";
const EXPONENTIAL: &str = "000500ff3f50624dd2f1a9fc94a48ce32b7f0000ba43b740005a2804e000000000001122f83a98c3475838917c3a981a49ec83e1d4c08320fc0c0df0317bfdb8000000000010";
const CUSTOM: &str = "0003c000ee5c66557fe00000000000016f4e2feffffff90737359400000003d8308030000000000000000000000000000080220000000000007fe000000000000080000000000000008010000000000001f07531a82da82f097fff583d60dac4d6c163b01ec07a85e8";

const BEGIN: i64 = 1_600_000_000_000;

fn floats() -> Series {
    let steps = [0, 15_000, 15_000, 15_003, 14_000, 60_000, 500_000, 10_000_000, 1 << 40, 1];
    // The NaN is Go's.
    let nan = f64::from_bits(0x7ff8_0000_0000_0001);
    let values = [1.0, 1.0, 2.0, 0.1, nan, f64::NEG_INFINITY, stale_nan(), 0.0, 1e300, 12_345.678];
    let mut samples = FloatSamples::default();
    let mut time = BEGIN;
    for (step, value) in steps.into_iter().zip(values) {
        time += step;
        samples.push(time, value, 0);
    }
    Series { floats: samples, ..Series::default() }
}

fn exponential() -> Series {
    let mut samples = HistogramSamples::default();
    for i in 1..5 {
        let h = Histogram {
            schema: 2,
            zero_threshold: 0.001,
            sum: i as f64 * 11.5,
            reset_hint: ResetHint::Unknown,
            positive_spans: vec![Span { offset: 0, length: 2 }, Span { offset: 3, length: 1 }],
            negative_spans: vec![Span { offset: -2, length: 2 }],
            custom_bounds: Vec::new(),
            counts: Counts::Int {
                count: 6 * i,
                zero: i,
                positive: vec![i; 3],
                negative: vec![i; 2],
            },
        };
        samples.push(BEGIN + (i as i64 - 1).pow(2) * 15_000, Arc::new(h), 0);
    }
    samples.push(BEGIN + 1_000_000, Arc::new(super::marker(super::ints(&[]))), 0);
    Series { histograms: samples, ..Series::default() }
}

fn custom() -> Series {
    let mut samples = HistogramSamples::default();
    for i in 1..4 {
        let n = f64::from(i);
        let h = Histogram {
            schema: -53,
            zero_threshold: 0.0,
            sum: n * 4.25,
            reset_hint: ResetHint::Gauge,
            positive_spans: vec![Span { offset: 0, length: 3 }],
            negative_spans: Vec::new(),
            custom_bounds: vec![-1.0, 0.005, 2.5, 33_554.43, 1e9],
            counts: Counts::Float {
                count: 6.0 * n,
                zero: 0.0,
                positive: vec![n, 2.0 * n, 3.0 * n],
                negative: Vec::new(),
            },
        };
        samples.push(-1000 + i64::from(i - 1) * 15_000, Arc::new(h), 0);
    }
    Series { histograms: samples, ..Series::default() }
}

#[test]
fn bytes_are_prometheus() {
    let cases = [
        (floats(), Encoding::Xor, FLOATS),
        (exponential(), Encoding::Histogram, EXPONENTIAL),
        (custom(), Encoding::FloatHistogram, CUSTOM),
    ];
    for (series, encoding, want) in cases {
        let all: Result<Vec<Chunk>, _> = chunks(&series.floats, &series.histograms).collect();
        let [chunk] = &all.expect("regular")[..] else { panic!("{encoding:?}: not one chunk") };
        let hex: String = chunk.data.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!((chunk.encoding, hex.as_str()), (encoding, want));
        let (floats, _) = again(&series.floats, &series.histograms);
        assert_eq!(floats, series.floats);
    }
}
