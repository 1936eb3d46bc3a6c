//! Which sockets have a five-tuple, and which process has them.
//!
//! Sockets and five-tuples stand in two arenas and know each other by their places there; two indices find them, by cookie
//! and by five-tuple. An event costs one look into each, and no allocation once there was room for as many.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::arena::Arena;
use super::ends::Ends;
use super::tasks::Tasks;
use super::{Event, Kind, Known, Process};
use crate::Protocol;

/// Sockets known at once; beyond, those that ended are forgotten first, then no further ones are learned.
const MAX_SOCKETS: usize = 262_144;
/// Five-tuples known at once.
const MAX_TUPLES: usize = 524_288;
/// How long what has ended is remembered, in nanoseconds: flows are asked about later than they begin.
const AFTERLIFE: u64 = 30_000_000_000;
/// Changes that wait to be told; beyond, they are not.
const MAX_CHANGES: usize = 65_536;
/// Flows of one unconnected socket that are remembered to have been answered for.
const MAX_ANSWERED: usize = 64;
/// Sockets and five-tuples for which there is room from the beginning: to make more has all of them read again.
const FEW: usize = 14_336;
/// No place in an arena.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Socket {
    cookie: u64,
    namespace: u64,
    /// Number in `tasks`.
    task: u32,
    /// The snapshot that it was last seen in or after.
    seen: u32,
    /// The latest of its five-tuples.
    first: u32,
    known: Known,
    ended: bool,
    asked: Option<Instant>,
    /// The flows for which an answer named its owner, though only its own end was told.
    answered: Vec<Ends>,
}

/// A five-tuple in a namespace.
#[derive(Debug)]
struct Tuple {
    ends: Ends,
    namespace: u64,
    /// The latest socket that has it.
    socket: u32,
    /// Its neighbours among that socket's.
    before: u32,
    after: u32,
    /// The same ends in another namespace.
    beside: u32,
    /// An answer named its owner.
    answered: bool,
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
    /// The five-tuple that was told.
    tuple: u32,
}

/// The sockets that have some ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// In the own namespace.
    pub(super) here: Option<Held>,
    /// In another one, if there is one socket only.
    pub(super) away: Option<Held>,
}

/// What was told of sockets.
#[derive(Debug, Default)]
pub(super) struct Table {
    hasher: RandomState,
    sockets: Arena<Socket>,
    by_cookie: HashTable<u32>,
    tuples: Arena<Tuple>,
    /// The first of those with the same ends.
    by_ends: HashTable<u32>,
    tasks: Tasks,
    /// When sockets ended.
    ended: VecDeque<(u64, u64)>,
    snapshots: u32,
    changes: Vec<Change>,
}

impl Table {
    pub(super) fn new() -> Self {
        let (by_cookie, by_ends) = (HashTable::with_capacity(FEW), HashTable::with_capacity(FEW));
        Self { by_cookie, by_ends, ..Self::default() }
    }

    /// Notes what happened to a socket.
    pub(super) fn take(&mut self, event: &Event) {
        self.forget_old(event.at);
        let Some(number) = self.socket_of(event) else { return };
        self.own(number, event);
        match event.kind {
            Kind::Tuple { protocol, local, remote } => {
                let ends = Ends::new(protocol, local, remote);
                self.enter(number, ends);
                // Flows of echoes have no identifier.
                if !Protocol(protocol).has_ports() && ends != ends.without_own_port() {
                    self.enter(number, ends.without_own_port());
                }
            }
            Kind::End => {
                if let Some(socket) = self.sockets.get_mut(number)
                    && !std::mem::replace(&mut socket.ended, true)
                {
                    self.ended.push_back((event.at, event.cookie));
                }
            }
            _ => {}
        }
    }

    /// The place of an event's socket, which is made if it is not known; `None` if there is no room, or only its end is told.
    fn socket_of(&mut self, event: &Event) -> Option<u32> {
        let hash = self.hasher.hash_one(event.cookie);
        if let Some(number) = self.find_cookie(hash, event.cookie) {
            return Some(number);
        }
        if event.kind == Kind::End || self.sockets.len() >= MAX_SOCKETS && !self.forget_one() {
            return None;
        }
        let number = self.sockets.insert(Socket {
            cookie: event.cookie,
            namespace: event.namespace,
            task: NONE,
            seen: self.snapshots,
            first: NONE,
            known: event.known,
            ended: false,
            asked: None,
            answered: Vec::new(),
        });
        let (sockets, hasher) = (&self.sockets, &self.hasher);
        let rehash = |number: &u32| sockets.get(*number).map_or(0, |socket| hasher.hash_one(socket.cookie));
        self.by_cookie.insert_unique(hash, number, rehash);
        Some(number)
    }

    fn find_cookie(&self, hash: u64, cookie: u64) -> Option<u32> {
        let is_it = |number: &u32| self.sockets.get(*number).is_some_and(|socket| socket.cookie == cookie);
        self.by_cookie.find(hash, is_it).copied()
    }

