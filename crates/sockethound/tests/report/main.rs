//! The text report: how it looks, and what it never does.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

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

mod properties {
    use std::sync::Arc;

    use flow::{Answer, Attributed, Container, End, Evidence, Owner};
    use proptest::prelude::*;
    use sample::live::{nginx, process};
    use unicode_width::UnicodeWidthStr;

    use super::*;

    /// Text that means harm, or is merely wide.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[a-z0-9.-]{0,80}",
            "[\\x00-\\x1f\\x7f-\\u{9f}\\u{202a}-\\u{202e}\\u{2066}-\\u{2069}]{0,20}",
            "[一-龥]{0,60}",
        ]
    }

    /// An owner whose every text may be anything, or why there is none.
    fn owner() -> impl Strategy<Value = Option<Answer>> {
        let texts = (text(), text(), text(), proptest::option::of(text()));
        let named =
            (texts, any::<u32>(), any::<bool>()).prop_map(|((name, user, id, container), pid, peer)| {
                let container = Container { id, name: container, ..nginx().container.unwrap() };
                let owner = Owner {
                    name: name.clone(),
                    user: Some(user),
                    container: Some(container),
                    ..process(pid, "")
                };
                Some(Answer::Owner(Attributed {
                    peer: peer.then(|| Arc::new(owner.clone())),
                    owner: Arc::new(owner),
                    end: if pid % 2 == 0 { End::Source } else { End::Destination },
                    evidence: Evidence::Exact,
                }))
            });
        let reasons = [Reason::Forwarded, Reason::Namespace, Reason::Permission { uid: 7 }];
        prop_oneof![named, proptest::sample::select(reasons.map(unowned).to_vec()), Just(None)]
    }

    fn endpoint() -> impl Strategy<Value = dissect::Endpoint> {
        (any::<std::net::IpAddr>(), prop_oneof![Just(0), any::<u16>()])
            .prop_map(|(addr, port)| dissect::Endpoint { addr, port })
    }

    fn record() -> impl Strategy<Value = FlowRecord> {
        let names = (proptest::option::of(text()), proptest::option::of(text()));
        (
            any::<u8>(),
            endpoint(),
            endpoint(),
            0..1_u64 << 60,
            0..1_u64 << 60,
            any::<i64>(),
            any::<i64>(),
            names,
            (owner(), proptest::collection::vec(text(), 0..4), any::<bool>()),
        )
            .prop_map(
                |(protocol, source, destination, packets, bytes, a, b, names, (owner, path, nat))| {
                    let (one, other) = names;
                    FlowRecord {
                        owner,
                        path: path.into_iter().map(Into::into).collect(),
                        nat: nat.then_some((destination, source)),
                        pace: pace(bytes as f64, &[packets, bytes]),
                        sent: flow::Counters { packets, ip_bytes: bytes, frame_bytes: bytes },
                        first: dissect::Timestamp(a.min(b)),
                        last: dissect::Timestamp(a.max(b)),
                        source_name: one.as_deref().map(sample::called),
                        destination_name: other.as_deref().map(sample::called),
                        interface: one.map(Into::into),
                        ..FlowRecord { protocol, source, destination, ..sample::tcp_flow() }
                    }
                },
            )
    }

    fn options() -> impl Strategy<Value = Options> {
        let units = prop_oneof![Just(Units::Auto), Just(Units::Bits), Just(Units::Raw)];
        let sort = prop_oneof![Just(SortKey::Bytes), Just(SortKey::Rate), Just(SortKey::Last)];
        (1..260_usize, units, sort, any::<[bool; 3]>()).prop_map(
            |(columns, units, sort, [resolve, verbose, utc])| Options {
                units,
                sort,
                resolve,
                verbose,
                utc,
                ..at(columns)
            },
        )
    }

    proptest! {
        #[test]
        fn every_line_fits_and_is_harmless(
            options in options(),
            rows in proptest::collection::vec(record(), 0..5),
            names in proptest::collection::vec(text(), 1..4),
            group in any::<bool>(),
            live in any::<bool>(),
        ) {
            let mut snapshot = if live { live_snapshot() } else { snapshot() };
            (snapshot.flows, snapshot.rows) = (rows.len() as u64, rows);
            snapshot.dns = names.iter().map(|n| sample::dns(true, n, 0, vec![sample::alias_record(n, n)])).collect();
            for (event, name) in snapshot.dns.iter_mut().zip(&names) {
                event.owner = live.then(|| Arc::new(process(1, name)));
            }
            if let Some(live) = snapshot.ledger.interfaces.first_mut().and_then(|i| i.live.as_mut()) {
                live.reasons = names.iter().map(|name| (name.clone(), 9)).collect();
            }
            snapshot.captures = names.iter().map(|name| CaptureRecord {
                path: name.as_str().into(),
                stop: CaptureEnd::Malformed(name.clone()),
                ..sample::capture()
            }).collect();
            snapshot.ledger.odd = names.iter().map(|name| (name.clone(), u64::MAX)).collect();
            if group {
                snapshot.groups = grouped(names.iter().map(|n| {
                    if live { GroupKey::Process(n.as_str().into()) } else { GroupKey::Name(n.as_str().into()) }
                }).collect()).groups;
            }
            let Width::Fixed(columns) = options.width else { unreachable!() };
            let text = render(options, &snapshot);
            for line in text.lines() {
                prop_assert!(line.width() <= columns, "{} > {columns}: {line}", line.width());
            }
            let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            prop_assert!(!text.chars().any(|c| c != '\n' && (c.is_control() || turns(c))), "{text:?}");
        }
    }
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

