//! A socket's five-tuple, in few words.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A five-tuple as a socket sees it; a far end of zeros stands for any.
///
/// IPv4 addresses are those that IPv6 has for them (`::ffff:0:0/96`), so that a socket of either family is found by either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    own: [u64; 2],
    other: [u64; 2],
    /// Of an ICMP echo, the identifier.
    own_port: u16,
    other_port: u16,
    protocol: u8,
}

impl Ends {
    pub(super) fn new(protocol: u8, own: SocketAddr, other: SocketAddr) -> Self {
        let (own_port, other_port) = (own.port(), other.port());
        Self { own: words(own.ip()), other: words(other.ip()), own_port, other_port, protocol }
    }

    /// As [`Self::new`] took them, but for IPv4 addresses in IPv6's clothes.
    pub(super) fn parts(&self) -> (u8, SocketAddr, SocketAddr) {
        let own = SocketAddr::new(address(self.own), self.own_port);
        let other = SocketAddr::new(address(self.other), self.other_port);
        (self.protocol, own, other)
    }

    /// The same with any far end of its family.
    pub(super) fn of_any(self) -> Self {
        let other = if is_ipv4(self.own) { [0, MAPPED] } else { [0, 0] };
        Self { other, other_port: 0, ..self }
    }

    pub(super) fn without_own_port(self) -> Self {
        Self { own_port: 0, ..self }
    }

    pub(super) fn has_any_other(&self) -> bool {
        *self == self.of_any()
    }

    /// Whether `any` has the same own end.
    pub(super) fn is_own_end_of(&self, any: &Self) -> bool {
        (self.own, self.own_port, self.protocol) == (any.own, any.own_port, any.protocol)
    }
}

impl Hash for Ends {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Arrays would add their lengths, and each small number be a word of its own.
        let Self { own: [a, b], other: [c, d], .. } = *self;
        let rest =
            u64::from(self.own_port) << 32 | u64::from(self.other_port) << 16 | u64::from(self.protocol);
        for word in [a, b, c, d, rest] {
            state.write_u64(word);
        }
    }
}

/// The prefix of mapped addresses, in the lower word.
const MAPPED: u64 = 0xffff << 32;

fn is_ipv4(words: [u64; 2]) -> bool {
    words[0] == 0 && words[1] >> 32 == MAPPED >> 32
}

fn words(ip: IpAddr) -> [u64; 2] {
    match ip {
        IpAddr::V4(ip) => [0, MAPPED | u64::from(ip.to_bits())],
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            [(bits >> 64) as u64, bits as u64]
        }
    }
}

fn address(words: [u64; 2]) -> IpAddr {
    let bits = u128::from(words[0]) << 64 | u128::from(words[1]);
    Ipv6Addr::from_bits(bits).to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_are_read_back() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (own, other) in [("10.0.0.1:53", "0.0.0.0:0"), ("[fd00::1]:53", "[::]:0")] {
            let ends = Ends::new(17, at(own), at("10.0.0.9:9"));
            assert!(!ends.has_any_other());
            let any = ends.of_any();
            assert_eq!(any.parts(), (17, at(own), at(other)));
            assert!(any.has_any_other() && ends.is_own_end_of(&any));
        }
        let mapped = Ends::new(6, at("[::ffff:10.0.0.1]:80"), at("[::ffff:10.0.0.2]:4000"));
        assert_eq!(mapped, Ends::new(6, at("10.0.0.1:80"), at("10.0.0.2:4000")));
    }
}
