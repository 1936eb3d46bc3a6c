//! Flows whose packets take several ways: what passes on one and not on the other is added up, what passes on both counts
//! once.

use std::net::SocketAddrV4;
use std::time::Duration;

use crate::lab::Lab;
use crate::program::{Running, counts, packets, path};
use crate::sys::{RawSender, within};
use crate::traffic::{exchange, frame, send, udp};

/// Two links between `a` and `b`, with one more address each on the loopback to talk from.
fn two_links() -> Option<Lab> {
    let lab = Lab::new(&["a", "b"])?;
    for (link, net) in [("1", 1), ("2", 2)] {
        lab.join(
            ("a", &format!("va{link}"), &format!("10.N.{net}.1/24")),
            ("b", &format!("vb{link}"), &format!("10.N.{net}.2/24")),
        );
    }
    for (side, own) in [("a", 1), ("b", 2)] {
        lab.ip(side, &format!("addr add 10.N.9.{own}/32 dev lo"));
        lab.sysctl(side, "net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0");
        for link in [1, 2] {
            lab.sysctl(side, &format!("net.ipv4.conf.v{side}{link}.rp_filter=0"));
        }
    }
    Some(lab)
}

#[test]
fn root_requests_and_answers_on_two_ways_are_one_flow() {
    let Some(lab) = two_links() else { return };
    lab.ip("a", "route add 10.N.9.2/32 via 10.N.1.2 src 10.N.9.1");
    lab.ip("b", "route add 10.N.9.1/32 via 10.N.2.1 src 10.N.9.2");
    let running = Running::start(&lab, "b", "");
    exchange(&udp(&lab, "a", "10.N.9.1:7001"), &udp(&lab, "b", "10.N.9.2:7000"), 50, 100);
    let run = running.stop();
    let flow = run.flow("udp", [lab.at("10.N.9.1:7001"), lab.at("10.N.9.2:7000")]);
    assert_eq!(packets(flow), (50, 50));
    assert_eq!(path(flow), ["vb1", "vb2"]);
    for dev in ["vb1", "vb2"] {
        run.ledger(dev);
    }
}

/// The route changes on the way: what came by one link did not come by the other.
#[test]
fn root_a_direction_that_changes_its_way_is_added_up() {
    let Some(lab) = two_links() else { return };
    lab.ip("a", "route add 10.N.9.2/32 via 10.N.1.2 src 10.N.9.1");
    lab.ip("b", "route add 10.N.9.1/32 via 10.N.2.1 src 10.N.9.2");
    let (client, server) = (udp(&lab, "a", "10.N.9.1:7001"), udp(&lab, "b", "10.N.9.2:7000"));
    let running = Running::start(&lab, "b", "");
    send(&client, &server, 60);
    lab.ip("a", "route replace 10.N.9.2/32 via 10.N.2.2 src 10.N.9.1");
    send(&client, &server, 40);
    let run = running.stop();
    let flow = run.flow("udp", [lab.at("10.N.9.1:7001"), lab.at("10.N.9.2:7000")]);
    assert_eq!(packets(flow), (100, 0));
    assert_eq!(path(flow), ["vb1", "vb2"]);
}

/// Packets that say always the same, and have no number: what passes one link seconds after the other is not it again.
#[test]
fn root_what_repeats_itself_is_added_up() {
    let Some(lab) = two_links() else { return };
    lab.ip("a", "route add 10.N.9.2/32 via 10.N.1.2 src 10.N.9.1");
    let (client, server) = (udp(&lab, "a", "10.N.9.1:7001"), udp(&lab, "b", "10.N.9.2:7000"));
    let beat = || {
        for _ in 0..10 {
            client.send_to(b"alive", server.local_addr().unwrap()).unwrap();
            server.recv(&mut [0; 9]).unwrap();
        }
    };
    let running = Running::start(&lab, "b", "");
    beat();
    std::thread::sleep(Duration::from_millis(2500));
    lab.ip("a", "route replace 10.N.9.2/32 via 10.N.2.2 src 10.N.9.1");
    beat();
    let run = running.stop();
    let flow = run.flow("udp", [lab.at("10.N.9.1:7001"), lab.at("10.N.9.2:7000")]);
    assert_eq!(packets(flow), (20, 0));
}

/// Flows over two equal routes: each keeps to one, and none is lost or doubled.
#[test]
fn root_equal_routes_lose_and_double_nothing() {
    let Some(lab) = two_links() else { return };
    lab.ip("a", "route add 10.N.9.2/32 src 10.N.9.1 nexthop via 10.N.1.2 nexthop via 10.N.2.2");
    lab.ip("b", "route add 10.N.9.1/32 src 10.N.9.2 nexthop via 10.N.1.1 nexthop via 10.N.2.1");
    for side in ["a", "b"] {
        lab.sysctl(side, "net.ipv4.fib_multipath_hash_policy=1");
    }
    let running = Running::start(&lab, "b", "");
    let server = udp(&lab, "b", "10.N.9.2:7000");
    for port in 7100..7116 {
        exchange(&udp(&lab, "a", &format!("10.N.9.1:{port}")), &server, 10, 100);
    }
    let run = running.stop();
    for port in 7100..7116 {
        let flow = run.flow("udp", [lab.at(&format!("10.N.9.1:{port}")), lab.at("10.N.9.2:7000")]);
        assert_eq!(packets(flow), (10, 10));
    }
    let of = |dev: &str| counts(&run.ledger(dev)["counted"]).0;
    assert_eq!(of("vb1") + of("vb2"), 320);
    assert!(of("vb1") > 0 && of("vb2") > 0);
}

/// One direction packet by packet on two links, as bonds send it; then the same packets on both.
#[test]
fn root_what_is_split_is_added_and_what_is_doubled_is_not() {
    let Some(lab) = two_links() else { return };
    let v4 = |end: &str| -> SocketAddrV4 { lab.filled(end).parse().unwrap() };
    let split = |id| frame(v4("10.N.8.1:7001"), v4("10.N.9.2:7000"), id, false);
    let doubled = |id| frame(v4("10.N.8.2:7001"), v4("10.N.9.2:7000"), id, false);
    let running = Running::start(&lab, "b", "");
    let [one, two] = ["va1", "va2"].map(|dev| within(&lab.path("a"), || RawSender::open(dev)));
    for id in 0..200 {
        let on = if id % 2 == 0 { &one } else { &two };
        on.send(&split(id));
        one.send(&doubled(id));
        two.send(&doubled(id));
    }
    let run = running.stop();
    let flow = run.flow("udp", [lab.at("10.N.8.1:7001"), lab.at("10.N.9.2:7000")]);
    assert_eq!(packets(flow), (200, 0));
    assert_eq!(path(flow), ["vb1", "vb2"]);
    let flow = run.flow("udp", [lab.at("10.N.8.2:7001"), lab.at("10.N.9.2:7000")]);
    assert_eq!(packets(flow), (200, 0));
    assert_eq!(path(flow), ["vb1", "vb2"]);
    for dev in ["vb1", "vb2"] {
        assert_eq!(counts(&run.ledger(dev)["counted"]).0, 300);
    }
}
