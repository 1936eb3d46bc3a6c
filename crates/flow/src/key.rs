//! Direction-free flow keys.

use std::hash::{BuildHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dissect::{Endpoint, FiveTuple, Ip};
use foldhash::fast::RandomState;

/// Which end of a flow: the one that sorts lower, or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Side {
    /// The end with the lower address, or the lower port where the addresses are equal.
    #[default]
    Low,
    /// The other end.
    High,
}

impl Side {
    /// 0 or 1: the place of this side's counters.
    #[inline]
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// The other end.
    #[inline]
    #[must_use]
    pub(crate) fn other(self) -> Self {
        match self {
            Side::Low => Side::High,
            Side::High => Side::Low,
        }
    }
}

/// Direction-free five-tuple: both directions of a flow share it.
///
/// Five words, so that the table compares and hashes it without a branch:
/// each end's address, then both ports, the interface, the protocol and the IP version.
///
/// The interface is 0 but in the tables of a live capture, which count each interface's packets apart: the collector
/// makes one flow of them.
#[derive(Clone, Copy, Debug, Eq, PartialOrd, Ord, Default)]
pub(crate) struct FlowKey {
    words: [u64; 5],
}

impl FlowKey {
    /// No flow's: of IP version 0.
    pub(crate) const NOBODY: Self = FlowKey { words: [0; 5] };

    /// The key of `ip`'s five-tuple, and which side sent it.
    #[inline]
    pub(crate) fn of(ip: &Ip) -> (Self, Side) {
        Self::new((ip.src, ip.src_port), (ip.dst, ip.dst_port), ip.protocol, ip.version)
    }

    /// The same of a five-tuple.
    pub(crate) fn of_tuple(tuple: &FiveTuple) -> (Self, Side) {
        let bits = |end: &Endpoint| match end.addr {
            IpAddr::V4(addr) => (u128::from(addr.to_bits()), end.port),
            IpAddr::V6(addr) => (addr.to_bits(), end.port),
        };
        let version = if tuple.src.addr.is_ipv4() { 4 } else { 6 };
        Self::new(bits(&tuple.src), bits(&tuple.dst), tuple.protocol, version)
    }

    #[inline]
    fn new(src: (u128, u16), dst: (u128, u16), protocol: u8, version: u8) -> (Self, Side) {
        let kind = u64::from(protocol) << 8 | u64::from(version);
        if version == 4 {
            // Address and port in one word order as the pair does.
            let (from, to) =
                ((src.0 as u64) << 16 | u64::from(src.1), (dst.0 as u64) << 16 | u64::from(dst.1));
            let (low, high, side) = if from <= to { (from, to, Side::Low) } else { (to, from, Side::High) };
            let ports = (low & 0xffff) << 48 | (high & 0xffff) << 32;
            return (Self { words: [0, low >> 16, 0, high >> 16, ports | kind] }, side);
        }
        let ((low, low_port), (high, high_port), side) =
            if src <= dst { (src, dst, Side::Low) } else { (dst, src, Side::High) };
        let ports = u64::from(low_port) << 48 | u64::from(high_port) << 32;
        let words = [(low >> 64) as u64, low as u64, (high >> 64) as u64, high as u64, ports | kind];
        (Self { words }, side)
    }

    /// The key of the flow's packets on one interface.
    #[inline]
    #[must_use]
    pub(crate) fn on(mut self, interface: u16) -> Self {
        self.words[4] |= u64::from(interface) << 16;
        self
    }

    /// The key of the flow on whatever interface.
    #[must_use]
    pub(crate) fn anywhere(mut self) -> Self {
        self.words[4] &= !(0xffff << 16);
        self
    }

    /// The end on `side`.
    pub(crate) fn endpoint(&self, side: Side) -> Endpoint {
        let [low_upper, low_lower, high_upper, high_lower, last] = self.words;
        let (upper, lower, port) = match side {
            Side::Low => (low_upper, low_lower, last >> 48),
            Side::High => (high_upper, high_lower, last >> 32),
        };
        let addr = if self.version() == 4 {
            IpAddr::V4(Ipv4Addr::from_bits(lower as u32))
        } else {
            IpAddr::V6(Ipv6Addr::from_bits(u128::from(upper) << 64 | u128::from(lower)))
        };
        Endpoint { addr, port: port as u16 }
    }

    /// The port of the end on `side`.
    #[inline]
    pub(crate) fn port(&self, side: Side) -> u16 {
        match side {
            Side::Low => (self.words[4] >> 48) as u16,
            Side::High => (self.words[4] >> 32) as u16,
        }
    }

    /// IANA protocol number.
    #[inline]
    pub(crate) fn protocol(&self) -> u8 {
        (self.words[4] >> 8) as u8
    }

