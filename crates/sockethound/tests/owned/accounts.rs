//! What processes' sockets sent and received, counted in the kernel: held against the interface's own counters and those of
//! the network namespace, also where the ring has lost packets.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::kinds::settle;
use crate::lab::Lab;
use crate::program::{Run, Running, counts, end};
use crate::user::User;

const ETHERNET: u64 = 14;

/// The account of the process of this name; there is one.
fn account<'a>(run: &'a Run, name: &str) -> &'a Value {
    let of_it = |r: &&Value| r["kind"] == "process" && r["process"]["name"] == name;
    let found: Vec<_> = run.records.iter().filter(of_it).collect();
    assert_eq!(found.len(), 1, "{name}: {found:#?}");
    &found[0]["sockethound"]
}

fn both(account: &Value) -> (u64, u64) {
    let (sent, received) = (counts(&account["sent"]), counts(&account["received"]));
    (sent.0 + received.0, sent.1 + received.1)
}

/// A counter of a network namespace (`/proc/net/snmp`).
fn counted(lab: &Lab, side: &str, protocol: &str, name: &str) -> u64 {
    let text = lab.within(side, || fs::read_to_string("/proc/thread-self/net/snmp").unwrap());
    let prefix = format!("{protocol}: ");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(&prefix));
    let (names, numbers) = (lines.next().unwrap(), lines.next().unwrap());
    let at = names.split(' ').position(|n| n == name).unwrap();
    numbers.split(' ').nth(at).unwrap().parse().unwrap()
}

/// A receiver, and a sender that knows its neighbour: nothing else passes for half a minute.
fn receiver(lab: &Lab, user: &User) -> crate::user::Server {
    let server = user.serve(lab, "b", "the-receiver", "deaf 10.N.1.2 0");
    user.run(lab, "a", "the-first", &format!("udp 10.N.1.2 {}", server.port));
    server
}

/// Packets that only the kernel counted, since the ring was full, are in the process's account and in the flow's.
#[test]
fn root_bytes_of_a_process_and_of_its_flow_where_the_ring_is_full() {
    const SENT: u64 = 40_000;
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    let server = receiver(&lab, &user);
    let before = lab.counters("a", "va");
    let running = Running::start(&lab, "a", "-i va --ring 1");
    running.signal(Signal::STOP);
    let words = format!("flood 10.N.1.2 {} {SENT} 100", server.port);
    let made = user.run(&lab, "a", "the-sender", &words);
    running.signal(Signal::CONT);
    settle();
    let run = running.stop();
    let after = lab.counters("a", "va");
    let (packets, frames) = (after.0 - before.0, after.1 - before.1);
    assert_eq!((packets, frames - ETHERNET * packets), (SENT, SENT * 128), "nobody else sends");
    let ledger = run.ledger("va");
    assert!(
        counts(&ledger["in_kernel"]).0 > SENT / 4,
        "the ring had room: the test forces nothing: {ledger}"
    );
    let account = account(&run, "the-sender");
    assert_eq!(both(account), (SENT, SENT * 128), "{account}");
    assert_eq!(counts(&account["in_flows"]), (SENT, SENT * 128), "{account}");
    assert_eq!(counts_signed(&account["difference"]), (0, 0));
    let flow = run.flows().find(|flow| end(&flow["source"]).port() == made[0].port).unwrap();
    assert_eq!(
        (&flow["network"]["packets"], &flow["network"]["bytes"]),
        (&SENT.into(), &(SENT * 128).into())
    );
    assert_eq!(flow["process"]["name"], "the-sender");
    // The receiver's are elsewhere.
    let said = format!("Sockets: {SENT} packets, 4.88 MB; in flows {SENT}, 4.88 MB; no difference");
    assert!(run.stdout.contains(&said), "{}", run.stdout);
}

