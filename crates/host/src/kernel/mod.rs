//! Owners that the kernel tells of by itself: whose a socket is, from when it is made.
//!
//! Programs in the kernel see each socket made, used and closed, and each
//! five-tuple it has ([`Kernel`] is whoever reads what they tell). What they told
//! answers a question at once, even if the process has ended by then; what they
//! did not see is asked of sock_diag and `/proc`.
//!
//! Sockets are known by their cookie and namespaces by theirs, which are never
//! given again; processes by pid, start and the programs they have executed.

mod accounts;
mod arena;
mod cgroups;
mod clocks;
mod ends;
mod facts;
mod table;
mod tasks;

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use capture::bpf::{Event, Kind, Known, Process, Program, RoundTrip, Total};

use flow::ProcessSockets;

pub use self::clocks::Clocks;

use self::accounts::Accounts;
use self::ends::Ends;
use self::facts::Facts;
use self::table::{Held, Side, Table};
use crate::owner::OwnerReader;
use crate::{Answer, Attributed, Change, Elsewhere, End, Evidence, Owner, Protocol, Question, Reason};

/// So long it is waited for the process that uses a socket which it has not made, before who made it is told.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two snapshots after events were lost.
const HEALING: Duration = Duration::from_secs(2);
/// How often what is told is read while processes turn up that were not known, so that `/proc` is read while they live …
const SOON: Duration = Duration::from_millis(20);
/// … and otherwise while anything is told: a question has it read at once.
const LATER: Duration = Duration::from_secs(1);
/// Without any for so long, the next event wakes the reader.
const CALM: Duration = Duration::from_secs(1);

/// Whoever reads what programs in the kernel tell. No call blocks.
pub trait Kernel: std::fmt::Debug {
    /// Gives what was told since, in order.
    fn read(&mut self, each: &mut dyn FnMut(Event));

    /// Whether [`Self::as_fd`] becomes readable with the next event, once.
    fn wake_by_next(&mut self, wanted: bool);

    /// How many events were lost since it was asked last.
    fn take_lost(&mut self) -> u64;

    /// Gives the sockets that processes have; five-tuples are told anew from then on.
    ///
    /// # Errors
    /// If there is no such list.
    fn snapshot(&mut self, each: &mut dyn FnMut(Event)) -> io::Result<()>;

    /// Gives the round-trip times of open connections, then what every process's sockets did since programs were loaded.
    ///
    /// # Errors
    /// If the kernel does not count that, or cannot be asked.
    fn accounts(
        &mut self,
        round_trip: &mut dyn FnMut(RoundTrip),
        total: &mut dyn FnMut(Total),
    ) -> io::Result<()>;

    /// The clock that stamps events, and that which stamps packets.
    fn clocks(&self) -> Clocks {
        Clocks::now()
    }

    /// The cookie of the own network namespace.
    fn home(&self) -> u64;

    /// Whether first use is told of, not only who made a socket.
    fn tells_use(&self) -> bool;

    /// Whether whatever five-tuple any socket has is told of.
    fn tells_all(&self) -> bool;

    /// The root folder of the cgroups (version 2).
    fn cgroups(&self) -> Option<BorrowedFd<'_>>;

    /// Readable when much waits to be read, and as [`Self::wake_by_next`] says.
    fn as_fd(&self) -> BorrowedFd<'_>;
}

/// What was told, and whoever tells it.
#[derive(Debug)]
pub(crate) struct Told {
    kernel: Box<dyn Kernel>,
    table: Table,
    facts: Facts,
    accounts: Accounts,
    lost: u64,
    healed: Option<Instant>,
    /// Events were lost, and no snapshot was taken since.
    ill: bool,
    /// Processes of which nothing was read yet.
    unmet: Vec<Process>,
    /// When anything was told last, and when of a process that was not known.
    heard: Option<Instant>,
    met: Option<Instant>,
    /// Whether the kernel is to wake the reader by the next event.
    wake: bool,
}

/// What is known of the addresses of a question's ends.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Local {
    pub(crate) source: bool,
    pub(crate) destination: bool,
}

