//! Writing a seal: samples, new series, manifest, in that order.
//!
//! Every file is durable before the manifest names it. Files that it no
//! longer names go once no reader holds them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use varve_log::Disk;
use varve_model::{Labels, TenantId};
use varve_runtime::failpoint;

use crate::chunk::Sealed;
use crate::codec::{put_bytes, put_u64};
use crate::file::SealFile;
use crate::seal::chunks::{Row, TenantRows, Writer};
use crate::seal::job::{Job, Placement};
use crate::seal::manifest::{self, Manifest, TenantManifest};
use crate::seal::names;
use crate::{HeadError, Result};

pub(crate) const SERIES_MAGIC: &[u8; 8] = b"VRVSERS1";
/// Series files are written anew when they name more than twice the series
/// that there are, and this many more.
const SPARE_SERIES: u64 = 1024;

/// What is on disk, kept between the seals of one partition.
pub(crate) struct Sealer {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) partition: u32,
    /// Files of samples that the manifest names.
    pub(crate) chunks: BTreeMap<u64, Arc<SealFile>>,
    /// Files of series that the manifest names, with how many each names.
    pub(crate) series: Vec<(u64, u64)>,
    /// Files that it no longer names, kept for readers that hold them.
    pub(crate) retired: Vec<Arc<SealFile>>,
}

/// A durable seal.
pub(crate) struct Written {
    pub(crate) placement: Placement,
    /// Bytes of all files written.
    pub(crate) bytes: u64,
}

impl Sealer {
    /// Writes a seal. When it returns, files and manifest are durable; on an
    /// error the manifest is the old or the new one, whole in any case.
    pub(crate) fn write(&mut self, job: Job) -> Result<Written> {
        let id = job.index;
        let partition = self.partition;
        let injected =
            |name: &str| HeadError::Stopped { partition, reason: format!("failpoint {name}") };
        let _ = injected;
        let mut placement = Placement { index: id, tenants: Vec::new() };
        let mut bytes = 0;
        let new = if job.tenants.values().any(|t| !t.chunks.is_empty()) {
            Some(self.write_chunks(&job, &mut placement)?)
        } else {
            None
        };
        let series = self.write_series(&job, &mut bytes)?;
        self.disk.sync_dir(&self.dir).map_err(HeadError::io("sync", &self.dir))?;
        failpoint!("seal.before-manifest", |_| Err(injected("seal.before-manifest")));

        let mut chunks = job.files;
        chunks.extend(new.map(|file| (id, file)));
        let path = self.dir.join(names::MANIFEST);
        let tenants = job.tenants.into_iter().map(|(id, t)| {
            let (metadata, newest) = (t.metadata, t.newest);
            let (max_time, out_of_order) = (t.max_time, t.out_of_order);
            (
                id,
                TenantManifest {
                    max_time,
                    out_of_order,
                    released_at: t.released_at,
                    metadata,
                    newest,
                },
            )
        });
        let manifest = Manifest {
            partition: self.partition,
            term: job.term,
            index: id,
            next_reference: job.next_reference,
            windows: job.windows,
            tenants: tenants.collect(),
            chunks: chunks.keys().copied().collect(),
            series: series.clone(),
        };
        let content = names::wrap(manifest::MAGIC, &manifest.encode());
        varve_log::write_file_atomic(&*self.disk, &path, &content)
            .map_err(HeadError::io("write", &path))?;

        let old = std::mem::replace(&mut self.chunks, chunks);
        self.retired.extend(old.into_values().filter(|f| !self.chunks.contains_key(&f.id)));
        let old = std::mem::replace(&mut self.series, series);
        failpoint!("seal.after-manifest", |_| Err(injected("seal.after-manifest")));
        for (old, _) in old {
            if !self.series.iter().any(|(id, _)| *id == old) {
                self.remove(&self.dir.join(names::series(old)));
            }
        }
        self.sweep();
        let file = self.chunks.get(&id).and_then(|f| f.file.len().ok()).unwrap_or(0);
        Ok(Written { placement, bytes: bytes + file + content.len() as u64 })
    }

