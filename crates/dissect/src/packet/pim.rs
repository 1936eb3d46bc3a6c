//! PIM Register messages: multicast packets on their way to the rendezvous point (RFC 7761, section 4.9.3).
//!
//! Other messages are payload, and so is a Null-Register: the header it carries is a dummy.

use super::bytes::{header, ip_by_version, tri, u8_at};
use super::{Claim, Dissector, Step};
use crate::Dissection;

/// Version 2, type 1.
const REGISTER: u8 = 0x21;
const NULL_REGISTER: u8 = 0x40;
/// Version and type, reserved, checksum, flags.
const HEADER: usize = 8;

#[derive(Debug)]
pub(super) struct Pim;

impl Dissector for Pim {
    fn name(&self) -> &'static str {
        "pim"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::IpProtocol(103)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        if u8_at(bytes, 0) != REGISTER {
            return Step::Payload(bytes);
        }
        let (h, rest) = tri!(header::<HEADER>(self.name(), bytes));
        match ip_by_version(rest) {
            Some(claim) if u8_at(h, 4) & NULL_REGISTER == 0 => {
                out.enter_tunnel(None);
                Step::Next(claim, rest)
            }
            _ => Step::Payload(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::packet::ip_fixture::{INNER, dissect, found, ipv4};

    #[test]
    fn a_register_carries_a_packet() {
        let register = ipv4(103, &[&[0x21, 0, 0xde, 0xff, 0, 0, 0, 0], &INNER[..]].concat());
        assert_eq!(found(&dissect(&register)), (vec![("pim", None)], true));
        let null = ipv4(103, &[&[0x21, 0, 0x9e, 0xff, 0x40, 0, 0, 0], &INNER[..]].concat());
        assert_eq!(dissect(&null).ip.unwrap().protocol, 103);
        let hello = ipv4(103, &[0x20, 0, 0, 0]);
        assert_eq!(dissect(&hello).ip.unwrap().protocol, 103);
    }
}
