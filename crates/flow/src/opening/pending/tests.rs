use dissect::Tcp;

use super::super::MAX_SAID;
use super::super::turns::{PAID_BY_BYTE, PAID_BY_PACKET, UNPAID};
use super::*;
use crate::tcp::Segment;

const ACK: TcpFlags = TcpFlags(TcpFlags::ACK);

/// Segments between ends that say `len` bytes at a time in turn, of which each wants more to be read.
struct Dialogue {
    pending: Pending,
    seq: [u32; 2],
    len: usize,
    packets: usize,
    read: usize,
}

impl Dialogue {
    fn of(len: usize) -> Self {
        let pending = Pending { candidates: Candidates::that_recur(), ..Pending::default() };
        Self { pending, seq: [0; 2], len, packets: 0, read: 0 }
    }

    /// One says something; gives whether it is read.
    fn says(&mut self, side: Side, flags: TcpFlags) -> bool {
        let payload = vec![b'x'; self.len];
        let seq = self.seq[side.index()];
        self.seq[side.index()] += self.len as u32;
        let tcp = Tcp { seq, ack: 0, window: 1, flags, payload_len: self.len as u32 };
        let segment = Segment::of(&tcp);
        let mut o = Observation::default();
        (o.side, o.payload, o.segment) = (side, &payload, segment);
        self.packets += 1;
        let is_read = self.pending.add(&o, [50_000, 25]);
        if is_read {
            self.read += self.pending.said.iter().map(|said| said.bytes.len()).sum::<usize>();
        }
        is_read
    }

    /// What came pays for the readings, but for one when no more is taken.
    fn assert_paid(&self) {
        let paid = self.packets * (PAID_BY_PACKET + PAID_BY_BYTE * self.len);
        assert!(self.read <= UNPAID + paid + 2 * MAX_SAID, "{} for {} packets", self.read, self.packets);
    }
}

#[test]
fn answering_in_turn_costs_what_came() {
    for len in [1, 7, 40, 300, 1400] {
        let mut dialogue = Dialogue::of(len);
        for side in [Side::Low, Side::High].into_iter().cycle() {
            dialogue.says(side, ACK);
            dialogue.assert_paid();
            if dialogue.pending.is_over() {
                break;
            }
        }
        assert!(dialogue.read >= MAX_SAID, "what is kept was read");
    }
}

#[test]
fn a_short_dialogue_is_read_at_each_turn() {
    let mut dialogue = Dialogue::of(40);
    for _ in 0..20 {
        dialogue.says(Side::Low, ACK);
        assert!(dialogue.says(Side::High, ACK), "what was said is whole once it is answered");
    }
}

#[test]
fn what_was_not_read_is_read_once_it_is_paid_for_or_an_end_says_its_last() {
    let mut dialogue = Dialogue::of(4);
    let (mut waited, mut longest) = (0, 0);
    for side in [Side::Low, Side::High].into_iter().cycle().take(4000) {
        waited = if dialogue.says(side, ACK) { 0 } else { waited + 1 };
        longest = longest.max(waited);
    }
    // Held are 16,000 bytes by then.
    assert!((8..=16_000 / PAID_BY_PACKET).contains(&longest), "{longest}");
    while dialogue.says(Side::Low, ACK) {}
    let fin = TcpFlags(TcpFlags::FIN | TcpFlags::ACK);
    assert!(dialogue.says(Side::High, fin), "its last");
    assert!(!dialogue.says(Side::High, fin), "which it says once");
}

/// Each segment belongs before the one that came first.
#[test]
fn beginning_earlier_and_earlier_costs_what_came() {
    let mut dialogue = Dialogue::of(1);
    for n in 0..10_000 {
        dialogue.seq[Side::Low.index()] = 20_000 - n;
        dialogue.says(Side::Low, ACK);
        dialogue.assert_paid();
    }
}
