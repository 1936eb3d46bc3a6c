use super::*;

fn event(cookie: u64, namespace: u64, pid: u32, kind: Kind) -> Event {
    let process = Process { pid, start: 1, ..Process::default() };
    Event { kind, at: cookie, cookie, namespace, process, known: Known::Used }
}

fn ends(own: u16, other: u16) -> Ends {
    Ends::new(17, ([10, 0, 0, 1], own).into(), ([10, 0, 0, 2], other).into())
}

fn tuple(own: u16, other: u16) -> Kind {
    let (protocol, local, remote) = ends(own, other).parts();
    Kind::Tuple { protocol, local, remote }
}

/// The sockets that have these ends, whenever the flow began.
fn look(table: &Table, home: u64, ends: &Ends) -> Found {
    table.look(home, &Side { ends: *ends, sent: true, begun: None })
}

#[test]
fn what_is_forgotten_leaves_nothing_behind() {
    let mut table = Table::default();
    // Each socket has ends of its own, and some that the same one in other namespaces and the next socket has, too.
    for cookie in 1..=300 {
        let namespace = cookie % 3;
        table.take(&event(cookie, namespace, cookie as u32 % 7, tuple(cookie as u16, 9)));
        table.take(&event(cookie, namespace, cookie as u32 % 7, tuple(1000 + cookie as u16 / 20, 9)));
    }
    assert_eq!(table.sockets.sizes(), (300, 300));
    for cookie in (1..=300).rev() {
        table.take(&event(cookie, cookie % 3, cookie as u32 % 7, Kind::End));
        table.take(&event(cookie, cookie % 3, cookie as u32 % 7, Kind::End));
    }
    assert_eq!(table.ended.len(), 300, "each ends once");
    assert!(look(&table, 1, &ends(100, 9)).here.is_some_and(|held| held.ended && held.cookie == 100));
    table.forget_old(301 + AFTERLIFE);
    assert_eq!((table.sockets.sizes(), table.tuples.sizes()), ((0, 0), (0, 0)));
    assert_eq!(look(&table, 1, &ends(100, 9)).here, None);
    // The end of what nobody knows is no news.
    table.take(&event(7, 0, 1, Kind::End));
    assert_eq!(table.sockets.sizes(), (0, 0));
}

#[test]
fn the_latest_socket_of_a_namespace_has_the_ends() {
    let mut table = Table::default();
    for (cookie, namespace) in [(1, 1), (2, 2), (3, 1), (4, 3)] {
        table.take(&event(cookie, namespace, 10, tuple(53, 9)));
    }
    let cookie = |table: &Table, namespace| look(table, namespace, &ends(53, 9)).here.map(|held| held.cookie);
    assert_eq!([1, 2, 3, 4].map(|namespace| cookie(&table, namespace)), [Some(3), Some(2), Some(4), None]);
    assert_eq!(look(&table, 1, &ends(53, 9)).away, None, "it may be either of two");
    // One that had them and is forgotten takes nothing along.
    for gone in [1, 2] {
        table.take(&event(gone, gone, 10, Kind::End));
        assert!(table.forget_one());
    }
    assert_eq!([1, 2, 3].map(|namespace| cookie(&table, namespace)), [Some(3), None, Some(4)]);
    assert_eq!(look(&table, 1, &ends(53, 9)).away.map(|held| held.cookie), Some(4));
}

#[test]
fn who_takes_over_an_own_end_takes_over_its_flows_alone() {
    let mut table = Table::default();
    let any = |own: u16| {
        let (protocol, local, remote) = ends(own, 1).of_any().parts();
        Kind::Tuple { protocol, local, remote }
    };
    table.take(&event(1, 1, 10, any(53)));
    table.take(&event(1, 1, 10, any(54)));
    for flow in [ends(53, 1), ends(54, 1), ends(53, 2)] {
        let held = look(&table, 1, &flow).here.unwrap();
        table.mark_answered(&held, flow);
    }
    table.take(&event(2, 1, 11, any(53)));
    let another = |port| Change { ends: ends(53, port), cookie: 2, another: true };
    assert_eq!(table.take_changes(), [another(1), another(2)]);
    // The others are told of when their socket changes hands.
    table.take(&event(1, 1, 12, Kind::Owner));
    assert_eq!(table.take_changes(), [Change { ends: ends(54, 1), cookie: 1, another: false }]);
    table.take(&event(2, 1, 12, Kind::Owner));
    assert_eq!(table.take_changes().len(), 2);
}

#[test]
fn the_very_five_tuple_comes_before_any_far_end_elsewhere_too() {
    let mut table = Table::default();
    let any = || {
        let (protocol, local, remote) = ends(53, 1).of_any().parts();
        Kind::Tuple { protocol, local, remote }
    };
    let away = |table: &Table, other| look(table, 1, &ends(53, other)).away.map(|held| held.cookie);
    table.take(&event(1, 2, 10, tuple(53, 9)));
    table.take(&event(2, 2, 10, any()));
    assert_eq!([away(&table, 9), away(&table, 8)], [Some(1), Some(2)]);
    // Where one of two may have it, a third one has not.
    table.take(&event(3, 3, 11, tuple(53, 9)));
    assert_eq!([away(&table, 9), away(&table, 8)], [None, Some(2)]);
    table.take(&event(4, 3, 11, any()));
    assert_eq!(away(&table, 8), None);
}
