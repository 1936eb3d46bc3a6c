//! How a table counts.

use dissect::app::Depth;

use crate::expiry::Timeouts;
use crate::key::Seed;
use crate::lookup::Keep;

/// How a table counts.
#[derive(Clone, Debug)]
pub struct Options {
    /// Flows are those of the innermost IP header, else of the outermost.
    pub decap: bool,
    /// Flows that are kept at once; beyond, the longest idle ones are evicted.
    pub max_flows: usize,
    /// Which DNS messages are handed on whole.
    pub keep: Keep,
    /// How deep what flows say first is read. With all, names are told as they are seen.
    pub depth: Depth,
    /// Seed of the hash: the same for every table and collector of a run.
    pub seed: Seed,
    /// Packets are those of a live capture: each interface's are counted apart, for the collector to join, and flows
    /// end. `None` for captures.
    pub live: Option<Timeouts>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            decap: true,
            max_flows: 4_000_000,
            keep: Keep::default(),
            depth: Depth::Names,
            seed: Seed::default(),
            live: None,
        }
    }
}
