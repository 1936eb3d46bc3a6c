//! What one packet adds to a flow's TCP facts.

use dissect::{Tcp, TcpFlags};

use super::letters::{CONTENT, PURE_ACK, ZERO_WINDOW};
use super::seen::{CONTROL, STARTED};

/// What has been seen of a side if a segment is nothing new, but for its window: by its flags up to ACK, and whether there is
/// data in it.
static EXPECTED: [u16; 64] = {
    let mut table = [STARTED; 64];
    let mut what = 0;
    while what < table.len() {
        let (flags, data) = (TcpFlags((what >> 1) as u8), what & 1 != 0);
        table[what] |= if flags.0 & (TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST) != 0 {
            CONTROL
        } else if data {
            1 << CONTENT
        } else if flags.0 & TcpFlags::ACK != 0 {
            1 << PURE_ACK
        } else {
            0
        };
        what += 1;
    }
    table
};

/// What one packet adds to a flow's TCP facts: of most, one word tells that it is nothing new.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Segment {
    pub(crate) seq: u32,
    /// Payload on the wire, in bytes.
    pub(crate) len: u32,
    /// What has been seen of the side if this is nothing new: its letters, [`STARTED`], and [`CONTROL`] for what may be
    /// anything; 0 where there is no TCP.
    pub(super) expected: u16,
    pub(crate) flags: TcpFlags,
}

impl Segment {
    #[inline(always)]
    pub(crate) fn of(tcp: &Tcp) -> Self {
        // Read from a table: whether there is data is anybody's guess, and no branch depends on it here, either.
        let what = usize::from(tcp.flags.0) << 1 | usize::from(tcp.payload_len > 0);
        let expected = EXPECTED[what % EXPECTED.len()] | u16::from(tcp.window == 0) << ZERO_WINDOW;
        Segment { seq: tcp.seq, len: tcp.payload_len, expected, flags: tcp.flags }
    }

    /// Whether there is TCP.
    #[inline]
    pub(crate) fn is_some(&self) -> bool {
        self.expected != 0
    }

    /// Whether it may say anything by its sequence number.
    pub(crate) fn is_placed(&self) -> bool {
        self.len > 0 || self.is_control()
    }

    /// Whether it begins or ends a connection.
    pub(crate) fn is_control(&self) -> bool {
        self.expected & CONTROL != 0
    }

    /// Makes it that of a packet without TCP.
    #[inline]
    pub(crate) fn clear(&mut self) {
        (self.expected, self.len) = (0, 0);
    }
}
