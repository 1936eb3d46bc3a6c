//! Messages of DNS.

use dissect::app::dns::{Record, Value};
use flow::{Event, FlowRecord};

use crate::event;
use crate::sample::live::nginx;
use crate::sample::{self, dns, ping};

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
