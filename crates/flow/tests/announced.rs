//! Encrypted resolvers that answers announce, told to tables that have not read the answers.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod capture;

use dissect::LinkType;
use flow::{Collector, Config, DnsBy, FlowTable};

use capture::{ALICE, Capture, End, RESOLVER, hello::hello, message, table};

/// Addresses of a designation that fits an answer here.
const AT_ONCE: u16 = 50;

/// A designated resolver for each address from `first` on (RFC 9462, section 4; RFC 9460, section 2.2): `h2` on port 8443.
fn designation(first: u16, count: u16) -> Vec<u8> {
    let mut data = b"\0\x01\x03dns\x03lab\x07example\0".to_vec();
    data.extend(b"\0\x01\0\x03\x02h2\0\x03\0\x02\x20\xfb\0\x04");
    data.extend((4 * count).to_be_bytes());
    (first..first + count).for_each(|n| data.extend(address(n)));
    message(7, 0x8180, "_dns.resolver.arpa", 64, &data)
}

fn address(number: u16) -> [u8; 4] {
    let [high, low] = number.to_be_bytes();
    [198, 18, high, low]
}

/// Has `table` read an answer that announces so many resolvers, at so many seconds.
fn announce(table: &mut FlowTable, seconds: i64, count: u16) {
    let mut capture = Capture::default();
    for first in (0..count).step_by(AT_ONCE.into()) {
        capture.udp(1000 * seconds, RESOLVER, (ALICE, 4000), &designation(first, AT_ONCE.min(count - first)));
    }
    capture.observe(table, LinkType::RAW, usize::MAX);
}

#[test]
fn what_there_was_no_room_for_is_told_when_it_is_announced_again() {
    let mut table = table();
    announce(&mut table, 0, 300);
    assert_eq!(table.take_announced().len(), 256);
    announce(&mut table, 1, 300);
    assert_eq!(table.take_announced().len(), 44);
    announce(&mut table, 2, 300);
    assert_eq!(table.take_announced(), []);
    // Those who were told may have had no room.
    announce(&mut table, 62, 20);
    assert_eq!(table.take_announced().len(), 20);
}

#[test]
fn flows_of_another_table_are_told_whether_they_were_read_before_or_come_after() {
    let (mut reads, mut learns) = (table(), table());
    let server: End = (address(0), 8443);
    let ask = |table: &mut FlowTable, port| {
        let mut capture = Capture::default();
        capture.connect(100, (ALICE, port), server);
        capture.tcp(110, (ALICE, port), server, 100, 0x18, &hello("dns.lab.example"));
        capture.observe(table, LinkType::RAW, usize::MAX);
    };
    ask(&mut learns, 5000);
    announce(&mut reads, 1, 1);
    let announced = reads.take_announced();
    learns.learn_announced(announced.clone());
    // Once more is as good.
    learns.learn_announced(announced);
    ask(&mut learns, 5001);
    let mut collector = Collector::new(Config { rows: usize::MAX, ..Config::default() });
    collector.absorb(learns.finish());
    let snapshot = collector.snapshot(None, true);
    let told = snapshot.rows.iter().map(|row| {
        let dns = row.encrypted_dns.as_ref().unwrap();
        (row.source.port, dns.by, dns.kind.name(), dns.resolver.to_string())
    });
    let mut told: Vec<_> = told.collect();
    told.sort_by_key(|(port, ..)| *port);
    let as_expected = |port| (port, DnsBy::Announced, "doh", "dns.lab.example".to_owned());
    assert_eq!(told, [as_expected(5000), as_expected(5001)]);
}
