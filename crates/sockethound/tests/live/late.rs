//! A reader that is late loses nothing: what the ring has no room for, the kernel counts.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::lab::Lab;
use crate::program::{Run, Running, counts, end, packets};
use crate::sys::{RawSender, within};
use crate::traffic::{exchange, frame, ping, stranger, transfer, udp};

/// Flows that are sent at once.
const FLOWS: u32 = 50;
/// A frame of `frame`, without and with a SYN.
const DATAGRAM: u64 = 46;
const SYN: u64 = 54;

fn to() -> std::net::SocketAddrV4 {
    "10.9.9.9:7000".parse().unwrap()
}

/// One frame of each flow.
fn round(id: u16) -> Vec<Vec<u8>> {
    (0..FLOWS).map(|n| frame(stranger(n), to(), id, false)).collect()
}

/// What is in the flows of [`round`]: packets and frame bytes by source.
fn sent(run: &Run) -> BTreeMap<SocketAddr, (u64, u64)> {
    let ours = run.flows().filter(|flow| end(&flow["destination"]) == SocketAddr::V4(to()));
    let mut all = BTreeMap::new();
    for flow in ours {
        let bytes = flow["sockethound"]["source_frame_bytes"].as_u64().unwrap();
        let before = all.insert(end(&flow["source"]), (packets(flow).0, bytes));
        assert!(before.is_none(), "one record a flow: {flow}");
        assert_eq!(packets(flow).1, 0, "{flow}");
        assert_eq!(flow["source"]["bytes"], packets(flow).0 * 32, "IP bytes");
    }
    all
}

/// What the kernel counted of an interface, whose account closes to the byte.
fn in_kernel<'a>(run: &'a Run, interface: &str) -> (u64, &'a Value) {
    let ledger = run.ledger(interface);
    assert_eq!(ledger["dropped"], 0, "{ledger}");
    (ledger["in_kernel"]["packets"].as_u64().unwrap_or(0), ledger)
}

/// Packets come while the program is stopped, and while it catches up: flow by flow, all are counted.
#[test]
fn root_a_reader_that_is_stopped_loses_nothing() {
    const ROUNDS: u16 = 4000;
    let Some(lab) = Lab::pair() else { return };
    let sender = within(&lab.path("a"), || RawSender::open("va"));
    for words in ["-i vb --ring 1", "--ring 1", "--ring 4 --workers 2", "-i vb -i lo --ring 8"] {
        let before = lab.counters("b", "vb");
        let running = Running::start(&lab, "b", words);
        running.signal(Signal::STOP);
        for id in 0..ROUNDS {
            sender.send_all(&round(id));
        }
        // Blocks are closed, one after the other, when their time is over.
        for id in 0..100 {
            sender.send_all(&round(id));
            std::thread::sleep(Duration::from_millis(20));
        }
        running.signal(Signal::CONT);
        for id in 0..ROUNDS {
            sender.send_all(&round(id));
        }
        let run = running.stop();
        let after = lab.counters("b", "vb");
        let (late, ledger) = in_kernel(&run, "vb");
        assert!(late > u64::from(ROUNDS), "{words}: {ledger}");
        assert_eq!(counts(&ledger["kernel"]), (after.0 - before.0, after.1 - before.1), "{words}: {ledger}");
        assert_eq!(ledger["without_flow"], Value::Null, "{words}");
        let each = u64::from(ROUNDS) * 2 + 100;
        let flows = sent(&run);
        assert_eq!(flows.len(), FLOWS as usize, "{words}");
        assert!(flows.values().all(|sum| *sum == (each, each * DATAGRAM)), "{words}: {flows:?}");
        assert!(run.stdout.contains(&format!("Counted in kernel: {late} packets")), "{}", run.stdout);
        assert!(!run.stderr.contains("dropped"), "{}", run.stderr);
    }
}

