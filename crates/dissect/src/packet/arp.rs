//! ARP and RARP (RFC 826, RFC 903): named, never a flow.

use super::bytes::{header, tri};
use super::{Claim, Dissector, Step};
use crate::Dissection;

macro_rules! resolution {
    ($type:ident, $name:literal, $ether_type:literal) => {
        #[derive(Debug)]
        pub(super) struct $type;

        impl Dissector for $type {
            fn name(&self) -> &'static str {
                $name
            }

            fn claims(&self) -> &'static [Claim] {
                &[Claim::EtherType($ether_type)]
            }

            fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
                Step::Payload(tri!(header::<8>($name, bytes)).1)
            }
        }
    };
}

resolution!(Arp, "arp", 0x0806);
resolution!(Rarp, "rarp", 0x8035);

#[cfg(test)]
mod tests {
    use crate::{LinkType, Stop, packet::fixture};

    #[test]
    fn a_request_is_a_layer_and_no_flow() {
        let mut bytes = fixture::ETHERNET.to_vec();
        bytes[12..].copy_from_slice(&[0x08, 0x06]);
        bytes.extend([0, 1, 8, 0, 6, 4, 0, 1]);
        let d = fixture::dissect(LinkType::ETHERNET, &bytes);
        assert_eq!((d.ip, d.stop), (None, Stop::Complete));
        assert_eq!(fixture::layers(LinkType::ETHERNET, &bytes), ["ethernet", "arp"]);
        let cut = fixture::dissect(LinkType::ETHERNET, &bytes[..20]);
        assert_eq!(cut.stop, Stop::Truncated { layer: "arp", need: 8, have: 6 });
    }
}
