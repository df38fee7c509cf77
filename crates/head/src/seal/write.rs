//! Writing a seal: samples and new series slice by slice, then the manifest.
//!
//! Every file is durable before the manifest names it. Files that it no
//! longer names go once no reader holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use varve_block::{BlockError, EncodedChunk, merge};
use varve_log::Disk;
use varve_model::{Labels, TenantId, TimeRange};
use varve_runtime::failpoint;

use crate::chunk::{Chunk, Coded, Data};
use crate::file::SealFile;
use crate::kind::Kind;
use crate::seal::chunks::Writer;
use crate::seal::job::{Group, Job, SeriesJob, Slice};
use crate::seal::manifest::{self, Manifest, TenantManifest};
use crate::seal::names;
use crate::seal::placement::Placement;
use crate::seal::series_file::SeriesWriter;
use crate::state::State;
use crate::{HeadError, Result};

/// Series files are written anew when they name more than twice the series
/// that there are, and (where room is not short) this many more.
const SPARE_SERIES: u64 = 1024;
/// Pages of series (64 each) that are taken from the state at a time.
const SLICE_PAGES: usize = 32;

/// What is on disk, kept between the seals of one partition.
pub(crate) struct Sealer {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) partition: u32,
    /// Files of samples that the manifest names.
    pub(crate) chunks: BTreeMap<u64, Arc<SealFile>>,
    /// Files of series that the manifest names.
    pub(crate) series: Vec<SeriesFile>,
    /// Files that it no longer names, kept for readers that hold them.
    pub(crate) retired: Vec<Arc<SealFile>>,
    /// Files of seals of which nobody knows whether their manifest counts;
    /// they go when a later one does.
    pub(crate) doubtful: Vec<PathBuf>,
}

/// A file that names series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeriesFile {
    pub(crate) id: u64,
    /// How many it names.
    pub(crate) series: u64,
    /// Bytes in it.
    pub(crate) len: u64,
}

/// A durable seal, and what the state is to let go of.
pub(crate) struct Written {
    /// The new file of samples and its place in memory.
    pub(crate) file: Option<(u16, Arc<SealFile>)>,
    /// Where the chunks of some series lie now.
    pub(crate) placements: Vec<(TenantId, Placement)>,
    pub(crate) settled: Settled,
    /// Bytes of all files written.
    pub(crate) bytes: u64,
}

/// What a partition has on its disk after a seal.
pub(crate) struct Settled {
    /// Index of the seal.
    pub(crate) index: u64,
    /// Numbers of the files of samples that count.
    pub(crate) named: BTreeSet<u64>,
    /// Bytes of the manifest.
    pub(crate) manifest_len: u64,
    /// Bytes of the files that name series.
    pub(crate) series_len: u64,
}

/// What the slices of a seal came to.
#[derive(Default)]
struct Slices {
    file: Option<(u16, Arc<SealFile>)>,
    placements: Vec<(TenantId, Placement)>,
    /// Older files that keep chunks.
    kept: BTreeSet<u64>,
    /// The file of new series.
    series: Option<SeriesFile>,
}

/// A seal of which nothing is missing but the manifest's name.
struct Prepared<'a> {
    slices: Slices,
    /// Files of samples that the manifest names.
    named: BTreeMap<u64, Arc<SealFile>>,
    /// Files of series that it names.
    series: Vec<SeriesFile>,
    manifest: varve_log::PreparedFile<'a>,
    manifest_len: u64,
}

impl Sealer {
    /// Writes a seal. When it returns, files and manifest are durable; on an
    /// error the manifest is the old or the new one, whole in any case, and
    /// what no manifest can name takes no room.
    pub(crate) fn write(&mut self, job: Job, state: &RwLock<State>) -> Result<Written> {
        let id = job.index;
        let new = [self.dir.join(names::chunks(id)), self.dir.join(names::series(id))];
        let manifest_path = self.dir.join(names::MANIFEST);
        let prepared = self.prepare(job, state, (&new[0], &new[1]), &manifest_path);
        // What did not come to its end is of no use.
        let prepared = prepared.inspect_err(|_| new.iter().for_each(|path| self.remove(path)));
        let Prepared { slices, named, series, manifest, manifest_len } = prepared?;
        if let Err(error) = manifest.commit() {
            self.doubtful.extend(new);
            return Err(HeadError::io("write", &manifest_path)(error));
        }

        let old = std::mem::replace(&mut self.chunks, named);
        self.retired.extend(old.into_values().filter(|f| !self.chunks.contains_key(&f.id)));
        let old = std::mem::replace(&mut self.series, series);
        failpoint!("seal.after-manifest", |_| Err(self.stopped("failpoint seal.after-manifest")));
        for SeriesFile { id: old, .. } in old {
            if !self.series.iter().any(|file| file.id == old) {
                self.remove(&self.dir.join(names::series(old)));
            }
        }
        std::mem::take(&mut self.doubtful).iter().for_each(|path| self.remove(path));
        let Slices { file, placements, series, .. } = slices;
        let bytes = manifest_len
            + file.as_ref().map_or(0, |(_, file)| file.len)
            + series.map_or(0, |file| file.len);
        let settled = Settled {
            index: id,
            named: self.chunks.keys().copied().collect(),
            manifest_len,
            series_len: self.series.iter().map(|file| file.len).sum(),
        };
        Ok(Written { file, placements, settled, bytes })
    }

