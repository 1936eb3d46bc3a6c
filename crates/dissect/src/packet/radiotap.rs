//! Radiotap (<https://www.radiotap.org>): skipped by its length; one flag says how the IEEE 802.11
//! header behind it is padded.

use super::bytes::{after, header, le16, le32, tri, u8_at};
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType};

/// Present bits: time stamp (8 bytes, aligned), flags (1 byte), another word of present bits.
const TSFT: u32 = 1 << 0;
const FLAGS: u32 = 1 << 1;
const MORE: u32 = 1 << 31;
/// In the flags: padding between the IEEE 802.11 header and its payload.
const DATA_PAD: u8 = 0x20;

#[derive(Debug)]
pub(super) struct Radiotap;

impl Dissector for Radiotap {
    fn name(&self) -> &'static str {
        "radiotap"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(127))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, _) = tri!(header::<8>(self.name(), bytes));
        let rest = tri!(after(self.name(), bytes, usize::from(le16(h, 2))));
        let form = if padded(bytes) { Form::WlanPadded } else { Form::Wlan };
        Step::Next(Claim::Form(form), rest)
    }
}

/// Whether the flags field is there and says that data is padded.
fn padded(bytes: &[u8]) -> bool {
    let present = le32(bytes, 4);
    if present & FLAGS == 0 {
        return false;
    }
    let words = (4..bytes.len()).step_by(4).take_while(|&at| le32(bytes, at) & MORE != 0).count();
    let fields = 8 + words * 4;
    let at = if present & TSFT == 0 { fields } else { fields.next_multiple_of(8) + 8 };
    u8_at(bytes, at) & DATA_PAD != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::fixture;

    #[test]
    fn padding_is_skipped_where_the_flags_say_so() {
        let qos = [&[0x88, 0x01][..], &[0; 24]].concat();
        let snap = [0xaa, 0xaa, 0x03, 0, 0, 0, 8, 0];
        let plain = [0, 0, 9, 0, 0x02, 0, 0, 0, 0x00];
        let bytes = fixture::frame(&[&plain, &qos, &snap, &fixture::IPV4_UDP]);
        let layers = fixture::layers(LinkType(127), &bytes);
        assert_eq!(layers, ["radiotap", "wlan", "llc", "snap", "ipv4", "udp"]);
        // Two words of present bits, a time stamp aligned to 8 bytes, then the flags.
        let mut stamped = vec![0, 0, 25, 0, 0x03, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0];
        stamped.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x20]);
        let bytes = fixture::frame(&[&stamped, &qos, &[0, 0], &snap, &fixture::IPV4_UDP]);
        let layers = fixture::layers(LinkType(127), &bytes);
        assert_eq!(layers, ["radiotap", "wlan-padded", "llc", "snap", "ipv4", "udp"]);
    }
}
