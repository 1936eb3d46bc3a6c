//! What changes while the program runs, and how it ends.

use std::fs::File;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use crate::lab::{Lab, run as run_program, wait_until};
use crate::program::{Ending, Running, children, counts, gone, packets, path, program};
use crate::traffic::{send, transfer, udp};

#[test]
fn root_an_interface_that_goes_away() {
    let Some(lab) = Lab::pair() else { return };
    lab.join(("a", "wa", "10.N.2.1/24"), ("b", "wb", "10.N.2.2/24"));
    let running = Running::start(&lab, "b", "-i vb -i wb");
    send(&udp(&lab, "a", "10.N.1.1:7001"), &udp(&lab, "b", "10.N.1.2:7000"), 20);
    std::thread::sleep(Duration::from_millis(400));
    lab.ip("b", "link del vb");
    std::thread::sleep(Duration::from_millis(700));
    send(&udp(&lab, "a", "10.N.2.1:7001"), &udp(&lab, "b", "10.N.2.2:7000"), 30);
    let run = running.stop();
    let said: Vec<_> = run.stderr.lines().filter(|line| line.contains("vb")).collect();
    assert_eq!(said.len(), 1, "once: {}", run.stderr);
    assert_eq!(packets(run.flow("udp", [lab.at("10.N.1.1:7001"), lab.at("10.N.1.2:7000")])), (20, 0));
    assert_eq!(packets(run.flow("udp", [lab.at("10.N.2.1:7001"), lab.at("10.N.2.2:7000")])), (30, 0));
    run.ledger("wb");
}

#[test]
fn root_the_only_interface_goes_away() {
    let Some(lab) = Lab::pair() else { return };
    let running = Running::start(&lab, "b", "-i vb");
    send(&udp(&lab, "a", "10.N.1.1:7001"), &udp(&lab, "b", "10.N.1.2:7000"), 20);
    std::thread::sleep(Duration::from_millis(400));
    lab.ip("b", "link del vb");
    std::thread::sleep(Duration::from_millis(700));
    let run = running.stop();
    let said: Vec<_> = run.stderr.lines().filter(|line| line.contains("vb")).collect();
    assert_eq!(said.len(), 1, "once: {}", run.stderr);
    assert_eq!(packets(run.flow("udp", [lab.at("10.N.1.1:7001"), lab.at("10.N.1.2:7000")])), (20, 0));
}

#[test]
fn root_an_interface_that_comes() {
    let Some(lab) = Lab::pair() else { return };
    let running = Running::start(&lab, "b", "");
    lab.join(("a", "wa", "10.N.2.1/24"), ("b", "wb", "10.N.2.2/24"));
    send(&udp(&lab, "a", "10.N.2.1:7001"), &udp(&lab, "b", "10.N.2.2:7000"), 30);
    let run = running.stop();
    let flow = run.flow("udp", [lab.at("10.N.2.1:7001"), lab.at("10.N.2.2:7000")]);
    assert_eq!(packets(flow), (30, 0));
    assert_eq!(path(flow), ["wb"]);
    assert!(counts(&run.ledger("wb")["counted"]).0 >= 30);
}

#[test]
fn root_an_interface_that_is_renamed() {
    let Some(lab) = Lab::pair() else { return };
    let (client, server) = (udp(&lab, "a", "10.N.1.1:7001"), udp(&lab, "b", "10.N.1.2:7000"));
    let before = lab.counters("b", "vb");
    let running = Running::start(&lab, "b", "");
    send(&client, &server, 20);
    std::thread::sleep(Duration::from_millis(400));
    for words in ["link set vb down", "link set vb name vz", "link set vz up"] {
        lab.ip("b", words);
    }
    lab.wait_for_carrier("b", "vz");
    send(&client, &server, 30);
    let run = running.stop();
    let after = lab.counters("b", "vz");
    let flow = run.flow("udp", [lab.at("10.N.1.1:7001"), lab.at("10.N.1.2:7000")]);
    assert_eq!(packets(flow), (50, 0));
    assert_eq!(path(flow), ["vz"]);
    assert_eq!(counts(&run.ledger("vz")["kernel"]), (after.0 - before.0, after.1 - before.1));
}

/// It has the same name, and is another one: what each counted stands apart, and together it is all.
#[test]
fn root_an_interface_that_comes_back() {
    let Some(lab) = Lab::pair() else { return };
    let running = Running::start(&lab, "b", "-i vb");
    send(&udp(&lab, "a", "10.N.1.1:7001"), &udp(&lab, "b", "10.N.1.2:7000"), 20);
    std::thread::sleep(Duration::from_millis(400));
    lab.ip("b", "link del vb");
    std::thread::sleep(Duration::from_millis(400));
    lab.join(("a", "va", "10.N.1.1/24"), ("b", "vb", "10.N.1.2/24"));
    send(&udp(&lab, "a", "10.N.1.1:7001"), &udp(&lab, "b", "10.N.1.2:7000"), 30);
    let run = running.stop();
    let flow = run.flow("udp", [lab.at("10.N.1.1:7001"), lab.at("10.N.1.2:7000")]);
    assert_eq!(packets(flow), (50, 0));
    assert_eq!(path(flow), ["vb"]);
    assert_eq!(run.in_ledgers(), run.in_flows());
}

