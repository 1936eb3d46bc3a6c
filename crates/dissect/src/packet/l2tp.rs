//! L2TP version 2 (RFC 2661, section 3.1) over UDP, and version 3 (RFC 3931, section 4.1) over UDP or IP.
//!
//! A version 3 session's cookie, sublayer and pseudowire type are agreed in control messages, which are
//! not kept: the carried frame is searched behind each of their lengths and believed when it is IP
//! beyond doubt. Everything else is payload.

use super::bytes::{after, be16, be32, surely_ethernet, surely_ip, tri, u8_at};
use super::{Claim, Dissector, Form, Step};
use crate::Dissection;

const CONTROL: u16 = 0x8000;
const LENGTH: u16 = 0x4000;
const SEQUENCE: u16 = 0x0800;
const OFFSET: u16 = 0x0200;
const VERSION: u16 = 0x000f;
/// Bits that version 2 does not use.
const RESERVED: u16 = 0x34f0;
const TRANSPARENT_ETHERNET: u16 = 0x6558;
/// Cookie of 0, 4 or 8 bytes, then a sublayer of 0 or 4 (RFC 3931, sections 4.1 and 4.6).
const UNTIL_FRAME: [usize; 4] = [0, 4, 8, 12];

#[derive(Debug)]
pub(super) struct L2tp;

impl Dissector for L2tp {
    fn name(&self) -> &'static str {
        "l2tp"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::UdpPort(1701)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        let flags = be16(bytes, 0);
        match flags & VERSION {
            2 | 3 if flags & CONTROL != 0 => Step::Payload(bytes),
            2 if flags & RESERVED == 0 => version_2(flags, bytes, out).unwrap_or(Step::Decline),
            // Flags and version, reserved, session.
            3 if bytes.len() >= 8 => session(be32(bytes, 4), bytes.get(8..).unwrap_or_default(), out),
            _ => Step::Decline,
        }
    }
}

/// The session is the tunnel's id; the tunnel id proper has the other 16 bits.
fn version_2<'a>(flags: u16, bytes: &'a [u8], out: &mut Dissection<'a>) -> Option<Step<'a>> {
    let mut at = if flags & LENGTH != 0 { 4 } else { 2 };
    let id = be32(bytes, at);
    at += if flags & SEQUENCE != 0 { 8 } else { 4 };
    if flags & OFFSET != 0 {
        at += 2 + usize::from(be16(bytes, at));
    }
    let end = if flags & LENGTH != 0 { usize::from(be16(bytes, 2)) } else { bytes.len() };
    let rest = bytes.get(at..end).or_else(|| bytes.get(at..))?;
    out.enter_tunnel(Some(id));
    Some(Step::Next(Claim::Form(Form::Ppp), rest))
}

#[derive(Debug)]
pub(super) struct L2tpIp;

impl Dissector for L2tpIp {
    fn name(&self) -> &'static str {
        "l2tp"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::IpProtocol(115)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
        let rest = tri!(after(self.name(), bytes, 4));
        match be32(bytes, 0) {
            // Session 0 is the control channel (RFC 3931, section 4.1.1.2).
            0 => Step::Payload(rest),
            id => session(id, rest, out),
        }
    }
}

/// What a version 3 session carries.
fn session<'a>(id: u32, rest: &'a [u8], out: &mut Dissection<'a>) -> Step<'a> {
    for at in UNTIL_FRAME {
        let Some(frame) = rest.get(at..) else { break };
        if u8_at(frame, 0) == 0xff && u8_at(frame, 1) == 0x03 && ppp_ip(frame, out) {
            out.enter_tunnel(Some(id));
            return Step::Next(Claim::Form(Form::Ppp), frame);
        }
        if surely_ethernet(frame, out.ip_rest(frame)) {
            out.enter_tunnel(Some(id));
            return Step::Next(Claim::EtherType(TRANSPARENT_ETHERNET), frame);
        }
    }
    Step::Payload(rest)
}

fn ppp_ip(frame: &[u8], out: &Dissection<'_>) -> bool {
    frame.get(4..).is_some_and(|packet| surely_ip(packet, out.ip_rest(packet)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stop;
    use crate::packet::ip_fixture::{INNER, dissect, ethernet, found, ipv4, over_udp};

    #[test]
    fn version_2_leads_to_ppp() {
        let header = [0x4a, 2, 0, 19, 0, 5, 0, 9, 0, 1, 0, 0, 0, 1, 0xee];
        let bytes = over_udp(1701, &[&header[..], b"\xff\x03\0\x21!!"].concat());
        let mut d = dissect(&bytes);
        let step = L2tp.dissect(&bytes[28..], &mut d);
        assert_eq!(step, Step::Next(Claim::Form(Form::Ppp), b"\xff\x03\0\x21"));
    }

    #[test]
    fn control_messages_are_payload() {
        let packet = over_udp(1701, &[0xc8, 2, 0, 12, 0, 0, 0, 0, 0, 1, 0, 0]);
        let d = dissect(&packet);
        assert_eq!((d.ip.unwrap().dst_port, d.app_payload(), d.stop), (1701, None, Stop::Complete));
    }

    #[test]
    fn version_3_frames_are_found_behind_any_cookie() {
        for cookie in [0, 4, 8] {
            let mut carried = vec![0, 0, 0, 77];
            carried.extend(vec![0xcc; cookie]);
            carried.extend(ethernet(0x0800, INNER));
            let packet = ipv4(115, &carried);
            assert_eq!(found(&dissect(&packet)), (vec![("l2tp", Some(77))], true), "cookie of {cookie}");
            let packet = over_udp(1701, &[&[0, 3, 0, 0][..], &carried].concat());
            assert_eq!(found(&dissect(&packet)), (vec![("l2tp", Some(77))], true), "cookie of {cookie}");
        }
    }

    #[test]
    fn a_wrong_checksum_is_not_believed() {
        let mut carried = [&[0, 0, 0, 77][..], &ethernet(0x0800, INNER)].concat();
        carried[4 + 14 + 10] ^= 1;
        let packet = ipv4(115, &carried);
        assert_eq!(dissect(&packet).ip.unwrap().protocol, 115);
    }
}
