//! Flows whose addresses a router rewrites: one flow, under the five-tuple that its initiator sent.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::lab::Lab;
use crate::peer::Peer;
use crate::program::{Running, end, packets, path};
use crate::traffic::{exchange, ping, transfer, udp};

/// A router with these rules; `None` where it cannot be.
#[allow(clippy::print_stderr)]
fn router(rules: &str) -> Option<Lab> {
    if Command::new("nft").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: needs nft (nftables)");
        return None;
    }
    let lab = Lab::routed()?;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lab.filled(rules)).unwrap();
    lab.exec("r", &format!("nft -f {}", file.path().display()));
    Some(lab)
}

const SOURCE: &str = "\
table ip nat {
  chain post {
    type nat hook postrouting priority 100;
    oifname rs udp dport 7000 snat to 10.N.2.254:61000-61999
    oifname rs masquerade
  }
}
";
const DESTINATION: &str = "\
table ip nat {
  chain pre {
    type nat hook prerouting priority -100;
    ip daddr 10.N.1.254 udp dport 8081 dnat to 10.N.2.1:7000
  }
}
";

#[test]
fn root_a_translated_source_counts_once() {
    let Some(lab) = router(SOURCE) else { return };
    let running = Running::start(&lab, "r", "");
    let (client, server) = (udp(&lab, "c", "10.N.1.1:7001"), udp(&lab, "s", "10.N.2.1:7000"));
    exchange(&client, &server, 50, 100);
    client.send_to(&[1], server.local_addr().unwrap()).unwrap();
    let (_, seen) = server.recv_from(&mut [0; 9]).unwrap();
    let stream = transfer(&lab, "c", ("s", "10.N.2.1:7002"), 100_000);
    ping(&lab, "c", "10.N.2.1", 10);
    let run = running.stop();

    let flow = run.flow("udp", [lab.at("10.N.1.1:7001"), lab.at("10.N.2.1:7000")]);
    assert_eq!(packets(flow), (51, 50));
    assert_eq!(flow["source"]["bytes"], 50 * 128 + 29);
    assert_eq!(path(flow), ["rc", "rs"]);
    let nat = &flow["sockethound"]["nat"];
    assert_eq!((end(&nat["source"]), end(&nat["destination"])), (seen, lab.at("10.N.2.1:7000")));

    let flow = run.flow("tcp", [stream, lab.at("10.N.2.1:7002")]);
    assert_eq!(end(&flow["sockethound"]["nat"]["source"]).ip(), lab.at("10.N.2.254:0").ip());
    assert_eq!(path(flow), ["rc", "rs"]);
    let flow = run.flow("icmp", [lab.at("10.N.1.1:0"), lab.at("10.N.2.1:0")]);
    assert_eq!(packets(flow), (10, 10));
    assert_eq!(end(&flow["sockethound"]["nat"]["source"]), lab.at("10.N.2.254:0"));

    assert_eq!(run.flows().count(), 3, "nothing under the other five-tuple");
    run.ledger("rc");
    run.ledger("rs");
}

#[test]
fn root_a_translated_destination_counts_once() {
    let Some(lab) = router(DESTINATION) else { return };
    let running = Running::start(&lab, "r", "");
    let (client, server) = (udp(&lab, "c", "10.N.1.1:7001"), udp(&lab, "s", "10.N.2.1:7000"));
    for _ in 0..50 {
        client.send_to(&[7; 100], lab.at("10.N.1.254:8081")).unwrap();
        let (_, from) = server.recv_from(&mut [0; 100]).unwrap();
        server.send_to(&[8; 50], from).unwrap();
        client.recv(&mut [0; 100]).unwrap();
    }
    let run = running.stop();
    let flow = run.flow("udp", [lab.at("10.N.1.1:7001"), lab.at("10.N.1.254:8081")]);
    assert_eq!(packets(flow), (50, 50));
    assert_eq!(path(flow), ["rc", "rs"]);
    let nat = &flow["sockethound"]["nat"];
    let ends = (end(&nat["source"]), end(&nat["destination"]));
    assert_eq!(ends, (lab.at("10.N.1.1:7001"), lab.at("10.N.2.1:7000")));
    assert_eq!(run.flows().count(), 1, "nothing under the other five-tuple");
}

