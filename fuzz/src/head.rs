//! Recent data on disk: any records in a segment of the log, and seals that
//! were damaged on purpose; checksums fit, so that the damage reaches the
//! decoders behind them. Opening may refuse, nothing may panic.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tokio::runtime::{Builder, Runtime};
use varve_head::{AppendLimits, HeadConfig, Metrics, Partition};
use varve_log::{Disk, SegmentLog, SegmentLogConfig, SimDisk, read_file};
use varve_model::{
    Counts, Exemplar, Histogram, Labels, ResetHint, Span, TenantId, TimeRange, WINDOW_MS,
};
use varve_runtime::ManualClock;
use varve_wire::batch::{BatchSeries, SeriesId, WriteBatch};

const LOG: &str = "/data/log";
const HEAD: &str = "/data/head";
const SEGMENT: usize = 64 << 10;
/// A window's end.
const NOW_MS: i64 = 238_889 * WINDOW_MS;

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Builder::new_multi_thread().worker_threads(1).build().expect("threads"))
}

fn tenant() -> TenantId {
    TenantId::new("t").expect("a name")
}

/// Opens log and partition, if they can be.
async fn open(disk: &SimDisk) -> Option<Arc<Partition>> {
    let config = SegmentLogConfig {
        segment_bytes: SEGMENT as u64,
        stepped: true,
        ..SegmentLogConfig::default()
    };
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let log = SegmentLog::open(Arc::clone(&disk), Path::new(LOG), config).ok()?;
    let metrics = Metrics::new(&prometheus::Registry::new()).expect("metrics");
    let clock = Arc::new(ManualClock::new(NOW_MS));
    let (dir, part) = (PathBuf::from(HEAD), log.partition(0));
    Partition::open(dir, disk, part, HeadConfig::default(), clock, metrics).await.ok()
}

/// Reads, adds to and seals whatever is there.
async fn use_it(partition: &Partition) {
    for series in partition.select(&tenant(), &[], TimeRange::ALL) {
        let _ = series.map(|series| series.decode(TimeRange::ALL).is_ok());
    }
    let _ = partition.exemplars(&tenant(), &[Vec::new()], TimeRange::ALL);
    partition.label_names(&tenant(), &[], TimeRange::ALL, 0);
    partition.metadata(&tenant(), None, 0);
    for cut in partition.unfinished_cuts() {
        for tenant in partition.cut_tenants(&cut) {
            let _ = partition.cut_series(&cut, &tenant).map(|all| all.count());
        }
    }
    let _ = partition.append(sample(7).encode(), AppendLimits::default()).await;
    for key in partition.uncut() {
        let _ = partition.cut(key.window_end, true).await;
    }
    let _ = partition.seal().await;
    partition.stats();
}

fn put(disk: &SimDisk, path: &Path, bytes: &[u8]) {
    let file = disk.create(path).expect("a new file");
    file.write_at(0, &[IoSlice::new(bytes)]).expect("a disk with room");
}

