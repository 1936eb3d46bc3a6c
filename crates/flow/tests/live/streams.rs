//! Connections whose data is lost, sent again, reordered and stopped: where the source counts what goes on, the same is told
//! of them as where all is seen.

use dissect::{Direction, LinkType, Packet, Timestamp};
use proptest::prelude::*;

use crate::kept::Kept;
use crate::settled::compare;
use crate::wire::{A, B, SECOND, START, Sent};

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const URG: u8 = 0x20;

/// What one side does next.
#[derive(Clone, Copy, Debug)]
enum Turn {
    /// Sends so many segments, each where the one before ended.
    On(u8),
    /// Sends so much in one segment, which the interface splits, and as much again.
    Large(u16),
    /// Leaves out so many bytes.
    Lose(u16),
    /// Sends bytes again that lie so far behind.
    Again(u16, u8),
    /// Sends the last byte again.
    KeepAlive,
    Acknowledge,
    /// Sends a segment with these flags, and data or none.
    Odd(u8, bool),
    /// Says that it has no room, with data or none.
    Full(bool),
    /// Sends a segment behind IPv4 options, in the first fragment of two, or not whole.
    Unusual(u8),
    /// Begins anew on the same ports.
    Anew,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        12 => (1..40u8).prop_map(Turn::On),
        6 => (1..20_000u16).prop_map(Turn::Large),
        2 => (1..3000u16).prop_map(Turn::Lose),
        3 => (1..3000u16, 1..4u8).prop_map(|(behind, count)| Turn::Again(behind, count)),
        1 => Just(Turn::KeepAlive),
        4 => Just(Turn::Acknowledge),
        1 => (prop::sample::select(vec![FIN | ACK, RST, RST | ACK, SYN, URG | ACK, 0, PSH | ACK, SYN | FIN]), any::<bool>())
            .prop_map(|(flags, data)| Turn::Odd(flags, data)),
        1 => any::<bool>().prop_map(Turn::Full),
        1 => (0..3u8).prop_map(Turn::Unusual),
        1 => Just(Turn::Anew),
    ]
}

/// Packets of one connection, a time apart each.
struct Wire {
    packets: Vec<Kept>,
    now: i64,
    next: [u32; 2],
}

impl Wire {
    fn send(&mut self, side: usize, seq: u32, flags: u8, len: usize) {
        self.change(side, seq, flags, len, |_| {});
    }

    fn change(&mut self, side: usize, seq: u32, flags: u8, len: usize, change: impl FnOnce(&mut Vec<u8>)) {
        let (from, to) = if side == 0 { (A, B) } else { (B, A) };
        let id = self.packets.len() as u16;
        let sent = Sent { from, to, id, seq: Some(seq), flags, payload: vec![0xf5; len], padding: 0 };
        let mut bytes = sent.bytes();
        change(&mut bytes);
        let packet = Packet {
            timestamp: Timestamp(self.now),
            link_type: LinkType::ETHERNET,
            wire_len: bytes.len() as u32,
            bytes: &[],
            interface: 0,
            vlan_tci: None,
            direction: Direction::Unknown,
        };
        self.packets.push(Kept { packet, bytes });
    }

    fn take(&mut self, side: usize, turn: Turn) {
        const LEN: u32 = 100;
        let next = self.next[side];
        match turn {
            Turn::On(count) => {
                for n in 0..u32::from(count) {
                    let flags = if n % 4 == 3 { ACK | PSH } else { ACK };
                    self.send(side, next.wrapping_add(n * LEN), flags, LEN as usize);
                    self.now += 300_000;
                }
                self.next[side] = next.wrapping_add(u32::from(count) * LEN);
            }
            Turn::Large(len) => {
                let len = u32::from(len);
                for seq in [next, next.wrapping_add(len)] {
                    self.send(side, seq, ACK, len as usize);
                    self.now += 300_000;
                }
                self.next[side] = next.wrapping_add(2 * len);
            }
            Turn::Lose(bytes) => self.next[side] = next.wrapping_add(u32::from(bytes)),
            Turn::Again(behind, count) => {
                for n in 0..u32::from(count) {
                    let seq = next.wrapping_sub(u32::from(behind)).wrapping_add(n * LEN);
                    self.send(side, seq, ACK, LEN as usize);
                }
            }
            Turn::KeepAlive => self.send(side, next.wrapping_sub(1), ACK, 1),
            Turn::Acknowledge => self.send(side, next, ACK, 0),
            Turn::Odd(flags, data) => {
                let len = usize::from(data) * 50;
                self.send(side, next, flags, len);
                let phantom = u32::from(flags & (SYN | FIN) != 0);
                self.next[side] = next.wrapping_add(len as u32 + phantom);
            }
            Turn::Full(data) => {
                let len = usize::from(data) * 50;
                self.change(side, next, ACK, len, |bytes| bytes[14 + 20 + 14..][..2].fill(0));
                self.next[side] = next.wrapping_add(len as u32);
            }
            Turn::Unusual(how) => self.take_unusual(side, how),
            Turn::Anew => {
                self.next = [next.wrapping_add(5_000_000), self.next[1 - side].wrapping_add(9_000_000)];
                self.send(side, self.next[side], SYN, 0);
                self.send(1 - side, self.next[1 - side], SYN | ACK, 0);
                self.next = self.next.map(|next| next.wrapping_add(1));
            }
        }
        self.now += 700_000;
    }

    fn take_unusual(&mut self, side: usize, how: u8) {
        let next = self.next[side];
        self.change(side, next, ACK, 104, |bytes| match how {
            // No-operation, four times.
            0 => {
                bytes[14] = 0x46;
                let total = u16::from_be_bytes([bytes[16], bytes[17]]) + 4;
                bytes[16..18].copy_from_slice(&total.to_be_bytes());
                bytes.splice(34..34, [1; 4]);
            }
            1 => bytes[20] |= 0x20,
            _ => bytes.truncate(100),
        });
        self.next[side] = next.wrapping_add(104);
    }
}

/// The packets of a connection in which the sides take these turns.
fn wire(turns: &[(bool, Turn)], first: [u32; 2], pause: i64) -> Vec<Kept> {
    let mut wire = Wire { packets: Vec::new(), now: START, next: first };
    for (flags, side) in [(SYN, 0), (SYN | ACK, 1), (ACK, 0)] {
        wire.send(side, wire.next[side], flags, 0);
        wire.next[side] = wire.next[side].wrapping_add(u32::from(flags & SYN != 0));
        wire.now += SECOND / 100;
    }
    for &(side, turn) in turns {
        wire.take(usize::from(side), turn);
        wire.now += pause;
    }
    wire.packets
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn counted_streams_equal_seen_ones(
        turns in prop::collection::vec((any::<bool>(), turn()), 1..60),
        first in any::<[u32; 2]>(),
        pause in prop::sample::select(vec![0, 2_000_000, 40_000_000]),
    ) {
        compare(&wire(&turns, first, pause), 1);
    }
}

/// Lest the above compares nothing.
#[test]
fn most_of_a_stream_is_counted() {
    let turns: Vec<_> = (0..60)
        .map(|n| match n % 6 {
            3 => (false, Turn::Large(2000)),
            4 => (true, Turn::Acknowledge),
            5 => (false, Turn::Again(500, 2)),
            _ => (false, Turn::On(20)),
        })
        .collect();
    let packets = wire(&turns, [u32::MAX - 3000, 9], 0);
    let (_, data) = compare(&packets, 1);
    assert!(data as usize > packets.len() / 2, "{data} of {}", packets.len());
}
