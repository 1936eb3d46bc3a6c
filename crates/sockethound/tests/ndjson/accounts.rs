//! What adds up: interfaces, processes, everything.

use flow::{InterfaceLedger, Ledger, Live, LiveLedger, Snapshot};
use sockethound::view::View;
use sockethound::view::ndjson::Ndjson;

use crate::sample::live::{live_interface, live_ledger, sockets};
use crate::sample::{self, after, interface_ledger};
use crate::{lines, shown};

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

/// Records are of all flows, so their sums are, too.
#[test]
fn a_summary_has_what_a_report_hides() {
    let mut snapshot = Snapshot { total: sample::counters(3, 4000), ..Snapshot::default() };
    snapshot.ledger.hidden = (1, sample::counters(2, 100));
    let summary = shown("summary", &snapshot);
    assert!(summary.ends_with(r#""network":{"bytes":4100,"packets":5}}"#), "{summary}");
}

#[test]
fn the_last_interval_has_a_summary() {
    let snapshot = Snapshot { total: sample::counters(3, 4000), is_final: true, ..Snapshot::default() };
    let summary = shown("summary", &snapshot);
    assert!(summary.ends_with(r#""network":{"bytes":4000,"packets":3}}"#), "{summary}");
}
