//! SCTP (RFC 9260, section 3). Ports only; chunks are payload.

use super::bytes::{header, tri};
use super::{Claim, Dissector, Step, udp};
use crate::Dissection;

const HEADER: usize = 12;

#[derive(Debug)]
pub(super) struct Sctp;

impl Dissector for Sctp {
    fn name(&self) -> &'static str {
        "sctp"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::IpProtocol(132)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        udp::ports(bytes, out);
        let (_, chunks) = tri!(header::<HEADER>(self.name(), bytes));
        Step::Payload(chunks)
    }
}

#[cfg(test)]
mod tests {
    use crate::Stop;
    use crate::packet::ip_fixture::{dissect, ipv4};

    #[test]
    fn ports_are_read_even_of_a_cut_header() {
        let packet = ipv4(132, &[0x0b, 0x59, 0x0b, 0x80, 0, 0]);
        let d = dissect(&packet);
        let ip = d.ip.unwrap();
        assert_eq!((ip.src_port, ip.dst_port), (2905, 2944));
        assert_eq!(d.stop, Stop::Truncated { layer: "sctp", need: 12, have: 6 });
    }
}
