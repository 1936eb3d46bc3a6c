//! What a table makes of DNS messages, while they are at hand: answers joined to their queries, names learned.
//!
//! Both ends of a query are in the same table, so all of this is done where the message was read; what the collector
//! gets is only what somebody shows.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dissect::app::dns::Outline;
use dissect::{FiveTuple, Ip, Timestamp};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::dns::{DnsEvent, DnsTotals};
use crate::key::FlowKey;
use crate::ledger::InterfaceId;
use crate::message::Origin;
use crate::name::Naming;

/// Queries that wait for their answer; the oldest makes room.
const MAX_WAITING: usize = 16_384;
/// Pairs of asker and address whose naming is known to have been handed on; beyond, they are handed on again.
const MAX_TOLD: usize = 65_536;

/// Messages of which it is known where they passed first.
const MAX_ELSEWHERE: usize = 4096;

/// Which messages are handed on whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Every message, for a view that writes them all.
    pub all: bool,
    /// The latest answers, so many.
    pub answers: usize,
    /// Count a message that passes several interfaces on the first of them only.
    pub once: bool,
}

/// DNS messages of one table.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    keep: Keep,
    waiting: Waiting,
    /// What each asker was told last of each address; hashes of both.
    told: HashMap<u64, u64>,
    elsewhere: Elsewhere,
    seed: RandomState,
    recent: Recent,
    delta: LookupDelta,
}

/// What is handed on.
#[derive(Debug, Default)]
pub(crate) struct LookupDelta {
    pub(crate) totals: DnsTotals,
    /// Messages, in the order of their packets.
    pub(crate) events: Vec<DnsEvent>,
    /// The latest answers.
    pub(crate) recent: VecDeque<DnsEvent>,
    pub(crate) namings: Vec<Naming>,
}

impl Lookups {
    pub(crate) fn new(keep: Keep) -> Self {
        Self { keep, ..Self::default() }
    }

    /// Takes note of one message.
    pub(crate) fn note(&mut self, origin: Origin, protocol: &'static str, ip: &Ip, message: &Outline<'_>) {
        // Hosts that tell a group the same are as many messages; elsewhere addresses may be translated on the way.
        let teller = if ip.destination().is_multicast() { ip.src } else { 0 };
        let said = || self.seed.hash_one((teller, message.bytes()));
        if self.keep.once && self.elsewhere.saw(said(), origin.interface) {
            return;
        }
        self.delta.totals.add(message);
        let asked = message.asked().map(|asked| (hash_name(&self.seed, asked.name), asked.kind));
        let latency = asked.and_then(|asked| self.waiting.join(origin.timestamp, ip, message, asked));
        let arrival = || Arrival { origin, protocol, tuple: ip.five_tuple(), latency };
        if message.answer() {
            self.learn(origin.timestamp, ip, message, asked.map(|(name, _)| name));
            if self.keep.answers > 0 {
                self.recent.push(arrival(), message.bytes(), self.keep.answers);
            }
        }
        if self.keep.all {
            self.delta.events.push(arrival().event(message));
        }
    }

    /// Learns the addresses of an answer: each is called what was asked for, however many aliases lay between.
    fn learn(&mut self, since: Timestamp, ip: &Ip, message: &Outline<'_>, asked: Option<u64>) {
        for address in message.addresses() {
            let addr = address.addr;
            if addr.is_unspecified() {
                continue;
            }
            let told = asked.unwrap_or_else(|| hash_name(&self.seed, address.name().as_bytes()));
            if self.told.len() >= MAX_TOLD {
                self.told.clear();
            }
            if self.told.insert(self.seed.hash_one((bits(addr), ip.dst, ip.version)), told) == Some(told) {
                continue;
            }
            let name = if asked.is_some() { message.name() } else { address.name() };
            if !name.is_empty() {
                self.delta.namings.push(Naming { addr, asker: ip.destination(), name, since });
            }
        }
    }

    /// Messages that wait to be handed on.
    pub(crate) fn len(&self) -> usize {
        self.delta.events.len() + self.delta.namings.len()
    }

    /// Hands on.
    pub(crate) fn take(&mut self) -> LookupDelta {
        self.delta.recent = self.recent.take();
        // The next list will be about as long: growing it step by step costs more than its place.
        let events = Vec::with_capacity(self.delta.events.len());
        mem::replace(&mut self.delta, LookupDelta { events, ..LookupDelta::default() })
    }
}

