//! What the source counts of flows that have settled adds up to what would have been told, had it been seen.

use dissect::app::{Depth, Interest, quic};
use dissect::packet::{Plain, Registry};
use dissect::{Endpoint, FiveTuple, Ip, Packet, SettledCount, TcpFlags, Way};
use flow::{Config, Options, Settle, Snapshot, Timeouts};

use crate::kept::{Kept, captures};
use crate::wire::Capture;

/// A source that does what it is told, as the kernel would.
#[derive(Default)]
struct Source {
    ways: Vec<Way>,
    counts: Vec<SettledCount>,
}

impl Source {
    fn pass(&mut self, capture: &mut Capture, packet: Packet<'_>) {
        let way = way(&packet).filter(|way| self.ways.contains(way));
        let Some(way) = way else {
            capture.observe(0, packet);
            for settle in capture.table().take_settling() {
                match settle {
                    Settle::Begin(way) => self.ways.push(way),
                    Settle::End(way) => self.ways.retain(|one| *one != way),
                    Settle::EndAll => self.ways.clear(),
                }
            }
            return;
        };
        let none = SettledCount {
            way,
            last: packet.timestamp,
            packets: 0,
            ip_bytes: 0,
            frame_bytes: 0,
            prints: [0; 4],
        };
        let at = self.counts.iter().position(|count| count.way == way).unwrap_or_else(|| {
            self.counts.push(none);
            self.counts.len() - 1
        });
        let count = &mut self.counts[at];
        if let Some(print) = count.prints.get_mut(count.packets as usize) {
            *print = flow::print(&packet);
        }
        count.packets += 1;
        count.ip_bytes += Plain::of(&packet, Registry::global()).map_or(0, |plain| u64::from(plain.ip.bytes));
        count.frame_bytes += u64::from(packet.wire_len);
        count.last = count.last.max(packet.timestamp);
    }

    /// Hands over what was counted; gives how many packets.
    fn tell(&mut self, capture: &mut Capture) -> u64 {
        let counts = std::mem::take(&mut self.counts);
        for count in &counts {
            capture.table().observe_settled(count);
        }
        counts.iter().map(|count| count.packets).sum()
    }
}

/// Which way a packet passes that a source may count itself.
fn way(packet: &Packet<'_>) -> Option<Way> {
    let plain = Plain::of(packet, Registry::global())?;
    let ip = &plain.ip;
    let is_whole = usize::from(ip.at) + ip.bytes as usize <= packet.bytes.len();
    let says_nothing = match &plain.tcp {
        Some(tcp) => tcp.flags == TcpFlags(TcpFlags::ACK) && tcp.payload_len == 0 && tcp.window > 0,
        None => match plain.payload {
            [_, _, _, _, 0, 1, ..] | [_, _, 0x80..=0xff, _, 0, 0, ..] => false,
            [first, ..] => !Interest::of(17, *first).follows() && !quic::may_be_handshake(*first),
            [] => true,
        },
    };
    (is_whole && says_nothing).then(|| Way {
        interface: packet.interface,
        tuple: tuple(ip),
        direction: packet.direction,
    })
}

fn tuple(ip: &Ip) -> FiveTuple {
    let end = |addr: u128, port| {
        let addr = if ip.version == 4 {
            std::net::Ipv4Addr::from_bits(addr as u32).into()
        } else {
            std::net::Ipv6Addr::from_bits(addr).into()
        };
        Endpoint { addr, port }
    };
    FiveTuple { src: end(ip.src, ip.src_port), dst: end(ip.dst, ip.dst_port), protocol: ip.protocol }
}

/// Everything that is told of flows, in an order of its own.
fn told(snapshot: &Snapshot) -> Vec<String> {
    let mut rows: Vec<_> = snapshot.rows.iter().map(|flow| format!("{flow:?}")).collect();
    rows.sort();
    rows
}

/// Replays `packets`, with a report every so often; gives what was told at the end, and how many packets were counted.
fn replay(packets: &[Kept], settles: bool, interfaces: u32) -> (Snapshot, u64) {
    let options = Options { live: Some(Timeouts::default()), depth: Depth::All, ..Options::default() };
    let mut capture = Capture::new(&options, Config { rows: usize::MAX, ..Config::default() }, 1);
    let (mut source, mut counted) = (Source::default(), 0);
    for (n, kept) in packets.iter().enumerate() {
        for interface in 0..interfaces {
            capture.now = kept.packet.timestamp.0;
            let packet = Packet { interface, ..kept.packet() };
            if settles {
                source.pass(&mut capture, packet);
            } else {
                capture.observe(0, packet);
            }
        }
        if n % 97 == 96 {
            counted += source.tell(&mut capture);
            capture.report();
        }
    }
    counted += source.tell(&mut capture);
    (capture.report(), counted)
}

#[test]
fn settled_flows_equal_captured_ones() {
    let mut counted = 0;
    for packets in captures() {
        for interfaces in [1, 3] {
            let (seen, none) = replay(&packets, false, interfaces);
            let (ours, some) = replay(&packets, true, interfaces);
            for (ours, seen) in told(&ours).into_iter().zip(told(&seen)) {
                assert_eq!(ours, seen);
            }
            assert_eq!(ours.rows.len(), seen.rows.len());
            assert_eq!((ours.total, ours.first, ours.last), (seen.total, seen.first, seen.last));
            for (ours, theirs) in ours.ledger.interfaces.iter().zip(&seen.ledger.interfaces) {
                assert_eq!(
                    (ours.seen, ours.counted, ours.not_ip),
                    (theirs.seen, theirs.counted, theirs.not_ip)
                );
            }
            let settled = ours.ledger.interfaces.iter().map(|one| one.live.as_ref().unwrap().settled.0);
            assert_eq!((settled.sum::<u64>(), none), (some, 0));
            counted += some;
        }
    }
    assert!(counted > 100, "{counted}");
}