#[test]
fn live_80() {
    insta::assert_snapshot!(render(at(80), &live_snapshot()));
}

#[test]
fn live_120_verbose() {
    insta::assert_snapshot!(render(Options { verbose: true, ..at(120) }, &live_snapshot()));
}

#[test]
fn live_160() {
    insta::assert_snapshot!(render(at(160), &live_snapshot()));
}

#[test]
fn live_240() {
    insta::assert_snapshot!(render(at(240), &live_snapshot()));
}

#[test]
fn live_in_a_pipe() {
    insta::assert_snapshot!(render(Options { width: Width::None, ..at(0) }, &live_snapshot()));
}

/// The rate of the last interval counts, not that of the whole run.
#[test]
fn live_rows_are_as_loud_as_they_are_now() {
    let mut snapshot = live_snapshot();
    let row = |snapshot: &Snapshot| {
        let text = render(Options { dns_lines: false, ..at(80) }, snapshot);
        text.lines().find(|line| line.contains("[xfreerdp3]")).unwrap().to_owned()
    };
    assert!(row(&snapshot).contains(" !! "), "{}", row(&snapshot));
    snapshot.rows[0].pace = pace(200_000.0, &[1]);
    assert!(row(&snapshot).contains(" ! "), "{}", row(&snapshot));
    snapshot.rows[0].pace = pace(0.0, &[1]);
    assert!(!row(&snapshot).contains('!'), "{}", row(&snapshot));
}

/// What a live report shows when it is sorted by it is the rate now.
#[test]
fn live_rates_are_of_the_last_interval() {
    let text = render(Options { sort: SortKey::Rate, ..at(120) }, &live_snapshot());
    let row = text.lines().find(|line| line.contains("[xfreerdp3")).unwrap();
    assert_eq!(row.matches("1.10 MB/s").count(), 1, "{row}");
}

