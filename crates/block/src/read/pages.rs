//! Single values of binary columns, out of their pages.
//!
//! A query of few series wants a few values of each of many blocks. The
//! library's reader of a column begins with a decompressor of its own and copies
//! what it finds twice; here it finds a page and reads its header, and the
//! values, a length and that many bytes each, are taken where they lie.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{Page, PageReader};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Decompressor;
use zstd::zstd_safe::get_frame_content_size;

use super::source::{Source, from_parquet, guard};
use crate::{BlockError, Result};

/// The longest page that Parquet can describe.
const MAX_PAGE: u64 = i32::MAX as u64;

thread_local! {
    /// To make one takes a virtual machine some ten microseconds.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Values of one column, in the order of their rows, in one piece of memory.
#[derive(Default)]
pub(super) struct Values {
    data: Bytes,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Values {
    /// The value of the `i`th row; nothing of a column that was not read.
    pub(super) fn get(&self, i: usize) -> Bytes {
        let Some(end) = self.ends.get(i) else { return Bytes::new() };
        let start = i.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.data.slice(start..*end)
    }
}

/// The values of binary `columns`, those that are named, at `rows`: sorted,
/// disjoint ranges of the file's.
pub(super) async fn read<const N: usize>(
    source: &Source,
    columns: [Option<&str>; N],
    rows: &[Range<u64>],
) -> Result<[Values; N]> {
    if rows.windows(2).any(|w| w[0].end > w[1].start) {
        return Err(BlockError::corrupt(source.name, "rows of two series overlap"));
    }
    let mut pages: [Vec<Place>; N] = std::array::from_fn(|_| Vec::new());
    for (pages, name) in pages.iter_mut().zip(columns) {
        *pages = name.map_or(Ok(Vec::new()), |name| places(source, name, rows))?;
    }
    let ranges: Vec<Range<u64>> = pages.iter().flatten().map(|page| page.bytes.clone()).collect();
    let mut fetched = source.fetch(&ranges).await?.into_iter();
    let mut values = columns.map(|_| Values::default());
    for ((values, pages), name) in values.iter_mut().zip(pages).zip(columns) {
        let mut found = Found::default();
        for (page, bytes) in pages.into_iter().zip(fetched.by_ref()) {
            guard(source.name, || found.add(source.name, &page, bytes, rows))?;
        }
        let wanted: u64 = rows.iter().map(|r| r.end - r.start).sum();
        if name.is_some() && found.ends.len() as u64 != wanted {
            let detail = format!("{} values of {wanted} rows", found.ends.len());
            return Err(BlockError::corrupt(source.name, detail));
        }
        *values = Values { data: found.data.into(), ends: found.ends };
    }
    Ok(values)
}

/// Where a page is, and what is in it.
struct Place {
    column: ColumnDescPtr,
    compression: Compression,
    bytes: Range<u64>,
    /// The rows of the file whose values it has.
    rows: Range<u64>,
    /// The first of the wanted ranges that reaches into it.
    wanted: usize,
}

/// The pages of a column that have values of `rows`.
fn places(source: &Source, column: &str, rows: &[Range<u64>]) -> Result<Vec<Place>> {
    let bad = |detail: &str| BlockError::corrupt(source.name, format!("{column}: {detail}"));
    let metadata = source.metadata.metadata();
    let at = metadata.file_metadata().schema_descr().columns().iter();
    let at = at.enumerate().find(|(_, c)| c.name() == column).map(|(at, _)| at);
    let at = at.ok_or_else(|| bad("no such column"))?;
    let (mut out, mut start, mut next) = (Vec::new(), 0u64, 0usize);
    for (g, group) in metadata.row_groups().iter().enumerate() {
        let end = start + u64::try_from(group.num_rows()).unwrap_or(0);
        let index = metadata.page_index().and_then(|all| all.offset_index(g, at));
        let pages = index.ok_or_else(|| bad("it has no offset index"))?.page_locations();
        let first = |i: usize| match pages.get(i) {
            Some(page) => start.saturating_add_signed(page.first_row_index).min(end),
            None => end,
        };
        for (i, page) in pages.iter().enumerate() {
            let held = first(i)..first(i + 1);
            next += rows[next..].iter().take_while(|r| r.end <= held.start).count();
            if held.is_empty() || rows.get(next).is_none_or(|r| r.start >= held.end) {
                continue;
            }
            let offset = u64::try_from(page.offset).map_err(|_| bad("a page before the file"))?;
            let size = u64::try_from(page.compressed_page_size).map_err(|_| bad("a short page"))?;
            let column = group.column(at);
            out.push(Place {
                column: column.column_descr_ptr(),
                compression: column.compression(),
                bytes: offset..offset.saturating_add(size),
                rows: held,
                wanted: next,
            });
        }
        start = end;
    }
    match rows.last() {
        Some(last) if last.end > start => {
            Err(bad(&format!("row {} of {start} was asked for", last.end)))
        }
        _ => Ok(out),
    }
}

/// Values that were found so far, and room for a page.
#[derive(Default)]
struct Found {
    data: Vec<u8>,
    ends: Vec<usize>,
    page: Vec<u8>,
}

impl Found {
    /// Adds the values that are wanted of a page.
    fn add(
        &mut self,
        file: &str,
        place: &Place,
        bytes: Bytes,
        wanted: &[Range<u64>],
    ) -> Result<()> {
        let bad = |detail: String| {
            BlockError::corrupt(file, format!("a page of {}: {detail}", place.column.name()))
        };
        let raw = raw_page(file, place, bytes)?;
        let Page::DataPage { buf, num_values, encoding: Encoding::PLAIN, .. } = raw else {
            return Err(bad(format!("coded as {}", raw.encoding())));
        };
        if u64::from(num_values) != place.rows.end - place.rows.start {
            return Err(bad(format!("{num_values} values of rows {:?}", place.rows)));
        }
        let page = match place.compression {
            Compression::UNCOMPRESSED => &buf[..],
            Compression::ZSTD(_) => {
                unpack(&buf, &mut self.page).map_err(|e| bad(e.to_string()))?;
                &self.page
            }
            other => return Err(bad(format!("compressed with {other}"))),
        };
        let mut values = PlainValues { rest: page };
        let mut row = place.rows.start;
        for range in wanted[place.wanted..].iter().take_while(|r| r.start < place.rows.end) {
            while row < range.end.min(place.rows.end) {
                let value = values.next().ok_or_else(|| bad(format!("it ends at row {row}")))?;
                if row >= range.start {
                    self.data.extend_from_slice(value);
                    self.ends.push(self.data.len());
                }
                row += 1;
            }
        }
        Ok(())
    }
}

/// A page as it is stored, its header read.
fn raw_page(file: &str, place: &Place, bytes: Bytes) -> Result<Page> {
    // As if its column ended with it, and were not compressed.
    let len = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let alone = ColumnChunkMetaData::builder(Arc::clone(&place.column))
        .set_compression(Compression::UNCOMPRESSED)
        .set_total_compressed_size(len)
        .build();
    let page = alone
        .and_then(|alone| SerializedPageReader::new(Arc::new(bytes), &alone, 0, None))
        .and_then(|mut pages| pages.get_next_page())
        .map_err(|e| from_parquet(file, e))?;
    page.ok_or_else(|| BlockError::corrupt(file, "an empty page"))
}

/// Unpacks a frame that says how long its content is.
fn unpack(frame: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
    let wrong = |what: &str| std::io::Error::other(what.to_owned());
    let len = get_frame_content_size(frame).ok().flatten().filter(|len| *len <= MAX_PAGE);
    let len = len.ok_or_else(|| wrong("a frame without its length"))? as usize;
    out.clear();
    out.reserve(len);
    let got = DECOMPRESSOR.with_borrow_mut(|decompressor| {
        let decompressor = match decompressor {
            Some(decompressor) => decompressor,
            None => decompressor.insert(Decompressor::new()?),
        };
        decompressor.decompress_to_buffer(frame, out)
    })?;
    if got == len { Ok(()) } else { Err(wrong("a frame of another length than it says")) }
}

/// Values in Parquet's plain encoding: four bytes of length, and the value.
struct PlainValues<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for PlainValues<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.rest.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        self.rest = rest;
        Some(value)
    }
}
