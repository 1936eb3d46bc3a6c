//! Whoever knows the owners of flows, asked from the collector's thread.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use dissect::Timestamp;
use flow::{Collector, Question, Ticket, Translation};
use host::service::Client;

use crate::view::text::count;

/// Questions that wait to be asked. In a flood there are more: the latest are asked, since the others' sockets may be
/// gone by now.
const MAX_WAITING: usize = 16_384;

/// So often what sockets did is read at most: with every report, as they come by default or up to once a second.
const READING: Duration = Duration::from_millis(900);
/// Of the time, reading it takes one part in so many at most, from the reading on that the account began with: the kernel
/// looks at every socket, and there may be thousands that do nothing. With these, some reports are without it.
const READING_SHARE: u32 = 4000;

/// How long a report waits at most for what the kernel has told of owners, and has counted at sockets …
const CATCHING_UP: Duration = Duration::from_millis(100);
/// … and how long the last one waits for the latter.
const LAST_ACCOUNTS: Duration = Duration::from_millis(1500);

/// Sources of owners and translations; each is there or is not.
#[derive(Default)]
pub struct Attribution {
    /// Looks up sockets and processes, in a process of its own.
    pub owners: Option<Client>,
    /// The kernel's connection tracking.
    pub conntrack: Option<host::Conntrack>,
    /// The kernel tells of owners by itself, also of changes.
    told: bool,
    /// When what is counted at sockets was read last, where it is.
    read: Option<Reading>,
    /// Lost events that the user was told of.
    lost_said: u64,
    asked: Asked,
    unasked: VecDeque<(Ticket, Question)>,
    /// Translations or changes of owners had come when it was last listened.
    heard: bool,
}

/// A reading of what sockets did.
#[derive(Clone, Copy, Debug)]
struct Reading {
    begun: Instant,
    took: Duration,
}

impl Reading {
    /// Whether it is time for another one.
    fn is_old(&self) -> bool {
        self.begun.elapsed() >= READING.max(self.took * READING_SHARE)
    }
}

impl fmt::Debug for Attribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attribution").field("asked", &self.asked.open).finish_non_exhaustive()
    }
}

impl Attribution {
    /// These sources.
    ///
    /// `told`: whether the kernel tells the one who looks up owners of them.
    /// `counts`: if it also counts at sockets, when that began, which has just been read.
    pub fn new(
        owners: Option<Client>,
        told: bool,
        counts: Option<Instant>,
        conntrack: Option<host::Conntrack>,
    ) -> Self {
        let read = counts.map(|begun| Reading { begun, took: begun.elapsed() });
        Attribution { owners, conntrack, told, read, ..Self::default() }
    }

    /// Whether the kernel tells owners by itself.
    pub(crate) fn is_told(&self) -> bool {
        self.told
    }

    /// Whether there is an account at sockets.
    pub(crate) fn counts(&self) -> bool {
        self.read.is_some()
    }

    /// Tells `collector` what sockets have done by now, unless that was just told and is not the `last` time, or cannot be had
    /// in time; gives whether it was.
    pub(crate) fn tell_sockets(&mut self, collector: &mut Collector, last: bool) -> bool {
        let (Some(client), Some(read)) = (&mut self.owners, self.read) else {
            collector.lose_sockets();
            return false;
        };
        if !last && !read.is_old() {
            return false;
        }
        let begun = Instant::now();
        let asked = &mut self.asked;
        let patience = if last { LAST_ACCOUNTS } else { CATCHING_UP };
        let told = client.take_accounts(patience, |id, answer| {
            if let Some(ticket) = asked.take(id) {
                collector.answer(ticket, answer);
            }
        });
        self.read = Some(Reading { begun, took: begun.elapsed() });
        match told {
            Ok(Some(told)) => collector.tell_sockets(told),
            Ok(None) if !last => return false,
            // What was counted before is not what there is now; that he has ended is said when he is asked for owners.
            Ok(None) | Err(_) => {
                collector.lose_sockets();
                return false;
            }
        }
        true
    }

    /// How many questions have no answer yet.
    pub(crate) fn asked(&self) -> usize {
        if self.owners.is_some() { self.asked.open + self.unasked.len() } else { 0 }
    }

