//! What one packet says.

mod places;
mod tunnels;

pub use self::tunnels::{MAX_TUNNELS, Tunnel};
use crate::facts::{Icmp, Ip, Packet, Stop, Tcp};
use crate::packet::{Claim, DissectorId, Outer, Plain, Registry, Step, Turn};

/// Layers that a dissection keeps; a deeper packet ends in [`Stop::TooDeep`].
pub const MAX_LAYERS: usize = 20;

/// One understood layer: who understood it, and where it starts in the packet.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Who read it.
    pub dissector: DissectorId,
    /// Bytes from the start of the packet.
    pub offset: u16,
}

/// What one packet says. Lives on the stack, borrows the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dissection<'a> {
    bytes: &'a [u8],
    wire_len: u32,
    /// The innermost IP header that was found.
    pub ip: Option<Ip>,
    /// The outermost IP header, where it is not the innermost.
    pub outer: Option<Ip>,
    /// The TCP header behind [`Self::ip`].
    pub tcp: Option<Tcp>,
    /// The ICMP or ICMPv6 header behind [`Self::ip`].
    pub icmp: Option<Icmp>,
    /// What was captured of the innermost payload that was reached.
    pub payload: &'a [u8],
    /// Why reading ended.
    pub stop: Stop,
    layers: [Layer; MAX_LAYERS],
    depth: u8,
    tunnels: [Tunnel; MAX_TUNNELS],
    tunnel_depth: u8,
    /// How many of `tunnels` enclose [`Self::ip`].
    tunnels_at_ip: u8,
    /// Depth at which TCP or UDP gave its payload; 0 where neither has.
    transport_depth: u8,
}

impl<'a> Dissection<'a> {
    /// Dissects `packet`, outermost layer first. Total: accepts any bytes.
    #[inline]
    pub fn of(packet: &Packet<'a>, registry: &Registry) -> Self {
        // Each arm writes the caller's dissection in place; a copy would cost as much as the reading.
        let Some(plain) = Plain::of(packet, registry) else {
            let mut d = Self::start(packet);
            d.follow(packet, registry);
            return d;
        };
        Dissection {
            bytes: packet.bytes,
            wire_len: packet.wire_len,
            ip: Some(plain.ip),
            outer: None,
            tcp: plain.tcp,
            icmp: None,
            payload: plain.payload,
            stop: Stop::Complete,
            layers: plain.layers(&registry.readers),
            depth: plain.depth(),
            tunnels: [Tunnel::default(); MAX_TUNNELS],
            tunnel_depth: 0,
            tunnels_at_ip: 0,
            transport_depth: plain.depth(),
        }
    }

    /// Dissects by the registry alone; [`Self::of`] gives the same, sooner where it can.
    pub fn general(packet: &Packet<'a>, registry: &Registry) -> Self {
        let mut d = Self::start(packet);
        let outermost = Claim::Link(packet.link_type);
        let turn = d.turn(outermost, registry);
        d.follow_from::<false>(turn, outermost, registry);
        d
    }

    /// A dissection of `packet` that has not begun: [`Self::follow`] does it in place, where returning it would copy it.
    #[inline]
    pub fn start(packet: &Packet<'a>) -> Self {
        Dissection {
            bytes: packet.bytes,
            wire_len: packet.wire_len,
            ip: None,
            outer: None,
            tcp: None,
            icmp: None,
            payload: packet.bytes,
            stop: Stop::Complete,
            layers: [Layer::default(); MAX_LAYERS],
            depth: 0,
            tunnels: [Tunnel::default(); MAX_TUNNELS],
            tunnel_depth: 0,
            tunnels_at_ip: 0,
            transport_depth: 0,
        }
    }

    /// Follows the claims from the link type of `packet`, of which this is the [`Self::start`], to where they end.
    ///
    /// Reads what tunnels begin and end with, a plain IPv4 header on either side, without going from dissector to dissector.
    pub fn follow(&mut self, packet: &Packet<'a>, registry: &Registry) {
        if let Some((plain, _)) = self.follow_to_plain(packet, registry) {
            self.end_with(&plain, registry);
        }
    }

    /// The same, but stops before a plain IPv4 header with TCP or UDP behind which nothing follows: gives what these say, and
    /// whether somebody may read what they carry, as [`crate::packet::Take`] has it. [`Self::ip`] is then what encloses them.
    pub fn follow_to_plain(&mut self, packet: &Packet<'a>, registry: &Registry) -> Option<(Plain<'a>, bool)> {
        let outermost = Claim::Link(packet.link_type);
        let turn = match Outer::of(packet) {
            Some(outer) => self.enter_outer(&outer, registry),
            None => self.turn(outermost, registry),
        };
        self.follow_from::<true>(turn, outermost, registry)
    }

