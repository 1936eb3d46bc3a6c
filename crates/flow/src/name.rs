//! What addresses are called, by what the captures themselves say.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use dissect::app::{Name, NameSource};
use dissect::{Endpoint, Ip, Timestamp};
use hashbrown::{HashMap, HashSet};

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

/// Who is told what a host claims for itself.
pub(crate) const EVERYBODY: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);

/// Where the name of an end comes from, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NamedBy {
    /// The other end asked for it by this name, in the flow itself.
    Client(NameSource),
    /// The other end looked it up before the flow began.
    Lookup,
    /// Its owner told everybody on the link: `mdns`, `llmnr` or `nbns`.
    Announcement(&'static str),
    /// The hosts file.
    Hosts,
    /// A name record of the capture file.
    Capture,
    /// A reverse lookup.
    Reverse,
}

impl NamedBy {
    /// As records have it.
    pub fn name(self) -> &'static str {
        match self {
            NamedBy::Client(source) => source.name(),
            NamedBy::Lookup => "lookup",
            NamedBy::Announcement(protocol) => protocol,
            NamedBy::Hosts => "hosts",
            NamedBy::Capture => "capture",
            NamedBy::Reverse => "reverse",
        }
    }
}

/// What one end of a flow is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// The name.
    pub name: Arc<str>,
    /// Where it comes from.
    pub by: NamedBy,
}

impl Called {
    /// What a client asked for.
    pub(crate) fn by_client(asked: &Name) -> Self {
        Called { name: Arc::clone(&asked.name), by: NamedBy::Client(asked.source) }
    }
}

/// The lookup that named a flow's responder before the flow began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// What was looked up.
    pub name: Arc<str>,
    /// Who answered.
    pub resolver: Endpoint,
    /// From the answer to the flow's first packet. Answers that repeat one within a second count as that one.
    pub before: Duration,
    /// How long the answer may be believed, in seconds.
    pub ttl: u32,
    /// From query to answer; `None` if no query was seen.
    pub latency: Option<Duration>,
}

/// How a flow's initiator may have come to know its responder's address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    /// Nothing can be said: the initiator's lookups are not seen here, the flow began before the capture did, or it is
    /// of a kind that none precedes.
    #[default]
    Unknown,
    /// The initiator's lookups are seen here, and none told it the address.
    NoneSeen,
    /// The latest that told it, of the name that it asked for where that is known.
    Lookup(Lookup),
}

/// At some time, somebody was told that an address is called so.
#[derive(Clone, Debug)]
pub(crate) struct Naming {
    pub(crate) addr: IpAddr,
    /// Who was told; a group, or [`EVERYBODY`].
    pub(crate) asker: IpAddr,
    pub(crate) name: Arc<str>,
    pub(crate) since: Timestamp,
    pub(crate) resolver: Endpoint,
    pub(crate) ttl: u32,
    pub(crate) latency: Option<Duration>,
    /// `dns` and its kin.
    pub(crate) protocol: &'static str,
}

impl Naming {
    /// What the sender of a packet says, of whose message the rest is still to be filled in.
    pub(crate) fn told(ip: &Ip, since: Timestamp, protocol: &'static str) -> Self {
        let (addr, asker, name) = (ip.source(), ip.destination(), Arc::default());
        Naming { addr, asker, name, since, resolver: ip.five_tuple().src, ttl: 0, latency: None, protocol }
    }

    fn is_announcement(&self) -> bool {
        self.asker.is_multicast() || self.asker == EVERYBODY
    }
}

/// The end that may have been told a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer<'a> {
    pub(crate) addr: IpAddr,
    /// It is a process of this very host, which may look names up over the loopback interface.
    pub(crate) is_host: bool,
    /// Further addresses of the same host: one that asks over IPv4 may go on over IPv6.
    pub(crate) others: &'a [IpAddr],
}

impl Peer<'_> {
    fn was_told(&self, naming: &Naming) -> bool {
        self.has(naming.asker) || self.is_host && naming.asker.is_loopback()
    }

    fn has(&self, addr: IpAddr) -> bool {
        addr == self.addr || self.others.contains(&addr)
    }

    /// Whether one of its addresses is in `askers`.
    fn is_among(&self, askers: &HashSet<IpAddr>) -> bool {
        askers.contains(&self.addr) || self.others.iter().any(|addr| askers.contains(addr))
    }
}

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
mod tests {
    use super::*;

