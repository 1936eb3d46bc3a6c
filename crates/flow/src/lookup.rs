//! What a table makes of DNS messages, while they are at hand: answers joined to their queries, names learned.
//!
//! Both ends of a query are in the same table, so all of this is done where the message was read; what the collector
//! gets is only what somebody shows.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash, Hasher};
use std::mem;
use std::net::IpAddr;
use std::time::Duration;

use dissect::Timestamp;
use dissect::app::dns::{Message, Value};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::dns::{DnsEvent, DnsTotals};
use crate::key::FlowKey;
use crate::name::Naming;

/// Queries that wait for their answer; the oldest makes room.
const MAX_WAITING: usize = 16_384;
/// Pairs of asker and address whose naming is known to have been handed on; beyond, they are handed on again.
const MAX_TOLD: usize = 65_536;

/// Which messages are handed on whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Every message, for a view that writes them all.
    pub all: bool,
    /// The latest answers, so many.
    pub answers: usize,
}

/// DNS messages of one table.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    keep: Keep,
    waiting: Waiting,
    /// What each asker was told last of each address; hashes of both.
    told: HashMap<u64, u64>,
    seed: RandomState,
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
    pub(crate) fn note(&mut self, mut event: DnsEvent) {
        self.delta.totals.add(&event.message);
        self.waiting.join(&mut event);
        if event.message.answer {
            self.learn(&event);
            if self.keep.answers > 0 {
                if self.delta.recent.len() == self.keep.answers {
                    self.delta.recent.pop_front();
                }
                self.delta.recent.push_back(event.clone());
            }
        }
        if self.keep.all {
            self.delta.events.push(event);
        }
    }

    /// Learns the addresses of an answer: each is called what was asked for, however many aliases lay between.
    fn learn(&mut self, event: &DnsEvent) {
        let Message { questions, answers, .. } = &*event.message;
        for record in answers {
            let Value::Address(addr) = record.value else { continue };
            let name = questions.first().map_or(&record.name, |q| &q.name);
            if name.is_empty() || addr.is_unspecified() {
                continue;
            }
            let asker = event.tuple.dst.addr;
            if self.told.len() >= MAX_TOLD {
                self.told.clear();
            }
            let mut told = self.seed.build_hasher();
            hash_name(name, &mut told);
            let told = told.finish();
            if self.told.insert(self.seed.hash_one((bits(addr), bits(asker))), told) != Some(told) {
                self.delta.namings.push(Naming { addr, asker, name: name.clone(), since: event.timestamp });
            }
        }
    }

    /// Messages that wait to be handed on.
    pub(crate) fn len(&self) -> usize {
        self.delta.events.len() + self.delta.namings.len()
    }

    /// Hands on.
    pub(crate) fn take(&mut self) -> LookupDelta {
        // The next list will be about as long: growing it step by step costs more than its place.
        let events = Vec::with_capacity(self.delta.events.len());
        mem::replace(&mut self.delta, LookupDelta { events, ..LookupDelta::default() })
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
    /// Remembers a query, or gives an answer its latency.
    ///
    /// A query that is sent again keeps its first time: that is how long the asker waited. Multicast queries are not
    /// remembered: whoever answers them, it is not the address that was asked.
    pub(crate) fn join(&mut self, event: &mut DnsEvent) {
        let Some(question) = event.message.questions.first() else { return };
        if event.tuple.dst.addr.is_multicast() {
            return;
        }
        let (key, sender) = FlowKey::of_tuple(&event.tuple);
        let asker = if event.message.answer { sender.other() } else { sender };
        let mut asked = self.seed.build_hasher();
        (key, asker, event.message.id, question.kind).hash(&mut asked);
        hash_name(&question.name, &mut asked);
        let asked = asked.finish();
        if event.message.answer {
            let sent = self.queries.remove(&asked);
            let nanos = sent.map(|sent| u64::try_from(event.timestamp.0.saturating_sub(sent.0)).unwrap_or(0));
            event.latency = nanos.map(Duration::from_nanos);
        } else if self.queries.try_insert(asked, event.timestamp).is_ok() {
            self.order.push_back(asked);
            if self.order.len() > MAX_WAITING
                && let Some(oldest) = self.order.pop_front()
            {
                self.queries.remove(&oldest);
            }
        }
    }
}

/// Names are compared without regard to case (RFC 4343), which some resolvers change.
///
/// Eight bytes at a time: the bit that tells the cases apart is set in all of them.
fn hash_name(name: &str, into: &mut impl Hasher) {
    for word in name.as_bytes().chunks(8) {
        let mut bytes = [0; 8];
        bytes[..word.len()].copy_from_slice(word);
        into.write_u64(u64::from_le_bytes(bytes) | 0x2020_2020_2020_2020);
    }
}

/// An address as one number; an IPv4 address as the IPv6 address that stands for it (RFC 4291, section 2.5.5.2).
fn bits(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped().to_bits(),
        IpAddr::V6(addr) => addr.to_bits(),
    }
}
