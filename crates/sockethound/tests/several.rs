//! Several captures in one run: what they hold together does not depend on the order in which they are named.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod run;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use run::{fixture, of_kind, records, run, text};
use serde_json::Value;

/// A pcap file in little-endian order with microseconds, taken apart: its header, and its records.
fn apart(bytes: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let (header, mut rest) = bytes.split_at(24);
    let mut records = Vec::new();
    while !rest.is_empty() {
        let captured = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let (record, behind) = rest.split_at(16 + captured);
        records.push(record);
        rest = behind;
    }
    (header, records)
}

/// Writes `parts` of a capture, in files of such names that their order is none of time.
fn write(folder: &Path, header: &[u8], parts: &[Vec<&[u8]>]) -> Vec<PathBuf> {
    let file = |(n, part): (usize, &Vec<&[u8]>)| {
        let path = folder.join(format!("{}.pcap", (n * 7 + 3) % 10));
        std::fs::write(&path, [header, &part.concat()].concat()).unwrap();
        path
    };
    parts.iter().enumerate().map(file).collect()
}

fn args<'a>(paths: &[&'a Path], more: &[&'a str]) -> Vec<&'a str> {
    let read = paths.iter().flat_map(|path| ["-r", path.to_str().unwrap()]);
    read.chain(more.iter().copied()).collect()
}

/// Every order of three.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// A flow's record but for what the file is called that it began in.
fn flows(output: &[u8]) -> Vec<Value> {
    of_kind(&records(output), "flow").into_iter().cloned().collect()
}

#[test]
fn parts_of_a_capture_in_any_order_are_the_capture() {
    for name in ["plain.pcap", "requests.pcap", "tls.pcap", "quic.pcap", "dns-tcp.pcap"] {
        let bytes = std::fs::read(fixture(name)).unwrap();
        let (header, packets) = apart(&bytes);
        let whole = flows(&run(&["-r", &fixture(name), "--json"]).stdout);
        let folder = tempfile::tempdir().unwrap();
        let third = packets.len().div_ceil(3);
        let parts: Vec<Vec<&[u8]>> = packets.chunks(third).map(<[_]>::to_vec).collect();
        let paths = write(folder.path(), header, &parts);
        let mut first = None;
        for order in ORDERS {
            let named: Vec<&Path> =
                order.iter().filter_map(|&n| paths.get(n)).map(PathBuf::as_path).collect();
            let json = text(&args(&named, &["--json"]));
            assert_eq!(flows(json.as_bytes()), whole, "{name} {order:?}");
            let both = (json, text(&args(&named, &["-c", "0", "--since", "+0.01"])));
            assert_eq!(first.get_or_insert_with(|| both.clone()), &both, "{name} {order:?}");
        }
    }
}

/// One of a conversation: when it passes, and whether A sends it.
fn packet(at: u32, from_a: bool) -> Vec<u8> {
    let (a, b) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let (from, to) = if from_a { ((a, 4000_u16), (b, 53_u16)) } else { ((b, 53), (a, 4000)) };
    let mut ip = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
    ip.extend([from.0, to.0].concat());
    ip.extend([from.1.to_be_bytes(), to.1.to_be_bytes(), 8_u16.to_be_bytes(), [0, 0]].concat());
    let len = ip.len() as u32;
    [&[1_700_000_000 + at, 0, len, len].map(u32::to_le_bytes).concat()[..], &ip].concat()
}

#[test]
fn the_initiator_is_who_was_first_in_time_where_captures_overlap() {
    let header = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101].map(u32::to_le_bytes).concat();
    // The one that begins earlier has the answer alone, and something of another flow before it.
    let mut other = packet(1, true);
    other[16 + 21] = 9;
    let (answers, questions) = ([other, packet(6, false)], [packet(5, true)]);
    let parts = [answers.iter().map(Vec::as_slice).collect(), questions.iter().map(Vec::as_slice).collect()];
    let folder = tempfile::tempdir().unwrap();
    let paths = write(folder.path(), &header, &parts);
    for order in [[0, 1], [1, 0]] {
        let named = order.map(|n: usize| paths[n].as_path());
        let flows = flows(text(&args(&named, &["--json"])).as_bytes());
        let flow = flows.iter().find(|flow| flow["network"]["packets"] == 2).unwrap();
        let source: IpAddr = flow["source"]["ip"].as_str().unwrap().parse().unwrap();
        assert_eq!(source, Ipv4Addr::new(10, 0, 0, 1), "{flow}");
        assert_eq!((&flow["source"]["packets"], &flow["destination"]["packets"]), (&1.into(), &1.into()));
        assert_eq!(flow["event"]["start"], "2023-11-14T22:13:25.000000000Z");
    }
}
