//! ICMP (RFC 792) and ICMPv6 (RFC 4443).
//!
//! The packet quoted in an error message is not read: it belongs to no flow of its own.

use super::bytes::{header, tri, u8_at};
use super::{Claim, Dissector, Step};
use crate::Dissection;

/// Type, code, checksum.
const HEADER: usize = 4;

#[derive(Debug)]
pub(super) struct Icmp;

impl Dissector for Icmp {
    fn name(&self) -> &'static str {
        "icmp"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::IpProtocol(1)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        message(self.name(), bytes, out)
    }
}

#[derive(Debug)]
pub(super) struct Icmpv6;

impl Dissector for Icmpv6 {
    fn name(&self) -> &'static str {
        "ipv6-icmp"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::IpProtocol(58)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        message(self.name(), bytes, out)
    }
}

fn message<'a>(name: &'static str, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
    let (h, rest) = tri!(header::<HEADER>(name, bytes));
    out.icmp = Some(crate::Icmp { kind: u8_at(h, 0), code: u8_at(h, 1) });
    Step::Payload(rest)
}

#[cfg(test)]
mod tests {
    use crate::packet::ip_fixture::{INNER, dissect, ipv4, ipv6};
    use crate::{Icmp, Stop};

    #[test]
    fn a_quoted_packet_makes_no_flow() {
        let unreachable = ipv4(1, &[&[3, 1, 0, 0, 0, 0, 0, 0], &INNER[..]].concat());
        let d = dissect(&unreachable);
        let ip = d.ip.unwrap();
        assert_eq!((ip.protocol, ip.src_port, ip.dst_port), (1, 0, 0));
        assert_eq!((d.icmp, d.outer, d.app_payload()), (Some(Icmp { kind: 3, code: 1 }), None, None));
    }

    #[test]
    fn icmpv6_and_a_cut_header() {
        let packet = ipv6(58, &[128, 0, 0, 0, 0, 1]);
        assert_eq!(dissect(&packet).icmp, Some(Icmp { kind: 128, code: 0 }));
        let packet = ipv6(58, &[128]);
        assert_eq!(dissect(&packet).stop, Stop::Truncated { layer: "ipv6-icmp", need: 4, have: 1 });
    }
}
