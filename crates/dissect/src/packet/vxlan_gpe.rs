//! VXLAN generic protocol extension (draft-ietf-nvo3-vxlan-gpe, section 3).

use super::bytes::{be32, u8_at};
use super::{Claim, Dissector, Step};
use crate::Dissection;

const HEADER: usize = 8;
/// Flags: version, and whether the next protocol field counts.
const VERSION: u8 = 0x30;
const NEXT_PROTOCOL: u8 = 0x04;

#[derive(Debug)]
pub(super) struct VxlanGpe;

impl Dissector for VxlanGpe {
    fn name(&self) -> &'static str {
        "vxlan-gpe"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::UdpPort(4790)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        let (flags, next) = (u8_at(bytes, 0), u8_at(bytes, 3));
        let ether_type = match next {
            _ if flags & NEXT_PROTOCOL == 0 => 0x6558,
            1 => 0x0800,
            2 => 0x86dd,
            3 => 0x6558,
            4 => 0x894f,
            5 => 0x8847,
            _ => return Step::Decline,
        };
        match bytes.get(HEADER..) {
            Some(rest) if flags & VERSION == 0 => {
                out.enter_tunnel(Some(be32(bytes, 4) >> 8));
                Step::Next(Claim::EtherType(ether_type), rest)
            }
            _ => Step::Decline,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::packet::ip_fixture::{INNER, dissect, ethernet, found, over_udp};

    #[test]
    fn the_next_protocol_counts_when_its_flag_is_set() {
        let ip = over_udp(4790, &[&[0x0c, 0, 0, 1, 0, 0, 42, 0][..], INNER].concat());
        assert_eq!(found(&dissect(&ip)), (vec![("vxlan-gpe", Some(42))], true));
        let frame = ethernet(0x0800, INNER);
        let plain = over_udp(4790, &[&[0x08, 0, 0, 1, 0, 0, 42, 0][..], &frame].concat());
        assert_eq!(found(&dissect(&plain)), (vec![("vxlan-gpe", Some(42))], true));
    }
}
