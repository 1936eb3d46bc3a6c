//! AYIYA: anything in anything (draft-massar-v6ops-ayiya-02), over UDP.
//!
//! The signature is not verified.

use super::bytes::u8_at;
use super::{Claim, Dissector, Step};
use crate::Dissection;

/// Identity length, signature length, operation, next header, epoch time.
const HEADER: usize = 8;
/// The next headers that make a tunnel; a transport header would have no addresses of its own.
const IPV4: u8 = 4;
const IPV6: u8 = 41;
/// The operation "forward": what follows is the tunnelled packet.
const FORWARD: u8 = 1;

#[derive(Debug)]
pub(super) struct Ayiya;

impl Dissector for Ayiya {
    fn name(&self) -> &'static str {
        "ayiya"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::UdpPort(5072)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        let identity = 1usize << (u8_at(bytes, 0) >> 4);
        let signature = usize::from(u8_at(bytes, 1) >> 4) * 4;
        let operation = u8_at(bytes, 2) & 15;
        match bytes.get(HEADER + identity + signature..) {
            Some(rest) if operation == FORWARD && matches!(u8_at(bytes, 3), IPV4 | IPV6) => {
                out.enter_tunnel(None);
                Step::Next(Claim::IpProtocol(u8_at(bytes, 3)), rest)
            }
            _ => Step::Decline,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::packet::ip_fixture::{INNER, dissect, found, over_udp};

    /// 16-byte identity of type integer, 20-byte SHA-1 signature, shared secret (draft, section 3).
    fn packet(operation: u8) -> Vec<u8> {
        let mut header = vec![0x41, 0x52, 0x10 | operation, 4, 0x4a, 0x7d, 0x41, 0x3a];
        header.extend([0xab; 36]);
        header.extend(INNER);
        over_udp(5072, &header)
    }

    #[test]
    fn a_forwarded_packet_is_the_flow() {
        assert_eq!(found(&dissect(&packet(1))), (vec![("ayiya", None)], true));
    }

    #[test]
    fn other_operations_carry_no_packet() {
        let packet = packet(0);
        let d = dissect(&packet);
        assert_eq!((found(&d).0, d.ip.unwrap().dst_port), (vec![], 5072));
    }
}
