//! Lookups and the flows that follow them: names, causes, remarks, encrypted resolvers.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod capture;

use std::net::Ipv4Addr;

use flow::{Cause, Event, FlowRecord, NamedBy, Snapshot};

use capture::{ALICE, BOB, Capture, End, RESOLVER, SITE, message};

fn row(snapshot: &Snapshot, src: [u8; 4], dst: End) -> &FlowRecord {
    let is = |row: &&FlowRecord| {
        row.source.addr == Ipv4Addr::from(src)
            && row.destination.addr == Ipv4Addr::from(dst.0)
            && row.destination.port == dst.1
    };
    snapshot.rows.iter().find(is).unwrap()
}

fn name(row: &FlowRecord) -> Option<(&str, NamedBy)> {
    row.destination_name.as_ref().map(|called| (&*called.name, called.by))
}

#[test]
fn each_client_has_its_own_lookup() {
    let mut capture = Capture::default();
    capture.look_up(0, ALICE, "shop.example", SITE);
    capture.look_up(100, BOB, "blog.example", SITE);
    capture.connect(200, (ALICE, 5000), (SITE, 80));
    capture.connect(300, (BOB, 5000), (SITE, 80));
    // Bob never looked this one up; somebody whose lookups are not seen connects too.
    capture.connect(400, (BOB, 5001), ([192, 0, 2, 99], 80));
    capture.connect(500, ([10, 0, 0, 3], 5000), (SITE, 80));
    capture.connect(600, (BOB, 5002), ([10, 0, 0, 9], 445));
    let (snapshot, _) = capture.run();
    let alice = row(&snapshot, ALICE, (SITE, 80));
    assert_eq!(name(alice), Some(("shop.example", NamedBy::Lookup)));
    let Cause::Lookup(lookup) = &alice.cause else { panic!("{:?}", alice.cause) };
    assert_eq!((lookup.before.as_millis(), lookup.ttl), (190, 300));
    assert_eq!(lookup.latency.unwrap().as_millis(), 10);
    assert_eq!(lookup.resolver.addr, Ipv4Addr::from(RESOLVER.0));
    assert_eq!(name(row(&snapshot, BOB, (SITE, 80))), Some(("blog.example", NamedBy::Lookup)));
    assert_eq!(row(&snapshot, BOB, ([192, 0, 2, 99], 80)).cause, Cause::NoneSeen);
    let stranger = row(&snapshot, [10, 0, 0, 3], (SITE, 80));
    assert_eq!((name(stranger), &stranger.cause), (None, &Cause::Unknown), "a neighbour's name is not shown");
    assert_eq!(
        row(&snapshot, BOB, ([10, 0, 0, 9], 445)).cause,
        Cause::Unknown,
        "a neighbour is known otherwise"
    );
    assert_eq!(row(&snapshot, ALICE, RESOLVER).cause, Cause::Unknown, "a lookup has no lookup");
}

/// RFC 7413: a SYN may carry the query already.
#[test]
fn a_query_in_a_syn_is_read() {
    let mut capture = Capture::default();
    let asker = (ALICE, 5000);
    let framed = |message: Vec<u8>| [&(message.len() as u16).to_be_bytes()[..], &message].concat();
    let query = framed(message(7, 0x0100, "shop.example", 1, &[]));
    capture.tcp(0, asker, RESOLVER, 99, 0x02, &query);
    capture.tcp(5, RESOLVER, asker, 499, 0x12, b"");
    capture.tcp(20, RESOLVER, asker, 500, 0x18, &framed(message(7, 0x8180, "shop.example", 1, &SITE)));
    let second = framed(message(8, 0x0100, "blog.example", 1, &[]));
    capture.tcp(30, asker, RESOLVER, 100 + query.len() as u32, 0x18, &second);
    let (_, events) = capture.run();
    let told: Vec<_> = events
        .iter()
        .filter_map(
            |event| if let Event::Dns(dns) = event { Some(dns.latency.map(|l| l.as_millis())) } else { None },
        )
        .collect();
    assert_eq!(told, [None, Some(20), None]);
}

#[test]
fn a_flow_that_began_before_its_lookup_has_another_cause() {
    let mut capture = Capture::default();
    capture.connect(0, (ALICE, 5000), (SITE, 80));
    capture.look_up(100, ALICE, "shop.example", SITE);
    capture.tcp(200, (ALICE, 5001), (SITE, 81), 7, 0x10, b"from the middle");
    let (snapshot, _) = capture.run();
    let row = |port| row(&snapshot, ALICE, (SITE, port));
    assert_eq!((name(row(80)), &row(80).cause), (None, &Cause::NoneSeen));
    assert!(matches!(row(81).cause, Cause::Lookup(_)));
}

