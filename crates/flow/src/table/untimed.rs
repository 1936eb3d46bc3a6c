//! Packets without a time: pcapng's simple ones, before the first that has one.
//!
//! They count for their flows, and move no times. A flow that begins with them begins with the first time that there is, as one
//! that goes on with them ends with the time before; where there never is any, it has none.

use super::FlowTable;

impl FlowTable {
    /// Gives flows that began without a time the first one of the capture, once that is there.
    pub(super) fn begin_time(&mut self) {
        let begun = self.capture.start <= self.capture.end;
        if self.untimed && begun {
            self.untimed = false;
            let at = self.capture.start;
            self.tally.flows.iter_mut().for_each(|flow| flow.begin_untimed(at));
        }
    }
}