    /// Whether anything was told that was not asked for, when it was last listened: more may follow.
    pub(crate) fn has_heard(&self) -> bool {
        self.heard
    }

    /// Asks what `collector` wants to know, gives it the answers that have come, and what else is known by now; gives what
    /// the user is to be told.
    pub(crate) fn exchange(&mut self, collector: &mut Collector, now: Timestamp) -> Option<String> {
        self.heard = self.take_translations(collector, now);
        let questions = collector.take_questions();
        let client = self.owners.as_mut()?;
        self.unasked.extend(questions);
        self.unasked.drain(..self.unasked.len().saturating_sub(MAX_WAITING));
        while let Some((ticket, question)) = self.unasked.front() {
            let Some(id) = client.ask(question) else { break };
            self.asked.note(id, *ticket);
            self.unasked.pop_front();
        }
        self.receive(collector, now, false)
    }

    /// Has told whatever the kernel has told by now, before what a worker counted is added; gives what the user is to
    /// be told.
    pub(crate) fn catch_up(&mut self, collector: &mut Collector, now: Timestamp) -> Option<String> {
        if self.told { self.receive(collector, now, true) } else { None }
    }

    fn receive(&mut self, collector: &mut Collector, now: Timestamp, all: bool) -> Option<String> {
        let client = self.owners.as_mut()?;
        let asked = &mut self.asked;
        let each = |id, answer| {
            if let Some(ticket) = asked.take(id) {
                collector.answer(ticket, answer);
            }
        };
        let received = if all { client.catch_up(CATCHING_UP, each) } else { client.receive(each) };
        for change in client.take_changes() {
            self.heard = true;
            collector.change(&change, now);
        }
        let lost = client.lost();
        let Err(error) = received else { return self.say_lost(lost) };
        // Nobody will answer any more.
        (self.owners, self.asked, self.unasked) = (None, Asked::default(), VecDeque::new());
        Some(format!("owners are not looked up any more: the process that does has ended: {error}"))
    }

    /// What there is to say of lost events: when the first are lost, and when ten times as many are.
    fn say_lost(&mut self, lost: u64) -> Option<String> {
        if lost == 0 || lost < self.lost_said.saturating_mul(10) {
            return None;
        }
        self.lost_said = lost;
        let times = count(lost, "time", "times");
        let what = "what the kernel tells of owners had no room";
        Some(format!("warning: {times} {what}: sockets that ended meanwhile may have no owner"))
    }

    /// Gives whether there were any.
    fn take_translations(&mut self, collector: &mut Collector, now: Timestamp) -> bool {
        let Some(conntrack) = &mut self.conntrack else { return false };
        let taken = conntrack.take().unwrap_or_default();
        let any = !taken.is_empty();
        for t in taken {
            let tuple = |(src, dst): (std::net::SocketAddr, std::net::SocketAddr)| dissect::FiveTuple {
                src: dissect::Endpoint { addr: src.ip(), port: src.port() },
                dst: dissect::Endpoint { addr: dst.ip(), port: dst.port() },
                protocol: t.protocol.0,
            };
            let translation =
                Translation { original: tuple(t.original), translated: tuple(t.translated), ended: t.ended };
            collector.translate(&translation, now);
        }
        any
    }
}

/// Tickets of the questions that were asked, by the questions' numbers: those go up, and most answers come in order.
#[derive(Default)]
struct Asked {
    /// The number of the first one.
    first: u64,
    tickets: VecDeque<Option<Ticket>>,
    /// How many have no answer yet.
    open: usize,
}

impl Asked {
    fn note(&mut self, number: u64, ticket: Ticket) {
        if self.tickets.is_empty() {
            self.first = number;
        }
        self.tickets.push_back(Some(ticket));
        self.open += 1;
    }

    fn take(&mut self, number: u64) -> Option<Ticket> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let ticket = self.tickets.get_mut(at)?.take()?;
        self.open -= 1;
        while let Some(None) = self.tickets.front() {
            self.tickets.pop_front();
            self.first += 1;
        }
        Some(ticket)
    }
}
