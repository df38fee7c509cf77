//! Typed access to the columns of a batch that came out of a file.

use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, DictionaryArray, Int32Array, Int64Array, LargeBinaryArray,
    LargeStringArray, RecordBatch,
};
use bytes::Bytes;

use crate::{BlockError, Result};

/// A column by name.
pub(super) fn column<'a, T: 'static>(
    file: &str,
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a T> {
    batch
        .column_by_name(name)
        .and_then(|c| c.as_any().downcast_ref::<T>())
        .ok_or_else(|| BlockError::corrupt(file, format!("column {name:?} has another type")))
}

pub(super) fn longs<'a>(file: &str, batch: &'a RecordBatch, name: &str) -> Result<&'a [i64]> {
    Ok(column::<Int64Array>(file, batch, name)?.values())
}

pub(super) fn ints<'a>(file: &str, batch: &'a RecordBatch, name: &str) -> Result<&'a [i32]> {
    Ok(column::<Int32Array>(file, batch, name)?.values())
}

/// The values of a binary column, sharing its memory.
pub(super) struct Blobs<'a> {
    data: Bytes,
    offsets: &'a [i32],
}

impl<'a> Blobs<'a> {
    pub(super) fn new(file: &str, batch: &'a RecordBatch, name: &str) -> Result<Self> {
        let array = column::<BinaryArray>(file, batch, name)?;
        let data = Bytes::from_owner(array.values().clone());
        Ok(Self { data, offsets: array.value_offsets() })
    }

    pub(super) fn get(&self, i: usize) -> Bytes {
        let (from, to) = (self.offsets[i] as usize, self.offsets[i + 1] as usize);
        self.data.slice(from..to)
    }
}

/// A dictionary-coded column: the code of each row, and what codes mean.
pub(super) struct Coded<'a> {
    pub(super) keys: &'a [i32],
    pub(super) values: &'a ArrayRef,
    bytes: CodedValues<'a>,
}

enum CodedValues<'a> {
    Text(&'a LargeStringArray),
    Binary(&'a LargeBinaryArray),
}

impl<'a> Coded<'a> {
    pub(super) fn new(file: &str, array: &'a ArrayRef) -> Result<Self> {
        let bad = || BlockError::corrupt(file, "a label column is not dictionary-coded");
        let array: &DictionaryArray<Int32Type> = array.as_any().downcast_ref().ok_or_else(bad)?;
        if array.null_count() > 0 {
            return Err(BlockError::corrupt(file, "a label column has nulls"));
        }
        let values = array.values();
        let any = values.as_any();
        let bytes = match any.downcast_ref::<LargeStringArray>() {
            Some(text) => CodedValues::Text(text),
            None => CodedValues::Binary(any.downcast_ref().ok_or_else(bad)?),
        };
        let keys: &[i32] = array.keys().values();
        let len = values.len();
        if let Some(key) =
            keys.iter().find(|k| usize::try_from(**k).is_ok_and(|k| k >= len) || **k < 0)
        {
            let detail = format!("code {key} in a dictionary of {len} values");
            return Err(BlockError::corrupt(file, detail));
        }
        Ok(Self { keys, values, bytes })
    }

    /// What a code means; the empty string for a binary column.
    pub(super) fn text(&self, key: i32) -> &'a str {
        match self.bytes {
            CodedValues::Text(values) => values.value(key as usize),
            CodedValues::Binary(_) => "",
        }
    }

    /// What a code means, as bytes.
    pub(super) fn binary(&self, key: i32) -> &'a [u8] {
        match self.bytes {
            CodedValues::Text(values) => values.value(key as usize).as_bytes(),
            CodedValues::Binary(values) => values.value(key as usize),
        }
    }
}
