//! Records with known facts, for the tests of views.
#![allow(dead_code, reason = "each test program uses its part")]

use std::net::IpAddr;
use std::time::Duration;

use dissect::app::dns::{Message, Question, Record, Value};
use dissect::{Endpoint, FiveTuple, Icmp, Timestamp};
use flow::{
    CaptureEnd, CaptureRecord, Counters, DnsEvent, FlowDirection, FlowRecord, InterfaceId, InterfaceLedger,
    InterfaceName, TcpRecord, TunnelHeader,
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
        interface: None,
        direction: None,
        source_name: None,
        destination_name: None,
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
        destination_name: Some("desk\"top.example".into()),
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
            questions: vec![Question { name: name.to_owned(), kind: 1 }],
            answers,
        }),
        latency: answer.then_some(Duration::from_micros(12_345)),
    }
}

pub(crate) fn address_record(name: &str, addr: &str) -> Record {
    Record { name: name.to_owned(), kind: 1, ttl: 300, value: Value::Address(addr.parse().unwrap()) }
}

pub(crate) fn alias_record(name: &str, target: &str) -> Record {
    Record { name: name.to_owned(), kind: 5, ttl: 60, value: Value::Name(target.to_owned()) }
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
    }
}
