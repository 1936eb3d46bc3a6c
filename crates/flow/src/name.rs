//! What addresses are called, by what the captures themselves say.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use dissect::Timestamp;
use hashbrown::HashMap;

/// Addresses whose names are kept; the oldest makes room.
const MAX_ADDRESSES: usize = 131_072;
/// Namings kept an address; the oldest makes room.
const MAX_NAMINGS: usize = 16;

/// At some time, somebody was told that an address is called so.
#[derive(Clone, Debug)]
pub(crate) struct Naming {
    pub(crate) addr: IpAddr,
    pub(crate) asker: IpAddr,
    pub(crate) name: Arc<str>,
    pub(crate) since: Timestamp,
}

/// Address → names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    learned: HashMap<IpAddr, Vec<Naming>>,
    order: VecDeque<IpAddr>,
    given: HashMap<IpAddr, Arc<str>>,
}

impl Names {
    /// Remembers what somebody was told.
    pub(crate) fn learn(&mut self, naming: Naming) {
        let addr = naming.addr;
        if !self.learned.contains_key(&addr) {
            self.order.push_back(addr);
            if self.order.len() > MAX_ADDRESSES
                && let Some(oldest) = self.order.pop_front()
            {
                self.learned.remove(&oldest);
            }
        }
        let namings = self.learned.entry(addr).or_default();
        let latest = namings.iter().rev().find(|n| n.asker == naming.asker);
        if latest.is_some_and(|n| n.name == naming.name && n.since <= naming.since) {
            return;
        }
        if namings.len() == MAX_NAMINGS {
            namings.remove(0);
        }
        namings.push(naming);
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
