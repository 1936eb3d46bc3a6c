//! Packets without a time, as pcapng's simple ones have none: they count, and move no times.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod run;

use run::{fixture, of_kind, records, run, run_on, text};
use serde_json::{Value, json};

const FIXTURE: &str = "simple-first.pcapng";
const SIMPLE: u32 = 3;
const ENHANCED: u32 = 6;

/// The blocks of a little-endian pcapng file: type, and all of it.
fn blocks(mut bytes: &[u8]) -> Vec<(u32, &[u8])> {
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut blocks = Vec::new();
    while !bytes.is_empty() {
        let (block, rest) = bytes.split_at(word(bytes, 4) as usize);
        blocks.push((word(block, 0), block));
        bytes = rest;
    }
    blocks
}

/// The fixture without the blocks of one type, and those of another `times` over.
fn rewritten(left_out: u32, repeated: u32, times: usize) -> Vec<u8> {
    let bytes = std::fs::read(fixture(FIXTURE)).unwrap();
    let kept = blocks(&bytes).into_iter().filter(|(kind, _)| *kind != left_out);
    kept.flat_map(|(kind, block)| block.repeat(if kind == repeated { times } else { 1 })).collect()
}

/// Earliest and latest of the times that stand in it, by microseconds (section 4.3 of the draft).
fn span(bytes: &[u8]) -> (u64, u64) {
    let half = |block: &[u8], at: usize| u64::from(u32::from_le_bytes(block[at..at + 4].try_into().unwrap()));
    let timed = blocks(bytes).into_iter().filter(|(kind, _)| *kind == ENHANCED);
    let times: Vec<u64> = timed.map(|(_, block)| half(block, 12) << 32 | half(block, 16)).collect();
    (*times.iter().min().unwrap(), *times.iter().max().unwrap())
}

fn instant(value: &Value) -> u64 {
    let at: jiff::Timestamp = value.as_str().unwrap().parse().unwrap();
    u64::try_from(at.as_microsecond()).unwrap()
}

fn packets(records: &[Value]) -> u64 {
    of_kind(records, "flow").iter().map(|flow| flow["network"]["packets"].as_u64().unwrap()).sum()
}

#[test]
fn they_count_and_move_no_times() {
    let bytes = std::fs::read(fixture(FIXTURE)).unwrap();
    let (first, last) = span(&bytes);
    for times in [1, 300] {
        let records = records(&run_on(&rewritten(0, SIMPLE, times), &["-r", "-", "--json"]).stdout);
        let capture = of_kind(&records, "capture")[0];
        assert_eq!(capture["network"]["packets"], 9 * times + 3);
        let of = &capture["event"];
        assert_eq!((instant(&of["start"]), instant(&of["end"])), (first, last));
        for flow in of_kind(&records, "flow") {
            let of = &flow["event"];
            assert!(first <= instant(&of["start"]) && instant(&of["end"]) <= last, "{flow}");
        }
    }
    // The last of the times but one is six packets before the end.
    assert!(
        text(&["-r", &fixture(FIXTURE)])
            .contains(&format!("Duration: {:.6} seconds", (last - first) as f64 / 1e6))
    );
}

#[test]
fn a_capture_without_any_says_so() {
    let bytes = rewritten(ENHANCED, 0, 1);
    let records = records(&run_on(&bytes, &["-r", "-", "--json"]).stdout);
    assert_eq!(of_kind(&records, "capture")[0]["event"], json!({"start": null, "end": null}));
    let flows = of_kind(&records, "flow");
    assert!(!flows.is_empty());
    for flow in flows {
        assert_eq!(flow["@timestamp"], Value::Null);
        assert_eq!(flow["event"], json!({"start": null, "end": null, "duration": null}));
    }
    let report = String::from_utf8(run_on(&bytes, &["-r", "-", "-s", "first"]).stdout).unwrap();
    assert!(report.contains("Duration: unknown (no packet has a time)"), "{report}");
    assert!(!report.contains("1970"), "{report}");
}

#[test]
fn beside_another_capture_that_decides() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let untimed = path("a.pcapng", &rewritten(ENHANCED, 0, 1));
    let timed = path("b.pcapng", &rewritten(SIMPLE, 0, 1));
    let alone = records(&run(&["-r", &timed, "--json"]).stdout);
    let both = records(&run(&["-r", &untimed, "-r", &timed, "--json"]).stdout);
    assert_eq!(packets(&both), packets(&alone) + packets(&records(&run(&["-r", &untimed, "--json"]).stdout)));
    let times = |records: &[Value]| {
        let flows = of_kind(records, "flow").into_iter().filter(|flow| !flow["@timestamp"].is_null());
        flows
            .map(|flow| (flow["network"]["community_id"].to_string(), flow["event"].to_string()))
            .collect::<Vec<_>>()
    };
    assert!(!times(&alone).is_empty());
    assert_eq!(times(&both), times(&alone));
}

/// Nobody can say that they passed within the window; the one behind the first time passed then.
#[test]
fn none_is_in_a_window() {
    for (window, left) in
        [(["--since", "+0"], 8), (["--until", "+1h"], 8), (["--since", "1970-01-01T00:00:00Z"], 8)]
    {
        let [option, at] = window;
        let records = records(&run(&["-r", &fixture(FIXTURE), option, at, "--json"]).stdout);
        assert_eq!(of_kind(&records, "capture")[0]["network"]["packets"], left, "{window:?}");
    }
}
