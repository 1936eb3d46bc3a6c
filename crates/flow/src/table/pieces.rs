//! Packets in pieces: whose they are, and what they say as a whole.
//!
//! Each piece is counted as it comes, to the flow of the first one. What its beginning says is read at once: the rest may
//! never come, as where captures are filtered by ports. What the whole packet says is read when it is there.

use dissect::app::{by_content, by_port};
use dissect::{Dissection, Fragment, Ip, LinkType, Packet, Timestamp};

use super::{FlowTable, observe_packet};
use crate::fragment::payload_around;
use crate::key::{FlowKey, Side};
use crate::ledger::InterfaceId;
use crate::message::Origin;
use crate::tally::Observation;

/// A piece of a packet: its header, its place, and its bytes.
type Piece<'a> = (&'a Ip, Fragment, &'a [u8]);

/// Whether a packet is a piece, or says so.
#[inline]
pub(super) fn is_piece(d: &Dissection<'_>) -> bool {
    let of = |ip: &Option<Ip>| ip.as_ref().is_some_and(|ip| ip.fragment.is_some());
    of(&d.ip) || of(&d.outer)
}

/// The piece that a packet is, or that encloses it.
fn piece<'d>(d: &'d Dissection<'_>, packet: &'d [u8]) -> Option<Piece<'d>> {
    // A packet may say that it is a piece, and be whole (RFC 6946).
    let of = |ip: &Ip| ip.fragment.filter(|fragment| fragment.offset > 0 || fragment.more);
    let (ip, outer) = (d.ip.as_ref()?, d.outer.as_ref());
    if let Some(fragment) = of(ip) {
        return Some((ip, fragment, d.ip_payload()));
    }
    let outer = outer?;
    Some((outer, of(outer)?, payload_around(outer, packet)))
}

impl FlowTable {
    /// Whose the packet is: a later fragment follows its first one, to the flow of the header that was cut up.
    #[inline(always)]
    pub(super) fn flow_of(&mut self, d: &Dissection<'_>, ip: &Ip, at: Timestamp) -> (FlowKey, Side) {
        let whole = |ip: Option<&Ip>| ip.is_none_or(|ip| ip.fragment.is_none());
        if whole(d.ip.as_ref()) && whole(d.outer.as_ref()) {
            return FlowKey::of(ip);
        }
        self.flow_of_fragment(d, ip, at)
    }

    #[inline(never)]
    fn flow_of_fragment(&mut self, d: &Dissection<'_>, ip: &Ip, at: Timestamp) -> (FlowKey, Side) {
        for ip in [d.ip.as_ref(), d.outer.as_ref()].into_iter().flatten() {
            if let Some(fragment) = ip.fragment.filter(|f| f.offset == 0) {
                self.firsts.note(ip, fragment, at, FlowKey::of(ip));
            }
        }
        let known = ip.fragment.filter(|f| f.offset > 0).and_then(|f| self.firsts.flow_of(ip, f, at));
        known.unwrap_or_else(|| FlowKey::of(ip))
    }

    /// Adds a piece; gives the protocol of the message in the packet that it completes, if it is one, else that packet, from
    /// its IP header on.
    #[cold]
    #[inline(never)]
    pub(super) fn observe_piece(
        &mut self,
        packet: &Packet<'_>,
        origin: Origin,
        d: &Dissection<'_>,
    ) -> (Option<&'static str>, Option<Vec<u8>>) {
        let Some(piece) = piece(d, packet.bytes) else {
            let said = d.ip.as_ref().zip(d.app_payload());
            let spoken = said.and_then(|(ip, said)| self.messages.read(origin, ip, d.tcp.as_ref(), said));
            return (spoken, None);
        };
        let whole = self.put_together(d, piece, packet.timestamp);
        let spoken = whole.as_ref().and_then(|whole| self.read_whole(packet, origin, whole));
        (spoken, whole.filter(|_| spoken.is_none()))
    }

    /// Adds a piece; gives the packet that it completes.
    fn put_together(
        &mut self,
        d: &Dissection<'_>,
        (ip, fragment, bytes): Piece<'_>,
        at: Timestamp,
    ) -> Option<Vec<u8>> {
        let (inner, tally, seed) = (d.ip.as_ref()?, &self.tally, &self.options.seed);
        let is_live = self.options.live.is_some();
        let is_wanted = || {
            let (key, side) = FlowKey::of(inner);
            // Live, flows are those of an interface; whether it was told there is not looked up.
            let known = tally.flows.find(key.hash(seed), &key).filter(|_| !is_live);
            let is_heard = |number| tally.flows.get(number).heed.hears(side);
            by_port(inner.protocol, inner.src_port, inner.dst_port).is_some()
                || known.is_none_or(is_heard)
                || is_message(d, inner, bytes)
        };
        self.packets.assemble(ip, fragment, at, bytes, is_wanted)
    }

    /// Reads the message in a packet that was put together, if anybody speaks on its ports.
    fn read_whole(&mut self, packet: &Packet<'_>, origin: Origin, whole: &[u8]) -> Option<&'static str> {
        let d = dissected(packet, whole, self);
        let (ip, said) = (d.ip.as_ref()?, d.app_payload()?);
        self.messages.read(origin, ip, d.tcp.as_ref(), said)
    }

    /// Reads what a packet that was put together says of its flow.
    #[cold]
    #[inline(never)]
    pub(super) fn hear_whole<const LIVE: bool>(
        &mut self,
        packet: &Packet<'_>,
        last: &Dissection<'_>,
        whole: &[u8],
        interface: InterfaceId,
    ) {
        let d = dissected(packet, whole, self);
        let (Some(ip), Some(said)) = (d.ip.as_ref(), d.app_payload()) else { return };
        let is_enclosed = d.outer.is_some() || last.outer.is_some();
        let mut o = Observation::default();
        observe_packet::<LIVE>(&mut o, packet, ip, d.tcp.as_ref(), FlowKey::of(ip), &self.how(interface));
        o.payload = said;
        if is_enclosed || !last.tunnels().is_empty() {
            o.enclose(packet);
        }
        match &mut self.enclosed {
            Some(enclosed) if is_enclosed => enclosed.hear_whole(&o),
            _ if is_enclosed && !self.options.decap => {}
            _ => self.tally.hear_whole(&o),
        }
    }
}

/// Whether a first piece, of the payload `bytes`, begins a message, on whatever ports.
fn is_message(d: &Dissection<'_>, ip: &Ip, bytes: &[u8]) -> bool {
    /// Its protocol number, and the bytes of its header.
    const UDP: (u8, usize) = (17, 8);
    let said = if ip.fragment.is_some() { bytes.get(UDP.1..) } else { d.app_payload() };
    ip.protocol == UDP.0 && said.is_some_and(|said| by_content(ip.src_port, ip.dst_port, said).is_some())
}

/// A packet that was put together, dissected.
fn dissected<'a>(packet: &Packet<'_>, whole: &'a [u8], table: &FlowTable) -> Dissection<'a> {
    let whole = Packet {
        link_type: LinkType::RAW,
        bytes: whole,
        wire_len: whole.len() as u32,
        timestamp: packet.timestamp,
        interface: packet.interface,
        vlan_tci: None,
        direction: packet.direction,
    };
    let mut d = Dissection::start(&whole);
    d.follow(&whole, table.registry);
    d
}
