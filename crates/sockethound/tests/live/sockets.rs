//! Which socket a flow is given to, where several have its port one after the other or at once.

use std::net::{SocketAddr, SocketAddrV4};
use std::time::Duration;

use crate::lab::Lab;
use crate::peer::Peer;
use crate::program::Running;
use crate::sys::RawSender;
use crate::traffic::{exchange, frame, stranger, udp};

/// Long enough for the program to have looked flows up.
fn settle() {
    std::thread::sleep(Duration::from_millis(600));
}

/// Datagrams that come when the server is gone are nobody's; those that it was there for stay its.
#[test]
fn root_a_port_whose_server_has_ended() {
    let Some(lab) = Lab::pair() else { return };
    let running = Running::start(&lab, "b", "-i vb");
    let (mut client, mut server) =
        (Peer::start(&lab, "a", "the-client"), Peer::start(&lab, "b", "the-server"));
    let here = client.end(&lab.filled("bind 10.N.1.1:0"));
    let to = server.end(&lab.filled("bind 10.N.1.2:0"));
    client.tell(&format!("send {to}"));
    server.tell("receive");
    let pid = server.pid();
    drop(server);
    std::thread::sleep(Duration::from_millis(50));
    let SocketAddr::V4(to) = to else { panic!("{to}") };
    let sender = lab.within("a", || RawSender::open("va"));
    sender.send_all(&[frame(stranger(1), to, 1, false)]);
    settle();
    sender.send_all(&[frame(stranger(2), to, 2, false)]);
    settle();
    let run = running.stop();
    let flow = |from: SocketAddr| run.flow("udp", [from, to.into()]);
    assert_eq!(flow(here)["process"]["pid"], pid, "{:#}", flow(here));
    let late = |n| SocketAddr::V4(SocketAddrV4::new(*stranger(n).ip(), stranger(n).port()));
    for flow in [flow(late(1)), flow(late(2))] {
        assert!(flow["process"].is_null(), "{flow:#}");
        assert_eq!(flow["sockethound"]["attribution"]["reason"], "no socket here receives it", "{flow:#}");
    }
}

/// A server that connects the socket a datagram came to, and receives further ones with another, as those of TFTP do.
#[test]
fn root_a_socket_for_each_client() {
    let Some(lab) = Lab::pair() else { return };
    let [mut one, mut other] = ["one-client", "other-client"].map(|name| Peer::start(&lab, "a", name));
    let mut server = Peer::start(&lab, "b", "the-server");
    let ends = [&mut one, &mut other].map(|client| client.end(&lab.filled("bind 10.N.1.1:0")));
    let to = server.end(&lab.filled("bind 10.N.1.2:0"));
    server.tell(&format!("fix {}", ends[0]));
    server.tell("renew");
    let running = Running::start(&lab, "a", "-i va");
    for client in [&mut other, &mut one] {
        client.tell(&format!("send {to}"));
    }
    server.tell("receive");
    settle();
    let run = running.stop();
    for (client, end) in [(one, ends[0]), (other, ends[1])] {
        let flow = run.flow("udp", [end, to]);
        assert_eq!(flow["process"]["pid"], client.pid(), "{flow:#}");
        assert_eq!(flow["sockethound"]["peer"]["pid"], server.pid(), "{flow:#}");
    }
}

/// Where nobody listens, whoever knocks has the flow, from another namespace as from the same one.
#[test]
fn root_a_port_that_nobody_has() {
    let Some(lab) = Lab::pair() else { return };
    for side in ["a", "b"] {
        let running = Running::start(&lab, "b", if side == "a" { "-i vb" } else { "-i lo" });
        let mut client = Peer::start(&lab, side, "the-client");
        let here = client.end(&lab.filled(&format!("bind 10.N.1.{}:0", if side == "a" { 1 } else { 2 })));
        client.tell(&lab.filled("send 10.N.1.2:9"));
        client.tell(&lab.filled("knock 10.N.1.2:9"));
        settle();
        let run = running.stop();
        let flows: Vec<_> = run.flows().filter(|flow| flow["destination"]["port"] == 9).collect();
        assert_eq!(flows.len(), 2, "{here}");
        for flow in flows {
            assert_eq!(flow["process"]["pid"], client.pid(), "{flow:#}");
            assert_eq!(flow["sockethound"]["attribution"]["end"], "source", "{flow:#}");
        }
    }
}

/// Flows that there is no room for: each has an owner, or a reason that holds when all is over.
#[test]
fn root_flows_that_are_evicted_at_once() {
    let Some(lab) = Lab::pair() else { return };
    let running = Running::start(&lab, "a", "-i va --max-flows 1");
    let clients = [7001, 7002, 7003].map(|port| udp(&lab, "a", &format!("10.N.1.1:{port}")));
    let server = udp(&lab, "b", "10.N.1.2:7000");
    for _ in 0..20 {
        for client in &clients {
            exchange(client, &server, 1, 100);
        }
    }
    settle();
    let run = running.stop();
    let ledger = run.ledger("va");
    let reasons = ledger["unknown"]["reasons"].as_object().unwrap();
    let why = "evicted before its owner was known";
    assert!(reasons.keys().all(|reason| reason == why), "{ledger}");
    assert!(ledger["unknown"]["packets"] == 0 || reasons.contains_key(why), "{ledger}");
    for flow in run.flows() {
        let reason = &flow["sockethound"]["attribution"]["reason"];
        assert!(flow["process"].is_object() || reason == why, "{flow:#}");
    }
}