    /// Notes who has a socket.
    fn own(&mut self, number: u32, event: &Event) {
        let Some(socket) = self.sockets.get_mut(number) else { return };
        (socket.known, socket.seen) = (event.known, self.snapshots);
        if self.tasks.is(socket.task, &event.process) {
            return;
        }
        let task = self.tasks.take(&event.process);
        let before = std::mem::replace(&mut socket.task, task);
        if before == NONE {
            return;
        }
        self.tasks.release(before);
        let cookie = socket.cookie;
        let mut answered = socket.answered.clone();
        let mut next = socket.first;
        while let Some(tuple) = self.tuples.get(next) {
            answered.extend(tuple.answered.then_some(tuple.ends));
            next = tuple.after;
        }
        self.change(&answered, cookie, false);
    }

    fn change(&mut self, answered: &[Ends], cookie: u64, another: bool) {
        let room = MAX_CHANGES.saturating_sub(self.changes.len());
        self.changes.extend(answered.iter().take(room).map(|ends| Change { ends: *ends, cookie, another }));
    }

    /// Notes that a socket has these ends: the latest one of a namespace does.
    fn enter(&mut self, number: u32, ends: Ends) {
        let Some(Socket { namespace, cookie, .. }) = self.sockets.get(number) else { return };
        let (namespace, cookie) = (*namespace, *cookie);
        let hash = self.hasher.hash_one(ends);
        let Some(place) = self.find_in(hash, &ends, namespace) else {
            if self.tuples.len() < MAX_TUPLES {
                self.insert(number, namespace, hash, ends);
            }
            return;
        };
        let Some(tuple) = self.tuples.get(place) else { return };
        let (had, answered) = (tuple.socket, tuple.answered);
        if had == number {
            return;
        }
        self.unlink(place);
        self.link(place, number);
        if answered {
            self.change(&[ends], cookie, true);
        }
        if ends.has_any_other()
            && let Some(socket) = self.sockets.get_mut(had)
        {
            let flows = socket.answered.extract_if(.., |flow| flow.is_own_end_of(&ends)).collect::<Vec<_>>();
            self.change(&flows, cookie, true);
            for flow in flows {
                self.note_flow(number, flow);
            }
        }
    }

    fn insert(&mut self, number: u32, namespace: u64, hash: u64, ends: Ends) {
        let tuple =
            Tuple { ends, namespace, socket: NONE, before: NONE, after: NONE, beside: NONE, answered: false };
        let place = self.tuples.insert(tuple);
        let (tuples, hasher) = (&self.tuples, &self.hasher);
        let is_it = |place: &u32| tuples.get(*place).is_some_and(|tuple| tuple.ends == ends);
        let rehash = |place: &u32| tuples.get(*place).map_or(0, |tuple| hasher.hash_one(tuple.ends));
        let beside = match self.by_ends.entry(hash, is_it, rehash) {
            Entry::Occupied(mut first) => std::mem::replace(first.get_mut(), place),
            Entry::Vacant(empty) => {
                empty.insert(place);
                NONE
            }
        };
        if let Some(tuple) = self.tuples.get_mut(place) {
            tuple.beside = beside;
        }
        self.link(place, number);
    }

    /// Puts a five-tuple before a socket's others.
    fn link(&mut self, place: u32, number: u32) {
        let Some(socket) = self.sockets.get_mut(number) else { return };
        let after = std::mem::replace(&mut socket.first, place);
        if let Some(tuple) = self.tuples.get_mut(after) {
            tuple.before = place;
        }
        if let Some(tuple) = self.tuples.get_mut(place) {
            (tuple.socket, tuple.before, tuple.after) = (number, NONE, after);
        }
    }

    /// Takes a five-tuple from the socket that has it.
    fn unlink(&mut self, place: u32) {
        let Some(Tuple { socket, before, after, .. }) = self.tuples.get(place) else { return };
        let (socket, before, after) = (*socket, *before, *after);
        if let Some(tuple) = self.tuples.get_mut(after) {
            tuple.before = before;
        }
        if let Some(tuple) = self.tuples.get_mut(before) {
            tuple.after = after;
        } else if let Some(socket) = self.sockets.get_mut(socket) {
            socket.first = after;
        }
    }

    /// The place of these ends in a namespace.
    fn find_in(&self, hash: u64, ends: &Ends, namespace: u64) -> Option<u32> {
        self.places(hash, ends).find(|(_, tuple)| tuple.namespace == namespace).map(|(place, _)| place)
    }

