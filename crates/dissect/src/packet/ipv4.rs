//! IPv4 (RFC 791), options skipped by the header length.

use super::bytes::{after, be16, be32, header, tri, u8_at};
use super::{Claim, Dissector, Step};
use crate::{Dissection, Fragment, Ip, LinkType, Stop};

const MIN_HEADER: usize = 20;
const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;

#[derive(Debug)]
pub(super) struct Ipv4;

impl Dissector for Ipv4 {
    fn name(&self) -> &'static str {
        "ipv4"
    }

    fn claims(&self) -> &'static [Claim] {
        &[
            Claim::EtherType(0x0800),
            Claim::IpProtocol(4),
            Claim::Link(LinkType(228)),
            Claim::AddressFamily(2),
            Claim::LlcSap(0x06),
            Claim::Nlpid(0xcc),
            Claim::PppProtocol(0x0021),
            Claim::PppProtocol(0x0800),
        ]
    }

    #[inline(always)]
    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        let (h, _) = tri!(header::<MIN_HEADER>(self.name(), bytes));
        let malformed = |reason| Step::Stop(Stop::Malformed { layer: "ipv4", reason });
        if u8_at(h, 0) >> 4 != 4 {
            return malformed("version is not 4");
        }
        let header_len = usize::from(u8_at(h, 0) & 15) * 4;
        if header_len < MIN_HEADER {
            return malformed("header length below 20");
        }
        let total = usize::from(be16(h, 2));
        let len = if total == 0 { out.wire_rest(bytes) } else { total };
        if len < header_len {
            return malformed("total length below the header length");
        }
        let ip = facts(h, len, out.offset_of(bytes));
        out.enter_ip(ip);
        let packet = bytes.get(..len).unwrap_or(bytes);
        let rest = tri!(after(self.name(), packet, header_len));
        match ip.fragment {
            Some(f) if f.offset > 0 => Step::Payload(rest),
            _ => Step::Next(Claim::IpProtocol(ip.protocol), rest),
        }
    }
}

/// What the 20 fixed bytes say.
#[inline]
pub(super) fn facts(h: &[u8; MIN_HEADER], len: usize, at: usize) -> Ip {
    let piece = be16(h, 6);
    let (offset, more) = (piece & FRAGMENT_OFFSET, piece & MORE_FRAGMENTS != 0);
    Ip {
        src: u128::from(be32(h, 12)),
        dst: u128::from(be32(h, 16)),
        src_port: 0,
        dst_port: 0,
        bytes: len as u32,
        at: at as u16,
        protocol: u8_at(h, 9),
        version: 4,
        fragment: (offset > 0 || more).then(|| Fragment {
            id: u32::from(be16(h, 4)),
            offset: offset.wrapping_mul(8),
            more,
        }),
    }
}