/// A flow that is closed is written when it is over, and only then.
#[test]
fn root_a_flow_that_ends() {
    let Some(lab) = Lab::pair() else { return };
    let running = Running::start(&lab, "b", "-i vb --tcp-closed 0.5");
    let from = transfer(&lab, "a", ("b", "10.N.1.2:7002"), 10_000);
    let ended = || running.text("json").lines().any(|line| line.starts_with(r#"{"kind":"flow""#));
    assert!(!ended(), "not yet");
    wait_until("the flow is written", ended);
    let run = running.stop();
    run.flow("tcp", [from, lab.at("10.N.1.2:7002")]);
    assert_eq!(run.in_ledgers(), run.in_flows());
    run.ledger("vb");
}

#[test]
fn root_the_end_of_its_time() {
    let Some(lab) = Lab::pair() else { return };
    let running = Running::start(&lab, "b", "-i vb -t 60 --duration 1.5");
    send(&udp(&lab, "a", "10.N.1.1:7001"), &udp(&lab, "b", "10.N.1.2:7000"), 20);
    let run = running.wait();
    assert!(run.status.success(), "{}", run.stderr);
    assert_eq!(packets(run.flow("udp", [lab.at("10.N.1.1:7001"), lab.at("10.N.1.2:7000")])), (20, 0));
    assert_eq!(run.stdout.matches("Network Traffic Summary").count(), 1, "{}", run.stdout);
    // The one process has its sockets in two namespaces.
    assert!(
        run.stdout.contains("\nSockets: 20 packets, 2.50 KB; in flows 20, 2.50 KB; no difference"),
        "{}",
        run.stdout
    );
    run.ledger("vb");
}

/// It is waited for at the end, which the duration leaves out; what was not told is not spoken of.
#[test]
fn root_whoever_knows_owners_does_not_answer() {
    let Some(lab) = Lab::pair() else { return };
    let begun = Instant::now();
    let running = Running::start(&lab, "b", "-i vb -t 60 --duration 1.5");
    kill_process(children(running.pid())[0], Signal::STOP).unwrap();
    send(&udp(&lab, "a", "10.N.1.1:7001"), &udp(&lab, "b", "10.N.1.2:7000"), 20);
    let run = running.wait();
    let whole = begun.elapsed().as_secs_f64();
    assert!(run.status.success(), "{}", run.stderr);
    assert_eq!(packets(run.flow("udp", [lab.at("10.N.1.1:7001"), lab.at("10.N.1.2:7000")])), (20, 0));
    let duration = run.stdout.lines().find_map(|line| line.strip_prefix("Duration: ")?.split(' ').next());
    let duration: f64 = duration.unwrap().parse().unwrap();
    assert!(duration >= 1.5 && duration + 1.4 < whole, "{whole}: {}", run.stdout);
    assert!(run.stdout.contains("(not looked up yet)"), "{}", run.stdout);
    assert!(!run.stdout.contains("\nSockets:"), "{}", run.stdout);
    run.ledger("vb");
}

/// The final report says what the last interim one would say.
#[test]
fn root_an_end_on_an_interval() {
    let Some(lab) = Lab::pair() else { return };
    let running = Running::start(&lab, "b", "-i vb -t 0.5 --duration 1.5");
    send(&udp(&lab, "a", "10.N.1.1:7001"), &udp(&lab, "b", "10.N.1.2:7000"), 20);
    let run = running.wait();
    assert!(run.status.success(), "{}", run.stderr);
    assert_eq!(run.stdout.matches("Network Traffic Summary").count(), 3, "{}", run.stdout);
}

/// What was asked for is spoken of, whether anything happens there or not.
#[test]
fn root_a_named_interface_without_packets() {
    let Some(lab) = Lab::pair() else { return };
    let running = Running::start(&lab, "b", "-i vb -i lo");
    send(&udp(&lab, "a", "10.N.1.1:7001"), &udp(&lab, "b", "10.N.1.2:7000"), 20);
    let run = running.stop();
    run.ledger("vb");
    run.ledger("lo");
    let header = run.stdout.lines().find(|line| line.contains("Network Traffic Summary"));
    assert!(header.is_some_and(|line| line.contains("lo") && line.contains("vb")), "{}", run.stdout);
}

#[test]
fn root_a_report_that_is_asked_for() {
    let Some(lab) = Lab::pair() else { return };
    let running = Running::start(&lab, "b", "-i vb -t 60");
    send(&udp(&lab, "a", "10.N.1.1:7001"), &udp(&lab, "b", "10.N.1.2:7000"), 20);
    running.signal(Signal::USR1);
    wait_until("it reports", || running.text("stdout").contains("Count:     20"));
    running.signal(Signal::TERM);
    let run = running.wait();
    assert!(run.status.success(), "{}", run.stderr);
    assert_eq!(run.stdout.matches("Network Traffic Summary").count(), 2, "{}", run.stdout);
}

/// Killed without a word, it leaves nothing behind either.
#[test]
fn root_what_it_started_ends_with_it() {
    let Some(lab) = Lab::pair() else { return };
    let running = Running::start(&lab, "b", "-i vb");
    let started = children(running.pid());
    running.signal(Signal::KILL);
    let _ = running.wait();
    wait_until("all that it started ends", || started.iter().all(|pid| gone(*pid)));
}

/// Capturing goes on, and nothing is told of sockets that nobody reads any more.
#[test]
fn root_whoever_knows_owners_is_killed() {
    let Some(lab) = Lab::pair() else { return };
    let running = Running::start(&lab, "b", "-i vb");
    let (from, to) = (udp(&lab, "a", "10.N.1.1:7001"), udp(&lab, "b", "10.N.1.2:7000"));
    send(&from, &to, 20);
    let started = children(running.pid());
    assert_eq!(started.len(), 1, "{started:?}");
    kill_process(started[0], Signal::KILL).unwrap();
    wait_until("it is gone", || gone(started[0]));
    send(&from, &to, 20);
    std::thread::sleep(Duration::from_millis(600));
    let run = running.stop();
    assert!(run.status.success(), "{}", run.stderr);
    assert_eq!(run.stderr.lines().filter(|line| line.contains("owner")).count(), 1, "once: {}", run.stderr);
    assert_eq!(packets(run.flow("udp", [lab.at("10.N.1.1:7001"), lab.at("10.N.1.2:7000")])), (40, 0));
    assert!(!run.stdout.contains("\nSockets:"), "{}", run.stdout);
    run.ledger("vb");
}

/// A file system of 64 KiB, at a folder of its own.
struct Tiny(tempfile::TempDir);

impl Tiny {
    fn new() -> Self {
        let tiny = Self(tempfile::tempdir().unwrap());
        run_program("mount", &["-t", "tmpfs", "-o", "size=64k", "tmpfs", tiny.0.path().to_str().unwrap()]);
        tiny
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.0.path()).output());
    }
}

