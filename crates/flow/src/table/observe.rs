//! What a packet's headers add to its flow, written down for the tally.

use dissect::packet::{Plain, Registry, Take};
use dissect::{Ip, Packet, Tcp, Timestamp};

use crate::key::{FlowKey, Seed, Side};
use crate::ledger::InterfaceId;
use crate::tally::Observation;
use crate::tcp::Segment;

/// What all packets of an interface have in common.
pub(super) struct How {
    pub(super) registry: &'static Registry,
    pub(super) seed: Seed,
    pub(super) interface: InterfaceId,
}

/// Writes down a plain packet of Ethernet, but for its direction; gives whether somebody may read its payload. `None` if it
/// is not plain.
///
/// By itself it has registers enough; within the loop over packets it would keep half of its values in memory. All that it
/// is given comes in registers.
#[inline(never)]
pub(super) fn observe_plain<'a, const LIVE: bool>(
    bytes: &'a [u8],
    at: Timestamp,
    frame_bytes: u32,
    how: &How,
    observation: &mut Observation<'a>,
) -> Option<bool> {
    (observation.at, observation.frame_bytes) = (at, frame_bytes);
    Plain::read_ethernet(bytes, how.registry, Count::<LIVE> { bytes, how, observation })
}

/// Where a plain packet is written down.
struct Count<'t, 'a, const LIVE: bool> {
    bytes: &'a [u8],
    how: &'t How,
    observation: &'t mut Observation<'a>,
}

impl<'a, const LIVE: bool> Take<'a> for Count<'_, 'a, LIVE> {
    type Out = bool;

    #[inline(always)]
    fn take(self, plain: Plain<'a>, is_spoken: bool) -> bool {
        let (ip, tcp) = (&plain.ip, plain.tcp.as_ref());
        observe::<LIVE>(self.observation, self.bytes, ip, tcp, FlowKey::of(ip), self.how);
        self.observation.payload = plain.payload;
        is_spoken
    }
}

/// Writes down what every packet's headers add to its flow.
#[inline(always)]
fn observe<'a, const LIVE: bool>(
    o: &mut Observation<'a>,
    bytes: &'a [u8],
    ip: &Ip,
    tcp: Option<&Tcp>,
    (mut key, side): (FlowKey, Side),
    how: &How,
) {
    if LIVE {
        key = key.on(how.interface.0);
        (o.bytes, o.ip_at, o.ack) = (bytes, ip.at, tcp.map_or(0, |tcp| tcp.ack));
    }
    match tcp {
        Some(tcp) => o.segment = Segment::of(tcp),
        None => o.segment.clear(),
    }
    o.key = key;
    o.hash = key.hash(&how.seed);
    o.ip_bytes = ip.bytes;
    o.interface = how.interface.0;
    o.side = side;
}

/// The same, and what is known of the packet from its capture.
pub(super) fn observe_packet<'a, const LIVE: bool>(
    o: &mut Observation<'a>,
    packet: &Packet<'a>,
    ip: &Ip,
    tcp: Option<&Tcp>,
    flow: (FlowKey, Side),
    how: &How,
) {
    observe::<LIVE>(o, packet.bytes, ip, tcp, flow, how);
    (o.at, o.frame_bytes) = (packet.timestamp, packet.wire_len);
    o.note_direction(packet.direction);
}
