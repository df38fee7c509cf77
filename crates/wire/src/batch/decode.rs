//! Reads a batch: bounded decompression, then one pass over the shapes that
//! draws from the other columns. All columns must be used up exactly.

use std::sync::Arc;

use varve_model::TenantId;
use varve_model::{Exemplar, Histogram, Labels, Metadata, MetricType};

use super::{BatchError, BatchSeries, COLUMNS, FORM_PLAIN, FORM_ZSTD, MAX_RAW_BYTES, MAX_SERIES};
use super::{Samples, SeriesId, VERSION, WriteBatch, histogram, packed, shape, values};
use crate::varint::{ReadError, Reader};

pub(super) fn decode(bytes: &[u8]) -> Result<WriteBatch, BatchError> {
    let (&version, rest) = bytes.split_first().ok_or(BatchError::Empty)?;
    if version != VERSION {
        return Err(BatchError::Version(version));
    }
    let (&form, rest) = rest.split_first().ok_or(BatchError::Empty)?;
    match form {
        FORM_PLAIN if rest.len() > MAX_RAW_BYTES => {
            Err(BatchError::TooLong { got: rest.len() as u64 })
        }
        FORM_PLAIN => body(rest),
        FORM_ZSTD => body(&decompress(rest)?),
        form => Err(BatchError::Form(form)),
    }
}

/// A length, and the frame of so many bytes.
fn decompress(bytes: &[u8]) -> Result<Vec<u8>, BatchError> {
    let mut header = Reader::new(bytes, 0);
    let expected = header.varint().map_err(|e| malformed("header", &header, e))?;
    if expected > MAX_RAW_BYTES as u64 {
        return Err(BatchError::TooLong { got: expected });
    }
    packed::unpack(&bytes[header.position()..], expected as usize)
        .ok_or(BatchError::Compression { expected })
}

fn body(bytes: &[u8]) -> Result<WriteBatch, BatchError> {
    let mut head = Reader::new(bytes, 0);
    let fail = |r: &Reader<'_>, e| malformed("header", r, e);
    let tenant = head.bytes().map_err(|e| fail(&head, e))?;
    let tenant = std::str::from_utf8(tenant).map_err(|_| BatchError::Malformed {
        column: "header",
        at: 0,
        what: "not UTF-8",
    })?;
    let tenant = TenantId::new(tenant)?;
    let series = head.varint().map_err(|e| fail(&head, e))?;
    let families = head.varint().map_err(|e| fail(&head, e))?;
    let mut columns: Vec<Reader<'_>> = Vec::with_capacity(COLUMNS.len());
    for _ in COLUMNS {
        let column = head.bytes().map_err(|e| fail(&head, e))?;
        columns.push(Reader::new(column, 0));
    }
    if !head.is_empty() {
        return Err(wrong("header", &head, "bytes are left over"));
    }
    let Ok(columns) = <[Reader<'_>; COLUMNS.len()]>::try_from(columns) else {
        return Err(wrong("header", &head, "columns are missing"));
    };
    let mut columns = Columns::new(columns);
    let shapes = columns.shapes.remaining() as u64;
    if series > shapes || series > MAX_SERIES as u64 {
        return Err(wrong("shapes", &columns.shapes, "fewer entries than series"));
    }
    let mut out = Vec::with_capacity(series as usize);
    for _ in 0..series {
        out.push(columns.series()?);
    }
    let metadata = columns.families(families)?;
    columns.finish()?;
    Ok(WriteBatch { tenant, series: out, metadata })
}

/// A reader a column, and the state of the delta codings.
struct Columns<'a> {
    shapes: Reader<'a>,
    counts: Reader<'a>,
    references: Reader<'a>,
    labels: Reader<'a>,
    times: Reader<'a>,
    kinds: Reader<'a>,
    mantissas: Reader<'a>,
    raw: Reader<'a>,
    starts: Reader<'a>,
    histograms: Reader<'a>,
    exemplars: Reader<'a>,
    metadata: Reader<'a>,
    last_reference: u64,
    last_time: i64,
    last_start: i64,
}

