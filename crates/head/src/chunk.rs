//! A closed piece of a series: samples of one kind of one window.
//!
//! A chunk begins as the buffer it was (so that closing costs nothing), is
//! coded in memory or by a seal, and after a seal is a place in a file. Which
//! cut it belongs to follows from the index of its last entry.

use std::sync::Arc;

use bytes::Bytes;
use varve_block::{BlockError, ChunkKind, EncodedChunk, merge};
use varve_model::{Exemplar, Labels, TimeRange, window_end};

use crate::buffer::Buffer;
use crate::exemplars::{self, ExemplarBuffer};
use crate::file::SealFile;
use crate::{HeadError, Result};

/// What a chunk holds. The number is the byte in sealed files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    Float = 0,
    Histogram = 1,
    Exemplar = 2,
}

impl Kind {
    pub(crate) fn from_u8(byte: u8) -> Option<Self> {
        [Self::Float, Self::Histogram, Self::Exemplar].into_iter().find(|k| *k as u8 == byte)
    }
}

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
#[derive(Clone, Debug)]
pub(crate) struct Coded {
    pub(crate) bytes: Bytes,
    /// Length of the times.
    pub(crate) times: u32,
    /// Length of the values.
    pub(crate) values: u32,
}

/// The same in a sealed file.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) file: Arc<SealFile>,
    pub(crate) offset: u64,
    pub(crate) len: u32,
    pub(crate) times: u32,
    pub(crate) values: u32,
    /// CRC-32C of all.
    pub(crate) crc: u32,
}

impl Chunk {
    /// The chunks of a buffer that lies in one window: one a kind.
    pub(crate) fn close(buffer: &Arc<Buffer>) -> impl Iterator<Item = Self> + use<> {
        let of = |kind, times: &[i64]| {
            let (min, max) = (*times.first()?, *times.last()?);
            let (count, last_index) = (times.len() as u32, buffer.last_index);
            let data = Data::Raw(Arc::clone(buffer));
            Some(Self { kind, count, min, max, last_index, data })
        };
        let floats = of(Kind::Float, &buffer.floats.times);
        let histograms = buffer.histograms.as_ref().and_then(|h| of(Kind::Histogram, &h.times));
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

    pub(crate) fn is_sealed(&self) -> bool {
        matches!(self.data, Data::Sealed(_))
    }

    /// Whether something in it may lie in `range`.
    pub(crate) fn overlaps(&self, range: &TimeRange) -> bool {
        range.start < self.max && self.min <= range.end
    }

    /// The content in its coded form; reads the file when sealed.
    pub(crate) fn code(&self, labels: &Labels) -> Result<Coded> {
        let encoded = match &self.data {
            Data::Coded(coded) => return Ok(coded.clone()),
            Data::Sealed(sealed) => return sealed.read(),
            Data::RawExemplars(buffer) => {
                let mut out = Vec::new();
                exemplars::encode(&buffer.items, &mut out);
                let values = out.len() as u32;
                return Ok(Coded { bytes: out.into(), times: 0, values });
            }
            Data::Raw(buffer) => match (self.kind, &buffer.histograms) {
                (Kind::Histogram, Some(column)) => EncodedChunk::from_histograms(column, 0, 0),
                _ => EncodedChunk::from_floats(&buffer.floats, 0, 0),
            },
        };
        let encoded = encoded.ok_or_else(|| HeadError::Samples {
            labels: labels.clone(),
            source: BlockError::corrupt("buffer", "no samples to code"),
        })?;
        let len = encoded.times.len() + encoded.values.len() + encoded.starts.len();
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(&encoded.times);
        bytes.extend_from_slice(&encoded.values);
        bytes.extend_from_slice(&encoded.starts);
        let (times, values) = (encoded.times.len() as u32, encoded.values.len() as u32);
        Ok(Coded { bytes: bytes.into(), times, values })
    }

    /// The chunk as readers get it. Must not be called on exemplars.
    pub(crate) fn encode(&self, labels: &Labels, term: u64, index: u64) -> Result<EncodedChunk> {
        let Coded { bytes, times, values } = self.code(labels)?;
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

    /// The samples; reads the file when sealed.
    pub(crate) fn decode(&self, labels: &Labels) -> Result<Arc<Buffer>> {
        if let Data::Raw(buffer) = &self.data {
            return Ok(Arc::clone(buffer));
        }
        let encoded = [self.encode(labels, 0, 0)?];
        let (floats, histograms) = merge::merge_chunks(&encoded, TimeRange::ALL)
            .map_err(|source| HeadError::Samples { labels: labels.clone(), source })?;
        let histograms = (!histograms.is_empty()).then(|| Box::new(histograms));
        Ok(Arc::new(Buffer { floats, histograms, last_index: self.last_index }))
    }

    /// The exemplars; reads the file when sealed.
    pub(crate) fn decode_exemplars(&self, labels: &Labels) -> Result<Vec<Exemplar>> {
        if let Data::RawExemplars(buffer) = &self.data {
            return Ok(buffer.items.clone());
        }
        exemplars::decode(&self.code(labels)?.bytes).map_err(|e| HeadError::Samples {
            labels: labels.clone(),
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

impl Sealed {
    fn read(&self) -> Result<Coded> {
        let bytes = self.file.read(self.offset, self.len as usize)?;
        let crc = crc32c::crc32c(&bytes);
        if crc != self.crc {
            let detail = format!("samples have the checksum {crc:#010x}, not {:#010x}", self.crc);
            return Err(HeadError::corrupt(&self.file.path, self.offset, detail));
        }
        Ok(Coded { bytes: bytes.into(), times: self.times, values: self.values })
    }
}
