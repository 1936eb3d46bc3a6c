//! Datagrams of flows that nobody reads any more: the kernel counts them, and nothing that is told differs.

use std::net::{SocketAddr, SocketAddrV4};
use std::thread::sleep;
use std::time::Duration;

use crate::lab::Lab;
use crate::program::{Run, Running, counts, packets, path};
use crate::sys::{RawSender, within};
use crate::traffic::{bulk, exchange, frame, udp};

const INTERVAL: Duration = Duration::from_secs(1);

/// Datagrams of an interface that the kernel counted so; its account closes to the byte.
fn settled(run: &Run, interface: &str) -> u64 {
    counts(&run.ledger(interface)["settled"]).0
}

#[test]
fn root_settled_flows_are_counted_to_the_byte() {
    const BURST: usize = 400;
    let Some(lab) = Lab::pair() else { return };
    lab.add_v6("a", "va", "fd00:N:1::1/64");
    lab.add_v6("b", "vb", "fd00:N:1::2/64");
    for words in ["-i vb -t 1", "-t 1 --workers 2"] {
        let running = Running::start(&lab, "b", words);
        let ends = [("10.N.1.1:7001", "10.N.1.2:7000"), ("[fd00:N:1::1]:7001", "[fd00:N:1::2]:7000")];
        for (here, there) in ends {
            let (client, server) = (udp(&lab, "a", here), udp(&lab, "b", there));
            for _ in 0..3 {
                exchange(&client, &server, BURST, 100);
                sleep(INTERVAL);
            }
        }
        let run = running.stop();
        assert!(settled(&run, "vb") > 4 * BURST as u64, "{words}: {}", run.ledger("vb"));
        for ((here, there), header) in ends.into_iter().zip([28, 48]) {
            let flow = run.flow("udp", [lab.at(here), lab.at(there)]);
            assert_eq!(packets(flow), (3 * BURST as u64, 3 * BURST as u64), "{words}: {flow}");
            assert_eq!(flow["source"]["bytes"], 3 * BURST * (100 + header), "{words}: {flow}");
            assert_eq!(flow["destination"]["bytes"], 3 * BURST * (50 + header), "{words}: {flow}");
            let duration = flow["event"]["duration"].as_f64().unwrap();
            assert!(duration > 2e9, "from the first to the last one, that is settled: {flow}");
        }
        assert!(!run.stdout.contains("Counted in kernel"), "the ring had room: {}", run.stdout);
    }
}

/// Data and acknowledgements of a stream are counted by the kernel; what is told of the connection is what is told where all of
/// it is read, also of what was sent again. Whether segments are split before they pass or later.
#[test]
fn root_a_stream_settles() {
    let Some(lab) = Lab::pair() else { return };
    for offloads in ["off", "on"] {
        for (side, dev) in [("a", "va"), ("b", "vb")] {
            lab.exec(side, &format!("ethtool -K {dev} tso {offloads} gso {offloads} gro {offloads}"));
        }
        let running = ["-i vb -t 1", "-i vb -t 1 --no-bpf"].map(|words| Running::start(&lab, "b", words));
        let from = bulk(&lab, "a", ("b", "10.N.1.2:7000"), || sleep(3 * INTERVAL));
        sleep(INTERVAL);
        let [counts, reads] = running.map(Running::stop);
        let [ours, theirs] = [&counts, &reads].map(|run| run.flow("tcp", [from, lab.at("10.N.1.2:7000")]));
        let (sent, acknowledged) = packets(ours);
        let settled = settled(&counts, "vb");
        assert!(2 * settled > sent + acknowledged, "{offloads}: {settled} of {sent} + {acknowledged}");
        let mean = ours["source"]["bytes"].as_u64().unwrap() / sent;
        assert_eq!(mean > 1500, offloads == "on", "{mean}");
        for end in ["source", "destination"] {
            assert_eq!(ours[end], theirs[end]);
        }
        let [ours, theirs] = [ours, theirs].map(|flow| &flow["sockethound"]["tcp"]);
        for fact in ["state", "history", "retransmits"] {
            assert_eq!(ours[fact], theirs[fact], "{offloads}");
        }
        assert_eq!(counts.in_flows(), counts.in_ledgers());
    }
}

/// A lookup between the datagrams of a flow that has settled, at a port that is nobody's.
#[test]
fn root_a_lookup_in_a_settled_flow_is_read() {
    let Some(lab) = Lab::pair() else { return };
    let (client, server) = (udp(&lab, "a", "10.N.1.1:7001"), udp(&lab, "b", "10.N.1.2:7000"));
    let running = Running::start(&lab, "b", "-i vb -t 1");
    for _ in 0..2 {
        exchange(&client, &server, 200, 100);
        sleep(INTERVAL);
    }
    let query =
        [&[0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], &b"\x04late\x07example\0\0\x01\0\x01"[..]].concat();
    client.send_to(&query, server.local_addr().unwrap()).unwrap();
    let (_, _) = server.recv_from(&mut [0; 512]).unwrap();
    let run = running.stop();
    assert!(settled(&run, "vb") > 200, "{}", run.ledger("vb"));
    let asked = run.records.iter().any(|record| record["dns"]["question"][0]["name"] == "late.example");
    assert!(asked, "{:?}", run.records);
    let flow = run.flow("udp", [lab.at("10.N.1.1:7001"), lab.at("10.N.1.2:7000")]);
    assert_eq!(packets(flow), (401, 400));
}

/// A flow that has settled on a bridge and one of its ports comes in by another port from then on: each packet counts once,
/// though only the kernel sees which ones pass both.
#[test]
fn root_a_settled_flow_that_changes_its_way_counts_once() {
    const BURST: u16 = 500;
    let Some(lab) = Lab::bridged() else { return };
    let senders = ["va0", "va1"].map(|dev| within(&lab.path("a"), || RawSender::open(dev)));
    let [from, to]: [SocketAddrV4; 2] = ["10.9.9.1:7001", "10.9.9.9:7000"].map(|end| end.parse().unwrap());
    let running = Running::start(&lab, "b", "-t 1");
    let mut id = 0;
    for sender in [&senders[0], &senders[0], &senders[1], &senders[1], &senders[1]] {
        for _ in 0..BURST {
            id += 1;
            let mut frame = frame(from, to, id, false);
            frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
            sender.send(&frame);
        }
        sleep(INTERVAL);
    }
    let run = running.stop();
    let flow = run.flow("udp", [SocketAddr::V4(from), SocketAddr::V4(to)]);
    assert_eq!(packets(flow), (u64::from(id), 0), "{flow}");
    assert_eq!(path(flow).len(), 3, "{flow}");
    let of_bridge = |r: &&serde_json::Value| r["kind"] == "ledger" && r["sockethound"]["interface"] == "br0";
    let bridge = run.records.iter().find(of_bridge).unwrap();
    assert!(counts(&bridge["sockethound"]["settled"]).0 > 3 * u64::from(BURST), "{bridge}");
}
