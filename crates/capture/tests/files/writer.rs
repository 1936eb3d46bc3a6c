//! Capture files built integer by integer.

/// Writes integers in one byte order.
#[derive(Clone, Default)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) big: bool,
}

impl Writer {
    pub(crate) fn new(big: bool) -> Self {
        Self { bytes: Vec::new(), big }
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes.extend(if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
        self
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes.extend(if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
        self
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend(bytes);
        self
    }

    pub(crate) fn padded(&mut self, bytes: &[u8]) -> &mut Self {
        self.raw(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    pub(crate) fn pcap(big: bool, magic: u32, version: (u16, u16), link_type: u32) -> Self {
        let mut out = Self::new(big);
        out.u32(magic).u16(version.0).u16(version.1).u32(0).u32(0).u32(65535).u32(link_type);
        out
    }

    pub(crate) fn record(&mut self, seconds: u32, fraction: u32, bytes: &[u8], wire_len: u32) -> &mut Self {
        self.u32(seconds).u32(fraction).u32(bytes.len() as u32).u32(wire_len).raw(bytes)
    }

    pub(crate) fn block(&mut self, kind: u32, body: &[u8]) -> &mut Self {
        let length = body.len() as u32 + 12;
        self.u32(kind).u32(length).raw(body).u32(length)
    }

    pub(crate) fn section(&mut self) -> &mut Self {
        let mut body = Self::new(self.big);
        body.u32(0x1a2b_3c4d).u16(1).u16(0).raw(&[0xff; 8]);
        self.block(0x0a0d_0d0a, &body.bytes)
    }

    pub(crate) fn option(&mut self, code: u16, value: &[u8]) -> &mut Self {
        self.u16(code).u16(value.len() as u16).padded(value)
    }

    pub(crate) fn interface(
        &mut self,
        link_type: u16,
        snaplen: u32,
        options: impl FnOnce(&mut Self),
    ) -> &mut Self {
        let mut body = Self::new(self.big);
        body.u16(link_type).u16(0).u32(snaplen);
        options(&mut body);
        self.block(1, &body.bytes)
    }

    pub(crate) fn enhanced(
        &mut self,
        interface: u32,
        time: u64,
        bytes: &[u8],
        options: impl FnOnce(&mut Self),
    ) -> &mut Self {
        let mut body = Self::new(self.big);
        body.u32(interface).u32((time >> 32) as u32).u32(time as u32);
        body.u32(bytes.len() as u32).u32(bytes.len() as u32).padded(bytes);
        options(&mut body);
        self.block(6, &body.bytes)
    }
}
