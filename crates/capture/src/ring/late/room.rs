//! How the ring's blocks relate to what programs charge for packets.

use super::extended::Charge;
use crate::ring::block::HEADER_OF_BLOCK;

/// How blocks of the ring relate to positions.
///
/// A block is closed when a packet does not fit any more, so it is never quite full. A packet that takes up to `plain`
/// bytes leaves at most so many unused: that is taken off every block. A larger one is charged twice, for itself and for
/// what it may leave unused. Then blocks hold at least `block` charged bytes, whatever packets come.
///
/// A block is also closed when its time is over, however little is in it. Time runs out once in a period, so a whole
/// block is charged for every period in which packets came, and another one where there was a pause behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) block: u64,
    pub(super) charge: Charge,
}

impl Room {
    /// Of blocks of `size` bytes that are handed over after `period`, where the kernel counts time by `tick`; both in
    /// nanoseconds.
    pub(super) fn new(size: usize, period: i64, tick: i64) -> Self {
        let (period, tick) = (period.max(1), tick.max(1));
        let plain = size as u64 / 64;
        // Packets and blocks begin at multiples of 8.
        let block = (size as u64).saturating_sub(HEADER_OF_BLOCK + plain + 8);
        // So many ticks are surely not longer than a period, wherever in a tick they begin.
        let ticks = (period / tick - 1).max(1);
        let closed = ((ticks + 1) * tick) as u64;
        let closed = closed.div_ceil(period as u64);
        let charge = Charge {
            most: size as u32,
            plain: plain as u32,
            ticks: ticks as u32,
            soon: closed * block,
            later: (closed + 1) * block,
        };
        Self { block, charge }
    }
}
