//! Which way the kernel is asked for sockets: one by one, for all of one local port, or for all there are.
//!
//! One question takes the kernel a few microseconds, however many sockets there are. Where many questions of one protocol
//! wait, one dump answers all of them: of the sockets at one port, when they are about one server, or of all. What a dump
//! takes depends on the machine (its hash tables, its sockets), so it is learned from the dumps before, and the cheapest
//! way is taken.

use std::io;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::budget::Budget;
use crate::diag::{Diag, Lookup};
use crate::sockets::{Socket, SocketTable, Taker};
use crate::{Costs, Protocol};

/// Questions asked one by one: a second, and how many may be saved up.
const SINGLES_A_SECOND: f64 = 4000.0;
const SINGLES_AT_ONCE: f64 = 8000.0;
/// The same for dumps of everything, which may be long.
const DUMPS_A_SECOND: f64 = 1.0;
const DUMPS_AT_ONCE: f64 = 2.0;
/// Of fewer questions, none is worth a dump.
const LEAST: usize = 64;
/// So long a dump tells who serves a port, if it showed nobody there that serves one peer only. Flows are asked about when
/// they are some time old themselves.
const TRUSTED: Duration = Duration::from_secs(1);
/// Ports of which that is remembered.
const MAX_SERVED: usize = 64;

/// What a lookup gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Socket(Socket),
    Nothing,
    /// Not asked: the rate limit was reached.
    Unasked,
}

/// What one way of asking takes, in seconds.
#[derive(Debug, Clone, Copy)]
struct Price(f64);

impl Price {
    fn learn(&mut self, taken: Duration) {
        self.0 = 0.5 * (self.0 + taken.as_secs_f64());
    }

    /// Not paid once more: so many sockets as there were then may be gone by now.
    fn fade(&mut self) {
        self.0 *= 0.95;
    }
}

/// What dumps take.
#[derive(Debug, Clone, Copy)]
struct Dumps {
    /// Of the sockets at one local port.
    of_port: Price,
    /// Of all of a protocol.
    of_all: Price,
}

impl Default for Dumps {
    fn default() -> Self {
        // What 20,000 sockets and tables for 250,000 take; the first dump tells better.
        Self { of_port: Price(0.001), of_all: Price(0.003) }
    }
}

/// A sock_diag socket, with what asking it takes and what may be asked yet.
#[derive(Debug)]
pub(crate) struct Asking {
    diag: Diag,
    singles: Budget,
    dumps: Budget,
    /// One question.
    single: Price,
    prices: HashMap<Protocol, Dumps, RandomState>,
    /// Who serves local ports of datagrams, and since when that is known.
    served: HashMap<(Protocol, u16), (Instant, SocketTable), RandomState>,
}

impl Asking {
    /// Asks the network namespace of the calling thread.
    pub(crate) fn here() -> io::Result<Self> {
        Ok(Self {
            diag: Diag::open()?,
            singles: Budget::new(SINGLES_AT_ONCE, SINGLES_A_SECOND),
            dumps: Budget::new(DUMPS_AT_ONCE, DUMPS_A_SECOND),
            single: Price(3e-6),
            prices: HashMap::default(),
            served: HashMap::default(),
        })
    }

    /// The socket for each of `lookups`, which are all of `protocol`; not by what is remembered, if `anew`.
    pub(crate) fn find(
        &mut self,
        protocol: Protocol,
        lookups: &[Lookup],
        anew: bool,
        now: Instant,
        costs: &mut Costs,
    ) -> Vec<Found> {
        let mut round = Round::new(lookups);
        if !anew {
            self.remember(protocol, &mut round, now);
        }
        if round.open.len() >= LEAST {
            for port in round.crowded() {
                self.ask_port(protocol, port, &mut round, now, costs);
            }
            self.ask_all(protocol, &mut round, now, costs);
        }
        self.ask_singly(&mut round, now, costs);
        round.found
    }

    /// Answers questions about ports of which it is known who serves them.
    fn remember(&mut self, protocol: Protocol, round: &mut Round<'_>, now: Instant) {
        self.served.retain(|_, (since, _)| now.saturating_duration_since(*since) < TRUSTED);
        for (_, (_, table)) in self.served.iter().filter(|((of, _), _)| *of == protocol) {
            let knows = |lookup: &Lookup| {
                matches!(table.taker(lookup.local, lookup.remote, lookup.interface), Taker::One(_))
            };
            round.answer(table, knows);
        }
    }

