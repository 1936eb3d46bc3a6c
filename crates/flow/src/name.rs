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
    fallback: HashMap<IpAddr, Arc<str>>,
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

    /// Takes a name for where nothing else names the address.
    pub(crate) fn give_fallback(&mut self, addr: IpAddr, name: &str) {
        self.fallback.entry(addr).or_insert_with(|| name.into());
    }

    /// What `addr` is called in a flow with `peer` that began at `at`: what `peer` was told last before that,
    /// else what anybody was told, else the table's name, else the fallback.
    pub(crate) fn of(&self, addr: IpAddr, peer: IpAddr, at: Timestamp) -> Option<Arc<str>> {
        if self.is_empty() {
            return None;
        }
        let latest = |asked_by_peer: bool| {
            let namings = self.learned.get(&addr)?;
            let fits = |n: &&Naming| n.since <= at && (!asked_by_peer || n.asker == peer);
            namings.iter().filter(fits).max_by_key(|n| (n.since, &n.name))
        };
        let learned = latest(true).or_else(|| latest(false));
        let table = || self.given.get(&addr).or_else(|| self.fallback.get(&addr));
        learned.map(|n| &n.name).or_else(table).cloned()
    }

    fn is_empty(&self) -> bool {
        self.learned.is_empty() && self.given.is_empty() && self.fallback.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 80));
    const ALICE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const BOB: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn named(names: &Names, peer: IpAddr, at: i64) -> Option<String> {
        names.of(SERVER, peer, Timestamp(at)).map(|name| name.to_string())
    }

    /// Each asker is shown its own name, the one it was told last before the flow; then others'; then the tables'.
    #[test]
    fn the_nearest_name_is_shown() {
        let mut names = Names::default();
        let mut tell = |asker, name: &str, since| {
            names.learn(Naming { addr: SERVER, asker, name: name.into(), since: Timestamp(since) });
        };
        tell(ALICE, "shop.example", 10);
        tell(BOB, "blog.example", 20);
        tell(ALICE, "mail.example", 30);
        tell(ALICE, "shop.example", 40);
        assert_eq!(named(&names, ALICE, 25).as_deref(), Some("shop.example"));
        assert_eq!(named(&names, ALICE, 35).as_deref(), Some("mail.example"));
        assert_eq!(named(&names, ALICE, 45).as_deref(), Some("shop.example"));
        assert_eq!(named(&names, BOB, 45).as_deref(), Some("blog.example"));
        assert_eq!(named(&names, BOB, 15).as_deref(), Some("shop.example"));
        assert_eq!(named(&names, ALICE, 5), None);
        names.give_fallback(SERVER, "hosts.example");
        assert_eq!(named(&names, ALICE, 5).as_deref(), Some("hosts.example"));
        names.give(SERVER, "block.example");
        assert_eq!(named(&names, ALICE, 5).as_deref(), Some("block.example"));
    }
}
