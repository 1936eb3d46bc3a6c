//! Every packet that passes an interface is counted, once, to the byte.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::lab::Lab;
use crate::program::{Running, counts, packets};
use crate::traffic::{exchange, ping, send, transfer, udp};

/// What the interface counted while `traffic` passed, against what the program says.
fn closes(lab: &Lab, (side, dev): (&str, &str), traffic: impl FnOnce()) -> crate::program::Run {
    let before = lab.counters(side, dev);
    let running = Running::start(lab, side, &format!("-i {dev}"));
    let started = lab.counters(side, dev);
    assert_eq!(started, before, "the namespace is quiet until the test speaks");
    traffic();
    let run = running.stop();
    let after = lab.counters(side, dev);
    let ledger = run.ledger(dev);
    assert_eq!(ledger["dropped"], 0);
    assert_eq!(counts(&ledger["kernel"]), (after.0 - before.0, after.1 - before.1), "{ledger}");
    assert_eq!(run.in_flows(), counts(&ledger["counted"]), "the flows are what was counted");
    run
}

fn bytes(flow: &serde_json::Value) -> (u64, u64) {
    let of = |side: &str| flow[side]["bytes"].as_u64().unwrap();
    (of("source"), of("destination"))
}

/// UDP, TCP and ICMP between two addresses, each counted to the byte.
fn talk(lab: &Lab, dev: (&str, &str), (near, here): (&str, &str), (far, there): (&str, &str), header: u64) {
    let bracketed = |ip: &str, port: u16| {
        if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
    };
    let mut from = None;
    let run = closes(lab, dev, || {
        let (client, server) =
            (udp(lab, near, &bracketed(here, 7001)), udp(lab, far, &bracketed(there, 7000)));
        exchange(&client, &server, 200, 400);
        from = Some(transfer(lab, near, (far, &bracketed(there, 7002)), 500_000));
        ping(lab, near, there, 10);
    });
    let ends = |here, there| [lab.at(&bracketed(here, 7001)), lab.at(&bracketed(there, 7000))];
    let flow = run.flow("udp", ends(here, there));
    assert_eq!(packets(flow), (200, 200));
    assert_eq!(bytes(flow), (200 * (400 + 8 + header), 200 * (200 + 8 + header)));
    let flow = run.flow("tcp", [from.unwrap(), lab.at(&bracketed(there, 7002))]);
    assert!(bytes(flow).0 > 500_000 && packets(flow).1 > 1, "{flow}");
    let echo = if header == 20 { "icmp" } else { "ipv6-icmp" };
    let flow = run.flow(echo, [lab.at(&bracketed(here, 0)), lab.at(&bracketed(there, 0))]);
    if here == there {
        // One address, one end: which of the two directions a packet has cannot be told from its addresses.
        assert_eq!(packets(flow).0 + packets(flow).1, 20);
    } else if header == 40 {
        // Whoever is asked for its link address, and tells it, does so by ICMPv6 too.
        assert!((10..15).contains(&packets(flow).0) && (10..15).contains(&packets(flow).1), "{flow}");
    } else {
        assert_eq!(packets(flow), (10, 10));
        assert_eq!(bytes(flow), (10 * (108 + header), 10 * (108 + header)));
    }
}

#[test]
fn root_veth_to_the_byte() {
    let Some(lab) = Lab::pair() else { return };
    talk(&lab, ("b", "vb"), ("a", "10.N.1.1"), ("b", "10.N.1.2"), 20);
}

#[test]
fn root_veth_to_the_byte_over_ipv6() {
    let Some(lab) = Lab::pair() else { return };
    lab.add_v6("a", "va", "fd00:N:1::1/64");
    lab.add_v6("b", "vb", "fd00:N:1::2/64");
    // What an interface says of itself when it comes up is said by then.
    std::thread::sleep(Duration::from_secs(3));
    talk(&lab, ("a", "va"), ("a", "fd00:N:1::1"), ("b", "fd00:N:1::2"), 40);
}

#[test]
fn root_loopback_once_and_to_the_byte() {
    let Some(lab) = Lab::new(&["a"]) else { return };
    talk(&lab, ("a", "lo"), ("a", "127.0.0.1"), ("a", "127.0.0.1"), 20);
}

