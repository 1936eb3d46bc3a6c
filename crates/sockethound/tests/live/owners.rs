//! Every flow has the process that it belongs to: number, name and user.

use std::net::SocketAddr;

use serde_json::Value;

use crate::lab::Lab;
use crate::peer::Peer;
use crate::program::{Run, Running};

/// Long enough for the program to have looked flows up.
fn settle() {
    std::thread::sleep(std::time::Duration::from_millis(600));
}

/// The flow's owner is this process, known by its very socket or by one that receives the flow.
fn owned_by(flow: &Value, pid: u32, name: &str) {
    assert_eq!((&flow["process"]["pid"], &flow["process"]["name"]), (&pid.into(), &name.into()), "{flow:#}");
    assert_eq!(flow["user"]["id"], 0, "{flow:#}");
    assert_eq!(flow["user"]["name"], "root", "{flow:#}");
    let attribution = &flow["sockethound"]["attribution"];
    assert!(attribution["source"].is_string() && attribution["confidence"].is_string(), "{flow:#}");
    assert!(attribution["reason"].is_null(), "{flow:#}");
}

/// All of the interface's packets have an owner, but for `unowned`.
fn all_owned(run: &Run, interface: &str) {
    let ledger = run.ledger(interface);
    assert_eq!(ledger["owned"], ledger["counted"], "{ledger}");
    assert_eq!(ledger["unknown"]["packets"], 0, "{ledger}");
}

/// A client and a server in two namespaces, joined by TCP; their ends.
fn connected(lab: &Lab, client: &mut Peer, server: &mut Peer, at: &str) -> [SocketAddr; 2] {
    let there = server.end(&lab.filled(&format!("listen {at}")));
    let to = SocketAddr::new(lab.at(at).ip(), there.port());
    let here = client.end(&format!("connect {to}"));
    server.tell("accept");
    client.tell("say");
    server.tell("hear");
    server.tell("say");
    client.tell("hear");
    [here, to]
}

#[test]
fn root_a_client() {
    let Some(lab) = Lab::pair() else { return };
    let running = Running::start(&lab, "a", "-i va");
    let (mut client, mut server) =
        (Peer::start(&lab, "a", "the-client"), Peer::start(&lab, "b", "the-server"));
    let ends = connected(&lab, &mut client, &mut server, "10.N.1.2:0");
    settle();
    let run = running.stop();
    owned_by(run.flow("tcp", ends), client.pid(), "the-client");
    all_owned(&run, "va");
}

#[test]
fn root_a_server() {
    let Some(lab) = Lab::pair() else { return };
    let running = Running::start(&lab, "b", "-i vb");
    let (mut client, mut server) =
        (Peer::start(&lab, "a", "the-client"), Peer::start(&lab, "b", "the-server"));
    let ends = connected(&lab, &mut client, &mut server, "10.N.1.2:0");
    settle();
    let run = running.stop();
    owned_by(run.flow("tcp", ends), server.pid(), "the-server");
    all_owned(&run, "vb");
}

/// What began before the program did.
#[test]
fn root_a_connection_from_before() {
    let Some(lab) = Lab::pair() else { return };
    let (mut client, mut server) =
        (Peer::start(&lab, "a", "the-client"), Peer::start(&lab, "b", "the-server"));
    let ends = connected(&lab, &mut client, &mut server, "10.N.1.2:0");
    let running = Running::start(&lab, "a", "-i va");
    client.tell("say");
    server.tell("hear");
    settle();
    let run = running.stop();
    owned_by(run.flow("tcp", ends), client.pid(), "the-client");
}

/// Who has been found once is known when it is gone.
#[test]
fn root_a_client_that_has_ended() {
    let Some(lab) = Lab::pair() else { return };
    let running = Running::start(&lab, "a", "-i va");
    let (mut client, mut server) =
        (Peer::start(&lab, "a", "the-client"), Peer::start(&lab, "b", "the-server"));
    let ends = connected(&lab, &mut client, &mut server, "10.N.1.2:0");
    settle();
    let pid = client.pid();
    drop(client);
    settle();
    let run = running.stop();
    owned_by(run.flow("tcp", ends), pid, "the-client");
}

