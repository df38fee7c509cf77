//! The rows of a batch of `series.parquet`: where a series has its samples, and
//! its labels, which are built only when they are asked for.

use arrow_array::RecordBatch;
use varve_model::Labels;

use super::column::{Coded, ints, longs};
use crate::schema::{LABEL_PREFIX, REST, SERIES};
use crate::{BlockError, Result};

/// The columns that say where a series has its samples.
pub(super) const PLACE: [&str; 3] = ["series", "row", "rows"];

/// One series that matched.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Its labels, or those that were asked for.
    pub(super) labels: Labels,
    /// Its row in `series.parquet`; this and what follows, when asked for.
    pub(super) series: i64,
    /// Its first row in `samples.parquet`.
    pub(super) row: i64,
    /// How many rows there.
    pub(super) rows: i32,
}

/// Which labels of a matching series are built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All, and where the series has its samples.
    All,
    /// All.
    Labels,
    /// None, but where the series has its samples.
    Place,
    /// One, each of its values about once.
    Only(String),
}

impl Wanted {
    /// Whether a label is built.
    pub(super) fn label(&self, name: &str) -> bool {
        match self {
            Self::All | Self::Labels => true,
            Self::Place => false,
            Self::Only(only) => only == name,
        }
    }

    /// Whether it is told where a series has its samples.
    pub(super) fn place(&self) -> bool {
        matches!(self, Self::All | Self::Place)
    }
}

/// Where the series of a batch of `series.parquet` have their samples.
pub(super) struct Places<'a>(&'a [i64], &'a [i64], &'a [i32]);

impl<'a> Places<'a> {
    pub(super) fn new(batch: &'a RecordBatch) -> Result<Self> {
        let long = |name| longs(SERIES, batch, name);
        Ok(Self(long(PLACE[0])?, long(PLACE[1])?, ints(SERIES, batch, PLACE[2])?))
    }

    /// The series of a row.
    pub(super) fn found(&self, i: usize, labels: Labels) -> Result<Found> {
        let (series, row, rows) = (self.0[i], self.1[i], self.2[i]);
        if row < 0 || rows < 0 {
            let detail = format!("series {series} has {rows} rows at {row}");
            return Err(BlockError::corrupt(SERIES, detail));
        }
        Ok(Found { labels, series, row, rows })
    }
}

/// The labels of a batch of `series.parquet`.
pub(super) struct LabelRows<'a> {
    wanted: &'a Wanted,
    /// The columns, by name.
    coded: Vec<(String, Coded<'a>)>,
    rest: Option<Coded<'a>>,
    /// No name has to be looked at again.
    plain: bool,
}

impl<'a> LabelRows<'a> {
    pub(super) fn new(batch: &'a RecordBatch, wanted: &'a Wanted) -> Result<Self> {
        let schema = batch.schema();
        let mut coded: Vec<(String, Coded<'_>)> = Vec::new();
        let mut rest = None;
        for (field, array) in schema.fields().iter().zip(batch.columns()) {
            if let Some(name) = field.name().strip_prefix(LABEL_PREFIX) {
                if wanted.label(name) {
                    coded.push((name.to_owned(), Coded::new(SERIES, array)?));
                }
            } else if field.name() == REST && *wanted != Wanted::Place {
                rest = Some(Coded::new(SERIES, array)?);
            }
        }
        coded.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let distinct = coded.is_sorted_by(|a, b| a.0 < b.0);
        let fits = |name: &str| !name.is_empty() && name.len() < 1 << 24;
        let plain = distinct && coded.iter().all(|(name, _)| fits(name));
        Ok(Self { wanted, coded, rest, plain })
    }

    /// The column of the only label that is wanted, or where it may be.
    pub(super) fn only(&self) -> Option<&Coded<'a>> {
        self.coded.first().map(|(_, column)| column).or(self.rest.as_ref())
    }

    /// Builds the wanted labels of a row.
    pub(super) fn build(&self, i: usize) -> Result<Labels> {
        let others = match &self.rest {
            Some(rest) => parse_rest(rest.binary(rest.keys[i]))?,
            None => Labels::empty(),
        };
        let own = self.coded.iter().map(|(name, column)| (&**name, column.text(column.keys[i])));
        let own = own.filter(|(_, value)| !value.is_empty());
        let short = |(_, value): (&str, &str)| value.len() < 1 << 24;
        if self.plain && others.is_empty() && own.clone().all(short) {
            return Ok(Labels::from_sorted(own));
        }
        let pairs = own.chain(others.iter().filter(|(name, _)| self.wanted.label(name)));
        Labels::from_pairs(pairs).map_err(|e| BlockError::corrupt(SERIES, e))
    }
}

/// The labels that `rest` holds.
pub(super) fn parse_rest(bytes: &[u8]) -> Result<Labels> {
    if bytes.is_empty() {
        return Ok(Labels::empty());
    }
    Labels::from_bytes(bytes).map_err(|e| BlockError::corrupt(SERIES, e))
}