/// What sockets send that are known to go on is counted apart: it is whoever's it was, and nothing is lost, whether sockets change
/// hands, are connected anew, closed, or stand in one another's place. Accounts are read meanwhile.
#[test]
fn root_bytes_of_sockets_that_go_on() {
    const EACH: u64 = 3000;
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    let server = receiver(&lab, &user);
    let before = lab.counters("a", "va");
    let running = Running::start(&lab, "a", "-i va -t 1");
    user.run(&lab, "a", "the-parent", &format!("turns 10.N.1.2 {} {EACH}", server.port));
    settle();
    let run = running.stop();
    let after = lab.counters("a", "va");
    let sent = |name| counts(&account(&run, name)["sent"]);
    assert_eq!(sent("the-parent"), (6 * EACH, 6 * EACH * 128));
    assert_eq!(sent("the-child"), (EACH, EACH * 128));
    assert_eq!(after.0 - before.0, 7 * EACH, "nobody else sends");
    let flows: Vec<_> = run.flows().filter(|flow| end(&flow["destination"]).port() == server.port).collect();
    assert_eq!(flows.len(), 4);
    for flow in flows {
        let name = &flow["process"]["name"];
        assert!(name == "the-parent" || name == "the-child", "{flow:#}");
    }
}

fn counts_signed(value: &Value) -> (i64, i64) {
    (value["packets"].as_i64().unwrap(), value["bytes"].as_i64().unwrap())
}

/// Where the kernel does not count what the ring has no room for, packets are dropped: a process's account has them all the
/// same, and the difference is what was dropped.
#[test]
fn root_bytes_of_a_process_where_the_ring_drops() {
    const SENT: u64 = 40_000;
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    let server = receiver(&lab, &user);
    let before = lab.counters("a", "va");
    let running = Running::start(&lab, "a", "-i va --ring 1 --drop-when-late");
    running.signal(Signal::STOP);
    let made = user.run(&lab, "a", "the-sender", &format!("flood 10.N.1.2 {} {SENT} 100", server.port));
    running.signal(Signal::CONT);
    settle();
    let run = running.stop();
    let after = lab.counters("a", "va");
    assert_eq!(
        (after.0 - before.0, after.1 - before.1),
        (SENT, SENT * (128 + ETHERNET)),
        "nobody else sends"
    );
    let dropped = run.ledger("va")["dropped"].as_u64().unwrap();
    assert!(dropped > SENT / 4, "the ring dropped {dropped}: the test forces nothing: {}", run.stderr);
    let account = account(&run, "the-sender");
    assert_eq!(both(account), (SENT, SENT * 128), "{account}");
    let missing = dropped as i64;
    assert_eq!(counts_signed(&account["difference"]), (missing, missing * 128), "{account}");
    let flow = run.flows().find(|flow| end(&flow["source"]).port() == made[0].port).unwrap();
    assert_eq!(flow["network"]["packets"], SENT - dropped);
    assert!(run.stdout.contains(&format!("difference {dropped}, ")), "{}", run.stdout);
}

/// Segments that are lost on the way are sent again: as many as the namespace counts, and the process's alone.
#[test]
fn root_retransmits_of_a_process() {
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    let lossy = user.serve(&lab, "b", "the-lossy", "drains 10.N.1.2 0");
    let clean = user.serve(&lab, "b", "the-clean", "drains 10.N.1.2 0");
    lab.exec("b", "nft add table inet lossy");
    lab.exec("b", "nft add chain inet lossy in { type filter hook input priority 0 ; }");
    let rule = format!("tcp dport {} numgen inc mod 20 == 7 drop", lossy.port);
    lab.exec("b", &format!("nft add rule inet lossy in {rule}"));
    let running = Running::start(&lab, "a", "-i va");
    let before = counted(&lab, "a", "Tcp", "RetransSegs");
    user.run(&lab, "a", "loses", &format!("stream 10.N.1.2 {} 2000000", lossy.port));
    let again = counted(&lab, "a", "Tcp", "RetransSegs") - before;
    user.run(&lab, "a", "loses-nothing", &format!("stream 10.N.1.2 {} 2000000", clean.port));
    settle();
    let run = running.stop();
    assert!(again > 10, "{again}: the test forces nothing");
    assert_eq!(account(&run, "loses")["retransmits"], again);
    assert_eq!(
        account(&run, "loses-nothing")["retransmits"],
        counted(&lab, "a", "Tcp", "RetransSegs") - before - again
    );
    // What the socket sends at once is split before it passes the interface: each further one has headers of 52 bytes.
    let clean = account(&run, "loses-nothing");
    let (packets, bytes) = counts_signed(&clean["difference"]);
    assert!(packets < 0 && bytes == packets * 52, "{clean}");
}

