//! The file of samples: coded chunks one behind the other, then an index that
//! says whose they are, then a footer of fixed length.
//!
//! Opening reads footer and index; samples are read one chunk at a time, each
//! with a checksum of its own.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use varve_log::{Disk, DiskFile};
use varve_model::{TenantId, window_end};

use crate::chunk::{Chunk, Coded, Data};
use crate::codec::{Malformed, Reader, put_bytes, put_i64, put_u64};
use crate::entry::take_tenant;
use crate::file::SealFile;
use crate::kind::Kind;
use crate::seal::names::malformed;
use crate::sealed::{Row, Sections};
use crate::windows::Windows;
use crate::{HeadError, Result};

pub(crate) const MAGIC: &[u8; 8] = b"VRVCHNK2";
/// Index offset, index length, CRC of the samples, CRC of the index, CRC of
/// the footer before it, magic.
const FOOTER: usize = 8 + 8 + 4 + 4 + 4 + 8;
/// Bytes collected before they are written.
const WRITE_BYTES: usize = 1 << 20;
/// Bytes read at a time when all samples are checked.
const CHECK_BYTES: u64 = 4 << 20;
/// Times beyond this have no whole window.
const MAX_TIME: i64 = i64::MAX / 2;

/// One chunk as the index names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexRow {
    pub(crate) kind: Kind,
    /// Whether it replaces all chunks of earlier files that are of the same
    /// series, kind, window and cut.
    pub(crate) merged: bool,
    pub(crate) count: u32,
    pub(crate) min: i64,
    pub(crate) max: i64,
    pub(crate) last_index: u64,
    pub(crate) offset: u64,
    pub(crate) len: u32,
}

/// Bit of the kind byte that says [`IndexRow::merged`].
const MERGED: u8 = 0x80;

impl IndexRow {
    /// The chunk, without its content.
    pub(crate) fn chunk(&self) -> Chunk {
        let Self { kind, count, min, max, last_index, .. } = *self;
        Chunk { kind, count, min, max, last_index, data: Data::Coded(Coded::default()) }
    }
}

/// Chunks of one tenant by series.
pub(crate) type TenantRows = (TenantId, Vec<(u64, Vec<IndexRow>)>);

/// Writes a new file of samples: tenant by tenant, series by series in the
/// order of their references, chunk by chunk.
pub(crate) struct Writer<'a> {
    path: &'a Path,
    file: Arc<dyn DiskFile>,
    /// The place that the file is to get in memory.
    place: u16,
    pending: Vec<u8>,
    written: u64,
    crc: u32,
    sections: Sections,
    tenants: Vec<TenantIndex>,
}

/// The index of one tenant, as far as it is written.
struct TenantIndex {
    tenant: TenantId,
    series: u64,
    last: u64,
    bytes: Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Begins a file; `windows` tell what the chunks have in common.
    pub(crate) fn create(
        disk: &dyn Disk,
        path: &'a Path,
        place: u16,
        windows: Windows,
    ) -> Result<Self> {
        let file = disk.create(path).map_err(HeadError::io("create", path))?;
        Ok(Self {
            path,
            file,
            place,
            pending: MAGIC.to_vec(),
            written: 0,
            crc: 0,
            sections: Sections::new(windows),
            tenants: Vec::new(),
        })
    }

    /// What follows is of this tenant.
    pub(crate) fn tenant(&mut self, tenant: &TenantId) {
        let tenant = tenant.clone();
        self.tenants.push(TenantIndex { tenant, series: 0, last: 0, bytes: Vec::new() });
    }

    /// What follows is so many chunks of this series.
    pub(crate) fn series(&mut self, reference: u64, chunks: usize) {
        if let Some(index) = self.tenants.last_mut() {
            put_u64(&mut index.bytes, reference - index.last);
            put_u64(&mut index.bytes, chunks as u64);
            index.last = reference;
            index.series += 1;
        }
    }

