//! Inode → processes that hold the socket; nearly always one.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// A process, and the number of its file.
type Hold = (u32, u32);

/// Who holds which socket, as last read.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// One holder of each socket.
    first: HashMap<u64, Hold, RandomState>,
    /// Further ones, where there are several.
    others: HashMap<u64, Vec<Hold>, RandomState>,
}

impl Index {
    pub(super) fn has(&self, inode: u64) -> bool {
        self.first.contains_key(&inode)
    }

    pub(super) fn first(&self, inode: u64) -> Option<Hold> {
        self.first.get(&inode).copied()
    }

    pub(super) fn is_shared(&self, inode: u64) -> bool {
        self.others.contains_key(&inode)
    }

    pub(super) fn holders(&self, inode: u64) -> impl Iterator<Item = Hold> {
        self.first.get(&inode).into_iter().chain(self.others.get(&inode).into_iter().flatten()).copied()
    }

    pub(super) fn insert(&mut self, inode: u64, hold: Hold) {
        let first = *self.first.entry(inode).or_insert(hold);
        if first != hold {
            self.others.entry(inode).or_default().push(hold);
        }
    }

    pub(super) fn remove(&mut self, inode: u64, hold: Hold) {
        let others = self.others.get_mut(&inode);
        if self.first.get(&inode) == Some(&hold) {
            match others.and_then(Vec::pop) {
                Some(other) => drop(self.first.insert(inode, other)),
                None => drop(self.first.remove(&inode)),
            }
        } else if let Some(others) = others {
            others.retain(|other| *other != hold);
        }
        if self.others.get(&inode).is_some_and(Vec::is_empty) {
            self.others.remove(&inode);
        }
    }
}
