//! Every kind of NDJSON record: its full line, and that it keeps to the published schema.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod sample;

use dissect::Timestamp;
use dissect::app::dns::{Record, Value};
use flow::{
    Answer, Attributed, Began, CaptureEnd, CaptureRecord, End, Event, Evidence, FlowRecord, InterfaceLedger,
    Ledger, Live, LiveLedger, Reason, Snapshot,
};
use sample::live::{
    from_container, live_interface, live_ledger, nginx, on_loopback, process, sockets, unowned,
};
use sample::{after, capture, dns, enclosed, end, flow, interface_ledger, ping, tcp_flow};
use sockethound::view::View;
use sockethound::view::ndjson::Ndjson;

fn schema() -> jsonschema::Validator {
    let schema = serde_json::from_str(include_str!("../schema/ndjson.schema.json")).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

/// The lines of one `kind` that `write` writes: other kinds have tests of their own. All keep to the schema.
fn lines(kind: &str, write: impl FnOnce(&mut Ndjson, &mut Vec<u8>)) -> Vec<String> {
    let mut out = Vec::new();
    write(&mut Ndjson::new(true), &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let schema = schema();
    let is_wanted = |line: &&str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(error) = schema.iter_errors(&value).next() {
            panic!("{error:?}\n{line}");
        }
        value["kind"] == kind
    };
    text.lines().filter(is_wanted).map(str::to_owned).collect()
}

/// The one line of that kind which a snapshot gives.
fn shown(kind: &str, snapshot: &Snapshot) -> String {
    let mut lines = lines(kind, |view, out| view.show(snapshot, out).unwrap());
    assert_eq!(lines.len(), 1);
    lines.remove(0)
}

/// The one line that an event is.
fn event(event: Event) -> String {
    let mut out = Vec::new();
    Ndjson::new(true).events(&[event], &mut out).unwrap();
    let line = String::from_utf8(out).unwrap().strip_suffix('\n').unwrap().to_owned();
    let value = serde_json::from_str(&line).unwrap();
    if let Some(error) = schema().iter_errors(&value).next() {
        panic!("{error:?}\n{line}");
    }
    line
}

#[test]
fn capture_record() {
    assert_eq!(
        event(Event::Capture(capture())),
        r#"{"kind":"capture","schema":1,"file":{"path":"incident.pcapng"},"network":{"packets":3347,"bytes":4488000},"event":{"start":"2026-11-22T12:29:56.123456789Z","end":"2026-11-22T12:30:06.875456789Z"},"sockethound":{"stop":"complete"}}"#
    );
}

#[test]
fn capture_without_packets_that_is_damaged() {
    let record = CaptureRecord {
        path: "a \"b\"\n.pcap".into(),
        packets: 0,
        bytes: 0,
        start: None,
        end: None,
        stop: CaptureEnd::Truncated("12 of 16 bytes".to_owned()),
    };
    assert_eq!(
        event(Event::Capture(record)),
        r#"{"kind":"capture","schema":1,"file":{"path":"a \"b\"\n.pcap"},"network":{"packets":0,"bytes":0},"event":{"start":null,"end":null},"sockethound":{"stop":"truncated","reason":"12 of 16 bytes"}}"#
    );
}

#[test]
fn capturing_has_begun() {
    let began =
        Began { at: sample::START, interfaces: vec!["eth0".into(), "lo".into()], owners_from: "sock_diag" };
    assert_eq!(
        event(Event::Began(began)),
        r#"{"kind":"capture","schema":1,"event":{"start":"2026-11-22T12:29:56.123456789Z"},"sockethound":{"interfaces":["eth0","lo"],"owners_from":"sock_diag"}}"#
    );
}

#[test]
fn flow_record() {
    assert_eq!(
        event(Event::Flow(tcp_flow())),
        r#"{"kind":"flow","schema":1,"@timestamp":"2026-11-22T12:30:06.875456789Z","event":{"start":"2026-11-22T12:29:56.123456789Z","end":"2026-11-22T12:30:06.875456789Z","duration":10752000000},"network":{"transport":"tcp","iana_number":6,"type":"ipv4","direction":"outbound","protocol":"http","community_id":"1:LQU9qZlK+B5F3KDmev6m5PMibrg=","bytes":4026666,"packets":2700},"source":{"ip":"128.232.110.120","port":34855,"bytes":61234,"packets":1200},"destination":{"ip":"66.35.250.204","port":80,"bytes":3965432,"packets":1500,"domain":"desk\"top.example","domain_source":"lookup"},"sockethound":{"source_frame_bytes":78034,"destination_frame_bytes":3986432,"protocol_by":"port","tcp":{"state":"SF","history":"ShADadFf","rtt_us":88100,"retransmits":3},"interface":"eth0"}}"#
    );
}

#[test]
fn flow_without_ports() {
    assert_eq!(
        event(Event::Flow(ping())),
        r#"{"kind":"flow","schema":1,"@timestamp":"2026-11-22T12:29:57.623456789Z","event":{"start":"2026-11-22T12:29:56.123456789Z","end":"2026-11-22T12:29:57.623456789Z","duration":1500000000},"network":{"transport":"icmp","iana_number":1,"type":"ipv4","community_id":"1:X0snYXpgwiv9TZtqg64sgzUn6Dk=","bytes":152,"packets":2},"source":{"ip":"192.168.0.89","port":0,"bytes":60,"packets":1},"destination":{"ip":"192.168.0.1","port":0,"bytes":92,"packets":1},"sockethound":{"source_frame_bytes":74,"destination_frame_bytes":106}}"#
    );
}

#[test]
fn flow_in_tunnels() {
    let line = event(Event::Flow(enclosed()));
    let tunnel = r#""tunnel":[{"type":"vxlan","id":42,"source":"198.51.100.1","destination":"198.51.100.2"},{"type":"pppoe"}]}}"#;
    assert!(line.ends_with(tunnel), "{line}");
    assert!(line.contains(r#""type":"ipv6","#), "{line}");
    assert!(line.contains(r#""source":{"ip":"2001:db8::a:1","port":5000,"#), "{line}");
}

#[test]
fn flow_of_a_host_that_told_its_link_layer_address() {
    let mac = Some([0x00, 0x00, 0x5e, 0x00, 0x53, 0xaf]);
    let line = event(Event::Flow(FlowRecord { source_mac: mac, ..ping() }));
    // RFC 7042, section 2.1: hexadecimal digits in upper case, hyphens between octets.
    assert!(line.contains(r#""packets":1,"mac":"00-00-5E-00-53-AF"},"destination""#), "{line}");
}

/// Everything that is known of an owner stands in the record.
#[test]
fn flow_with_an_owner() {
    let line = event(Event::Flow(from_container()));
    let beside = r#","process":{"pid":4711,"name":"nginx","executable":"/usr/sbin/nginx","command_line":"nginx: worker \"1\"","parent":{"pid":4690}},"user":{"id":33,"name":"www-data"},"container":{"id":"4f2a9c0d","name":"web","runtime":"docker"},"sockethound":{"#;
    assert!(line.contains(beside), "{line}");
    let attribution = r#","attribution":{"source":"sock_diag","confidence":"exact","reason":null,"end":"source"},"unit":"docker-4f2a.scope","protocol_by":"port","tcp":{"#;
    assert!(line.contains(attribution), "{line}");
    let way = r#","nat":{"source":{"ip":"203.0.113.7","port":61001},"destination":{"ip":"198.51.100.100","port":443}},"path":["veth1","br0","eth0"],"interface":"veth1"}}"#;
    assert!(line.ends_with(way), "{line}");
}

#[test]
fn flow_between_two_processes() {
    let line = event(Event::Flow(on_loopback()));
    assert!(line.contains(r#","peer":{"pid":902,"name":"postgres"},"#), "{line}");
    assert!(
        !line.contains("command_line") && !line.contains("container") && !line.contains("\"nat\""),
        "{line}"
    );
}

#[test]
fn every_evidence_has_its_confidence() {
    for (evidence, confidence) in [
        (Evidence::Exact, "exact"),
        (Evidence::Bound, "bound"),
        (Evidence::Listener, "listener"),
        (Evidence::Protocol, "protocol"),
    ] {
        let owner = std::sync::Arc::new(process(0, "a\u{1b}[31m"));
        let owner = Answer::Owner(Attributed { owner, end: End::Destination, evidence, peer: None });
        let line = event(Event::Flow(FlowRecord { owner: Some(owner), ..ping() }));
        let expected = format!(r#""confidence":"{confidence}","reason":null,"end":"destination"}}"#);
        assert!(line.contains(&expected), "{line}");
        assert!(line.contains(r#"{"pid":0,"name":"a\u001b[31m","parent":{"pid":1}}"#), "{line}");
    }
}

#[test]
fn flow_without_an_owner_says_why() {
    for reason in [
        Reason::Forwarded,
        Reason::Kernel,
        Reason::Namespace,
        Reason::Ended,
        Reason::Unclaimed,
        Reason::Permission { uid: 1001 },
        Reason::Ambiguous,
        Reason::Deferred,
    ] {
        let line = event(Event::Flow(FlowRecord { owner: unowned(reason), ..ping() }));
        assert!(line.contains(&format!(r#","attribution":{{"reason":"{reason}"}}"#)), "{line}");
        assert!(!line.contains("process\":"), "{line}");
        let user = matches!(reason, Reason::Permission { .. });
        assert_eq!(line.contains(r#","user":{"id":1001},"sockethound""#), user, "{line}");
    }
}

#[test]
fn every_protocol_has_a_transport() {
    for (protocol, transport) in [
        (6, "tcp"),
        (17, "udp"),
        (136, "udplite"),
        (132, "sctp"),
        (1, "icmp"),
        (58, "ipv6-icmp"),
        (200, "200"),
    ] {
        let line = event(Event::Flow(flow(protocol, end("192.0.2.1", 0), end("192.0.2.2", 0))));
        assert!(line.contains(&format!(r#""transport":"{transport}","iana_number":{protocol},"#)), "{line}");
    }
}

#[test]
fn extreme_values() {
    let most = flow::Counters { packets: u64::MAX / 2, ip_bytes: u64::MAX / 2, frame_bytes: u64::MAX };
    let record = FlowRecord {
        sent: most,
        received: most,
        first: Timestamp(Timestamp::UNKNOWN.0 + 1),
        last: Timestamp(i64::MAX),
        ..tcp_flow()
    };
    // The sum of frame bytes is never asked for here.
    let record = FlowRecord { received: flow::Counters { frame_bytes: 0, ..most }, ..record };
    let line = event(Event::Flow(record));
    assert!(
        line.contains(r#""start":"1677-09-21T00:12:43.145224193Z","end":"2262-04-11T23:47:16.854775807Z""#)
    );
}

#[test]
fn dns_query() {
    assert_eq!(
        event(Event::Dns(dns(false, "example.org", 0, vec![]))),
        r#"{"kind":"dns","schema":1,"@timestamp":"2026-11-22T12:29:56.123456789Z","network":{"transport":"udp","protocol":"dns"},"source":{"ip":"10.1.1.33","port":40000},"destination":{"ip":"10.1.1.1","port":53},"sockethound":{"frame":12},"dns":{"type":"query","id":4711,"question":[{"name":"example.org","type":1}],"answers":[]}}"#
    );
}

#[test]
fn dns_answer() {
    let answers = vec![
        sample::alias_record("example.org", "a\u{1b}.example"),
        sample::address_record("a.example", "192.0.2.1"),
        Record { name: "a.example".into(), kind: 16, ttl: 0, value: Value::Other },
    ];
    assert_eq!(
        event(Event::Dns(dns(true, "example.org", 3, answers))),
        r#"{"kind":"dns","schema":1,"@timestamp":"2026-11-22T12:29:56.123456789Z","network":{"transport":"udp","protocol":"dns"},"source":{"ip":"10.1.1.1","port":53},"destination":{"ip":"10.1.1.33","port":40000},"sockethound":{"frame":12,"latency_us":12345,"facts":["nxdomain"]},"dns":{"type":"answer","id":4711,"response_code":3,"question":[{"name":"example.org","type":1}],"answers":[{"name":"example.org","type":5,"ttl":60,"data":"a\u001b.example"},{"name":"a.example","type":1,"ttl":300,"data":"192.0.2.1"},{"name":"a.example","type":16,"ttl":0,"data":null}]}}"#
    );
}

#[test]
fn dns_of_a_process() {
    let message = dns(false, "example.org", 0, vec![]);
    let line = event(Event::Dns(flow::DnsEvent { owner: Some(nginx().into()), ..message }));
    assert!(line.contains(r#""port":53},"process":{"pid":4711,"name":"nginx","#), "{line}");
    assert!(line.contains(r#""runtime":"docker"},"sockethound":{"frame":12}"#), "{line}");
}

#[test]
fn flow_with_the_lookup_before_it() {
    let lookup = flow::Lookup {
        name: "example.org".into(),
        resolver: end("10.1.1.1", 53),
        before: std::time::Duration::from_micros(1500),
        ttl: 300,
        latency: None,
    };
    let flow = FlowRecord { cause: flow::Cause::Lookup(lookup), ..tcp_flow() };
    let told = r#","lookup":{"name":"example.org","resolver":"10.1.1.1","before_us":1500,"ttl":300},"tcp":{"#;
    let line = event(Event::Flow(flow));
    assert!(line.contains(told), "{line}");
    let none = event(Event::Flow(FlowRecord { cause: flow::Cause::NoneSeen, ..tcp_flow() }));
    assert!(none.contains(r#","lookup":"none","tcp":{"#), "{none}");
}

#[test]
fn flow_of_encrypted_lookups() {
    let dns = flow::EncryptedDns {
        kind: flow::DnsKind::Https,
        by: flow::DnsBy::Name,
        resolver: "dns.google".into(),
        queries: 25,
    };
    let line = event(Event::Flow(FlowRecord { encrypted_dns: Some(dns), ..tcp_flow() }));
    let told = r#","encrypted_dns":{"kind":"doh","resolver":"dns.google","by":"name","estimated_queries":25},"tcp":{"#;
    assert!(line.contains(told), "{line}");
}

#[test]
fn what_is_remarkable_about_an_answer() {
    let facts = flow::DnsFacts { is_slow: true, is_unasked: false, is_private: true };
    let message = flow::DnsEvent { facts, ..dns(true, "example.org", 2, vec![]) };
    let line = event(Event::Dns(message));
    assert!(line.contains(r#""facts":["servfail","slow","private_answer"]},"dns":{"#), "{line}");
}

#[test]
fn own_lookups_are_marked() {
    let message = dns(false, "4.3.2.1.in-addr.arpa", 0, vec![]);
    let line = event(Event::Dns(flow::DnsEvent { own_lookup: true, ..message }));
    assert!(line.contains(r#""sockethound":{"frame":12,"own_lookup":true}"#), "{line}");
    let line = event(Event::Flow(FlowRecord { own_lookup: true, ..ping() }));
    assert!(line.contains(r#","own_lookup":true"#), "{line}");
}

#[test]
fn ledger_record() {
    let ledger = Ledger { interfaces: vec![interface_ledger()], ..Ledger::default() };
    let snapshot = Snapshot { ledger, is_final: true, ..Snapshot::default() };
    assert_eq!(
        shown("ledger", &snapshot),
        r#"{"kind":"ledger","schema":1,"file":{"path":"incident.pcapng"},"sockethound":{"interface":"eth0","counted":{"packets":3343,"bytes":4487700},"not_ip":{"packets":4,"bytes":300,"malformed":{"ipv4: header length below 20":1}},"dropped":null}}"#
    );
}

fn ledger_line(interface: InterfaceLedger) -> String {
    let ledger = Ledger { interfaces: vec![interface], ..Ledger::default() };
    let snapshot = Snapshot { ledger, is_final: true, ..Snapshot::default() };
    shown("ledger", &snapshot)
}

#[test]
fn live_ledger_record() {
    assert_eq!(
        ledger_line(live_interface("eth0")),
        r#"{"kind":"ledger","schema":1,"sockethound":{"interface":"eth0","kernel":{"packets":3350,"bytes":4488000},"counted":{"packets":3343,"bytes":4487700},"not_ip":{"packets":4,"bytes":300,"malformed":{}},"dropped":3,"offload":0,"offload_bytes":0,"owned":{"packets":3200,"bytes":4361000},"forwarded":{"packets":100,"bytes":94000},"by_kernel":{"packets":20,"bytes":13000},"unknown":{"packets":23,"bytes":19700,"reasons":{"ended before the socket was seen":2}}}}"#
    );
}

#[test]
fn ledger_of_an_interface_that_is_gone() {
    let live = LiveLedger { kernel: None, dropped: None, offload: (7, 420), ..live_ledger() };
    let line = ledger_line(InterfaceLedger { live: Some(live), ..live_interface("eth0") });
    assert!(!line.contains("kernel\":{\"packets\":3350"), "{line}");
    assert!(line.contains(r#""dropped":null,"offload":7,"offload_bytes":420,"#), "{line}");
}

#[test]
fn process_records() {
    let snapshot = Snapshot { sockets: Some(sockets()), is_final: true, ..Snapshot::default() };
    let lines = lines("process", |view, out| view.show(&snapshot, out).unwrap());
    let expected = [
        r#"{"kind":"process","schema":1,"process":{"pid":3003,"name":"xfreerdp3","parent":{"pid":1}},"user":{"id":1000,"name":"alice"},"sockethound":{"here":true,"sent":{"packets":1200,"bytes":150000},"received":{"packets":1500,"bytes":29654322},"retransmits":3,"receive_drops":17,"rtt_us":45100,"connections":2,"in_flows":{"packets":2690,"bytes":29792000},"difference":{"packets":10,"bytes":12322}}}"#,
        r#"{"kind":"process","schema":1,"sockethound":{"here":true,"sent":{"packets":1,"bytes":60},"received":{"packets":0,"bytes":0},"retransmits":0,"receive_drops":0,"in_flows":{"packets":0,"bytes":0},"difference":{"packets":1,"bytes":60}}}"#,
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_summary_has_both_accounts() {
    let sockets = flow::SocketLedger { in_flows: (2702, 29_804_000), processes: vec![], ..sockets() };
    let snapshot = Snapshot { sockets: Some(sockets), ..Snapshot::default() };
    let expected = r#"{"kind":"summary","schema":1,"event":{"duration":0},"network":{"bytes":0,"packets":0},"sockethound":{"sockets":{"packets":2701,"bytes":29804382},"in_flows":{"packets":2702,"bytes":29804000},"difference":{"packets":-1,"bytes":382}}}"#;
    assert_eq!(shown("summary", &snapshot), expected);
}

#[test]
fn live_summary_is_of_its_instant() {
    let live = Live { started: sample::START, at: after(10_000_000_000), ..Live::default() };
    let snapshot = Snapshot { last: Some(after(1)), live: Some(live), ..Snapshot::default() };
    let expected = r#"{"kind":"summary","schema":1,"@timestamp":"2026-11-22T12:30:06.123456789Z","event":{"duration":10000000000},"network":{"bytes":0,"packets":0}}"#;
    assert_eq!(shown("summary", &snapshot), expected);
}

#[test]
fn summary_record() {
    let snapshot = Snapshot {
        first: Some(sample::START),
        last: Some(after(1_500_000_000)),
        total: sample::counters(3, 4000),
        ..Snapshot::default()
    };
    let expected = r#"{"kind":"summary","schema":1,"@timestamp":"2026-11-22T12:29:57.623456789Z","event":{"duration":1500000000},"network":{"bytes":4000,"packets":3}}"#;
    assert_eq!(shown("summary", &snapshot), expected);
    let mut out = Vec::new();
    Ndjson::new(false).show(&snapshot, &mut out).unwrap();
    assert_eq!(out, b"");
}

#[test]
fn schema_is_strict() {
    let schema = schema();
    let line = event(Event::Flow(tcp_flow()));
    let whole: serde_json::Value = serde_json::from_str(&line).unwrap();
    for (path, value) in [("/network/bytes", "-1"), ("/source/ip", "\"ten\""), ("/event/start", "null")] {
        let mut broken = whole.clone();
        *broken.pointer_mut(path).unwrap() = serde_json::from_str(value).unwrap();
        assert!(!schema.is_valid(&broken), "{path}");
    }
    for path in ["", "/network", "/source", "/sockethound", "/sockethound/tcp"] {
        let mut broken = whole.clone();
        let members = broken.pointer_mut(path).unwrap().as_object_mut().unwrap();
        members.insert("surprise".to_owned(), 1.into());
        assert!(!schema.is_valid(&broken), "{path}");
    }
    let line = event(Event::Flow(from_container()));
    let whole: serde_json::Value = serde_json::from_str(&line).unwrap();
    for path in ["/process", "/user", "/container", "/sockethound/attribution", "/sockethound/nat/source"] {
        let mut broken = whole.clone();
        let members = broken.pointer_mut(path).unwrap().as_object_mut().unwrap();
        members.insert("surprise".to_owned(), 1.into());
        assert!(!schema.is_valid(&broken), "{path}");
    }
}

#[test]
#[allow(clippy::print_stdout, reason = "the measurement is what it gives")]
#[ignore = "measures; run it with --release --nocapture"]
fn speed_of_flow_records() {
    let flows: Vec<Event> = (0..2048_i64)
        .map(|n| Event::Flow(FlowRecord { first: after(n * 7_654_321), ..tcp_flow() }))
        .collect();
    let (mut view, mut out) = (Ndjson::new(false), std::io::sink());
    let (begun, rounds) = (std::time::Instant::now(), 500);
    for _ in 0..rounds {
        view.events(&flows, &mut out).unwrap();
    }
    let records = rounds * flows.len();
    println!("{} ns a record", begun.elapsed().as_nanos() / records as u128);
}
