//! What encloses the innermost IP header.

use super::Dissection;
use crate::facts::Ip;
use crate::packet::DissectorId;

/// Enclosing headers that a dissection keeps; further ones are followed but not listed.
pub const MAX_TUNNELS: usize = 4;

/// One enclosing header on the way to the innermost flow.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Tunnel {
    header: Header,
    /// The number it carries: VNI, key, TEID, session; `None` where it has none.
    pub id: Option<u32>,
    /// Offset of the IP header that carries it, in bytes from the start of the packet.
    pub ip_at: u16,
}

impl Tunnel {
    /// Its type: the name of the dissector that read it, or of the pair of IP versions.
    pub fn name(&self) -> &'static str {
        match self.header {
            Header::Of(dissector) => dissector.name(),
            Header::Ip(4, 4) => "ipip",
            Header::Ip(4, _) => "4in6",
            Header::Ip(_, 4) => "6in4",
            Header::Ip(..) => "6in6",
        }
    }
}

/// What encloses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    /// What this dissector read.
    Of(DissectorId),
    /// An IP header, at once: the inner and the outer version.
    Ip(u8, u8),
}

impl Default for Header {
    fn default() -> Self {
        Header::Of(DissectorId::default())
    }
}

impl Dissection<'_> {
    /// The headers that enclose [`Self::ip`], outermost first.
    pub fn tunnels(&self) -> &[Tunnel] {
        self.first_tunnels(self.tunnels_at_ip)
    }

    /// Enters an IP header: it is the innermost one from now on.
    ///
    /// An enclosing IP header between which and this one no tunnel was noted is itself the tunnel
    /// (RFC 2003, RFC 2473, RFC 4213).
    #[inline]
    pub fn enter_ip(&mut self, ip: Ip) {
        if self.ip.is_some() {
            self.enclose(ip.version);
        }
        self.ip = Some(ip);
        self.tcp = None;
        self.icmp = None;
        self.transport_depth = 0;
        self.tunnels_at_ip = self.tunnel_depth;
    }

    /// Notes what the IP header so far is to one of `version` behind it.
    #[inline(never)]
    fn enclose(&mut self, version: u8) {
        let Some(enclosing) = &self.ip else { return };
        let (at, outer) = (enclosing.at, enclosing.version);
        if self.outer.is_none() {
            self.outer = self.ip;
        }
        let noted = self.first_tunnels(self.tunnel_depth).last();
        if noted.is_none_or(|tunnel| tunnel.ip_at != at) {
            self.push_tunnel(Tunnel { header: Header::Ip(version, outer), id: None, ip_at: at });
        }
    }

    /// Notes that the current layer, carried by [`Self::ip`], encloses what follows in a tunnel.
    ///
    /// Without an IP header there is nothing to note: a link layer is no tunnel.
    pub fn enter_tunnel(&mut self, id: Option<u32>) {
        let (Some(layer), Some(ip)) = (self.layers().last(), &self.ip) else { return };
        let tunnel = Tunnel { header: Header::Of(layer.dissector), id, ip_at: ip.at };
        self.push_tunnel(tunnel);
    }

    fn first_tunnels(&self, n: u8) -> &[Tunnel] {
        self.tunnels.get(..usize::from(n)).unwrap_or_default()
    }

    #[inline]
    fn push_tunnel(&mut self, tunnel: Tunnel) {
        if let Some(slot) = self.tunnels.get_mut(usize::from(self.tunnel_depth)) {
            *slot = tunnel;
            self.tunnel_depth += 1;
        }
    }
}
