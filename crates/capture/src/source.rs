//! The seam between where packets come from and everything that reads them.

use std::time::Duration;

use dissect::LinkType;

use crate::batch::Batch;

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