/// Datagrams that a receiver has no room for are its own, and are counted by the namespace, too.
#[test]
fn root_drops_of_a_receiver() {
    const SENT: u64 = 2000;
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    let server = receiver(&lab, &user);
    let running = Running::start(&lab, "b", "-i vb");
    let before = counted(&lab, "b", "Udp", "RcvbufErrors");
    user.run(&lab, "a", "the-sender", &format!("flood 10.N.1.2 {} {SENT} 100", server.port));
    settle();
    let run = running.stop();
    let lost = counted(&lab, "b", "Udp", "RcvbufErrors") - before;
    assert!(lost > SENT / 2, "{lost}: the test forces nothing");
    let account = account(&run, "the-receiver");
    assert_eq!((counts(&account["received"]), &account["receive_drops"]), ((SENT, SENT * 128), &lost.into()));
    assert_eq!(counts_signed(&account["difference"]), (0, 0), "{account}");
}

/// What a socket has dropped is counted also where it ends before anybody asks.
#[test]
fn root_drops_of_a_receiver_that_ends() {
    const SENT: u64 = 2000;
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    let running = Running::start(&lab, "b", "-i vb");
    let server = receiver(&lab, &user);
    let before = counted(&lab, "b", "Udp", "RcvbufErrors");
    user.run(&lab, "a", "the-sender", &format!("flood 10.N.1.2 {} {SENT} 100", server.port));
    let lost = counted(&lab, "b", "Udp", "RcvbufErrors") - before;
    drop(server);
    settle();
    let run = running.stop();
    assert!(lost > SENT / 2, "{lost}: the test forces nothing");
    assert_eq!(account(&run, "the-receiver")["receive_drops"], lost);
}

/// A connection that is open has the round-trip time that the kernel knows, and `-g` shows it.
#[test]
fn root_round_trips_of_what_is_open() {
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    let server = user.serve(&lab, "b", "the-server", "sink 10.N.1.2 0");
    let running = Running::start(&lab, "a", "-i va -g");
    let held = lab
        .within("a", || std::net::TcpStream::connect(lab.at(&format!("10.N.1.2:{}", server.port))).unwrap());
    settle();
    let run = running.stop();
    drop(held);
    let of_us = |r: &&Value| r["kind"] == "process" && r["process"]["pid"] == std::process::id();
    let ours = &run.records.iter().find(of_us).unwrap()["sockethound"];
    assert!(ours["connections"].as_u64() >= Some(1) && ours["rtt_us"].as_u64() > Some(0), "{ours}");
    assert!(run.stdout.contains("retrans  drops"), "{}", run.stdout);
}

/// Each of many connections tells its round-trip time, also those at which the kernel's room for a piece of the list (32 KiB,
/// 1,024 of them) is full.
#[test]
fn root_round_trips_of_more_than_fit_at_once() {
    const PAIRS: u64 = 1500;
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    let running = Running::start(&lab, "a", "-i lo");
    let held = user.serve(&lab, "a", "the-crowd", &format!("crowd 10.N.1.1 0 {PAIRS}"));
    settle();
    let run = running.stop();
    drop(held);
    assert_eq!(account(&run, "the-crowd")["connections"], 2 * PAIRS);
}
