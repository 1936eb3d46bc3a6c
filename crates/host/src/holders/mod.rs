//! Which process holds a socket: inode → pid, from `/proc/*/fd`.
//!
//! Everything is read once; after that, and only as far as a caller asks: what
//! is remembered (and verified with one link) and processes that are new, then
//! processes whose number of open files changed, then all of them, the last two
//! within a budget of reads. Process events (the netlink connector) are not
//! subscribed to: the id given out last tells for a few microseconds whether
//! there is anything new, and costs nothing while nobody asks.
//!
//! Where many processes hold one socket, the one that began first is taken, but
//! not init, which hands listening sockets to services and keeps a copy: whoever
//! listens has made its workers. Of several that began in one tick of the clock
//! it is the one that none of the others has made.

mod index;

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::time::Instant;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use self::index::Index;
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
    /// Read when it shares a socket with others.
    birth: Option<Birth>,
}

/// Whose child a process is, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Birth {
    /// Ticks after boot.
    start: u64,
    parent: u32,
}

impl Birth {
    /// Of one that cannot be read.
    const UNKNOWN: Self = Self { start: u64::MAX, parent: 0 };
}

/// The open sockets of all processes, as last read.
#[derive(Debug)]
pub(crate) struct Holders {
    proc: Proc,
    processes: HashMap<u32, Process, RandomState>,
    index: Index,
    last_pid: Option<u32>,
    /// How many there were when all were listed last.
    listed: usize,
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
            index: Index::default(),
            last_pid: None,
            listed: 0,
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
            missing.retain(|inode| !self.index.has(*inode));
            match effort {
                Effort::New => {}
                Effort::Changed => self.read_changed(&mut missing, now),
                Effort::Everything => complete = self.read_all(&mut missing, now),
            }
        }
        let denied = self.processes.values().any(|process| process.denied);
        let mut outcome = |inode: &u64| match self.chosen(*inode) {
            Some((pid, _)) => Holder::Process(pid),
            None if !complete => Holder::NotFound,
            None if denied => Holder::Denied,
            None => Holder::Nobody,
        };
        inodes.iter().map(&mut outcome).collect()
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
            self.index.remove(inode, (pid, number));
        }
        None
    }

    /// The holder that counts, and the file's number.
    fn chosen(&mut self, inode: u64) -> Option<(u32, u32)> {
        let first = self.index.first(inode)?;
        if !self.index.is_shared(inode) {
            return Some(first);
        }
        let all: Vec<(u32, u32)> = self.index.holders(inode).collect();
        let births: Vec<Birth> = all.iter().map(|(pid, _)| self.birth(*pid)).collect();
        let of_another = |birth: &Birth| {
            all.iter().zip(&births).any(|((pid, _), b)| *pid == birth.parent && b.start == birth.start)
        };
        let rank = |(pid, birth): (u32, &Birth)| (pid == INIT, birth.start, of_another(birth), pid);
        let ranked = all.iter().zip(&births).min_by_key(|((pid, _), birth)| rank((*pid, birth)));
        ranked.map(|(holder, _)| *holder)
    }

    /// When a process began, and who made it: read once for each that shares a socket.
    fn birth(&mut self, pid: u32) -> Birth {
        let known = self.processes.get(&pid).and_then(|process| process.birth);
        known.unwrap_or_else(|| {
            self.charge(1.0);
            let stat = self.proc.stat(pid).ok();
            let birth = stat.map_or(Birth::UNKNOWN, |stat| Birth { start: stat.start, parent: stat.parent });
            if let Some(process) = self.processes.get_mut(&pid) {
                process.birth = Some(birth);
            }
            birth
        })
    }

    /// The holder of an accepted socket among those of its `listener`.
    pub(crate) fn find_beside(&mut self, listener: u64, inode: u64, now: Instant) -> Holder {
        let holders: Vec<u32> = self.index.holders(listener).map(|(pid, _)| pid).collect();
        for pid in holders {
            if !self.index.has(inode) && self.reads.borrow(1.0, now) {
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
            (Some(before), Some(last))
                if before < last && last - before <= FEW && self.processes.len() <= self.most() =>
            {
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

    /// So many may be known before all are listed again, to forget those that ended.
    fn most(&self) -> usize {
        2 * self.listed + FEW as usize
    }

    /// Lists all processes: reads the new ones and forgets those that ended.
    fn meet_all(&mut self) {
        let Ok(pids) = self.proc.pids() else { return };
        self.charge(pids.len() as f64 * LISTED);
        self.listed = pids.len();
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
            missing.retain(|inode| !self.index.has(*inode));
            let many = self.processes.get(&pid).map_or(0, |process| process.open.len());
            if changed && many >= MANY && !missing.is_empty() && self.lists.borrow(many as f64, now) {
                self.read_new(pid);
                missing.retain(|inode| !self.index.has(*inode));
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
            missing.retain(|inode| !self.index.has(*inode));
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
                self.charge(1.0);
                if error.kind() == io::ErrorKind::NotFound {
                    return self.forget(pid);
                }
                self.processes.entry(pid).or_default().denied =
                    error.kind() == io::ErrorKind::PermissionDenied;
                return;
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
        // The pid may be another process's by now.
        (process.count, process.denied, process.birth) = (count, denied, None);
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
            self.index.remove(before, (pid, number));
        }
        if let Some(inode) = inode.filter(|inode| *inode != 0) {
            self.index.insert(inode, (pid, number));
        }
    }

    fn forget(&mut self, pid: u32) {
        let Some(process) = self.processes.remove(&pid) else { return };
        for (number, inode) in process.open {
            self.index.remove(inode, (pid, number));
        }
    }

    fn charge(&mut self, reads: f64) {
        self.spent += reads as u64;
        self.reads.charge(reads);
    }
}

#[cfg(test)]
mod tests;
