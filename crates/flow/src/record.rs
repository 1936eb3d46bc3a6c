//! One flow with all its facts, as views show it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dissect::app::{App, By, End, protocol_by_port};
use dissect::packet::Registry;
use dissect::{Dissection, Endpoint, FiveTuple, Icmp, LinkType, Mac, Packet, Timestamp};

use crate::attribution::Answer;
use crate::counters::Counters;
use crate::encrypted::EncryptedDns;
use crate::flow::{Flow, span};
use crate::key::Side;
use crate::name::{Called, Cause};
use crate::pace::Pace;

/// One header that encloses a flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TunnelHeader {
    /// Its protocol.
    pub kind: &'static str,
    /// The number it carries: VNI, key, TEID, session.
    pub id: Option<u32>,
    /// Who sends it; `None` where no IP header carries it.
    pub source: Option<IpAddr>,
    /// To whom.
    pub destination: Option<IpAddr>,
}

/// Which way a flow goes, seen from the local networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FlowDirection {
    /// A local initiator, a remote responder.
    Outbound,
    /// A remote initiator, a local responder.
    Inbound,
    /// Both local.
    Internal,
    /// Neither.
    Forwarded,
}

impl FlowDirection {
    /// The ECS word (`network.direction`).
    pub fn name(self) -> &'static str {
        match self {
            FlowDirection::Outbound => "outbound",
            FlowDirection::Inbound => "inbound",
            FlowDirection::Internal => "internal",
            FlowDirection::Forwarded => "forwarded",
        }
    }
}

/// What the TCP headers told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpRecord {
    /// How it stands, as Zeek's `conn_state`.
    pub state: &'static str,
    /// What happened, as Zeek's `history`.
    pub history: String,
    /// Round-trip time of the handshake.
    pub rtt: Option<Duration>,
    /// Segments sent again, by both sides.
    pub retransmits: u64,
}

/// One flow with all its facts.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowRecord {
    /// IANA protocol number.
    pub protocol: u8,
    /// 4 or 6.
    pub ip_version: u8,
    /// The initiator: sender of the first packet.
    pub source: Endpoint,
    /// The responder.
    pub destination: Endpoint,
    /// What the initiator sent.
    pub sent: Counters,
    /// What the responder sent.
    pub received: Counters,
    /// First packet; [`Timestamp::UNKNOWN`] if none has a time.
    pub first: Timestamp,
    /// Last packet, likewise.
    pub last: Timestamp,
    /// Type and code of the first message, for ICMP and ICMPv6.
    pub icmp: Option<Icmp>,
    /// For TCP.
    pub tcp: Option<TcpRecord>,
    /// Enclosing headers, outermost first.
    pub tunnels: Box<[TunnelHeader]>,
    /// What its first bytes said; `None` where nobody knows them.
    pub app: Option<Arc<App>>,
    /// The interface that saw its first packet, where it has a name.
    pub interface: Option<Arc<str>>,
    /// Which way it goes, where that is known.
    pub direction: Option<FlowDirection>,
    /// What the initiator is called.
    pub source_name: Option<Called>,
    /// What the responder is called.
    pub destination_name: Option<Called>,
    /// The initiator's link-layer address, if it told one here.
    pub source_mac: Option<Mac>,
    /// The responder's.
    pub destination_mac: Option<Mac>,
    /// The lookup that preceded it.
    pub cause: Cause,
    /// What is known of it if it is of encrypted lookups itself.
    pub encrypted_dns: Option<EncryptedDns>,
    /// Who owns it, or why nobody does; `None` for captures, and until somebody has answered.
    pub owner: Option<Answer>,
    /// The interfaces that its packets passed, in the order in which they first did; empty for captures.
    pub path: Vec<Arc<str>>,
    /// The program's own lookup of names: hidden from reports.
    pub own_lookup: bool,
    /// Source and destination beyond a translation of addresses, where the kernel tells of one.
    pub nat: Option<(Endpoint, Endpoint)>,
    /// How fast it has been lately; live only.
    pub pace: Option<Pace>,
}

impl FlowRecord {
    /// What both sides sent.
    pub fn total(&self) -> Counters {
        self.sent + self.received
    }

