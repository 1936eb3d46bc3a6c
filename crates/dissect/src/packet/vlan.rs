//! VLAN tags: 802.1Q, 802.1ad and the older tag types (IEEE 802.1Q, clause 9).

use super::bytes::{be16, header, tri};
use super::{Claim, Dissector, Step, ethernet};
use crate::Dissection;

#[derive(Debug)]
pub(super) struct Vlan;

impl Dissector for Vlan {
    fn name(&self) -> &'static str {
        "vlan"
    }

    fn claims(&self) -> &'static [Claim] {
        &[
            Claim::EtherType(0x8100),
            Claim::EtherType(0x88a8),
            Claim::EtherType(0x9100),
            Claim::EtherType(0x9200),
        ]
    }

    #[inline(always)]
    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (h, rest) = tri!(header::<4>(self.name(), bytes));
        ethernet::type_or_length(be16(h, 2), rest)
    }
}
