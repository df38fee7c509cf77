//! Temporary files of a writer: what is known of a row when its series is
//! pushed waits here until the rest is known, so that memory stays bounded.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::{BlockError, Result};

/// Bytes that are written, or read in order, at a time.
pub(super) const BUFFER: usize = 1 << 18;

/// A file that is appended to, then read back.
pub(super) struct Spool {
    path: PathBuf,
    out: BufWriter<File>,
    len: u64,
}

impl Spool {
    pub(super) fn create(dir: &Path, name: &str) -> Result<Self> {
        let path = dir.join(name);
        let file = File::create_new(&path).map_err(BlockError::io("create", &path))?;
        Ok(Self { path, out: BufWriter::with_capacity(BUFFER, file), len: 0 })
    }

    /// Bytes written so far.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(BlockError::io("write", &self.path))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Ends the file; what follows reads so many bytes at a time.
    pub(super) fn read_back(mut self, buffer: usize) -> Result<SpoolReader> {
        self.out.flush().map_err(BlockError::io("write", &self.path))?;
        let file = File::open(&self.path).map_err(BlockError::io("open", &self.path))?;
        Ok(SpoolReader {
            input: BufReader::with_capacity(buffer, file),
            at: 0,
            len: self.len,
            path: self.path,
        })
    }
}

/// Reads a [`Spool`] back; the file is removed when this is dropped.
pub(super) struct SpoolReader {
    path: PathBuf,
    input: BufReader<File>,
    at: u64,
    len: u64,
}

impl SpoolReader {
    /// Whether everything was read.
    pub(super) fn is_done(&self) -> bool {
        self.at >= self.len
    }

    pub(super) fn bytes(&mut self, out: &mut Vec<u8>, len: usize) -> Result<()> {
        out.resize(len, 0);
        self.input.read_exact(out).map_err(BlockError::io("read", &self.path))?;
        self.at += len as u64;
        Ok(())
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        self.input.read_exact(&mut out).map_err(BlockError::io("read", &self.path))?;
        self.at += N as u64;
        Ok(out)
    }

    /// Moves to `offset`; near moves forward stay in the buffer.
    pub(super) fn seek(&mut self, offset: u64) -> Result<()> {
        let by = offset as i64 - self.at as i64;
        if by != 0 {
            self.input.seek_relative(by).map_err(BlockError::io("seek", &self.path))?;
            self.at = offset;
        }
        Ok(())
    }

    /// Starts again from the front.
    pub(super) fn rewind(&mut self) -> Result<()> {
        self.input.seek(SeekFrom::Start(0)).map_err(BlockError::io("seek", &self.path))?;
        self.at = 0;
        Ok(())
    }
}

impl Drop for SpoolReader {
    fn drop(&mut self) {
        // What stays behind is a temporary file in a directory of the caller.
        let _ = std::fs::remove_file(&self.path);
    }
}
