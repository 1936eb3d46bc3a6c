//! Names of conversations that are laid out here: what a client asks for later, in later connections, and from elsewhere.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

#[path = "../../flow/tests/capture/hello.rs"]
mod hello;
mod run;

use hello::hello;
use serde_json::Value;

const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 1], 40_000);
const SERVER: ([u8; 4], u16) = ([203, 0, 113, 9], 80);
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const FIN: u8 = 0x11;

/// A capture of IP packets: its header, then each packet behind its own (link type 101, little-endian).
struct Capture {
    bytes: Vec<u8>,
    seq: [u32; 2],
}

impl Capture {
    fn new() -> Self {
        let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0];
        bytes.extend(101u32.to_le_bytes());
        Capture { bytes, seq: [1000, 5000] }
    }

    /// One segment; `side` 0 is the client.
    fn segment(&mut self, side: usize, flags: u8, payload: &[u8]) {
        let ends = if side == 0 { [CLIENT, SERVER] } else { [SERVER, CLIENT] };
        let len = (40 + payload.len()) as u16;
        let mut packet = vec![0x45, 0];
        packet.extend(len.to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, 6, 0, 0]);
        packet.extend(ends.map(|(addr, _)| addr).concat());
        packet.extend(ends.map(|(_, port)| port.to_be_bytes()).concat());
        packet.extend(self.seq[side].to_be_bytes());
        packet.extend(self.seq[1 - side].to_be_bytes());
        packet.extend([0x50, flags, 1, 0, 0, 0, 0, 0]);
        packet.extend(payload);
        self.bytes.extend([0; 8]);
        self.bytes.extend([u32::from(len).to_le_bytes(); 2].concat());
        self.bytes.extend(packet);
        self.seq[side] = self.seq[side].wrapping_add(payload.len() as u32 + u32::from(flags & 3 != 0));
    }

    fn says(&mut self, side: usize, payload: &[u8]) {
        self.segment(side, 0x18, payload);
    }

    fn connects(&mut self) {
        self.segment(0, SYN, b"");
        self.segment(1, SYN | ACK, b"");
        self.segment(0, ACK, b"");
    }

    fn closes(&mut self) {
        self.segment(0, FIN, b"");
        self.segment(1, FIN, b"");
    }

    fn records(&self) -> Vec<Value> {
        run::records(&run::run_on(&self.bytes, &["-r", "-", "--json"]).stdout)
    }

    fn names(&self) -> Vec<String> {
        names(&self.records())
    }
}

fn names(records: &[Value]) -> Vec<String> {
    let names = run::of_kind(records, "name").into_iter();
    names.map(|name| name["destination"]["domain"].as_str().unwrap().to_owned()).collect()
}

