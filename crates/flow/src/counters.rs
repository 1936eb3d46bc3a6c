//! Packets and bytes that add up.

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// IP bytes: IPv4 total length; IPv6 40 + payload length.
    pub ip_bytes: u64,
    /// Bytes on the wire, from the link header on.
    pub frame_bytes: u64,
}

impl std::ops::AddAssign for Counters {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.ip_bytes += other.ip_bytes;
        self.frame_bytes += other.frame_bytes;
    }
}

impl std::ops::SubAssign for Counters {
    #[inline]
    fn sub_assign(&mut self, other: Self) {
        self.packets -= other.packets;
        self.ip_bytes -= other.ip_bytes;
        self.frame_bytes -= other.frame_bytes;
    }
}

impl std::ops::Add for Counters {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}