    /// Writes all of a seal but the manifest's name; everything is durable
    /// when it returns.
    fn prepare<'a>(
        &'a self,
        job: Job,
        state: &RwLock<State>,
        new: (&Path, &Path),
        manifest_path: &'a Path,
    ) -> Result<Prepared<'a>> {
        let all = self.rewrites_series(&job);
        let slices = self.write_slices(&job, state, all, new)?;
        let mut series = if all { Vec::new() } else { self.series.clone() };
        series.extend(slices.series);
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

        let mut named: BTreeMap<u64, Arc<SealFile>> = self.chunks.clone();
        named.retain(|id, _| slices.kept.contains(id));
        named.extend(slices.file.iter().map(|(_, file)| (file.id, Arc::clone(file))));
        let content = self.manifest(job, &named, &series).encode();
        let content = names::wrap(manifest::MAGIC, &content);
        let manifest = varve_log::prepare_file(&*self.disk, manifest_path, &content);
        let manifest = manifest.map_err(HeadError::io("write", manifest_path))?;
        let manifest_len = content.len() as u64;
        Ok(Prepared { slices, named, series, manifest, manifest_len })
    }

    fn manifest(
        &self,
        job: Job,
        chunks: &BTreeMap<u64, Arc<SealFile>>,
        series: &[SeriesFile],
    ) -> Manifest {
        let tenants = job.tenants.into_iter().map(|(id, t)| {
            let tenant = TenantManifest {
                max_time: t.max_time,
                out_of_order: t.out_of_order,
                released_at: t.released_at,
                metadata: t.metadata,
                newest: t.newest,
            };
            (id, tenant)
        });
        Manifest {
            partition: self.partition,
            term: job.term,
            index: job.index,
            next_reference: job.next_reference,
            windows: job.windows,
            tenants: tenants.collect(),
            chunks: chunks.keys().copied().collect(),
            series: series.iter().map(|file| (file.id, file.series)).collect(),
        }
    }

    #[allow(dead_code, reason = "for failpoints, which releases do not have")]
    fn stopped(&self, reason: &str) -> HeadError {
        HeadError::Stopped { partition: self.partition, reason: reason.to_owned() }
    }

    /// Removes the files that nobody needs and nobody holds.
    pub(crate) fn sweep(&mut self) {
        let (held, free): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.retired).into_iter().partition(|f| Arc::strong_count(f) > 1);
        self.retired = held;
        for file in free {
            self.remove(&file.path);
        }
    }

    /// A file that cannot be removed now goes when the partition opens next.
    fn remove(&self, path: &Path) {
        match self.disk.remove(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "cannot remove a sealed file");
            }
            _ => {}
        }
    }

    /// Whether the files of series name too many that are gone, so that all
    /// are written into one.
    fn rewrites_series(&self, job: &Job) -> bool {
        let named: u64 = self.series.iter().map(|file| file.series).sum();
        let live: u64 = job.tenants.values().map(|t| t.series).sum();
        named > 2 * live + if job.short { 0 } else { SPARE_SERIES }
    }

    /// Writes samples and series; both files are durable when it returns, but
    /// not their names.
    fn write_slices(
        &self,
        job: &Job,
        state: &RwLock<State>,
        all: bool,
        (chunks, series): (&Path, &Path),
    ) -> Result<Slices> {
        let mut out = Slices::default();
        let mut writer: Option<Writer<'_>> = None;
        let mut names = SeriesWriter::new(&*self.disk, series);
        for (id, tenant) in &job.tenants {
            let mut begun = false;
            names.tenant(id);
            for pages in tenant.pages.chunks(SLICE_PAGES) {
                let slice = job.slice(&state.read(), id, pages);
                out.kept.extend(&slice.files);
                put_names(&mut names, &slice, all)?;
                if slice.series.is_empty() {
                    continue;
                }
                let writer = match &mut writer {
                    Some(writer) => writer,
                    None => writer.insert(self.create(job, chunks)?),
                };
                if !std::mem::replace(&mut begun, true) {
                    writer.tenant(id);
                }
                let mut placement = Placement::default();
                for series in &slice.series {
                    put_chunks(writer, series, &slice, &mut placement, &mut out.kept)?;
                }
                out.placements.push((id.clone(), placement));
            }
        }
        let (count, len) = names.finish()?;
        out.series = (count > 0).then_some(SeriesFile { id: job.index, series: count, len });
        if let (Some(writer), Some(place)) = (writer, job.place) {
            out.file = Some((place, writer.finish(job.index)?));
        }
        Ok(out)
    }

    fn create<'a>(&self, job: &Job, path: &'a Path) -> Result<Writer<'a>> {
        let place = job.place.ok_or_else(|| {
            HeadError::corrupt(path, 0, "there are 65,536 sealed files already, no other fits")
        })?;
        Writer::create(&*self.disk, path, place, job.windows.clone())
    }
}