    /// Adds a chunk; returns what is kept of it in memory.
    pub(crate) fn chunk(&mut self, chunk: &Chunk, coded: &Coded, merged: bool) -> Result<Row> {
        let before = self.pending.len();
        let offset = self.written + before as u64;
        coded.framed(&mut self.pending);
        let framed = &self.pending[before..];
        self.crc = crc32c::crc32c_append(self.crc, framed);
        let too_large = || HeadError::corrupt(self.path, offset, "a chunk is too large to seal");
        let len = u32::try_from(framed.len()).map_err(|_| too_large())?;
        let section = self.sections.of(chunk).ok_or_else(too_large)?;
        let row = Row::new(chunk, (self.place, section), (offset, len)).ok_or_else(too_large)?;
        if let Some(TenantIndex { bytes, .. }) = self.tenants.last_mut() {
            bytes.push(chunk.kind as u8 | if merged { MERGED } else { 0 });
            put_u64(bytes, u64::from(chunk.count));
            put_i64(bytes, chunk.min);
            put_u64(bytes, chunk.max.wrapping_sub(chunk.min) as u64);
            put_u64(bytes, chunk.last_index);
            put_u64(bytes, u64::from(len));
        }
        if self.pending.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(row)
    }

    /// Writes index and footer; the file's bytes are durable when it returns.
    pub(crate) fn finish(mut self, id: u64) -> Result<Arc<SealFile>> {
        let index_at = self.written + self.pending.len() as u64;
        let (mut index_len, mut index_crc) = (0u64, 0u32);
        let mut head = Vec::new();
        put_u64(&mut head, self.tenants.len() as u64);
        for TenantIndex { tenant, series, bytes, .. } in std::mem::take(&mut self.tenants) {
            put_bytes(&mut head, tenant.as_str().as_bytes());
            put_u64(&mut head, series);
            for part in [std::mem::take(&mut head), bytes] {
                index_len += part.len() as u64;
                index_crc = crc32c::crc32c_append(index_crc, &part);
                self.pending.extend_from_slice(&part);
            }
            self.flush()?;
        }
        debug_assert!(head.is_empty(), "a file of samples has tenants");
        let mut footer = Vec::with_capacity(FOOTER);
        footer.extend_from_slice(&index_at.to_le_bytes());
        footer.extend_from_slice(&index_len.to_le_bytes());
        footer.extend_from_slice(&self.crc.to_le_bytes());
        footer.extend_from_slice(&index_crc.to_le_bytes());
        footer.extend_from_slice(&crc32c::crc32c(&footer).to_le_bytes());
        footer.extend_from_slice(MAGIC);
        self.pending.extend_from_slice(&footer);
        self.flush()?;
        self.file.sync_data().map_err(HeadError::io("sync", self.path))?;
        let (path, sections) = (self.path.to_owned(), self.sections.finish());
        Ok(Arc::new(SealFile { id, path, file: self.file, len: self.written, sections }))
    }

