//! What is shown of captures, in which order, and what counts.

use crate::one_line;
use crate::run::{fixture, of_kind, records, run, text};

/// The values of `--json` flow records at `pointer`.
fn flows(args: &[&str], pointer: &str) -> Vec<String> {
    let path = fixture("office.pcapng");
    let all = records(text(&[&["-r", &path, "--json"], args].concat()).as_bytes());
    let value = |r: &serde_json::Value| {
        r.pointer(pointer).map_or_else(String::new, |v| v.to_string().replace('"', ""))
    };
    of_kind(&all, "flow").into_iter().map(value).collect()
}

fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The rows of a report, without the space that aligns them.
fn rows(args: &[&str]) -> Vec<String> {
    let path = fixture("office.pcapng");
    let report = text(&[&["-r", &path], args].concat());
    report.lines().filter(|l| l.contains("Src:")).map(words).collect()
}

#[test]
fn rows_are_chosen_and_ordered() {
    let all = rows(&["-c0"]);
    assert_eq!(all.len(), flows(&[], "").len());
    assert_eq!(rows(&["-c", "3"]), all[..3]);
    assert_eq!(rows(&["--count=3", "--no-local"]), all[..3]);
    let mut by_first = rows(&["-c0", "-s", "first"]);
    assert_ne!(by_first, all);
    by_first.sort();
    let by_last = rows(&["-c0", "--sort=last"]);
    assert_eq!(by_last.len(), all.len());
    let public = rows(&["-c0", "-e"]);
    assert!(!public.is_empty() && public.len() < all.len());
    assert!(
        public.iter().all(|r| r.contains("203.0.113.80")
            || r.contains("198.51.100.10")
            || r.contains("2001:db8")
            || r.contains("224.")
            || r.contains("ff02")),
        "{public:#?}"
    );
    assert!(rows(&["-c0", "-R"]).iter().any(|r| r.contains("www.example.org")));
}

#[test]
fn dns_lines_are_as_many_as_asked_for() {
    let path = fixture("office.pcapng");
    let count = |n: &str| {
        text(&["-r", &path, "-d", n])
            .lines()
            .filter(|l| l.contains("www.example.org") && l.starts_with('['))
            .count()
    };
    assert_eq!(count("0"), 0);
    assert!(count("1") <= 1 && count("50") > 1);
}

#[test]
fn groups_add_up_flows() {
    let path = fixture("office.pcapng");
    for (by, word) in
        [("host", "203.0.113.80"), ("name", "www.example.org"), ("service", "80"), ("interface", "eth0")]
    {
        let report = text(&["-r", &path, &format!("-g={by}")]);
        assert!(report.contains(word), "{by}: {report}");
    }
}

#[test]
fn groups_are_ordered_by_what_is_asked_for() {
    let path = fixture("office.pcapng");
    let report = |sort: &str| text(&["-r", &path, "-g=service", "-c0", "-d0", "-s", sort]);
    // How many packets each service has, as the flows have them.
    let mut packets = std::collections::BTreeMap::<(u64, u64), u64>::new();
    for flow in of_kind(&records(text(&["-r", &path, "--json"]).as_bytes()), "flow") {
        let number = |pointer: &str| flow.pointer(pointer).unwrap().as_u64().unwrap();
        let service = (number("/network/iana_number"), number("/destination/port"));
        *packets.entry(service).or_default() += number("/network/packets");
    }
    let mut expected: Vec<u64> = packets.into_values().collect();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let by_packets = report("packets");
    assert!(by_packets.contains("Active Services (sorted by packets):"), "{by_packets}");
    let shown = |report: &str| -> Vec<u64> {
        let of_row = |line: &str| {
            let words: Vec<_> = line.split_whitespace().filter(|word| !word.contains('!')).collect();
            words.get(words.len().checked_sub(2)?)?.parse().ok()
        };
        let rows = report.lines().skip_while(|line| !line.contains("responder")).skip(1);
        rows.take_while(|line| !line.starts_with("total")).filter_map(of_row).collect()
    };
    assert_eq!(shown(&by_packets), expected);
    assert_ne!(shown(&report("first")), expected);
    for sort in ["rate", "rtt", "retrans"] {
        one_line(&run(&["-r", &path, "-g=service", "-s", sort]), 2, &["bytes, packets, first or last"]);
    }
}

