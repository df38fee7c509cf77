//! `io.prometheus.write.v2.Request`: remote write 2.0.
//!
//! Every string stands once in the request's symbols; each is hashed once,
//! and the fingerprint of a series is made of the hashes of its symbols.
//! Samples and histograms carry their own start timestamps.

use varve_model::MetricType;

use super::fields::Fields;
use super::series::{SeriesFault, exemplar_labels};
use super::{Budget, DecodeError, RawExemplar, RawMetadata, RawSeries};
use super::{TenantFingerprints, histogram};

/// Walks the series of one request.
pub struct Reader<'a> {
    fields: Fields<'a>,
    symbols: Symbols<'a>,
    fingerprints: TenantFingerprints,
    references: Vec<u32>,
}

/// The strings of a request, with their hashes.
struct Symbols<'a> {
    strings: Vec<&'a [u8]>,
    hashes: Vec<[u8; 16]>,
}

impl<'a> Reader<'a> {
    /// A reader of a decompressed body, whose symbols are hashed at once.
    ///
    /// # Errors
    /// When the top level is malformed or the symbols exceed the budget.
    pub fn new(
        body: &'a [u8],
        fingerprints: TenantFingerprints,
        budget: &mut Budget,
    ) -> Result<Self, DecodeError> {
        let mut symbols = Symbols { strings: Vec::new(), hashes: Vec::new() };
        // A pass of its own: symbols may stand behind the series.
        let mut fields = Fields::new(body, 0, "write request");
        while let Some(field) = fields.next()? {
            if field.number == 4 {
                let (bytes, _) = field.bytes()?;
                budget.take(size_of::<&[u8]>() + size_of::<[u8; 16]>())?;
                symbols.strings.push(bytes);
                symbols.hashes.push(fingerprints.symbol(bytes));
            }
        }
        let fields = Fields::new(body, 0, "write request");
        Ok(Self { fields, symbols, fingerprints, references: Vec::new() })
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
            if field.number == 5 {
                let (bytes, base) = field.bytes()?;
                self.series(bytes, base, out, budget)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn series(
        &mut self,
        bytes: &'a [u8],
        base: usize,
        out: &mut RawSeries<'a>,
        budget: &mut Budget,
    ) -> Result<(), DecodeError> {
        out.clear();
        self.references.clear();
        let mut fields = Fields::new(bytes, base, "time series");
        while let Some(field) = fields.next()? {
            match field.number {
                // References last as long as the series: no charge, a byte
                // of the body each, four here.
                1 => field.varints(|v| {
                    self.references.push(v as u32);
                    Ok(())
                })?,
                2 => {
                    let (bytes, base) = field.bytes()?;
                    budget.take(size_of::<(i64, f64, i64)>())?;
                    let (time, value, start) = sample(bytes, base)?;
                    out.floats.push(time, value, start);
                }
                3 => {
                    let (bytes, base) = field.bytes()?;
                    out.histograms.push(histogram::read(bytes, base, budget)?);
                }
                4 => {
                    let (bytes, base) = field.bytes()?;
                    out.exemplars.push(self.exemplar(bytes, base, budget)?);
                }
                5 => {
                    let (bytes, base) = field.bytes()?;
                    out.metadata = self.metadata(bytes, base)?;
                }
                _ => {}
            }
        }
        match self.symbols.pairs(&self.references, &mut out.pairs) {
            Ok(()) => {
                let hashes =
                    self.references.iter().filter_map(|r| self.symbols.hashes.get(*r as usize));
                out.fingerprint = self.fingerprints.symbols(hashes);
            }
            Err(fault) => out.fault = Some(fault),
        }
        Ok(())
    }

    fn exemplar(
        &self,
        bytes: &[u8],
        base: usize,
        budget: &mut Budget,
    ) -> Result<RawExemplar, DecodeError> {
        budget.take(size_of::<RawExemplar>())?;
        let mut fields = Fields::new(bytes, base, "exemplar");
        let (mut time, mut value, mut references) = (0, 0.0, Vec::new());
        while let Some(field) = fields.next()? {
            match field.number {
                1 => field.varints(|v| {
                    let len = self.symbols.get(v as u32).map_or(0, <[u8]>::len);
                    budget.take(len + size_of::<(&[u8], &[u8])>())?;
                    references.push(v as u32);
                    Ok(())
                })?,
                2 => value = field.double()?,
                3 => time = field.int64()?,
                _ => {}
            }
        }
        let mut pairs = Vec::new();
        let labels = match self.symbols.pairs(&references, &mut pairs) {
            Ok(()) => exemplar_labels(&pairs),
            Err(fault) => Err(fault),
        };
        Ok(RawExemplar { time, value, labels })
    }

    /// `None` when nothing is said, or only references to nothing.
    fn metadata(&self, bytes: &[u8], base: usize) -> Result<Option<RawMetadata<'a>>, DecodeError> {
        let mut fields = Fields::new(bytes, base, "metadata");
        let (mut kind, mut help, mut unit) = (0, 0, 0);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => kind = field.int32()?,
                3 => help = field.varint()? as u32,
                4 => unit = field.varint()? as u32,
                _ => {}
            }
        }
        let fingerprint =
            self.symbols.word(help) ^ self.symbols.word(unit).rotate_left(21) ^ kind as u64;
        let help = self.symbols.get(help).unwrap_or_default();
        let unit = self.symbols.get(unit).unwrap_or_default();
        if kind == 0 && help.is_empty() && unit.is_empty() {
            return Ok(None);
        }
        Ok(Some(RawMetadata { kind: MetricType::from_number(kind), help, unit, fingerprint }))
    }
}

impl<'a> Symbols<'a> {
    fn get(&self, reference: u32) -> Option<&'a [u8]> {
        self.strings.get(reference as usize).copied()
    }

    /// Eight bytes of a symbol's hash, 0 when there is no such symbol.
    fn word(&self, reference: u32) -> u64 {
        let hash = self.hashes.get(reference as usize).and_then(|h| h.first_chunk());
        hash.map_or(0, |word| u64::from_le_bytes(*word))
    }

    /// The names and values that references name, appended to `out`.
    fn pairs(
        &self,
        references: &[u32],
        out: &mut Vec<(&'a [u8], &'a [u8])>,
    ) -> Result<(), SeriesFault> {
        let (pairs, rest) = references.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(SeriesFault::OddReferences(references.len()));
        }
        let find = |reference: u32| {
            let symbols = self.strings.len();
            self.get(reference).ok_or(SeriesFault::NoSuchSymbol { reference, symbols })
        };
        for [name, value] in pairs {
            out.push((find(*name)?, find(*value)?));
        }
        Ok(())
    }
}

fn sample(bytes: &[u8], base: usize) -> Result<(i64, f64, i64), DecodeError> {
    let mut fields = Fields::new(bytes, base, "sample");
    let (mut time, mut value, mut start) = (0, 0.0, 0);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => value = field.double()?,
            2 => time = field.int64()?,
            3 => start = field.int64()?,
            _ => {}
        }
    }
    Ok((time, value, start))
}