/// Packets of one flow that come in by turns on two interfaces and all pass a third, as with a bond: though the ring has
/// none of them, they count once.
#[test]
fn root_what_is_spread_over_two_interfaces_counts_once() {
    const ROUNDS: u16 = 2000;
    let Some(lab) = Lab::bridged() else { return };
    let senders = ["va0", "va1"].map(|dev| within(&lab.path("a"), || RawSender::open(dev)));
    let running = Running::start(&lab, "b", "--ring 1");
    running.signal(Signal::STOP);
    // Until the ring is full.
    (0..500).for_each(|id| senders[0].send_all(&round(id)));
    let from = stranger(FLOWS);
    for id in 0..ROUNDS {
        for (sender, id) in senders.iter().zip([2 * id, 2 * id + 1]) {
            let mut frame = frame(from, to(), id, false);
            frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
            sender.send(&frame);
        }
    }
    running.signal(Signal::CONT);
    let run = running.stop();
    for interface in ["vb0", "vb1", "br0"] {
        // A bridge itself counts no Ethernet headers.
        let of_it = |r: &&Value| r["kind"] == "ledger" && r["sockethound"]["interface"] == interface;
        let ledger = &run.records.iter().find(of_it).unwrap()["sockethound"];
        assert!(counts(&ledger["in_kernel"]).0 >= u64::from(ROUNDS), "the ring had room: {ledger}");
    }
    let flow = run.flow("udp", [SocketAddr::V4(from), SocketAddr::V4(to())]);
    assert_eq!(packets(flow), (2 * u64::from(ROUNDS), 0), "{flow}");
    let path = flow["sockethound"]["path"].as_array().unwrap();
    assert_eq!(path.len(), 3, "{flow}");
}

/// Real connections while the program is stopped: their bytes, both directions, and how they ended.
#[test]
fn root_connections_of_which_the_ring_has_nothing() {
    let Some(lab) = Lab::pair() else { return };
    lab.add_v6("a", "va", "fd00:N:1::1/64");
    lab.add_v6("b", "vb", "fd00:N:1::2/64");
    let (near, far) = (udp(&lab, "a", "10.N.1.1:7001"), udp(&lab, "b", "10.N.1.2:7000"));
    std::thread::sleep(Duration::from_secs(3));
    let sender = within(&lab.path("a"), || RawSender::open("va"));
    let before = lab.counters("b", "vb");
    let running = Running::start(&lab, "b", "-i vb --ring 1");
    running.signal(Signal::STOP);
    // Until the ring is full.
    (0..500).for_each(|id| sender.send_all(&round(id)));
    exchange(&near, &far, 300, 400);
    let v4 = transfer(&lab, "a", ("b", "10.N.1.2:7002"), 3_000_000);
    let v6 = transfer(&lab, "a", ("b", "[fd00:N:1::2]:7003"), 3_000_000);
    ping(&lab, "a", "10.N.1.2", 10);
    running.signal(Signal::CONT);
    let run = running.stop();
    let after = lab.counters("b", "vb");
    let (late, ledger) = in_kernel(&run, "vb");
    assert_eq!(counts(&ledger["kernel"]), (after.0 - before.0, after.1 - before.1), "{ledger}");
    assert!(late > 1000, "{ledger}");
    let flow = run.flow("udp", [lab.at("10.N.1.1:7001"), lab.at("10.N.1.2:7000")]);
    assert_eq!(packets(flow), (300, 300));
    assert_eq!(
        (&flow["source"]["bytes"], &flow["destination"]["bytes"]),
        (&(300 * 428).into(), &(300 * 228).into())
    );
    let echo = run.flow("icmp", [lab.at("10.N.1.1:0"), lab.at("10.N.1.2:0")]);
    assert_eq!(packets(echo), (10, 10));
    for (from, to) in [(v4, "10.N.1.2:7002"), (v6, "[fd00:N:1::2]:7003")] {
        let flow = run.flow("tcp", [from, lab.at(to)]);
        assert_eq!(end(&flow["source"]), from, "who began");
        assert!(flow["source"]["bytes"].as_u64().unwrap() > 3_000_000, "{flow}");
        assert_eq!(flow["sockethound"]["tcp"]["state"], "SF", "{flow}");
        let history = flow["sockethound"]["tcp"]["history"].as_str().unwrap();
        assert!(history.starts_with("Sh") && history.ends_with("Ff"), "{flow}");
    }
    let all: u64 = run.flows().map(|flow| flow["network"]["packets"].as_u64().unwrap()).sum();
    assert_eq!(all, counts(&ledger["counted"]).0);
}

