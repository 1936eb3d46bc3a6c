//! How fast groups are: what they grew by since the report before.

use std::collections::HashMap;

use flow::{Group, GroupKey, Snapshot};

/// Groups of one report, by which the next one tells how fast they are.
#[derive(Debug)]
struct Stand {
    /// Nanoseconds.
    at: i64,
    bytes: HashMap<GroupKey, u64>,
    /// No group was left out.
    complete: bool,
}

/// The last two reports' groups.
#[derive(Debug, Default)]
pub(super) struct GroupPace {
    latest: Option<Stand>,
    before: Option<Stand>,
}

impl GroupPace {
    /// Takes note of what `snapshot` shows; the same one may be shown again.
    pub(super) fn note(&mut self, snapshot: &Snapshot) {
        let (Some(live), Some(groups)) = (&snapshot.live, &snapshot.groups) else { return };
        if self.latest.as_ref().is_some_and(|latest| latest.at == live.at.0) {
            return;
        }
        let bytes = groups.iter().map(|group| (group.key.clone(), group.total().ip_bytes)).collect();
        let complete = snapshot.more_groups == 0;
        self.before = self.latest.replace(Stand { at: live.at.0, bytes, complete });
    }

    /// IP bytes a second since the report before, or since capturing began; `None` for captures, and where the group was
    /// not among those shown.
    pub(super) fn of(&self, group: &Group, snapshot: &Snapshot) -> Option<f64> {
        let live = snapshot.live?;
        let (since, bytes) = match &self.before {
            None => (live.started.0, 0),
            Some(before) => {
                let known = before.bytes.get(&group.key).copied();
                (before.at, known.or(before.complete.then_some(0))?)
            }
        };
        let seconds = live.at.0.saturating_sub(since) as f64 / 1e9;
        (seconds > 0.0).then(|| group.total().ip_bytes.saturating_sub(bytes) as f64 / seconds)
    }
}
