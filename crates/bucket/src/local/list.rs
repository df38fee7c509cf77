//! Listings: one folder of the tree at a time, in order of name.
//!
//! What vanishes meanwhile is left out, as are names that no object has.

use std::collections::VecDeque;
use std::io;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::{Path, PathPart};
use object_store::{Error, ObjectMeta, Result};

use super::LocalStore;
use super::folder::{Folder, failed, meta};
use super::scratch::SCRATCH;

/// What lies directly in a folder.
#[derive(Default)]
pub(super) struct Level {
    pub(super) objects: Vec<ObjectMeta>,
    pub(super) folders: Vec<Path>,
}

impl Folder {
    pub(super) fn level(&self, prefix: &Path) -> Result<Level> {
        let dir = self.dir(prefix);
        let mut level = Level::default();
        let names = match self.disk().list(&dir) {
            Err(error) if is_gone(&error) => return Ok(level),
            other => other.map_err(|error| failed(&dir, error))?,
        };
        for name in names {
            let Ok(part) = PathPart::parse(&name) else { continue };
            if name == SCRATCH && dir == self.root() {
                continue;
            }
            let location = prefix.clone().join(part);
            match self.disk().stat(&dir.join(&name)) {
                Ok(stat) if stat.is_dir => level.folders.push(location),
                Ok(stat) => level.objects.push(meta(location, stat)),
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(failed(&dir.join(&name), error)),
            }
        }
        Ok(level)
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Every object below a prefix.
pub(super) fn list(store: LocalStore, prefix: Path) -> BoxStream<'static, Result<ObjectMeta>> {
    let waiting = VecDeque::from([prefix]);
    let levels = stream::try_unfold((store, waiting), |(store, mut waiting)| async move {
        let Some(prefix) = waiting.pop_front() else { return Ok::<_, Error>(None) };
        let level = store.run(move |folder| folder.level(&prefix)).await?;
        for folder in level.folders.into_iter().rev() {
            waiting.push_front(folder);
        }
        let objects = stream::iter(level.objects.into_iter().map(Ok));
        Ok(Some((objects, (store, waiting))))
    });
    levels.try_flatten().boxed()
}
