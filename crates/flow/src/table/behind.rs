//! Plain packets behind other headers than those of Ethernet, as tunnels have them.
//!
//! What encloses them matters for few of their facts, so that little of their dissection is needed.

use dissect::Packet;
use dissect::packet::Plain;

use super::{FlowTable, observe_packet};
use crate::key::FlowKey;
use crate::message::Origin;
use crate::tally::Group;

impl FlowTable {
    /// Adds one; an IP header is among those before it if it `is_enclosed`. Somebody may read what it carries if it `is_spoken`.
    #[inline]
    pub(super) fn observe_behind<'a, const LIVE: bool>(
        &mut self,
        packet: &Packet<'a>,
        plain: &Plain<'a>,
        is_spoken: bool,
        is_enclosed: bool,
        origin: Origin,
        group: &mut Group<'a>,
    ) {
        let (ip, tcp) = (&plain.ip, plain.tcp.as_ref());
        let spoken = if is_spoken { self.messages.read(origin, ip, tcp, plain.payload) } else { None };
        let how = self.how(origin.interface);
        let observation = group.place();
        observe_packet::<LIVE>(observation, packet, ip, tcp, FlowKey::of(ip), &how);
        if is_enclosed {
            observation.enclose(packet);
        }
        observation.payload = plain.payload;
        observation.spoken = spoken;
        group.keep_rare();
        self.tell_of_resolvers(origin);
    }
}