#[test]
#[allow(clippy::print_stderr)]
fn root_the_process_of_another_user() {
    const NOBODY: u32 = 65_534;
    let Some(lab) = Lab::pair() else { return };
    let Ok(mut client) = Peer::start_as(&lab, "a", "the-client", NOBODY) else {
        eprintln!("skipped: nobody may run this program");
        return;
    };
    let running = Running::start(&lab, "a", "-i va");
    let mut server = Peer::start(&lab, "b", "the-server");
    let ends = connected(&lab, &mut client, &mut server, "10.N.1.2:0");
    settle();
    let run = running.stop();
    let flow = run.flow("tcp", ends);
    assert_eq!(flow["process"]["pid"], client.pid(), "{flow:#}");
    assert_eq!((&flow["user"]["id"], &flow["user"]["name"]), (&NOBODY.into(), &"nobody".into()), "{flow:#}");
}

/// The listener is its master's too, but the connection is the worker's alone.
#[test]
fn root_a_forked_server() {
    let Some(lab) = Lab::pair() else { return };
    let running = Running::start(&lab, "b", "-i vb");
    let (mut client, mut master) =
        (Peer::start(&lab, "a", "the-client"), Peer::start(&lab, "b", "the-master"));
    let at = master.end(&lab.filled("listen 10.N.1.2:0"));
    let worker: u32 = master.tell("work the-worker").parse().unwrap();
    let here = client.end(&format!("connect {at}"));
    client.tell("say");
    client.tell("hear");
    settle();
    let run = running.stop();
    owned_by(run.flow("tcp", [here, at]), worker, "the-worker");
}

#[test]
fn root_datagrams_of_a_socket_that_is_connected() {
    let Some(lab) = Lab::pair() else { return };
    let running = Running::start(&lab, "a", "-i va");
    let (mut client, mut server) =
        (Peer::start(&lab, "a", "the-client"), Peer::start(&lab, "b", "the-server"));
    let to = server.end(&lab.filled("bind 10.N.1.2:0"));
    client.tell("bind 0.0.0.0:0");
    let here = client.end(&format!("fix {to}"));
    client.tell("send");
    server.tell("receive");
    settle();
    let run = running.stop();
    owned_by(run.flow("udp", [here, to]), client.pid(), "the-client");
}

/// Bound to no address, connected to nobody: client and server alike.
#[test]
fn root_datagrams_of_sockets_that_are_not_connected() {
    for captured in ["a", "b"] {
        let Some(lab) = Lab::pair() else { return };
        let running = Running::start(&lab, captured, &format!("-i v{captured}"));
        let (mut client, mut server) =
            (Peer::start(&lab, "a", "the-client"), Peer::start(&lab, "b", "the-server"));
        let port = server.end("bind 0.0.0.0:0").port();
        let to = SocketAddr::new(lab.at("10.N.1.2:0").ip(), port);
        let here = SocketAddr::new(lab.at("10.N.1.1:0").ip(), client.end("bind 0.0.0.0:0").port());
        client.tell(&format!("send {to}"));
        server.tell("receive");
        settle();
        let run = running.stop();
        let (owner, name) = if captured == "a" { (&client, "the-client") } else { (&server, "the-server") };
        owned_by(run.flow("udp", [here, to]), owner.pid(), name);
    }
}

