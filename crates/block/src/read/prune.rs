//! Which row groups and pages of `series.parquet` can hold what is asked, by
//! the bounds in the footer. An absent label is the empty value, so that
//! matchers on absent names need no rule of their own.

use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use varve_model::Matcher;

/// Rows of row group `group` that may satisfy all the matchers, each given
/// with the position of its column; `None` when there are none.
pub(super) fn select_rows(
    metadata: &ParquetMetaData,
    group: usize,
    matchers: &[(usize, &Matcher)],
) -> Option<RowSelection> {
    let rows = usize::try_from(metadata.row_group(group).num_rows()).ok()?;
    let mut selection = RowSelection::from(vec![RowSelector::select(rows)]);
    for (column, matcher) in matchers {
        let Some(values) = matcher.set_matches() else {
            continue;
        };
        let wanted = |min: Option<&[u8]>, max: Option<&[u8]>| {
            values.iter().any(|v| {
                let v = v.as_bytes();
                min.is_none_or(|min| min <= v) && max.is_none_or(|max| v <= max)
            })
        };
        let bounds = metadata.row_group(group).column(*column).statistics();
        if bounds.is_some_and(|b| !wanted(b.min_bytes_opt(), b.max_bytes_opt())) {
            return None;
        }
        if let Some(pages) = page_selection(metadata, group, *column, rows, wanted) {
            selection = selection.intersection(&pages);
        }
    }
    selection.selects_any().then_some(selection)
}

/// Rows of the pages whose bounds satisfy `wanted`; `None` without an index.
fn page_selection(
    metadata: &ParquetMetaData,
    group: usize,
    column: usize,
    rows: usize,
    wanted: impl Fn(Option<&[u8]>, Option<&[u8]>) -> bool,
) -> Option<RowSelection> {
    let index = metadata.page_index()?;
    let ColumnIndexMetaData::BYTE_ARRAY(bounds) = index.column_index(group, column)? else {
        return None;
    };
    let pages = index.offset_index(group, column)?.page_locations();
    if pages.len() as u64 != bounds.num_pages() {
        return None;
    }
    let mut selectors = Vec::with_capacity(pages.len());
    for (i, page) in pages.iter().enumerate() {
        let start = usize::try_from(page.first_row_index).ok()?;
        let end = match pages.get(i + 1) {
            Some(next) => usize::try_from(next.first_row_index).ok()?,
            None => rows,
        };
        let count = end.checked_sub(start)?;
        selectors.push(match wanted(bounds.min_value(i), bounds.max_value(i)) {
            true => RowSelector::select(count),
            false => RowSelector::skip(count),
        });
    }
    Some(RowSelection::from(selectors))
}
