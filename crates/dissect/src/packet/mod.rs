//! Packet-level dissectors: link, network, tunnel and transport layers.
//!
//! A dissector says in [`Dissector::claims`] what it reads, and in its
//! [`Step`] what follows; it never knows who is above or below it. Adding a
//! protocol is a file here, its `mod` line and its line in [`DISSECTORS`].

use crate::{Dissection, LinkType, Stop};

mod bytes;
mod fast;
#[cfg(test)]
mod fixture;
#[cfg(test)]
pub(crate) mod ip_fixture;
mod registry;

mod ah;
mod arcnet;
mod arista;
mod arp;
mod atm;
mod ax25;
mod ayiya;
mod batman;
mod capwap;
mod chdlc;
mod docsis;
mod erf;
mod erspan;
mod etherip;
mod ethernet;
mod ethernet_in_ip;
mod fddi;
mod frame_relay;
mod geneve;
mod gre;
mod gre_in_udp;
mod gtp;
mod icmp;
mod ipnet;
mod ipv4;
mod ipv6;
mod isl;
mod juniper;
mod l2tp;
mod lisp;
mod llc;
mod lwapp;
mod macsec;
mod mfr;
mod mpacket;
mod mpls;
mod mpls_in_ip;
mod nflog;
mod nsh;
mod null;
mod pflog;
mod pim;
mod pktap;
mod ppi;
mod ppp;
mod ppp_bcp;
mod ppp_mp;
mod ppp_vj;
mod pppoe;
mod prefixed;
mod pseudowire;
mod radiotap;
mod raw;
mod realtek;
mod sctp;
mod slip;
mod sll;
mod snap;
mod symantec;
mod tcp;
mod teredo;
mod token_ring;
mod trill;
mod typed;
mod tzsp;
mod udp;
mod udplite;
mod vlan;
mod vxlan;
mod vxlan_gpe;
mod wlan;
mod wlan_monitor;

pub(crate) use fast::Outer;
pub use fast::{Plain, Take};
pub use registry::Registry;

/// Every packet dissector.
static DISSECTORS: &[&dyn Dissector] = &[
    &ah::Ah,
    &arcnet::Arcnet,
    &arcnet::ArcnetLinux,
    &arista::Arista,
    &arp::Arp,
    &arp::Rarp,
    &atm::Clip,
    &atm::SunAtm,
    &ax25::Ax25,
    &ayiya::Ayiya,
    &batman::Batman,
    &capwap::Capwap,
    &chdlc::CHdlc,
    &docsis::Docsis,
    &erf::Erf,
    &erspan::Erspan,
    &etherip::EtherIp,
    &ethernet::Ethernet,
    &ethernet_in_ip::EthernetInIp,
    &fddi::Fddi,
    &frame_relay::FrameRelay,
    &geneve::Geneve,
    &gre::Gre,
    &gre_in_udp::GreInUdp,
    &gtp::Gtp,
    &icmp::Icmp,
    &icmp::Icmpv6,
    &ipnet::Ipnet,
    &ipv4::Ipv4,
    &ipv6::Ipv6,
    &isl::Isl,
    &juniper::ATM1,
    &juniper::ATM2,
    &juniper::C_HDLC,
    &juniper::ETHER,
    &juniper::FRAME_RELAY,
    &juniper::GGSN,
    &juniper::MFR,
    &juniper::MONITOR,
    &juniper::MULTILINK_FRAME_RELAY,
    &juniper::MULTILINK_PPP,
    &juniper::PPP,
    &juniper::SECURE_TUNNEL,
    &juniper::SERVICES,
    &juniper::VOICE,
    &l2tp::L2tp,
    &l2tp::L2tpIp,
    &lisp::Lisp,
    &lisp::LispControl,
    &llc::Llc,
    &lwapp::Lwapp,
    &macsec::Macsec,
    &mfr::Mfr,
    &mpacket::Mpacket,
    &mpls::Mpls,
    &mpls_in_ip::MplsInIp,
    &mpls_in_ip::MplsInUdp,
    &nflog::Nflog,
    &nsh::Nsh,
    &null::Null,
    &pflog::ENC,
    &pflog::OLD_PFLOG,
    &pflog::Pflog,
    &pim::Pim,
    &pktap::Pktap,
    &ppi::Ppi,
    &ppp::Ppp,
    &ppp_bcp::PppBcp,
    &ppp_mp::PppMp,
    &ppp_vj::PppVj,
    &pppoe::Pppoe,
    &prefixed::AX25_KISS,
    &prefixed::BROADCOM_PREPENDED,
    &prefixed::C_HDLC_WITH_DIRECTION,
    &prefixed::EPON,
    &prefixed::FABRIC_PATH,
    &prefixed::FRAME_RELAY_WITH_DIRECTION,
    &prefixed::IP_OVER_FC,
    &prefixed::NETANALYZER,
    &prefixed::NETANALYZER_TRANSPARENT,
    &prefixed::PBB,
    &prefixed::PPP_PPPD,
    &prefixed::PPP_WITH_DIRECTION,
    &prefixed::SLIP_BSDOS,
    &pseudowire::Pseudowire,
    &radiotap::Radiotap,
    &raw::Raw,
    &realtek::Realtek,
    &sctp::Sctp,
    &slip::Slip,
    &sll::Sll,
    &sll::Sll2,
    &snap::FRAME_RELAY,
    &snap::LLC,
    &symantec::Symantec,
    &tcp::Tcp,
    &teredo::Teredo,
    &token_ring::TokenRing,
    &trill::Trill,
    &typed::APPLE_1394,
    &typed::BROADCOM,
    &typed::CMD,
    &typed::DSA,
    &typed::EDSA,
    &typed::E_TAG,
    &typed::HSR,
    &typed::IPOIB,
    &typed::R_TAG,
    &typed::VN_TAG,
    &tzsp::Tzsp,
    &udp::Udp,
    &udplite::UdpLite,
    &vlan::Vlan,
    &vxlan::LinuxVxlan,
    &vxlan::Vxlan,
    &vxlan_gpe::VxlanGpe,
    &wlan::PADDED,
    &wlan::SWAPPED,
    &wlan::WLAN,
    &wlan_monitor::WlanMonitor,
];