/// IPv4 over sockets of IPv6.
#[test]
fn root_sockets_of_both_families() {
    let Some(lab) = Lab::pair() else { return };
    lab.add_v6("a", "va", "fd00:N:1::1/64");
    lab.add_v6("b", "vb", "fd00:N:1::2/64");
    let running = Running::start(&lab, "b", "-i vb");
    let (mut client, mut server) =
        (Peer::start(&lab, "a", "the-client"), Peer::start(&lab, "b", "the-server"));
    let port = server.end("listen [::]:0").port();
    let to = SocketAddr::new(lab.at("10.N.1.2:0").ip(), port);
    let here = client.end(&format!("connect {to}"));
    server.tell("accept");
    client.tell("say");
    server.tell("hear");
    let mut other = Peer::start(&lab, "b", "the-other");
    let bound = SocketAddr::new(to.ip(), other.end("bind [::]:0").port());
    let from = SocketAddr::new(here.ip(), client.end("bind 0.0.0.0:0").port());
    client.tell(&format!("send {bound}"));
    other.tell("receive");
    settle();
    let run = running.stop();
    owned_by(run.flow("tcp", [here, to]), server.pid(), "the-server");
    owned_by(run.flow("udp", [from, bound]), other.pid(), "the-other");
}

/// Captured on the host's side of a namespace's interface, on the way to nobody here.
#[test]
fn root_a_process_in_another_namespace() {
    let Some(lab) = Lab::routed() else { return };
    let mut client = Peer::start(&lab, "c", "the-client");
    let running = Running::start(&lab, "r", "-i rc");
    let here = client.end(&lab.filled("bind 10.N.1.1:0"));
    client.tell(&lab.filled("send 10.N.2.77:9"));
    settle();
    let run = running.stop();
    owned_by(run.flow("udp", [here, lab.at("10.N.2.77:9")]), client.pid(), "the-client");
}

/// Namespaces that are made while the program runs.
#[test]
fn root_a_namespace_that_is_new() {
    let Some(lab) = Lab::new(&["m", "a"]) else { return };
    let running = Running::start(&lab, "m", "");
    lab.join(("m", "vm", "10.N.1.254/24"), ("a", "va", "10.N.1.1/24"));
    lab.ip("a", "route add default via 10.N.1.254");
    let mut client = Peer::start(&lab, "a", "the-client");
    let here = client.end(&lab.filled("bind 10.N.1.1:0"));
    for _ in 0..8 {
        client.tell("send 198.51.100.9:9");
        settle();
    }
    let run = running.stop();
    owned_by(run.flow("udp", [here, "198.51.100.9:9".parse().unwrap()]), client.pid(), "the-client");
}

/// Between two processes of the same host: the one that began.
#[test]
fn root_both_ends_on_loopback() {
    let Some(lab) = Lab::new(&["a"]) else { return };
    let running = Running::start(&lab, "a", "-i lo");
    let (mut client, mut server) =
        (Peer::start(&lab, "a", "the-client"), Peer::start(&lab, "a", "the-server"));
    let ends = connected(&lab, &mut client, &mut server, "127.0.0.1:0");
    settle();
    let run = running.stop();
    owned_by(run.flow("tcp", ends), client.pid(), "the-client");
    all_owned(&run, "lo");
}

/// Whoever is gone when it is asked for has a reason; the kernel's own answers are the kernel's.
#[test]
fn root_whoever_has_no_owner_has_a_reason() {
    let Some(lab) = Lab::pair() else { return };
    let running = Running::start(&lab, "b", "-i vb");
    let mut client = Peer::start(&lab, "a", "the-client");
    client.end(&lab.filled("bind 10.N.1.1:0"));
    // Nobody is there: the answer is an error of ICMP.
    client.tell(&lab.filled("send 10.N.1.2:9"));
    crate::traffic::ping(&lab, "a", "10.N.1.2", 3);
    drop(client);
    settle();
    let run = running.stop();
    for flow in run.flows() {
        let attribution = &flow["sockethound"]["attribution"];
        let owned = flow["process"]["pid"].is_u64();
        assert!(owned || attribution["reason"].is_string(), "no owner and no reason: {flow:#}");
    }
    let ledger = run.ledger("vb");
    let unknown = ledger["unknown"]["packets"].as_u64().unwrap();
    let reasons = ledger["unknown"]["reasons"].as_object().unwrap();
    assert_eq!(unknown == 0, reasons.is_empty(), "{ledger}");
    let flow = run.flow("icmp", [lab.at("10.N.1.1:0"), lab.at("10.N.1.2:0")]);
    assert!(!flow["process"].is_object(), "the kernel answers echoes: {flow:#}");
}