    /// Removes the files that nobody needs and nobody holds.
    fn sweep(&mut self) {
        let (held, free): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.retired).into_iter().partition(|f| Arc::strong_count(f) > 1);
        self.retired = held;
        for file in free {
            self.remove(&file.path);
        }
    }

    /// A file that cannot be removed now goes when the partition opens next.
    fn remove(&self, path: &Path) {
        if let Err(error) = self.disk.remove(path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove a sealed file");
        }
    }

    fn write_chunks(&self, job: &Job, placement: &mut Placement) -> Result<Arc<SealFile>> {
        let path = self.dir.join(names::chunks(job.index));
        let written = self.try_write_chunks(&path, job);
        let (file, rows) = written.inspect_err(|_| self.remove(&path))?;
        for ((tenant, rows), job) in
            rows.into_iter().zip(job.tenants.values().filter(|t| !t.chunks.is_empty()))
        {
            let sealed = |row: Row| Sealed {
                file: Arc::clone(&file),
                offset: row.offset,
                len: row.len,
                times: row.times,
                values: row.values,
                crc: row.crc,
            };
            let placed =
                rows.into_iter().zip(&job.chunks).map(|((reference, rows), (_, _, chunks))| {
                    let positions = chunks.iter().map(|(position, _)| *position);
                    (reference, positions.zip(rows.into_iter().map(sealed)).collect())
                });
            placement.tenants.push((tenant, placed.collect()));
        }
        Ok(file)
    }

    fn try_write_chunks(&self, path: &Path, job: &Job) -> Result<(Arc<SealFile>, Vec<TenantRows>)> {
        let mut writer = Writer::create(&*self.disk, path)?;
        let mut all = Vec::new();
        for (id, tenant) in job.tenants.iter().filter(|(_, t)| !t.chunks.is_empty()) {
            let mut series = Vec::with_capacity(tenant.chunks.len());
            for (reference, labels, chunks) in &tenant.chunks {
                let mut rows = Vec::with_capacity(chunks.len());
                for (_, chunk) in chunks {
                    rows.push(writer.push(chunk, &chunk.code(labels)?)?);
                }
                series.push((*reference, rows));
            }
            all.push((id.clone(), series));
        }
        let file = writer.finish(job.index, &all)?;
        Ok((file, all))
    }

    /// Writes the series that no file names, or all of them when the files
    /// name too many that are gone. Returns the files that count now.
    fn write_series(&self, job: &Job, bytes: &mut u64) -> Result<Vec<(u64, u64)>> {
        let named: u64 = self.series.iter().map(|(_, count)| *count).sum();
        let live: u64 = job.tenants.values().map(|t| t.series.len() as u64).sum();
        let all = named > 2 * live + SPARE_SERIES;
        let mut count = 0;
        let mut out = Vec::new();
        for (id, tenant) in &job.tenants {
            let wanted = tenant.series.iter().filter(|(_, _, new)| all || *new);
            count += put_series(&mut out, id, wanted);
        }
        let mut files = if all { Vec::new() } else { self.series.clone() };
        if count > 0 {
            let path = self.dir.join(names::series(job.index));
            let content = names::wrap(SERIES_MAGIC, &out);
            varve_log::write_file_atomic(&*self.disk, &path, &content)
                .map_err(HeadError::io("write", &path))?;
            *bytes += content.len() as u64;
            files.push((job.index, count));
        }
        Ok(files)
    }
}

fn put_series<'a>(
    out: &mut Vec<u8>,
    tenant: &TenantId,
    series: impl Iterator<Item = &'a (u64, Labels, bool)> + Clone,
) -> u64 {
    let count = series.clone().count() as u64;
    if count > 0 {
        put_bytes(out, tenant.as_str().as_bytes());
        put_u64(out, count);
        let mut previous = 0;
        for (reference, labels, _) in series {
            put_u64(out, reference - previous);
            previous = *reference;
            put_bytes(out, labels.as_bytes());
        }
    }
    count
}
