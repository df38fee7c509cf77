//! Batches and remote write: outside bytes never panic, what decodes is
//! written back to the same batch, and the hand-written reader of requests
//! agrees with the generated one.

use prost::Message;
use varve_model::TenantId;
use varve_wire::batch::{FORM_PLAIN, VERSION, WriteBatch};
use varve_wire::prompb;
use varve_wire::remote_read::ReadRequest;
use varve_wire::remote_write::TenantFingerprints;
use varve_wire::remote_write::{Budget, DecodeError, Fingerprints, RawSeries, v1, v2};

/// What one request may decode to; more is an answer, too.
const BUDGET: usize = 16 << 20;

/// A batch as it comes, and its columns without compression around them.
pub fn batch(bytes: &[u8]) {
    let plain = [&[VERSION, FORM_PLAIN], bytes].concat();
    for bytes in [bytes, &plain] {
        if let Ok(batch) = WriteBatch::decode(bytes) {
            let again = WriteBatch::decode(&batch.encode()).expect("what was encoded decodes");
            assert_eq!(again, batch);
        }
    }
}

/// A decompressed 1.0 request.
pub fn remote_write_v1(bytes: &[u8]) {
    let ours = read_v1(bytes);
    if let (Ok(theirs), Ok(ours)) = (prompb::v1::WriteRequest::decode(bytes), ours) {
        let samples = theirs.timeseries.iter().map(|s| (s.samples.len(), s.histograms.len()));
        assert_eq!(ours, samples.collect::<Vec<_>>());
    }
}

/// A decompressed 2.0 request.
pub fn remote_write_v2(bytes: &[u8]) {
    let ours = read_v2(bytes);
    if let (Ok(theirs), Ok(ours)) = (prompb::v2::Request::decode(bytes), ours) {
        let samples = theirs.timeseries.iter().map(|s| (s.samples.len(), s.histograms.len()));
        assert_eq!(ours, samples.collect::<Vec<_>>());
    }
}

fn fingerprints() -> TenantFingerprints {
    Fingerprints::new([0; 16]).tenant(&TenantId::anonymous())
}

/// Floats and histograms of each series.
type Counts = Vec<(usize, usize)>;

fn read_v1(bytes: &[u8]) -> Result<Counts, DecodeError> {
    let (mut raw, mut budget, mut counts) = (RawSeries::default(), Budget::new(BUDGET), vec![]);
    let mut reader = v1::Reader::new(bytes, fingerprints());
    while reader.next(&mut raw, &mut budget)? {
        counts.push((raw.floats.len(), raw.histograms.len()));
        let _ = raw.labels(&mut budget)?;
    }
    Ok(counts)
}

fn read_v2(bytes: &[u8]) -> Result<Counts, DecodeError> {
    let (mut raw, mut budget, mut counts) = (RawSeries::default(), Budget::new(BUDGET), vec![]);
    let mut reader = v2::Reader::new(bytes, fingerprints(), &mut budget)?;
    while reader.next(&mut raw, &mut budget)? {
        counts.push((raw.floats.len(), raw.histograms.len()));
        let _ = raw.labels(&mut budget)?;
    }
    Ok(counts)
}

/// A decompressed request of remote read.
pub fn remote_read(bytes: &[u8]) {
    let ours = ReadRequest::decode(bytes);
    if let (Ok(theirs), Ok(ours)) = (prompb::v1::ReadRequest::decode(bytes), ours) {
        let ends = theirs.queries.iter().map(|q| q.end_timestamp_ms);
        assert!(ours.queries.iter().map(|q| q.range.end).eq(ends));
    }
}