#[test]
fn remarks_are_made_of_what_is_odd() {
    let mut capture = Capture::default();
    let asker = (ALICE, 4000);
    capture.ask(0, asker, 1, "slow.example");
    capture.answer(600, asker, 1, "slow.example", SITE);
    // The same answer again is not one that nobody asked for.
    capture.answer(7000, asker, 1, "slow.example", SITE);
    capture.answer(8000, asker, 2, "forged.example", SITE);
    capture.look_up(9000, ALICE, "rebind.example", [192, 168, 1, 1]);
    capture.look_up(9100, ALICE, "printer.lan", [192, 168, 1, 2]);
    // Whose queries are not seen here may have asked.
    capture.answer(9200, (BOB, 4000), 3, "other.example", SITE);
    let (snapshot, events) = capture.run();
    let remarks: Vec<String> = events
        .iter()
        .filter_map(|event| match event {
            Event::Dns(dns) if dns.message.answer => {
                let words: Vec<_> = dns.remarks().collect();
                Some(format!("{}: {}", dns.message.questions[0].name, words.join(" ")))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        remarks,
        [
            "slow.example: slow",
            "slow.example: ",
            "forged.example: unasked",
            "rebind.example: private_answer",
            "printer.lan: ",
            "other.example: "
        ]
    );
    let totals = snapshot.dns_totals;
    assert_eq!((totals.slow, totals.unasked, totals.private), (1, 1, 1));
}

#[test]
fn an_answer_may_be_to_what_was_asked_before_the_capture() {
    let mut capture = Capture::default();
    capture.ask(0, (ALICE, 4000), 1, "www.example");
    capture.answer(4000, (ALICE, 4000), 2, "early.example", SITE);
    let (snapshot, _) = capture.run();
    assert_eq!(snapshot.dns_totals.unasked, 0);
}

/// A TLS record of application data.
fn record(len: u16) -> Vec<u8> {
    let mut bytes = vec![23, 3, 3];
    bytes.extend(len.to_be_bytes());
    bytes.resize(5 + usize::from(len), 0);
    bytes
}

fn resolvers(snapshot: &Snapshot) -> Vec<String> {
    let line = |one: &flow::ResolverTotals| {
        format!("{} {} {} ~{}", one.kind.name(), one.resolver, one.flows, one.queries)
    };
    snapshot.resolvers.iter().map(line).collect()
}

#[test]
fn what_speaks_on_the_port_of_dns_over_tls_is_that() {
    let mut capture = Capture::default();
    let (client, server) = ((ALICE, 5000), ([9, 9, 9, 9], 853));
    capture.connect(0, client, server);
    let mut seq = 100;
    for n in 0..3 {
        capture.tcp(10 + n, client, server, seq, 0x18, &record(150));
        seq += 155;
        capture.tcp(20 + n, server, client, 100 + n as u32 * 305, 0x18, &record(300));
    }
    // A port scan, and a server that says nothing.
    capture.connect(100, (ALICE, 5001), ([192, 0, 2, 1], 853));
    capture.connect(100, (ALICE, 5002), ([192, 0, 2, 2], 853));
    capture.tcp(101, (ALICE, 5002), ([192, 0, 2, 2], 853), 100, 0x18, &record(150));
    // Another protocol, whose server speaks first.
    let (client_of_ssh, ssh) = ((ALICE, 5003), ([192, 0, 2, 3], 853));
    capture.connect(200, client_of_ssh, ssh);
    capture.tcp(201, client_of_ssh, ssh, 100, 0x18, b"\0\0\0\0");
    capture.tcp(202, ssh, client_of_ssh, 100, 0x18, b"SSH-2.0-OpenSSH_9.2\r\n");
    let (snapshot, _) = capture.run();
    assert_eq!(resolvers(&snapshot), ["dot dns.quad9.net 1 ~3"]);
    let row = row(&snapshot, ALICE, server);
    assert_eq!(row.encrypted_dns.as_ref().unwrap().by, flow::DnsBy::Port);
}

#[test]
fn what_plain_dns_announces_is_recognized() {
    let mut capture = Capture::default();
    let server: End = ([192, 0, 2, 53], 5443);
    let mark = b"r6fnvWj8";
    // A certificate, asked for on the port of the lookups that follow.
    let cert = message(7, 0x8180, "2.dnscrypt-cert.example.net", 16, b"\x04DNSC");
    capture.udp(0, (ALICE, 5000), server, &message(7, 0x0100, "2.dnscrypt-cert.example.net", 16, &[]));
    capture.udp(5, server, (ALICE, 5000), &cert);
    for n in 0..2 {
        capture.udp(10 + n, (ALICE, 5001), server, &[0xa5; 512]);
        capture.udp(20 + n, server, (ALICE, 5001), &[&mark[..], &[0x5a; 248]].concat());
    }
    // Another one, of which nothing is known but its mark.
    let other: End = ([192, 0, 2, 54], 443);
    capture.udp(30, (ALICE, 5002), other, &[0xa5; 512]);
    capture.udp(40, other, (ALICE, 5002), &[&mark[..], &[0x5a; 248]].concat());
    let (snapshot, _) = capture.run();
    let found = resolvers(&snapshot);
    assert_eq!(found, ["dnscrypt example.net 1 ~2", "dnscrypt 192.0.2.54 1 ~1"]);
    assert_eq!(row(&snapshot, ALICE, other).encrypted_dns.as_ref().unwrap().by, flow::DnsBy::Content);
}

/// RFC 1034, section 3.6.2: only aliases lead from what was asked for to what another name's records say.
#[test]
fn an_address_of_another_name_is_called_by_its_own() {
    let own = [192, 0, 2, 81];
    let mut answer = message(7, 0x8180, "shop.example", 1, &SITE);
    answer[7] = 2;
    answer.extend(b"\x05other\x07example\0\0\x01\0\x01\0\0\x01\x2c\0\x04");
    answer.extend(own);
    let mut capture = Capture::default();
    capture.ask(0, (ALICE, 4000), 7, "shop.example");
    capture.udp(10, RESOLVER, (ALICE, 4000), &answer);
    capture.connect(20, (ALICE, 5000), (SITE, 80));
    capture.connect(20, (ALICE, 5001), (own, 80));
    let (snapshot, _) = capture.run();
    let called = |addr| name(row(&snapshot, ALICE, (addr, 80)));
    assert_eq!(called(SITE), Some(("shop.example", NamedBy::Lookup)));
    assert_eq!(called(own), Some(("other.example", NamedBy::Lookup)));
}

#[test]
fn hosts_of_the_link_name_themselves() {
    // `LUCAS-IMAC<00>`, as its workstation registers it (RFC 1002, section 4.2.2).
    let letters = b"EMFFEDEBFDCNEJENEBEDCACACACACAAA";
    let own = [192, 168, 1, 117];
    let claim = |addr: [u8; 4]| {
        let mut bytes = b"\x45\x98\x29\x10\0\x01\0\0\0\0\0\x01\x20".to_vec();
        bytes.extend(letters);
        bytes.extend(b"\0\0\x20\0\x01\xc0\x0c\0\x20\0\x01\0\0\x03\x84\0\x06\x60\0");
        bytes.extend(addr);
        bytes
    };
    let mut capture = Capture::default();
    let broadcast: End = ([192, 168, 1, 255], 137);
    capture.udp(0, (own, 137), broadcast, &claim(own));
    // Nobody is believed of others.
    capture.udp(1, (BOB, 137), broadcast, &claim(SITE));
    capture.connect(10, (ALICE, 5000), (own, 445));
    capture.connect(10, (ALICE, 5001), (SITE, 445));
    let (snapshot, _) = capture.run();
    let called = name(row(&snapshot, ALICE, (own, 445)));
    assert_eq!(called, Some(("LUCAS-IMAC", NamedBy::Announcement("nbns"))));
    assert_eq!(name(row(&snapshot, ALICE, (SITE, 445))), None);
}

/// As clients ask a DNSCrypt resolver for its certificate, once an hour from the same ports, here in two pieces: the
/// resolver is known by then, and what passes is counted and else left alone.
#[test]
fn messages_in_pieces_are_read_on_any_port_and_again() {
    let mut capture = Capture::default();
    let (asker, resolver): (End, End) = ((ALICE, 45_722), ([192, 0, 2, 1], 443));
    // Its magic, version, and what is nothing to us.
    let certificate = [&[124][..], b"DNSC\0\x02\0\0", &[7; 116]].concat();
    let question = message(7, 0x0100, "2.dnscrypt-cert.example", 16, b"");
    let answer = message(7, 0x8180, "2.dnscrypt-cert.example", 16, &certificate);
    for hour in 0..3 {
        let at = hour * 3_600_000;
        capture.udp(at, (BOB, 5000), resolver, &question);
        capture.udp(at + 1, resolver, (BOB, 5000), &answer);
        let udp = [&asker.1.to_be_bytes()[..], &resolver.1.to_be_bytes(), &[0x04, 0x08, 0, 0], &question];
        let whole = [udp.concat(), vec![0; 1024 - question.len()]].concat();
        for (n, piece) in whole.chunks(800).enumerate() {
            capture.ip(at + 2 + n as i64, 17, asker, resolver, piece);
            let bytes = &mut capture.0.last_mut().unwrap().1;
            bytes[4..8].copy_from_slice(&[0x0a, 0, if n == 0 { 0x20 } else { 0 }, 100 * n as u8]);
        }
        capture.udp(at + 100, resolver, asker, &answer);
        // Packets are counted some at a time; what these said is known when they have been.
        (0..40).for_each(|n| capture.udp(at + 200 + n, (BOB, 9), (SITE, 9), b"x"));
    }
    let (snapshot, events) = capture.run();
    let messages = events.iter().filter(|event| matches!(event, Event::Dns(_))).count();
    assert_eq!((messages, snapshot.rows.len()), (12, 3));
}
