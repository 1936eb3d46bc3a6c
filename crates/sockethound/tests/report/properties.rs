//! Whatever names are, and however wide the page is.

use std::sync::Arc;

use flow::{Answer, Attributed, Container, Elsewhere, End, Evidence, Owner};
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
    let named = (texts, any::<u32>(), any::<bool>()).prop_map(|((name, user, id, container), pid, peer)| {
        let container = Container { id, name: container, ..nginx().container.unwrap() };
        let owner =
            Owner { name: name.clone(), user: Some(user), container: Some(container), ..process(pid, "") };
        Some(Answer::Owner(Attributed {
            peer: peer.then(|| Arc::new(owner.clone())),
            elsewhere: Elsewhere::Nobody,
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
        .prop_map(|(protocol, source, destination, packets, bytes, a, b, names, (owner, path, nat))| {
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
        })
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
