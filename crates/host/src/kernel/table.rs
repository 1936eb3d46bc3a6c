//! Which sockets have a five-tuple, and which process has them.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{Event, Kind, Known, Process};
use crate::Protocol;
use crate::sockets::plain;

/// Sockets known at once; beyond, those that ended are forgotten first, then no further ones are learned.
const MAX_SOCKETS: usize = 262_144;
/// Five-tuples known at once.
const MAX_TUPLES: usize = 524_288;
/// How long what has ended is remembered, in nanoseconds: flows are asked about later than they begin.
const AFTERLIFE: u64 = 30_000_000_000;

/// Changes that wait to be told; beyond, they are not.
const MAX_CHANGES: usize = 65_536;

/// Ends of one socket that are remembered to have been answered for.
const MAX_ANSWERED: usize = 64;

/// A five-tuple, as a socket sees it; a far end of zeros stands for any.
pub(super) type Ends = (u8, SocketAddr, SocketAddr);

#[derive(Debug)]
struct Socket {
    namespace: u64,
    /// Number in `tasks`.
    task: u32,
    known: Known,
    ended: bool,
    /// The snapshot that it was last seen in or after.
    seen: u32,
    asked: Option<Instant>,
    /// The ends for which an answer named its owner.
    answered: Vec<Ends>,
    ends: Vec<Ends>,
}

/// An end that was answered for has another owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) ends: Ends,
    /// The socket that has it now.
    pub(super) cookie: u64,
    /// It is not the one that was answered for.
    pub(super) another: bool,
}

/// What is known of the socket at one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) cookie: u64,
    pub(super) task: u32,
    pub(super) known: Known,
    pub(super) ended: bool,
}

/// What was told of sockets.
#[derive(Debug, Default)]
pub(super) struct Table {
    sockets: HashMap<u64, Socket, RandomState>,
    /// By namespace; the same ends may be in several.
    ends: HashMap<Ends, Vec<(u64, u64)>, RandomState>,
    tuples: usize,
    tasks: Tasks,
    /// When sockets ended.
    ended: VecDeque<(u64, u64)>,
    snapshots: u32,
    changes: Vec<Change>,
}

/// Processes, each with a number, and how many sockets name it.
#[derive(Debug, Default)]
struct Tasks {
    numbers: HashMap<(u32, u64, u32), u32, RandomState>,
    list: Vec<(Process, u32)>,
    free: Vec<u32>,
}

impl Tasks {
    fn take(&mut self, task: Process) -> u32 {
        let key = (task.pid, task.start, task.exec);
        let Self { numbers, list, free } = self;
        let number = *numbers.entry(key).or_insert_with(|| {
            let Some(number) = free.pop() else {
                list.push((task, 0));
                return list.len() as u32 - 1;
            };
            if let Some(slot) = list.get_mut(number as usize) {
                *slot = (task, 0);
            }
            number
        });
        if let Some((_, users)) = list.get_mut(number as usize) {
            *users += 1;
        }
        number
    }

    fn release(&mut self, number: u32) {
        let Some((task, users)) = self.list.get_mut(number as usize) else { return };
        *users -= 1;
        if *users == 0 {
            self.numbers.remove(&(task.pid, task.start, task.exec));
            self.free.push(number);
        }
    }
}

impl Table {
    /// Notes what happened to a socket.
    pub(super) fn take(&mut self, event: Event) {
        self.forget_old(event.at);
        let (cookie, seen) = (event.cookie, self.snapshots);
        if event.kind == Kind::End && !self.sockets.contains_key(&cookie) {
            return;
        }
        if self.sockets.len() >= MAX_SOCKETS && !self.sockets.contains_key(&cookie) && !self.forget_one() {
            return;
        }
        let task = self.tasks.take(event.process);
        let socket = self.sockets.entry(cookie).or_insert_with(|| Socket {
            namespace: event.namespace,
            task: u32::MAX,
            known: event.known,
            ended: false,
            seen,
            asked: None,
            answered: Vec::new(),
            ends: Vec::new(),
        });
        let before = std::mem::replace(&mut socket.task, task);
        (socket.known, socket.seen) = (event.known, seen);
        if before != task {
            let changed = socket.answered.iter().map(|ends| Change { ends: *ends, cookie, another: false });
            self.changes.extend(changed.take(MAX_CHANGES.saturating_sub(self.changes.len())));
        }
        let mut replaced = Vec::new();
        match event.kind {
            Kind::Tuple { protocol, local, remote } => {
                let namespace = socket.namespace;
                let ends = (protocol, plain(local), plain(remote));
                let without = (protocol, SocketAddr::new(ends.1.ip(), 0), ends.2);
                // Flows of echoes have no identifier.
                let also = (!Protocol(protocol).has_ports() && ends != without).then_some(without);
                for ends in [Some(ends), also].into_iter().flatten() {
                    let before = enter(&mut self.ends, ends, namespace, cookie);
                    // A socket has any number of ends: they are looked through only where another one had these.
                    let is_new = match before {
                        Before::Same => false,
                        Before::Nobody => true,
                        Before::Another(_) => !socket.ends.contains(&ends),
                    };
                    if is_new && self.tuples < MAX_TUPLES {
                        socket.ends.push(ends);
                        self.tuples += 1;
                    }
                    if let Before::Another(before) = before {
                        replaced.push(before);
                    }
                }
            }
            Kind::End if !socket.ended => {
                socket.ended = true;
                self.ended.push_back((event.at, cookie));
            }
            _ => {}
        }
        if before != u32::MAX {
            self.tasks.release(before);
        }
        for before in replaced {
            let Some(socket) = self.sockets.get_mut(&before) else { continue };
            for ends in std::mem::take(&mut socket.answered) {
                if self.changes.len() < MAX_CHANGES {
                    self.changes.push(Change { ends, cookie, another: true });
                }
                self.mark_answered(cookie, ends);
            }
        }
    }

