//! The names of a block's files and columns, and the Arrow types they are
//! written and read as. docs/formats/block.md draws them.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};

pub(crate) const SERIES: &str = "series.parquet";
pub(crate) const LABELS: &str = "labels.parquet";
pub(crate) const SAMPLES: &str = "samples.parquet";
pub(crate) const TIMESTAMPS: &str = "timestamps.parquet";
pub(crate) const EXEMPLARS: &str = "exemplars.parquet";
pub(crate) const METADATA: &str = "metadata.parquet";

/// Key of the footer's page checksums: the CRC-32C of each [`SUM_BLOCK`] bytes
/// of the file before the page indexes, 8 hexadecimal digits each.
pub(crate) const SUMS_KEY: &str = "varve.crc32c";
/// Bytes under one page checksum; the last block may be short.
pub(crate) const SUM_BLOCK: u64 = 64 << 10;

/// Prefix of the columns of `series.parquet` that hold one label each.
pub(crate) const LABEL_PREFIX: &str = "l_";
/// The column of `series.parquet` with all labels that have none of their own.
pub(crate) const REST: &str = "rest";
/// The most label columns of one `series.parquet`.
pub(crate) const MAX_LABEL_COLUMNS: usize = 100;
/// `ts_id` of a row whose times are inline.
pub(crate) const INLINE: i32 = -1;

/// The schema of `series.parquet` with these label columns.
pub(crate) fn series<S: AsRef<str>>(labels: &[S]) -> SchemaRef {
    let mut fields = vec![Field::new("series", DataType::Int64, false)];
    for name in labels {
        let column = format!("{LABEL_PREFIX}{}", name.as_ref());
        fields.push(Field::new(column, coded(DataType::LargeUtf8), false));
    }
    fields.push(Field::new(REST, coded(DataType::LargeBinary), false));
    fields.push(Field::new("row", DataType::Int64, false));
    fields.push(Field::new("rows", DataType::Int32, false));
    Arc::new(Schema::new(fields))
}

pub(crate) fn samples() -> SchemaRef {
    of(&[
        ("series", DataType::Int64),
        ("window", DataType::Int64),
        ("kind", DataType::Int32),
        ("count", DataType::Int32),
        ("min_time", DataType::Int64),
        ("max_time", DataType::Int64),
        ("ts_id", DataType::Int32),
        ("ts_first", DataType::Int32),
        ("times", DataType::Binary),
        ("chunk", DataType::Binary),
        ("starts", DataType::Binary),
    ])
}

pub(crate) fn timestamps() -> SchemaRef {
    of(&[("id", DataType::Int32), ("count", DataType::Int32), ("times", DataType::Binary)])
}

pub(crate) fn labels() -> SchemaRef {
    of(&[("name", DataType::Utf8), ("value", DataType::Utf8), ("series", DataType::Int64)])
}

pub(crate) fn exemplars() -> SchemaRef {
    of(&[
        ("series", DataType::Int64),
        ("time", DataType::Int64),
        ("value", DataType::Float64),
        ("labels", DataType::Binary),
    ])
}

pub(crate) fn metadata() -> SchemaRef {
    of(&[
        ("metric", DataType::Utf8),
        ("type", DataType::Utf8),
        ("help", DataType::Utf8),
        ("unit", DataType::Utf8),
    ])
}

fn coded(value: DataType) -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(value))
}

fn of(fields: &[(&str, DataType)]) -> SchemaRef {
    let field = |(name, kind): &(&str, DataType)| Field::new(*name, kind.clone(), false);
    Arc::new(Schema::new(fields.iter().map(field).collect::<Vec<_>>()))
}