    fn flush(&mut self) -> Result<()> {
        self.file
            .write_at(self.written, &[IoSlice::new(&self.pending)])
            .map_err(HeadError::io("write", self.path))?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}

/// Reads an index whose chunks fill the file from the magic to `end`.
pub(crate) fn decode_index(bytes: &[u8], end: u64) -> Result<Vec<TenantRows>, Malformed> {
    let mut r = Reader::new(bytes);
    let mut offset = MAGIC.len() as u64;
    let mut tenants = Vec::new();
    for _ in 0..r.count(2)? {
        let tenant = take_tenant(&mut r)?;
        let mut reference = 0u64;
        let mut series = Vec::new();
        for _ in 0..r.count(2)? {
            let at = r.fail("references are out of order");
            let step = r.u64()?;
            reference = reference.checked_add(step).filter(|_| step > 0).ok_or(at)?;
            let mut rows = Vec::new();
            for _ in 0..r.count(6)? {
                let row = decode_row(&mut r, offset)?;
                offset += u64::from(row.len);
                if offset > end {
                    return Err(r.fail("chunks reach beyond the samples"));
                }
                rows.push(row);
            }
            series.push((reference, rows));
        }
        tenants.push((tenant, series));
    }
    if offset != end {
        return Err(r.fail("samples that no chunk names"));
    }
    r.end()?;
    Ok(tenants)
}

fn decode_row(r: &mut Reader<'_>, offset: u64) -> Result<IndexRow, Malformed> {
    let at = r.fail("chunk is impossible");
    let byte = r.u8()?;
    let merged = byte & MERGED != 0;
    let kind = Kind::from_u8(byte & !MERGED).ok_or_else(|| at.clone())?;
    let (count, min, span, last_index) = (r.u32()?, r.i64()?, r.u64()?, r.u64()?);
    let len = r.u32()?;
    let max = i64::try_from(span).ok().and_then(|s| min.checked_add(s)).ok_or(at.clone())?;
    let in_time = -MAX_TIME < min && max < MAX_TIME && window_end(min) == window_end(max);
    if count == 0 || len == 0 || !in_time {
        return Err(at);
    }
    Ok(IndexRow { kind, merged, count, min, max, last_index, offset, len })
}

/// Opens a file: checks footer and index, and all samples if `verify`. Its
/// sections are for the caller to fill.
pub(crate) fn open(
    disk: &dyn Disk,
    path: &Path,
    id: u64,
    verify: bool,
) -> Result<(SealFile, Vec<TenantRows>)> {
    let file = disk.open(path).map_err(HeadError::io("open", path))?;
    let len = file.len().map_err(HeadError::io("read", path))?;
    let fail = |offset: u64, detail: &str| Err(HeadError::corrupt(path, offset, detail));
    let file = SealFile { id, path: path.to_owned(), file, len, sections: Vec::new() };
    let Some(footer_at) = len.checked_sub(FOOTER as u64).filter(|at| *at >= MAGIC.len() as u64)
    else {
        return fail(len, "too short for a footer");
    };
    if file.read(0, MAGIC.len())? != MAGIC[..] {
        return fail(0, "not a file of this kind and version");
    }
    let footer = file.read(footer_at, FOOTER)?;
    let bad = malformed(path, footer_at);
    let mut r = Reader::new(&footer);
    let (at, index_len) = (r.fixed_u64().map_err(&bad)?, r.fixed_u64().map_err(&bad)?);
    let (samples_crc, index_crc) = (r.fixed_u32().map_err(&bad)?, r.fixed_u32().map_err(&bad)?);
    let footer_crc = r.fixed_u32().map_err(&bad)?;
    if footer[FOOTER - 8..] != MAGIC[..] || crc32c::crc32c(&footer[..24]) != footer_crc {
        return fail(footer_at, "footer does not match its checksum");
    }
    if at < MAGIC.len() as u64 || at.checked_add(index_len) != Some(footer_at) {
        return fail(footer_at, "footer places the index elsewhere");
    }
    let index = file.read(at, index_len as usize)?;
    if crc32c::crc32c(&index) != index_crc {
        return fail(at, "index does not match its checksum");
    }
    let rows = decode_index(&index, at).map_err(malformed(path, at))?;
    if verify && samples_crc != checksum(&file, at)? {
        // The chunk that is wrong is worth naming.
        for row in rows.iter().flat_map(|(_, s)| s).flat_map(|(_, rows)| rows) {
            let bytes = file.read(row.offset, row.len as usize)?;
            if Coded::unframe(bytes).is_err() {
                return fail(row.offset, "samples do not match their checksum");
            }
        }
        return fail(MAGIC.len() as u64, "samples do not match their checksum");
    }
    Ok((file, rows))
}

/// CRC-32C of the samples.
fn checksum(file: &SealFile, end: u64) -> Result<u32> {
    let (mut at, mut crc) = (MAGIC.len() as u64, 0);
    while at < end {
        let len = CHECK_BYTES.min(end - at);
        crc = crc32c::crc32c_append(crc, &file.read(at, len as usize)?);
        at += len;
    }
    Ok(crc)
}
