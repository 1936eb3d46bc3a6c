//! UDP-Lite (RFC 3828). Its third field is a checksum coverage: the length is the IP header's.

use super::bytes::{header, tri};
use super::{Claim, Dissector, Step, udp};
use crate::Dissection;

const HEADER: usize = 8;

#[derive(Debug)]
pub(super) struct UdpLite;

impl Dissector for UdpLite {
    fn name(&self) -> &'static str {
        "udplite"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::IpProtocol(136)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        udp::ports(bytes, out);
        let (_, rest) = tri!(header::<HEADER>(self.name(), bytes));
        Step::Payload(rest)
    }
}

#[cfg(test)]
mod tests {
    use crate::packet::ip_fixture::{dissect, ipv4};

    #[test]
    fn coverage_is_no_length() {
        let packet = ipv4(136, b"\0\x07\0\x09\0\x08\0\0payload");
        let d = dissect(&packet);
        let ip = d.ip.unwrap();
        assert_eq!((ip.src_port, ip.dst_port, d.payload), (7, 9, &b"payload"[..]));
    }
}
