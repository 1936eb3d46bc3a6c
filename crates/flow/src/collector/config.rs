//! What a collector is told beforehand.

use std::net::IpAddr;

use dissect::Timestamp;

use crate::expiry::Timeouts;
use crate::group::GroupBy;
use crate::key::Seed;
use crate::rank::SortKey;
use crate::select::Selection;

/// What views want of snapshots.
#[derive(Clone, Debug)]
pub struct Config {
    /// Rows at most.
    pub rows: usize,
    /// Their order.
    pub sort: SortKey,
    /// Which flows are shown.
    pub selection: Selection,
    /// What to group by, if at all.
    pub group: Option<GroupBy>,
    /// DNS answers at most.
    pub dns_lines: usize,
    /// Whether some view takes events.
    pub events: bool,
    /// For a live capture.
    pub live: Option<LiveConfig>,
}

/// What a collector of a live capture must know.
#[derive(Clone, Debug)]
pub struct LiveConfig {
    /// Seed of the hash of every table.
    pub seed: Seed,
    /// When capturing began.
    pub started: Timestamp,
    /// Addresses of this host when capturing began: whichever of them asks for a name asks for all.
    pub own: Vec<IpAddr>,
    /// What owners are learned from.
    pub owners_from: &'static str,
    /// When the tables end flows.
    pub timeouts: Timeouts,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            rows: 20,
            sort: SortKey::default(),
            selection: Selection::default(),
            group: None,
            dns_lines: 5,
            events: false,
            live: None,
        }
    }
}
