//! Which sockets have a five-tuple, and which process has them.
//!
//! Sockets and five-tuples stand in two arenas and know each other by their places there; two indices find them, by cookie
//! and by five-tuple. An event costs one look into each, and no allocation once there was room for as many.

mod sockets;
mod tuples;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use self::sockets::{Socket, Sockets};
use self::tuples::{Tuple, Tuples};
use super::ends::Ends;
use super::tasks::Tasks;
use super::{Event, Kind, Known, Process};
use crate::Protocol;

/// How long what has ended is remembered, in nanoseconds: flows are asked about later than they begin.
const AFTERLIFE: u64 = 30_000_000_000;
/// So long after its end, what a socket has sent may still leave, and what is left of its conversation arrive, in
/// nanoseconds: a packet waits for its neighbour's address while that is asked for three times, a second apart.
const LEAVING: u64 = 3_000_000_000;
/// By so much, the clocks of events and of packets may differ, in nanoseconds.
const BLUR: u64 = 1_000_000;
/// Changes that wait to be told; beyond, they are not.
const MAX_CHANGES: usize = 65_536;
/// Sockets and five-tuples for which there is room from the beginning: to make more has all of them read again.
const FEW: usize = 14_336;
/// No place in an arena.
const NONE: u32 = u32::MAX;

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

/// The side of a flow whose socket is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    pub(super) ends: Ends,
    /// It sent the first packet.
    pub(super) sent: bool,
    /// When that was seen, as events are stamped, if it is known.
    pub(super) begun: Option<u64>,
}

impl Side {
    /// Whether the flow began too late for a socket to have had part in it.
    ///
    /// What arrives for whoever it is from was seen before the socket got it: there is nothing to wait for.
    fn is_after(&self, ended: u64, any: bool) -> bool {
        let patience = if any && !self.sent { BLUR } else { LEAVING };
        self.begun.is_some_and(|begun| begun > ended.saturating_add(patience))
    }
}

/// The sockets that have some ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// In the own namespace.
    pub(super) here: Option<Held>,
    /// In another one, if there is one socket only.
    pub(super) away: Option<Held>,
}

/// Sockets of other namespaces.
#[derive(Clone, Copy, Debug)]
enum Away {
    One(u32),
    Several,
}

impl Away {
    /// The place of the only one.
    fn one(self) -> Option<u32> {
        match self {
            Self::One(place) => Some(place),
            Self::Several => None,
        }
    }
}

/// What was told of sockets.
#[derive(Debug, Default)]
pub(super) struct Table {
    sockets: Sockets,
    tuples: Tuples,
    tasks: Tasks,
    /// When sockets ended.
    ended: VecDeque<(u64, u64)>,
    snapshots: u32,
    /// When the latest event was.
    latest: u64,
    changes: Vec<Change>,
}

impl Table {
    /// Notes what happened to a socket.
    pub(super) fn take(&mut self, event: &Event) {
        self.latest = self.latest.max(event.at);
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
                    && socket.ended.is_none()
                {
                    socket.ended = Some(event.at);
                    self.ended.push_back((event.at, event.cookie));
                }
            }
            _ => {}
        }
    }

    /// The place of an event's socket, which is made if it is not known; `None` if there is no room, or only its end is told.
    fn socket_of(&mut self, event: &Event) -> Option<u32> {
        let known = self.sockets.find(event.cookie);
        if known.is_some() || event.kind == Kind::End || self.sockets.is_full() && !self.forget_one() {
            return known;
        }
        Some(self.sockets.insert(Socket::new(event, self.snapshots)))
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
        let Some(place) = self.tuples.place_of(ends, namespace) else { return };
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
            if let Some(socket) = self.sockets.get_mut(number) {
                for flow in flows {
                    socket.note_flow(flow);
                }
            }
        }
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

    /// Takes a five-tuple from the socket that has it, if one does.
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

    /// Ends that have another owner than was answered.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Notes that an answer about `ends` named who has `held`.
    pub(super) fn mark_answered(&mut self, held: &Held, ends: Ends) {
        let Some(tuple) = self.tuples.get_mut(held.tuple) else { return };
        if tuple.ends == ends {
            tuple.answered = true;
        } else if let Some(socket) = self.sockets.get_mut(tuple.socket) {
            socket.note_flow(ends);
        }
    }

    /// The sockets that a side of a flow may be: those of the very five-tuple first, then those that have any far end.
    pub(super) fn look(&self, home: u64, side: &Side) -> Found {
        let (here, away) = self.among(home, side, false);
        let (here_any, away_any) = self.among(home, side, true);
        let held = |place: u32| self.held_at(place);
        Found {
            here: here.or(here_any).and_then(held),
            away: away.or(away_any).and_then(Away::one).and_then(held),
        }
    }

    /// Places of a side's five-tuple, or of that with any far end, in the own namespace and in others.
    fn among(&self, home: u64, side: &Side, any: bool) -> (Option<u32>, Option<Away>) {
        let ends = if any { side.ends.of_any() } else { side.ends };
        let (mut here, mut away) = (None, None);
        for (place, tuple) in self.tuples.places(&ends) {
            let ended = self.sockets.get(tuple.socket).and_then(|socket| socket.ended);
            if ended.is_some_and(|ended| side.is_after(ended, any)) {
                continue;
            }
            if tuple.namespace == home {
                here = here.or(Some(place));
            } else {
                away = Some(away.map_or(Away::One(place), |_| Away::Several));
            }
        }
        (here, away)
    }

    fn held_at(&self, place: u32) -> Option<Held> {
        let socket = self.sockets.get(self.tuples.get(place)?.socket)?;
        let known = self.task(socket.task).is_some_and(|task| task.pid != 0);
        let Socket { cookie, task, known: how, ended, .. } = *socket;
        known.then_some(Held { cookie, task, known: how, ended: ended.is_some(), tuple: place })
    }

    /// Who has a socket, and how that is known.
    pub(super) fn owner(&self, cookie: u64) -> Option<(u32, Known)> {
        let socket = self.sockets.get(self.sockets.find(cookie)?)?;
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
        // Flows that began before it may be theirs.
        let (now, latest) = (self.latest, self.snapshots);
        for socket in self.sockets.iter_mut() {
            if socket.seen != latest && socket.ended.is_none() {
                socket.ended = Some(now);
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
        let Some(socket) = self.sockets.remove(cookie) else { return true };
        self.tasks.release(socket.task);
        let mut next = socket.first;
        while let Some(tuple) = self.tuples.get(next) {
            let after = tuple.after;
            self.tuples.remove(next);
            next = after;
        }
        true
    }
}

#[cfg(test)]
mod tests;
