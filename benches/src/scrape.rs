//! Real scrapes: the file that `VARVE_SCRAPE_DATA` names, xz-compressed.
//!
//! Little-endian: `u32` series count; for each a `u8` target, a `u32` length
//! and the name as text, a `u32` sample count n, n × `i64` milliseconds,
//! n × `f64`.

use std::io;
use std::path::Path;
use std::process::Command;

use varve_model::FloatSamples;

/// One recorded series.
#[derive(Debug)]
pub struct Recorded {
    /// The scrape target it comes from; its series share their times.
    pub target: u8,
    /// As in the exposition format: `name{label="value",…}`.
    pub name: String,
    /// Times in ms and values.
    pub samples: FloatSamples,
}

/// Reads the samples of all series through `xz -dc`.
pub fn load() -> io::Result<Vec<FloatSamples>> {
    let path = std::env::var_os("VARVE_SCRAPE_DATA")
        .ok_or_else(|| io::Error::other("set VARVE_SCRAPE_DATA to the path of scrape-1s.bin.xz"))?;
    Ok(read(Path::new(&path))?.into_iter().map(|r| r.samples).collect())
}

/// Reads all series of a file through `xz -dc`.
///
/// # Errors
/// When there is no such file, no `xz`, or the file has another form.
pub fn read(path: &Path) -> io::Result<Vec<Recorded>> {
    let output = Command::new("xz").arg("-dc").arg(path).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("xz cannot read {}", path.display())));
    }
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the scrape data ends early");
    parse(&output.stdout).ok_or_else(cut)
}

fn parse(mut bytes: &[u8]) -> Option<Vec<Recorded>> {
    let mut all = Vec::new();
    for _ in 0..count(&mut bytes)? {
        let target = *take(&mut bytes, 1)?.first()?;
        let name = count(&mut bytes)?;
        let name = String::from_utf8_lossy(take(&mut bytes, name)?).into_owned();
        let n = count(&mut bytes)?;
        let times = words(&mut bytes, n)?.map(i64::from_le_bytes).collect();
        let values = words(&mut bytes, n)?.map(f64::from_le_bytes).collect();
        let samples = FloatSamples { times, values, starts: Vec::new() };
        all.push(Recorded { target, name, samples });
    }
    Some(all)
}

fn take<'a>(bytes: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(n)?;
    *bytes = rest;
    Some(taken)
}

fn count(bytes: &mut &[u8]) -> Option<usize> {
    let word = take(bytes, 4)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*word)).ok()
}

fn words<'a>(bytes: &mut &'a [u8], n: usize) -> Option<impl Iterator<Item = [u8; 8]> + 'a> {
    Some(take(bytes, n.checked_mul(8)?)?.as_chunks::<8>().0.iter().copied())
}