    /// These ends, in each namespace that has them.
    fn places(&self, hash: u64, ends: &Ends) -> impl Iterator<Item = (u32, &Tuple)> {
        let is_it = |place: &u32| self.tuples.get(*place).is_some_and(|tuple| tuple.ends == *ends);
        let mut next = self.by_ends.find(hash, is_it).copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            let (place, tuple) = (next, self.tuples.get(next)?);
            next = tuple.beside;
            Some((place, tuple))
        })
    }

    /// Ends that have another owner than was answered.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Notes that an answer about `ends` named who has `held`.
    pub(super) fn mark_answered(&mut self, held: &Held, ends: Ends) {
        let Some(tuple) = self.tuples.get_mut(held.tuple) else { return };
        if tuple.ends == ends {
            tuple.answered = true;
        } else {
            let number = tuple.socket;
            self.note_flow(number, ends);
        }
    }

    fn note_flow(&mut self, number: u32, ends: Ends) {
        if let Some(socket) = self.sockets.get_mut(number)
            && socket.answered.len() < MAX_ANSWERED
            && !socket.answered.contains(&ends)
        {
            socket.answered.push(ends);
        }
    }

    /// The sockets that have these ends: the very five-tuple first, then those that have any far end.
    pub(super) fn look(&self, home: u64, ends: &Ends) -> Found {
        let any = ends.of_any();
        let exact = self.places(self.hasher.hash_one(ends), ends);
        let all = exact.chain(self.places(self.hasher.hash_one(any), &any));
        let (mut here, mut away, mut several) = (None, None, false);
        for (place, tuple) in all {
            if tuple.namespace == home {
                here = here.or(Some(place));
            } else {
                let (_, first) = *away.get_or_insert((place, tuple.socket));
                several |= first != tuple.socket;
            }
        }
        let held = |place: u32| self.held_at(place);
        Found {
            here: here.and_then(held),
            away: away.filter(|_| !several).and_then(|(place, _)| held(place)),
        }
    }

    fn held_at(&self, place: u32) -> Option<Held> {
        let socket = self.sockets.get(self.tuples.get(place)?.socket)?;
        let known = self.task(socket.task).is_some_and(|task| task.pid != 0);
        let Socket { cookie, task, known: how, ended, .. } = *socket;
        known.then_some(Held { cookie, task, known: how, ended, tuple: place })
    }

    /// Who has a socket, and how that is known.
    pub(super) fn owner(&self, cookie: u64) -> Option<(u32, Known)> {
        let socket = self.sockets.get(self.find_cookie(self.hasher.hash_one(cookie), cookie)?)?;
        Some((socket.task, socket.known))
    }

    pub(super) fn task(&self, number: u32) -> Option<&Process> {
        self.tasks.get(number)
    }

    /// Whether a socket was first asked for `patience` ago.
    pub(super) fn asked_since(&mut self, held: &Held, now: Instant, patience: Duration) -> bool {
        let number = self.tuples.get(held.tuple).map_or(NONE, |tuple| tuple.socket);
        let Some(socket) = self.sockets.get_mut(number) else { return true };
        now >= *socket.asked.get_or_insert(now) + patience
    }

    pub(super) fn begin_snapshot(&mut self) {
        self.snapshots += 1;
    }

    /// What was not seen since the snapshot began has ended.
    pub(super) fn end_snapshot(&mut self) {
        let (now, latest) = (self.ended.back().map_or(0, |(at, _)| *at), self.snapshots);
        for socket in self.sockets.iter_mut() {
            if socket.seen != latest && !socket.ended {
                socket.ended = true;
                self.ended.push_back((now, socket.cookie));
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
        let (sockets, hash) = (&self.sockets, self.hasher.hash_one(cookie));
        let is_it = |number: &u32| sockets.get(*number).is_some_and(|socket| socket.cookie == cookie);
        let Ok(found) = self.by_cookie.find_entry(hash, is_it) else { return true };
        let (number, _) = found.remove();
        let Some(socket) = self.sockets.remove(number) else { return true };
        self.tasks.release(socket.task);
        let mut next = socket.first;
        while let Some(tuple) = self.tuples.get(next) {
            let after = tuple.after;
            self.forget_tuple(next);
            next = after;
        }
        true
    }

    /// Takes a five-tuple out of the index and of the arena.
    fn forget_tuple(&mut self, place: u32) {
        let Some(Tuple { ends, beside, .. }) = self.tuples.remove(place) else { return };
        let hash = self.hasher.hash_one(ends);
        // It is not in the arena any more, so the first one may be known by its place only.
        let tuples = &self.tuples;
        let is_it = |at: &u32| *at == place || tuples.get(*at).is_some_and(|tuple| tuple.ends == ends);
        let Ok(mut first) = self.by_ends.find_entry(hash, is_it) else { return };
        if *first.get() == place {
            if beside == NONE {
                first.remove();
            } else {
                *first.get_mut() = beside;
            }
            return;
        }
        let mut at = *first.get();
        while let Some(tuple) = self.tuples.get_mut(at) {
            if tuple.beside == place {
                tuple.beside = beside;
                return;
            }
            at = tuple.beside;
        }
    }
}

#[cfg(test)]
mod tests;