/// What began before the program did is translated all the same.
#[test]
fn root_a_translation_from_before() {
    let Some(lab) = router(SOURCE) else { return };
    let (client, server) = (udp(&lab, "c", "10.N.1.1:7001"), udp(&lab, "s", "10.N.2.1:7000"));
    exchange(&client, &server, 5, 100);
    let running = Running::start(&lab, "r", "");
    exchange(&client, &server, 20, 100);
    let run = running.stop();
    let flow = run.flow("udp", [lab.at("10.N.1.1:7001"), lab.at("10.N.2.1:7000")]);
    assert_eq!(packets(flow), (20, 20));
    assert_eq!(path(flow), ["rc", "rs"]);
    assert_eq!(run.flows().count(), 1);
}

/// A container as it is usual: its interface, a bridge, and a translation on the way out. One flow, of the process in
/// the container.
#[test]
fn root_a_container_behind_a_bridge() {
    const RULES: &str = "\
table ip nat {
  chain post {
    type nat hook postrouting priority 100;
    oifname rs masquerade
  }
}
";
    let Some(lab) = router(RULES) else { return };
    // The client's network hangs on a bridge, which has the router's address in it.
    for words in [
        "link add br0 type bridge mcast_snooping 0",
        "addr flush dev rc",
        "link set rc master br0",
        "addr add 10.N.1.254/24 dev br0",
        "link set br0 up",
    ] {
        lab.ip("r", words);
    }
    let running = Running::start(&lab, "r", "");
    let (mut client, mut server) =
        (Peer::start(&lab, "c", "the-client"), Peer::start(&lab, "s", "the-server"));
    let at = server.end(&lab.filled("listen 10.N.2.1:0"));
    let from = client.end(&format!("connect {at}"));
    server.tell("accept");
    for _ in 0..20 {
        client.tell("say");
        server.tell("hear");
        server.tell("say");
        client.tell("hear");
    }
    std::thread::sleep(std::time::Duration::from_millis(600));
    let run = running.stop();
    let flow = run.flow("tcp", [from, at]);
    // Each says 20 times 100 bytes; with the handshake and acknowledgements it is less than twice the packets.
    assert!((21..60).contains(&packets(flow).0) && (21..60).contains(&packets(flow).1), "{flow}");
    assert_eq!(path(flow), ["br0", "rc", "rs"]);
    assert_eq!(end(&flow["sockethound"]["nat"]["source"]).ip(), lab.at("10.N.2.254:0").ip());
    assert_eq!(flow["process"]["pid"], client.pid(), "{flow:#}");
    assert_eq!(run.flows().count(), 1, "nothing under the other five-tuple");
}

/// The wire shows the translated five-tuple alone, while the socket has the other: as with a service that is an address
/// on no machine.
#[test]
fn root_what_is_translated_where_it_is_sent() {
    const RULES: &str = "\
table ip nat {
  chain out {
    type nat hook output priority -100;
    ip daddr 10.N.77.77 udp dport 53 dnat to 10.N.2.1:7000
    ip daddr 10.N.77.77 tcp dport 80 dnat to 10.N.2.1:7002
  }
}
";
    let Some(lab) = router(RULES) else { return };
    lab.ip("r", "route add 10.N.77.0/24 via 10.N.2.1 dev rs");
    let running = Running::start(&lab, "r", "");
    let (mut client, mut server) =
        (Peer::start(&lab, "r", "the-client"), Peer::start(&lab, "s", "the-server"));
    server.tell(&lab.filled("bind 10.N.2.1:7000"));
    server.tell(&lab.filled("listen 10.N.2.1:7002"));
    let datagrams = client.end(&lab.filled("bind 10.N.2.254:0"));
    for _ in 0..5 {
        client.tell(&lab.filled("send 10.N.77.77:53"));
        server.tell("receive");
    }
    let stream = client.end(&lab.filled("connect 10.N.77.77:80"));
    server.tell("accept");
    client.tell("say");
    server.tell("hear");
    std::thread::sleep(std::time::Duration::from_millis(600));
    let run = running.stop();
    for (transport, from, to, beyond) in [
        ("udp", datagrams, "10.N.77.77:53", "10.N.2.1:7000"),
        ("tcp", stream, "10.N.77.77:80", "10.N.2.1:7002"),
    ] {
        let flow = run.flow(transport, [from, lab.at(to)]);
        assert_eq!(end(&flow["sockethound"]["nat"]["destination"]), lab.at(beyond), "{flow:#}");
        assert_eq!((path(flow), &flow["process"]["pid"]), (vec!["rs"], &client.pid().into()), "{flow:#}");
    }
    assert_eq!(run.flows().count(), 2, "nothing under the other five-tuple");
    run.ledger("rs");
}

