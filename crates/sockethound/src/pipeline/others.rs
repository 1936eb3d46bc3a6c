//! What workers tell each other: encrypted resolvers that an answer announced (RFC 9462), since the flows to them may be any
//! worker's. It is little and rare; nobody waits for it.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use flow::{Announcement, FlowTable};

/// Announcements that wait for a worker; it learns of others when they are repeated.
const ROOM: usize = 64;

/// One worker's ways to the others, and theirs to it.
#[derive(Debug, Default)]
pub(super) struct Others {
    to: Vec<SyncSender<Vec<Announcement>>>,
    from: Option<Receiver<Vec<Announcement>>>,
}

impl Others {
    /// For so many workers, each one's.
    pub(super) fn of(workers: usize) -> impl Iterator<Item = Self> {
        let (to, from): (Vec<_>, Vec<_>) = (0..workers).map(|_| sync_channel(ROOM)).unzip();
        from.into_iter().enumerate().map(move |(own, from)| {
            let others = to.iter().enumerate().filter(|(other, _)| *other != own);
            Others { to: others.map(|(_, to)| to.clone()).collect(), from: Some(from) }
        })
    }

    /// Has the table learn what others have told.
    pub(super) fn listen(&self, table: &mut FlowTable) {
        let told = self.from.as_ref().filter(|_| !self.to.is_empty());
        told.into_iter().flat_map(Receiver::try_iter).for_each(|told| table.learn_announced(told));
    }

    /// Tells the others what the table has learned.
    pub(super) fn tell(&self, table: &mut FlowTable) {
        let announced = table.take_announced();
        if announced.is_empty() {
            return;
        }
        for to in &self.to {
            // Whoever has no room, or has ended, does without.
            drop(to.try_send(announced.clone()));
        }
    }
}