/// Also where all that stands in the rows are addresses.
#[test]
fn groups_are_titled_by_what_was_asked_for() {
    for (by, title) in
        [("host", "Hosts"), ("name", "Names"), ("service", "Services"), ("interface", "Interfaces")]
    {
        let report = text(&["-r", &fixture("vlan.pcap"), &format!("-g={by}")]);
        assert!(report.contains(&format!("Active {title} (sorted by total bytes):\n")), "{report}");
    }
}

#[test]
fn local_networks_give_directions() {
    let directions = flows(&["--local=192.168.17.20/32"], "/network/direction");
    assert!(directions.contains(&"outbound".to_owned()), "{directions:?}");
    let directions =
        flows(&["--local", "203.0.113.0/24", "--local", "198.51.100.0/24"], "/network/direction");
    assert!(
        directions.contains(&"inbound".to_owned()) && directions.contains(&"forwarded".to_owned()),
        "{directions:?}"
    );
    let directions = flows(&["--local=0.0.0.0/0"], "/network/direction");
    assert!(directions.contains(&"internal".to_owned()), "{directions:?}");
}

/// `capture`, a pcapng file, with `options` added to each of its interfaces.
fn with_interface_options(capture: &[u8], options: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), capture);
    while let Some(head) = rest.first_chunk::<8>() {
        let field = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
        let (kind, length) = (field(0), field(4));
        let (block, behind) = rest.split_at(length as usize);
        // Behind link type, reserved field and snaplen.
        if kind == 1 {
            let longer = (length + options.len() as u32).to_le_bytes();
            out.extend([&block[..4], &longer, &block[8..16], options].concat());
            out.extend([&block[16..block.len() - 4], &longer].concat());
        } else {
            out.extend(block);
        }
        rest = behind;
    }
    out
}

/// `if_IPv4addr` and `if_IPv6addr` (section 4.2 of the pcapng draft) say which side captured; `--local` knows better.
#[test]
fn addresses_of_a_captures_interfaces_give_directions() {
    let mut options = vec![4, 0, 8, 0, 192, 168, 17, 20, 255, 255, 255, 0, 5, 0, 17, 0];
    options.extend("fd17::20".parse::<std::net::Ipv6Addr>().unwrap().octets());
    options.extend([64, 0, 0, 0]);
    let told = with_interface_options(&std::fs::read(fixture("office.pcapng")).unwrap(), &options);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("told.pcapng");
    std::fs::write(&path, told).unwrap();
    let directions = |more: &[&str]| -> Vec<(String, String, String)> {
        let args = [&["-r", path.to_str().unwrap(), "--json"], more].concat();
        let all = records(text(&args).as_bytes());
        let value =
            |r: &serde_json::Value, at| r.pointer(at).and_then(|v| v.as_str()).unwrap_or("").to_owned();
        let flow = |r| (value(r, "/source/ip"), value(r, "/destination/ip"), value(r, "/network/direction"));
        of_kind(&all, "flow").into_iter().map(flow).collect()
    };
    let own = |addr: &str| ["192.168.17.20", "fd17::20"].contains(&addr);
    let found = directions(&[]);
    for (source, destination, direction) in &found {
        let expected = match (own(source), own(destination)) {
            (true, true) => "internal",
            (true, false) => "outbound",
            (false, true) => "inbound",
            (false, false) => "",
        };
        assert_eq!(direction, expected, "{source} to {destination}");
    }
    assert!(["outbound", "inbound"].iter().all(|way| found.iter().any(|(.., found)| found == way)));
    assert!(directions(&["--local=203.0.113.80"]).iter().all(|(.., way)| way != "outbound"));
    assert!(flows(&[], "/network/direction").iter().all(String::is_empty));
}

