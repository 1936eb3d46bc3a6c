//! How fast flows are, interval by interval.

/// Intervals that are remembered of each flow.
pub const RECENT: usize = 18;

/// Bytes and packets a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// IP bytes a second.
    pub bytes: f64,
    /// Packets a second.
    pub packets: f64,
}

/// How fast a flow has been lately.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// IP bytes a second over the last interval.
    pub now: f64,
    /// The most of any interval.
    pub peak: f64,
    /// IP bytes of the last intervals, the latest last.
    pub recent: [u64; RECENT],
}
