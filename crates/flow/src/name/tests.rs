use std::net::Ipv4Addr;

use dissect::Endpoint;

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
