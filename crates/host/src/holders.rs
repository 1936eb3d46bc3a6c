//! Which process holds a socket: inode → pid, from `/proc/*/fd`.
//!
//! Everything is read once; after that, and only as far as a caller asks: what
//! is remembered (and verified with one link) and processes that are new, then
//! processes whose number of open files changed, then all of them, the last two
//! within a budget of reads. Process events (the netlink connector) are not
//! subscribed to: the id given out last tells for a few microseconds whether
//! there is anything new, and costs nothing while nobody asks. Where many processes hold one socket, the
//! smallest pid is taken, but not that of init, which hands listening sockets
//! to services and keeps a copy.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::time::Instant;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use crate::budget::Budget;
use crate::fds::{self, FdFolder};
use crate::proc::{Proc, bracketed};

/// From this number of open files on, a process is not read anew in full just
/// because the number changed.
const MANY: usize = 256;
/// File numbers tried in such a process before its folder is listed: the free
/// ones that come next, and those that were found lately.
const PROBES: usize = 16;
/// Up to this many new process ids are tried without listing all processes.
const FEW: u32 = 64;
/// The process that systemd is.
const INIT: u32 = 1;

/// Reads a second, about a microsecond each, and how many may be saved up.
const READS_A_SECOND: f64 = 15_000.0;
const READS_AT_ONCE: f64 = 60_000.0;
/// The same for the folders of processes with many open files: they are listed
/// only when trying the likely numbers did not help.
const LISTED_A_SECOND: f64 = 5_000.0;
const LISTED_AT_ONCE: f64 = 30_000.0;
/// A listed folder entry costs this share of a link that is read.
const LISTED: f64 = 0.5;

/// How far a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// What is remembered, and processes that are new.
    New,
    /// Also those whose number of open files changed.
    Changed,
    /// Every process in full.
    Everything,
}

/// Who holds a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    /// This process.
    Process(u32),
    /// No process that could be read, and all were.
    Nobody,
    /// Perhaps one of those that could not be read.
    Denied,
    /// The search was cut short by the budget or by the effort asked for.
    NotFound,
}

#[derive(Debug, Default)]
struct Process {
    /// Inode by file number; 0 where it is no socket.
    open: BTreeMap<u32, u64>,
    /// The kernel's number of open files when it was read.
    count: Option<u64>,
    denied: bool,
    recent: VecDeque<u32>,
    /// When it was made or last found to hold something new: the latest are tried
    /// first.
    touched: u64,
}

/// The open sockets of all processes, as last read.
#[derive(Debug)]
pub(crate) struct Holders {
    proc: Proc,
    processes: HashMap<u32, Process, RandomState>,
    /// One holder of each socket, with the file's number.
    by_inode: HashMap<u64, (u32, u32), RandomState>,
    /// Further holders, where there are several.
    shared: HashMap<u64, Vec<(u32, u32)>, RandomState>,
    last_pid: Option<u32>,
    ticks: u64,
    reads: Budget,
    lists: Budget,
    spent: u64,
}

impl Holders {
    /// Reads every process; the budget counts from here on.
    pub(crate) fn new(proc: Proc) -> Self {
        let mut holders = Self {
            proc,
            processes: HashMap::default(),
            by_inode: HashMap::default(),
            shared: HashMap::default(),
            last_pid: None,
            ticks: 0,
            reads: Budget::new(READS_AT_ONCE, READS_A_SECOND),
            lists: Budget::new(LISTED_AT_ONCE, LISTED_A_SECOND),
            spent: 0,
        };
        holders.meet_new();
        holders.reads = Budget::new(READS_AT_ONCE, READS_A_SECOND);
        holders
    }

    /// Entries and links read so far.
    pub(crate) fn spent(&self) -> u64 {
        self.spent
    }

    /// The holder of each of `inodes`.
    pub(crate) fn find(&mut self, inodes: &[u64], effort: Effort, now: Instant) -> Vec<Holder> {
        let mut missing: HashSet<u64, RandomState> = inodes.iter().copied().collect();
        missing.retain(|inode| self.remembered(*inode).is_none());
        let mut complete = false;
        if !missing.is_empty() && self.reads.borrow(1.0, now) {
            self.meet_new();
            missing.retain(|inode| !self.by_inode.contains_key(inode));
            match effort {
                Effort::New => {}
                Effort::Changed => self.read_changed(&mut missing, now),
                Effort::Everything => complete = self.read_all(&mut missing, now),
            }
        }
        let denied = self.processes.values().any(|process| process.denied);
        let outcome = |inode: &u64| match self.chosen(*inode) {
            Some((pid, _)) => Holder::Process(pid),
            None if !complete => Holder::NotFound,
            None if denied => Holder::Denied,
            None => Holder::Nobody,
        };
        inodes.iter().map(outcome).collect()
    }

