//! The account closes: every packet of every capture is in exactly one flow record or in the ledger, every line keeps
//! to the published schema, and a capture always gives the same bytes.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod run;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use run::{corpus, fixture, fixtures, of_kind, records, root, run, run_on, text};
use serde_json::Value;

/// The ways of counting that must all account for every packet.
const WAYS: [&[&str]; 3] = [&[], &["--no-decap"], &["--max-flows=3"]];

/// Packets and wire bytes at `pointer`.
fn frames(record: &Value, pointer: &str) -> (u64, u64) {
    let part = record.pointer(pointer).unwrap_or_else(|| panic!("{pointer} of {record}"));
    (part["packets"].as_u64().unwrap(), part["bytes"].as_u64().unwrap())
}

fn sum(parts: impl Iterator<Item = (u64, u64)>) -> (u64, u64) {
    parts.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
}

/// Packets and wire bytes of a flow record, both ways.
fn flow_frames(flow: &Value) -> (u64, u64) {
    let number = |pointer: &str| flow.pointer(pointer).unwrap().as_u64().unwrap();
    let packets = number("/source/packets") + number("/destination/packets");
    assert_eq!(number("/network/packets"), packets);
    assert_eq!(number("/network/bytes"), number("/source/bytes") + number("/destination/bytes"));
    let bytes = number("/sockethound/source_frame_bytes") + number("/sockethound/destination_frame_bytes");
    (packets, bytes)
}

/// Checks the account of one run.
fn closes(records: &[Value], what: &str) {
    let captures = sum(of_kind(records, "capture").into_iter().map(|c| frames(c, "/network")));
    let flows = sum(of_kind(records, "flow").into_iter().map(flow_frames));
    let ledgers = of_kind(records, "ledger");
    let counted = sum(ledgers.iter().map(|l| frames(l, "/sockethound/counted")));
    let not_ip = sum(ledgers.iter().map(|l| frames(l, "/sockethound/not_ip")));
    assert_eq!(flows, counted, "{what}: flows and the ledger's counted");
    assert_eq!(captures, sum([counted, not_ip].into_iter()), "{what}: captures and the ledger");
}

/// Checks each way of counting each of `captures`, on all processors.
fn all_close(captures: &[impl AsRef<Path> + Sync]) {
    let schema = serde_json::from_str(&text(&["schema"])).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(path) = captures.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for way in WAYS {
                        closes_and_validates(path.as_ref(), way, &schema);
                    }
                }
            });
        }
    });
}

fn closes_and_validates(path: &Path, way: &[&str], schema: &jsonschema::Validator) {
    let path = path.to_str().unwrap();
    let what = format!("{path} {way:?}");
    let output = run(&[&["-r", path, "--json"], way].concat());
    assert!(matches!(output.status.code(), Some(0 | 6)), "{what}: {output:?}");
    let records = records(&output.stdout);
    assert_eq!(of_kind(&records, "capture").len(), 1, "{what}");
    for record in &records {
        if !schema.is_valid(record) {
            let error = schema.iter_errors(record).next();
            panic!("{what}: {error:?}\n{record}");
        }
    }
    closes(&records, &what);
}

#[test]
fn fixtures_account_for_every_packet() {
    all_close(&fixtures());
}

#[test]
#[expect(clippy::print_stderr, reason = "says what it leaves out")]
fn corpus_accounts_for_every_packet() {
    let captures = corpus();
    if captures.is_empty() {
        eprintln!("skipped: no captures below {}", run::shared().display());
    }
    all_close(&captures);
}

#[test]
fn several_captures_are_one_account() {
    let paths: Vec<_> = fixtures().iter().map(|p| p.to_str().unwrap().to_owned()).collect();
    let args: Vec<_> = paths.iter().flat_map(|p| ["-r", p]).chain(["--json"]).collect();
    let output = run(&args);
    let records = records(&output.stdout);
    let captures = of_kind(&records, "capture");
    let mut names: Vec<_> = captures.iter().map(|c| c["file"]["path"].as_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, paths);
    // In the order of their packets, however they are named.
    assert!(captures.is_sorted_by_key(|c| c["event"]["start"].as_str()), "{captures:?}");
    closes(&records, "all fixtures");
}

#[test]
fn few_flows_at_once_count_the_same() {
    let path = fixture("office.pcapng");
    let output = run(&["-r", &path, "--json", "--max-flows=10"]);
    let few = records(&output.stdout);
    assert!(of_kind(&few, "flow").len() > 10, "nothing was evicted");
    let report = text(&["-r", &path, "--max-flows=10"]);
    assert!(report.contains("Evicted: "), "{report}");
    let total = |report: &str| report.lines().find(|l| l.starts_with("Total:")).unwrap().to_owned();
    assert_eq!(total(&report), total(&text(&["-r", &path])));
}

#[test]
fn every_run_gives_the_same_bytes() {
    for path in fixtures() {
        let path = path.to_str().unwrap();
        for more in [
            &[][..],
            &["--json"],
            &["-g=host"],
            &["-g=service"],
            &["-R", "-c0", "-v"],
            &["--max-flows=4", "--json"],
        ] {
            let args = [&["-r", path], more].concat();
            assert_eq!(run(&args), run(&args), "{args:?}");
        }
    }
}

#[test]
fn a_pipe_counts_as_its_file() {
    for path in fixtures() {
        let bytes = std::fs::read(&path).unwrap();
        let piped = String::from_utf8(run_on(&bytes, &["-r", "-", "--json"]).stdout).unwrap();
        let path = path.to_str().unwrap();
        let read = String::from_utf8(run(&["-r", path, "--json"]).stdout).unwrap();
        // The capture's name is all that differs.
        let piped = piped.replace(r#":"stdin""#, r#":"FILE""#);
        assert_eq!(piped, read.replace(path, "FILE"));
    }
}

#[test]
fn compression_changes_nothing() {
    let json = |path: &str| text(&["-r", path, "--json"]).replace(path, "FILE");
    let plain = json(&fixture("plain.pcap"));
    for suffix in ["gz", "zst", "lz4"] {
        assert_eq!(json(&fixture(&format!("plain.pcap.{suffix}"))), plain, "{suffix}");
    }
}

#[test]
fn fixtures_hold_what_their_list_says() {
    let list = std::fs::read_to_string(root().join("fixtures/README.md")).unwrap();
    let count = |name: &str| {
        let records = records(&run(&["-r", &fixture(name), "--json"]).stdout);
        let packets = of_kind(&records, "capture")[0]["network"]["packets"].as_u64().unwrap();
        (packets, of_kind(&records, "flow").len(), of_kind(&records, "dns").len())
    };
    assert_eq!(count("dns-fragments.pcap"), (4, 1, 2));
    let (_, flows, messages) = count("dns-tcp.pcap");
    assert_eq!((flows, messages), (1, 2));
    assert_eq!(count("vlan.pcap"), (3, 1, 0));
    assert_eq!(count("gre.pcap"), (2, 2, 0));
    assert_eq!(count("odd.pcap"), (5, 1, 0));
    assert_eq!(count("two-interfaces.pcapng"), (4, 1, 0));
    for path in fixtures() {
        let name = path.file_name().unwrap().to_str().unwrap().replace("plain.pcap.", "");
        assert!(list.contains(&name), "{name} has no line");
    }
}
