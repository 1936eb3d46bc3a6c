//! Geneve (RFC 8926, section 3). Options are skipped.

use super::bytes::{be16, be32, u8_at};
use super::{Claim, Dissector, Step};
use crate::Dissection;

const HEADER: usize = 8;
/// Option length, in 4-byte units, beside the version.
const OPTION_LENGTH: u8 = 0x3f;

#[derive(Debug)]
pub(super) struct Geneve;

impl Dissector for Geneve {
    fn name(&self) -> &'static str {
        "geneve"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::UdpPort(6081)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        let first = u8_at(bytes, 0);
        let options = usize::from(first & OPTION_LENGTH) * 4;
        match bytes.get(HEADER + options..) {
            Some(rest) if first & !OPTION_LENGTH == 0 => {
                out.enter_tunnel(Some(be32(bytes, 4) >> 8));
                Step::Next(Claim::EtherType(be16(bytes, 2)), rest)
            }
            _ => Step::Decline,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::packet::ip_fixture::{INNER, dissect, ethernet, found, over_udp};

    #[test]
    fn options_are_skipped() {
        let header = [1, 0, 0x65, 0x58, 0, 0, 42, 0, 1, 2, 3, 0];
        let packet = over_udp(6081, &[&header[..], &ethernet(0x0800, INNER)].concat());
        assert_eq!(found(&dissect(&packet)), (vec![("geneve", Some(42))], true));
    }

    #[test]
    fn another_version_is_declined() {
        let packet = over_udp(6081, &[&[0x40, 0, 8, 0, 0, 0, 42, 0][..], INNER].concat());
        let d = dissect(&packet);
        assert_eq!((d.app_payload().map(<[u8]>::len), d.ip.unwrap().dst_port), (Some(41), 6081));
    }
}
