//! One Parquet file of a block: rows in, a [`FileMeta`] out.
//!
//! Checksums are computed as the bytes pass: one of the whole file, and one of
//! each [`SUM_BLOCK`] of its pages, kept in the footer, so that a range read is
//! checked too. The footer's length reaches back to the first page index: one
//! read of it is all a reader needs.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::Layout;
use crate::schema::{SUM_BLOCK, SUMS_KEY};
use crate::{BlockError, FileMeta, Result};

/// Encoded bytes after which a row group ends early, to bound memory.
const ROW_GROUP_BYTES: usize = 128 << 20;
/// Most rows that are encoded before a page's limits are looked at.
const WRITE_BATCH: usize = 1024;

/// Properties that all files share: zstd(1) unless it says otherwise, small pages, page offsets,
/// no statistics and no dictionaries but where a file asks for them.
pub(super) fn properties(layout: Layout) -> Result<WriterPropertiesBuilder> {
    Ok(WriterProperties::builder()
        .set_created_by("varve".to_owned())
        .set_compression(zstd(1)?)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_max_row_group_row_count(Some(layout.row_group_rows.max(1)))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_write_batch_size(layout.page_rows.clamp(1, WRITE_BATCH))
        .set_data_page_row_count_limit(layout.page_rows.max(1))
        .set_data_page_size_limit(layout.page_bytes.max(1)))
}

/// Compression by zstd at a level.
pub(super) fn zstd(level: i32) -> Result<Compression> {
    ZstdLevel::try_new(level).map(Compression::ZSTD).map_err(|e| encode("block", &e))
}

/// Delta-codes these integer columns.
pub(super) fn delta(p: WriterPropertiesBuilder, columns: &[&str]) -> WriterPropertiesBuilder {
    columns
        .iter()
        .fold(p, |p, name| p.set_column_encoding(path(name), Encoding::DELTA_BINARY_PACKED))
}

/// A column's path; a name with a dot in it is one step, not two.
pub(super) fn path(column: &str) -> ColumnPath {
    ColumnPath::new(vec![column.to_owned()])
}

/// A Parquet file that is being written.
pub(super) struct FileWriter {
    name: &'static str,
    path: PathBuf,
    schema: SchemaRef,
    writer: ArrowWriter<Summed>,
}

impl FileWriter {
    pub(super) fn create(
        dir: &Path,
        name: &'static str,
        schema: SchemaRef,
        properties: WriterProperties,
    ) -> Result<Self> {
        let path = dir.join(name);
        let file = File::create_new(&path).map_err(BlockError::io("create", &path))?;
        let options =
            ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Summed::new(file), schema.clone(), options)
            .map_err(|e| encode(name, &e))?;
        Ok(Self { name, path, schema, writer })
    }

    /// Adds rows: one array for each column of the schema.
    pub(super) fn write(&mut self, columns: Vec<arrow_array::ArrayRef>) -> Result<()> {
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(|e| {
            BlockError::Encode { file: self.name.to_owned(), detail: e.to_string() }
        })?;
        self.writer.write(&batch).map_err(|e| encode(self.name, &e))
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> Result<(String, FileMeta)> {
        self.writer.flush().map_err(|e| encode(self.name, &e))?;
        self.writer.sync().map_err(BlockError::io("write", &self.path))?;
        let pages = self.writer.inner().size;
        let sums = self.writer.inner_mut().take_sums();
        self.writer.append_key_value_metadata(KeyValue::new(SUMS_KEY.to_owned(), sums));
        self.writer.finish().map_err(|e| encode(self.name, &e))?;
        let out = self.writer.inner_mut();
        out.flush().map_err(BlockError::io("write", &self.path))?;
        let (size, crc32c) = (out.size, out.crc32c);
        let footer_len = size - pages;
        let footer_crc32c = crc_of_tail(&self.path, footer_len)?;
        let meta = FileMeta { size, crc32c, footer_len, footer_crc32c };
        Ok((self.name.to_owned(), meta))
    }
}

fn crc_of_tail(path: &Path, len: u64) -> Result<u32> {
    let mut file = File::open(path).map_err(BlockError::io("open", path))?;
    let back = i64::try_from(len).unwrap_or(i64::MAX);
    file.seek(SeekFrom::End(-back)).map_err(BlockError::io("seek", path))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).map_err(BlockError::io("read", path))?;
    Ok(crc32c::crc32c(&tail))
}

fn encode(file: &str, e: &ParquetError) -> BlockError {
    BlockError::Encode { file: file.to_owned(), detail: e.to_string() }
}

/// Counts and sums the bytes that pass.
struct Summed {
    out: BufWriter<File>,
    size: u64,
    crc32c: u32,
    /// CRC-32C of the blocks that are complete, in hexadecimal.
    sums: String,
    /// CRC-32C of the block that is not, and how many bytes it has.
    block: (u32, u64),
}

impl Summed {
    fn new(file: File) -> Self {
        let out = BufWriter::with_capacity(1 << 18, file);
        Self { out, size: 0, crc32c: 0, sums: String::new(), block: (0, 0) }
    }

    fn end_block(&mut self) {
        self.sums.push_str(&format!("{:08x}", self.block.0));
        self.block = (0, 0);
    }

    /// The sums of all blocks so far; the last one may be short.
    fn take_sums(&mut self) -> String {
        if self.block.1 > 0 {
            self.end_block();
        }
        std::mem::take(&mut self.sums)
    }
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.size += n as u64;
        self.crc32c = crc32c::crc32c_append(self.crc32c, &bytes[..n]);
        let mut rest = &bytes[..n];
        while !rest.is_empty() {
            let room = (SUM_BLOCK - self.block.1).min(rest.len() as u64);
            let (part, after) = rest.split_at(room as usize);
            self.block = (crc32c::crc32c_append(self.block.0, part), self.block.1 + room);
            if self.block.1 == SUM_BLOCK {
                self.end_block();
            }
            rest = after;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
