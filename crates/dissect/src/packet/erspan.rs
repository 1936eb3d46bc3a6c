//! ERSPAN types II and III: mirrored frames in GRE (draft-foschiano-erspan-03, sections 4.2 and 4.3).
//!
//! Type I has no header of its own; GRE without sequence numbers is how it is told, so GRE does that.

use super::bytes::{after, be16, be32, header, tri, u8_at};
use super::{Claim, Dissector, Step};
use crate::{Dissection, Stop};

/// GRE protocol types of II and III.
pub(super) const TYPE_II: u16 = 0x88be;
const TYPE_III: u16 = 0x22eb;
/// Length of the headers, and of III's optional platform-specific one.
const II: usize = 8;
const III: usize = 12;
const PLATFORM: usize = 8;
const SESSION: u16 = 0x03ff;
/// In III's last 16 bits: the frame type, and whether the platform-specific header is there.
const FRAME_TYPE: u32 = 0x7c00;
const FRAME_TYPE_IP: u32 = 0x0800;
const OPTIONAL: u32 = 1;
const TRANSPARENT_ETHERNET: u16 = 0x6558;

#[derive(Debug)]
pub(super) struct Erspan;

impl Dissector for Erspan {
    fn name(&self) -> &'static str {
        "erspan"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::EtherType(TYPE_II), Claim::EtherType(TYPE_III)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<II>(self.name(), bytes));
        out.enter_tunnel(Some(u32::from(be16(h, 2) & SESSION)));
        let ethernet = Claim::EtherType(TRANSPARENT_ETHERNET);
        match u8_at(h, 0) >> 4 {
            1 => Step::Next(ethernet, rest),
            2 => {
                let last = be32(bytes, 8);
                let platform = if last & OPTIONAL != 0 { PLATFORM } else { 0 };
                let rest = tri!(after(self.name(), bytes, III + platform));
                let ip = super::bytes::ip_by_version(rest).filter(|_| last & FRAME_TYPE == FRAME_TYPE_IP);
                Step::Next(ip.unwrap_or(ethernet), rest)
            }
            _ => Step::Stop(Stop::Malformed { layer: "erspan", reason: "version is neither 1 nor 2" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::packet::ip_fixture::{INNER, dissect, ethernet, found, ipv4};

    fn over_gre(header: &[u8], frame: &[u8]) -> Vec<u8> {
        ipv4(47, &[header, frame].concat())
    }

    #[test]
    fn type_ii_carries_a_frame() {
        let gre = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 5];
        let header = [0x10, 0x0a, 0x00, 0x2b, 0, 0, 0, 1];
        let packet = over_gre(&[gre, header].concat(), &ethernet(0x0800, INNER));
        assert_eq!(found(&dissect(&packet)), (vec![("gre", None), ("erspan", Some(43))], true));
    }

    #[test]
    fn type_i_is_a_bare_frame() {
        let packet = over_gre(&[0, 0, 0x88, 0xbe], &ethernet(0x0800, INNER));
        assert_eq!(found(&dissect(&packet)), (vec![("gre", None)], true));
    }

    #[test]
    fn type_iii_may_have_a_platform_header_and_carry_ip() {
        let gre = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 5];
        let mut header = gre.to_vec();
        header.extend([0x20, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 1]);
        header.extend([0; 8]);
        let packet = over_gre(&header, &ethernet(0x0800, INNER));
        assert_eq!(found(&dissect(&packet)), (vec![("gre", None), ("erspan", Some(7))], true));
        let mut header = gre.to_vec();
        header.extend([0x20, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0x08, 0]);
        let packet = over_gre(&header, INNER);
        assert_eq!(found(&dissect(&packet)), (vec![("gre", None), ("erspan", Some(7))], true));
    }
}
