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
mod reading;

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::time::Instant;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use self::index::Index;
use crate::budget::Budget;
use crate::proc::{Proc, bracketed};

/// The process that systemd is.
const INIT: u32 = 1;

/// Reads a second, about a microsecond each, and how many may be saved up.
const READS_A_SECOND: f64 = 15_000.0;
const READS_AT_ONCE: f64 = 60_000.0;
/// The same for the folders of processes with many open files: they are listed
/// only when trying the likely numbers did not help.
const LISTED_A_SECOND: f64 = 5_000.0;
const LISTED_AT_ONCE: f64 = 30_000.0;

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

    fn charge(&mut self, reads: f64) {
        self.spent += reads as u64;
        self.reads.charge(reads);
    }
}

#[cfg(test)]
mod tests;