/// Records of partition 0 (and 1): a kind, a number of payload bytes, and an
/// index relative to the one that comes next, one byte each, then the payload.
pub fn log(bytes: &[u8]) {
    let (mut records, mut count, mut next) = (Vec::new(), 0u32, 1u64);
    let mut rest = bytes;
    while let [kind, len, shift, tail @ ..] = rest {
        let (payload, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        let index = match shift {
            0..=250 => next,
            251 => next.wrapping_sub(1),
            252 => next + 1,
            253 => 0,
            254 => u64::MAX,
            255 => next,
        };
        next = index.wrapping_add(1);
        record(&mut records, (u32::from(*shift == 255), *kind, index), payload);
        (rest, count) = (tail, count + 1);
    }
    records.truncate(SEGMENT / 2);
    let mut segment = header(&[1, 0, 0]);
    segment.resize(FIRST_BATCH, 0);
    segment.extend(batch(records.len() as u32, count));
    segment.extend(records);
    segment.resize(SEGMENT, 0);
    let disk = SimDisk::new(0);
    disk.create_dir_all(Path::new(LOG)).expect("folders");
    put(&disk, &Path::new(LOG).join("00000000.segment"), &segment);
    runtime().block_on(async {
        if let Some(partition) = open(&disk).await {
            use_it(&partition).await;
        }
    });
}

/// Where batches begin in a segment (docs/formats/log.md).
const FIRST_BATCH: usize = 4096;
const GENERATION: u64 = 1;

fn header(fields: &[u64; 3]) -> Vec<u8> {
    let mut out = b"VARVELOG".to_vec();
    out.extend(1u32.to_le_bytes());
    out.extend([0; 4]);
    fields.iter().for_each(|field| out.extend(field.to_le_bytes()));
    out.extend([0; 8]);
    out.extend(crc32c::crc32c(&out).to_le_bytes());
    out.extend([0; 4]);
    out
}

fn batch(body: u32, records: u32) -> Vec<u8> {
    let mut rest = Vec::new();
    rest.extend(body.to_le_bytes());
    rest.extend(records.to_le_bytes());
    for field in [GENERATION, FIRST_BATCH as u64, FIRST_BATCH as u64, 0] {
        rest.extend(field.to_le_bytes());
    }
    let crc = crc32c::crc32c(&rest).to_le_bytes();
    [&b"VBAT"[..], &crc, &rest].concat()
}

fn record(out: &mut Vec<u8>, (partition, kind, index): (u32, u8, u64), payload: &[u8]) {
    let mut header = [0; 32];
    header[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    header[8..12].copy_from_slice(&partition.to_le_bytes());
    header[12] = kind;
    header[16..24].copy_from_slice(&1u64.to_le_bytes());
    header[24..].copy_from_slice(&index.to_le_bytes());
    let crc = crc32c::crc32c(&GENERATION.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c_append(crc, &header), payload);
    header[4..8].copy_from_slice(&crc.to_le_bytes());
    out.extend(header);
    out.extend(payload);
    out.resize(out.len().next_multiple_of(8), 0);
}

/// The files of a small partition after two seals, one of them changed: a byte
/// to choose the file, then 3 bytes a change, a little-endian position and what
/// is xored.
pub fn seal(bytes: &[u8]) {
    static GOLDEN: OnceLock<Vec<(PathBuf, Vec<u8>)>> = OnceLock::new();
    let golden = GOLDEN.get_or_init(|| runtime().block_on(golden()));
    let Some((choice, changes)) = bytes.split_first() else { return };
    let in_head = || golden.iter().filter(|(path, _)| path.starts_with(HEAD));
    let Some((chosen, _)) = in_head().nth(usize::from(*choice) % in_head().count()) else { return };
    let disk = SimDisk::new(0);
    for dir in [LOG, HEAD] {
        disk.create_dir_all(Path::new(dir)).expect("folders");
    }
    for (path, content) in golden {
        let mut content = content.clone();
        if path == chosen {
            for change in changes.as_chunks::<3>().0 {
                let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % content.len();
                content[at] ^= change[2];
            }
            forge(&mut content);
        }
        put(&disk, path, &content);
    }
    runtime().block_on(async {
        if let Some(partition) = open(&disk).await {
            use_it(&partition).await;
        }
    });
}

/// Makes the checksums of a sealed file fit (docs/formats/seal.md).
fn forge(file: &mut [u8]) {
    let end = file.len();
    if !file.ends_with(b"VRVCHNK2") {
        let crc = crc32c::crc32c(&file[..end - 4]);
        file[end - 4..].copy_from_slice(&crc.to_le_bytes());
        return;
    }
    let footer = end - 36;
    let index = u64::from_le_bytes(file[footer..footer + 8].try_into().expect("8 bytes")) as usize;
    if (8..=footer).contains(&index) {
        let sums = [crc32c::crc32c(&file[8..index]), crc32c::crc32c(&file[index..footer])];
        for (n, sum) in sums.iter().enumerate() {
            let at = footer + 16 + 4 * n;
            file[at..at + 4].copy_from_slice(&sum.to_le_bytes());
        }
    }
    let crc = crc32c::crc32c(&file[footer..footer + 24]);
    file[footer + 24..footer + 28].copy_from_slice(&crc.to_le_bytes());
}

/// Log and sealed files of a partition with series of all kinds, a cut that is
/// not shipped, and entries behind the last seal.
async fn golden() -> Vec<(PathBuf, Vec<u8>)> {
    let disk = SimDisk::new(0);
    let partition = open(&disk).await.expect("an empty disk");
    for step in 0..3 {
        let appended = partition.append(sample(step).encode(), AppendLimits::default()).await;
        appended.expect("a good batch");
        if step == 1 {
            partition.cut(NOW_MS, true).await.expect("a cut");
        }
        if step < 2 {
            partition.seal().await.expect("a seal");
        }
    }
    drop(partition);
    let mut files = Vec::new();
    for dir in [LOG, HEAD] {
        for name in disk.list(Path::new(dir)).expect("a folder") {
            let path = Path::new(dir).join(name);
            let bytes = read_file(&disk, &path, 1 << 20).expect("a file");
            files.push((path, bytes));
        }
    }
    files
}

/// A batch of a float series, one of histograms and an exemplar.
fn sample(step: i64) -> WriteBatch {
    let mut batch = WriteBatch::new(tenant());
    for n in 0..3_u8 {
        let labels = [("__name__", "m".to_owned()), ("job", "j".to_owned()), ("n", n.to_string())];
        let mut series =
            BatchSeries::new(SeriesId::New(Labels::from_pairs(labels).expect("labels")));
        for i in 0..4 {
            let time = NOW_MS - 60_000 + step * 8000 + i * 1000;
            if n == 2 {
                series.histograms.push(time, Arc::new(histogram()), 0);
            } else {
                series.floats.push(time, f64::from(n) + i as f64 / 7.0, 0);
            }
        }
        let labels = Labels::from_pairs([("trace", "a")]).expect("labels");
        series.exemplars.push(Exemplar { labels, value: 1.5, timestamp: NOW_MS - step * 500 });
        batch.series.push(series);
    }
    batch
}

fn histogram() -> Histogram {
    Histogram {
        schema: 1,
        zero_threshold: 0.5,
        sum: 4.5,
        reset_hint: ResetHint::Unknown,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        negative_spans: Vec::new(),
        custom_bounds: Vec::new(),
        counts: Counts::Int { count: 5, zero: 2, positive: vec![1, 1], negative: Vec::new() },
    }
}
