//! Names of flows that ask for more of them than their facts keep, so that each is told once.

use std::hash::BuildHasher;

use dissect::app::Name;
use hashbrown::HashSet;

use crate::flow::Flow;

/// Names that are remembered; beyond, all before are forgotten, and may be told again.
const MOST: usize = 65_536;

/// Names beyond those that flows keep, by their hashes.
#[derive(Debug, Default)]
pub(super) struct Beyond(HashSet<u64>);

impl Beyond {
    /// Whether `flow` is heard to ask for `name` for the first time.
    pub(super) fn hears_first(&mut self, flow: &Flow, name: &Name) -> bool {
        if self.0.len() >= MOST {
            self.0.clear();
        }
        let said = self.0.hasher().hash_one((flow.key, name.source, name.name.to_ascii_lowercase()));
        self.0.insert(said)
    }
}