/// More flows than the kernel has places for: what has none is in the interface's account, and is said.
#[test]
fn root_more_flows_than_can_be_told_apart() {
    const SENT: u32 = 60_000;
    let Some(lab) = Lab::pair() else { return };
    let sender = within(&lab.path("a"), || RawSender::open("va"));
    let running = Running::start(&lab, "b", "-i vb --ring 1");
    running.signal(Signal::STOP);
    let syns: Vec<_> = (0..SENT).map(|n| frame(stranger(n), to(), n as u16, true)).collect();
    sender.send_all(&syns);
    running.signal(Signal::CONT);
    let run = running.stop();
    let found = run.records.iter().find(|record| record["kind"] == "ledger").unwrap();
    let ledger = &found["sockethound"];
    let [kernel, counted, without, late] =
        ["kernel", "counted", "without_flow", "in_kernel"].map(|name| counts(&ledger[name]));
    assert_eq!(ledger["dropped"], 0, "{ledger}");
    assert_eq!(kernel, (u64::from(SENT), u64::from(SENT) * SYN), "{ledger}");
    assert_eq!(kernel, (counted.0 + without.0, counted.1 + without.1), "{ledger}");
    assert!(late.0 > without.0 && without.0 > 0, "{ledger}");
    assert_eq!(run.in_flows(), counted, "the others have flows");
    assert!(run.stdout.contains(&format!("without flow {}", without.0)), "{}", run.stdout);
}

/// Several processors count the same flows while these are taken again and again: nothing is lost between.
#[test]
fn root_counts_are_taken_while_they_grow() {
    const SENDERS: u32 = 4;
    let Some(lab) = Lab::pair() else { return };
    let before = lab.counters("b", "vb");
    let running = Running::start(&lab, "b", "-i vb --ring 1 -t 0.1");
    let (over, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    // Else all flows might settle before the ring is full for the first time.
    running.signal(Signal::STOP);
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                let sender = within(&lab.path("a"), || RawSender::open("va"));
                let mut id = 0_u16;
                while !over.load(Ordering::Relaxed) {
                    sender.send_all(&round(id));
                    rounds.fetch_add(1, Ordering::Relaxed);
                    id = id.wrapping_add(1);
                }
            });
        }
        for _ in 0..20 {
            running.signal(Signal::STOP);
            std::thread::sleep(Duration::from_millis(150));
            running.signal(Signal::CONT);
            std::thread::sleep(Duration::from_millis(50));
        }
        over.store(true, Ordering::Relaxed);
    });
    let run = running.stop();
    let after = lab.counters("b", "vb");
    let (late, ledger) = in_kernel(&run, "vb");
    let each = rounds.into_inner();
    assert_eq!(counts(&ledger["kernel"]), (after.0 - before.0, after.1 - before.1), "{ledger}");
    assert_eq!(after.0 - before.0, each * u64::from(FLOWS), "nobody else sends");
    assert!(late > 0, "{ledger}");
    let flows = sent(&run);
    assert!(flows.len() == FLOWS as usize && flows.values().all(|sum| sum.0 == each), "{each}: {flows:?}");
}

/// Numbers of the programs that a process holds.
fn programs(running: &Running) -> Vec<u32> {
    let folder = format!("/proc/{}/fdinfo", running.pid().as_raw_nonzero());
    let files =
        fs::read_dir(folder).unwrap().filter_map(|file| fs::read_to_string(file.unwrap().path()).ok());
    let number =
        |text: String| text.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok());
    files.filter_map(number).collect()
}

/// The programs go with the process, however that ends.
#[test]
fn root_nothing_stays_in_the_kernel() {
    let Some(lab) = Lab::pair() else { return };
    let there = |number: &u32| {
        let output = Command::new("bpftool").args(["prog", "show", "id", &number.to_string()]).output();
        output.map(|output| output.status.success())
    };
    let running = Running::start(&lab, "b", "-i vb");
    let held = programs(&running);
    assert!(!held.is_empty(), "{}", running.text("stderr"));
    assert!(there(&held[0]).unwrap(), "bpftool sees them while they run");
    running.signal(Signal::KILL);
    drop(running);
    // The kernel frees what was in use a moment later.
    std::thread::sleep(Duration::from_millis(500));
    assert!(held.iter().all(|number| !there(number).unwrap()), "{held:?}");
}
