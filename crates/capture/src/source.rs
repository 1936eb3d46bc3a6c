//! The seam between where packets come from and everything that reads them.

use std::time::Duration;

use dissect::{Direction, LinkType, Packet, Timestamp};

/// Where one packet of a batch lies in the batch's buffer, and what the source knows of it.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// When it was captured.
    pub timestamp: Timestamp,
    /// First byte in [`Batch::buffer`].
    pub start: u32,
    /// Captured length, in bytes.
    pub captured: u32,
    /// Length on the wire, in bytes; may be more than `captured` (snaplen), and less: in damaged
    /// files, and where metadata that was not on the wire stands before the frame.
    pub wire_len: u32,
    /// Index into [`Batch::interfaces`].
    pub interface: u32,
    /// The VLAN tag that the kernel took out of the frame, if any.
    pub vlan_tci: Option<u16>,
    /// Which way it passed the interface, where the source knows.
    pub direction: Direction,
}

/// One interface of a source: what its packets begin with, and how it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// What the packets' bytes begin with.
    pub link_type: LinkType,
    /// Its name (`if_name`), where the source has one.
    pub name: Option<String>,
    /// The longest IP packet that passes the wire, in bytes, where the interface itself splits longer ones that it is
    /// given, and puts together what it receives; `None` where that is not so, or not known.
    pub splits_at: Option<u32>,
}

/// Packets that lie in one buffer, in the order in which they came.
///
/// They are lent until the source is asked again, so a reader may look at many at once.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The bytes that the records point into.
    pub buffer: &'a [u8],
    /// One entry a packet; each lies wholly inside `buffer`.
    pub records: &'a [Record],
    /// Every interface of the source so far.
    pub interfaces: &'a [Interface],
}

impl<'a> Batch<'a> {
    /// The packets, in order.
    #[inline]
    pub fn packets(&self) -> impl Iterator<Item = Packet<'a>> + Clone + use<'a> {
        let (buffer, interfaces) = (self.buffer, self.interfaces);
        let link_type = move |n: u32| interfaces.get(n as usize).map_or(LinkType::NULL, |i| i.link_type);
        // Most packets come from the same interface as the one before.
        let mut last = (0, link_type(0));
        self.records.iter().map(move |r| {
            if r.interface != last.0 {
                last = (r.interface, link_type(r.interface));
            }
            let start = r.start as usize;
            Packet {
                timestamp: r.timestamp,
                link_type: last.1,
                wire_len: r.wire_len,
                bytes: buffer.get(start..start + r.captured as usize).unwrap_or_default(),
                interface: r.interface,
                vlan_tci: r.vlan_tci,
                direction: r.direction,
            }
        })
    }
}

/// What a source has to say when it is asked.
#[derive(Debug)]
pub enum Next<'a> {
    /// At least one packet.
    Batch(Batch<'a>),
    /// Nothing came within the timeout.
    Idle,
    /// There will be no more.
    End,
}

/// A source's own account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureStats {
    /// Packets handed out.
    pub received: u64,
    /// Packets that the kernel had no room for.
    pub dropped: u64,
    /// Bytes of input taken so far, as stored (compressed bytes for a compressed file).
    pub consumed: u64,
}

/// Somewhere packets come from.
pub trait PacketSource: Send {
    /// What may go wrong.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The next packets, waiting at most `timeout` for the first.
    ///
    /// After an error, or [`Next::End`], the source is at its end; what it
    /// handed out before stays valid and counted.
    fn next_batch(&mut self, timeout: Duration) -> Result<Next<'_>, Self::Error>;

    /// Counters since the start.
    fn stats(&self) -> CaptureStats;
}