impl Told {
    /// Begins with the sockets that are there.
    pub(crate) fn new(kernel: Box<dyn Kernel>) -> Self {
        let facts = Facts::new(kernel.cgroups());
        let table = Table::default();
        let accounts = Accounts::default();
        let mut told = Self {
            kernel,
            table,
            facts,
            accounts,
            lost: 0,
            healed: None,
            ill: false,
            unmet: Vec::new(),
            heard: None,
            met: None,
            wake: false,
        };
        told.snapshot();
        told
    }

    pub(crate) fn kernel(&self) -> &dyn Kernel {
        &*self.kernel
    }

    /// Events that were lost so far.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Reads what was told since, and the facts of processes that are new; gives how many events there were.
    pub(crate) fn read(&mut self, reader: &mut OwnerReader, now: Instant) -> usize {
        let Self { kernel, table, facts, unmet, .. } = self;
        let mut events = 0;
        kernel.read(&mut |event| {
            events += 1;
            take(table, facts, &event, unmet);
        });
        if events > 0 {
            self.heard = Some(now);
            // If one of these was to wake, it has.
            self.wake = false;
        }
        if !self.unmet.is_empty() {
            self.met = Some(now);
        }
        // First all events are read, since what a process has executed meanwhile is among them.
        for task in self.unmet.drain(..) {
            self.facts.meet(&task, reader);
        }
        self.heal(now);
        events
    }

    /// How long nothing needs to be read; `None`: until [`Kernel::as_fd`] is readable.
    pub(crate) fn rest(&mut self, reader: &mut OwnerReader, now: Instant) -> Option<Duration> {
        let rest = self.next_reading(now);
        let wake = rest.is_none();
        if std::mem::replace(&mut self.wake, wake) != wake {
            self.kernel.wake_by_next(wake);
            // What was told before that has woken nobody.
            if wake && self.read(reader, now) > 0 {
                return self.rest(reader, now);
            }
        }
        rest
    }

    /// When what is told is read next; `None` while nothing is told.
    fn next_reading(&self, now: Instant) -> Option<Duration> {
        let lately = |at: Option<Instant>| at.is_some_and(|at| now < at + CALM);
        // A snapshot has met processes that were not read of yet.
        if lately(self.met) || !self.unmet.is_empty() {
            return Some(SOON);
        }
        (lately(self.heard) || self.ill).then_some(LATER)
    }

    /// Looks after lost events.
    fn heal(&mut self, now: Instant) {
        let lost = self.kernel.take_lost();
        self.lost += lost;
        self.ill |= lost > 0;
        if self.ill && self.healed.is_none_or(|at| now >= at + HEALING) {
            self.healed = Some(now);
            self.ill = false;
            self.snapshot();
        }
    }

    fn snapshot(&mut self) {
        let Self { kernel, table, facts, unmet, .. } = self;
        table.begin_snapshot();
        if kernel.snapshot(&mut |event| take(table, facts, &event, unmet)).is_ok() {
            table.end_snapshot();
        }
    }

    /// The answer to `question`, if enough was told. Only flows of the own namespace are asked about.
    pub(crate) fn answer(
        &mut self,
        question: &Question,
        local: Local,
        reader: &mut OwnerReader,
        now: Instant,
    ) -> Option<Answer> {
        if question.namespace.is_some() {
            return None;
        }
        let home = self.kernel.home();
        let (source, destination) = self.sides(question);
        let (from, to) = (self.table.look(home, &source), self.table.look(home, &destination));
        let (end, held, peer, elsewhere) = match (from.here, to.here) {
            (Some(held), Some(peer)) => (End::Source, held, Some(peer), Elsewhere::Nobody),
            (Some(held), None) => {
                (End::Source, held, to.away.filter(|_| !local.destination), Elsewhere::Peer)
            }
            (None, Some(held)) => {
                (End::Destination, held, from.away.filter(|_| !local.source), Elsewhere::Peer)
            }
            // Whoever has the address here is not told: what is at the other end does not stand in for it.
            (None, None) if local.source || local.destination => return None,
            (None, None) => match (from.away, to.away) {
                (Some(held), peer) => (End::Source, held, peer, Elsewhere::All),
                (None, Some(held)) => (End::Destination, held, None, Elsewhere::All),
                (None, None) => return None,
            },
        };
        let ends = match end {
            End::Source => source.ends,
            End::Destination => destination.ends,
        };
        let peer = peer.filter(|peer| peer.cookie != held.cookie);
        self.settle((end, ends), (held, peer, elsewhere), reader, now)
    }

