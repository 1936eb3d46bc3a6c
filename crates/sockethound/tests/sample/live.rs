//! What a live capture tells.
#![allow(clippy::unnecessary_wraps, reason = "they fill members that may be absent")]

use std::sync::Arc;
use std::time::Duration;

use flow::{
    Answer, Attributed, Container, Elsewhere, End, Evidence, FlowRecord, InterfaceLedger, InterfaceName,
    Ledger, Live, LiveLedger, Owner, Pace, ProcessAccount, ProcessSockets, RECENT, Rate, Reason, RoundTrips,
    Runtime, Snapshot, SocketCounts, SocketLedger, TcpRecord,
};

use super::{address_record, after, called, counters, dns, end, flow, ping, tcp_flow};

/// A process without anything that not every process has.
pub(crate) fn process(pid: u32, name: &str) -> Owner {
    Owner {
        pid,
        start: 1,
        name: name.to_owned(),
        executable: None,
        command_line: vec![],
        uid: Some(1000),
        user: Some("alice".to_owned()),
        parent: 1,
        cgroup: None,
        unit: None,
        container: None,
        net_namespace: None,
    }
}

/// A process with everything there is.
pub(crate) fn nginx() -> Owner {
    Owner {
        executable: Some("/usr/sbin/nginx".to_owned()),
        command_line: ["nginx:", "worker \"1\""].map(str::to_owned).into(),
        uid: Some(33),
        user: Some("www-data".to_owned()),
        parent: 4690,
        unit: Some("docker-4f2a.scope".to_owned()),
        container: Some(Container {
            runtime: Runtime::Docker,
            id: "4f2a9c0d".to_owned(),
            name: Some("web".to_owned()),
            pod: None,
        }),
        ..process(4711, "nginx")
    }
}

pub(crate) fn owned(owner: Owner) -> Option<Answer> {
    let (end, evidence) = (End::Source, Evidence::Exact);
    Some(Answer::Owner(Attributed {
        owner: Arc::new(owner),
        end,
        evidence,
        peer: None,
        elsewhere: Elsewhere::Nobody,
    }))
}

pub(crate) fn unowned(reason: Reason) -> Option<Answer> {
    Some(Answer::None(reason))
}

/// A pace whose last intervals had so many bytes each second.
pub(crate) fn pace(now: f64, recent: &[u64]) -> Option<Pace> {
    let mut all = [0; RECENT];
    all[RECENT - recent.len()..].copy_from_slice(recent);
    Some(Pace { now, peak: 2.0 * now, recent: all })
}

/// A flow of a container behind a translation.
pub(crate) fn from_container() -> FlowRecord {
    FlowRecord {
        sent: counters(300, 20_000),
        received: counters(350, 2_000_000),
        owner: owned(nginx()),
        path: ["veth1", "br0", "eth0"].map(Arc::from).into(),
        nat: Some((end("203.0.113.7", 61_001), end("198.51.100.100", 443))),
        interface: Some("veth1".into()),
        pace: pace(123_456.0, &[0, 10, 500, 900, 0, 1000]),
        destination_name: Some(called("api.us-west-2.aiv-delivery.net")),
        ..FlowRecord {
            source: end("172.17.0.2", 50123),
            destination: end("198.51.100.100", 443),
            ..tcp_flow()
        }
    }
}

/// A flow between two processes of this host.
pub(crate) fn on_loopback() -> FlowRecord {
    let owner = Arc::new(process(5120, "postgres-exporter"));
    let peer = Some(Arc::new(process(902, "postgres")));
    FlowRecord {
        sent: counters(70, 90_000),
        received: counters(60, 40_000),
        tcp: Some(TcpRecord {
            state: "S1",
            history: "ShADad".to_owned(),
            rtt: Some(Duration::from_micros(31)),
            retransmits: 0,
        }),
        owner: Some(Answer::Owner(Attributed {
            owner,
            end: End::Source,
            evidence: Evidence::Exact,
            peer,
            elsewhere: Elsewhere::Nobody,
        })),
        interface: Some("lo".into()),
        path: vec!["lo".into()],
        pace: pace(5_000.0, &[5, 6, 5, 7, 5, 6, 5, 7, 5, 6, 5, 7, 5, 6, 5, 7, 5, 6]),
        ..flow(6, end("127.0.0.1", 41_000), end("127.0.0.1", 5432))
    }
}

