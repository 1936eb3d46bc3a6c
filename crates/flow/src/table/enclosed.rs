//! What is said inside of tunnels where flows are those of the outermost header.
//!
//! A name that a client asks for is told all the same. So the flows inside are followed, for that alone: they are in no
//! account, are never handed on, and no more than [`MOST`] of them are known at once.

use dissect::app::Depth;
use dissect::{Dissection, Packet};

use super::{FlowTable, observe_packet};
use crate::key::FlowKey;
use crate::ledger::InterfaceId;
use crate::tally::{Observation, Tally};

/// Flows inside of tunnels that are known at once; beyond, the longest idle one is forgotten.
const MOST: usize = 65_536;

/// Nothing yet.
pub(super) fn nothing_said() -> Box<Tally> {
    Box::new(Tally::new(MOST, false, Depth::All))
}

impl FlowTable {
    /// Reads what the innermost flow of a packet says, if the packet was counted as the outermost one's.
    pub(super) fn observe_enclosed<'a>(
        &mut self,
        packet: &Packet<'a>,
        d: &Dissection<'a>,
        spoken: Option<&'static str>,
        interface: InterfaceId,
    ) {
        let how = self.how(interface);
        let Some(enclosed) = &mut self.enclosed else { return };
        let Some(ip) = d.ip.as_ref().filter(|ip| ip.fragment.is_none_or(|piece| piece.offset == 0)) else {
            return;
        };
        let mut o = Observation::default();
        observe_packet::<false>(&mut o, packet, ip, d.tcp.as_ref(), FlowKey::of(ip), &how);
        o.payload = d.app_payload().unwrap_or_default();
        o.spoken = spoken;
        o.enclose(packet);
        enclosed.add_alone(&o);
        enclosed.eviction.evicted.clear();
    }
}
