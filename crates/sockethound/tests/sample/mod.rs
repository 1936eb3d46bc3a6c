//! Records with known facts, for the tests of views.
#![allow(dead_code, reason = "each test program uses its part")]

pub(crate) mod live;

use std::net::IpAddr;
use std::time::Duration;

use dissect::app::dns::{Message, Question, Record, Value};
use dissect::{Endpoint, FiveTuple, Icmp, Timestamp};
use flow::{
    Called, CaptureEnd, CaptureRecord, Cause, Counters, DnsEvent, DnsFacts, DnsKind, DnsTotals,
    FlowDirection, FlowRecord, InterfaceId, InterfaceLedger, InterfaceName, Ledger, NamedBy, ResolverTotals,
    Snapshot, TcpRecord, TunnelHeader,
};

/// 2026-11-22 12:29:56.123456789 UTC.
pub(crate) const START: Timestamp = Timestamp(1_795_350_596_123_456_789);

pub(crate) fn after(nanos: i64) -> Timestamp {
    Timestamp(START.0 + nanos)
}

pub(crate) fn end(addr: &str, port: u16) -> Endpoint {
    Endpoint { addr: addr.parse().unwrap(), port }
}

pub(crate) fn counters(packets: u64, ip_bytes: u64) -> Counters {
    Counters { packets, ip_bytes, frame_bytes: ip_bytes + 14 * packets }
}

/// A name that was looked up.
pub(crate) fn called(name: &str) -> Called {
    Called { name: name.into(), by: NamedBy::Lookup }
}

/// One packet each way.
pub(crate) fn flow(protocol: u8, source: Endpoint, destination: Endpoint) -> FlowRecord {
    FlowRecord {
        protocol,
        ip_version: if source.addr.is_ipv4() { 4 } else { 6 },
        source,
        destination,
        sent: counters(1, 60),
        received: counters(1, 92),
        first: START,
        last: after(1_500_000_000),
        icmp: None,
        tcp: None,
        tunnels: Box::default(),
        app: None,
        interface: None,
        direction: None,
        source_name: None,
        destination_name: None,
        cause: Cause::Unknown,
        encrypted_dns: None,
        owner: None,
        own_lookup: false,
        path: vec![],
        nat: None,
        pace: None,
        source_mac: None,
        destination_mac: None,
    }
}

pub(crate) fn tcp_flow() -> FlowRecord {
    FlowRecord {
        sent: counters(1200, 61_234),
        received: counters(1500, 3_965_432),
        last: after(10_752_000_000),
        tcp: Some(TcpRecord {
            state: "SF",
            history: "ShADadFf".to_owned(),
            rtt: Some(Duration::from_micros(88_100)),
            retransmits: 3,
        }),
        direction: Some(FlowDirection::Outbound),
        destination_name: Some(called("desk\"top.example")),
        interface: Some("eth0".into()),
        ..flow(6, end("128.232.110.120", 34855), end("66.35.250.204", 80))
    }
}

pub(crate) fn ping() -> FlowRecord {
    FlowRecord {
        icmp: Some(Icmp { kind: 8, code: 0 }),
        ..flow(1, end("192.168.0.89", 0), end("192.168.0.1", 0))
    }
}

pub(crate) fn enclosed() -> FlowRecord {
    let address = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    FlowRecord {
        tunnels: Box::new([
            TunnelHeader {
                kind: "vxlan",
                id: Some(42),
                source: address("198.51.100.1"),
                destination: address("198.51.100.2"),
            },
            TunnelHeader { kind: "pppoe", id: None, source: None, destination: None },
        ]),
        ..flow(17, end("2001:db8::a:1", 5000), end("2001:db8:1:2:3:4:5:6", 6000))
    }
}

pub(crate) fn dns(answer: bool, name: &str, code: u8, answers: Vec<Record>) -> DnsEvent {
    let (asker, server) = (end("10.1.1.33", 40000), end("10.1.1.1", 53));
    let (src, dst) = if answer { (server, asker) } else { (asker, server) };
    DnsEvent {
        timestamp: START,
        frame: 12,
        interface: InterfaceId(0),
        protocol: "dns",
        tuple: FiveTuple { src, dst, protocol: 17 },
        message: std::sync::Arc::new(Message {
            id: 4711,
            answer,
            opcode: 0,
            response_code: code,
            questions: vec![Question { name: name.into(), kind: 1 }],
            answers,
        }),
        owner: None,
        facts: DnsFacts::default(),
        latency: answer.then_some(Duration::from_micros(12_345)),
        own_lookup: false,
    }
}

pub(crate) fn address_record(name: &str, addr: &str) -> Record {
    Record { name: name.into(), kind: 1, ttl: 300, value: Value::Address(addr.parse().unwrap()) }
}

pub(crate) fn alias_record(name: &str, target: &str) -> Record {
    Record { name: name.into(), kind: 5, ttl: 60, value: Value::Name(target.into()) }
}

