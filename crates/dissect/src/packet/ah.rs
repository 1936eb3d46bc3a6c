//! IP Authentication Header behind IPv4 (RFC 4302); behind IPv6 the extension header walk skips it.
//!
//! Authenticates and hides nothing: the flow's protocol is the one it protects. Nothing is verified.

use super::bytes::{after, header, tri, u8_at};
use super::{Claim, Dissector, Step};
use crate::Dissection;

#[derive(Debug)]
pub(super) struct Ah;

impl Dissector for Ah {
    fn name(&self) -> &'static str {
        "ah"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::IpProtocol(51)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        let (h, _) = tri!(header::<12>(self.name(), bytes));
        let rest = tri!(after(self.name(), bytes, (usize::from(u8_at(h, 1)) + 2) * 4));
        let upper = u8_at(h, 0);
        if let Some(ip) = &mut out.ip {
            ip.protocol = upper;
        }
        Step::Next(Claim::IpProtocol(upper), rest)
    }
}

#[cfg(test)]
mod tests {
    use crate::packet::ip_fixture::{INNER, dissect, ipv4, udp};

    /// AH in transport mode, 12-byte integrity value (RFC 4302, section 2).
    fn header(next: u8) -> Vec<u8> {
        [&[next, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9][..], &[0xaa; 12]].concat()
    }

    #[test]
    fn the_flow_is_of_the_protected_protocol() {
        let packet = ipv4(51, &[header(17), udp(7, b"hi")].concat());
        let d = dissect(&packet);
        let ip = d.ip.unwrap();
        assert_eq!((ip.protocol, ip.dst_port, d.app_payload()), (17, 7, Some(&b"hi"[..])));
    }

    #[test]
    fn tunnel_mode_encloses_an_ip_packet() {
        let packet = ipv4(51, &[header(4), INNER.to_vec()].concat());
        let d = dissect(&packet);
        assert_eq!((d.ip.unwrap().dst_port, d.tunnels()[0].name()), (53, "ipip"));
    }
}
