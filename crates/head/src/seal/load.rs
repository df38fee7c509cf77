//! Loading the last seal when a partition opens.
//!
//! Files that the manifest does not name are left from an interrupted seal
//! and go. Whatever is damaged stops the partition with the file and offset.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use varve_log::Disk;
use varve_model::{Labels, TenantId};

use crate::chunk::{Chunk, Kind};
use crate::codec::{Malformed, Reader};
use crate::entry::take_tenant;
use crate::file::SealFile;
use crate::seal::chunks::{self, Row};
use crate::seal::manifest::{self, Manifest};
use crate::seal::names;
use crate::seal::write::{SERIES_MAGIC, Sealer};
use crate::series::Series;
use crate::state::State;
use crate::tenant::Tenant;
use crate::windows::Windows;
use crate::{HeadError, Result};

/// A partition as its last seal left it.
pub(crate) struct Opened {
    pub(crate) state: State,
    pub(crate) sealer: Sealer,
}

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

    let mut series: HashMap<TenantId, HashMap<u64, Series>> = HashMap::new();
    for (id, count) in &manifest.series {
        load_series(&sealer, *id, *count, state.next_reference, &mut series)?;
    }
    // In the order in which they were written, see `place`.
    manifest.chunks.sort_unstable();
    for id in &manifest.chunks {
        let path = sealer.dir.join(names::chunks(*id));
        let (file, rows) = chunks::open(&*sealer.disk, &path, *id, verify)?;
        for (tenant, rows) in rows {
            let known = series.entry(tenant).or_default();
            for (reference, rows) in rows {
                place(&state.windows, known.get_mut(&reference), &file, &rows)?;
            }
        }
        sealer.chunks.insert(*id, file);
    }
    sealer.series = manifest.series;
    for chunk in series.values().flat_map(HashMap::values).flat_map(|s| &*s.chunks) {
        if state.windows.cut_of(chunk).is_none() {
            state.windows.add_uncut(chunk.window(), u64::from(chunk.count));
        }
    }
    for (id, told) in manifest.tenants {
        let newest: HashMap<u64, i64> = told.newest.into_iter().collect();
        let tenant = Tenant {
            metadata: told.metadata,
            max_time: told.max_time,
            out_of_order: told.out_of_order,
            released_at: told.released_at,
            ..Tenant::default()
        };
        add_series(state.tenants.entry(id.clone()).or_insert(tenant), series.remove(&id), &newest);
    }
    if let Some((tenant, _)) = series.iter().find(|(_, s)| s.values().any(|s| !s.is_empty())) {
        let detail = format!("it lacks the tenant {tenant}, whose samples there are");
        return Err(HeadError::corrupt(&path, 8, detail));
    }
    remove_strangers(&sealer)?;
    Ok(Opened { state, sealer })
}

/// Gives a series its chunks of one file, but for those that were released
/// since. A merged one replaces what it was made from.
fn place(
    windows: &Windows,
    mut series: Option<&mut Series>,
    file: &Arc<SealFile>,
    rows: &[Row],
) -> Result<()> {
    for row in rows {
        let chunk = row.chunk(file);
        let cut = windows.cut_of(&chunk);
        if cut.is_some_and(|cut| cut.released) {
            continue;
        }
        let Some(series) = series.as_deref_mut() else {
            return Err(HeadError::corrupt(&file.path, row.offset, "samples of an unknown series"));
        };
        if row.merged {
            let same = |c: &Chunk| {
                (c.kind, c.window()) == (chunk.kind, chunk.window()) && windows.cut_of(c) == cut
            };
            Arc::make_mut(&mut series.chunks).retain(|c| !same(c));
        }
        if chunk.kind != Kind::Exemplar {
            series.newest = series.newest.max(chunk.max);
        }
        Arc::make_mut(&mut series.chunks).push(chunk);
    }
    Ok(())
}

fn add_series(
    tenant: &mut Tenant,
    series: Option<HashMap<u64, Series>>,
    newest: &HashMap<u64, i64>,
) {
    let mut live: Vec<Series> =
        series.into_iter().flat_map(HashMap::into_values).filter(|s| !s.is_empty()).collect();
    live.sort_unstable_by_key(|s| s.reference);
    for mut series in live {
        if let Some(newest) = newest.get(&series.reference) {
            series.newest = *newest;
        }
        series.sealed = true;
        tenant.add(series);
    }
}

fn load_series(
    sealer: &Sealer,
    id: u64,
    count: u64,
    next_reference: u64,
    out: &mut HashMap<TenantId, HashMap<u64, Series>>,
) -> Result<()> {
    let path = sealer.dir.join(names::series(id));
    let body = names::unwrap(&*sealer.disk, &path, SERIES_MAGIC)?
        .ok_or_else(|| HeadError::corrupt(&path, 0, "the file is missing"))?;
    let found = decode_series(&body, next_reference, out).map_err(names::malformed(&path, 8))?;
    if found != count {
        let detail = format!("{found} series, the manifest says {count}");
        return Err(HeadError::corrupt(&path, 8, detail));
    }
    Ok(())
}

/// Reads a file of series; returns how many it names.
pub(crate) fn decode_series(
    bytes: &[u8],
    next_reference: u64,
    out: &mut HashMap<TenantId, HashMap<u64, Series>>,
) -> Result<u64, Malformed> {
    let mut r = Reader::new(bytes);
    let mut count = 0;
    while r.remaining() > 0 {
        let tenant = out.entry(take_tenant(&mut r)?).or_default();
        let mut reference = 0u64;
        for _ in 0..r.count(2)? {
            let at = r.fail("reference is out of order");
            let step = r.u64()?;
            let next = reference.checked_add(step).filter(|r| step > 0 && *r < next_reference);
            reference = next.ok_or(at)?;
            let at = r.fail("labels are none");
            let labels = Labels::from_bytes(r.bytes()?).map_err(|_| at)?;
            tenant.insert(reference, Series::new(reference, labels));
            count += 1;
        }
    }
    Ok(count)
}

/// Removes what the manifest does not name. The manifest may have been found
/// with its name not yet durable; it is made so first, since a crash could else
/// bring back an older one that names what is removed here.
fn remove_strangers(sealer: &Sealer) -> Result<()> {
    let mut named: Vec<String> = sealer.chunks.keys().map(|id| names::chunks(*id)).collect();
    named.extend(sealer.series.iter().map(|(id, _)| names::series(*id)));
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