    /// A holder that is remembered and still holds it.
    fn remembered(&mut self, inode: u64) -> Option<u32> {
        while let Some((pid, number)) = self.chosen(inode) {
            self.charge(1.0);
            let link = fs::read_link(self.proc.path(pid, &format!("fd/{number}")));
            let socket =
                link.ok().and_then(|link| bracketed(link.as_os_str().as_encoded_bytes(), b"socket:["));
            if socket == Some(inode) {
                return Some(pid);
            }
            if let Some(process) = self.processes.get_mut(&pid) {
                process.open.remove(&number);
            }
            self.release(inode, pid, number);
        }
        None
    }

    /// Of several holders, the one with the smallest pid but init's.
    fn chosen(&self, inode: u64) -> Option<(u32, u32)> {
        let first = *self.by_inode.get(&inode)?;
        let others = self.shared.get(&inode).into_iter().flatten().copied();
        others.chain([first]).min_by_key(|(pid, _)| (*pid == INIT, *pid))
    }

    /// The holder of an accepted socket among those of its `listener`.
    pub(crate) fn find_beside(&mut self, listener: u64, inode: u64, now: Instant) -> Holder {
        let first = self.by_inode.get(&listener).into_iter();
        let others = self.shared.get(&listener).into_iter().flatten();
        let holders: Vec<u32> = first.chain(others).map(|(pid, _)| *pid).collect();
        for pid in holders {
            if !self.by_inode.contains_key(&inode) && self.reads.borrow(1.0, now) {
                self.read_if_changed(pid);
            }
        }
        self.chosen(inode).map_or(Holder::NotFound, |(pid, _)| Holder::Process(pid))
    }

    /// Reads processes that were made since.
    fn meet_new(&mut self) {
        let last_pid = self.proc.last_pid();
        if last_pid.is_some() && last_pid == self.last_pid {
            return;
        }
        match (self.last_pid, last_pid) {
            // Ids are given out in order: a few are tried by themselves.
            (Some(before), Some(last)) if before < last && last - before <= FEW => {
                for pid in before + 1..=last {
                    self.charge(1.0);
                    if !self.processes.contains_key(&pid) && self.proc.is_process(pid) {
                        self.read_full(pid);
                    }
                }
            }
            _ => self.meet_all(),
        }
        self.last_pid = last_pid;
    }

    /// Lists all processes: reads the new ones and forgets those that ended.
    fn meet_all(&mut self) {
        let Ok(pids) = self.proc.pids() else { return };
        self.charge(pids.len() as f64 * LISTED);
        let alive: HashSet<u32, RandomState> = pids.iter().copied().collect();
        let ended: Vec<u32> = self.processes.keys().filter(|pid| !alive.contains(*pid)).copied().collect();
        for pid in ended {
            self.forget(pid);
        }
        for pid in pids {
            if !self.processes.contains_key(&pid) {
                self.read_full(pid);
            }
        }
    }

    /// Reads the processes whose number of open files is not what it was.
    fn read_changed(&mut self, missing: &mut HashSet<u64, RandomState>, now: Instant) {
        let mut pids: Vec<(u64, u32)> = self.processes.iter().map(|(pid, p)| (p.touched, *pid)).collect();
        pids.sort_unstable_by(|a, b| b.cmp(a));
        for (_, pid) in pids {
            if missing.is_empty() || !self.reads.borrow(1.0, now) {
                return;
            }
            let changed = self.read_if_changed(pid);
            missing.retain(|inode| !self.by_inode.contains_key(inode));
            let many = self.processes.get(&pid).map_or(0, |process| process.open.len());
            if changed && many >= MANY && !missing.is_empty() && self.lists.borrow(many as f64, now) {
                self.read_new(pid);
                missing.retain(|inode| !self.by_inode.contains_key(inode));
            }
        }
    }

    /// Reads a process whose number of open files is not what it was: in full,
    /// or the likely numbers if there are many.
    ///
    /// Where the kernel does not tell the number, every process counts as changed.
    fn read_if_changed(&mut self, pid: u32) -> bool {
        let count = fds::count(&self.proc.path(pid, "fd"));
        let Some(process) = self.processes.get_mut(&pid) else { return false };
        let changed = count.is_none() || count != process.count;
        if changed && process.open.len() < MANY {
            self.read_full(pid);
        } else if changed {
            process.count = count;
            self.probe(pid);
        }
        changed
    }