/// A service's address that is the router's: the sockets at the ends know the flow by different five-tuples, and none has it
/// as it stands on one of the wires where both addresses are exchanged.
#[test]
fn root_owners_of_a_translated_destination() {
    owners_of_a_service("");
}

#[test]
fn root_owners_where_both_ends_are_translated() {
    owners_of_a_service("chain post { type nat hook postrouting priority 100; oifname rs masquerade; }");
}

fn owners_of_a_service(more: &str) {
    let rules = format!(
        "table ip nat {{
           chain pre {{
             type nat hook prerouting priority -100;
             ip daddr 10.N.1.254 udp dport 8081 dnat to 10.N.2.1:7000
             ip daddr 10.N.1.254 tcp dport 8082 dnat to 10.N.2.1:7002
           }}
           {more}
         }}
        "
    );
    let Some(lab) = router(&rules) else { return };
    for words in ["", "--no-bpf"] {
        for is_older in [false, true] {
            let mut service = Service::start(&lab);
            if is_older {
                service.begin(&lab);
            }
            let running = Running::start(&lab, "r", words);
            if !is_older {
                service.begin(&lab);
            }
            service.go_on(&lab);
            std::thread::sleep(std::time::Duration::from_millis(600));
            let run = running.stop();
            for (transport, from, to) in
                [("udp", service.datagrams, "10.N.1.254:8081"), ("tcp", service.stream, "10.N.1.254:8082")]
            {
                let flow = run.flow(transport, [from.unwrap(), lab.at(to)]);
                let (owner, peer) = (&flow["process"]["pid"], &flow["sockethound"]["peer"]["pid"]);
                let pids = (service.client.pid().into(), service.server.pid().into());
                assert_eq!((owner, peer), (&pids.0, &pids.1), "{words} older: {is_older} {flow:#}");
                assert_eq!(path(flow), ["rc", "rs"]);
            }
            assert_eq!(run.flows().count(), 2, "nothing under the other five-tuples");
            run.ledger("rc");
            run.ledger("rs");
        }
    }
}

/// A client and a server that speak by UDP and by TCP, and from where the client does.
struct Service {
    client: Peer,
    server: Peer,
    datagrams: Option<SocketAddr>,
    stream: Option<SocketAddr>,
}

impl Service {
    fn start(lab: &Lab) -> Self {
        let (client, mut server) = (Peer::start(lab, "c", "the-client"), Peer::start(lab, "s", "the-server"));
        server.tell(&lab.filled("bind 10.N.2.1:7000"));
        server.tell(&lab.filled("listen 10.N.2.1:7002"));
        Self { client, server, datagrams: None, stream: None }
    }

    fn begin(&mut self, lab: &Lab) {
        self.datagrams = Some(self.client.end(&lab.filled("bind 10.N.1.1:0")));
        self.stream = Some(self.client.end(&lab.filled("connect 10.N.1.254:8082")));
        self.server.tell("accept");
        self.go_on(lab);
    }

    fn go_on(&mut self, lab: &Lab) {
        for _ in 0..5 {
            self.client.tell(&lab.filled("send 10.N.1.254:8081"));
            let from = self.server.tell("receive");
            self.server.tell(&format!("send {from}"));
            self.client.tell("receive");
            self.client.tell("say");
            self.server.tell("hear");
            self.server.tell("say");
            self.client.tell("hear");
        }
    }
}
