//! Marks beside a block that say what became of it, for the day on which its
//! catalog is lost.
//!
//! A mark is an empty object in the block's folder; its name says it all:
//! `listed-<version>` or `removed-<version>`. The one of the highest version
//! holds. Marks are written after the version that they
//! name and before it is acknowledged; what a committer that died has left out
//! is made up for by the collection that raises the floor over that version
//! (C-10). Shipped blocks need none: they count as listed until a mark, or a
//! block that was made from them, says otherwise.

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use ulid::Ulid;
use varve_model::TenantId;

use super::error::Result;
use super::tenant::Inner;
use super::{Cause, Change};
use crate::paths;

/// Marks written at once.
const WRITES_IN_FLIGHT: usize = 16;

/// What a version did to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is listed from then on.
    Listed,
    /// It was listed until then.
    Removed,
}

/// A mark: what happened, and in which version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) fate: Fate,
    pub(crate) version: u64,
}

impl Mark {
    pub(crate) fn file_name(self) -> String {
        let fate = match self.fate {
            Fate::Listed => "listed",
            Fate::Removed => "removed",
        };
        format!("{fate}-{:020}", self.version)
    }

    /// The mark of this file name, if it is one.
    pub(crate) fn parse(file_name: &str) -> Option<Self> {
        let (fate, digits) = file_name.split_once('-')?;
        let fate = match fate {
            "listed" => Fate::Listed,
            "removed" => Fate::Removed,
            _ => return None,
        };
        let all_digits = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
        let version = if all_digits { digits.parse().ok()? } else { return None };
        Some(Self { fate, version })
    }
}

/// The marks that a change leaves which `version` has.
pub(crate) fn of_change(change: &Change, version: u64) -> Vec<(Ulid, Mark)> {
    let removed = change.remove.iter().map(|r| (r.id, Mark { fate: Fate::Removed, version }));
    let needed = !matches!(change.cause, Cause::Ship(_));
    let added = change.add.iter().filter(|_| needed);
    let added = added.map(|b| (b.id, Mark { fate: Fate::Listed, version }));
    removed.chain(added).collect()
}

impl Inner {
    /// Writes marks. They are durable when this returns.
    pub(crate) async fn mark(&self, tenant: &TenantId, marks: Vec<(Ulid, Mark)>) -> Result<()> {
        stream::iter(marks)
            .map(Ok)
            .try_for_each_concurrent(WRITES_IN_FLIGHT, |(id, mark)| async move {
                let path = paths::block_file(tenant, id, &mark.file_name());
                Ok(self.bucket.put(&path, Bytes::new()).await?)
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for fate in [Fate::Listed, Fate::Removed] {
            let mark = Mark { fate, version: 42 };
            assert_eq!(Mark::parse(&mark.file_name()), Some(mark));
        }
        let (digits, more) = ("0".repeat(19), "9".repeat(20));
        for bad in ["block.json", "listed-7", "listed", &format!("x-{digits}1")] {
            assert_eq!(Mark::parse(bad), None, "{bad}");
        }
        assert_eq!(Mark::parse(&format!("removed-{more}")), None, "too large");
        assert_eq!(Mark::parse(&format!("removed-+{digits}")), None);
    }
}
