//! Small files read and replaced as a whole.

use std::io::{self, IoSlice};
use std::path::Path;

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
    file.write_at(0, &[IoSlice::new(bytes)])?;
    file.sync_data()?;
    disk.rename(&scratch, path)?;
    disk.sync_dir(dir)
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
