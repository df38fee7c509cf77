//! Writing a seal: samples, new series, manifest, in that order.
//!
//! Every file is durable before the manifest names it. Files that it no
//! longer names go once no reader holds them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use varve_block::{BlockError, merge};
use varve_log::Disk;
use varve_model::{Labels, TenantId, TimeRange};
use varve_runtime::failpoint;

use crate::buffer::Buffer;
use crate::chunk::Chunk;
use crate::codec::{put_bytes, put_u64};
use crate::file::SealFile;
use crate::seal::chunks::{Row, TenantRows, Writer};
use crate::seal::job::{Group, Job, Placement, SeriesJob};
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
    pub(crate) fn write(&mut self, mut job: Job) -> Result<Written> {
        let id = job.index;
        let mut placement = Placement { index: id, tenants: Vec::new() };
        let mut bytes = 0;
        let new = if job.tenants.values().any(|t| !t.chunks.is_empty()) {
            Some(self.write_chunks(&mut job, &mut placement)?)
        } else {
            None
        };
        let series = self.write_series(&job, &mut bytes)?;
        // The scratch file of an interrupted seal must be gone for good before
        // its name is used again: a crash could else give that file the
        // manifest's name.
        let scratch = self.dir.join(names::SCRATCH);
        match self.disk.remove(&scratch) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(HeadError::io("remove", &scratch)(e));
            }
            _ => {}
        }
        self.disk.sync_dir(&self.dir).map_err(HeadError::io("sync", &self.dir))?;
        failpoint!("seal.before-manifest", |_| Err(self.stopped("failpoint seal.before-manifest")));

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
        failpoint!("seal.after-manifest", |_| Err(self.stopped("failpoint seal.after-manifest")));
        for (old, _) in old {
            if !self.series.iter().any(|(id, _)| *id == old) {
                self.remove(&self.dir.join(names::series(old)));
            }
        }
        self.sweep();
        let file = self.chunks.get(&id).and_then(|f| f.file.len().ok()).unwrap_or(0);
        Ok(Written { placement, bytes: bytes + file + content.len() as u64 })
    }

    #[allow(dead_code, reason = "for failpoints, which releases do not have")]
    fn stopped(&self, reason: &str) -> HeadError {
        HeadError::Stopped { partition: self.partition, reason: reason.to_owned() }
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

    /// Writes the samples; a file that did not come to its end is removed.
    fn write_chunks(&self, job: &mut Job, placement: &mut Placement) -> Result<Arc<SealFile>> {
        let path = self.dir.join(names::chunks(job.index));
        let written = self.try_write_chunks(&path, job);
        let (file, rows, positions) = written.inspect_err(|_| self.remove(&path))?;
        for ((tenant, rows), positions) in rows.into_iter().zip(positions) {
            let place = |((reference, rows), positions): ((u64, Vec<Row>), Positions)| {
                let chunks = rows.iter().map(|row| row.chunk(&file));
                (reference, positions.into_iter().zip(chunks).collect())
            };
            placement.tenants.push((tenant, rows.into_iter().zip(positions).map(place).collect()));
        }
        Ok(file)
    }

    fn try_write_chunks(&self, path: &Path, job: &mut Job) -> Result<Chunks> {
        let mut writer = Writer::create(&*self.disk, path)?;
        let (mut rows, mut positions, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for (id, tenant) in job.tenants.iter().filter(|(_, t)| !t.chunks.is_empty()) {
            let (mut tenant_rows, mut tenant_positions) = (Vec::new(), Vec::new());
            for SeriesJob { reference, labels, groups } in &tenant.chunks {
                let (mut rows, mut positions) = (Vec::new(), Vec::new());
                for group in groups {
                    let merged = group.merge.then(|| merge_group(group, labels)).transpose();
                    if let Ok(Some(merged)) = &merged {
                        rows.push(writer.push(merged, &merged.code(labels)?, true)?);
                        positions.push(group.all().map(|(position, _)| *position).collect());
                        continue;
                    }
                    if let Err(error) = merged {
                        tracing::error!(%error, "sealed samples cannot be merged, they stay");
                        kept.extend(group.old.iter().map(|(_, chunk)| chunk.clone()));
                    }
                    for (position, chunk) in &group.new {
                        rows.push(writer.push(chunk, &chunk.code(labels)?, false)?);
                        positions.push(vec![*position]);
                    }
                }
                tenant_rows.push((*reference, rows));
                tenant_positions.push(positions);
            }
            rows.push((id.clone(), tenant_rows));
            positions.push(tenant_positions);
        }
        kept.iter().for_each(|chunk| job.keep(chunk));
        let file = writer.finish(job.index, &rows)?;
        Ok((file, rows, positions))
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

/// Positions that the chunks of one series replace, chunk by chunk.
type Positions = Vec<Vec<usize>>;

/// A file, its index, and by tenant and series what its chunks replace.
type Chunks = (Arc<SealFile>, Vec<TenantRows>, Vec<Vec<Positions>>);

/// All chunks of a group as one.
fn merge_group(group: &Group, labels: &Labels) -> Result<Chunk> {
    let fail = |source| HeadError::Samples { labels: labels.clone(), source };
    let encoded: Result<Vec<_>> = group.all().map(|(_, c)| c.encode(labels, 0, 0)).collect();
    let (floats, histograms) = merge::merge_chunks(&encoded?, TimeRange::ALL).map_err(fail)?;
    let histograms = (!histograms.is_empty()).then(|| Box::new(histograms));
    let last_index = group.all().map(|(_, c)| c.last_index).max().unwrap_or(0);
    let merged = Chunk::close(&Arc::new(Buffer { floats, histograms, last_index })).next();
    merged.ok_or_else(|| fail(BlockError::corrupt("chunk", "no samples to merge")))
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