    /// Answers the questions about one local port by one dump, if that is cheaper than one by one.
    fn ask_port(
        &mut self,
        protocol: Protocol,
        port: u16,
        round: &mut Round<'_>,
        now: Instant,
        costs: &mut Costs,
    ) {
        let price = &mut self.prices.entry(protocol).or_default().of_port;
        if round.open_at(port) as f64 * self.single.0 < price.0 {
            return price.fade();
        }
        // It counts like the questions that would have taken as long.
        if !self.singles.take((price.0 / self.single.0).max(1.0), now) {
            return;
        }
        let start = Instant::now();
        let dump = self.diag.dump_port(protocol, port);
        price.learn(start.elapsed());
        costs.dumps += 1;
        let Ok(sockets) = dump else { return };
        let serve_anybody = !protocol.is_stream() && sockets.iter().all(|socket| socket.remote.is_none());
        let table = SocketTable::new(sockets);
        round.answer(&table, |lookup| lookup.local.port() == port);
        if serve_anybody && self.served.len() < MAX_SERVED {
            self.served.insert((protocol, port), (now, table));
        }
    }

    /// The same with a dump of all sockets.
    fn ask_all(&mut self, protocol: Protocol, round: &mut Round<'_>, now: Instant, costs: &mut Costs) {
        let price = &mut self.prices.entry(protocol).or_default().of_all;
        let many = round.open.len() as f64;
        // Dear or not, it is the only way where so many may not be asked.
        if many * self.single.0 < price.0 && many <= SINGLES_AT_ONCE {
            return price.fade();
        }
        if round.open.is_empty() || !self.dumps.take(1.0, now) {
            return;
        }
        let start = Instant::now();
        let dump = self.diag.dump(protocol);
        price.learn(start.elapsed());
        costs.dumps += 1;
        if let Ok(sockets) = dump {
            round.answer(&SocketTable::new(sockets), |_| true);
        }
    }

    fn ask_singly(&mut self, round: &mut Round<'_>, now: Instant, costs: &mut Costs) {
        let questions: Vec<Lookup> = round.open().map(|(_, lookup)| lookup).collect();
        if questions.is_empty() || !self.singles.take(questions.len() as f64, now) {
            return;
        }
        costs.lookups += questions.len() as u64;
        let start = Instant::now();
        let Ok(answers) = self.diag.find(&questions) else { return };
        if questions.len() >= LEAST {
            self.single.learn(start.elapsed() / questions.len() as u32);
        }
        for (index, answer) in round.open.iter().zip(answers) {
            if let Some(slot) = round.found.get_mut(*index) {
                *slot = answer.map_or(Found::Nothing, Found::Socket);
            }
        }
    }
}

/// Questions that are asked together.
struct Round<'a> {
    lookups: &'a [Lookup],
    found: Vec<Found>,
    /// Indices of those without an answer.
    open: Vec<usize>,
}

impl<'a> Round<'a> {
    fn new(lookups: &'a [Lookup]) -> Self {
        Self { lookups, found: vec![Found::Unasked; lookups.len()], open: (0..lookups.len()).collect() }
    }

    fn open(&self) -> impl Iterator<Item = (usize, Lookup)> {
        self.open.iter().filter_map(|index| Some((*index, *self.lookups.get(*index)?)))
    }

    fn open_at(&self, port: u16) -> usize {
        self.open().filter(|(_, lookup)| lookup.local.port() == port).count()
    }

    /// The local ports that many open questions are about, those of most first.
    fn crowded(&self) -> Vec<u16> {
        let mut counts: HashMap<u16, usize, RandomState> = HashMap::default();
        for (_, lookup) in self.open() {
            *counts.entry(lookup.local.port()).or_default() += 1;
        }
        let many = counts.into_iter().filter(|(_, count)| *count >= LEAST);
        let mut ports: Vec<(usize, u16)> = many.map(|(port, count)| (count, port)).collect();
        ports.sort_unstable_by(|a, b| b.cmp(a));
        ports.into_iter().map(|(_, port)| port).collect()
    }

