//! Where names come from when the captures bring none.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::sync::Arc;

use capture::file::Name;
use flow::{Config, Options, Snapshot};
use sockethound::pipeline::{self, Files, Input, Job, Output, Watch};

mod run;

/// The last snapshot of a fixture, with names from outside.
fn last_snapshot(fixture: &str, names: Vec<Name>) -> Arc<Snapshot> {
    let files = Files { paths: vec![run::fixture(fixture).into()], since: None, until: None, utc: true };
    let job =
        Job { options: Options::default(), config: Config::default(), names, interval: None, duration: None };
    let mut last = None;
    let keep = |output| {
        if let Output::Snapshot(snapshot) = output {
            last = Some(snapshot);
        }
        true
    };
    pipeline::run(Input::Files(files), &job, &Watch::default(), keep, || ());
    last.expect("a run ends with a snapshot")
}

#[test]
fn a_fallback_names_what_the_capture_does_not() {
    let name = |addr: &str, name: &str| Name { addr: addr.parse().unwrap(), name: name.to_owned() };
    let names = vec![name("192.168.17.1", "gateway"), name("203.0.113.80", "not-this")];
    let shown = |snapshot: &Snapshot, addr: &str| {
        let row = snapshot.rows.iter().find(|row| row.destination.addr.to_string() == addr).unwrap();
        row.destination_name.as_ref().map(|called| called.name.to_string())
    };
    let without = last_snapshot("office.pcapng", Vec::new());
    assert_eq!(shown(&without, "192.168.17.1"), None);
    let with = last_snapshot("office.pcapng", names);
    assert_eq!(shown(&with, "192.168.17.1").as_deref(), Some("gateway"));
    // The capture's own lookup comes first.
    assert_eq!(shown(&with, "203.0.113.80").as_deref(), Some("www.example.org"));
}