fn put_names(names: &mut SeriesWriter<'_>, slice: &Slice, all: bool) -> Result<()> {
    if all {
        return slice
            .all
            .iter()
            .try_for_each(|(reference, pairs)| names.push(*reference, pairs, &slice.dictionary));
    }
    let mut new = slice.series.iter().filter(|s| s.new);
    new.try_for_each(|s| names.push(s.reference, &s.pairs, &slice.dictionary))
}

fn put_chunks(
    writer: &mut Writer<'_>,
    series: &SeriesJob,
    slice: &Slice,
    placement: &mut Placement,
    kept: &mut BTreeSet<u64>,
) -> Result<()> {
    let mut chunks: Vec<(Chunk, Coded, bool)> = Vec::new();
    let mut replaced = Vec::new();
    for Group { old, new, merge, .. } in &series.groups {
        if *merge {
            let all = || old.iter().map(|(_, chunk)| chunk).chain(new);
            match merge_chunks(all(), || slice.dictionary.labels(&series.pairs)) {
                Ok((chunk, coded)) => {
                    replaced.extend(old.iter().map(|(at, _)| *at));
                    chunks.push((chunk, coded, true));
                    continue;
                }
                Err(error) => {
                    tracing::error!(%error, "sealed samples cannot be merged, they stay");
                    kept.extend(old.iter().filter_map(|(_, c)| c.file()));
                }
            }
        }
        for chunk in new {
            chunks.push((chunk.clone(), chunk.code()?, false));
        }
    }
    writer.series(series.reference, chunks.len());
    replaced.sort_unstable();
    placement.series(series.reference, series.taken, &replaced);
    for (chunk, coded, merged) in &chunks {
        placement.row(writer.chunk(chunk, coded, *merged)?);
    }
    Ok(())
}

/// Several chunks of one kind as one.
fn merge_chunks<'a>(
    chunks: impl Iterator<Item = &'a Chunk> + Clone,
    who: impl Fn() -> Labels,
) -> Result<(Chunk, Coded)> {
    let fail = |source| HeadError::Samples { labels: who(), source };
    let last_index = chunks.clone().map(|c| c.last_index).max().unwrap_or(0);
    let encoded: Vec<EncodedChunk> = chunks.map(|c| c.encode(0, 0)).collect::<Result<_>>()?;
    let (floats, histograms) = merge::merge_chunks(&encoded, TimeRange::ALL).map_err(fail)?;
    let (kind, one) = match EncodedChunk::from_floats(&floats, 0, 0) {
        Some(one) => (Kind::Float, Some(one)),
        None => (Kind::Histogram, EncodedChunk::from_histograms(&histograms, 0, 0)),
    };
    let one = one.ok_or_else(|| fail(BlockError::corrupt("chunk", "no samples to merge")))?;
    let coded = Coded::new(&one);
    let data = Data::Coded(coded.clone());
    let (count, min, max) = (one.count, one.min_time, one.max_time);
    Ok((Chunk { kind, count, min, max, last_index, data }, coded))
}
