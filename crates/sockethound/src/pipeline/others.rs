//! What workers tell each other: encrypted resolvers that an answer announced (RFC 9462), since the flows to them may be any
//! worker's. It is little and rare; nobody waits for it.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use flow::{Announcement, FlowTable};

/// Announcements that wait for a worker; it learns of others when they are repeated.
const ROOM: usize = 64;

/// One worker's ways to the others, and theirs to it.
#[derive(Debug, Default)]
pub(super) struct Others {
    to: Vec<SyncSender<Vec<Announcement>>>,
    from: Option<Receiver<Vec<Announcement>>>,
}

impl Others {
    /// For so many workers, each one's.
    pub(super) fn of(workers: usize) -> impl Iterator<Item = Self> {
        let (to, from): (Vec<_>, Vec<_>) = (0..workers).map(|_| sync_channel(ROOM)).unzip();
        from.into_iter().enumerate().map(move |(own, from)| {
            let others = to.iter().enumerate().filter(|(other, _)| *other != own);
            Others { to: others.map(|(_, to)| to.clone()).collect(), from: Some(from) }
        })
    }

    /// Has the table learn what others have told.
    pub(super) fn listen(&self, table: &mut FlowTable) {
        let told = self.from.as_ref().filter(|_| !self.to.is_empty());
        told.into_iter().flat_map(Receiver::try_iter).for_each(|told| table.learn_announced(told));
    }

    /// Tells the others what the table has learned.
    pub(super) fn tell(&self, table: &mut FlowTable) {
        let announced = table.take_announced();
        if announced.is_empty() {
            return;
        }
        for to in &self.to {
            // Whoever has no room, or has ended, does without.
            drop(to.try_send(announced.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use dissect::{Direction, LinkType, Packet, Timestamp};
    use flow::{Collector, Config, Options};

    use super::*;

    const CLIENT: [u8; 4] = [10, 0, 0, 1];

    /// A DNSCrypt resolver's place.
    fn server(number: u8) -> ([u8; 4], u16) {
        ([192, 0, 2, number], 5443)
    }

    /// Has `table` read a datagram over IPv4 at so many seconds.
    fn datagram(table: &mut FlowTable, seconds: i64, src: ([u8; 4], u16), dst: ([u8; 4], u16), said: &[u8]) {
        let len = |headers: usize| ((headers + said.len()) as u16).to_be_bytes();
        let ends = [src.1.to_be_bytes(), dst.1.to_be_bytes()].concat();
        let parts = [
            &[0x45, 0][..],
            &len(28),
            &[0, 0, 0, 0, 64, 17, 0, 0],
            &src.0,
            &dst.0,
            &ends,
            &len(8),
            &[0, 0],
            said,
        ];
        let bytes = parts.concat();
        table.observe_batch(std::iter::once(Packet {
            timestamp: Timestamp(seconds * 1_000_000_000),
            link_type: LinkType::RAW,
            wire_len: bytes.len() as u32,
            bytes: &bytes,
            interface: 0,
            vlan_tci: None,
            direction: Direction::Unknown,
        }));
    }

    /// Has `table` read the certificate of a DNSCrypt resolver, which tells where it is.
    fn announce(table: &mut FlowTable, seconds: i64, number: u8) {
        let mut answer =
            b"\0\x07\x81\x80\0\x01\0\x01\0\0\0\0\x0f2.dnscrypt-cert\x07example\0\0\x10\0\x01".to_vec();
        answer.extend(b"\xc0\x0c\0\x10\0\x01\0\0\x01\x2c\0\x05\x04DNSC");
        datagram(table, seconds, server(number), (CLIENT, 4000), &answer);
    }

    /// How many of the flows in `table` are known to be lookups.
    fn known(table: FlowTable) -> usize {
        let mut collector = Collector::new(Config { rows: usize::MAX, ..Config::default() });
        collector.absorb(table.finish());
        collector.snapshot(None, true).rows.iter().filter(|row| row.encrypted_dns.is_some()).count()
    }

    #[test]
    fn every_worker_but_the_one_that_tells_learns() {
        let ways: Vec<_> = Others::of(3).collect();
        let mut tables: Vec<_> = (0..3).map(|_| FlowTable::new(Options::default())).collect();
        announce(&mut tables[1], 0, 1);
        for (own, table) in ways.iter().zip(&mut tables) {
            own.tell(table);
        }
        for (own, table) in ways.iter().zip(&mut tables) {
            own.listen(table);
            // A client's datagram: nothing in it tells of lookups.
            datagram(table, 1, (CLIENT, 5000), server(1), &[0xa5; 512]);
        }
        assert_eq!(tables.into_iter().map(known).collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn what_found_no_room_is_told_when_it_is_announced_again() {
        let last = ROOM as u8;
        let table = |seconds_again: Option<i64>| {
            let ways: Vec<_> = Others::of(2).collect();
            let mut tables = [0, 1].map(|_| FlowTable::new(Options::default()));
            for number in 0..=last {
                announce(&mut tables[0], 0, number);
                ways[0].tell(&mut tables[0]);
            }
            ways[1].listen(&mut tables[1]);
            if let Some(seconds) = seconds_again {
                announce(&mut tables[0], seconds, last);
                ways[0].tell(&mut tables[0]);
                ways[1].listen(&mut tables[1]);
            }
            let [_, mut learned] = tables;
            for number in [0, last] {
                datagram(&mut learned, 100, (CLIENT, 5000), server(number), &[0xa5; 512]);
            }
            known(learned)
        };
        assert_eq!(table(None), 1);
        assert_eq!(table(Some(70)), 2);
    }
}