    /// Answers those that are `asked` from a dump. Where several sockets share the port alike (`SO_REUSEPORT`), only the
    /// kernel knows which of them gets a flow's packets: such questions stay open.
    fn answer(&mut self, table: &SocketTable, asked: impl Fn(&Lookup) -> bool) {
        let (lookups, found) = (self.lookups, &mut self.found);
        self.open.retain(|index| {
            let (Some(lookup), Some(slot)) = (lookups.get(*index), found.get_mut(*index)) else {
                return false;
            };
            if !asked(lookup) {
                return true;
            }
            *slot = match table.taker(lookup.local, lookup.remote, lookup.interface) {
                Taker::One(socket) => Found::Socket(*socket),
                Taker::Nobody => Found::Nothing,
                Taker::OneOfSeveral => return true,
            };
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn lookup(local: u16, remote: u16) -> Lookup {
        Lookup {
            protocol: Protocol::UDP,
            local: ([127, 0, 0, 1], local).into(),
            remote: ([127, 0, 0, 1], remote).into(),
            interface: 0,
        }
    }

    fn about(socket: &UdpSocket, questions: u16) -> Vec<Lookup> {
        let port = socket.local_addr().unwrap().port();
        (1..=questions).map(|remote| lookup(port, remote)).collect()
    }

    #[test]
    fn one_dump_answers_many_questions_about_one_port_like_single_ones() {
        let server = UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut lookups = about(&server, 900);
        // A socket of its own at the same port, of one remote end.
        lookups.push(lookup(port, client.local_addr().unwrap().port()));
        lookups.push(lookup(client.local_addr().unwrap().port(), port));
        let now = Instant::now();
        let mut costs = Costs::default();
        let mut asking = Asking::here().unwrap();
        let by_dump = asking.find(Protocol::UDP, &lookups, true, now, &mut costs);
        assert_eq!(costs, Costs { dumps: 1, lookups: 1, reads: 0 });
        let singly: Vec<Found> = lookups
            .iter()
            .flat_map(|one| asking.find(Protocol::UDP, &[*one], true, now, &mut costs))
            .collect();
        assert_eq!(by_dump, singly);
        assert!(by_dump.iter().all(|found| matches!(found, Found::Socket(socket) if socket.inode != 0)));
    }

    #[test]
    fn who_serves_a_port_is_remembered_for_a_moment() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let lookups = about(&server, 900);
        let now = Instant::now();
        let mut costs = Costs::default();
        let mut asking = Asking::here().unwrap();
        let mut find = |lookups: &[Lookup], anew, after| {
            asking.find(Protocol::UDP, lookups, anew, now + after, &mut costs)
        };
        let first = find(&lookups, false, Duration::ZERO);
        // Of fewer, and after it has gone.
        drop(server);
        let some = &lookups[..10];
        assert_eq!(find(some, false, TRUSTED / 2), first[..10]);
        assert_eq!(find(some, true, TRUSTED / 2), [Found::Nothing; 10]);
        assert_eq!(find(some, false, TRUSTED), [Found::Nothing; 10]);
        assert_eq!(costs, Costs { dumps: 1, lookups: 20, reads: 0 });
    }

    #[test]
    fn few_questions_and_dear_dumps_are_asked_one_by_one() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut asking = Asking::here().unwrap();
        let mut costs = Costs::default();
        let now = Instant::now();
        asking.find(Protocol::UDP, &about(&server, LEAST as u16 - 1), true, now, &mut costs);
        assert_eq!(costs.dumps, 0);
        let dear = Dumps { of_port: Price(1.0), of_all: Price(1.0) };
        asking.prices.insert(Protocol::UDP, dear);
        asking.find(Protocol::UDP, &about(&server, 1000), true, now, &mut costs);
        assert_eq!(costs, Costs { lookups: 1000 + LEAST as u64 - 1, ..Costs::default() });
        let faded = asking.prices[&Protocol::UDP];
        assert!(faded.of_port.0 < 1.0 && faded.of_all.0 < 1.0, "it is tried again some day");
    }

    #[test]
    fn who_shares_a_port_is_asked_for_one_by_one() {
        let socket = |inode| Socket {
            local: ([0, 0, 0, 0], 53).into(),
            remote: None,
            state: crate::sockets::State::Unconnected,
            dual: false,
            interface: 0,
            inode,
            uid: 0,
            cookie: inode,
        };
        let lookups = [lookup(53, 4000), lookup(54, 4000)];
        let mut round = Round::new(&lookups);
        round.answer(&SocketTable::new(vec![socket(1), socket(2)]), |_| true);
        assert_eq!((round.open, round.found), (vec![0], vec![Found::Unasked, Found::Nothing]));
    }

    #[test]
    fn the_rate_is_bounded_whichever_way() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut asking = Asking::here().unwrap();
        let mut costs = Costs::default();
        let now = Instant::now();
        let lookups = about(&server, 1000);
        for _ in 0..2000 {
            asking.find(Protocol::UDP, &lookups, true, now, &mut costs);
        }
        assert!(costs.lookups + costs.dumps <= SINGLES_AT_ONCE as u64 + 2, "{costs:?}");
        assert!(asking.find(Protocol::UDP, &lookups, true, now, &mut costs).contains(&Found::Unasked));
    }
}
