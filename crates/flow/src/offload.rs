//! What an interface counts more than a capture sees, because it splits and merges segments itself (TSO, USO, GRO).
//!
//! An estimate: how long the segments on the wire are is the MTU's word, not theirs. Packets that it cannot be told of,
//! which are neither TCP nor UDP, are taken to pass as they are.

use dissect::{Dissection, Ip};

use crate::totals::Frames;

const UDP: u8 = 17;
const UDP_HEADER: u32 = 8;

/// The further packets, and their frames' bytes, that become of a packet of which at most `longest` bytes of IP fit a frame.
pub(crate) fn split(d: &Dissection<'_>, wire_len: u32, longest: u32) -> Frames {
    let Some(inner) = &d.ip else { return Frames::default() };
    let on_wire = d.outer.as_ref().unwrap_or(inner);
    let Some(payload) = payload(d, inner) else { return Frames::default() };
    let headers = on_wire.bytes.saturating_sub(payload);
    if on_wire.bytes <= longest || headers >= longest || payload == 0 {
        return Frames::default();
    }
    let further = u64::from(payload.div_ceil(longest - headers) - 1);
    Frames { packets: further, bytes: further * u64::from(wire_len.saturating_sub(payload)) }
}

/// Bytes of a packet that each of its segments has again.
pub(crate) fn headers(d: &Dissection<'_>, wire_len: u32) -> Option<u32> {
    payload(d, d.ip.as_ref()?).map(|payload| wire_len.saturating_sub(payload))
}

/// Bytes that are divided among segments.
fn payload(d: &Dissection<'_>, ip: &Ip) -> Option<u32> {
    let header = if ip.version == 4 { 20 } else { 40 };
    match &d.tcp {
        Some(tcp) => Some(tcp.payload_len),
        None if ip.protocol == UDP && ip.fragment.is_none() => {
            Some(ip.bytes.saturating_sub(header + UDP_HEADER))
        }
        None => None,
    }
}
