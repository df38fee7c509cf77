//! Prometheus' chunks: outside bytes never panic, and what decodes is coded
//! again to chunks that hold the same samples.

use varve_model::{FloatSamples, HistogramSamples, ResetHint};
use varve_tsdb::{Chunk, Decoded, Encoding, chunks};

/// A chunk of any encoding.
pub fn chunk(bytes: &[u8]) {
    for encoding in [Encoding::Xor, Encoding::Histogram, Encoding::FloatHistogram] {
        let chunk = Chunk { encoding, min_time: 0, max_time: 0, data: bytes.to_vec() };
        match chunk.decode() {
            Err(_) => {}
            Ok(Decoded::Floats(floats)) => {
                assert_eq!(again(&floats, &HistogramSamples::default()).0, floats);
            }
            Ok(Decoded::Histograms(histograms)) => {
                let (_, again) = again(&FloatSamples::default(), &histograms);
                assert_eq!(again.times, histograms.times);
                for (again, h) in again.values.iter().zip(&histograms.values) {
                    let gauge = |hint| hint == ResetHint::Gauge;
                    let mut h = h.as_ref().clone();
                    if !h.is_stale() {
                        assert_eq!(gauge(again.reset_hint), gauge(h.reset_hint));
                    }
                    h.reset_hint = again.reset_hint;
                    assert_eq!(again.as_ref(), &h);
                }
            }
        }
    }
}

fn again(floats: &FloatSamples, histograms: &HistogramSamples) -> (FloatSamples, HistogramSamples) {
    let (mut f, mut h) = (FloatSamples::default(), HistogramSamples::default());
    for chunk in chunks(floats, histograms) {
        let chunk = chunk.expect("decoded histograms are regular");
        match chunk.decode().expect("what was coded decodes") {
            Decoded::Floats(part) => {
                part.times.iter().zip(part.values).for_each(|(t, v)| f.push(*t, v, 0));
            }
            Decoded::Histograms(part) => {
                part.times.iter().zip(part.values).for_each(|(t, v)| h.push(*t, v, 0));
            }
        }
    }
    (f, h)
}
