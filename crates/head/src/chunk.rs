//! A closed piece of a series: samples of one kind of one window.
//!
//! A chunk begins as the buffer it was (so that closing costs nothing), is
//! coded in memory or by a seal, and after a seal is a place in a file (kept as
//! a [`crate::sealed::Row`]). Which cut it belongs to follows from the index
//! of its last entry.

use std::sync::Arc;

use bytes::Bytes;
use varve_block::{BlockError, ChunkKind, EncodedChunk, merge};
use varve_model::{Exemplar, Labels, TimeRange, window_end};

use crate::buffer::Buffer;
use crate::codec::{Malformed, Reader, put_u64};
use crate::exemplars::{self, ExemplarBuffer};
use crate::file::SealFile;
use crate::kind::Kind;
use crate::{HeadError, Result};

/// A closed piece of a series. Nothing in it ever changes but where it lies.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) kind: Kind,
    pub(crate) count: u32,
    pub(crate) min: i64,
    pub(crate) max: i64,
    /// Index of the last log entry that added to it.
    pub(crate) last_index: u64,
    pub(crate) data: Data,
}

/// Where a chunk's content lies.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    /// The column of the chunk's kind.
    Raw(Arc<Buffer>),
    RawExemplars(Arc<ExemplarBuffer>),
    Coded(Coded),
    Sealed(Sealed),
}

/// Coded times, values and start timestamps, one behind the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coded {
    pub(crate) bytes: Bytes,
    /// Length of the times.
    pub(crate) times: u32,
    /// Length of the values.
    pub(crate) values: u32,
}

/// The same in a sealed file, behind a frame: see [`Coded::framed`].
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) file: Arc<SealFile>,
    pub(crate) offset: u64,
    pub(crate) len: u32,
}

impl Chunk {
    /// The chunks of a buffer that lies in one window: one a kind.
    pub(crate) fn close(buffer: &Arc<Buffer>) -> impl Iterator<Item = Self> + use<> {
        let of = |kind, span: Option<(i64, i64)>, count: usize| {
            let (min, max) = span?;
            let (count, last_index) = (count as u32, buffer.last_index);
            let data = Data::Raw(Arc::clone(buffer));
            Some(Self { kind, count, min, max, last_index, data })
        };
        let floats = of(Kind::Float, buffer.floats().span(), buffer.floats().len());
        let histograms = buffer.histograms().map_or(0, |h| h.len());
        let histograms = of(Kind::Histogram, buffer.histogram_span(), histograms);
        floats.into_iter().chain(histograms)
    }

    /// The chunks of an exemplar buffer: one a window.
    pub(crate) fn close_exemplars(buffer: &ExemplarBuffer) -> Vec<Self> {
        let mut items = buffer.items.clone();
        exemplars::sort(&mut items);
        let close = |part: &[Exemplar]| {
            let items = part.to_vec();
            let last_index = buffer.last_index;
            let data = Arc::new(ExemplarBuffer { items, last_index });
            Some(Self {
                kind: Kind::Exemplar,
                count: u32::try_from(part.len()).ok()?,
                min: part.first()?.timestamp,
                max: part.last()?.timestamp,
                last_index,
                data: Data::RawExemplars(data),
            })
        };
        items
            .chunk_by(|a, b| window_end(a.timestamp) == window_end(b.timestamp))
            .filter_map(close)
            .collect()
    }

    /// End of the window that the chunk lies in.
    pub(crate) fn window(&self) -> i64 {
        window_end(self.max)
    }

    /// Number of the file that it lies in.
    pub(crate) fn file(&self) -> Option<u64> {
        match &self.data {
            Data::Sealed(sealed) => Some(sealed.file.id),
            _ => None,
        }
    }

    /// Whether something in it may lie in `range`.
    pub(crate) fn overlaps(&self, range: &TimeRange) -> bool {
        range.start < self.max && self.min <= range.end
    }

    /// The content in its coded form; reads the file when sealed.
    pub(crate) fn code(&self) -> Result<Coded> {
        let encoded = match &self.data {
            Data::Coded(coded) => return Ok(coded.clone()),
            Data::Sealed(sealed) => return sealed.read(),
            Data::RawExemplars(buffer) => {
                let mut out = Vec::new();
                exemplars::encode(&buffer.items, &mut out);
                let values = out.len() as u32;
                return Ok(Coded { bytes: out.into(), times: 0, values });
            }
            Data::Raw(buffer) => match (self.kind, buffer.histograms()) {
                (Kind::Histogram, Some(column)) => EncodedChunk::from_histograms(column, 0, 0),
                _ => EncodedChunk::from_floats(&buffer.floats().columns(), 0, 0),
            },
        };
        // A chunk has samples; one without would code to nothing.
        Ok(encoded.as_ref().map_or_else(Coded::default, Coded::new))
    }

