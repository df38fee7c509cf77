//! One seed: a disk, a clock, what was promised, and life upon life.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use ulid::Ulid;
use varve_log::{Crash, SimDisk};
use varve_model::{TenantId, WINDOW_MS};
use varve_runtime::{ManualClock, Steps};

use crate::model::Model;
use crate::read::Remembered;

/// Lives of one seed; each ends with a crash.
pub(crate) const LIVES: u64 = 10;
/// The partitions that are hosted.
pub(crate) const PARTITIONS: [u32; 2] = [3, 8];
/// A window's end.
pub(crate) const BEGIN_MS: i64 = 238_889 * WINDOW_MS;

/// What the ingester is doing, for the liar that takes out syncs.
#[derive(Clone, Default)]
pub(crate) struct Phase(Arc<AtomicU8>);

pub(crate) const OPENING: u8 = 1;
pub(crate) const RUNNING: u8 = 2;

impl Phase {
    pub(crate) fn set(&self, phase: u8) {
        self.0.store(phase, Ordering::Relaxed);
    }

    pub(crate) fn is(&self, phase: u8) -> bool {
        self.0.load(Ordering::Relaxed) == phase
    }
}

/// How often what happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(BTreeMap<&'static str, u64>);

impl Told {
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(crate) fn add_to(&self, all: &mut Vec<(&'static str, u64)>) {
        for (what, count) in &self.0 {
            match all.iter_mut().find(|(known, _)| known == what) {
                Some((_, sum)) => *sum += count,
                None => all.push((what, *count)),
            }
        }
    }
}

pub(crate) struct World {
    pub(crate) random: StdRng,
    pub(crate) disk: SimDisk,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) tenants: Vec<TenantId>,
    pub(crate) model: Model,
    pub(crate) phase: Phase,
    /// Whose turn it is, and what is random to the ingester.
    pub(crate) steps: Steps,
    /// References that heads have given, by tenant, partition and series.
    pub(crate) references: HashMap<(usize, u32, u32), u64>,
    /// The newest version that a reader has seen or a commit returned.
    pub(crate) versions: BTreeMap<usize, u64>,
    /// Blocks that were shipped.
    pub(crate) blocks: BTreeSet<Ulid>,
    pub(crate) remembered: Remembered,
    pub(crate) told: Told,
    /// Whether nothing has been done to this life's disk.
    pub(crate) healthy: bool,
    pub(crate) trace: bool,
    /// All that was done and seen, where it is kept.
    pub(crate) notes: Option<RefCell<Vec<String>>>,
    /// Where blocks under construction are: real files.
    pub(crate) scratch: tempfile::TempDir,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let memory = PathBuf::from("/dev/shm");
        let scratch =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self {
            random: StdRng::seed_from_u64(seed),
            disk: SimDisk::new(seed),
            clock: Arc::new(ManualClock::new(BEGIN_MS)),
            tenants: ["ant", "bee"].map(|name| TenantId::new(name).unwrap()).to_vec(),
            model: Model::default(),
            phase: Phase::default(),
            steps: Steps::new(seed),
            references: HashMap::new(),
            versions: BTreeMap::new(),
            blocks: BTreeSet::new(),
            remembered: Remembered::default(),
            told: Told::default(),
            healthy: true,
            trace: crate::setting("VARVE_SIM_TRACE").is_some(),
            notes: None,
            scratch: scratch.unwrap(),
        }
    }

    /// All lives; the error says what is wrong.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        self.steps.enter();
        if self.trace {
            self.disk.ignore_syncs(|sync| {
                println!("       sync {} {:?}", sync.path.display(), sync.last_name);
                false
            });
        }
        for life in 0..LIVES {
            self.run_life(life).map_err(|error| format!("life {life}: {error}"))?;
        }
        Ok(())
    }

    /// One life, from a start to a crash.
    fn run_life(&mut self, life: u64) -> Result<(), String> {
        self.disk = self.disk.reboot();
        let crash = if self.random.random_bool(0.6) { Crash::Power } else { Crash::Process };
        self.healthy = true;
        self.disk.set_capacity(u64::MAX);
        // The last life has no trouble of its own: it sees what is there.
        if life + 1 < LIVES {
            if self.random.random_bool(0.85) {
                let most = if self.random.random_bool(0.3) { 25 } else { 250 };
                self.disk.crash_at(self.random.random_range(1..most), crash);
            }
            if self.random.random_bool(0.12) {
                self.healthy = false;
                self.disk.fail_sync(self.random.random_range(1..40));
            }
            if self.random.random_bool(0.12) {
                self.healthy = false;
                let room = self.random.random_range(0..100 << 10);
                self.disk.set_capacity(self.disk.used() + room);
            }
        }
        let steps = self.steps.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            // Where nothing else goes on, pauses are over at once.
            .start_paused(true)
            .on_thread_start(move || steps.enter())
            .build()
            .unwrap();
        self.say(|| format!("life {life}, {crash:?}"));
        let result = runtime.block_on(self.live());
        if self.disk.has_crashed() {
            self.told.count("crashes under way");
        }
        self.disk.before_change(None);
        self.steps.use_threads(false);
        self.disk.crash(crash);
        // What is under way ends here, with errors.
        drop(runtime);
        self.say(|| format!("the disk's history is {:x}", self.disk.history()));
        result
    }

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.trace || self.notes.is_some() {
            // The one name that differs from run to run.
            let what = what().replace(&self.scratch.path().display().to_string(), "~");
            let line = format!("{:>6} {what}", self.disk.changes());
            if self.trace {
                println!("{line}");
            }
            if let Some(notes) = &self.notes {
                notes.borrow_mut().push(line);
            }
        }
    }

    pub(crate) fn wait(&mut self) {
        let minutes = match self.random.random_range(0..10) {
            0 => 25 * 60,
            1..4 => self.random.random_range(60..180),
            _ => self.random.random_range(1..40),
        };
        self.say(|| format!("wait {minutes} min"));
        self.clock.advance(Duration::from_secs(minutes * 60));
    }
}
