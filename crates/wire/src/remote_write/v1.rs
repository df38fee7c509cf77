//! `prometheus.WriteRequest`: remote write 1.0.
//!
//! Labels lie in each series; adjacent label fields are hashed as one run of
//! bytes and parsed only when asked for. Metadata stands beside the series.

use varve_model::{Metadata, MetricType};

use super::fields::Fields;
use super::series::{exemplar_labels, read_label};
use super::{Budget, DecodeError, RawExemplar, RawSeries, TenantFingerprints, histogram};

/// Walks the series of one request.
pub struct Reader<'a> {
    body: &'a [u8],
    fields: Fields<'a>,
    fingerprints: TenantFingerprints,
    metadata: Vec<(String, Metadata)>,
}

impl<'a> Reader<'a> {
    /// A reader of a decompressed body.
    pub fn new(body: &'a [u8], fingerprints: TenantFingerprints) -> Self {
        let fields = Fields::new(body, 0, "write request");
        Self { body, fields, fingerprints, metadata: Vec::new() }
    }

    /// Puts the next series into `out`; `false` at the end.
    ///
    /// # Errors
    /// When the request is malformed or too large; nothing more can be read.
    pub fn next(
        &mut self,
        out: &mut RawSeries<'a>,
        budget: &mut Budget,
    ) -> Result<bool, DecodeError> {
        while let Some(field) = self.fields.next()? {
            match field.number {
                1 => {
                    let (bytes, base) = field.bytes()?;
                    self.series(bytes, base, out, budget)?;
                    return Ok(true);
                }
                3 => {
                    let (bytes, base) = field.bytes()?;
                    self.metadata.push(metadata(bytes, base, budget)?);
                }
                _ => {}
            }
        }
        Ok(false)
    }

    /// The metadata read so far: family names and what they say. Complete
    /// once [`Reader::next`] gave `false`.
    pub fn take_metadata(&mut self) -> Vec<(String, Metadata)> {
        std::mem::take(&mut self.metadata)
    }

    fn series(
        &self,
        bytes: &'a [u8],
        base: usize,
        out: &mut RawSeries<'a>,
        budget: &mut Budget,
    ) -> Result<(), DecodeError> {
        out.clear();
        let mut fields = Fields::new(bytes, base, "time series");
        // The run of label fields being collected, as positions in the body:
        // nearly always all of them, before all else.
        fields.skip_short(1);
        let mut run = base..fields.position();
        while let Some(field) = fields.next()? {
            match field.number {
                1 => {
                    field.bytes()?;
                    if run.end != field.at && !run.is_empty() {
                        budget.take(size_of::<&[u8]>())?;
                        out.runs.push(&self.body[run.clone()]);
                    }
                    let begin = if run.end == field.at { run.start } else { field.at };
                    run = begin..fields.position();
                }
                2 => {
                    let (bytes, base) = field.bytes()?;
                    budget.take(size_of::<(i64, f64)>())?;
                    let (time, value) = sample(bytes, base)?;
                    out.floats.push(time, value, 0);
                }
                3 => {
                    let (bytes, base) = field.bytes()?;
                    out.exemplars.push(exemplar(bytes, base, budget)?);
                }
                4 => {
                    let (bytes, base) = field.bytes()?;
                    // Start timestamps came with 2.0.
                    let histogram = histogram::read(bytes, base, budget)?;
                    out.histograms.push(super::RawHistogram { start: 0, ..histogram });
                }
                _ => {}
            }
        }
        if !run.is_empty() {
            out.runs.push(&self.body[run]);
        }
        out.fingerprint = self.fingerprints.runs(&out.runs);
        Ok(())
    }
}

fn sample(bytes: &[u8], base: usize) -> Result<(i64, f64), DecodeError> {
    // As everybody writes it: value, then time in six bytes (1971 to 2109).
    if let [0x09, value @ .., 0x10, a, b, c, d, e, f] = bytes
        && let Ok(value) = <[u8; 8]>::try_from(value)
        && [a, b, c, d, e].iter().all(|byte| **byte >= 0x80)
        && *f < 0x80
    {
        let low = |byte: u8| i64::from(byte & 0x7f);
        let time = [a, b, c, d, e, f].iter().rev().fold(0, |time, byte| time << 7 | low(**byte));
        return Ok((time, f64::from_le_bytes(value)));
    }
    let mut fields = Fields::new(bytes, base, "sample");
    let (mut time, mut value) = (0, 0.0);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => value = field.double()?,
            2 => time = field.int64()?,
            _ => {}
        }
    }
    Ok((time, value))
}

fn exemplar(bytes: &[u8], base: usize, budget: &mut Budget) -> Result<RawExemplar, DecodeError> {
    budget.take(size_of::<RawExemplar>() + bytes.len())?;
    let mut fields = Fields::new(bytes, base, "exemplar");
    let (mut time, mut value, mut pairs) = (0, 0.0, Vec::new());
    while let Some(field) = fields.next()? {
        match field.number {
            1 => {
                let (bytes, base) = field.bytes()?;
                budget.take(size_of::<(&[u8], &[u8])>())?;
                pairs.push(read_label(bytes, base)?);
            }
            2 => value = field.double()?,
            3 => time = field.int64()?,
            _ => {}
        }
    }
    Ok(RawExemplar { time, value, labels: exemplar_labels(&pairs) })
}

fn metadata(
    bytes: &[u8],
    base: usize,
    budget: &mut Budget,
) -> Result<(String, Metadata), DecodeError> {
    budget.take(size_of::<(String, Metadata)>() + 3 * bytes.len())?;
    let mut fields = Fields::new(bytes, base, "metric metadata");
    let (mut kind, mut name, mut help, mut unit) = (0, String::new(), "".into(), "".into());
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    while let Some(field) = fields.next()? {
        match field.number {
            1 => kind = field.int32()?,
            2 => name = text(field.bytes()?.0),
            4 => help = text(field.bytes()?.0).into(),
            5 => unit = text(field.bytes()?.0).into(),
            _ => {}
        }
    }
    Ok((name, Metadata { kind: MetricType::from_number(kind), help, unit }))
}
