//! What the simulated disk does, under its lock.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path};

use super::super::Stat;
use super::Crash;
use super::history::History;
pub(super) use super::tree::Change;
use super::tree::{Dir, File, Inode, NameChange, Node, ROOT, SplitMix};

/// Unneeded inodes that may gather before they are looked for.
const SWEEP_EVERY: usize = 64;
/// Where the disk's clock begins, in milliseconds since the epoch.
const BEGIN_MS: i64 = 1_700_000_000_000;

pub(super) struct State {
    pub(super) epoch: u64,
    pub(super) capacity: u64,
    pub(super) syncs: u64,
    pub(super) fail_sync_at: Option<u64>,
    pub(super) changes: u64,
    pub(super) crash_at: Option<(u64, Crash)>,
    random: SplitMix,
    history: History,
    next_inode: u64,
    openings: u64,
    inodes: BTreeMap<u64, Inode>,
    /// How many inodes may be there before the next sweep.
    sweep_at: usize,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        let root = Inode { node: Node::Dir(Dir::default()), ..Inode::default() };
        Self {
            random: SplitMix(seed),
            history: History::default(),
            epoch: 0,
            capacity: u64::MAX,
            syncs: 0,
            fail_sync_at: None,
            changes: 0,
            crash_at: None,
            next_inode: ROOT + 1,
            openings: 0,
            inodes: BTreeMap::from([(ROOT, root)]),
            sweep_at: SWEEP_EVERY,
        }
    }

    pub(super) fn check(&self, epoch: u64) -> io::Result<()> {
        if self.epoch != epoch {
            return Err(io::Error::other("the process that uses this disk has crashed"));
        }
        Ok(())
    }

    /// Counts a change, and crashes if its turn has come.
    pub(super) fn passed(&mut self) -> io::Result<()> {
        self.changes += 1;
        match self.crash_at {
            Some((at, crash)) if at == self.changes => {
                self.crash(crash);
                Err(io::Error::other("simulated crash"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn crash_after(&mut self, n: u64, crash: Crash) {
        self.crash_at = Some((self.changes + n, crash));
    }

    /// A digest of what happened, and of what is there.
    pub(super) fn history(&self) -> u64 {
        let mut history = self.history.clone();
        for (number, inode) in &self.inodes {
            if let Node::File(file) = &inode.node {
                history.with(*number, &file.live, &file.durable);
            }
        }
        history.digest()
    }

    pub(super) fn crash(&mut self, crash: Crash) {
        self.history.crash(crash);
        self.epoch += 1;
        self.fail_sync_at = None;
        self.crash_at = None;
        if crash == Crash::Process {
            return;
        }
        let numbers: Vec<u64> = self.inodes.keys().copied().collect();
        for number in &numbers {
            let pending = match self.inodes.get_mut(number).map(|inode| &mut inode.node) {
                Some(Node::Dir(dir)) => std::mem::take(&mut dir.pending),
                _ => continue,
            };
            for change in pending {
                if self.random.coin() {
                    self.make_durable(*number, change);
                }
            }
        }
        for number in &numbers {
            match self.inodes.get_mut(number).map(|inode| &mut inode.node) {
                Some(Node::File(file)) => file.power_cut(&mut self.random),
                Some(Node::Dir(dir)) => dir.live.clone_from(&dir.durable),
                None => {}
            }
        }
        self.sweep();
    }

    /// Counts a sync, and says whether it is to fail.
    pub(super) fn sync_fails(&mut self, inode: u64) -> bool {
        self.syncs += 1;
        let fails = self.fail_sync_at == Some(self.syncs);
        self.history.sync(inode, fails);
        fails
    }

    pub(super) fn sync_dir(&mut self, number: u64) {
        let Some(dir) = self.dir_mut(number) else { return };
        for change in std::mem::take(&mut dir.pending) {
            self.make_durable(number, change);
        }
        self.sweep_if_many();
    }

    /// A change of names reaches the platter. A rename that comes without what
    /// made its old name moves whatever has that name there.
    fn make_durable(&mut self, number: u64, change: NameChange) {
        let (name, inode) = match change {
            NameChange::Link(name, inode) => (name, Some(inode)),
            NameChange::Remove(name) => (name, None),
            NameChange::Rename { from: (dir, from), to, inode } => {
                let old = self.dir_mut(dir).and_then(|dir| dir.durable.remove(&from));
                (to, Some(old.unwrap_or(inode)))
            }
        };
        let Some(dir) = self.dir_mut(number) else { return };
        match inode {
            Some(inode) => dir.durable.insert(name, inode),
            None => dir.durable.remove(&name),
        };
    }

    pub(super) fn used(&self) -> u64 {
        let mut used = 0;
        for number in self.reachable(false) {
            used += self.live(number).len() as u64;
        }
        used
    }

    /// Numbers of all that has a name or is open; of all that a crash could
    /// bring back too, if `durable`.
    fn reachable(&self, durable: bool) -> BTreeSet<u64> {
        let open = self.inodes.iter().filter(|(_, i)| i.handles > 0).map(|(n, _)| *n);
        let mut stack: Vec<u64> = open.chain([ROOT]).collect();
        let mut found = BTreeSet::new();
        while let Some(number) = stack.pop() {
            if !found.insert(number) {
                continue;
            }
            let Some(Inode { node: Node::Dir(dir), .. }) = self.inodes.get(&number) else {
                continue;
            };
            stack.extend(dir.live.values());
            if durable {
                stack.extend(dir.durable.values());
                stack.extend(dir.pending.iter().filter_map(|change| match change {
                    NameChange::Link(_, inode) | NameChange::Rename { inode, .. } => Some(inode),
                    NameChange::Remove(_) => None,
                }));
            }
        }
        found
    }

    fn sweep(&mut self) {
        let needed = self.reachable(true);
        self.inodes.retain(|number, _| needed.contains(number));
        self.sweep_at = self.inodes.len() + SWEEP_EVERY;
    }

    fn sweep_if_many(&mut self) {
        if self.inodes.len() > self.sweep_at {
            self.sweep();
        }
    }

    fn dir(&self, number: u64) -> Option<&Dir> {
        match self.inodes.get(&number).map(|inode| &inode.node) {
            Some(Node::Dir(dir)) => Some(dir),
            _ => None,
        }
    }

    fn dir_mut(&mut self, number: u64) -> Option<&mut Dir> {
        match self.inodes.get_mut(&number).map(|inode| &mut inode.node) {
            Some(Node::Dir(dir)) => Some(dir),
            _ => None,
        }
    }

    fn file_mut(&mut self, number: u64) -> Option<&mut File> {
        match self.inodes.get_mut(&number).map(|inode| &mut inode.node) {
            Some(Node::File(file)) => Some(file),
            _ => None,
        }
    }

    /// Follows a path; relative ones begin at the root too.
    fn at(&self, path: &Path) -> io::Result<u64> {
        let mut number = ROOT;
        for part in path.components() {
            let Component::Normal(name) = part else { continue };
            let dir = self.dir(number).ok_or(io::ErrorKind::NotADirectory)?;
            number = *dir.live.get(name).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(number)
    }

    pub(super) fn dir_at(&self, path: &Path) -> io::Result<u64> {
        let number = self.at(path)?;
        self.dir(number).map(|_| number).ok_or_else(|| io::ErrorKind::NotADirectory.into())
    }

    pub(super) fn file_at(&self, path: &Path) -> io::Result<u64> {
        let number = self.at(path)?;
        match self.dir(number) {
            Some(_) => Err(io::ErrorKind::IsADirectory.into()),
            None => Ok(number),
        }
    }

    /// The folder that a path's last part is in, and that part.
    fn place(&self, path: &Path) -> io::Result<(u64, OsString)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.dir_at(path.parent().unwrap_or(Path::new("")))?, name.to_owned()))
    }

    /// A place whose name is free.
    fn free_place(&self, path: &Path) -> io::Result<(u64, OsString)> {
        let (dir, name) = self.place(path)?;
        if self.dir(dir).is_some_and(|dir| dir.live.contains_key(&name)) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok((dir, name))
    }

    fn add(&mut self, (dir, name): (u64, OsString), inode: u64) {
        self.history.name(dir, &name, Some(inode));
        self.link_in((dir, name), inode);
    }

    fn link_in(&mut self, (dir, name): (u64, OsString), inode: u64) {
        if let Some(dir) = self.dir_mut(dir) {
            dir.live.insert(name.clone(), inode);
            dir.pending.push(NameChange::Link(name, inode));
        }
    }

    fn new_inode(&mut self, node: Node) -> u64 {
        let number = self.next_inode;
        self.next_inode += 1;
        let modified = self.changes;
        self.inodes.insert(number, Inode { node, modified, ..Inode::default() });
        number
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        let place = self.free_place(path)?;
        let inode = self.new_inode(Node::Dir(Dir::default()));
        self.history.folder(inode);
        self.link_in(place, inode);
        Ok(())
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<u64> {
        let place = self.free_place(path)?;
        let inode = self.new_inode(Node::File(File::default()));
        self.add(place, inode);
        Ok(inode)
    }

    pub(super) fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.file_at(from)?;
        let place = self.free_place(to)?;
        self.add(place, inode);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.file_at(from)?;
        let (from, (dir, to)) = (self.place(from)?, self.place(to)?);
        self.history.name(from.0, &from.1, None);
        self.history.name(dir, &to, Some(inode));
        if let Some(dir) = self.dir_mut(from.0) {
            dir.live.remove(&from.1);
        }
        if let Some(dir) = self.dir_mut(dir) {
            dir.live.insert(to.clone(), inode);
            dir.pending.push(NameChange::Rename { from, to, inode });
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.file_at(path)?;
        self.unlink(path)
    }

    pub(super) fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        let number = self.dir_at(path)?;
        if self.dir(number).is_some_and(|dir| !dir.live.is_empty()) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.unlink(path)
    }

    fn unlink(&mut self, path: &Path) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        self.history.name(dir, &name, None);
        if let Some(dir) = self.dir_mut(dir) {
            dir.live.remove(&name);
            dir.pending.push(NameChange::Remove(name));
        }
        self.sweep_if_many();
        Ok(())
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let number = self.dir_at(path)?;
        let names = self.dir(number).into_iter().flat_map(|dir| dir.live.keys());
        Ok(names.filter_map(|name| name.to_str().map(str::to_owned)).collect())
    }

    pub(super) fn stat(&self, path: &Path) -> io::Result<Stat> {
        let number = self.at(path)?;
        let inode = self.inodes.get(&number).ok_or(io::ErrorKind::NotFound)?;
        let modified_ms = BEGIN_MS.saturating_add_unsigned(inode.modified);
        Ok(match &inode.node {
            Node::File(file) => Stat { is_dir: false, len: file.live.len() as u64, modified_ms },
            Node::Dir(_) => Stat { is_dir: true, len: 0, modified_ms },
        })
    }

    /// What a process reads of a file.
    pub(super) fn live(&self, number: u64) -> &[u8] {
        match self.inodes.get(&number).map(|inode| &inode.node) {
            Some(Node::File(file)) => &file.live,
            _ => &[],
        }
    }

    /// Changes a file that is `len` long then, if there is room.
    pub(super) fn write(&mut self, number: u64, len: usize, change: Change) -> io::Result<()> {
        let grows = len.saturating_sub(self.live(number).len()) as u64;
        if grows > 0 && self.capacity < u64::MAX && self.used() + grows > self.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.history.write(number, &change);
        let changes = self.changes;
        if let Some(inode) = self.inodes.get_mut(&number) {
            inode.modified = changes;
        }
        if let Some(file) = self.file_mut(number) {
            file.change(change);
        }
        Ok(())
    }

    pub(super) fn sync_file(&mut self, number: u64) {
        if let Some(file) = self.file_mut(number) {
            file.sync();
        }
    }

    /// A sync fails: pieces are written, the others never.
    pub(super) fn lose_some(&mut self, number: u64) {
        let Self { inodes, random, .. } = self;
        if let Some(Inode { node: Node::File(file), .. }) = inodes.get_mut(&number) {
            file.lose_some(random);
        }
    }

    pub(super) fn last_unsynced(&self, number: u64) -> Option<u64> {
        let Some(Inode { node: Node::File(file), .. }) = self.inodes.get(&number) else {
            return None;
        };
        file.pending.iter().rev().find_map(|change| match change {
            Change::Write { offset, .. } => Some(*offset as u64),
            Change::Len(_) => None,
        })
    }

    pub(super) fn last_name(&self, number: u64) -> Option<OsString> {
        self.dir(number)?.pending.last().map(|change| match change {
            NameChange::Link(name, _)
            | NameChange::Rename { to: name, .. }
            | NameChange::Remove(name) => name.clone(),
        })
    }

    pub(super) fn flip(&mut self, path: &Path, offset: usize) -> bool {
        let Ok(number) = self.file_at(path) else { return false };
        let Some(file) = self.file_mut(number).filter(|file| offset < file.live.len()) else {
            return false;
        };
        file.sync();
        file.live[offset] ^= 0x55;
        file.durable = file.live.clone();
        true
    }

    /// Counts an opening; its number is unique.
    pub(super) fn opened(&mut self, number: u64) -> u64 {
        self.openings += 1;
        if let Some(inode) = self.inodes.get_mut(&number) {
            inode.handles += 1;
        }
        self.openings
    }

    pub(super) fn closed(&mut self, number: u64, opening: u64) {
        if let Some(inode) = self.inodes.get_mut(&number) {
            inode.handles = inode.handles.saturating_sub(1);
            if inode.locked.is_some_and(|(_, holder)| holder == opening) {
                inode.locked = None;
            }
        }
    }

    pub(super) fn try_lock(&mut self, number: u64, opening: u64) -> bool {
        let now = self.epoch;
        let Some(inode) = self.inodes.get_mut(&number) else { return true };
        match inode.locked {
            // A process that crashed holds nothing.
            Some((epoch, holder)) if epoch == now => holder == opening,
            _ => {
                inode.locked = Some((now, opening));
                true
            }
        }
    }
}