    /// The chunk as readers get it. Must not be called on exemplars.
    pub(crate) fn encode(&self, term: u64, index: u64) -> Result<EncodedChunk> {
        let Coded { bytes, times, values } = self.code()?;
        let (times, values) = (times as usize, times as usize + values as usize);
        let kind = match self.kind {
            Kind::Histogram => ChunkKind::Histogram,
            Kind::Float | Kind::Exemplar => ChunkKind::Float,
        };
        Ok(EncodedChunk {
            kind,
            min_time: self.min,
            max_time: self.max,
            count: self.count,
            times: bytes.slice(..times),
            values: bytes.slice(times..values),
            starts: bytes.slice(values..),
            term,
            index,
        })
    }

    /// The samples; reads the file when sealed. `who` names the series in an
    /// error.
    pub(crate) fn decode(&self, who: impl FnOnce() -> Labels) -> Result<Arc<Buffer>> {
        if let Data::Raw(buffer) = &self.data {
            return Ok(Arc::clone(buffer));
        }
        let encoded = [self.encode(0, 0)?];
        let (floats, histograms) = merge::merge_chunks(&encoded, TimeRange::ALL)
            .map_err(|source| HeadError::Samples { labels: who(), source })?;
        Ok(Arc::new(Buffer::from_columns(&floats, histograms, self.last_index)))
    }

    /// The exemplars; reads the file when sealed. `who` names the series in an
    /// error.
    pub(crate) fn decode_exemplars(&self, who: impl FnOnce() -> Labels) -> Result<Vec<Exemplar>> {
        if let Data::RawExemplars(buffer) = &self.data {
            return Ok(buffer.items.clone());
        }
        exemplars::decode(&self.code()?.bytes).map_err(|e| HeadError::Samples {
            labels: who(),
            source: BlockError::corrupt("exemplars", e),
        })
    }

    /// Bytes of memory behind the chunk, itself included.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>()
            + match &self.data {
                Data::Raw(buffer) => buffer.memory(),
                Data::RawExemplars(buffer) => buffer.memory(),
                Data::Coded(coded) => coded.bytes.len(),
                Data::Sealed(_) => 0,
            }
    }
}

impl Coded {
    /// The parts of an encoded chunk, one behind the other.
    pub(crate) fn new(encoded: &EncodedChunk) -> Self {
        let parts = [&encoded.times, &encoded.values, &encoded.starts];
        let mut bytes = Vec::with_capacity(parts.iter().map(|p| p.len()).sum());
        parts.iter().for_each(|p| bytes.extend_from_slice(p));
        let (times, values) = (encoded.times.len() as u32, encoded.values.len() as u32);
        Self { bytes: bytes.into(), times, values }
    }

    /// Appends what a sealed file holds of it: CRC-32C of what follows, length
    /// of the times, length of the values, content.
    pub(crate) fn framed(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        put_u64(out, u64::from(self.times));
        put_u64(out, u64::from(self.values));
        out.extend_from_slice(&self.bytes);
        let crc = crc32c::crc32c(&out[start + 4..]);
        out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads what [`Coded::framed`] wrote; the error says what is wrong.
    pub(crate) fn unframe(bytes: Vec<u8>) -> std::result::Result<Self, String> {
        let mut r = Reader::new(&bytes);
        let wrong = |e: Malformed| e.to_string();
        let crc = r.fixed_u32().map_err(wrong)?;
        let found = crc32c::crc32c(&bytes[4..]);
        if found != crc {
            return Err(format!("samples have the checksum {found:#010x}, not {crc:#010x}"));
        }
        let (times, values) = (r.u32().map_err(wrong)?, r.u32().map_err(wrong)?);
        let content = bytes.len() - r.remaining();
        if u64::from(times) + u64::from(values) > r.remaining() as u64 {
            return Err("times and values are longer than the chunk".to_owned());
        }
        Ok(Self { bytes: Bytes::from(bytes).slice(content..), times, values })
    }
}

impl Sealed {
    fn read(&self) -> Result<Coded> {
        let bytes = self.file.read(self.offset, self.len as usize)?;
        let corrupt = |detail| HeadError::corrupt(&self.file.path, self.offset, detail);
        Coded::unframe(bytes).map_err(corrupt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frames_round_trip_and_any_bytes_are_safe(
            content in proptest::collection::vec(any::<u8>(), 0..40),
            at in any::<usize>(),
            other in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let times = content.len() as u32 / 2;
            let coded = Coded { bytes: content.clone().into(), times, values: times };
            let mut framed = vec![7];
            coded.framed(&mut framed);
            let mut framed = framed.split_off(1);
            let back = Coded::unframe(framed.clone()).unwrap();
            prop_assert_eq!((&back.bytes[..], back.times, back.values), (&content[..], times, times));
            let at = at % framed.len();
            framed[at] ^= 0x10;
            prop_assert!(Coded::unframe(framed).is_err());
            let _ = Coded::unframe(other);
        }
    }
}