    /// Reads everything, small processes first; false if the budget ended it.
    fn read_all(&mut self, missing: &mut HashSet<u64, RandomState>, now: Instant) -> bool {
        let mut pids: Vec<(usize, u32)> =
            self.processes.iter().map(|(pid, p)| (p.open.len(), *pid)).collect();
        pids.sort_unstable();
        for (_, pid) in pids {
            if missing.is_empty() {
                return true;
            }
            if !self.reads.borrow(1.0, now) {
                return false;
            }
            self.read_full(pid);
            missing.retain(|inode| !self.by_inode.contains_key(inode));
        }
        true
    }

    /// Tries the file numbers that a large process is likely to have given out.
    fn probe(&mut self, pid: u32) {
        let Ok(folder) = FdFolder::open(&self.proc.path(pid, "fd")) else { return };
        let Some(process) = self.processes.get(&pid) else { return };
        let mut free = Vec::with_capacity(PROBES);
        let mut expected = 0;
        for number in process.open.keys() {
            free.extend((expected..*number).take(PROBES - free.len()));
            expected = number + 1;
        }
        free.extend((expected..).take(PROBES - free.len()));
        let numbers: Vec<u32> = free.iter().chain(&process.recent).copied().collect();
        self.charge(numbers.len() as f64);
        for number in numbers {
            match folder.socket(number) {
                Ok(None) => {}
                Ok(inode) => self.set(pid, number, inode),
                Err(_) => return self.deny(pid),
            }
        }
    }

    /// Lists the open files of a process and reads those whose number is new.
    fn read_new(&mut self, pid: u32) {
        self.read(pid, |process, number| !process.open.contains_key(&number));
    }

    /// Reads all open files of a process.
    fn read_full(&mut self, pid: u32) {
        self.read(pid, |_, _| true);
    }

    fn read(&mut self, pid: u32, wanted: impl Fn(&Process, u32) -> bool) {
        let path = self.proc.path(pid, "fd");
        let folder = match FdFolder::open(&path) {
            Ok(folder) => folder,
            Err(error) => {
                self.processes.entry(pid).or_default().denied =
                    error.kind() == io::ErrorKind::PermissionDenied;
                return self.charge(1.0);
            }
        };
        let mut numbers = Vec::new();
        let count = folder.count();
        // Some kernels check again at this point.
        let denied = folder.list(|number| numbers.push(number)).is_err();
        let ticks = &mut self.ticks;
        let process = self.processes.entry(pid).or_insert_with(|| {
            *ticks += 1;
            Process { touched: *ticks, ..Process::default() }
        });
        (process.count, process.denied) = (count, denied);
        let open: HashSet<u32, RandomState> = numbers.iter().copied().collect();
        let closed: Vec<u32> =
            process.open.keys().filter(|number| !open.contains(*number)).copied().collect();
        let read: Vec<u32> = numbers.iter().copied().filter(|number| wanted(process, *number)).collect();
        self.charge(1.0 + numbers.len() as f64 * LISTED + read.len() as f64);
        for number in closed {
            self.set(pid, number, None);
        }
        for number in read {
            match folder.socket(number) {
                Ok(inode) => self.set(pid, number, Some(inode.unwrap_or(0))),
                Err(_) => return self.deny(pid),
            }
        }
    }

    /// Notes that what a process holds is not known.
    fn deny(&mut self, pid: u32) {
        self.processes.entry(pid).or_default().denied = true;
    }

