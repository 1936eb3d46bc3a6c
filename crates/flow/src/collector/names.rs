//! What the ends of flows are called, and which lookup preceded a flow.

use std::net::IpAddr;
use std::sync::Arc;

use dissect::app::{App, End};

use super::Collector;
use crate::attribution::{self, Answer};
use crate::flow::Flow;
use crate::lookup::is_private;
use crate::name::{Called, Cause, Peer};
use crate::record::FlowRecord;

/// Protocols that look names up themselves.
const LOOKUPS: [&str; 4] = ["dns", "mdns", "llmnr", "nbns"];
/// IANA numbers of transports whose flows go to an address that somebody chose: TCP, UDP, SCTP, UDP-Lite.
const CHOSEN: [u8; 4] = [6, 17, 132, 136];

impl Collector {
    /// What one end of a flow is called: as the other one asked for it in the flow, else as it is known otherwise.
    pub(super) fn called(
        &self,
        end: End,
        flow: &Flow,
        app: Option<&Arc<App>>,
        answer: Option<&Answer>,
    ) -> Option<Called> {
        let side = if end == End::Initiator { flow.initiator } else { flow.initiator.other() };
        let asked = app.and_then(|app| app.first_name(end.other())).map(|asked| Called::by_client(&asked));
        let peer = self.peer(flow.key.endpoint(side.other()).addr, answer, end.other());
        asked.or_else(|| self.names.of(flow.key.endpoint(side).addr, peer, flow.first))
    }

    /// Who may have been told the name of the other end: the one at `end`, with all addresses that are certainly its host's.
    fn peer(&self, addr: IpAddr, answer: Option<&Answer>, end: End) -> Peer<'_> {
        let own = self.live.as_ref().map(|live| &*live.config.own).filter(|own| own.contains(&addr));
        let others = own.unwrap_or_else(|| self.neighbours.of_same_host(addr));
        Peer { addr, is_host: is_process_of_host(answer, end), others }
    }

    /// The lookup that preceded a flow, or that none did.
    pub(super) fn cause(&self, record: &FlowRecord, flow: &Flow, answer: Option<&Answer>) -> Cause {
        let addr = record.destination.addr;
        let is_lookup = record.app_protocol().is_some_and(|(protocol, _)| LOOKUPS.contains(&protocol));
        if is_lookup || is_for_many(addr) {
            return Cause::Unknown;
        }
        let asked = record.asked_name(End::Initiator);
        let peer = self.peer(record.source.addr, answer, End::Initiator);
        let cause = self.names.cause(addr, peer, flow.first, asked.as_ref().map(|asked| &*asked.name));
        // Neighbours are known without a lookup, and what began before the capture may have been looked up before it.
        let began_here = record.tcp.as_ref().is_none_or(|tcp| tcp.history.starts_with('S'));
        let says_something =
            CHOSEN.contains(&record.protocol) && began_here && !is_private(addr) && !addr.is_unspecified();
        if cause == Cause::NoneSeen && !says_something { Cause::Unknown } else { cause }
    }
}

/// Whether the process at one end lives on this very host, and in no container.
fn is_process_of_host(answer: Option<&Answer>, end: End) -> bool {
    let Some(Answer::Owner(attributed)) = answer else { return false };
    let owned = match attributed.end {
        attribution::End::Source => End::Initiator,
        attribution::End::Destination => End::Responder,
    };
    let owner = if owned == end { Some(&attributed.owner) } else { attributed.peer.as_ref() };
    owner.is_some_and(|owner| owner.container.is_none())
}

/// Multicast, or IPv4's broadcast.
fn is_for_many(addr: IpAddr) -> bool {
    addr.is_multicast() || matches!(addr, IpAddr::V4(addr) if addr.is_broadcast())
}