    /// Takes turns until nobody is left; `SHORT` stops before what is [`Plain`], and gives it.
    #[inline(always)] // Once each way.
    fn follow_from<const SHORT: bool>(
        &mut self,
        mut turn: Turn,
        outermost: Claim,
        registry: &Registry,
    ) -> Option<(Plain<'a>, bool)> {
        while let Turn::Of(id) = turn {
            if SHORT
                && id == registry.readers.ipv4
                && let Some(plain) = self.plain(registry)
            {
                return Some(plain);
            }
            turn = registry.dissector(id).advance(id, self, registry);
        }
        // Only what was offered can be declined, or a whole packet.
        if turn == Turn::Declined {
            self.stop = Stop::Unclaimed(outermost);
        }
        None
    }

    /// Takes over the outermost headers; says whose turn it is behind them.
    #[inline]
    fn enter_outer(&mut self, outer: &Outer<'a>, registry: &Registry) -> Turn {
        for (slot, layer) in self.layers.iter_mut().zip(outer.layers(&registry.readers)) {
            *slot = layer;
        }
        self.depth = outer.depth();
        self.enter_ip(outer.ip);
        self.payload = outer.rest;
        self.turn(Claim::IpProtocol(outer.ip.protocol), registry)
    }

    /// [`Self::payload`] as plain IPv4 with TCP or UDP, behind which nothing follows; `None` if it is anything else.
    #[inline]
    fn plain(&self, registry: &Registry) -> Option<(Plain<'a>, bool)> {
        if usize::from(self.depth) + 2 > MAX_LAYERS {
            return None;
        }
        Plain::behind(self.payload, self.offset_of(self.payload), registry)
    }

    /// Adds what [`Self::follow_to_plain`] gave.
    pub fn end_with(&mut self, plain: &Plain<'a>, registry: &Registry) {
        let readers = &registry.readers;
        self.push_layer(readers.ipv4, self.payload);
        self.enter_ip(plain.ip);
        let transport = if plain.tcp.is_some() { readers.tcp } else { readers.udp };
        self.push_layer_at(transport, plain.upper_at);
        self.tcp = plain.tcp;
        self.enter_transport();
        self.payload = plain.payload;
    }

    /// Lets `read` have [`Self::payload`] as one more layer; says whose turn it is then.
    #[inline(always)] // So that each dissector's step is matched where it is made, and never built.
    pub(crate) fn layer(
        &mut self,
        id: DissectorId,
        registry: &Registry,
        read: impl FnOnce(&'a [u8], &mut Self) -> Step<'a>,
    ) -> Turn {
        let bytes = self.payload;
        if !self.push_layer(id, bytes) {
            self.stop = Stop::TooDeep;
            return Turn::Nobodys;
        }
        match read(bytes, self) {
            Step::Next(claim, rest) => {
                self.payload = rest;
                self.turn(claim, registry)
            }
            Step::Payload(rest) => {
                self.payload = rest;
                Turn::Nobodys
            }
            Step::Offer(offers, rest) => {
                self.payload = rest;
                self.accept(offers, registry)
            }
            Step::Stop(stop) => {
                self.stop = stop;
                Turn::Nobodys
            }
            Step::Decline => Turn::Declined,
        }
    }

    /// Whose turn `claim` makes it; where it is nobody's, reading ends.
    #[inline(always)]
    fn turn(&mut self, claim: Claim, registry: &Registry) -> Turn {
        if let Some(id) = registry.claimant(claim) {
            return Turn::Of(id);
        }
        self.stop = Stop::Unclaimed(claim);
        Turn::Nobodys
    }

    /// Lets the first of the claimants that does not decline read [`Self::payload`].
    fn accept(&mut self, offers: [Claim; 2], registry: &Registry) -> Turn {
        for claim in offers {
            let Some(id) = registry.claimant(claim) else { continue };
            let depth = self.depth;
            match registry.dissector(id).advance(id, self, registry) {
                Turn::Declined => self.depth = depth,
                turn => return turn,
            }
        }
        Turn::Nobodys
    }

    #[inline]
    pub(crate) fn push_layer(&mut self, dissector: DissectorId, bytes: &[u8]) -> bool {
        let offset = self.offset_of(bytes) as u16;
        self.push_layer_at(dissector, offset)
    }

    #[inline]
    fn push_layer_at(&mut self, dissector: DissectorId, offset: u16) -> bool {
        let Some(layer) = self.layers.get_mut(usize::from(self.depth)) else { return false };
        *layer = Layer { dissector, offset };
        self.depth += 1;
        true
    }

    /// Layers, outermost first.
    pub fn layers(&self) -> &[Layer] {
        self.layers.get(..usize::from(self.depth)).unwrap_or_default()
    }

    /// Notes that the current layer is TCP or UDP and its header was whole.
    #[inline]
    pub(crate) fn enter_transport(&mut self) {
        self.transport_depth = self.depth;
    }
}
