//! ARCNET: one-byte addresses and protocol types (RFC 1201; RFC 1051, its predecessor).
//!
//! RFC 1201 puts a split flag and a sequence number behind the type; RFC 1051 nothing.
//! Not handled: reassembly of split packets; only their first part is read on.

use super::bytes::{after, header, tri, u8_at};
use super::{Claim, Dissector, Step};
use crate::{Dissection, LinkType};

/// Protocol types.
mod system {
    pub(super) const DIAGNOSE: u8 = 0x80;
    pub(super) const IPV6: u8 = 0xc4;
    pub(super) const IP: u8 = 0xd4;
    pub(super) const ARP: u8 = 0xd5;
    pub(super) const RARP: u8 = 0xd6;
    pub(super) const IPX: u8 = 0xfa;
    pub(super) const IP_1051: u8 = 0xf0;
    pub(super) const ARP_1051: u8 = 0xf1;
}

/// A packet of awkward length: three filler bytes, then the flag and the sequence number.
const EXCEPTION: u8 = 0xff;

/// BSD's: source, destination, type.
#[derive(Debug)]
pub(super) struct Arcnet;

impl Dissector for Arcnet {
    fn name(&self) -> &'static str {
        "arcnet"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(7))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<3>(self.name(), bytes));
        let exception = u8_at(rest, 0) == EXCEPTION && !unsplit(u8_at(h, 2));
        body(self.name(), u8_at(h, 2), if exception { tri!(after(self.name(), rest, 4)) } else { rest })
    }
}

/// Linux': source, destination, two bytes of offset, type; never an exception.
#[derive(Debug)]
pub(super) struct ArcnetLinux;

impl Dissector for ArcnetLinux {
    fn name(&self) -> &'static str {
        "arcnet-linux"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(129))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<5>(self.name(), bytes));
        body(self.name(), u8_at(h, 4), rest)
    }
}

/// Whether packets of this type have neither flag nor sequence number.
fn unsplit(system: u8) -> bool {
    matches!(system, system::IP_1051 | system::ARP_1051 | system::DIAGNOSE)
}

/// From the split flag on, where there is one.
fn body<'a>(layer: &'static str, system: u8, bytes: &'a [u8]) -> Step<'a> {
    let packet = if unsplit(system) { bytes } else { tri!(after(layer, bytes, 3)) };
    // An even flag but 0 is a later part (RFC 1201, section 2).
    let flag = u8_at(bytes, 0);
    if !unsplit(system) && flag != 0 && flag & 1 == 0 {
        return Step::Payload(packet);
    }
    let ether_type = match system {
        system::IP | system::IP_1051 => 0x0800,
        system::ARP | system::ARP_1051 => 0x0806,
        system::RARP => 0x8035,
        system::IPV6 => 0x86dd,
        system::IPX => 0x8137,
        _ => return Step::Payload(packet),
    };
    Step::Next(Claim::EtherType(ether_type), packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::fixture;

    fn read(link_type: u16, front: &[u8]) -> Vec<&'static str> {
        fixture::layers(LinkType(link_type), &fixture::frame(&[front, &fixture::IPV4_UDP]))
    }

    #[test]
    fn the_type_says_whether_a_sequence_number_follows() {
        assert_eq!(read(7, &[1, 2, 0xf0]), ["arcnet", "ipv4", "udp"]);
        assert_eq!(read(7, &[1, 2, 0xd4, 0, 0, 9]), ["arcnet", "ipv4", "udp"]);
        assert_eq!(read(7, &[1, 2, 0xd4, 0xff, 0xff, 0xff, 0xff, 0, 0, 9]), ["arcnet", "ipv4", "udp"]);
        assert_eq!(read(129, &[1, 2, 0, 0, 0xf0]), ["arcnet-linux", "ipv4", "udp"]);
    }

    #[test]
    fn a_later_part_is_not_read_on() {
        assert_eq!(read(7, &[1, 2, 0xd4, 1, 0, 9]), ["arcnet", "ipv4", "udp"]);
        assert_eq!(read(7, &[1, 2, 0xd4, 2, 0, 9]), ["arcnet"]);
    }
}