    /// Whether every socket was told of.
    pub(crate) fn tells_all(&self) -> bool {
        self.kernel.tells_all() && self.lost == 0
    }

    /// Who began a flow from another namespace, if it was told.
    pub(crate) fn sender_elsewhere(
        &mut self,
        question: &Question,
        reader: &mut OwnerReader,
    ) -> Option<Attributed> {
        let (source, _) = self.sides(question);
        let held = self.table.look(self.kernel.home(), &source).away?;
        let owner = self.owner(held.task, reader)?;
        self.table.mark_answered(&held, source.ends);
        Some(Attributed {
            owner,
            end: End::Source,
            evidence: Evidence::Told,
            peer: None,
            elsewhere: Elsewhere::All,
        })
    }

    /// A flow's sender, and its receiver.
    fn sides(&self, question: &Question) -> (Side, Side) {
        let begun = self.kernel.clocks().event_at(question.begun);
        let side = |end, sent| {
            let (own, other) = question.known_at(end);
            Side { ends: Ends::new(question.protocol.0, own, other), sent, begun }
        };
        (side(End::Source, true), side(End::Destination, false))
    }

    /// Makes an answer of the socket at one end, and of the one at the other.
    fn settle(
        &mut self,
        (end, ends): (End, Ends),
        (held, peer, elsewhere): (Held, Option<Held>, Elsewhere),
        reader: &mut OwnerReader,
        now: Instant,
    ) -> Option<Answer> {
        let mut evidence = Evidence::Told;
        if held.known == Known::Inherited {
            if !self.kernel.tells_use() {
                return None;
            }
            if !held.ended && !self.table.asked_since(&held, now, PATIENCE) {
                return Some(Answer::None(Reason::Deferred));
            }
            evidence = Evidence::ToldListener;
        }
        let owner = self.owner(held.task, reader)?;
        self.table.mark_answered(&held, ends);
        let peer = peer.and_then(|peer| self.owner(peer.task, reader));
        Some(Answer::Owner(Attributed { owner, end, evidence, peer, elsewhere }))
    }

    /// Leaves out of accounts what was counted until now.
    pub(crate) fn begin_accounts(&mut self) -> io::Result<()> {
        self.accounts.begin(&mut *self.kernel)
    }

    /// What processes' sockets have done by now, of those that did anything since the last call.
    pub(crate) fn take_accounts(&mut self, reader: &mut OwnerReader) -> io::Result<Vec<ProcessSockets>> {
        self.accounts.take(&mut *self.kernel, &mut self.facts, reader)
    }

    /// What was answered and is otherwise now.
    pub(crate) fn take_changes(&mut self, reader: &mut OwnerReader) -> Vec<Change> {
        let mut changes = Vec::new();
        for changed in self.table.take_changes() {
            let Some((task, known)) = self.table.owner(changed.cookie) else { continue };
            let evidence = if known == Known::Inherited { Evidence::ToldListener } else { Evidence::Told };
            let Some(owner) = self.owner(task, reader) else { continue };
            let (protocol, own, other) = changed.ends.parts();
            let protocol = Protocol(protocol);
            changes.push(Change { protocol, own, other, owner, evidence, another: changed.another });
        }
        changes
    }

    fn owner(&mut self, task: u32, reader: &mut OwnerReader) -> Option<Arc<Owner>> {
        let task = self.table.task(task).filter(|task| task.pid != 0)?;
        self.facts.owner(task, reader)
    }
}

/// Notes an event; `unmet` are the processes that were not known.
fn take(table: &mut Table, facts: &mut Facts, event: &Event, unmet: &mut Vec<Process>) {
    if let Kind::Exec(program) = &event.kind {
        return facts.executed(&event.process, program);
    }
    if event.process.pid != 0 && facts.note(&event.process) {
        unmet.push(event.process);
    }
    table.take(event);
}

#[cfg(test)]
mod tests;
