//! FDDI (ANSI X3.139): frame control, two addresses, LLC.

use super::bytes::{header, tri, u8_at};
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType};

/// Frame control without its length-of-address and priority bits.
const FORMAT: u8 = 0x70;
const LLC: u8 = 0x50;

#[derive(Debug)]
pub(super) struct Fddi;

impl Dissector for Fddi {
    fn name(&self) -> &'static str {
        "fddi"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(10))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<13>(self.name(), bytes));
        match u8_at(h, 0) & FORMAT {
            LLC => Step::Next(Claim::Form(Form::Llc), rest),
            _ => Step::Payload(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, packet::fixture};

    #[test]
    fn station_management_ends_here() {
        let addresses = [0; 12];
        let snap = [0xaa, 0xaa, 0x03, 0, 0, 0, 8, 0];
        let bytes = fixture::frame(&[&[0x50], &addresses, &snap, &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(10), &bytes), ["fddi", "llc", "snap", "ipv4", "udp"]);
        let smt = fixture::frame(&[&[0x41], &addresses, &snap, &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(10), &smt), ["fddi"]);
    }
}
