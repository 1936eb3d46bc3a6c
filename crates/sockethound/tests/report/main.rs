//! The text report: how it looks, and what it never does.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod live;
mod properties;
#[path = "../sample/mod.rs"]
mod sample;

use dissect::app::{App, NameSource, Value};
use flow::{
    Called, CaptureEnd, CaptureRecord, FlowRecord, Group, GroupBy, GroupKey, InterfaceId, Ledger, NamedBy,
    Reason, Snapshot, SortKey,
};
use sample::live::{live_snapshot, pace, sockets, unowned};
use sample::{after, counters, enclosed, end, flow, snapshot};
use sockethound::view::View;
use sockethound::view::report::{Options, Report, Units, Width};

fn at(columns: usize) -> Options {
    Options { width: Width::Fixed(columns), utc: true, dns_lines: true, ..Options::default() }
}

fn render(options: Options, snapshot: &Snapshot) -> String {
    let mut out = Vec::new();
    Report::new(options).show(snapshot, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Such a hello may ask for another name than the one that all can read.
#[test]
fn a_name_beside_an_encrypted_hello_is_marked() {
    let page = |by, resolve| {
        let mut app = App::of("tls");
        app.set("tls.client.encrypted_hello", Value::Flag(true));
        let mut snapshot = snapshot();
        snapshot.rows[0].app = Some(app.into());
        snapshot.rows[0].destination_name = Some(Called { name: "outer.example".into(), by });
        render(Options { resolve, ..at(160) }, &snapshot)
    };
    for resolve in [false, true] {
        assert!(page(NamedBy::Client(NameSource::Tls), resolve).contains("outer.example (ECH)"));
        let looked_up = page(NamedBy::Lookup, resolve);
        assert!(looked_up.contains("outer.example") && !looked_up.contains("ECH"));
    }
}

/// However narrow it is, what a row counts is not cut.
#[test]
fn narrow_rows_keep_their_numbers() {
    let snapshot = snapshot();
    for columns in 40..60 {
        let page = render(at(columns), &snapshot);
        let rows = page.lines().skip_while(|line| !line.starts_with('─')).skip(1);
        for (row, flow) in rows.zip(&snapshot.rows) {
            let count = flow.total().packets.to_string();
            assert!(row.split(' ').any(|word| word == count), "{columns}: {row:?} lacks {count}");
        }
    }
}

#[test]
fn columns_80() {
    insta::assert_snapshot!(render(at(80), &snapshot()));
}

#[test]
fn columns_100() {
    insta::assert_snapshot!(render(at(100), &snapshot()));
}

#[test]
fn columns_120() {
    insta::assert_snapshot!(render(at(120), &snapshot()));
}

#[test]
fn columns_160() {
    insta::assert_snapshot!(render(at(160), &snapshot()));
}

#[test]
fn verbose_in_a_pipe() {
    let options = Options { width: Width::None, verbose: true, ..at(0) };
    insta::assert_snapshot!(render(options, &snapshot()));
}

/// IPv6 flows among others.
fn mixed() -> Snapshot {
    let mut snapshot = snapshot();
    let long = flow(6, end("2001:db8:85a3:1234:5678:8a2e:370:7334", 50123), end("2001:db8::1", 443));
    snapshot.rows.extend([
        long,
        enclosed(),
        flow(58, end("fe80::200:86ff:fe05:80da", 0), end("ff02::1", 0)),
        flow(200, end("192.0.2.1", 0), end("192.0.2.2", 0)),
    ]);
    snapshot
}

#[test]
fn ipv6_at_80() {
    insta::assert_snapshot!(render(at(80), &mixed()));
}

#[test]
fn ipv6_at_100() {
    insta::assert_snapshot!(render(at(100), &mixed()));
}

#[test]
fn ipv6_in_a_pipe_is_whole() {
    let text = render(Options { width: Width::None, ..at(0) }, &mixed());
    assert!(text.contains("Src: [2001:db8:85a3:1234:5678:8a2e:370:7334]:50123"), "{text}");
    assert!(text.contains("Dst: ff02::1 "), "{text}");
}

#[test]
fn names_at_80() {
    insta::assert_snapshot!(render(Options { resolve: true, ..at(80) }, &snapshot()));
}

#[test]
fn names_at_160() {
    insta::assert_snapshot!(render(Options { resolve: true, ..at(160) }, &snapshot()));
}

#[test]
fn every_unit() {
    let all = [Units::Auto, Units::Iec, Units::Si, Units::Bits, Units::Raw].map(|units| {
        let text = render(Options { units, dns_lines: false, ..at(100) }, &snapshot());
        format!("{units:?}\n{text}")
    });
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn every_order_shows_what_it_sorts_by() {
    use SortKey::{Bytes, First, Last, Packets, Rate, Retrans, Rtt};
    let all = [Bytes, Rate, Packets, Rtt, Retrans, First, Last].map(|sort| {
        let text = render(Options { sort, dns_lines: false, ..at(100) }, &snapshot());
        text.lines().skip(5).take(6).collect::<Vec<_>>().join("\n")
    });
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn colour_changes_nothing_but_colour() {
    let text = render(Options { color: true, ..at(100) }, &snapshot());
    insta::assert_snapshot!(text.replace('\u{1b}', "ESC"));
    let mut plain = String::new();
    for (n, part) in text.split('\u{1b}').enumerate() {
        plain += if n == 0 { part } else { part.split_once('m').unwrap().1 };
    }
    assert_eq!(plain, render(at(100), &snapshot()));
}

#[test]
fn damage_evictions_and_hidden_flows() {
    let mut snapshot = snapshot();
    snapshot.captures = vec![
        CaptureRecord {
            stop: CaptureEnd::Truncated("packet 3348 at byte 4500120 has 12 of 98 bytes".to_owned()),
            ..sample::capture()
        },
        CaptureRecord {
            path: "second.pcap".into(),
            stop: CaptureEnd::Malformed("packet 9 at byte 700 claims 4294967295 bytes".to_owned()),
            ..sample::capture()
        },
        CaptureRecord { path: "third.pcap".into(), stop: CaptureEnd::Interrupted, ..sample::capture() },
    ];
    snapshot.ledger = Ledger {
        evicted_flows: 120,
        evicted: counters(3400, 1_258_291),
        hidden: (1, counters(8, 800)),
        ..snapshot.ledger
    };
    insta::assert_snapshot!(render(Options { dns_lines: false, ..at(80) }, &snapshot));
}

#[test]
fn a_ledger_that_does_not_close_is_said() {
    let mut snapshot = snapshot();
    assert!(!render(at(80), &snapshot).contains("does not close"));
    snapshot.ledger.counted.packets -= 1;
    assert!(render(at(200), &snapshot).contains("does not close: 1 packet and 0 bytes"));
}

fn grouped(keys: Vec<GroupKey>) -> Snapshot {
    let group = |(n, key): (usize, GroupKey)| Group {
        key,
        pids: vec![],
        flows: 3,
        sent: counters(120, 40_000_000 >> (4 * n)),
        received: counters(170, 5_000_000 >> (2 * n)),
        first: sample::START,
        last: after(1),
        sockets: None,
    };
    let groups: Vec<Group> = keys.into_iter().enumerate().map(group).collect();
    let total = groups.iter().map(Group::total).fold(counters(9, 1000), |a, b| a + b);
    let flows = 3 * groups.len() as u64 + 5;
    Snapshot { flows, total, rows: vec![], groups: Some(groups), more_groups: 4, ..snapshot() }
}

#[test]
fn groups() {
    let host = |addr: &str| GroupKey::Host(addr.parse().unwrap());
    let all = [
        (
            GroupBy::Host,
            vec![host("10.1.111.111"), host("2001:db8:85a3:1234:5678:8a2e:370:7334"), host("8.8.8.8")],
        ),
        (
            GroupBy::Name,
            vec![
                GroupKey::Name("\u{1b}c.example".into()),
                GroupKey::Name("x.".repeat(60).into()),
                host("8.8.8.8"),
            ],
        ),
        (
            GroupBy::Service,
            vec![GroupKey::Service(6, 443), GroupKey::Service(17, 53), GroupKey::Service(1, 0)],
        ),
        (GroupBy::Interface, vec![GroupKey::Interface(InterfaceId(0)), GroupKey::Interface(InterfaceId(9))]),
    ]
    .map(|(by, keys)| {
        let text = render(Options { dns_lines: false, group: Some(by), ..at(80) }, &grouped(keys));
        text.lines().skip(5).take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
    });
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn nothing_at_all() {
    insta::assert_snapshot!(render(at(80), &Snapshot::default()));
}

#[test]
fn one_packet_takes_no_time() {
    let mut snapshot = snapshot();
    snapshot.last = snapshot.first;
    snapshot.dns.clear();
    snapshot.rows = vec![FlowRecord { received: counters(0, 0), last: sample::START, ..sample::ping() }];
    let text = render(at(80), &snapshot);
    assert!(text.contains("Duration: 0.0 seconds\n"), "{text}");
    assert!(text.contains("Rate: none"), "{text}");
}

#[test]
fn without_dns_lines_there_is_no_section() {
    assert!(!render(Options { dns_lines: false, ..at(80) }, &snapshot()).contains("DNS Activity"));
    let mut quiet = snapshot();
    (quiet.dns, quiet.dns_totals, quiet.resolvers) = (vec![], flow::DnsTotals::default(), vec![]);
    assert!(!render(at(80), &quiet).contains("DNS Activity"));
}

#[test]
fn a_terminal_is_painted_over_never_reset() {
    let mut report = Report::new(Options { repaint: true, ..at(100) });
    let mut show = |is_final| {
        let mut out = Vec::new();
        report.show(&Snapshot { is_final, ..snapshot() }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert!(!show(true).contains('\x1b'), "a single report is printed where the cursor stands");
    assert!(show(false).starts_with("\x1b[H\x1b[J"));
    assert!(show(true).starts_with("\x1b[H\x1b[J"));
    assert!(!show(true).contains("\x1bc"));
}

/// What is painted over is no longer than the screen; the last report is whole.
#[test]
fn what_is_painted_over_fits_the_screen() {
    let many = |flows: usize| {
        let mut snapshot = Snapshot { is_final: false, ..live_snapshot() };
        let row = snapshot.rows[0].clone();
        (snapshot.rows, snapshot.flows) = (vec![row; flows], flows as u64);
        snapshot
    };
    let painted = |lines, snapshot: &Snapshot| {
        let page = render(Options { repaint: true, lines: Some(lines), ..at(80) }, snapshot);
        (page.lines().count(), page)
    };
    let (all, page) = painted(1000, &many(30));
    assert!(all > 40 && !page.contains("more flow"));
    for lines in 25..=all + 2 {
        let (taken, page) = painted(lines, &many(30));
        // The cursor stands in the line behind the last one.
        assert_eq!(taken, (lines - 1).min(all), "{page}");
        let rows = page.lines().skip_while(|line| !line.starts_with('─')).skip(1);
        let shown = rows.take_while(|line| !line.is_empty() && !line.starts_with('…')).count();
        let rest = if shown == 30 { String::new() } else { format!("… {} more flow", 30 - shown) };
        assert!(page.contains(&rest), "{shown}: {page}");
    }
    let mut groups = Snapshot { live: live_snapshot().live, ..grouped(vec![GroupKey::User("alice".into())]) };
    groups.groups = groups.groups.map(|groups| vec![groups[0].clone(); 30]);
    let page = painted(30, &Snapshot { is_final: false, ..groups.clone() });
    assert_eq!(page.0, 29, "{}", page.1);
    assert!(page.1.contains("more") && page.1.contains("total"), "{}", page.1);
    assert!(painted(30, &Snapshot { is_final: true, ..groups }).0 > 30);
}