    /// Spreads the key over 32 bits.
    ///
    /// Multiplies pairs of words and folds the product, as foldhash and wyhash do, without the state that a hasher
    /// for keys of any length carries.
    #[inline(always)]
    pub(crate) fn hash(&self, seed: &Seed) -> u32 {
        let Seed(secret) = seed;
        if self.version() == 4 {
            // Two words hold all of it.
            let addresses = self.words[1] << 32 | self.words[3];
            let product = fold(addresses ^ secret[0], self.words[4] ^ secret[1]);
            // One product alone leaves neighbours together under one secret in ten.
            return (product.wrapping_mul(secret[2] | 1) >> 32) as u32;
        }
        let mixed = |n: usize| self.words[n] ^ secret[n];
        let (low, high) = (fold(mixed(0), mixed(1)), fold(mixed(2), mixed(3)));
        (fold(low ^ mixed(4), high ^ secret[5]) >> 32) as u32
    }

    /// 4 or 6.
    #[inline]
    pub(crate) fn version(&self) -> u8 {
        self.words[4] as u8
    }
}

/// Word by word in registers: the derived comparison calls out to `bcmp`, a fifth of the time on many small flows.
impl PartialEq for FlowKey {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.words.iter().zip(other.words).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}

/// Secret of the hash, drawn anew for each process: five-tuples are chosen by whoever sends packets.
#[derive(Clone, Copy, Debug)]
pub struct Seed([u64; 6]);

impl Default for Seed {
    fn default() -> Self {
        let random = RandomState::default();
        Self([0u8, 1, 2, 3, 4, 5].map(|n| random.hash_one(n)))
    }
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

impl Hash for FlowKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        for word in self.words {
            state.write_u64(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(src: u128, src_port: u16, dst: u128, dst_port: u16) -> Ip {
        Ip { src, dst, src_port, dst_port, bytes: 40, at: 14, protocol: 6, version: 4, fragment: None }
    }

    #[test]
    fn both_directions_share_a_key() {
        let (forth, side) = FlowKey::of(&ip(0x0a00_0001, 40000, 0x0a00_0002, 80));
        let (back, other) = FlowKey::of(&ip(0x0a00_0002, 80, 0x0a00_0001, 40000));
        assert_eq!(forth, back);
        assert_eq!((side, other), (Side::Low, Side::High));
        assert_eq!(forth.endpoint(Side::High).to_string_parts(), ("10.0.0.2".into(), 80));
    }

    #[test]
    fn an_interface_is_part_of_the_key() {
        for version in [4, 6] {
            let ip = Ip { version, ..ip(0x0a00_0001, 40000, 0x0a00_0002, 80) };
            let (key, _) = FlowKey::of(&ip);
            assert_eq!((key.on(0), key.anywhere()), (key, key));
            for interface in [1, 255, 256, u16::MAX] {
                let there = key.on(interface);
                assert_ne!(there, key);
                assert_ne!(there, key.on(interface - 1));
                assert_eq!(there.anywhere(), key);
                assert_eq!(there.on(interface), there);
                let known = (
                    there.protocol(),
                    there.version(),
                    there.endpoint(Side::Low),
                    there.endpoint(Side::High),
                );
                assert_eq!(known, (6, version, key.endpoint(Side::Low), key.endpoint(Side::High)));
            }
        }
    }

    #[test]
    fn equal_addresses_are_told_apart_by_port() {
        let (key, side) = FlowKey::of(&ip(0x7f00_0001, 9, 0x7f00_0001, 7));
        assert_eq!(side, Side::High);
        assert_eq!((key.endpoint(Side::Low).port, key.endpoint(Side::High).port), (7, 9));
    }

    /// Neighbouring addresses and ports, as scanners and address pools have them, spread evenly.
    #[test]
    fn hashes_spread() {
        for _ in 0..64 {
            let seed = Seed::default();
            let mut buckets = [0u32; 256];
            for n in 0..65_536u32 {
                let (key, _) = FlowKey::of(&ip(0x0a00_0000 + u128::from(n >> 8), n as u16, 0x0a01_0001, 443));
                buckets[(key.hash(&seed) & 255) as usize] += 1;
            }
            // 256 a bucket, with a deviation of 16: 8 of those are as good as impossible.
            assert!(buckets.iter().all(|&n| (128..384).contains(&n)), "{buckets:?}");
        }
    }

    trait Parts {
        fn to_string_parts(&self) -> (String, u16);
    }

    impl Parts for Endpoint {
        fn to_string_parts(&self) -> (String, u16) {
            (self.addr.to_string(), self.port)
        }
    }
}