    const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 80));
    const ALICE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const BOB: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
    const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251));
    const STUB: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn naming(asker: IpAddr, name: &str, since: i64) -> Naming {
        Naming {
            addr: SERVER,
            asker,
            name: name.into(),
            since: Timestamp(since),
            resolver: Endpoint { addr: BOB, port: 53 },
            ttl: 300,
            latency: Some(Duration::from_nanos(7)),
            protocol: if asker == GROUP { "mdns" } else { "dns" },
        }
    }

    fn named(names: &Names, addr: IpAddr, at: i64) -> Option<(String, &'static str)> {
        let called = names.of(SERVER, Peer { addr, is_host: false, others: &[] }, Timestamp(at))?;
        Some((called.name.to_string(), called.by.name()))
    }

    /// Each asker is shown its own name, the one it was told last before the flow; then what everybody was told; then
    /// the tables'; never another one's.
    #[test]
    fn the_nearest_name_is_shown() {
        let mut names = Names::default();
        for (asker, name, since) in [
            (ALICE, "shop.example", 10),
            (BOB, "blog.example", 20),
            (ALICE, "mail.example", 30),
            (ALICE, "shop.example", 40),
        ] {
            names.learn(naming(asker, name, since));
        }
        let lookup = |name: &str| Some((name.to_owned(), "lookup"));
        assert_eq!(named(&names, ALICE, 25), lookup("shop.example"));
        assert_eq!(named(&names, ALICE, 35), lookup("mail.example"));
        assert_eq!(named(&names, ALICE, 45), lookup("shop.example"));
        assert_eq!(named(&names, BOB, 45), lookup("blog.example"));
        assert_eq!(named(&names, BOB, 15), None, "what Alice was told is not Bob's");
        names.give(SERVER, "reverse.example", NamedBy::Reverse);
        assert_eq!(named(&names, BOB, 15), Some(("reverse.example".to_owned(), "reverse")));
        names.give(SERVER, "block.example", NamedBy::Capture);
        assert_eq!(named(&names, BOB, 15), Some(("block.example".to_owned(), "capture")));
        names.give(SERVER, "hosts.example", NamedBy::Hosts);
        assert_eq!(named(&names, BOB, 15), Some(("hosts.example".to_owned(), "hosts")));
        names.learn(naming(GROUP, "printer.local", 5));
        assert_eq!(named(&names, BOB, 15), Some(("printer.local".to_owned(), "mdns")));
        assert_eq!(named(&names, BOB, 45), lookup("blog.example"));
    }

    #[test]
    fn names_by_records_of_captures_are_bounded() {
        let mut names = Names::default();
        let addr = |n: usize| IpAddr::V4(Ipv4Addr::from_bits(n as u32));
        for n in 0..=MAX_CAPTURED {
            names.give(addr(n), "block.example", NamedBy::Capture);
        }
        assert_eq!(names.captures.len(), MAX_CAPTURED);
        assert!(names.captures.contains_key(&addr(0)) && !names.captures.contains_key(&addr(MAX_CAPTURED)));
    }

    #[test]
    fn the_lookup_of_the_name_that_was_asked_for_is_the_cause() {
        let mut names = Names::default();
        names.learn(naming(ALICE, "shop.example", 10));
        names.learn(naming(ALICE, "mail.example", 30));
        names.learn_asker(ALICE);
        let cause = |addr, at, asked| {
            names.cause(SERVER, Peer { addr, is_host: false, others: &[] }, Timestamp(at), asked)
        };
        let Cause::Lookup(lookup) = cause(ALICE, 45, Some("SHOP.example")) else { panic!("it was told") };
        assert_eq!((&*lookup.name, lookup.before.as_nanos()), ("shop.example", 35));
        assert_eq!((lookup.ttl, lookup.resolver.addr), (300, BOB));
        let Cause::Lookup(lookup) = cause(ALICE, 45, Some("other.example")) else { panic!("it was told") };
        assert_eq!((&*lookup.name, lookup.before.as_nanos()), ("mail.example", 15));
        assert_eq!(cause(ALICE, 5, None), Cause::NoneSeen);
        assert_eq!(cause(BOB, 45, None), Cause::Unknown, "nothing is known of Bob's lookups");
    }

    #[test]
    fn this_host_may_look_up_over_its_loopback_interface() {
        let mut names = Names::default();
        names.learn(naming(STUB, "shop.example", 10));
        let of = |is_host| names.of(SERVER, Peer { addr: ALICE, is_host, others: &[] }, Timestamp(20));
        assert!(of(true).is_some());
        assert_eq!(of(false), None);
    }

    #[test]
    fn a_host_is_one_whichever_of_its_addresses_asks() {
        let mut names = Names::default();
        names.learn(naming(ALICE, "shop.example", 10));
        names.learn(naming(BOB, "blog.example", 15));
        names.learn_asker(ALICE);
        let six: IpAddr = "2001:db8::1".parse().unwrap();
        let both = [ALICE, six];
        let peer = |others| Peer { addr: six, is_host: false, others };
        let of = |others| names.of(SERVER, peer(others), Timestamp(20)).map(|called| called.name.to_string());
        assert_eq!(of(&both).as_deref(), Some("shop.example"));
        assert_eq!(of(&[]), None);
        let cause = |others, at| names.cause(SERVER, peer(others), Timestamp(at), None);
        assert_eq!(cause(&both, 5), Cause::NoneSeen);
        assert_eq!(cause(&[], 5), Cause::Unknown);
        assert!(matches!(cause(&both, 20), Cause::Lookup(_)));
    }

    #[test]
    fn the_oldest_reverse_name_makes_room_and_is_told() {
        let mut names = Names::default();
        let addr = |n: usize| IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + n as u32));
        let mut give = |n| names.give(addr(n), "reverse.example", NamedBy::Reverse);
        assert!((0..MAX_REVERSE).all(|n| give(n).is_none()));
        assert_eq!(give(3), None, "it is known");
        assert_eq!(give(MAX_REVERSE), Some(addr(0)));
        assert_eq!(give(0), Some(addr(1)), "it may be found again");
        let of = |n| names.of(addr(n), Peer { addr: BOB, is_host: false, others: &[] }, Timestamp(0));
        assert!(of(0).is_some() && of(2).is_some());
        assert_eq!(of(1), None);
    }

    #[test]
    fn what_is_repeated_makes_room_for_what_is_not() {
        let mut names = Names::default();
        names.learn(naming(BOB, "blog.example", 1));
        for since in 2..100 {
            names.learn(naming(ALICE, "shop.example", since));
        }
        assert_eq!(named(&names, BOB, 100).map(|(name, _)| name).as_deref(), Some("blog.example"));
    }
}
