//! Public captures: packets, bytes and times are what tshark says they are.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use capture::file::FileSource;
use capture::{Next, PacketSource};
use serde_json::Value;

/// Where the captures are, unless they are not.
fn corpus() -> Option<PathBuf> {
    let shared = std::env::var_os("SOCKETHOUND_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let corpus = shared.join("corpus");
    corpus.join("captures").is_dir().then_some(corpus)
}

#[derive(Debug, PartialEq, Eq, Default)]
struct Totals {
    packets: u64,
    bytes: u64,
    /// Earliest and latest, in microseconds.
    times: Option<(i64, i64)>,
}

fn read(path: &Path) -> (Totals, Option<String>) {
    let mut totals = Totals::default();
    let mut source = match FileSource::open(path) {
        Ok(source) => source,
        Err(error) => return (totals, Some(error.to_string())),
    };
    loop {
        match source.next_batch(Duration::from_secs(10)) {
            Ok(Next::Batch(batch)) => {
                for packet in batch.packets() {
                    totals.packets += 1;
                    totals.bytes += u64::from(packet.wire_len);
                    let time = packet.timestamp.0.div_euclid(1000);
                    let (first, last) = totals.times.unwrap_or((time, time));
                    totals.times = Some((first.min(time), last.max(time)));
                }
            }
            Ok(Next::Idle) => panic!("{}: a regular file is never idle", path.display()),
            Ok(Next::End) => return (totals, None),
            Err(error) => return (totals, Some(error.to_string())),
        }
    }
}

/// `seconds.fraction` to microseconds; tshark prints fractions above a second as they are stored.
fn micros(time: &Value) -> Option<i64> {
    let (seconds, nanos) = time.as_str()?.split_once('.')?;
    Some(seconds.parse::<i64>().ok()? * 1_000_000 + nanos.parse::<i64>().ok()? / 1000)
}

fn expected(answer: &Value) -> Option<Totals> {
    // The answers' extremes went through floats: neighbours are mixed up below 240 ns.
    let times =
        ["min_time", "max_time", "first_frame_time", "last_frame_time"].map(|key| micros(&answer[key]));
    let times = times.iter().flatten().min().copied().zip(times.iter().flatten().max().copied());
    Some(Totals { packets: answer["packets"].as_u64()?, bytes: answer["bytes_wire"].as_u64()?, times })
}

#[test]
fn every_capture_counts_as_in_tshark() {
    let Some(corpus) = corpus() else {
        eprintln!("skipped: no corpus; set SOCKETHOUND_SHARED to the directory that holds it");
        return;
    };
    let (mut compared, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(corpus.join("captures")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Ok(answer) = fs::read(corpus.join("oracle").join(format!("{name}.json"))) else { continue };
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let complaint = answer["tshark_stderr"].as_str().unwrap_or_default();
        let (totals, error) = read(&path);
        if complaint.contains("unknown or unsupported") {
            // tshark refuses the link type without looking; the records are good.
            assert!(totals.packets > 0 && error.is_none(), "{name}: {totals:?} {error:?}");
            continue;
        }
        compared += 1;
        if Some(&totals) != expected(&answer).as_ref() || error.is_some() != complaint.contains("cut short") {
            wrong.push(format!("{name}: {totals:?} {error:?}, tshark: {:?} {complaint}", expected(&answer)));
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 200, "only {compared} captures found");
}
