//! The same packets on several interfaces are one flow, counted once; other packets of it are added.

use std::net::SocketAddrV4;

use crate::lab::Lab;
use crate::program::{Running, counts, packets, path};
use crate::sys::{RawSender, Tun, within};
use crate::traffic::{bulk, exchange, frame, send, transfer, udp};

#[test]
fn root_a_bridge_and_its_ports_count_once() {
    let Some(lab) = Lab::new(&["a", "m", "b"]) else { return };
    lab.join(("a", "va", "10.N.1.1/24"), ("m", "pa", ""));
    lab.join(("b", "vb", "10.N.1.2/24"), ("m", "pb", ""));
    for words in [
        "link add br0 type bridge mcast_snooping 0",
        "link set pa master br0",
        "link set pb master br0",
        "addr add 10.N.1.3/24 dev br0",
        "link set br0 up",
    ] {
        lab.ip("m", words);
    }
    let running = Running::start(&lab, "m", "");
    // Across the bridge, and to the bridge's own address.
    exchange(&udp(&lab, "a", "10.N.1.1:7001"), &udp(&lab, "b", "10.N.1.2:7000"), 50, 100);
    exchange(&udp(&lab, "a", "10.N.1.1:7003"), &udp(&lab, "m", "10.N.1.3:7000"), 30, 100);
    let run = running.stop();
    let across = run.flow("udp", [lab.at("10.N.1.1:7001"), lab.at("10.N.1.2:7000")]);
    assert_eq!(packets(across), (50, 50));
    assert_eq!(path(across), ["pa", "pb"]);
    let own = run.flow("udp", [lab.at("10.N.1.1:7003"), lab.at("10.N.1.3:7000")]);
    assert_eq!(packets(own), (30, 30));
    assert_eq!(path(own), ["br0", "pa"]);
    run.ledger("pa");
    run.ledger("pb");
    run.ledger_of_packets("br0");
}

#[test]
fn root_a_router_counts_once() {
    let Some(lab) = Lab::routed() else { return };
    let running = Running::start(&lab, "r", "");
    exchange(&udp(&lab, "c", "10.N.1.1:7001"), &udp(&lab, "s", "10.N.2.1:7000"), 50, 100);
    let run = running.stop();
    let flow = run.flow("udp", [lab.at("10.N.1.1:7001"), lab.at("10.N.2.1:7000")]);
    assert_eq!(packets(flow), (50, 50));
    assert_eq!(path(flow), ["rc", "rs"]);
    assert_eq!(flow["source"]["bytes"], 50 * 128);
    run.ledger("rc");
    run.ledger("rs");
}

/// Neither has IPv6 numbers, nor do the pieces of a datagram have ports; segments may be put together on the way.
#[test]
fn root_a_router_counts_once_whatever_passes() {
    let Some(lab) = Lab::routed() else { return };
    for (side, dev, address) in [
        ("c", "vc", "fd00:N:1::1/64"),
        ("r", "rc", "fd00:N:1::fe/64"),
        ("r", "rs", "fd00:N:2::fe/64"),
        ("s", "vs", "fd00:N:2::1/64"),
    ] {
        lab.add_v6(side, dev, address);
        lab.exec(side, &format!("ethtool -K {dev} tso on gso on gro on"));
    }
    lab.ip("c", "-6 route add default via fd00:N:1::fe");
    lab.ip("s", "-6 route add default via fd00:N:2::fe");
    lab.sysctl("r", "net.ipv6.conf.all.forwarding=1");
    let running = Running::start(&lab, "r", "");
    exchange(&udp(&lab, "c", "[fd00:N:1::1]:7001"), &udp(&lab, "s", "[fd00:N:2::1]:7000"), 50, 100);
    exchange(&udp(&lab, "c", "10.N.1.1:7001"), &udp(&lab, "s", "10.N.2.1:7000"), 20, 8000);
    let [four, six] =
        ["10.N.2.1:7002", "[fd00:N:2::1]:7002"].map(|at| (transfer(&lab, "c", ("s", at), 5_000_000), at));
    let run = running.stop();
    let flow = run.flow("udp", [lab.at("[fd00:N:1::1]:7001"), lab.at("[fd00:N:2::1]:7000")]);
    assert_eq!((packets(flow), path(flow)), ((50, 50), vec!["rc", "rs"]));
    // 8008 bytes are six pieces, 4008 are three.
    let flow = run.flow("udp", [lab.at("10.N.1.1:7001"), lab.at("10.N.2.1:7000")]);
    assert_eq!((packets(flow), path(flow)), ((120, 60), vec!["rc", "rs"]));
    for (from, at) in [four, six] {
        let flow = run.flow("tcp", [from, lab.at(at)]);
        let bytes = flow["source"]["bytes"].as_u64().unwrap();
        assert!((5_000_000..5_600_000).contains(&bytes), "{flow}");
        assert_eq!(path(flow), ["rc", "rs"]);
    }
    run.ledger("rc");
    run.ledger("rs");
}

