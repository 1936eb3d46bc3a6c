//! B.A.T.M.A.N. advanced, versions 14 and 15: whole frames on their way through a mesh.
//!
//! Not handled: routing packets, network coding, fragments.

use super::bytes::{after, header, tri};
use super::{Claim, Dissector, Step};
use crate::{Dissection, LinkType};

#[derive(Debug)]
pub(super) struct Batman;

impl Dissector for Batman {
    fn name(&self) -> &'static str {
        "batman-adv"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::EtherType(0x4305)]
    }

    fn dissect<'a>(&self, bytes: &'a [u8], _: &mut Dissection<'a>) -> Step<'a> {
        let (&[kind, version], _) = tri!(header::<2>(self.name(), bytes));
        let len = match (version, kind) {
            // Unicast: four bytes and the destination; the second form adds the source.
            (14, 0x03) | (15, 0x40) => 10,
            (15, 0x42) => 18,
            // Broadcast: four bytes, sequence number and originator.
            (14, 0x04) | (15, 0x01) => 14,
            _ => return Step::Payload(bytes),
        };
        Step::Next(Claim::Link(LinkType::ETHERNET), tri!(after(self.name(), bytes, len)))
    }
}

#[cfg(test)]
mod tests {
    use crate::{LinkType, packet::fixture};

    #[test]
    fn frames_are_found_behind_each_header() {
        let mut front = fixture::ETHERNET.to_vec();
        front[12..].copy_from_slice(&[0x43, 0x05]);
        for (kind, version, len) in
            [(0x40, 15, 10), (0x42, 15, 18), (0x01, 15, 14), (0x03, 14, 10), (0x04, 14, 14)]
        {
            let mut mesh = vec![kind, version, 50, 0];
            mesh.resize(len, 0);
            let bytes = fixture::frame(&[&front, &mesh, &fixture::ETHERNET, &fixture::IPV4_UDP]);
            let layers = ["ethernet", "batman-adv", "ethernet", "ipv4", "udp"];
            assert_eq!(fixture::layers(LinkType::ETHERNET, &bytes), layers, "{kind:#x} of {version}");
        }
        let originator = fixture::frame(&[&front, &[0x00, 15, 50, 0], &[0; 20]]);
        assert_eq!(fixture::layers(LinkType::ETHERNET, &originator), ["ethernet", "batman-adv"]);
    }
}
