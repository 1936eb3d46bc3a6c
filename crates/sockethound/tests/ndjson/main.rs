//! Every kind of NDJSON record: its full line, and that it keeps to the published schema.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod accounts;
mod dns;
mod flows;
#[path = "../sample/mod.rs"]
mod sample;

use flow::{Began, CaptureEnd, CaptureRecord, Event, FlowRecord, Snapshot};
use sample::live::from_container;
use sample::{after, capture, tcp_flow};
use sockethound::view::View;
use sockethound::view::ndjson::Ndjson;

fn schema() -> jsonschema::Validator {
    let schema = serde_json::from_str(include_str!("../../schema/ndjson.schema.json")).unwrap();
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