/// The latest messages, by a hash of all their bytes, with the interfaces on which they passed first.
#[derive(Debug, Default)]
struct Elsewhere {
    first: HashMap<u64, InterfaceId>,
    order: VecDeque<u64>,
}

impl Elsewhere {
    /// Whether the same message passed another interface before. One that was sent again passes the same ones again.
    fn saw(&mut self, message: u64, interface: InterfaceId) -> bool {
        if let Err(known) = self.first.try_insert(message, interface) {
            return *known.entry.get() != interface;
        }
        self.order.push_back(message);
        if self.order.len() > MAX_ELSEWHERE
            && let Some(oldest) = self.order.pop_front()
        {
            self.first.remove(&oldest);
        }
        false
    }
}

/// A seeded hash of who asked whom, under which number, for what type and name. Two of the queries that wait at once
/// agree by chance once in 10¹⁰ runs.
type Asked = u64;

/// Queries that were not answered yet.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    queries: HashMap<Asked, Timestamp>,
    order: VecDeque<Asked>,
    seed: RandomState,
}

impl Waiting {
    /// Remembers a query, or gives an answer its latency; `asked` is a hash of the name, and the type.
    ///
    /// A query that is sent again keeps its first time: that is how long the asker waited. Multicast queries are not
    /// remembered: whoever answers them, it is not the address that was asked.
    pub(crate) fn join(
        &mut self,
        at: Timestamp,
        ip: &Ip,
        message: &Outline<'_>,
        asked: (u64, u16),
    ) -> Option<Duration> {
        if ip.destination().is_multicast() {
            return None;
        }
        let (key, sender) = FlowKey::of(ip);
        let asker = if message.answer() { sender.other() } else { sender };
        let asked = self.seed.hash_one((key, asker, message.id(), asked));
        if message.answer() {
            let sent = self.queries.remove(&asked)?;
            return Some(Duration::from_nanos(u64::try_from(at.0.saturating_sub(sent.0)).unwrap_or(0)));
        }
        if self.queries.try_insert(asked, at).is_ok() {
            self.order.push_back(asked);
            if self.order.len() > MAX_WAITING
                && let Some(oldest) = self.order.pop_front()
            {
                self.queries.remove(&oldest);
            }
        }
        None
    }
}

/// When a message came, and between whom.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    origin: Origin,
    protocol: &'static str,
    tuple: FiveTuple,
    latency: Option<Duration>,
}

impl Arrival {
    fn event(self, message: &Outline<'_>) -> DnsEvent {
        let Arrival { origin, protocol, tuple, latency } = self;
        let Origin { timestamp, frame, interface } = origin;
        let message = Arc::new(message.message());
        let (owner, own_lookup) = (None, false);
        DnsEvent { timestamp, frame, interface, protocol, tuple, message, latency, owner, own_lookup }
    }
}

/// The latest answers, as they stood on the wire: few of them will be shown.
#[derive(Debug, Default)]
struct Recent {
    answers: VecDeque<(Arrival, Vec<u8>)>,
}

impl Recent {
    fn push(&mut self, arrival: Arrival, bytes: &[u8], most: usize) {
        let mut kept = Vec::new();
        if self.answers.len() == most
            && let Some((_, oldest)) = self.answers.pop_front()
        {
            kept = oldest;
        }
        kept.clear();
        kept.extend_from_slice(bytes);
        self.answers.push_back((arrival, kept));
    }

    fn take(&mut self) -> VecDeque<DnsEvent> {
        let event = |(arrival, bytes): (Arrival, Vec<u8>)| Some(arrival.event(&Outline::again(&bytes)?));
        self.answers.drain(..).filter_map(event).collect()
    }
}

/// Names are compared without regard to case (RFC 4343), which some resolvers change.
///
/// Eight bytes at a time: the bit that tells the cases apart is set in all of them.
fn hash_name(seed: &RandomState, name: &[u8]) -> u64 {
    let mut hasher = seed.build_hasher();
    let (words, rest) = name.as_chunks();
    for &word in words {
        hasher.write_u64(u64::from_le_bytes(word) | 0x2020_2020_2020_2020);
    }
    let last = rest.iter().fold(rest.len() as u64, |last, byte| last << 8 | u64::from(byte | 0x20));
    hasher.write_u64(last);
    hasher.finish()
}

/// An address as one number; an IPv4 address as the IPv6 address that stands for it (RFC 4291, section 2.5.5.2).
fn bits(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped().to_bits(),
        IpAddr::V6(addr) => addr.to_bits(),
    }
}