    /// Ends that have another owner than was answered.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    pub(super) fn mark_answered(&mut self, cookie: u64, ends: Ends) {
        if let Some(socket) = self.sockets.get_mut(&cookie)
            && socket.answered.len() < MAX_ANSWERED
            && !socket.answered.contains(&ends)
        {
            socket.answered.push(ends);
        }
    }

    /// The socket in `namespace` that has these ends.
    pub(super) fn find(
        &self,
        namespace: u64,
        protocol: u8,
        own: SocketAddr,
        other: SocketAddr,
    ) -> Option<Held> {
        let mut places = self.places(protocol, own, other);
        let (_, cookie) = places.find(|(place, _)| *place == namespace)?;
        self.held(*cookie)
    }

    /// The one in another namespace, if there is one only.
    pub(super) fn find_elsewhere(
        &self,
        home: u64,
        protocol: u8,
        own: SocketAddr,
        other: SocketAddr,
    ) -> Option<Held> {
        let mut others = self.places(protocol, own, other).filter(|(place, _)| *place != home);
        let (_, cookie) = others.next()?;
        others.all(|(_, other)| other == cookie).then(|| self.held(*cookie))?
    }

    /// Namespaces and sockets that have these ends: the very five-tuple first, then those that have any far end.
    fn places(&self, protocol: u8, own: SocketAddr, other: SocketAddr) -> impl Iterator<Item = &(u64, u64)> {
        let exact = self.ends.get(&(protocol, own, other));
        let any = self.ends.get(&(protocol, own, any_of(own)));
        exact.into_iter().chain(any).flatten()
    }

    pub(super) fn held(&self, cookie: u64) -> Option<Held> {
        let socket = self.sockets.get(&cookie)?;
        let known = self.task(socket.task).is_some_and(|task| task.pid != 0);
        known.then_some(Held { cookie, task: socket.task, known: socket.known, ended: socket.ended })
    }

    pub(super) fn task(&self, number: u32) -> Option<&Process> {
        self.tasks.list.get(number as usize).map(|(task, _)| task)
    }

    /// Whether a socket was first asked for `patience` ago.
    pub(super) fn asked_since(&mut self, cookie: u64, now: Instant, patience: Duration) -> bool {
        let Some(socket) = self.sockets.get_mut(&cookie) else { return true };
        now >= *socket.asked.get_or_insert(now) + patience
    }

    pub(super) fn begin_snapshot(&mut self) {
        self.snapshots += 1;
    }

    /// What was not seen since the snapshot began has ended.
    pub(super) fn end_snapshot(&mut self) {
        let (now, latest) = (self.ended.back().map_or(0, |(at, _)| *at), self.snapshots);
        for (cookie, socket) in &mut self.sockets {
            if socket.seen != latest && !socket.ended {
                socket.ended = true;
                self.ended.push_back((now, *cookie));
            }
        }
    }

    fn forget_old(&mut self, now: u64) {
        while let Some((at, _)) = self.ended.front()
            && at + AFTERLIFE < now
        {
            self.forget_one();
        }
    }

    /// Forgets the socket that ended first; false if none has.
    fn forget_one(&mut self) -> bool {
        let Some((_, cookie)) = self.ended.pop_front() else { return false };
        let Some(socket) = self.sockets.remove(&cookie) else { return true };
        self.tasks.release(socket.task);
        self.tuples -= socket.ends.len();
        for ends in socket.ends {
            let Some(places) = self.ends.get_mut(&ends) else { continue };
            places.retain(|(_, other)| *other != cookie);
            if places.is_empty() {
                self.ends.remove(&ends);
            }
        }
        true
    }
}

/// The far end that stands for any, of the same family as `own`.
fn any_of(own: SocketAddr) -> SocketAddr {
    let ip = match own {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(ip, 0)
}

/// Who had the ends that a socket has now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// The same socket.
    Same,
    /// No socket of that namespace.
    Nobody,
    /// The socket with this cookie.
    Another(u64),
}

/// The latest socket of a namespace has the ends.
fn enter(
    map: &mut HashMap<Ends, Vec<(u64, u64)>, RandomState>,
    ends: Ends,
    namespace: u64,
    cookie: u64,
) -> Before {
    let places = map.entry(ends).or_default();
    let Some((_, had)) = places.iter_mut().find(|(place, _)| *place == namespace) else {
        places.push((namespace, cookie));
        return Before::Nobody;
    };
    match std::mem::replace(had, cookie) {
        before if before == cookie => Before::Same,
        before => Before::Another(before),
    }
}
