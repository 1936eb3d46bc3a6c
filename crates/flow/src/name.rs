//! What addresses are called, by what the captures themselves say.

mod called;
mod told;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dissect::Timestamp;
use hashbrown::{HashMap, HashSet};

pub use self::called::{Called, Cause, Lookup, NamedBy};
pub(crate) use self::told::{EVERYBODY, Naming, Peer};

/// Addresses whose names are kept; the oldest makes room.
const MAX_ADDRESSES: usize = 65_536;
/// Namings kept an address; what was repeated makes room first, then the oldest.
const MAX_NAMINGS: usize = 16;
/// Names by reverse lookup that are kept; the oldest makes room.
const MAX_REVERSE: usize = 65_536;
/// Addresses that have a name by records of captures; further ones have none.
const MAX_CAPTURED: usize = 262_144;
/// Addresses of which it is kept that they look names up.
const MAX_ASKERS: usize = 65_536;

/// Address → names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    learned: HashMap<IpAddr, Vec<Naming>>,
    order: VecDeque<IpAddr>,
    askers: HashSet<IpAddr>,
    hosts: HashMap<IpAddr, Arc<str>>,
    captures: HashMap<IpAddr, Arc<str>>,
    reverse: HashMap<IpAddr, Arc<str>>,
    reverse_order: VecDeque<IpAddr>,
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
        // Most addresses have one name.
        let namings = self.learned.entry(addr).or_insert_with(|| Vec::with_capacity(1));
        if namings.len() == MAX_NAMINGS {
            let same = |a: &Naming, b: &Naming| a.asker == b.asker && a.name == b.name;
            let repeated = |at: &usize| namings[at + 1..].iter().any(|later| same(&namings[*at], later));
            namings.remove((0..MAX_NAMINGS).find(repeated).unwrap_or(0));
        }
        namings.push(naming);
    }

    /// Remembers that lookups of `asker` are seen.
    pub(crate) fn learn_asker(&mut self, asker: IpAddr) {
        if self.askers.len() < MAX_ASKERS {
            self.askers.insert(asker);
        }
    }

    /// Takes a name from a table: it holds for all time, after what was learned. Gives the address of which the name had to make
    /// room.
    pub(crate) fn give(&mut self, addr: IpAddr, name: &str, by: NamedBy) -> Option<IpAddr> {
        let (table, most) = match by {
            NamedBy::Hosts => (&mut self.hosts, usize::MAX),
            NamedBy::Capture => (&mut self.captures, MAX_CAPTURED),
            _ => return self.give_reverse(addr, name),
        };
        if table.len() < most {
            table.entry(addr).or_insert_with(|| name.into());
        }
        None
    }

    fn give_reverse(&mut self, addr: IpAddr, name: &str) -> Option<IpAddr> {
        self.reverse.try_insert(addr, name.into()).ok()?;
        self.reverse_order.push_back(addr);
        let oldest = (self.reverse_order.len() > MAX_REVERSE).then(|| self.reverse_order.pop_front())??;
        self.reverse.remove(&oldest);
        Some(oldest)
    }

    /// What `addr` is called in a flow with `peer` that began at `at`: what `peer` was told last before that, else what
    /// everybody was told, else a table's name. What another one was told is not shown: an address may have many names.
    pub(crate) fn of(&self, addr: IpAddr, peer: Peer<'_>, at: Timestamp) -> Option<Called> {
        let lookup = || self.told(addr, peer, at, None).map(|n| (&n.name, NamedBy::Lookup));
        let announced = || {
            let announced = self.before(addr, at).filter(|n| n.is_announcement());
            let latest = announced.max_by_key(|n| (n.since, &n.name))?;
            Some((&latest.name, NamedBy::Announcement(latest.protocol)))
        };
        let table = |table: &'_ HashMap<IpAddr, Arc<str>>| table.get(&addr).map(Arc::clone);
        let tables = || {
            let hosts = table(&self.hosts).map(|name| (name, NamedBy::Hosts));
            let captures = || table(&self.captures).map(|name| (name, NamedBy::Capture));
            hosts.or_else(captures).or_else(|| table(&self.reverse).map(|name| (name, NamedBy::Reverse)))
        };
        let learned = lookup().or_else(announced).map(|(name, by)| (Arc::clone(name), by));
        learned.or_else(tables).map(|(name, by)| Called { name, by })
    }

    /// The lookup by which `peer` came to know `addr` before `at`, of the name `asked` if there is one.
    pub(crate) fn cause(&self, addr: IpAddr, peer: Peer<'_>, at: Timestamp, asked: Option<&str>) -> Cause {
        if let Some(naming) = self.told(addr, peer, at, asked) {
            let before = u64::try_from(at.0.saturating_sub(naming.since.0)).unwrap_or(0);
            return Cause::Lookup(Lookup {
                name: Arc::clone(&naming.name),
                resolver: naming.resolver,
                before: Duration::from_nanos(before),
                ttl: naming.ttl,
                latency: naming.latency,
            });
        }
        if peer.is_among(&self.askers) { Cause::NoneSeen } else { Cause::Unknown }
    }

    fn before(&self, addr: IpAddr, at: Timestamp) -> impl Iterator<Item = &Naming> {
        self.learned.get(&addr).into_iter().flatten().filter(move |n| n.since <= at)
    }

    /// What `peer` was told last before `at`, of `asked` if it was told that.
    fn told(&self, addr: IpAddr, peer: Peer<'_>, at: Timestamp, asked: Option<&str>) -> Option<&Naming> {
        let told = self.before(addr, at).filter(|n| !n.is_announcement() && peer.was_told(n));
        told.max_by_key(|n| {
            (asked.is_some_and(|asked| asked.eq_ignore_ascii_case(&n.name)), n.since, &n.name)
        })
    }
}

#[cfg(test)]
mod tests;
