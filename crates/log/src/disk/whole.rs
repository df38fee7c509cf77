//! Small files read and replaced as a whole.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use super::Disk;

/// Reads a whole file of at most `limit` bytes.
///
/// Errors: `InvalidData` if it is larger.
pub fn read_file(disk: &dyn Disk, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let len = file.len()?;
    if len > limit {
        let message = format!("{} has {len} bytes, more than {limit}", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Replaces a file's content so that after a crash it holds either the old or
/// the new bytes. Durable when it returns.
pub fn write_file_atomic(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    prepare_file(disk, path, bytes)?.commit()
}

/// New content of a file, durable beside it under a scratch name.
pub struct PreparedFile<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    path: &'a Path,
    scratch: PathBuf,
}

/// Writes new content of a file beside it. On an error the file is what it
/// was, and the content takes no room.
pub fn prepare_file<'a>(
    disk: &'a dyn Disk,
    path: &'a Path,
    bytes: &[u8],
) -> io::Result<PreparedFile<'a>> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "path has no parent or name");
    let dir = path.parent().ok_or_else(invalid)?;
    let name = path.file_name().ok_or_else(invalid)?;
    let mut scratch = name.to_os_string();
    scratch.push(".tmp");
    let scratch = dir.join(scratch);
    match disk.remove(&scratch) {
        // What an interrupted call left must be gone for good before its name
        // is used again: a crash could else give its bytes the new name.
        Ok(()) => disk.sync_dir(dir)?,
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    let file = disk.create(&scratch)?;
    let written = file.write_at(0, &[IoSlice::new(bytes)]).and_then(|()| file.sync_data());
    if let Err(error) = written {
        // Its name goes with the next call, see above.
        let _ = file.set_len(0);
        return Err(error);
    }
    Ok(PreparedFile { disk, dir, path, scratch })
}

impl PreparedFile<'_> {
    /// Gives the content the file's name. Durable when it returns; on an error
    /// the file may be the old or the new one.
    pub fn commit(self) -> io::Result<()> {
        self.disk.rename(&self.scratch, self.path)?;
        self.disk.sync_dir(self.dir)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Crash, SimDisk};

    /// Calls that crash at every change in turn, one after the other on one
    /// disk: the file always holds what one of them wrote, whole, and never
    /// anything older than the last that returned.
    #[test]
    fn holds_the_old_or_the_new_bytes() {
        for seed in 0..300 {
            let mut disk = SimDisk::new(seed);
            let path = Path::new("/d/file");
            disk.create_dir_all(Path::new("/d")).unwrap();
            let mut least = None;
            for round in 0..12u8 {
                disk.crash_at(1 + (seed + u64::from(round) * 3) % 7, Crash::Power);
                let done = write_file_atomic(&disk, path, &[round; 40]).is_ok();
                if done {
                    least = Some(round);
                }
                disk.crash(Crash::Power);
                disk = disk.reboot();
                let found = match read_file(&disk, path, 100) {
                    Ok(bytes) => bytes,
                    Err(_) => {
                        assert_eq!(least, None, "seed {seed}, round {round}: lost");
                        continue;
                    }
                };
                let value = found.first().copied().unwrap_or(u8::MAX);
                assert_eq!(found, [value; 40], "seed {seed}, round {round}: torn");
                let good = least.is_none_or(|least| value >= least) && value <= round;
                assert!(good, "seed {seed}, round {round}: {value}, at least {least:?}");
                // What was found is what the next process goes on from.
                disk.sync_dir(Path::new("/d")).unwrap();
                least = Some(value);
            }
        }
    }
}