impl<'a> Columns<'a> {
    fn new(columns: [Reader<'a>; COLUMNS.len()]) -> Self {
        let [
            shapes,
            counts,
            references,
            labels,
            times,
            kinds,
            mantissas,
            raw,
            starts,
            histograms,
            exemplars,
            metadata,
        ] = columns;
        Self {
            shapes,
            counts,
            references,
            labels,
            times,
            kinds,
            mantissas,
            raw,
            starts,
            histograms,
            exemplars,
            metadata,
            last_reference: 0,
            last_time: 0,
            last_start: 0,
        }
    }

    fn series(&mut self) -> Result<BatchSeries, BatchError> {
        let entry = self.shapes.varint().map_err(|e| malformed("shapes", &self.shapes, e))?;
        let has = |bit: u64| entry & bit != 0;
        let id = if has(shape::NEW) {
            let bytes = self.labels.bytes().map_err(|e| malformed("labels", &self.labels, e))?;
            SeriesId::New(Labels::from_bytes(bytes)?)
        } else {
            let delta = self.references.zigzag();
            let delta = delta.map_err(|e| malformed("references", &self.references, e))?;
            self.last_reference = self.last_reference.wrapping_add(delta as u64);
            SeriesId::Known(self.last_reference)
        };
        let floats = self.floats(entry >> shape::FLOAT_SHIFT, has(shape::FLOAT_STARTS))?;
        let histograms = if has(shape::HISTOGRAMS) {
            self.histograms(has(shape::HISTOGRAM_STARTS))?
        } else {
            Samples::default()
        };
        let exemplars = if has(shape::EXEMPLARS) { self.exemplars()? } else { Vec::new() };
        Ok(BatchSeries { id, floats, histograms, exemplars })
    }

    fn floats(&mut self, n: u64, starts: bool) -> Result<Samples<f64>, BatchError> {
        if n > self.kinds.remaining() as u64 {
            return Err(wrong("kinds", &self.kinds, "fewer entries than samples"));
        }
        let mut out = Samples::with_capacity(n as usize);
        for _ in 0..n {
            let time = self.time()?;
            let kind = self.kinds.u8().map_err(|e| malformed("kinds", &self.kinds, e))?;
            let value = values::read(kind, &mut self.mantissas, &mut self.raw)
                .map_err(|e| malformed("mantissas or raw", &self.mantissas, e))?;
            let value = value.ok_or_else(|| wrong("kinds", &self.kinds, "unknown kind"))?;
            out.push(time, value, 0);
        }
        if starts {
            self.starts(&mut out)?;
        }
        Ok(out)
    }

    fn histograms(&mut self, starts: bool) -> Result<Samples<Arc<Histogram>>, BatchError> {
        let n = self.counts.varint().map_err(|e| malformed("counts", &self.counts, e))?;
        if n > self.histograms.remaining() as u64 {
            return Err(wrong("histograms", &self.histograms, "fewer entries than samples"));
        }
        let mut out = Samples::with_capacity(n as usize);
        for _ in 0..n {
            let time = self.time()?;
            let h = histogram::read(&mut self.histograms);
            let h = h.map_err(|e| malformed("histograms", &self.histograms, e))?;
            out.push(time, Arc::new(h), 0);
        }
        if starts {
            self.starts(&mut out)?;
        }
        Ok(out)
    }

    fn time(&mut self) -> Result<i64, BatchError> {
        let delta = self.times.zigzag().map_err(|e| malformed("times", &self.times, e))?;
        self.last_time = self.last_time.wrapping_add(delta);
        Ok(self.last_time)
    }

    fn starts<T>(&mut self, samples: &mut Samples<T>) -> Result<(), BatchError> {
        for sample in samples.iter_mut() {
            let delta = self.starts.zigzag().map_err(|e| malformed("starts", &self.starts, e))?;
            self.last_start = self.last_start.wrapping_add(delta);
            sample.start = self.last_start;
        }
        Ok(())
    }

    fn exemplars(&mut self) -> Result<Vec<Exemplar>, BatchError> {
        let n = self.counts.varint().map_err(|e| malformed("counts", &self.counts, e))?;
        // An exemplar takes at least an empty label set, a value and a time.
        if n > (self.exemplars.remaining() / 10) as u64 {
            return Err(wrong("exemplars", &self.exemplars, "fewer entries than exemplars"));
        }
        let mut out = Vec::with_capacity(n as usize);
        for _ in 0..n {
            let (labels, value, delta) =
                self.exemplar().map_err(|e| malformed("exemplars", &self.exemplars, e))?;
            let timestamp = self.last_time.wrapping_add(delta);
            out.push(Exemplar { labels: Labels::from_bytes(labels)?, value, timestamp });
        }
        Ok(out)
    }

    fn exemplar(&mut self) -> Result<(&'a [u8], f64, i64), ReadError> {
        Ok((self.exemplars.bytes()?, self.exemplars.f64()?, self.exemplars.zigzag()?))
    }

    fn families(&mut self, n: u64) -> Result<Vec<(String, Metadata)>, BatchError> {
        // A family takes at least a kind and three empty strings.
        if n > (self.metadata.remaining() / 4) as u64 {
            return Err(wrong("metadata", &self.metadata, "fewer entries than families"));
        }
        let mut out = Vec::with_capacity(n as usize);
        for _ in 0..n {
            let family = self.family().map_err(|e| malformed("metadata", &self.metadata, e))?;
            let (name, kind, help, unit) = family;
            let text = |b: &'a [u8]| {
                std::str::from_utf8(b).map_err(|_| wrong("metadata", &self.metadata, "not UTF-8"))
            };
            let kind = MetricType::from_number(i32::from(kind));
            let metadata = Metadata { kind, help: text(help)?.into(), unit: text(unit)?.into() };
            out.push((text(name)?.to_owned(), metadata));
        }
        Ok(out)
    }

    #[allow(clippy::type_complexity)]
    fn family(&mut self) -> Result<(&'a [u8], u8, &'a [u8], &'a [u8]), ReadError> {
        let m = &mut self.metadata;
        Ok((m.bytes()?, m.u8()?, m.bytes()?, m.bytes()?))
    }

    fn finish(&self) -> Result<(), BatchError> {
        let readers = [
            &self.shapes,
            &self.counts,
            &self.references,
            &self.labels,
            &self.times,
            &self.kinds,
            &self.mantissas,
            &self.raw,
            &self.starts,
            &self.histograms,
            &self.exemplars,
            &self.metadata,
        ];
        match readers.iter().zip(COLUMNS).find(|(r, _)| !r.is_empty()) {
            Some((r, column)) => Err(wrong(column, r, "bytes are left over")),
            None => Ok(()),
        }
    }
}

fn malformed(column: &'static str, r: &Reader<'_>, e: ReadError) -> BatchError {
    let what = match e {
        ReadError::Truncated => "it ends inside a value",
        ReadError::Overlong => "a number is too large",
    };
    wrong(column, r, what)
}

fn wrong(column: &'static str, r: &Reader<'_>, what: &'static str) -> BatchError {
    BatchError::Malformed { column, at: r.position(), what }
}
