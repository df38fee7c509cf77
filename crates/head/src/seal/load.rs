//! Loading the last seal when a partition opens.
//!
//! Files that the manifest does not name are left from an interrupted seal
//! and go. Whatever is damaged stops the partition with the file and offset.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use varve_log::Disk;
use varve_model::TenantId;

use crate::file::SealFile;
use crate::kind::Kind;
use crate::seal::chunks::{self, TenantRows};
use crate::seal::manifest::{self, Manifest};
use crate::seal::names;
use crate::seal::series_file;
use crate::seal::write::{Sealer, SeriesFile};
use crate::sealed::{Files, Row, Sections};
use crate::state::State;
use crate::tenant::Tenant;
use crate::windows::Windows;
use crate::{HeadError, Result};

/// A partition as its last seal left it.
pub(crate) struct Opened {
    pub(crate) state: State,
    pub(crate) sealer: Sealer,
}

/// What the files hold of one series.
#[derive(Debug)]
struct Found {
    rows: Vec<Row>,
    newest: i64,
}

/// By tenant and reference.
type AllFound = BTreeMap<TenantId, HashMap<u64, Found>>;

/// Loads the last seal in `dir`, which is created if there is none.
pub(crate) fn load(
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    partition: u32,
    verify: bool,
) -> Result<Opened> {
    disk.create_dir_all(&dir).map_err(HeadError::io("create", &dir))?;
    let mut sealer = Sealer {
        disk,
        dir,
        partition,
        chunks: BTreeMap::new(),
        series: Vec::new(),
        retired: Vec::new(),
        doubtful: Vec::new(),
    };
    let mut state = State::default();
    let path = sealer.dir.join(names::MANIFEST);
    let Some(body) = names::unwrap(&*sealer.disk, &path, manifest::MAGIC)? else {
        remove_strangers(&sealer)?;
        return Ok(Opened { state, sealer });
    };
    let mut manifest = Manifest::decode(&body).map_err(names::malformed(&path, 8))?;
    if manifest.partition != partition {
        let detail = format!("it is of partition {}, not {partition}", manifest.partition);
        return Err(HeadError::corrupt(&path, 8, detail));
    }
    (state.term, state.applied, state.sealed) = (manifest.term, manifest.index, manifest.index);
    state.next_reference = manifest.next_reference;
    state.windows = manifest.windows;
    state.manifest_len = body.len() as u64 + names::WRAP;

    let mut found = AllFound::new();
    // In the order in which they were written, see `place`.
    manifest.chunks.sort_unstable();
    for id in &manifest.chunks {
        let path = sealer.dir.join(names::chunks(*id));
        let (file, rows) = chunks::open(&*sealer.disk, &path, *id, verify)?;
        sealer.chunks.insert(*id, place(&mut state, file, rows, &mut found)?);
    }
    for (id, told) in manifest.tenants {
        for (reference, newest) in told.newest {
            if let Some(series) = found.get_mut(&id).and_then(|f| f.get_mut(&reference)) {
                series.newest = newest;
            }
        }
        let mut tenant = Tenant::default();
        (tenant.max_time, tenant.out_of_order) = (told.max_time, told.out_of_order);
        (tenant.metadata, tenant.released_at) = (told.metadata, told.released_at);
        state.tenants.insert(id, tenant);
    }
    for (id, count) in &manifest.series {
        let file = load_series(&sealer, *id, *count, &mut state, &mut found)?;
        state.series_len += file.len;
        sealer.series.push(file);
    }
    if let Some((tenant, series)) = found.iter().find(|(_, series)| !series.is_empty()) {
        let detail = format!("samples of {} series of {tenant} that no file names", series.len());
        return Err(HeadError::corrupt(&path, 8, detail));
    }
    remove_strangers(&sealer)?;
    state.settled = state.memory();
    Ok(Opened { state, sealer })
}

