//! What processes have open, as far as it is read: who is new, who has other files than before, everything.

use std::io;
use std::time::Instant;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::{Holders, Process};
use crate::fds::{self, FdFolder};

/// From this number of open files on, a process is not read anew in full just
/// because the number changed.
const MANY: usize = 256;
/// File numbers tried in such a process before its folder is listed: the free
/// ones that come next, and those that were found lately.
const PROBES: usize = 16;
/// Up to this many new process ids are tried without listing all processes.
pub(super) const FEW: u32 = 64;
/// A listed folder entry costs this share of a link that is read.
const LISTED: f64 = 0.5;

impl Holders {
    /// Reads processes that were made since.
    pub(super) fn meet_new(&mut self) {
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
    pub(super) fn read_changed(&mut self, missing: &mut HashSet<u64, RandomState>, now: Instant) {
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
    pub(super) fn read_if_changed(&mut self, pid: u32) -> bool {
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
    pub(super) fn read_all(&mut self, missing: &mut HashSet<u64, RandomState>, now: Instant) -> bool {
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
}