    /// Whether any of its packets had a time.
    pub fn is_timed(&self) -> bool {
        self.first != Timestamp::UNKNOWN
    }

    /// From first to last packet; 0 without times.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.last.0.saturating_sub(self.first.0)).unwrap_or(0))
    }

    /// The application protocol, by what the ends said, else by a port, and by which of the two.
    ///
    /// The responder's port counts. Where that is nobody's, a lower one of the initiator does: of a flow that began before it
    /// was seen, the server may be seen first.
    pub fn app_protocol(&self) -> Option<(&'static str, By)> {
        let by_port = || {
            let (source, destination) = (self.source.port, self.destination.port);
            let of_source = || protocol_by_port(self.protocol, source).filter(|_| source < destination);
            protocol_by_port(self.protocol, destination).or_else(of_source).map(|name| (name, By::Port))
        };
        self.app.as_ref().map(|app| (app.protocol, app.by)).or_else(by_port)
    }

    /// The name that `client` asked for first.
    pub(crate) fn asked_name(&self, client: End) -> Option<Called> {
        self.app.as_ref()?.first_name(client).map(|asked| Called::by_client(&asked))
    }

    pub(crate) fn of(flow: &Flow, tunnels: &[TunnelHeader], app: Option<&Arc<App>>) -> Self {
        let (initiator, responder) = (flow.initiator, flow.initiator.other());
        let (first, last) = span(flow.first, flow.last).unwrap_or((Timestamp::UNKNOWN, Timestamp::UNKNOWN));
        FlowRecord {
            protocol: flow.key.protocol(),
            ip_version: flow.key.version(),
            source: flow.key.endpoint(initiator),
            destination: flow.key.endpoint(responder),
            sent: flow.sent(initiator),
            received: flow.sent(responder),
            first,
            last,
            icmp: matches!(flow.key.protocol(), 1 | 58).then_some(flow.icmp),
            tcp: flow.tcp().map(|t| TcpRecord {
                state: t.state(initiator),
                history: t.history(initiator),
                rtt: t.rtt(),
                retransmits: u64::from(t.retransmits(Side::Low)) + u64::from(t.retransmits(Side::High)),
            }),
            tunnels: tunnels.into(),
            app: app.cloned(),
            interface: None,
            direction: None,
            source_name: None,
            destination_name: None,
            source_mac: None,
            destination_mac: None,
            cause: Cause::Unknown,
            encrypted_dns: None,
            owner: None,
            own_lookup: false,
            path: Vec::new(),
            nat: None,
            pace: None,
        }
    }
}

/// The headers that enclose the innermost flow of a packet, outermost first.
pub(crate) fn tunnel_headers(link_type: LinkType, bytes: &[u8]) -> Box<[TunnelHeader]> {
    let header = |tunnel: &dissect::Tunnel| {
        let carrier = bytes.get(usize::from(tunnel.ip_at)..).and_then(carrier);
        TunnelHeader {
            kind: tunnel.name(),
            id: tunnel.id,
            source: carrier.map(|ip| ip.source()),
            destination: carrier.map(|ip| ip.destination()),
        }
    };
    dissection(link_type, bytes).tunnels().iter().map(header).collect()
}

/// The ends of a packet as its outermost IP header has them, where that is not the innermost.
pub(crate) fn outermost(link_type: LinkType, bytes: &[u8]) -> Option<FiveTuple> {
    dissection(link_type, bytes).outer.map(|outer| outer.five_tuple())
}

/// The IP header at the start of `bytes`.
fn carrier(bytes: &[u8]) -> Option<dissect::Ip> {
    let d = dissection(LinkType::RAW, bytes);
    d.outer.or(d.ip)
}

fn dissection(link_type: LinkType, bytes: &[u8]) -> Dissection<'_> {
    let packet = Packet {
        timestamp: Timestamp::default(),
        link_type,
        wire_len: bytes.len() as u32,
        bytes,
        interface: 0,
        vlan_tci: None,
        direction: dissect::Direction::Unknown,
    };
    Dissection::of(&packet, Registry::global())
}
