//! One Parquet file of a block, read by ranges: its footer once, its pages as
//! they are asked for, neighbours in one request, every byte checked against
//! the footer's checksums before a decoder sees it.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStream};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use crate::schema::{SUM_BLOCK, SUMS_KEY};
use crate::{BlockError, BlockFiles, FileEntry, Result};

/// Ranges closer than this are fetched in one request.
const GAP: u64 = 256 << 10;
/// A request grows no longer than this by joining ranges.
const MAX_REQUEST: u64 = 16 << 20;
/// Requests in flight for one batch.
const PARALLEL: usize = 8;
/// The longest footer that is read.
const MAX_FOOTER: u64 = 256 << 20;

/// An open file: footer parsed and checked. Cheap to clone.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) name: &'static str,
    pub(super) metadata: ArrowReaderMetadata,
    files: Arc<dyn BlockFiles>,
    /// Bytes before the page indexes: those that `sums` covers.
    pages: u64,
    sums: Arc<[u32]>,
}

impl Source {
    /// Reads and checks the footer; `schema` names the columns that a file
    /// with these Parquet columns must have.
    pub(super) async fn open(
        files: Arc<dyn BlockFiles>,
        name: &'static str,
        entry: &FileEntry,
        schema: impl FnOnce(&ParquetMetaData) -> Result<SchemaRef>,
    ) -> Result<Self> {
        let FileEntry { size, footer_len, footer_crc32c } = *entry;
        if footer_len > size || footer_len > MAX_FOOTER {
            let detail = format!("a footer of {footer_len} bytes in a file of {size}");
            return Err(BlockError::corrupt(name, detail));
        }
        let pages = size - footer_len;
        let footer = files.read(name, pages..size).await?;
        if footer.len() as u64 != footer_len {
            let detail = format!("{} bytes of footer where {footer_len} were asked", footer.len());
            return Err(BlockError::corrupt(name, detail));
        }
        let found = crc32c::crc32c(&footer);
        if found != footer_crc32c {
            let detail = format!("footer has checksum {found:08x}, expected {footer_crc32c:08x}");
            return Err(BlockError::corrupt(name, detail));
        }
        let parsed = guard(name, || {
            let mut reader =
                ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
            reader.try_parse_sized(&footer, size).map_err(|e| from_parquet(name, e))?;
            let metadata = reader.finish().map_err(|e| from_parquet(name, e))?;
            check_ranges(name, &metadata, pages)?;
            let sums = parse_sums(name, &metadata, pages)?;
            let options = ArrowReaderOptions::new()
                .with_skip_arrow_metadata(true)
                .with_schema(schema(&metadata)?);
            let metadata = ArrowReaderMetadata::try_new(Arc::new(metadata), options)
                .map_err(|e| from_parquet(name, e))?;
            Ok((metadata, sums))
        });
        let (metadata, sums) = parsed?;
        Ok(Self { name, metadata, files, pages, sums })
    }

    /// Fetches ranges of pages, in the order asked.
    pub(super) async fn fetch(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if let Some(bad) = ranges.iter().find(|r| r.start > r.end || r.end > self.pages) {
            let detail = format!("pages at {}..{} of {} bytes", bad.start, bad.end, self.pages);
            return Err(BlockError::corrupt(self.name, detail));
        }
        let requests = join_ranges(ranges, self.pages);
        let fetched: Vec<Bytes> = stream::iter(requests.clone())
            .map(|range| self.fetch_checked(range))
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        let slice = |wanted: &Range<u64>| {
            let i = requests.partition_point(|r| r.start <= wanted.start).saturating_sub(1);
            let (from, bytes) = (requests.get(i)?.start, fetched.get(i)?);
            let range = (wanted.start - from) as usize..(wanted.end - from) as usize;
            (range.end <= bytes.len()).then(|| bytes.slice(range))
        };
        let missing = || BlockError::corrupt(self.name, "a range was not fetched");
        ranges
            .iter()
            .map(|r| if r.is_empty() { Some(Bytes::new()) } else { slice(r) })
            .map(|b| b.ok_or_else(missing))
            .collect()
    }

    /// Fetches whole checksum blocks and checks them.
    async fn fetch_checked(&self, range: Range<u64>) -> Result<Bytes> {
        let bytes = self.files.read(self.name, range.clone()).await?;
        if bytes.len() as u64 != range.end - range.start {
            let detail = format!("{} bytes at {}..{}", bytes.len(), range.start, range.end);
            return Err(BlockError::corrupt(self.name, detail));
        }
        let first = (range.start / SUM_BLOCK) as usize;
        for (i, block) in bytes.chunks(SUM_BLOCK as usize).enumerate() {
            let found = crc32c::crc32c(block);
            let expected = self.sums.get(first + i).copied();
            if expected != Some(found) {
                let at = range.start + i as u64 * SUM_BLOCK;
                let detail = format!("checksum {found:08x} of the pages at {at} is wrong");
                return Err(BlockError::corrupt(self.name, detail));
            }
        }
        Ok(bytes)
    }
}

