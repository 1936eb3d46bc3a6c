//! What is known of a process: all that `/proc` says while it lives, else what the kernel told.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::cgroups::{Cgroups, Folder};
use super::{Process, Program};
use crate::owner::OwnerReader;
use crate::proc::words;
use crate::{Owner, Placement};

/// Nanoseconds in a tick of `/proc` (`USER_HZ`, which is 100 for every program).
const TICK: u64 = 10_000_000;
/// Processes known at once; beyond, the oldest are forgotten.
const MAX_PROCESSES: usize = 32_768;

/// A process that has executed a number of programs.
pub(super) type Key = (u32, u64, u32);

#[derive(Debug, Default)]
struct Met {
    /// What it has executed, or inherited.
    program: Option<Arc<Program>>,
    owner: Option<Arc<Owner>>,
    /// Where it stands, of one that has executed another program before it was read.
    placement: Option<Placement>,
}

/// Facts of processes.
#[derive(Debug)]
pub(super) struct Facts {
    processes: HashMap<Key, Met, RandomState>,
    /// The number of programs that each process has executed by now.
    latest: HashMap<(u32, u64), u32, RandomState>,
    order: VecDeque<Key>,
    /// The one noted last: what is told mostly is of the same process.
    last: Option<Key>,
    cgroups: Cgroups,
}

impl Facts {
    pub(super) fn new(cgroups: Option<BorrowedFd<'_>>) -> Self {
        Self {
            processes: HashMap::default(),
            latest: HashMap::default(),
            order: VecDeque::new(),
            last: None,
            cgroups: Cgroups::new(cgroups),
        }
    }

    /// Notes what a process has executed.
    pub(super) fn executed(&mut self, task: &Process, program: &Program) {
        self.note(task);
        self.latest.insert((task.pid, task.start), task.exec);
        if let Some(process) = self.processes.get_mut(&key(task)) {
            process.program = Some(Arc::new(program.clone()));
        }
    }

    /// Notes that there is a process; gives whether that is new.
    pub(super) fn note(&mut self, task: &Process) -> bool {
        if self.last == Some(key(task)) {
            return false;
        }
        self.last = Some(key(task));
        if self.processes.contains_key(&key(task)) {
            return false;
        }
        // What a process has executed, those that it forks have, too.
        let parents = || self.order.iter().rev().take(64).find(|k| k.0 == task.parent && k.2 == task.exec);
        let program = parents().and_then(|parent| self.processes.get(parent)?.program.clone());
        self.processes.insert(key(task), Met { program, ..Met::default() });
        self.order.push_back(key(task));
        if self.order.len() > MAX_PROCESSES
            && let Some(oldest) = self.order.pop_front()
        {
            self.processes.remove(&oldest);
            if self.latest.get(&(oldest.0, oldest.1)) == Some(&oldest.2) {
                self.latest.remove(&(oldest.0, oldest.1));
            }
        }
        true
    }

    /// Reads what `/proc` says of a process that is new.
    pub(super) fn meet(&mut self, task: &Process, reader: &mut OwnerReader) {
        let (owner, placement) = match self.read_proc(task, reader) {
            Ok(owner) => (Some(Arc::new(owner)), None),
            Err(now) => (None, placement(task, now, reader)),
        };
        if let Some(process) = self.processes.get_mut(&key(task)) {
            (process.owner, process.placement) = (owner, placement);
        }
        // By the time that somebody asks, the folder may be gone.
        self.cgroups.folder(task.cgroup, Instant::now());
    }

    /// All that is known of a process.
    pub(super) fn owner(&mut self, task: &Process, reader: &mut OwnerReader) -> Option<Arc<Owner>> {
        let known = self.processes.get(&key(task)).and_then(|process| process.owner.clone());
        // Where only a number was told, it may be another's by now.
        if known.is_some() && task.start != 0 {
            return known;
        }
        self.note(task);
        let read = match self.read_proc(task, reader) {
            Ok(owner) => Some((owner, true)),
            Err(now) => self.as_told(task, now, reader),
        };
        let Some((owner, is_whole)) = read else { return known };
        let owner = Arc::new(owner);
        if let Some(process) = self.processes.get_mut(&key(task)).filter(|_| is_whole) {
            process.owner = Some(Arc::clone(&owner));
        }
        Some(owner)
    }

    /// What `/proc` says, if this is the same process and still runs the same program.
    fn read_proc(&self, task: &Process, reader: &mut OwnerReader) -> Result<Owner, Now> {
        if self.latest.get(&(task.pid, task.start)).is_some_and(|latest| *latest != task.exec) {
            return Err(Now::RunsAnother);
        }
        let mut owner = reader.read(task.pid).map_err(|_| Now::Ended)?;
        if task.start != 0 && owner.start != task.start / TICK {
            return Err(Now::Ended);
        }
        if owner.executable.is_none() {
            owner.executable = self.program(task).map(|program| program.path.clone());
        }
        if owner.command_line.is_empty()
            && let Some(program) = self.program(task)
        {
            owner.command_line = words(&program.arguments);
        }
        Ok(owner)
    }

    /// What the kernel told, and whether that is all there ever will be; nothing if that was only a number.
    fn as_told(&mut self, task: &Process, now: Now, reader: &mut OwnerReader) -> Option<(Owner, bool)> {
        if task.name.is_empty() {
            return None;
        }
        let before = self.processes.get(&key(task)).and_then(|process| process.placement.clone());
        let (placement, is_whole) = match before.or_else(|| placement(task, now, reader)) {
            Some(placement) => (placement, true),
            None => match self.cgroups.folder(task.cgroup, Instant::now()) {
                Folder::At(path) => (Placement::parse(&format!("0::{path}")), true),
                Folder::Gone => (Placement::default(), true),
                Folder::Unread => (Placement::default(), false),
            },
        };
        Some((reader.of_ended(task, task.start / TICK, self.program(task), placement), is_whole))
    }

    fn program(&self, task: &Process) -> Option<&Program> {
        self.processes.get(&key(task))?.program.as_deref()
    }
}

/// Why `/proc` does not say what a process is that was told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Now {
    /// It has executed another program since, and may go on.
    RunsAnother,
    Ended,
}

/// Where a process stands that has not ended: which program it runs does not matter.
fn placement(task: &Process, now: Now, reader: &OwnerReader) -> Option<Placement> {
    if now == Now::Ended {
        return None;
    }
    let text = reader.proc.cgroup(task.pid)?;
    let is_it = reader.proc.stat(task.pid).is_ok_and(|stat| stat.start == task.start / TICK);
    is_it.then(|| Placement::parse(&text))
}

pub(super) fn key(task: &Process) -> Key {
    (task.pid, task.start, task.exec)
}