    /// Notes what a file number is now: a socket, something else (0), or closed.
    fn set(&mut self, pid: u32, number: u32, inode: Option<u64>) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let before = match inode {
            Some(inode) => process.open.insert(number, inode),
            None => process.open.remove(&number),
        };
        if before == inode {
            return;
        }
        if inode.is_some_and(|inode| inode != 0) && process.open.len() >= MANY {
            process.recent.retain(|recent| *recent != number);
            process.recent.push_front(number);
            process.recent.truncate(PROBES);
        }
        if inode.is_some_and(|inode| inode != 0) {
            self.ticks += 1;
            process.touched = self.ticks;
        }
        if let Some(before) = before {
            self.release(before, pid, number);
        }
        if let Some(inode) = inode.filter(|inode| *inode != 0) {
            let first = *self.by_inode.entry(inode).or_insert((pid, number));
            if first != (pid, number) {
                self.shared.entry(inode).or_default().push((pid, number));
            }
        }
    }

    /// Forgets that a process holds a socket.
    fn release(&mut self, inode: u64, pid: u32, number: u32) {
        let others = self.shared.get_mut(&inode);
        if self.by_inode.get(&inode) == Some(&(pid, number)) {
            match others.and_then(Vec::pop) {
                Some(other) => drop(self.by_inode.insert(inode, other)),
                None => drop(self.by_inode.remove(&inode)),
            }
        } else if let Some(others) = others {
            others.retain(|other| *other != (pid, number));
        }
        if self.shared.get(&inode).is_some_and(Vec::is_empty) {
            self.shared.remove(&inode);
        }
    }

    fn forget(&mut self, pid: u32) {
        let Some(process) = self.processes.remove(&pid) else { return };
        for (number, inode) in process.open {
            self.release(inode, pid, number);
        }
    }

    fn charge(&mut self, reads: f64) {
        self.spent += reads as u64;
        self.reads.charge(reads);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::time::Duration;

    use super::*;

    /// A tree in which processes hold the given sockets, from file 3 on.
    fn tree(processes: &[(u32, &[u64])]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (pid, inodes) in processes {
            add(root.path(), *pid, inodes);
        }
        made(root.path(), 1);
        root
    }

    fn add(root: &Path, pid: u32, inodes: &[u64]) {
        let folder = root.join(pid.to_string()).join("fd");
        fs::create_dir_all(&folder).unwrap();
        for (number, inode) in inodes.iter().enumerate() {
            symlink(format!("socket:[{inode}]"), folder.join((number + 3).to_string())).unwrap();
        }
    }

    /// Says that a process was made.
    fn made(root: &Path, last_pid: u32) {
        fs::write(root.join("loadavg"), format!("0 0 0 1/1 {last_pid}\n")).unwrap();
    }

    fn find(holders: &mut Holders, inodes: &[u64], effort: Effort) -> Vec<Holder> {
        holders.find(inodes, effort, Instant::now())
    }

    #[test]
    fn of_several_holders_the_smallest_pid_but_init() {
        let root = tree(&[(1, &[10, 11]), (700, &[10, 12]), (500, &[10, 12])]);
        let mut holders = Holders::new(Proc::new(root.path()));
        let found = find(&mut holders, &[10, 11, 12, 13], Effort::Changed);
        let process = Holder::Process;
        assert_eq!(found, [process(500), process(1), process(500), Holder::NotFound]);
        assert_eq!(find(&mut holders, &[13], Effort::Everything), [Holder::Nobody]);
        fs::remove_dir_all(root.path().join("500")).unwrap();
        made(root.path(), 2);
        assert_eq!(find(&mut holders, &[99, 10], Effort::Changed), [Holder::NotFound, process(700)]);
    }

    #[test]
    fn a_new_process_is_read_when_one_was_made() {
        let root = tree(&[(500, &[10])]);
        let mut holders = Holders::new(Proc::new(root.path()));
        add(root.path(), 501, &[20]);
        assert_eq!(find(&mut holders, &[20], Effort::Changed), [Holder::NotFound], "none was made");
        made(root.path(), 501);
        assert_eq!(find(&mut holders, &[20], Effort::Changed), [Holder::Process(501)]);
    }

    #[test]
    fn a_file_number_used_again_is_verified() {
        let root = tree(&[(500, &[10, 11])]);
        let mut holders = Holders::new(Proc::new(root.path()));
        let link = root.path().join("500/fd/3");
        fs::remove_file(&link).unwrap();
        symlink("socket:[30]", &link).unwrap();
        assert_eq!(find(&mut holders, &[10], Effort::Everything), [Holder::Nobody]);
        assert_eq!(find(&mut holders, &[30, 11], Effort::Everything), [Holder::Process(500); 2]);
    }

    #[test]
    fn the_budget_bounds_what_is_read() {
        let many: Vec<u64> = (1000..1400).collect();
        let root = tree(&[(500, &many), (501, &[7])]);
        let mut holders = Holders::new(Proc::new(root.path()));
        let now = Instant::now();
        let before = holders.spent();
        for _ in 0..1000 {
            holders.find(&[9], Effort::Everything, now);
        }
        let spent = (holders.spent() - before) as f64;
        assert!(spent < READS_AT_ONCE + 2000.0, "{spent}");
        assert_eq!(holders.find(&[9], Effort::Everything, now), [Holder::NotFound]);
        let later = now + Duration::from_secs(10);
        assert_eq!(holders.find(&[9], Effort::Everything, later), [Holder::Nobody]);
    }
}
