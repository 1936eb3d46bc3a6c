//! The same packets on several interfaces, above and beside each other, are one flow, counted once.

use std::time::Duration;

use crate::lab::Lab;
use crate::program::{Running, counts, packets, path};
use crate::sys::{Tun, within};
use crate::traffic::{bulk, exchange, transfer, udp};

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
            std::thread::sleep(Duration::from_millis(1500));
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
