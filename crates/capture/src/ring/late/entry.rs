//! One five-tuple's count, as `bpf/entries.h` writes it (`struct entry`).

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

const BYTES: usize = 256;
/// Bytes of the first packet that are there, at most.
const SAMPLE: usize = 128;
/// Bit of an entry's interface: sent.
const SENT: u32 = 1 << 31;

/// A copy of a `struct entry`.
#[derive(Clone, Debug)]
pub(in super::super) struct Entry([u8; BYTES]);

impl Entry {
    pub(super) fn copy(words: &[AtomicU64]) -> Self {
        let mut bytes = [0; BYTES];
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.load(Relaxed).to_ne_bytes());
        }
        Self(bytes)
    }

    fn u64(&self, at: usize) -> u64 {
        self.0.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_ne_bytes(*b))
    }

    fn u32(&self, at: usize) -> u32 {
        self.0.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_ne_bytes(*b))
    }

    fn u16(&self, at: usize) -> u16 {
        self.0.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u16::from_ne_bytes(*b))
    }

    fn u8(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    pub(in super::super) fn ifindex(&self) -> u32 {
        self.u32(32) & !SENT
    }

    /// The EtherType, as far as it is known.
    pub(in super::super) fn ether_type(&self) -> u16 {
        self.u16(44)
    }

    /// Whether an IP header was read.
    pub(in super::super) fn is_ip(&self) -> bool {
        self.u8(47) != 0
    }

    pub(in super::super) fn packets(&self) -> u64 {
        self.u64(48)
    }

    pub(in super::super) fn ip_bytes(&self) -> u64 {
        self.u64(56)
    }

    pub(in super::super) fn bytes(&self) -> u64 {
        self.u64(64)
    }

    /// First and last packet, by the monotonic clock.
    pub(in super::super) fn span(&self) -> (i64, i64) {
        (self.u64(72) as i64, self.u64(80) as i64)
    }

    /// Packets that become of these where the interface splits them, beyond their own number.
    pub(in super::super) fn split(&self) -> u64 {
        self.u64(88)
    }

    pub(in super::super) fn wire_len(&self) -> u32 {
        self.u32(96)
    }

    pub(in super::super) fn vlan_tci(&self) -> Option<u16> {
        (self.u8(104) != 0).then(|| self.u16(102))
    }

    pub(in super::super) fn pkt_type(&self) -> u8 {
        self.u8(105)
    }

    pub(in super::super) fn tcp_flags(&self) -> u8 {
        self.u8(106)
    }

    /// Where in the index it stands.
    pub(super) fn slot(&self) -> usize {
        self.u32(108) as usize
    }

    /// Of the second to fourth packet, as `flow::print` has them.
    pub(in super::super) fn prints(&self) -> [u32; 3] {
        [116, 120, 124].map(|at| self.u32(at))
    }

    /// The beginning of the first packet.
    pub(in super::super) fn sample(&self) -> &[u8] {
        let captured = usize::from(self.u16(100)).min(SAMPLE);
        self.0.get(BYTES - SAMPLE..).and_then(|sample| sample.get(..captured)).unwrap_or_default()
    }
}
