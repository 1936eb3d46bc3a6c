//! TCP (RFC 9293, section 3.1).

use super::bytes::{after, be16, be32, header, tri, u8_at};
use super::{Claim, Dissector, Step};
use crate::{Dissection, Stop, TcpFlags};

const MIN_HEADER: usize = 20;

#[derive(Debug)]
pub(super) struct Tcp;

impl Dissector for Tcp {
    fn name(&self) -> &'static str {
        "tcp"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::IpProtocol(6)]
    }

    #[inline(always)]
    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        super::udp::ports(bytes, out);
        let (h, _) = tri!(header::<MIN_HEADER>(self.name(), bytes));
        let header_len = usize::from(u8_at(h, 12) >> 4) * 4;
        if header_len < MIN_HEADER {
            return Step::Stop(Stop::Malformed { layer: "tcp", reason: "data offset below 5" });
        }
        out.tcp = Some(facts(h, header_len, out.ip_rest(bytes)));
        let payload = tri!(after(self.name(), bytes, header_len));
        out.enter_transport();
        Step::Payload(payload)
    }
}

/// What the 20 fixed bytes say; `len` is the length of header and payload on the wire.
#[inline]
pub(super) fn facts(h: &[u8; MIN_HEADER], header_len: usize, len: usize) -> crate::Tcp {
    crate::Tcp {
        seq: be32(h, 4),
        ack: be32(h, 8),
        window: be16(h, 14),
        flags: TcpFlags(u8_at(h, 13)),
        payload_len: len.saturating_sub(header_len) as u32,
    }
}
