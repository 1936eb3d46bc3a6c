//! What a table makes of DNS messages, while they are at hand: answers joined to their queries, names learned.
//!
//! Both ends of a query are in the same table, so all of this is done where the message was read; what the collector
//! gets is only what somebody shows.

mod announcement;
mod askers;
mod elsewhere;
mod private;
mod recent;
mod waiting;

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dissect::app::dns::{NetbiosName, Outline};
use dissect::{Ip, Timestamp};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use self::askers::Askers;
use self::elsewhere::Elsewhere;
pub(crate) use self::private::is_private;
use self::private::is_public_name;
use self::recent::{Arrival, Recent};
use self::waiting::{Joined, Waiting};
use crate::dns::{DnsEvent, DnsFacts, DnsTotals};
use crate::encrypted::Announcement;
use crate::message::Origin;
use crate::name::{EVERYBODY, Naming};

/// Pairs of asker and address whose naming is known to have been handed on; beyond, they are handed on again.
const MAX_TOLD: usize = 65_536;
/// An answer that says within so many nanoseconds what its asker was told before adds nothing.
const REPEATED: i64 = 1_000_000_000;
const DNS: &str = "dns";
const NBNS: &str = "nbns";
const UDP: u8 = 17;

/// Which messages are handed on whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Every message, for a view that writes them all.
    pub all: bool,
    /// The latest answers, so many.
    pub answers: usize,
    /// Count a message that passes several interfaces on the first of them only.
    pub once: bool,
    /// Nobody shows what addresses are called: that is not learned.
    pub nameless: bool,
}

/// DNS messages of one table.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    keep: Keep,
    waiting: Waiting,
    askers: Askers,
    /// What each asker was told last of each address by each resolver, and when; hashes of both.
    told: HashMap<u64, (u64, Timestamp)>,
    elsewhere: Elsewhere,
    seed: RandomState,
    recent: Recent,
    /// Encrypted resolvers that answers told of since somebody asked.
    pub(crate) announcements: Vec<Announcement>,
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
    /// Who looks names up.
    pub(crate) askers: Vec<IpAddr>,
}

impl Lookups {
    pub(crate) fn new(keep: Keep) -> Self {
        Self { keep, ..Self::default() }
    }

    /// Takes note of one message.
    pub(crate) fn note(&mut self, origin: Origin, protocol: &'static str, ip: &Ip, message: &Outline<'_>) {
        let asked = message.asked().map(|asked| (hash_name(&self.seed, asked.name), asked.kind));
        let is_dns = protocol == DNS;
        if protocol == NBNS && !self.keep.nameless {
            self.learn_netbios(origin, ip, message);
        }
        if is_dns {
            self.askers.note(ip, message.answer(), &mut self.delta.askers);
        }
        let (latency, facts) = if message.answer() {
            // Where addresses are translated on the way, each of them was told.
            self.learn_answer(origin, protocol, ip, message, asked)
        } else {
            if let Some(asked) = asked {
                self.waiting.ask(origin.timestamp, ip, message, asked);
            }
            (None, DnsFacts::default())
        };
        if self.keep.once && self.elsewhere.saw(origin, ip, message.bytes()) {
            return;
        }
        self.delta.totals.add(message, facts);
        let arrival = || Arrival { origin, protocol, tuple: ip.five_tuple(), latency, facts };
        if message.answer() && self.keep.answers > 0 {
            self.recent.push(arrival(), message.bytes(), self.keep.answers);
        }
        if self.keep.all {
            self.delta.events.push(arrival().event(message));
        }
    }

    /// Joins an answer to its query and learns what it says; gives how long it took, and what is remarkable about it.
    fn learn_answer(
        &mut self,
        origin: Origin,
        protocol: &'static str,
        ip: &Ip,
        message: &Outline<'_>,
        asked: Option<(u64, u16)>,
    ) -> (Option<Duration>, DnsFacts) {
        let Origin { timestamp, since, .. } = origin;
        let joined =
            asked.map_or(Joined::Unknown, |asked| self.waiting.answer(timestamp, since, ip, message, asked));
        let latency = joined.latency();
        let naming = Told { since: timestamp, latency, protocol, ip, asked: asked.map(|(name, _)| name) };
        let names_private = self.learn(&naming, message);
        announcement::read(ip, message, &mut self.announcements);
        let is_dns = protocol == DNS;
        let facts = DnsFacts {
            is_slow: is_dns && latency.is_some_and(|latency| latency >= DnsFacts::SLOW),
            is_unasked: is_dns
                && joined == Joined::Unasked
                && ip.protocol == UDP
                && self.askers.asks(ip.dst, ip.version),
            is_private: is_dns && names_private,
        };
        (latency, facts)
    }

    /// Learns the addresses of an answer: each is called what was asked for, however many aliases lay between; or by its own
    /// name, where none lead to it. Gives whether one of them is private, and its name is not.
    fn learn(&mut self, told: &Told<'_>, message: &Outline<'_>) -> bool {
        let mut names_private = false;
        let &Told { since, latency, protocol, ip, asked } = told;
        let (mut names, asked_name) = (message.names(), OnceCell::new());
        for address in message.addresses() {
            let addr = address.addr;
            if addr.is_unspecified() {
                continue;
            }
            let asked = asked.filter(|_| address.is_asked_for);
            let own = if asked.is_none() { Some(names.of(&address)) } else { None };
            let name = || own.as_ref().unwrap_or_else(|| asked_name.get_or_init(|| message.name()));
            names_private |= is_private(addr) && is_public_name(name(), addr);
            if self.keep.nameless {
                continue;
            }
            let said = asked.unwrap_or_else(|| hash_name(&self.seed, name().as_bytes()));
            if self.told.len() >= MAX_TOLD {
                self.told.clear();
            }
            let pair = self.seed.hash_one((bits(addr), ip.src, ip.dst, ip.version));
            let known = self.told.entry(pair).or_insert((!said, since));
            if known.0 == said && (0..REPEATED).contains(&since.0.saturating_sub(known.1.0)) {
                continue;
            }
            *known = (said, since);
            let name = Arc::clone(name());
            if !name.is_empty() {
                let of = Naming::told(ip, since, protocol);
                let (asker, ttl) = (ip.destination(), address.ttl);
                self.delta.namings.push(Naming { addr, asker, name, ttl, latency, ..of });
            }
        }
        names_private
    }

    /// Learns the names that hosts of the link claim for themselves, or that one is told of.
    fn learn_netbios(&mut self, origin: Origin, ip: &Ip, message: &Outline<'_>) {
        for NetbiosName { name, addr, ttl } in message.netbios_names() {
            let asker = if message.answer() { ip.destination() } else { EVERYBODY };
            if asker == EVERYBODY && addr != ip.source() {
                continue;
            }
            let of = Naming::told(ip, origin.timestamp, NBNS);
            self.delta.namings.push(Naming { addr, asker, name, ttl, ..of });
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

/// What an answer tells, besides its records.
struct Told<'a> {
    since: Timestamp,
    latency: Option<Duration>,
    protocol: &'static str,
    ip: &'a Ip,
    /// A hash of the name that was asked for.
    asked: Option<u64>,
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