fn rows() -> Vec<FlowRecord> {
    let eth0 = || Some(Arc::from("eth0"));
    let remote = FlowRecord {
        owner: owned(process(3003, "xfreerdp3")),
        interface: eth0(),
        path: vec!["eth0".into()],
        pace: pace(1_153_434.0, &[1_000_000, 2_000_000, 3_040_870, 1_153_434]),
        received: counters(1500, 29_654_322),
        destination_name: Some(called("desktop.example")),
        source: end("10.1.1.33", 36522),
        destination: end("10.1.111.111", 3389),
        ..tcp_flow()
    };
    let unknown = |port, bytes, reason| FlowRecord {
        sent: counters(4, bytes),
        owner: unowned(reason),
        interface: eth0(),
        path: vec!["eth0".into()],
        pace: pace(0.0, &[bytes, 0]),
        ..flow(6, end("10.1.1.33", port), end("192.168.100.100", 443))
    };
    vec![
        remote,
        from_container(),
        on_loopback(),
        FlowRecord { protocol: 17, tcp: None, ..unknown(50123, 90_000, Reason::Forwarded) },
        unknown(50124, 7000, Reason::Ended),
        unknown(50125, 6000, Reason::Permission { uid: 1001 }),
        FlowRecord { owner: unowned(Reason::Kernel), interface: eth0(), pace: pace(15.2, &[152]), ..ping() },
        FlowRecord { owner: None, pace: None, ..unknown(50126, 60, Reason::Deferred) },
    ]
}

pub(crate) fn live_ledger() -> LiveLedger {
    LiveLedger {
        kernel: Some((3350, 4_488_000)),
        dropped: Some(3),
        in_kernel: (0, 0),
        settled: (0, 0),
        without_flow: (0, 0),
        offload: (0, 0),
        owned: (3200, 4_361_000),
        forwarded: (100, 94_000),
        by_kernel: (20, 13_000),
        unknown: (23, 19_700),
        reasons: vec![("ended before the socket was seen".to_owned(), 2)],
    }
}

pub(crate) fn live_interface(name: &str) -> InterfaceLedger {
    InterfaceLedger {
        interface: InterfaceName { file: None, name: Some(name.into()) },
        malformed: vec![],
        live: Some(live_ledger()),
        ..super::interface_ledger()
    }
}

/// An interface on which hardly anything happened.
pub(crate) fn quiet_interface(name: &str) -> InterfaceLedger {
    InterfaceLedger {
        interface: InterfaceName { file: None, name: Some(name.into()) },
        seen: (8, 800),
        counted: (8, 800),
        not_ip: (0, 0),
        not_ip_names: vec![],
        malformed: vec![],
        live: Some(LiveLedger {
            kernel: Some((8, 800)),
            dropped: Some(0),
            owned: (8, 800),
            ..LiveLedger::default()
        }),
    }
}

/// What sockets did, of two processes: one of which the ring lost something, and one of which nothing is known.
pub(crate) fn sockets() -> SocketLedger {
    let counts = SocketCounts {
        sent: (1200, 150_000),
        received: (1500, 29_654_322),
        retransmits: 3,
        receive_drops: 17,
    };
    let round_trips = RoundTrips { sum: Duration::from_micros(90_200), connections: 2 };
    let owner = Some(Arc::new(process(3003, "xfreerdp3")));
    let sockets = ProcessSockets { owner, here: true, counts, round_trips };
    let rest = ProcessSockets {
        owner: None,
        counts: SocketCounts { sent: (1, 60), ..SocketCounts::default() },
        round_trips: RoundTrips::default(),
        here: true,
    };
    SocketLedger {
        sockets: (2701, 29_804_382),
        in_flows: (2690, 29_792_000),
        processes: vec![
            ProcessAccount { sockets, in_flows: (2690, 29_792_000) },
            ProcessAccount { sockets: rest, in_flows: (0, 0) },
        ],
    }
}

/// Some of everything.
pub(crate) fn live_snapshot() -> Snapshot {
    let rows = rows();
    let interfaces = vec![live_interface("eth0"), quiet_interface("lo")];
    let mut answers: Vec<_> = ["chromium", "curl"]
        .into_iter()
        .zip(["api.us-west-2.aiv-delivery.net", "example.org"])
        .map(|(process_name, name)| flow::DnsEvent {
            owner: Some(Arc::new(process(77, process_name))),
            ..dns(true, name, 0, vec![address_record(name, "18.189.146.172")])
        })
        .collect();
    answers.push(dns(true, "nowhere.example", 3, vec![]));
    let total = rows.iter().map(FlowRecord::total).fold(counters(11, 2150), |a, b| a + b);
    Snapshot {
        interfaces: interfaces.iter().map(|i| i.interface.clone()).collect(),
        captures: vec![],
        flows: rows.len() as u64 + 11,
        total,
        rows,
        dns: answers,
        ledger: Ledger { interfaces, reasons: live_ledger().reasons, ..Ledger::default() },
        live: Some(Live {
            started: super::START,
            at: after(10_752_000_000),
            now: Rate { bytes: 1_153_434.0, packets: 820.4 },
            peak: Rate { bytes: 3_040_870.0, packets: 2100.0 },
            owners_from: "sock_diag",
        }),
        is_final: false,
        ..super::snapshot()
    }
}