/// What a lower layer says comes next; what a dissector says it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Claim {
    /// The first byte of a packet of this link type.
    Link(LinkType),
    /// What this EtherType names (IEEE 802.3, clause 3.2.6).
    EtherType(u16),
    /// What this IANA protocol number names, behind an IP header.
    IpProtocol(u8),
    /// What UDP carries from or to this port.
    UdpPort(u16),
    /// What this PPP protocol number names (RFC 1661, section 2).
    PppProtocol(u16),
    /// What this LLC service access point names (IEEE 802.2).
    LlcSap(u8),
    /// What this network layer protocol identifier names (ISO/IEC TR 9577).
    Nlpid(u8),
    /// What this number names under an organization's identifier (IEEE 802, clause 9.5).
    Snap {
        /// The organization, 24 bits.
        oui: u32,
        /// Its number.
        pid: u16,
    },
    /// What this BSD, Linux or Darwin address family names.
    AddressFamily(u16),
    /// A form that has no number of its own, by name.
    Form(Form),
}

/// Forms that several protocols carry and no registry numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    /// IPv4 or IPv6, told apart by the first four bits.
    Ip,
    /// An LLC header (IEEE 802.2).
    Llc,
    /// An IEEE 802.11 MAC header.
    Wlan,
    /// The same, padded to a multiple of 4 bytes before its payload.
    WlanPadded,
    /// The same between an access point and its controller: the bytes of its frame control may be swapped.
    WlanSwapped,
    /// A frame whose destination is Cisco Inter-Switch Link's.
    Isl,
    /// A PPP frame, with or without its address and control bytes (RFC 1662).
    Ppp,
    /// A label stack's payload, which only its first bits tell apart (RFC 4385).
    Pseudowire,
}

/// What a dissector says of the bytes it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The header names what follows; unclaimed is worth counting.
    Next(Claim, &'a [u8]),
    /// What follows may be claimed, first by the one, then by the other; unclaimed is plain payload.
    Offer([Claim; 2], &'a [u8]),
    /// Nothing below the application follows.
    Payload(&'a [u8]),
    /// The bytes are not this protocol's after all, and nothing was added; only for what was offered, or is a whole packet.
    Decline,
    /// Reading ends here.
    Stop(Stop),
}

/// Who reads what follows a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// This dissector does.
    Of(DissectorId),
    /// Nobody: reading ended.
    Nobodys,
    /// Somebody else, if anybody does: the layer was declined.
    Declined,
}

/// One protocol.
pub trait Dissector: Sync {
    /// Its name: lower case, as the field writes it.
    fn name(&self) -> &'static str;
    /// What it reads.
    fn claims(&self) -> &'static [Claim];
    /// Reads its header at the start of `bytes`, adds facts to `out`, says what follows.
    fn dissect<'a>(&self, bytes: &'a [u8], out: &mut Dissection<'a>) -> Step<'a>;
    /// Reads `out`'s payload as its layer, under its number; never written by hand.
    ///
    /// Being compiled once a protocol it knows which steps its [`Self::dissect`] makes: of a step that goes from one to
    /// the other through memory, most would be written and read for nothing.
    fn advance(&self, id: DissectorId, out: &mut Dissection<'_>, registry: &Registry) -> Turn {
        out.layer(id, registry, |bytes, out| self.dissect(bytes, out))
    }
}

/// Names one of the packet dissectors; 16 bits, so that a [`crate::Layer`] has no padding to write around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DissectorId(u16);

impl DissectorId {
    #[inline]
    pub(crate) fn dissector(self) -> &'static dyn Dissector {
        DISSECTORS.get(usize::from(self.0)).copied().unwrap_or(&ethernet::Ethernet)
    }

    /// Name of the protocol.
    pub fn name(self) -> &'static str {
        self.dissector().name()
    }
}