#[test]
fn no_decap_counts_the_outermost_flow() {
    let path = fixture("vxlan.pcap");
    let protocols = |args: &[&str]| -> Vec<(u64, u64)> {
        let records = records(text(&[&["-r", &path, "--json"], args].concat()).as_bytes());
        let flow = |f: &serde_json::Value| {
            (f["network"]["iana_number"].as_u64().unwrap(), f["destination"]["port"].as_u64().unwrap())
        };
        of_kind(&records, "flow").into_iter().map(flow).collect()
    };
    assert!(protocols(&["--no-decap"]).iter().all(|f| *f == (17, 4789)));
    assert!(protocols(&[]).contains(&(6, 80)));
}

#[test]
fn a_window_leaves_out_the_rest() {
    let path = fixture("big-endian-nanos.pcap");
    let packets = |args: &[&str]| {
        let records = records(text(&[&["-r", &path, "--json"], args].concat()).as_bytes());
        of_kind(&records, "capture")[0]["network"]["packets"].as_u64().unwrap()
    };
    let (before, after) = (packets(&["--until=+200ms"]), packets(&["--since=+200ms"]));
    assert!(before > 0 && after > 0);
    assert_eq!(before + after, 20);
    assert_eq!(packets(&["--since=+1h"]), 0);
    assert_eq!(packets(&["--since=+0s", "--until=+1h"]), 20);
}

#[test]
fn several_captures_are_merged() {
    let path = fixture("plain.pcap");
    let twice = records(text(&["-r", &path, "-r", &path, "--json"]).as_bytes());
    let once = records(text(&["-r", &path, "--json"]).as_bytes());
    assert_eq!((of_kind(&twice, "capture").len(), of_kind(&once, "capture").len()), (2, 1));
    let packets = |records: &[serde_json::Value]| -> Vec<u64> {
        of_kind(records, "flow").iter().map(|f| f["network"]["packets"].as_u64().unwrap()).collect()
    };
    let doubled: Vec<_> = packets(&once).iter().map(|n| 2 * n).collect();
    assert_eq!(packets(&twice), doubled);
}

#[test]
fn no_time_is_too_long() {
    let path = fixture("plain.pcap");
    let output = run(&["-r", &path, "-t", "1e19", "--duration", "1e300"]);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

/// pcapng's timestamps may lie beyond what is kept of time; what they are of is counted all the same.
#[test]
fn a_packet_of_the_end_of_time_counts() {
    let block = |kind: u32, body: &[u8]| {
        let length = (body.len() as u32 + 12).to_le_bytes();
        [&kind.to_le_bytes()[..], &length, body, &length].concat()
    };
    let section =
        block(0x0a0d_0d0a, &[&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat());
    let interface = block(1, &[1, 0, 0, 0, 0, 0, 4, 0]);
    let packet = |time: u64| {
        let words = [0, (time >> 32) as u32, time as u32, 60, 60];
        let mut body: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        body.extend([0; 60]);
        block(6, &body)
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("end.pcapng");
    let bytes = [section, interface, packet(1_700_000_000_000_000), packet(u64::MAX)].concat();
    std::fs::write(&path, bytes).unwrap();
    let output = run(&["-r", path.to_str().unwrap(), "--json"]);
    let captures = records(&output.stdout);
    assert_eq!(of_kind(&captures, "capture")[0]["network"]["packets"], 2);
    let within = run(&["-r", path.to_str().unwrap(), "--json", "--until", "2030-01-01T00:00:00Z"]);
    assert_eq!(of_kind(&records(&within.stdout), "capture")[0]["network"]["packets"], 1);
}
