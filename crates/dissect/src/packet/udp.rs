//! UDP (RFC 768). What it carries is offered by port, the destination's first.

use super::bytes::{be16, header, tri};
use super::{Claim, Dissector, Step};
use crate::Dissection;

const HEADER: usize = 8;

#[derive(Debug)]
pub(super) struct Udp;

impl Dissector for Udp {
    fn name(&self) -> &'static str {
        "udp"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::IpProtocol(17)]
    }

    #[inline(always)]
    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        let (src, dst) = ports(bytes, out);
        let (h, rest) = tri!(header::<HEADER>(self.name(), bytes));
        // 0 is a jumbogram (RFC 2675, section 4); less than the header is nonsense: both keep the IP length.
        out.enter_transport();
        let payload = usize::from(be16(h, 4)).checked_sub(HEADER).and_then(|len| rest.get(..len));
        Step::Offer([Claim::UdpPort(dst), Claim::UdpPort(src)], payload.unwrap_or(rest))
    }
}

/// Reads source and destination port where the first four bytes were captured, and tells the IP layer.
#[inline]
pub(super) fn ports(bytes: &[u8], out: &mut Dissection<'_>) -> (u16, u16) {
    let (src, dst) = if bytes.len() < 4 { (0, 0) } else { (be16(bytes, 0), be16(bytes, 2)) };
    if let Some(ip) = &mut out.ip {
        (ip.src_port, ip.dst_port) = (src, dst);
    }
    (src, dst)
}
