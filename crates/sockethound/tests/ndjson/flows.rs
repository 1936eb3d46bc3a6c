//! Flows.

use dissect::Timestamp;
use flow::{Answer, Attributed, Elsewhere, End, Event, Evidence, FlowRecord, Reason};

use crate::event;
use crate::sample::live::{from_container, on_loopback, process, unowned};
use crate::sample::{enclosed, end, flow, ping, tcp_flow};

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
        let owner = Answer::Owner(Attributed {
            owner,
            end: End::Destination,
            evidence,
            peer: None,
            elsewhere: Elsewhere::Nobody,
        });
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
        Reason::Evicted,
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
