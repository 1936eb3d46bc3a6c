//! The processes that tests start: each obeys lines on standard input, and answers each with one line.

use std::fs::File;
use std::io::{BufRead, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use capture::ring::{Options, RingSource};
use capture::{Next, PacketSource};
use dissect::Timestamp;
use host::service::Client;
use host::{Answer, Protocol, Question};
use rustix::thread::CapabilitySet;
use sockethound::privilege::{Confinement, confine, owners};

/// Interfaces of the ring, if not all.
pub(crate) const INTERFACE: &str = "INTERFACE";

/// Plays `name`: `holder` holds a socket; `sender` sends; `confined` has an owner process, a ring, and confines itself.
pub(crate) fn play(name: &str) -> ExitCode {
    match name {
        "holder" => hold(),
        "sender" => send(),
        "confined" => obey(),
        other => panic!("no such role: {other}"),
    }
    ExitCode::SUCCESS
}

/// Names its socket's port.
fn hold() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    say(socket.local_addr().unwrap().port());
    std::io::stdin().lines().for_each(drop);
}

/// Sends where it is told.
fn send() {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    say("ready");
    for line in std::io::stdin().lines() {
        say(outcome(socket.send_to(b"x", line.unwrap())));
    }
}

/// What is opened before.
struct Opened {
    client: Client,
    ring: Option<RingSource>,
    socket: UdpSocket,
}

fn obey() {
    let client = owners::spawn(owners::Manner::default()).unwrap();
    let interfaces = std::env::var(INTERFACE).into_iter().collect();
    let options = Options { interfaces, ring_bytes: 1 << 20, block_bytes: 1 << 16, ..Options::default() };
    let mut opened = Opened {
        client,
        ring: RingSource::open(&options).ok(),
        socket: UdpSocket::bind("127.0.0.1:0").unwrap(),
    };
    opened.socket.connect("127.0.0.1:9").unwrap();
    say("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let (verb, object) = line.split_once(' ').unwrap_or((&line, ""));
        say(answer(&mut opened, verb, object));
    }
}

fn answer(opened: &mut Opened, verb: &str, object: &str) -> String {
    match verb {
        "confine" => {
            let (writes, reads) = object.split_once(' ').unwrap();
            let (writes, reads) = (Path::new(writes), Path::new(reads));
            let allowed = Confinement {
                writes: &[writes],
                reads: &[reads],
                keep: CapabilitySet::empty(),
                stay: false,
                no_sandbox: false,
            };
            confine(&allowed).map_or_else(|e| format!("{e:#}"), |lines| lines.join("|"))
        }
        "read" => outcome(File::open(object)),
        "create" => outcome(File::create(object)),
        "append" => outcome(File::options().create(true).append(true).open(object)),
        "unlink" => outcome(std::fs::remove_file(object)),
        "socket" => outcome(UdpSocket::bind("127.0.0.1:0")),
        "exec" => format!("{:?}", Command::new(object).exec().kind()),
        "fork" => outcome(Command::new(object).status()),
        "thread" => outcome(std::thread::Builder::new().name("packets".into()).spawn(|| ())),
        "send" => outcome(opened.socket.send_to(b"x", object)),
        "packets" => opened.ring.as_mut().map_or("none".into(), |ring| packets(ring, &opened.socket)),
        "wait" => opened.ring.as_mut().map_or("none".into(), |ring| wait(ring, Duration::from_secs(5))),
        "drain" => opened.ring.as_mut().map_or("none".into(), |ring| wait(ring, Duration::from_millis(500))),
        "owner" => owner(&mut opened.client, object.parse().unwrap()),
        other => panic!("unknown: {other}"),
    }
}

fn outcome<T>(result: std::io::Result<T>) -> String {
    result.map_or_else(|error| format!("{:?}", error.kind()), |_| "ok".to_owned())
}

/// Sends itself a packet and waits until it is seen.
fn packets(ring: &mut RingSource, socket: &UdpSocket) -> String {
    // Nobody is there, as an earlier one may have found out.
    let _ = socket.send(b"x");
    wait(ring, Duration::from_secs(5))
}

/// Waits for a packet.
fn wait(ring: &mut RingSource, patience: Duration) -> String {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        if let Next::Batch(_) = ring.next_batch(Duration::from_millis(100)).unwrap() {
            ring.counters().unwrap();
            return format!("ok {}", ring.ring_stats().dropped);
        }
    }
    "none".to_owned()
}

/// The pid of whoever holds the UDP socket.
fn owner(client: &mut Client, source: SocketAddr) -> String {
    let destination = "127.0.0.1:9".parse().unwrap();
    let question = Question {
        protocol: Protocol::UDP,
        source,
        destination,
        translated: None,
        namespace: None,
        interface: 0,
        begun: Timestamp::UNKNOWN,
    };
    client.ask(&question).unwrap();
    let mut told = None;
    let end = Instant::now() + Duration::from_secs(20);
    while told.is_none() && Instant::now() < end {
        if let Err(error) = client.receive(|_, answer| told = Some(answer)) {
            return error.to_string();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    match told {
        Some(Answer::Owner(found)) => found.owner.pid.to_string(),
        Some(Answer::None(reason)) => reason.to_string(),
        None => "no answer".to_owned(),
    }
}

fn say(line: impl std::fmt::Display) {
    println!("{line}");
    std::io::stdout().flush().unwrap();
}