/// Joins ranges that lie near each other, after widening each to whole
/// checksum blocks. The result is sorted, without overlap, and covers all.
fn join_ranges(ranges: &[Range<u64>], pages: u64) -> Vec<Range<u64>> {
    let widen = |r: &Range<u64>| {
        let start = r.start / SUM_BLOCK * SUM_BLOCK;
        start..r.end.div_ceil(SUM_BLOCK).saturating_mul(SUM_BLOCK).min(pages)
    };
    let mut sorted: Vec<Range<u64>> = ranges.iter().filter(|r| !r.is_empty()).map(widen).collect();
    sorted.sort_by_key(|r| (r.start, r.end));
    let mut out: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match out.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            Some(last)
                if range.start - last.end <= GAP && range.end - last.start <= MAX_REQUEST =>
            {
                last.end = last.end.max(range.end);
            }
            _ => out.push(range),
        }
    }
    out
}

impl AsyncFileReader for Source {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        Box::pin(async move {
            let fetched = self.fetch(&[range]).await.map_err(to_parquet)?;
            Ok(fetched.into_iter().next().unwrap_or_default())
        })
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        Box::pin(async move { self.fetch(&ranges).await.map_err(to_parquet) })
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        Box::pin(async move { Ok(Arc::clone(self.metadata.metadata())) })
    }
}

/// A stream of the batches of a file; a decoder's panic ends it as an error.
pub(super) fn batches(
    name: &'static str,
    stream: ParquetRecordBatchStream<Source>,
) -> BoxStream<'static, Result<RecordBatch>> {
    AssertUnwindSafe(stream)
        .catch_unwind()
        .map(move |batch| match batch {
            Ok(batch) => batch.map_err(|e| from_parquet(name, e)),
            Err(panic) => Err(from_panic(name, &*panic)),
        })
        .boxed()
}

/// A file whose column chunks reach beyond its pages was not written by us.
fn check_ranges(name: &str, metadata: &ParquetMetaData, pages: u64) -> Result<()> {
    let mut rows = 0i64;
    for group in metadata.row_groups() {
        rows = rows.saturating_add(group.num_rows());
        if group.num_rows() < 0 {
            return Err(BlockError::corrupt(name, "a row group with less than no rows"));
        }
        for column in group.columns() {
            let (start, len) = column.byte_range();
            if start.checked_add(len).is_none_or(|end| end > pages) {
                let detail = format!("column {:?} lies outside the file", column.column_path());
                return Err(BlockError::corrupt(name, detail));
            }
        }
    }
    if rows != metadata.file_metadata().num_rows() {
        return Err(BlockError::corrupt(name, "its row groups do not add up to its rows"));
    }
    Ok(())
}

fn parse_sums(name: &str, metadata: &ParquetMetaData, pages: u64) -> Result<Arc<[u32]>> {
    let values = metadata.file_metadata().key_value_metadata().into_iter().flatten();
    let text = values.filter(|kv| kv.key == SUMS_KEY).find_map(|kv| kv.value.as_deref());
    let text = text.ok_or_else(|| BlockError::corrupt(name, "it has no page checksums"))?;
    let sums: Option<Vec<u32>> = text
        .as_bytes()
        .chunks(8)
        .map(|digits| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())
        .collect();
    match sums {
        Some(sums) if sums.len() as u64 == pages.div_ceil(SUM_BLOCK) => Ok(sums.into()),
        _ => Err(BlockError::corrupt(name, "its page checksums are damaged")),
    }
}

/// Runs a step of the Parquet library, which may panic on bytes that its own
/// writer does not produce.
pub(super) fn guard<T>(name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| Err(from_panic(name, &*panic)))
}

pub(super) fn from_panic(name: &str, panic: &(dyn std::any::Any + Send)) -> BlockError {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
    BlockError::corrupt(name, format!("decoder gave up: {text}"))
}

fn to_parquet(e: BlockError) -> ParquetError {
    ParquetError::External(Box::new(e))
}

/// The block error inside, if it is one that travelled through the library.
pub(super) fn from_parquet(name: &str, e: ParquetError) -> BlockError {
    match e {
        ParquetError::External(inner) => match inner.downcast::<BlockError>() {
            Ok(e) => *e,
            Err(e) => BlockError::corrupt(name, e),
        },
        e => BlockError::corrupt(name, e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_ranges_become_one_request() {
        let check = |ranges: &[(u64, u64)], expected: &[(u64, u64)]| {
            let of = |pairs: &[(u64, u64)]| pairs.iter().map(|p| p.0..p.1).collect::<Vec<_>>();
            assert_eq!(join_ranges(&of(ranges), 100 << 20), of(expected), "{ranges:?}");
        };
        let (k, m) = (64 << 10, 1 << 20);
        check(&[], &[]);
        check(&[(5, 5)], &[]);
        check(&[(5, 6)], &[(0, k)]);
        check(&[(5, 6), (k + 1, k + 2)], &[(0, 2 * k)]);
        check(&[(10 * k, 11 * k), (0, 1)], &[(0, k), (10 * k, 11 * k)]);
        check(&[(4 * k, 5 * k), (0, 1)], &[(0, 5 * k)]);
        check(&[(100 * m - 1, 100 * m)], &[(100 * m - k, 100 * m)]);
        check(&[(0, 20 * m), (5 * m, 6 * m)], &[(0, 20 * m)]);
        check(&[(0, 16 * m), (16 * m, 17 * m)], &[(0, 16 * m), (16 * m, 17 * m)]);
    }
}
