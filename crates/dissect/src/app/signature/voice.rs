//! Media and the ways that they find.

use super::{BOTH, Bytes, Heard, Port, Signature, Tells, UDP, span};

pub(super) const ALL: &[Signature] = &[
    // RFC 8489, section 5: two zero bits, a length of whole words, the magic cookie; RFC 3489 has no cookie. A request of
    // method 0 is reserved (section 18.2): what is all zeros is not looked at.
    Signature::new("stun", BOTH, &[Port::Udp(3478), Port::Tcp(3478)], b"\0", stun)
        .then(&span::<255>(1))
        .at_least(20),
    Signature::new("stun", BOTH, &[], b"\x01\x02\x03", stun).at_least(20),
    // RFC 6189, section 5: a fixed word and a cookie.
    Signature::new("zrtp", UDP, &[], b"\x10", |h| Tells::when(h.bytes.has(4, b"ZRTP"))),
    // RFC 3550, section 6: version 2, types from 200 on, lengths that fill the datagram.
    Signature::new("rtcp", UDP, &[Port::Udp(5005)], &span::<64>(0x80), rtcp),
    // RFC 3550, section 5.1: version 2; two datagrams of one source, one behind the other.
    Signature::new("rtp", UDP, &[Port::Udp(5004)], &span::<64>(0x80), rtp),
];

fn stun(h: Heard<'_>) -> Tells {
    let (Some(kind), Some(len)) = (h.bytes.be16(0), h.bytes.be16(2)) else { return Tells::No };
    if len % 4 != 0 || kind & 0xc000 != 0 {
        return Tells::No;
    }
    if h.bytes.has(4, b"\x21\x12\xa4\x42") {
        return Tells::when(len + 20 >= h.bytes.len() || h.opening.is_tcp());
    }
    // The protocol before: binding and shared secret, by requests, responses and errors.
    let is_old = matches!(kind, 1 | 2 | 0x101 | 0x102 | 0x111 | 0x112) && len + 20 == h.bytes.len();
    let is_filled = len == 0
        || h.bytes.be16(20).is_some_and(|kind| !(0x30..0x8000).contains(&kind))
            && h.bytes.be16(22).is_some_and(|size| size + 4 <= len);
    Tells::when(!h.opening.is_tcp() && is_old && is_filled && (len > 0 || h.on(&[3478, 3479, 19302])))
}

/// Where the first packet of a compound ends, if it is one.
fn report(bytes: Bytes<'_>, at: usize) -> Option<usize> {
    let is_version = bytes.u8(at)? >> 6 == 2;
    let is_kind = (200..=207).contains(&bytes.u8(at + 1)?);
    Some(at + 4 * (bytes.be16(at + 2)? + 1)).filter(|_| is_version && is_kind)
}

fn rtcp(h: Heard<'_>) -> Tells {
    let (mut at, mut count) = (0, 0);
    while let Some(end) = report(h.bytes, at).filter(|&end| end <= h.bytes.len()) {
        (at, count) = (end, count + 1);
    }
    if count == 0 || h.bytes.len() < 8 {
        return Tells::No;
    }
    // All of it is reports, or what follows the first one is encrypted (RFC 3711, section 3.4): then the source repeats.
    let source = h.bytes.be32(4);
    let repeats =
        h.said.datagrams().skip(1).map(Bytes).any(|next| report(next, 0).is_some() && next.be32(4) == source);
    match at == h.bytes.len() || repeats {
        true => Tells::Yes,
        false if matches!(h.bytes.u8(1), Some(200 | 201)) && h.said.datagrams().count() < 4 => Tells::More,
        false => Tells::No,
    }
}

fn rtp(h: Heard<'_>) -> Tells {
    let is_media = |bytes: Bytes<'_>| {
        let csrc = usize::from(bytes.u8(0).unwrap_or(0) & 0x0f);
        let kind = bytes.u8(1).unwrap_or(0) & 0x7f;
        // Kinds from 72 to 76 would be RTCP's (section 12.1); those from 35 to 71 are not assigned.
        bytes.u8(0).is_some_and(|first| first >> 6 == 2)
            && (kind <= 34 || kind >= 96)
            && bytes.len() > 12 + 4 * csrc
    };
    if !is_media(h.bytes) {
        return Tells::No;
    }
    let mut count = 0;
    let mut last = h.bytes;
    for next in h.said.datagrams().skip(1).map(Bytes) {
        let step = next.be16(2).unwrap_or(0).wrapping_sub(last.be16(2).unwrap_or(0)) & 0xffff;
        if !is_media(next) || next.be32(8) != h.bytes.be32(8) || step > 16 && step < 0xfff0 {
            // Others' datagrams may stand between those of a source; not many.
            count += 1;
            if count > 3 {
                return Tells::No;
            }
            continue;
        }
        if (1..=4).contains(&step) {
            return Tells::Yes;
        }
        last = next;
    }
    if h.said.datagrams().count() < 8 { Tells::More } else { Tells::No }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{AppDissector, Opening, Reading, Said};

    /// What the signatures here say of an initiator's datagrams.
    fn told(datagrams: &[&[u8]]) -> Vec<(&'static str, bool)> {
        let ends: Vec<u32> = datagrams
            .iter()
            .scan(0, |end, datagram| {
                *end += datagram.len() as u32;
                Some(*end)
            })
            .collect();
        let bytes = datagrams.concat();
        let initiator = Said::datagrams_of(&bytes, &ends);
        let opening = Opening { transport: 17, ports: [40000, 50001], initiator, ..Opening::default() };
        let readings = ALL.iter().map(|signature| (signature.name, signature.dissect(&opening)));
        let known = readings.filter(|(_, reading)| *reading != Reading::NotMine);
        known.map(|(name, reading)| (name, matches!(reading, Reading::Is(_)))).collect()
    }

    fn media(number: u8, source: u8) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[..12].copy_from_slice(&[0x80, 0x60, 0, number, 0, 0, 0, 160, 1, 2, 3, source]);
        bytes
    }

    /// RFC 3550, section 5.1.
    #[test]
    fn media_is_told_by_two_datagrams_of_one_source() {
        assert_eq!(told(&[&media(7, 1)]), [("rtp", false)]);
        assert_eq!(told(&[&media(7, 1), &media(8, 1)]), [("rtp", true)]);
        assert_eq!(told(&[&media(7, 1), &media(8, 2)]), [("rtp", false)]);
        assert_eq!(told(&[&media(7, 1), &media(1, 2), &media(2, 3), &media(3, 4), &media(4, 5)]), []);
        assert_eq!(told(&[&media(7, 1)[..12]]), [], "nothing follows the header");
    }

    /// Encrypted reports, as a browser sent them (RFC 3711, section 3.4).
    #[test]
    fn encrypted_reports_are_told_by_their_source() {
        let report = [
            0x81, 0xc9, 0, 7, 0x00, 0x16, 0x2f, 0xfd, 0x53, 0x71, 0x09, 0x59, 0x2c, 0xf0, 0x65, 0xd5, 0x72,
            0xdb, 0x9a, 0xc1, 0x19, 0x58, 0x46, 0x3c, 0x64, 0x01, 0x47, 0x1f, 0xf8, 0xb3, 0x5b, 0xcb, 0xfa,
            0x66, 0xe0, 0xfe, 0x12,
        ];
        assert_eq!(told(&[&report]), [("rtcp", false)]);
        assert_eq!(told(&[&report, &report]), [("rtcp", true)]);
    }
}