/// Gives a file its place, and each series its rows of it, but for those that
/// were released since. A merged one replaces what it was made from.
fn place(
    state: &mut State,
    mut file: SealFile,
    tenants: Vec<TenantRows>,
    found: &mut AllFound,
) -> Result<Arc<SealFile>> {
    let State { files, windows, .. } = state;
    let fail = |path, offset, detail: &str| HeadError::corrupt(path, offset, detail);
    let place =
        files.free().ok_or_else(|| fail(&file.path, 0, "there are 65,536 files already"))?;
    let mut sections = Sections::new(windows.clone());
    let mut merged_rows: Vec<Row> = Vec::new();
    for (tenant, series) in tenants {
        let known = found.entry(tenant).or_default();
        for (reference, rows) in series {
            for told in rows {
                let chunk = told.chunk();
                let section = sections.of(&chunk);
                let cut = windows.cut_at(chunk.window(), chunk.last_index);
                let cut = cut.map(|c| (c.index, c.released));
                if cut.is_some_and(|(_, released)| released) {
                    continue;
                }
                let at = (told.offset, told.len);
                let row = section.and_then(|s| Row::new(&chunk, (place, s), at));
                let row = row.ok_or_else(|| fail(&file.path, told.offset, "chunk is too large"))?;
                if cut.is_none() {
                    windows.add_uncut(chunk.window(), u64::from(told.count));
                }
                let one =
                    known.entry(reference).or_insert(Found { rows: Vec::new(), newest: i64::MIN });
                if told.merged {
                    let key = (chunk.kind, chunk.window(), cut.map(|(index, _)| index));
                    let replaced =
                        one.rows.extract_if(.., |r| section_key(files, windows, r) == Some(key));
                    merged_rows.extend(replaced);
                }
                if chunk.kind != Kind::Exemplar {
                    one.newest = one.newest.max(chunk.max);
                }
                one.rows.push(row);
            }
        }
    }
    for row in merged_rows {
        if let Some(section) = files.section(&row)
            && windows.cut_at(section.window, section.index).is_none()
        {
            windows.take_uncut(section.window, u64::from(row.count()));
        }
    }
    file.sections = sections.finish();
    let file = Arc::new(file);
    files.set(place, Arc::clone(&file));
    Ok(file)
}

/// Kind, window and cut of what a row of an earlier file tells of.
fn section_key(files: &Files, windows: &Windows, row: &Row) -> Option<(Kind, i64, Option<u64>)> {
    let section = files.section(row)?;
    let cut = windows.cut_at(section.window, section.index).map(|c| c.index);
    Some((section.kind, section.window, cut))
}

/// Names the series that have samples in the files.
fn load_series(
    sealer: &Sealer,
    id: u64,
    count: u64,
    state: &mut State,
    found: &mut AllFound,
) -> Result<SeriesFile> {
    let path = sealer.dir.join(names::series(id));
    let body = names::unwrap(&*sealer.disk, &path, series_file::MAGIC)?
        .ok_or_else(|| HeadError::corrupt(&path, 0, "the file is missing"))?;
    let State { tenants, next_reference, .. } = state;
    let mut sorted = true;
    let named = series_file::decode(&body, *next_reference, |id, reference, labels| {
        let Some(one) = found.get_mut(id).and_then(|f| f.remove(&reference)) else { return };
        let Some(tenant) = tenants.get_mut(id) else { return };
        sorted &= tenant.index.last() < reference;
        if !sorted {
            return;
        }
        tenant.sealed_until = tenant.sealed_until.max(one.newest);
        tenant.add(reference, &labels, |series| {
            (series.newest, series.named) = (one.newest, true);
            series.sealed = one.rows.into();
        });
    });
    let named = named.map_err(names::malformed(&path, 8))?;
    if !sorted {
        return Err(HeadError::corrupt(&path, 8, "references are lower than in an earlier file"));
    }
    if named != count {
        let detail = format!("{named} series, the manifest says {count}");
        return Err(HeadError::corrupt(&path, 8, detail));
    }
    Ok(SeriesFile { id, series: count, len: body.len() as u64 + names::WRAP })
}

/// Removes what the manifest does not name. The manifest may have been found
/// with its name not yet durable; it is made so first, since a crash could else
/// bring back an older one that names what is removed here.
fn remove_strangers(sealer: &Sealer) -> Result<()> {
    let mut named: Vec<String> = sealer.chunks.keys().map(|id| names::chunks(*id)).collect();
    named.extend(sealer.series.iter().map(|file| names::series(file.id)));
    let dir = &sealer.dir;
    let ours = |name: &String| [".chunks", ".series", ".tmp"].iter().any(|e| name.ends_with(e));
    let mut strangers = sealer.disk.list(dir).map_err(HeadError::io("list", dir))?;
    strangers.retain(|name| ours(name) && !named.contains(name));
    if !strangers.is_empty() {
        sealer.disk.sync_dir(dir).map_err(HeadError::io("sync", dir))?;
    }
    for name in strangers {
        let path = dir.join(&name);
        sealer.disk.remove(&path).map_err(HeadError::io("remove", &path))?;
    }
    Ok(())
}
