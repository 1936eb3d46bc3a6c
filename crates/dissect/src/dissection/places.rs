//! Where in a packet its parts lie, and how long they are.

use super::Dissection;

impl<'a> Dissection<'a> {
    /// What was captured from a place of the packet on.
    pub(crate) fn from(&self, offset: u16) -> &'a [u8] {
        self.bytes.get(usize::from(offset)..).unwrap_or_default()
    }

    /// Where `bytes`, a part of this packet, begins; in bytes from the packet's start.
    #[inline]
    pub fn offset_of(&self, bytes: &[u8]) -> usize {
        (bytes.as_ptr() as usize).wrapping_sub(self.bytes.as_ptr() as usize).min(self.bytes.len())
    }

    /// How many bytes the wire carried from `bytes`, a part of this packet, to the packet's end.
    ///
    /// Never less than `bytes` itself: a capture may claim a wire length below the captured one.
    #[inline]
    pub fn wire_rest(&self, bytes: &[u8]) -> usize {
        (self.wire_len as usize).saturating_sub(self.offset_of(bytes)).max(bytes.len())
    }

    /// How many bytes the innermost IP header says there are from `bytes`, inside it, to its end.
    #[inline]
    pub fn ip_rest(&self, bytes: &[u8]) -> usize {
        let Some(ip) = &self.ip else { return bytes.len() };
        (usize::from(ip.at) + ip.bytes as usize).saturating_sub(self.offset_of(bytes))
    }

    /// What was captured of the innermost IP packet's payload, transport header included.
    pub fn ip_payload(&self) -> &'a [u8] {
        let Some(ip) = &self.ip else { return &[] };
        let transport = self.layers().get(usize::from(self.transport_depth).wrapping_sub(1));
        let start = transport.map_or_else(|| self.offset_of(self.payload), |layer| usize::from(layer.offset));
        let end = (usize::from(ip.at) + ip.bytes as usize).min(self.bytes.len());
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// What the innermost flow's application said: the whole payload of TCP or UDP, as far as captured.
    ///
    /// `None` for every other protocol, for later fragments, where the transport header was cut short,
    /// and where the payload was read as another layer (a tunnel).
    #[inline]
    pub fn app_payload(&self) -> Option<&'a [u8]> {
        (self.transport_depth > 0 && self.transport_depth == self.depth).then_some(self.payload)
    }
}
