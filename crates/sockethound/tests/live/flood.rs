//! More than there is room for: memory stays bounded, and what was dropped is said.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::lab::{Lab, wait_until};
use crate::program::{Running, counts, program};
use crate::sys::{RawSender, within};
use crate::traffic::{exchange, frame, stranger, udp};

const SYNS: u32 = 2_000_000;
/// Length of a SYN's frame.
const SYN: u64 = 54;
const FLOWS: u64 = 10_000;

/// SYNs from this and the following sources.
fn syns(first: u32, count: u32) -> Vec<Vec<u8>> {
    let to = "10.9.9.9:80".parse().unwrap();
    (first..first + count).map(|n| frame(stranger(n), to, n as u16, true)).collect()
}

/// The most memory that a process and those that it started ever had, in KiB.
fn peak_memory(pid: u32) -> Vec<u64> {
    let of = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse().unwrap())
    };
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    [pid].into_iter().chain(children.split_whitespace().map(|child| child.parse().unwrap())).map(of).collect()
}

/// What is read of the records, which are too many to be kept.
#[derive(Default)]
struct Sums {
    flows: u64,
    packets: u64,
    ledgers: Vec<Value>,
}

fn read(child: &mut Child) -> std::thread::JoinHandle<Sums> {
    let lines = BufReader::with_capacity(1 << 20, child.stdout.take().unwrap()).lines();
    std::thread::spawn(move || {
        let mut sums = Sums::default();
        for line in lines {
            let line = line.unwrap();
            if line.starts_with(r#"{"kind":"flow""#) {
                // The first is the flow's own; its ends follow.
                let (_, rest) = line.split_once(r#""packets":"#).unwrap();
                let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap();
                sums.packets += rest[..end].parse::<u64>().unwrap();
                sums.flows += 1;
            } else if line.starts_with(r#"{"kind":"ledger""#) {
                sums.ledgers.push(serde_json::from_str(&line).unwrap());
            }
        }
        sums
    })
}

/// Ends the program with the test.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn root_a_flood_of_new_flows() {
    let Some(lab) = Lab::pair() else { return };
    let sender = within(&lab.path("a"), || RawSender::open("va"));
    let before = lab.counters("b", "vb").0;
    let mut command = program();
    command.args(["-i", "vb", "--max-flows", &FLOWS.to_string(), "--ring", "8", "--json", "-t", "1"]);
    command.args(["--duration", "120"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = Ending(lab.within("b", move || command.spawn().unwrap()));
    let sums = read(&mut child.0);
    let packets = format!("/proc/{}/net/packet", child.0.id());
    wait_until("the program captures", || {
        std::fs::read_to_string(&packets).is_ok_and(|sockets| sockets.lines().count() > 1)
    });
    std::thread::sleep(Duration::from_millis(1500));
    for first in (0..SYNS).step_by(20_000) {
        sender.send_all(&syns(first, 20_000));
    }
    let memory = peak_memory(child.0.id());
    let passed = lab.counters("b", "vb").0 - before;
    assert_eq!(passed, u64::from(SYNS), "nobody else sends");
    kill_process(Pid::from_child(&child.0), Signal::INT).unwrap();
    wait_until("the program ends", || child.0.try_wait().unwrap().is_some());
    let sums = sums.join().unwrap();

    let ledger = &sums.ledgers[0]["sockethound"];
    let dropped = ledger["dropped"].as_u64().unwrap();
    let (counted, bytes) = counts(&ledger["counted"]);
    let without_flow = ledger.get("without_flow").map_or(0, |total| counts(total).0);
    assert_eq!(counted + without_flow + dropped, u64::from(SYNS), "{ledger}");
    assert_eq!(bytes, counted * SYN, "{ledger}");
    assert_eq!(sums.packets, counted, "every packet is in one flow record");
    assert!(sums.flows >= FLOWS, "{}", sums.flows);
    let bound = 160 << 10;
    assert!(memory.iter().all(|kib| (1..bound).contains(kib)), "{memory:?} KiB, of which the ring is 8 MiB");
}

/// Without a program in the kernel, what finds no room in the ring while nobody reads it is in the account, and is said; on which of several
/// interfaces it was, their own counters tell.
#[test]
fn root_a_ring_that_is_too_small() {
    const SENT: u32 = 50_000;
    let Some(lab) = Lab::pair() else { return };
    let sender = within(&lab.path("a"), || RawSender::open("va"));
    for words in ["-i vb --ring 1 --no-bpf", "--ring 1 --no-bpf"] {
        let running = Running::start(&lab, "b", words);
        exchange(&udp(&lab, "b", "127.0.0.1:7001"), &udp(&lab, "b", "127.0.0.1:7000"), 20, 100);
        running.signal(Signal::STOP);
        sender.send_all(&syns(0, SENT));
        running.signal(Signal::CONT);
        std::thread::sleep(Duration::from_millis(700));
        sender.send_all(&syns(SENT, 10));
        let run = running.stop();
        let ledger = run.ledger("vb");
        let dropped = ledger["dropped"].as_u64().unwrap();
        assert!(dropped > 0, "{ledger}");
        assert_eq!(counts(&ledger["counted"]).0 + dropped, u64::from(SENT) + 10, "{ledger}");
        assert!(run.stderr.contains(&format!("dropped {dropped}")), "{}", run.stderr);
        assert!(run.stderr.contains("--ring"), "what to do: {}", run.stderr);
        assert!(run.stdout.contains(&format!("dropped {dropped}")), "{}", run.stdout);
        if !words.contains("vb") {
            assert_eq!(counts(&run.ledger("lo")["kernel"]).0, 40);
        }
    }
}

/// Flows that are put out of the table at once, on each of three interfaces: each is written once all the same.
#[test]
fn root_a_flood_that_passes_a_bridge() {
    const SENT: u32 = 100_000;
    let Some(lab) = Lab::new(&["a", "m", "b"]) else { return };
    lab.join(("a", "va", "10.N.1.1/24"), ("m", "pa", ""));
    lab.join(("b", "vb", "10.N.1.2/24"), ("m", "pb", ""));
    for words in [
        "link add br0 type bridge mcast_snooping 0",
        "link set pa master br0",
        "link set pb master br0",
        "link set br0 up",
    ] {
        lab.ip("m", words);
    }
    let sender = within(&lab.path("a"), || RawSender::open("va"));
    let running = Running::start(&lab, "m", "--max-flows 1000 --ring 128");
    for first in (0..SENT).step_by(1000) {
        sender.send_all(&syns(first, 1000));
        std::thread::sleep(Duration::from_millis(20));
    }
    let run = running.stop();
    for dev in ["pa", "pb", "br0"] {
        let ledger = run.ledger_of_packets(dev);
        assert_eq!(ledger["dropped"], 0, "{ledger}");
        // A bridge passes nothing on in its first moment.
        assert!(u64::from(SENT) - counts(&ledger["counted"]).0 < 10, "{ledger}");
    }
    // A flow whose turn comes between two looks may be told of twice.
    let (packets, most) = (run.in_flows().0, u64::from(SENT + SENT / 100));
    assert!((u64::from(SENT)..most).contains(&packets), "{packets}");
}
