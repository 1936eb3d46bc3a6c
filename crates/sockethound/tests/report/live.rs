//! Reports of a live capture.

use super::*;

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
    use Reason::{Ambiguous, Deferred, Ended, Evicted, Forwarded, Kernel, Namespace, Permission, Unclaimed};
    let reasons = [
        Forwarded,
        Kernel,
        Namespace,
        Ended,
        Unclaimed,
        Permission { uid: 33 },
        Ambiguous,
        Deferred,
        Evicted,
    ];
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