/// In full flight when the program begins: the two interfaces are never at the same packet.
#[test]
fn root_a_stream_from_before_counts_once() {
    let Some(lab) = Lab::routed() else { return };
    for offloads in ["off", "on"] {
        for (side, dev) in [("c", "vc"), ("r", "rc"), ("r", "rs"), ("s", "vs")] {
            lab.exec(side, &format!("ethtool -K {dev} tso {offloads} gso {offloads} gro {offloads}"));
        }
        let mut run = None;
        let from = bulk(&lab, "c", ("s", "10.N.2.1:7002"), || {
            let running = Running::start(&lab, "r", "");
            std::thread::sleep(std::time::Duration::from_millis(1500));
            run = Some(running.stop());
        });
        let run = run.unwrap();
        let flow = run.flow("tcp", [from, lab.at("10.N.2.1:7002")]);
        assert_eq!(path(flow), ["rc", "rs"]);
        let frames = |flow: &serde_json::Value| {
            let of = |name: &str| flow["sockethound"][name].as_u64().unwrap();
            of("source_frame_bytes") + of("destination_frame_bytes")
        };
        let all = ["rc", "rs"].map(|dev| counts(&run.ledger(dev)["counted"]).1);
        let (once, least, most) = (frames(flow), all[0].min(all[1]), all[0].max(all[1]));
        assert!(once >= least && once <= most + most / 20, "{once} bytes, of {all:?}");
    }
}

#[test]
fn root_a_tunnel_and_what_carries_it_count_once() {
    let Some(lab) = Lab::pair() else { return };
    for (side, dev, own, other) in [("a", "va", 1, 2), ("b", "vb", 2, 1)] {
        lab.ip(
            side,
            &format!("link add vx0 type vxlan id 42 dev {dev} local 10.N.1.{own} remote 10.N.1.{other} dstport 4789"),
        );
        lab.ip(side, &format!("addr add 10.N.7.{own}/24 dev vx0"));
        lab.ip(side, "link set vx0 up");
    }
    let running = Running::start(&lab, "b", "");
    exchange(&udp(&lab, "a", "10.N.7.1:7001"), &udp(&lab, "b", "10.N.7.2:7000"), 50, 100);
    let run = running.stop();
    let flow = run.flow("udp", [lab.at("10.N.7.1:7001"), lab.at("10.N.7.2:7000")]);
    assert_eq!(packets(flow), (50, 50));
    assert_eq!(path(flow), ["vb", "vx0"]);
    let tunnel = &flow["sockethound"]["tunnel"];
    assert!(tunnel.to_string().contains(r#""type":"vxlan""#), "{flow}");
    run.ledger("vb");
    run.ledger_of_packets("vx0");
}

#[test]
fn root_macvlan_and_what_is_below_it_count_once() {
    let Some(lab) = Lab::pair() else { return };
    lab.ip("b", "link add mv0 link vb type macvlan mode bridge");
    lab.ip("b", "addr add 10.N.1.3/24 dev mv0");
    lab.ip("b", "link set mv0 up");
    // Else the address may be answered for by the interface below.
    lab.sysctl(
        "b",
        "net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.vb.rp_filter=0 net.ipv4.conf.all.rp_filter=0",
    );
    lab.ip("b", "route del 10.N.1.0/24 dev vb");
    let running = Running::start(&lab, "b", "");
    exchange(&udp(&lab, "a", "10.N.1.1:7001"), &udp(&lab, "b", "10.N.1.3:7000"), 50, 100);
    let run = running.stop();
    let flow = run.flow("udp", [lab.at("10.N.1.1:7001"), lab.at("10.N.1.3:7000")]);
    assert_eq!(packets(flow), (50, 50));
    assert_eq!(path(flow), ["mv0", "vb"]);
    run.ledger("vb");
    run.ledger("mv0");
}

/// An interface without frames; the program behind it answers by turning the ends round.
#[test]
fn root_a_tun_device() {
    let Some(lab) = Lab::new(&["a"]) else { return };
    let mut tun = within(&lab.path("a"), || Tun::open("tun0"));
    lab.ip("a", "addr add 10.N.3.1/24 dev tun0");
    lab.ip("a", "link set tun0 up");
    let echo = std::thread::spawn(move || {
        for _ in 0..40 {
            let mut packet = tun.receive();
            packet[12..20].rotate_left(4);
            packet[20..24].rotate_left(2);
            tun.send(&packet);
        }
        tun
    });
    let before = lab.counters("a", "tun0");
    let running = Running::start(&lab, "a", "");
    let client = udp(&lab, "a", "10.N.3.1:7001");
    for _ in 0..40 {
        client.send_to(&[7; 100], lab.at("10.N.3.9:7000")).unwrap();
        client.recv(&mut [0; 100]).unwrap();
    }
    let run = running.stop();
    let after = lab.counters("a", "tun0");
    let flow = run.flow("udp", [lab.at("10.N.3.1:7001"), lab.at("10.N.3.9:7000")]);
    assert_eq!(packets(flow), (40, 40));
    assert_eq!(path(flow), ["tun0"]);
    let kernel = counts(&run.ledger("tun0")["kernel"]);
    assert_eq!(kernel, (after.0 - before.0, after.1 - before.1));
    assert_eq!(kernel, (80, 80 * 128));
    drop(echo.join().unwrap());
}

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
    std::thread::sleep(std::time::Duration::from_millis(2500));
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