fn get(host: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn every_name_of_a_connection_is_told_once() {
    let mut capture = Capture::new();
    capture.connects();
    let hosts: Vec<String> = (0..150).map(|n| format!("host{n}.example")).collect();
    for host in [&hosts[..], &hosts[..]].concat() {
        capture.says(0, &get(&host));
        capture.says(1, OK);
    }
    assert_eq!(capture.names(), hosts);
}

#[test]
fn another_connection_of_the_same_ends_has_names_of_its_own() {
    let mut capture = Capture::new();
    for name in ["a.example", "b.example"] {
        capture.connects();
        capture.says(0, &hello(name));
        capture.says(1, &[22, 3, 3, 0, 4, 14, 0, 0, 0]);
        capture.closes();
        capture.seq = [900_000, 700_000];
    }
    assert_eq!(capture.names(), ["a.example", "b.example"]);
    // Without an end that was seen; a SYN that only comes late begins nothing.
    let mut capture = Capture::new();
    capture.connects();
    capture.says(0, &hello("a.example"));
    capture.seq[0] -= 1 + hello("a.example").len() as u32;
    capture.segment(0, SYN, b"");
    capture.says(0, &hello("c.example"));
    capture.seq = [4_000_000_000; 2];
    capture.connects();
    capture.says(0, &hello("b.example"));
    assert_eq!(capture.names(), ["a.example", "b.example"]);
}

/// The five-tuple is used again, and the new connection's handshake was not captured: behind an end that was, and without one.
#[test]
fn a_connection_that_begins_unseen_has_names_of_its_own() {
    for closes in [true, false] {
        let mut capture = Capture::new();
        capture.connects();
        for (name, seq) in [("a.example", 1001), ("b.example", 900_000_000), ("c.example", 3_900_000_000)] {
            capture.seq = [seq, seq + 7];
            capture.says(0, &hello(name));
            capture.says(1, &[22, 3, 3, 0, 4, 14, 0, 0, 0]);
            // A gap in what follows begins nothing.
            capture.seq[0] = capture.seq[0].wrapping_add(5_000_000);
            capture.says(0, &[&[23, 3, 3, 0, 200][..], &[7; 200]].concat());
            if closes {
                capture.closes();
            }
        }
        let records = capture.records();
        assert_eq!(names(&records), ["a.example", "b.example", "c.example"], "ends that were seen: {closes}");
        let flows = run::of_kind(&records, "flow");
        let [flow] = flows[..] else { panic!("{flows:?}") };
        assert_eq!(
            (&flow["network"]["protocol"], &flow["destination"]["domain"]),
            (&"tls".into(), &"a.example".into())
        );
    }
}

#[test]
fn a_request_in_a_connection_that_began_before_is_read() {
    for before in [&b"the rest of a body"[..], b"Cookie: x\r\n\r\n", b"\x00\x01\x02"] {
        let mut capture = Capture::new();
        capture.says(0, before);
        capture.says(0, &get("a.example"));
        capture.says(1, OK);
        capture.says(0, &get("b.example"));
        assert_eq!(capture.names(), ["a.example", "b.example"]);
    }
}

#[test]
fn what_a_client_says_without_answers_is_read() {
    let mut capture = Capture::new();
    capture.connects();
    let hosts: Vec<String> = (0..60).map(|n| format!("host{n}.example")).collect();
    for host in &hosts {
        let long = format!("GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "x".repeat(600));
        capture.says(0, long.as_bytes());
    }
    assert_eq!(capture.names(), hosts);
}

#[test]
fn a_request_in_a_body_is_none() {
    let mut capture = Capture::new();
    capture.connects();
    let body = get("body.example");
    let chunked = b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    capture.says(0, chunked);
    capture.says(0, format!("{:x}\r\n", body.len()).as_bytes());
    capture.says(0, &body);
    capture.says(0, b"\r\n0\r\n\r\n");
    capture.says(1, format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes());
    capture.says(1, &body);
    capture.says(0, &get("b.example"));
    assert_eq!(capture.names(), ["a.example", "b.example"]);
}

/// The recorded capture, its first client's later packets rewritten to another port, as a router does that has forgotten its
/// translation (RFC 9000, section 9.5): real packets, since no client at hand moves without changing what it calls the
/// connection.
#[test]
fn a_quic_connection_keeps_its_name_where_it_goes() {
    const OLD: [u8; 2] = 36_465u16.to_be_bytes();
    const NEW: [u8; 2] = 50_505u16.to_be_bytes();
    /// The handshake, in both directions.
    const FIRST: usize = 3;
    /// Of a pcap file and of each packet in it; then Ethernet and IPv4.
    const HEADERS: [usize; 3] = [24, 16, 14 + 20];
    let mut bytes = std::fs::read(run::fixture("quic.pcap")).unwrap();
    let (mut at, mut seen) = (HEADERS[0], 0);
    while at < bytes.len() {
        let len = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
        let ports = at + HEADERS[1] + HEADERS[2];
        for port in [ports, ports + 2] {
            if bytes[port..port + 2] == OLD {
                seen += 1;
                if seen > FIRST {
                    bytes[port..port + 2].copy_from_slice(&NEW);
                }
            }
        }
        at += HEADERS[1] + len;
    }
    let recorded = run::records(&run::run(&["-r", &run::fixture("quic.pcap"), "--json"]).stdout);
    let records = run::records(&run::run_on(&bytes, &["-r", "-", "--json"]).stdout);
    assert_eq!(names(&records), names(&recorded), "nobody asked anew");
    let moved =
        run::of_kind(&records, "flow").into_iter().find(|flow| flow["source"]["port"] == 50_505).unwrap();
    assert_eq!(moved["destination"]["domain"], "one.example.org");
    assert_eq!(moved["destination"]["domain_source"], "quic");
    assert_eq!(moved["network"]["protocol"], "quic");
    assert_eq!(moved["quic"]["migrated_from"], "192.0.2.20:36465");
}
