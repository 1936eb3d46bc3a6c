//! What addresses are called, by what the captures themselves say.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use dissect::Timestamp;
use dissect::app::dns::Value;
use hashbrown::HashMap;

use crate::dns::DnsEvent;

/// Addresses whose names are kept; the oldest makes room.
const MAX_ADDRESSES: usize = 131_072;
/// Namings kept an address; the oldest makes room.
const MAX_NAMINGS: usize = 16;

/// At some time, somebody was told that an address is called so.
#[derive(Clone, Debug)]
struct Naming {
    since: Timestamp,
    asker: IpAddr,
    name: Arc<str>,
}

/// Address → names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    learned: HashMap<IpAddr, Vec<Naming>>,
    order: VecDeque<IpAddr>,
    given: HashMap<IpAddr, Arc<str>>,
}

impl Names {
    /// Learns the addresses of an answer: each is called what was asked for, however many aliases lay between.
    pub(crate) fn learn(&mut self, event: &DnsEvent) {
        if !event.message.answer {
            return;
        }
        let asked = event.message.questions.first().map(|q| &q.name);
        for record in &event.message.answers {
            let Value::Address(addr) = record.value else { continue };
            let name = asked.unwrap_or(&record.name);
            if !name.is_empty() && !addr.is_unspecified() {
                self.add(addr, event.tuple.dst.addr, event.timestamp, name);
            }
        }
    }

    fn add(&mut self, addr: IpAddr, asker: IpAddr, since: Timestamp, name: &Arc<str>) {
        if !self.learned.contains_key(&addr) {
            self.order.push_back(addr);
            if self.order.len() > MAX_ADDRESSES
                && let Some(oldest) = self.order.pop_front()
            {
                self.learned.remove(&oldest);
            }
        }
        let namings = self.learned.entry(addr).or_default();
        let latest = namings.iter().rev().find(|n| n.asker == asker);
        if latest.is_some_and(|n| n.name == *name && n.since <= since) {
            return;
        }
        if namings.len() == MAX_NAMINGS {
            namings.remove(0);
        }
        namings.push(Naming { since, asker, name: Arc::clone(name) });
    }

    /// Takes a name from a table: it holds for all time, after what was learned.
    pub(crate) fn give(&mut self, addr: IpAddr, name: &str) {
        self.given.entry(addr).or_insert_with(|| name.into());
    }

    /// What `addr` is called in a flow with `peer` that began at `at`: what `peer` was told last before that,
    /// else what anybody was told, else the table's name.
    pub(crate) fn of(&self, addr: IpAddr, peer: IpAddr, at: Timestamp) -> Option<Arc<str>> {
        let latest = |asked_by_peer: bool| {
            let namings = self.learned.get(&addr)?;
            let fits = |n: &&Naming| n.since <= at && (!asked_by_peer || n.asker == peer);
            namings.iter().filter(fits).max_by_key(|n| (n.since, &n.name))
        };
        let learned = latest(true).or_else(|| latest(false));
        learned.map(|n| &n.name).or_else(|| self.given.get(&addr)).cloned()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.learned.is_empty() && self.given.is_empty()
    }
}
