//! The file of series: references and labels, tenant by tenant.
//!
//! A pair of name and value stands in the file once, where it is used first;
//! from there on its number names it. The numbers are the file's own. Nothing
//! is created when there is nothing to name.

use std::collections::HashMap;
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use varve_log::{Disk, DiskFile};
use varve_model::{Labels, TenantId};

use crate::codec::{Malformed, Reader, put_bytes, put_u64};
use crate::dictionary::{Dictionary, PairId};
use crate::entry::take_tenant;
use crate::{HeadError, Result};

pub(crate) const MAGIC: &[u8; 8] = b"VRVSERS2";
/// Bytes collected before they are written.
const WRITE_BYTES: usize = 1 << 20;
/// Stands for a step behind a tenant's last series.
const END: u64 = 0;
/// Names and values are shorter.
const MAX_TEXT: usize = 1 << 24;

/// Writes a new file of series.
pub(crate) struct SeriesWriter<'a> {
    disk: &'a dyn Disk,
    path: &'a Path,
    file: Option<Arc<dyn DiskFile>>,
    pending: Vec<u8>,
    written: u64,
    crc: u32,
    count: u64,
    /// The tenant at hand: itself while none of its series is written.
    tenant: Option<TenantId>,
    last: u64,
    numbers: HashMap<PairId, u64>,
}

impl<'a> SeriesWriter<'a> {
    pub(crate) fn new(disk: &'a dyn Disk, path: &'a Path) -> Self {
        Self {
            disk,
            path,
            file: None,
            pending: MAGIC.to_vec(),
            written: 0,
            crc: 0,
            count: 0,
            tenant: None,
            last: 0,
            numbers: HashMap::new(),
        }
    }

    /// What follows is of this tenant.
    pub(crate) fn tenant(&mut self, tenant: &TenantId) {
        self.end_tenant();
        self.tenant = Some(tenant.clone());
    }

    fn end_tenant(&mut self) {
        if self.count > 0 && self.tenant.is_none() {
            put_u64(&mut self.pending, END);
        }
        (self.tenant, self.last) = (None, 0);
        // Pairs are numbered by tenant: dictionaries are.
        self.numbers.clear();
    }

    /// Adds a series; references rise.
    pub(crate) fn push(
        &mut self,
        reference: u64,
        pairs: &[PairId],
        dictionary: &Dictionary,
    ) -> Result<()> {
        if let Some(tenant) = self.tenant.take() {
            put_bytes(&mut self.pending, tenant.as_str().as_bytes());
        }
        let out = &mut self.pending;
        put_u64(out, reference - self.last);
        self.last = reference;
        put_u64(out, pairs.len() as u64);
        for id in pairs {
            let next = self.numbers.len() as u64;
            let number = *self.numbers.entry(*id).or_insert(next);
            put_u64(out, number);
            if number == next
                && let Some(pair) = dictionary.get(*id)
            {
                put_bytes(out, pair.name.as_bytes());
                put_bytes(out, pair.value.as_bytes());
            }
        }
        self.count += 1;
        if self.pending.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes what is left; the file's bytes are durable when it returns.
    /// Returns how many series it names, and its length; with no series there
    /// is no file.
    pub(crate) fn finish(mut self) -> Result<(u64, u64)> {
        if self.count == 0 {
            return Ok((0, 0));
        }
        self.end_tenant();
        self.crc = crc32c::crc32c_append(self.crc, &self.pending);
        let crc = self.crc.to_le_bytes();
        self.pending.extend_from_slice(&crc);
        let file = self.write()?;
        file.sync_data().map_err(HeadError::io("sync", self.path))?;
        Ok((self.count, self.written))
    }

    fn flush(&mut self) -> Result<()> {
        self.crc = crc32c::crc32c_append(self.crc, &self.pending);
        self.write().map(drop)
    }

    fn write(&mut self) -> Result<Arc<dyn DiskFile>> {
        let file = match self.file.take() {
            Some(file) => file,
            None => self.disk.create(self.path).map_err(HeadError::io("create", self.path))?,
        };
        file.write_at(self.written, &[IoSlice::new(&self.pending)])
            .map_err(HeadError::io("write", self.path))?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        self.file = Some(Arc::clone(&file));
        Ok(file)
    }
}

/// Reads the body of a file of series, one by one; returns how many it names.
pub(crate) fn decode(
    bytes: &[u8],
    next_reference: u64,
    mut each: impl FnMut(&TenantId, u64, Labels),
) -> std::result::Result<u64, Malformed> {
    let mut r = Reader::new(bytes);
    let mut count = 0;
    while r.remaining() > 0 {
        let tenant = take_tenant(&mut r)?;
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        let mut reference = 0u64;
        loop {
            let at = r.fail("reference is out of order");
            let step = r.u64()?;
            if step == END {
                break;
            }
            reference = reference.checked_add(step).filter(|r| *r < next_reference).ok_or(at)?;
            let at = r.fail("labels are none");
            let labels = (0..r.count(1)?).map(|_| take_pair(&mut r, &mut pairs));
            let labels = labels.collect::<std::result::Result<Vec<_>, _>>()?;
            let is_text = |s: &str| !s.is_empty() && s.len() < MAX_TEXT;
            let whole = labels.iter().all(|(name, value)| is_text(name) && is_text(value));
            if !whole || !labels.is_sorted_by(|a, b| a.0 < b.0) {
                return Err(at);
            }
            each(&tenant, reference, Labels::from_sorted(labels.into_iter()));
            count += 1;
        }
    }
    Ok(count)
}

fn take_pair<'a>(
    r: &mut Reader<'a>,
    pairs: &mut Vec<(&'a str, &'a str)>,
) -> std::result::Result<(&'a str, &'a str), Malformed> {
    let at = r.fail("no such pair of name and value");
    let number = usize::try_from(r.u64()?).map_err(|_| at.clone())?;
    if number == pairs.len() {
        pairs.push((r.str()?, r.str()?));
    }
    pairs.get(number).copied().ok_or(at)
}
