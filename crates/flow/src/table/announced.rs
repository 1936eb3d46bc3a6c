//! Encrypted resolvers that answers speak of: flows to them are told, in this table and in the others of the same capture.

use std::mem;

use dissect::Timestamp;

use super::FlowTable;
use crate::encrypted::Announcement;
use crate::message::Origin;

/// Encrypted resolvers that wait to be told of; further ones are told of when they are announced again.
const MAX_ANNOUNCED: usize = 256;

impl FlowTable {
    /// Has flows to the encrypted resolvers told that answers spoke of.
    #[inline(always)]
    pub(super) fn tell_of_resolvers(&mut self, origin: Origin) {
        if !self.messages.said.lookups.announcements.is_empty() {
            self.learn_of_resolvers(origin.timestamp);
        }
    }

    #[cold]
    fn learn_of_resolvers(&mut self, at: Timestamp) {
        self.unsettle_all();
        let known = &mut self.tally.openings.announced;
        for one in self.messages.said.lookups.announcements.drain(..) {
            known.learn(one.clone());
            if self.announced.len() < MAX_ANNOUNCED && known.tell(&one, at) {
                self.announced.push(one);
            }
        }
    }

    /// Encrypted resolvers that answers have spoken of since somebody asked, for the other tables of the same capture.
    pub fn take_announced(&mut self) -> Vec<Announcement> {
        mem::take(&mut self.announced)
    }

    /// Learns of encrypted resolvers that answers in another table have spoken of.
    pub fn learn_announced(&mut self, announced: Vec<Announcement>) {
        self.unsettle_all();
        self.tally.openings.learn_announced(&mut self.tally.flows, announced);
    }
}
