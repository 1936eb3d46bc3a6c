//! Older headers before an IEEE 802.11 frame: Prism, and AVS, which stands under Prism's link type too.

use super::bytes::{after, be32, header, le32, tri};
use super::{Claim, Dissector, Form, Step};
use crate::{Dissection, LinkType};

/// AVS versions 1 and 2, big-endian.
const AVS_MAGIC: [u32; 2] = [0x8021_1001, 0x8021_1002];
/// A Prism header is as long as this, unless it says otherwise.
const PRISM_LEN: u32 = 144;

#[derive(Debug)]
pub(super) struct WlanMonitor;

impl Dissector for WlanMonitor {
    fn name(&self) -> &'static str {
        "wlan-monitor"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Link(LinkType(119)), Claim::Link(LinkType(163))]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, _) = tri!(header::<8>(self.name(), bytes));
        let len = if AVS_MAGIC.contains(&be32(h, 0)) {
            be32(h, 4)
        } else {
            // In the byte order of the host: the sane one of the two.
            match be32(h, 4).min(le32(h, 4)) {
                0 => PRISM_LEN,
                len => len,
            }
        };
        Step::Next(Claim::Form(Form::Wlan), tri!(after(self.name(), bytes, len as usize)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::fixture;

    #[test]
    fn both_headers_are_skipped_by_their_length() {
        let data = [&[0x08, 0x01][..], &[0; 22], &[0xaa, 0xaa, 0x03, 0, 0, 0, 8, 0]].concat();
        let layers = ["wlan-monitor", "wlan", "llc", "snap", "ipv4", "udp"];
        let mut prism = vec![0x44, 0, 0, 0, 144, 0, 0, 0];
        prism.resize(144, 0);
        let bytes = fixture::frame(&[&prism, &data, &fixture::IPV4_UDP]);
        assert_eq!(fixture::layers(LinkType(119), &bytes), layers);
        let mut avs = vec![0x80, 0x21, 0x10, 0x01, 0, 0, 0, 64];
        avs.resize(64, 0);
        let bytes = fixture::frame(&[&avs, &data, &fixture::IPV4_UDP]);
        for link_type in [119, 163] {
            assert_eq!(fixture::layers(LinkType(link_type), &bytes), layers);
        }
    }
}