#[test]
fn root_a_disk_that_is_full() {
    let Some(lab) = Lab::pair() else { return };
    let tiny = Tiny::new();
    let folder = tempfile::tempdir().unwrap();
    let place = |name| folder.path().join(name);
    let mut command = program();
    command.args(["-i", "vb", "-t", "0.25", "--duration", "3"]);
    command.arg(format!("--json={}", tiny.0.path().join("json").display()));
    command.stdout(File::create(place("stdout")).unwrap()).stderr(File::create(place("stderr")).unwrap());
    let mut child = Ending(lab.within("b", move || command.spawn().unwrap()));
    wait_until("the program captures", || tiny.0.path().join("json").metadata().is_ok_and(|m| m.len() > 0));
    let server = udp(&lab, "b", "10.N.1.2:7000");
    for port in 8000..8300 {
        send(&udp(&lab, "a", &format!("10.N.1.1:{port}")), &server, 1);
    }
    let mut status = None;
    wait_until("the program ends", || {
        status = child.0.try_wait().unwrap();
        status.is_some()
    });
    let (stdout, stderr) = (
        std::fs::read_to_string(place("stdout")).unwrap(),
        std::fs::read_to_string(place("stderr")).unwrap(),
    );
    assert_eq!(status.unwrap().code(), Some(1), "{stderr}");
    let said: Vec<_> = stderr.lines().filter(|line| line.contains("json")).collect();
    assert_eq!(said.len(), 1, "{stderr}");
    assert!(said[0].contains("No space left on device"), "{stderr}");
    // The last report has all of it.
    let last = stdout.rsplit("Network Traffic Summary").next().unwrap();
    assert!(last.contains("Ledger:") && last.contains("280 more flows"), "{stdout}");
}

/// What was asked for by name and has nothing to give is spoken of.
#[test]
fn root_an_interface_that_is_down_and_a_user_that_is_not_there_are_named() {
    let Some(lab) = Lab::new(&["a"]) else { return };
    lab.ip("a", "link add idle type bridge");
    lab.ip("a", "link add busy type bridge");
    lab.ip("a", "link set busy up");
    let run =
        Running::start(&lab, "a", "-i idle -i busy -p user:nobody-at-all -p user:root -p user:77777").stop();
    assert!(run.status.success());
    let lines: Vec<_> = run.stderr.lines().filter(|l| l.contains("down") || l.contains("user")).collect();
    let expected = [
        "sockethound: interface idle is down",
        "sockethound: warning: there is no user \"nobody-at-all\" here",
    ];
    assert_eq!(lines, expected, "{}", run.stderr);
}