#[test]
fn every_reason_is_short_and_long() {
    use Reason::{Ambiguous, Deferred, Ended, Forwarded, Kernel, Namespace, Permission, Unclaimed};
    let reasons =
        [Forwarded, Kernel, Namespace, Ended, Unclaimed, Permission { uid: 33 }, Ambiguous, Deferred];
    let mut snapshot = live_snapshot();
    snapshot.rows = reasons.map(|reason| FlowRecord { owner: unowned(reason), ..sample::ping() }).into();
    let ends = |width| {
        let text = render(Options { width, dns_lines: false, ..at(0) }, &snapshot);
        let rows = text.lines().filter(|line| line.starts_with("ICMP"));
        rows.map(|row| row[row.find('(').unwrap()..].to_owned()).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(format!("{}\n\n{}", ends(Width::Fixed(80)), ends(Width::None)));
}

fn live_groups(by: GroupBy, keys: Vec<GroupKey>, more_groups: u64) -> String {
    let mut groups = grouped(keys).groups.unwrap();
    for (group, pids) in groups.iter_mut().zip([vec![3003], vec![1, 5120]]) {
        group.pids = pids;
    }
    let rest = counters(5 * more_groups, 1000 * more_groups);
    let snapshot = Snapshot {
        total: groups.iter().map(Group::total).fold(rest, |a, b| a + b),
        flows: 3 * groups.len() as u64 + 2 * more_groups,
        more_groups,
        groups: Some(groups),
        rows: vec![],
        ..live_snapshot()
    };
    let text = render(Options { dns_lines: false, group: Some(by), ..at(80) }, &snapshot);
    text.lines().skip(5).take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn groups_of_owners() {
    let processes = vec![
        GroupKey::Process("xfreerdp3".into()),
        GroupKey::Process("postgres\u{1b}[31m-exporter".into()),
        GroupKey::Unowned("forwarded".into()),
        GroupKey::Unowned("in another network namespace, not permitted to look".into()),
    ];
    let containers = vec![GroupKey::NoContainer, GroupKey::Container("web".into())];
    let users = vec![GroupKey::User("alice".into()), GroupKey::User("33".into())];
    let unowned = vec![GroupKey::Unowned("kernel".into())];
    let all = [
        (GroupBy::Process, processes, 0),
        (GroupBy::Container, containers, 1),
        (GroupBy::User, users, 3),
        (GroupBy::User, unowned, 0),
    ]
    .map(|(by, keys, more)| live_groups(by, keys, more));
    insta::assert_snapshot!(all.join("\n\n"));
}

/// What sockets did stands beside what flows have: where there is room, or where more is asked for.
#[test]
fn groups_of_processes_at_their_sockets() {
    let key = GroupKey::Process("xfreerdp3".into());
    let mut groups = grouped(vec![key, GroupKey::Unowned("forwarded".into())]).groups.unwrap();
    let account = &sockets().processes[0].sockets;
    groups[0].pids = vec![3003];
    groups[0].sockets = Some((account.counts, account.round_trips));
    let total = groups.iter().map(Group::total).fold(counters(0, 0), |a, b| a + b);
    let snapshot = Snapshot {
        total,
        flows: 6,
        groups: Some(groups),
        rows: vec![],
        sockets: Some(sockets()),
        ..live_snapshot()
    };
    let text = |options| render(Options { dns_lines: false, ..options }, &snapshot);
    let wide = text(at(140));
    let row = |text: &str| text.lines().find(|line| line.starts_with("xfreerdp3")).unwrap().to_owned();
    let cells = |row: &str| {
        row.split("  ").map(str::trim).filter(|c| !c.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(cells(&row(&wide))[7..], ["3003", "28.42 MB", "3", "17", "45.1ms !!"], "{wide}");
    assert!(wide.contains("at sockets  retrans  drops"), "{wide}");
    assert!(!text(at(80)).contains("retrans"));
    let more = text(Options { verbose: true, ..at(80) });
    assert!(more.contains("retrans  drops") && !more.contains("initiator"), "{more}");
    assert!(more.lines().all(|line| line.chars().count() <= 80), "{more}");
    let line = wide.lines().find(|line| line.starts_with("Sockets")).unwrap();
    assert_eq!(
        line.replace('\u{a0}', " "),
        "Sockets: 2701 packets, 28.42 MB; in flows 2690, 28.41 MB; difference 11, 12.09 KB"
    );
}

/// The rate of a group is what it grew by since the report before, whichever report is shown twice.
#[test]
fn groups_are_as_fast_as_they_grow() {
    let key = GroupKey::Process("curl".into());
    let mut group = grouped(vec![key]).groups.unwrap().remove(0);
    let mut report = Report::new(Options { dns_lines: false, ..at(100) });
    let mut now = |seconds: i64, bytes, more_groups, groups: &[Group]| {
        let live = flow::Live { at: after(seconds * 1_000_000_000), ..live_snapshot().live.unwrap() };
        let mut groups = groups.to_vec();
        if let Some(first) = groups.first_mut() {
            (first.sent, first.received) = (counters(1, bytes), counters(0, 0));
        }
        let live = Some(flow::Live { started: sample::START, ..live });
        let snapshot = Snapshot { live, more_groups, groups: Some(groups), rows: vec![], ..live_snapshot() };
        let mut out = Vec::new();
        report.show(&snapshot, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let row = text.lines().find(|line| line.starts_with("curl")).unwrap_or("none").to_owned();
        row.split("  ").map(str::trim).find(|cell| cell.ends_with("/s")).map(str::to_owned)
    };
    group.pids = vec![7];
    let groups = [group];
    assert_eq!(now(10, 10_240, 0, &groups).as_deref(), Some("1.00 KB/s"));
    assert_eq!(now(20, 10_740, 0, &groups).as_deref(), Some("50 B/s"));
    assert_eq!(now(20, 10_740, 0, &groups).as_deref(), Some("50 B/s"));
    assert_eq!(now(25, 10_740, 0, &groups).as_deref(), Some("0 B/s"));
    assert_eq!(now(30, 0, 0, &[]), None);
    assert_eq!(now(40, 20_480, 0, &groups).as_deref(), Some("2.00 KB/s"));
    assert_eq!(now(50, 0, 9, &[]), None);
    // How much it had before is not known.
    assert_eq!(now(60, 30_720, 9, &groups), None);
    assert_eq!(now(70, 40_960, 9, &groups).as_deref(), Some("1.00 KB/s"));
}

#[test]
fn what_an_interface_counted_otherwise_is_said() {
    let with = |kernel, dropped| {
        let mut snapshot = live_snapshot();
        let live = snapshot.ledger.interfaces[0].live.as_mut().unwrap();
        (live.kernel, live.dropped) = (kernel, dropped);
        let text = render(Options { dns_lines: false, ..at(240) }, &snapshot);
        text.lines().skip_while(|line| !line.starts_with("Ledger")).skip(1).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(with(Some((3350, 0)), Some(3)), "");
    assert_eq!(with(None, Some(3)), "");
    assert_eq!(with(Some((3350, 0)), None), "");
    assert_eq!(
        with(Some((3352, 0)), Some(3)),
        "eth0 itself counted 2 packets more than are accounted for (0.06 %), which may have passed while it was read"
    );
    assert_eq!(
        with(Some((3340, 0)), Some(3)),
        "eth0 itself counted 10 packets fewer than are accounted for (0.30 %), too many to have passed while it was read"
    );
}

#[test]
fn a_live_ledger_that_does_not_close_is_said() {
    let mut snapshot = live_snapshot();
    assert!(!render(at(80), &snapshot).contains("does not close"));
    snapshot.ledger.interfaces[1].live.as_mut().unwrap().owned.0 -= 1;
    assert!(render(at(80), &snapshot).contains("The ledger of lo does not close."));
}

/// The totals and the ledger add up where packets pass several interfaces.
#[test]
fn packets_that_pass_again_are_told_apart() {
    let mut snapshot = live_snapshot();
    snapshot.total.packets = 3000;
    snapshot.ledger.hidden = (1, counters(51, 5100));
    let text = render(at(200), &snapshot);
    assert!(text.contains(" = counted 3351 (300 again on their way) + not IP "), "{text}");
    snapshot.ledger.hidden = (1, counters(351, 5100));
    assert!(render(at(200), &snapshot).contains(" = counted 3351 + not IP "));
}

#[test]
fn drops_and_splits_are_in_the_ledger() {
    let mut snapshot = live_snapshot();
    let live = snapshot.ledger.interfaces[0].live.as_mut().unwrap();
    (live.dropped, live.offload) = (None, (20, 1080));
    let text = render(Options { width: Width::None, ..at(0) }, &snapshot);
    assert!(text.contains("Ledger: 3375 packets"), "{text}");
    assert!(text.contains(" + dropped unknown + offload 20 · owned "), "{text}");
}