/// The counting filter keeps interfaces in 4096 places, by number: loopback's is never another's.
#[test]
fn root_loopback_counts_once_beside_an_interface_of_a_large_number() {
    let Some(lab) = Lab::new(&["a"]) else { return };
    lab.ip("a", "link add x0 index 4097 type veth peer name y0 index 5000");
    let running = Running::start(&lab, "a", "");
    ping(&lab, "a", "127.0.0.1", 20);
    let run = running.stop();
    let ledger = run.ledger("lo");
    assert_eq!(counts(&ledger["counted"]), counts(&ledger["kernel"]), "{ledger}");
    assert_eq!(counts(&ledger["counted"]).0, 40);
}

#[test]
fn root_loopback_once_and_to_the_byte_over_ipv6() {
    let Some(lab) = Lab::new(&["a"]) else { return };
    lab.add_v6("a", "lo", "fd00:N:1::1/128");
    talk(&lab, ("a", "lo"), ("a", "::1"), ("a", "::1"), 40);
}

/// Not only one interface at a time: each has an account, and each closes.
#[test]
fn root_every_interface_has_its_account() {
    let Some(lab) = Lab::pair() else { return };
    let before = ["lo", "vb"].map(|dev| lab.counters("b", dev));
    let running = Running::start(&lab, "b", "");
    let server = udp(&lab, "b", "10.N.1.2:7000");
    exchange(&udp(&lab, "a", "10.N.1.1:7001"), &server, 30, 100);
    exchange(&udp(&lab, "b", "127.0.0.1:7001"), &udp(&lab, "b", "127.0.0.1:7000"), 50, 100);
    let run = running.stop();
    for (dev, before) in ["lo", "vb"].into_iter().zip(before) {
        let after = lab.counters("b", dev);
        assert_eq!(counts(&run.ledger(dev)["kernel"]), (after.0 - before.0, after.1 - before.1), "{dev}");
    }
    assert_eq!(counts(&run.ledger("lo")["counted"]).0, 100);
    assert_eq!(counts(&run.ledger("vb")["counted"]).0, 60);
    assert!(counts(&run.ledger("vb")["not_ip"]).0 >= 2, "ARP");
}

/// Packets pass while it begins and while it ends: the interface's account and the ring's are of the same ones.
/// What an interface that segments by itself is given whole passes whole.
#[test]
fn root_segments_that_are_put_off() {
    let Some(lab) = Lab::pair() else { return };
    for (side, dev) in [("a", "va"), ("b", "vb")] {
        lab.exec(side, &format!("ethtool -K {dev} tso on gso on gro on"));
    }
    let mut from = None;
    let run =
        closes(&lab, ("b", "vb"), || from = Some(transfer(&lab, "a", ("b", "10.N.1.2:7002"), 20_000_000)));
    let flow = run.flow("tcp", [from.unwrap(), lab.at("10.N.1.2:7002")]);
    let (packets, bytes) = (packets(flow).0, bytes(flow).0);
    assert!(bytes > 20_000_000 && bytes / packets > 1500, "{flow}");
}

/// Both directions of a flow are one worker's; all of them are added up.
#[test]
fn root_several_workers() {
    let Some(lab) = Lab::pair() else { return };
    let running = Running::start(&lab, "b", "--workers 3");
    let server = udp(&lab, "b", "10.N.1.2:7000");
    let clients: Vec<_> = (7100..7132).map(|port| udp(&lab, "a", &format!("10.N.1.1:{port}"))).collect();
    for client in &clients {
        exchange(client, &server, 10, 100);
    }
    let run = running.stop();
    for client in &clients {
        let flow = run.flow("udp", [client.local_addr().unwrap(), lab.at("10.N.1.2:7000")]);
        assert_eq!(packets(flow), (10, 10));
    }
    assert_eq!(counts(&run.ledger("vb")["counted"]).0, 640);
}

#[test]
fn root_the_account_closes_amid_traffic() {
    let Some(lab) = Lab::pair() else { return };
    let (client, server) = (udp(&lab, "a", "10.N.1.1:7001"), udp(&lab, "b", "10.N.1.2:7000"));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                send(&client, &server, 8);
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        let _over = Over(&over);
        for words in ["", "-i vb", "", "--workers 2", "--workers 3"] {
            let running = Running::start(&lab, "b", words);
            std::thread::sleep(Duration::from_millis(300));
            let run = running.stop();
            let ledger = run.ledger("vb");
            assert!(counts(&ledger["counted"]).0 > 1000, "{ledger}");
        }
    });
}

/// Sets it in the end, and be it a panic's.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
