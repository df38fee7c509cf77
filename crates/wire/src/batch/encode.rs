//! Writes a batch: one pass over the series fills the columns, then all of
//! them go behind one Zstandard frame (when that makes them shorter).

use bytes::Bytes;
use varve_model::{Exemplar, Metadata};

use super::{BatchSeries, COLUMNS, FORM_PLAIN, FORM_ZSTD, SeriesId, VERSION, WriteBatch, shape};
use super::{histogram, packed, values};
use crate::varint::{put_bytes, put_f64, put_varint, put_zigzag};

/// Below this length compression costs more than it saves.
const MIN_COMPRESSED: usize = 64;

/// The columns being filled, and the state of the delta codings.
#[derive(Default)]
struct Columns {
    shapes: Vec<u8>,
    counts: Vec<u8>,
    references: Vec<u8>,
    labels: Vec<u8>,
    times: Vec<u8>,
    values: values::Columns,
    starts: Vec<u8>,
    histograms: Vec<u8>,
    exemplars: Vec<u8>,
    metadata: Vec<u8>,
    last_reference: u64,
    last_time: i64,
    last_start: i64,
}

pub(super) fn encode(batch: &WriteBatch) -> Bytes {
    let mut columns = Columns::default();
    for series in &batch.series {
        columns.series(series);
    }
    for (name, metadata) in &batch.metadata {
        columns.metadata(name, metadata);
    }
    envelope(&columns.body(batch))
}

impl Columns {
    fn series(&mut self, s: &BatchSeries) {
        let (floats, histograms) = (s.floats.len(), s.histograms.len());
        let (float_starts, histogram_starts) = (s.floats.has_starts(), s.histograms.has_starts());
        let flag = |on: bool, bit: u64| if on { bit } else { 0 };
        let bits = flag(matches!(s.id, SeriesId::New(_)), shape::NEW)
            | flag(histograms > 0, shape::HISTOGRAMS)
            | flag(!s.exemplars.is_empty(), shape::EXEMPLARS)
            | flag(float_starts, shape::FLOAT_STARTS)
            | flag(histogram_starts, shape::HISTOGRAM_STARTS);
        put_varint(&mut self.shapes, (floats as u64) << shape::FLOAT_SHIFT | bits);
        match &s.id {
            SeriesId::Known(reference) => {
                let delta = reference.wrapping_sub(self.last_reference) as i64;
                put_zigzag(&mut self.references, delta);
                self.last_reference = *reference;
            }
            SeriesId::New(labels) => put_bytes(&mut self.labels, labels.as_bytes()),
        }
        for sample in s.floats.iter() {
            self.time(sample.time);
            self.values.push(sample.value);
        }
        if float_starts {
            s.floats.iter().for_each(|sample| self.start(sample.start));
        }
        if histograms > 0 {
            put_varint(&mut self.counts, histograms as u64);
            for sample in s.histograms.iter() {
                self.time(sample.time);
                histogram::put(&mut self.histograms, &sample.value);
            }
        }
        if histogram_starts {
            s.histograms.iter().for_each(|sample| self.start(sample.start));
        }
        if !s.exemplars.is_empty() {
            put_varint(&mut self.counts, s.exemplars.len() as u64);
            for e in &s.exemplars {
                self.exemplar(e);
            }
        }
    }

    fn time(&mut self, time: i64) {
        put_zigzag(&mut self.times, time.wrapping_sub(self.last_time));
        self.last_time = time;
    }

    fn start(&mut self, start: i64) {
        put_zigzag(&mut self.starts, start.wrapping_sub(self.last_start));
        self.last_start = start;
    }

    fn exemplar(&mut self, e: &Exemplar) {
        put_bytes(&mut self.exemplars, e.labels.as_bytes());
        put_f64(&mut self.exemplars, e.value);
        put_zigzag(&mut self.exemplars, e.timestamp.wrapping_sub(self.last_time));
    }

    fn metadata(&mut self, name: &str, m: &Metadata) {
        put_bytes(&mut self.metadata, name.as_bytes());
        self.metadata.push(m.kind as u8);
        put_bytes(&mut self.metadata, m.help.as_bytes());
        put_bytes(&mut self.metadata, m.unit.as_bytes());
    }

    /// Tenant and counts, then every column behind its length.
    fn body(self, batch: &WriteBatch) -> Vec<u8> {
        let values::Columns { kinds, mantissas, raw } = self.values;
        let columns: [Vec<u8>; COLUMNS.len()] = [
            self.shapes,
            self.counts,
            self.references,
            self.labels,
            self.times,
            kinds,
            mantissas,
            raw,
            self.starts,
            self.histograms,
            self.exemplars,
            self.metadata,
        ];
        let mut out = Vec::with_capacity(64 + columns.iter().map(|c| c.len() + 5).sum::<usize>());
        put_bytes(&mut out, batch.tenant.as_str().as_bytes());
        put_varint(&mut out, batch.series.len() as u64);
        put_varint(&mut out, batch.metadata.len() as u64);
        for column in &columns {
            put_bytes(&mut out, column);
        }
        out
    }
}

fn envelope(body: &[u8]) -> Bytes {
    if body.len() >= MIN_COMPRESSED
        && let Some(packed) = packed::pack(body)
        && packed.len() + 5 < body.len()
    {
        let mut out = Vec::with_capacity(packed.len() + 12);
        out.extend_from_slice(&[VERSION, FORM_ZSTD]);
        put_varint(&mut out, body.len() as u64);
        out.extend_from_slice(&packed);
        return out.into();
    }
    let mut out = Vec::with_capacity(body.len() + 2);
    out.extend_from_slice(&[VERSION, FORM_PLAIN]);
    out.extend_from_slice(body);
    out.into()
}
