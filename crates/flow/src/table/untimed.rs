//! Packets without a time: pcapng's simple ones, before the first that has one.
//!
//! They count for their flows, and move no times. A flow that begins with them begins with the first time that there is, as one
//! that goes on with them ends with the time before; where there never is any, it has none.

use dissect::Timestamp;

use super::FlowTable;

impl FlowTable {
    /// Gives flows that began without a time `at`, which is to count next, if it is one: the first of the capture.
    ///
    /// Before they are counted any further, since one that has a time may be followed by an earlier one.
    #[cold]
    pub(super) fn begin_time(&mut self, at: Timestamp) {
        if at != Timestamp::UNKNOWN {
            self.untimed = false;
            self.tally.flows.iter_mut().for_each(|flow| flow.begin_untimed(at));
        }
    }
}
