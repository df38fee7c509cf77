//! Chunks that lie in sealed files, in 24 bytes each.
//!
//! What chunks of one file have in common (kind, window, and which cut they
//! belong to) stands once in the file's sections; the rest is told relative to
//! the window. [`Files::chunk`] puts a whole [`Chunk`] together.

use std::sync::Arc;

use varve_model::WINDOW_MS;

use crate::chunk::{Chunk, Data, Sealed};
use crate::file::{SealFile, Section};
use crate::kind::Kind;
use crate::windows::Windows;

/// A chunk in a sealed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// First and last time, in milliseconds after the window's start.
    from: u32,
    to: u32,
    offset_low: u32,
    len: u32,
    offset_high: u16,
    /// Place of the file among [`Files`].
    file: u16,
    /// Place of the section in the file.
    section: u16,
    count: u16,
}

/// The sealed files of a partition by the small numbers that rows use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files(Vec<Option<Arc<SealFile>>>);

impl Row {
    /// The row of a chunk that lies at `offset` of a file; `None` when that
    /// cannot be told in a row.
    pub(crate) fn new(
        chunk: &Chunk,
        (file, section): (u16, u16),
        (offset, len): (u64, u32),
    ) -> Option<Self> {
        let start = chunk.window().checked_sub(WINDOW_MS)?;
        Some(Self {
            from: u32::try_from(chunk.min.checked_sub(start)?).ok()?,
            to: u32::try_from(chunk.max.checked_sub(start)?).ok()?,
            offset_low: offset as u32,
            offset_high: u16::try_from(offset >> 32).ok()?,
            len,
            file,
            section,
            count: u16::try_from(chunk.count).ok()?,
        })
    }

    pub(crate) fn count(&self) -> u32 {
        u32::from(self.count)
    }

    /// Coded bytes.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }
}

/// The sections of a file that is being written or opened.
#[derive(Debug)]
pub(crate) struct Sections {
    windows: Windows,
    keys: Vec<(Kind, i64, u64)>,
    sections: Vec<Section>,
}

impl Sections {
    /// Sections of a file whose chunks lie between these cuts.
    pub(crate) fn new(windows: Windows) -> Self {
        Self { windows, keys: Vec::new(), sections: Vec::new() }
    }

    /// The section of a chunk; `None` when there are 65,536 others.
    pub(crate) fn of(&mut self, chunk: &Chunk) -> Option<u16> {
        let cut =
            self.windows.cut_at(chunk.window(), chunk.last_index).map_or(u64::MAX, |c| c.index);
        let key = (chunk.kind, chunk.window(), cut);
        let at = self.keys.iter().rposition(|k| *k == key).unwrap_or(self.keys.len());
        let place = u16::try_from(at).ok()?;
        let index = chunk.last_index;
        match self.sections.get_mut(at) {
            Some(section) => section.index = section.index.max(index),
            None => {
                self.keys.push(key);
                self.sections.push(Section { kind: chunk.kind, window: chunk.window(), index });
            }
        }
        Some(place)
    }

    /// All of them, in order.
    pub(crate) fn finish(self) -> Vec<Section> {
        self.sections
    }
}

impl Files {
    /// Puts a file at a place that [`Files::free`] told.
    pub(crate) fn set(&mut self, place: u16, file: Arc<SealFile>) {
        let at = usize::from(place);
        if at >= self.0.len() {
            self.0.resize(at + 1, None);
        }
        self.0[at] = Some(file);
    }

    /// Lets go of the files that no row of the partition names any more.
    pub(crate) fn retain(&mut self, named: impl Fn(&SealFile) -> bool) {
        for slot in &mut self.0 {
            if slot.as_ref().is_some_and(|f| !named(f)) {
                *slot = None;
            }
        }
    }

    /// All files.
    pub(crate) fn all(&self) -> impl Iterator<Item = &SealFile> {
        self.0.iter().flatten().map(|file| &**file)
    }

    /// The place that the next file is to get; `None` when all are taken.
    pub(crate) fn free(&self) -> Option<u16> {
        let at = self.0.iter().position(Option::is_none).unwrap_or(self.0.len());
        u16::try_from(at).ok()
    }

    /// The file of a row.
    pub(crate) fn file(&self, row: &Row) -> Option<&Arc<SealFile>> {
        self.0.get(usize::from(row.file))?.as_ref()
    }

    /// What a row shares with others.
    pub(crate) fn section(&self, row: &Row) -> Option<Section> {
        self.file(row)?.sections.get(usize::from(row.section)).copied()
    }

    /// Kind, first and last time of a row's chunk.
    pub(crate) fn span(&self, row: &Row) -> Option<(Kind, i64, i64)> {
        let section = self.section(row)?;
        let start = section.window.saturating_sub(WINDOW_MS);
        let at = |after: u32| start.saturating_add(i64::from(after));
        Some((section.kind, at(row.from), at(row.to)))
    }

    /// The chunk that a row tells of.
    pub(crate) fn chunk(&self, row: &Row) -> Option<Chunk> {
        let (kind, min, max) = self.span(row)?;
        Some(Chunk {
            kind,
            count: row.count(),
            min,
            max,
            last_index: self.section(row)?.index,
            data: Data::Sealed(Sealed {
                file: Arc::clone(self.file(row)?),
                offset: u64::from(row.offset_high) << 32 | u64::from(row.offset_low),
                len: row.len,
            }),
        })
    }

    /// The chunks that rows tell of.
    pub(crate) fn chunks<'a>(&'a self, rows: &'a [Row]) -> impl Iterator<Item = Chunk> + 'a {
        rows.iter().filter_map(|row| self.chunk(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_small() {
        assert_eq!(size_of::<Row>(), 24);
    }
}
