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

use crate::chunk::{Chunk, Coded, Data, Kind, Sealed};
use crate::codec::{Malformed, Reader, put_bytes, put_i64, put_u64};
use crate::entry::take_tenant;
use crate::file::SealFile;
use crate::seal::names::malformed;
use crate::{HeadError, Result};

pub(crate) const MAGIC: &[u8; 8] = b"VRVCHNK1";
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
pub(crate) struct Row {
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
    pub(crate) times: u32,
    pub(crate) values: u32,
    pub(crate) crc: u32,
}

/// Bit of the kind byte that says [`Row::merged`].
const MERGED: u8 = 0x80;

impl Row {
    /// The chunk, in its file.
    pub(crate) fn chunk(&self, file: &Arc<SealFile>) -> Chunk {
        let sealed = Sealed {
            file: Arc::clone(file),
            offset: self.offset,
            len: self.len,
            times: self.times,
            values: self.values,
            crc: self.crc,
        };
        Chunk {
            kind: self.kind,
            count: self.count,
            min: self.min,
            max: self.max,
            last_index: self.last_index,
            data: Data::Sealed(sealed),
        }
    }
}

/// Chunks of one tenant by series.
pub(crate) type TenantRows = (TenantId, Vec<(u64, Vec<Row>)>);

/// Writes a new file of samples.
pub(crate) struct Writer<'a> {
    path: &'a Path,
    file: Arc<dyn DiskFile>,
    pending: Vec<u8>,
    written: u64,
    crc: u32,
    windows: Vec<i64>,
}

impl<'a> Writer<'a> {
    pub(crate) fn create(disk: &dyn Disk, path: &'a Path) -> Result<Self> {
        let file = disk.create(path).map_err(HeadError::io("create", path))?;
        let pending = MAGIC.to_vec();
        Ok(Self { path, file, pending, written: 0, crc: 0, windows: Vec::new() })
    }

    /// Adds a chunk; returns what the index must say of it.
    pub(crate) fn push(&mut self, chunk: &Chunk, coded: &Coded, merged: bool) -> Result<Row> {
        let offset = self.written + self.pending.len() as u64;
        self.pending.extend_from_slice(&coded.bytes);
        self.crc = crc32c::crc32c_append(self.crc, &coded.bytes);
        if self.windows.last() != Some(&chunk.window()) {
            self.windows.push(chunk.window());
        }
        if self.pending.len() >= WRITE_BYTES {
            self.flush()?;
        }
        let len = u32::try_from(coded.bytes.len()).map_err(|_| {
            HeadError::corrupt(self.path, offset, "a chunk of 4 GiB cannot be written")
        })?;
        Ok(Row {
            kind: chunk.kind,
            merged,
            count: chunk.count,
            min: chunk.min,
            max: chunk.max,
            last_index: chunk.last_index,
            offset,
            len,
            times: coded.times,
            values: coded.values,
            crc: crc32c::crc32c(&coded.bytes),
        })
    }

    /// Writes index and footer; the file's bytes are durable when it returns.
    pub(crate) fn finish(mut self, id: u64, rows: &[TenantRows]) -> Result<Arc<SealFile>> {
        let index = encode_index(rows);
        let offset = self.written + self.pending.len() as u64;
        let mut footer = Vec::with_capacity(FOOTER);
        footer.extend_from_slice(&offset.to_le_bytes());
        footer.extend_from_slice(&(index.len() as u64).to_le_bytes());
        footer.extend_from_slice(&self.crc.to_le_bytes());
        footer.extend_from_slice(&crc32c::crc32c(&index).to_le_bytes());
        footer.extend_from_slice(&crc32c::crc32c(&footer).to_le_bytes());
        footer.extend_from_slice(MAGIC);
        self.pending.extend_from_slice(&index);
        self.pending.extend_from_slice(&footer);
        self.flush()?;
        self.file.sync_data().map_err(HeadError::io("sync", self.path))?;
        self.windows.sort_unstable();
        self.windows.dedup();
        let (path, file, windows) = (self.path.to_owned(), self.file, self.windows);
        Ok(Arc::new(SealFile { id, path, file, windows }))
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

fn encode_index(rows: &[TenantRows]) -> Vec<u8> {
    let mut out = Vec::new();
    put_u64(&mut out, rows.len() as u64);
    for (tenant, series) in rows {
        put_bytes(&mut out, tenant.as_str().as_bytes());
        put_u64(&mut out, series.len() as u64);
        let mut previous = 0;
        for (reference, chunks) in series {
            put_u64(&mut out, reference - previous);
            previous = *reference;
            put_u64(&mut out, chunks.len() as u64);
            for row in chunks {
                out.push(row.kind as u8 | if row.merged { MERGED } else { 0 });
                put_u64(&mut out, u64::from(row.count));
                put_i64(&mut out, row.min);
                put_u64(&mut out, row.max.wrapping_sub(row.min) as u64);
                put_u64(&mut out, row.last_index);
                put_u64(&mut out, u64::from(row.len));
                put_u64(&mut out, u64::from(row.times));
                put_u64(&mut out, u64::from(row.values));
                out.extend_from_slice(&row.crc.to_le_bytes());
            }
        }
    }
    out
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
            for _ in 0..r.count(12)? {
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

fn decode_row(r: &mut Reader<'_>, offset: u64) -> Result<Row, Malformed> {
    let at = r.fail("chunk is impossible");
    let byte = r.u8()?;
    let merged = byte & MERGED != 0;
    let kind = Kind::from_u8(byte & !MERGED).ok_or_else(|| at.clone())?;
    let (count, min, span, last_index) = (r.u32()?, r.i64()?, r.u64()?, r.u64()?);
    let (len, times, values, crc) = (r.u32()?, r.u32()?, r.u32()?, r.fixed_u32()?);
    let max = i64::try_from(span).ok().and_then(|s| min.checked_add(s)).ok_or(at.clone())?;
    let fits = u64::from(times) + u64::from(values) <= u64::from(len);
    let in_time = -MAX_TIME < min && max < MAX_TIME && window_end(min) == window_end(max);
    if count == 0 || !fits || !in_time {
        return Err(at);
    }
    Ok(Row { kind, merged, count, min, max, last_index, offset, len, times, values, crc })
}

/// Opens a file: checks footer and index, and all samples if `verify`.
pub(crate) fn open(
    disk: &dyn Disk,
    path: &Path,
    id: u64,
    verify: bool,
) -> Result<(Arc<SealFile>, Vec<TenantRows>)> {
    let file = disk.open(path).map_err(HeadError::io("open", path))?;
    let len = file.len().map_err(HeadError::io("read", path))?;
    let fail = |offset: u64, detail: &str| Err(HeadError::corrupt(path, offset, detail));
    let mut file = SealFile { id, path: path.to_owned(), file, windows: Vec::new() };
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
            if crc32c::crc32c(&bytes) != row.crc {
                return fail(row.offset, "samples do not match their checksum");
            }
        }
        return fail(MAGIC.len() as u64, "samples do not match their checksum");
    }
    let chunks = rows.iter().flat_map(|(_, series)| series).flat_map(|(_, rows)| rows);
    file.windows = chunks.map(|row| window_end(row.max)).collect();
    file.windows.sort_unstable();
    file.windows.dedup();
    Ok((Arc::new(file), rows))
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