pub(crate) fn capture() -> CaptureRecord {
    CaptureRecord {
        path: "incident.pcapng".into(),
        packets: 3347,
        bytes: 4_488_000,
        start: Some(START),
        end: Some(after(10_752_000_000)),
        stop: CaptureEnd::Complete,
    }
}

pub(crate) fn interface_ledger() -> InterfaceLedger {
    InterfaceLedger {
        interface: InterfaceName { file: Some("incident.pcapng".into()), name: Some("eth0".into()) },
        seen: (3347, 4_488_000),
        counted: (3343, 4_487_700),
        not_ip: (4, 300),
        not_ip_names: vec![("ARP".to_owned(), 2), ("LLDP".to_owned(), 1)],
        malformed: vec![("ipv4: header length below 20".to_owned(), 1)],
        live: None,
    }
}

/// Some of everything, from one capture.
pub(crate) fn snapshot() -> Snapshot {
    let rows = vec![
        FlowRecord {
            destination_name: Some(called("desktop.example")),
            ..FlowRecord {
                source: end("10.1.1.33", 36522),
                destination: end("10.1.111.111", 3389),
                received: counters(1500, 29_654_322),
                ..tcp_flow()
            }
        },
        FlowRecord {
            sent: counters(300, 20_000),
            received: counters(350, 2_000_000),
            tcp: Some(TcpRecord {
                state: "S1",
                history: "ShADad".to_owned(),
                rtt: Some(Duration::from_micros(912)),
                retransmits: 0,
            }),
            direction: Some(FlowDirection::Internal),
            source_name: Some(called("a-very-long-name-of-a-host.in.some.department.example")),
            ..flow(6, end("192.168.100.200", 50123), end("192.168.100.100", 443))
        },
        FlowRecord {
            sent: counters(70, 90_000),
            received: counters(60, 40_000),
            tunnels: Box::new([TunnelHeader {
                kind: "vxlan",
                id: Some(42),
                source: None,
                destination: None,
            }]),
            ..flow(17, end("172.16.0.9", 4500), end("198.51.100.250", 4500))
        },
        FlowRecord { ..ping() },
    ];
    let shown = rows.iter().map(FlowRecord::total).fold(Counters::default(), |a, b| a + b);
    let total = shown + counters(11, 2150);
    Snapshot {
        interfaces: vec![interface_ledger().interface],
        captures: vec![capture()],
        first: Some(START),
        last: Some(after(10_752_000_000)),
        flows: rows.len() as u64 + 11,
        total,
        rows,
        groups: None,
        more_groups: 0,
        dns: answers(),
        resolvers: vec![
            ResolverTotals {
                kind: DnsKind::Https,
                resolver: "dns.google".into(),
                flows: 3,
                bytes: 41_984,
                queries: 25,
            },
            ResolverTotals {
                kind: DnsKind::Crypt,
                resolver: "192.0.2.53".into(),
                flows: 1,
                bytes: 1_111,
                queries: 1,
            },
        ],
        dns_totals: DnsTotals {
            queries: 1203,
            answers: 1150,
            no_such_name: 12,
            failed: 3,
            slow: 2,
            ..DnsTotals::default()
        },
        ledger: ledger(total),
        sockets: None,
        live: None,
        is_final: true,
    }
}

fn answers() -> Vec<DnsEvent> {
    let mut alias = dns(true, "www.example.org", 0, vec![alias_record("www.example.org", "cdn.example.net")]);
    alias.latency = None;
    let mut multicast = dns(true, "", 0, vec![address_record("printer.local", "192.168.1.9")]);
    std::sync::Arc::make_mut(&mut multicast.message).questions.clear();
    (multicast.protocol, multicast.latency) = ("mdns", None);
    let addresses = ["18.189.146.172", "18.189.146.173", "18.189.146.174"];
    let addresses = addresses.map(|addr| address_record("api.us-west-2.aiv-delivery.net", addr));
    vec![
        dns(true, "api.us-west-2.aiv-delivery.net", 0, addresses.to_vec()),
        dns(true, "nowhere.example", 3, vec![]),
        alias,
        multicast,
        dns(true, "bad\u{1b}]0;title\u{7}\u{202e}name.example", 2, vec![]),
    ]
}

/// Closes: its interface saw what `counted` holds and what is not IP.
pub(crate) fn ledger(counted: Counters) -> Ledger {
    let interface = interface_ledger();
    let counted_here = (counted.packets, counted.frame_bytes);
    let seen = (counted.packets + interface.not_ip.0, counted.frame_bytes + interface.not_ip.1);
    Ledger {
        interfaces: vec![InterfaceLedger { seen, counted: counted_here, ..interface }],
        counted,
        odd: vec![("tcp: data offset below 5".to_owned(), 2)],
        malformed_messages: vec![("dns: pointer loop".to_owned(), 1)],
        unread_openings: 0,
        ..Ledger::default()
    }
}
