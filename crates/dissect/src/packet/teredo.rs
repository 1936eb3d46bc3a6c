//! Teredo: IPv6 over UDP through NATs (RFC 4380, section 5.1.1).
//!
//! Peers that talk to each other on other ports than the server's are not recognised.

use super::bytes::{be16, surely_ip, u8_at};
use super::{Claim, Dissector, Step};
use crate::Dissection;

const AUTHENTICATION: u16 = 0x0001;
const ORIGIN: u16 = 0x0000;
const ORIGIN_LEN: usize = 8;
const IPV6: u16 = 0x86dd;

#[derive(Debug)]
pub(super) struct Teredo;

impl Dissector for Teredo {
    fn name(&self) -> &'static str {
        "teredo"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::UdpPort(3544)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        match carried(bytes) {
            Some(packet) if u8_at(packet, 0) >> 4 == 6 && surely_ip(packet, out.ip_rest(packet)) => {
                out.enter_tunnel(None);
                Step::Next(Claim::EtherType(IPV6), packet)
            }
            _ => Step::Decline,
        }
    }
}

/// What follows the two optional indications, the authentication first.
fn carried(mut bytes: &[u8]) -> Option<&[u8]> {
    if be16(bytes, 0) == AUTHENTICATION {
        // Client identifier, authentication value, nonce of 8 bytes, confirmation byte.
        let len = 4 + usize::from(u8_at(bytes, 2)) + usize::from(u8_at(bytes, 3)) + 9;
        bytes = bytes.get(len..)?;
    }
    if be16(bytes, 0) == ORIGIN {
        bytes = bytes.get(ORIGIN_LEN..)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use crate::packet::ip_fixture::{dissect, ipv6, over_udp, udp};

    #[test]
    fn both_indications_are_skipped() {
        let inner = ipv6(17, &udp(53, b"inner"));
        let mut message = vec![0, 1, 2, 1, 0xaa, 0xaa, 0xbb, 0, 0, 0, 0, 0, 0, 0, 1, 0];
        message.extend([0, 0, 0x9c, 0x40, 0x3f, 0xff, 0xfd, 0xfd]);
        message.extend(&inner);
        for message in [&message, &inner] {
            let packet = over_udp(3544, message);
            let d = dissect(&packet);
            assert_eq!((d.tunnels()[0].name(), d.ip.unwrap().dst_port), ("teredo", 53));
        }
    }

    #[test]
    fn anything_else_is_declined() {
        let packet = over_udp(3544, &[b'a'; 60]);
        let d = dissect(&packet);
        assert_eq!((d.ip.unwrap().dst_port, d.app_payload().map(<[u8]>::len)), (3544, Some(60)));
    }
}
