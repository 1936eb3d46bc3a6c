//! What is told of a flow's TCP.

use std::time::Duration;

use super::letters::{FIN, PURE_ACK, RST, SYN, SYN_ACK};
use super::{TcpEvents, TcpState};
use crate::key::Side;

/// TCP facts of one flow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TcpFacts {
    pub(crate) state: TcpState,
    pub(crate) events: TcpEvents,
}

impl TcpFacts {
    /// Exchanges the sides.
    pub(crate) fn flip(&mut self) {
        self.state.flip();
        self.events.flip(self.state.seen.letters());
    }

    /// Whether nothing more is to come: both sides have finished, or one has reset.
    pub(crate) fn is_over(&self) -> bool {
        self.state.seen.is_over()
    }

    /// The history letters; upper case is what `initiator` sent.
    pub(crate) fn history(&self, initiator: Side) -> String {
        self.events.history.show(self.state.seen.letters(), initiator)
    }

    /// How the flow stands, as Zeek's `conn_state`.
    pub(crate) fn state(&self, initiator: Side) -> &'static str {
        let seen = self.state.seen;
        // Who answered a SYN is the responder, also where the SYN itself was missed.
        let answered = [Side::Low, Side::High].into_iter().find(|&s| seen.saw(s, SYN_ACK));
        let asked = [initiator, initiator.other()].into_iter().find(|&s| seen.saw(s, SYN));
        let (orig, resp) = match (asked, answered) {
            (Some(orig), _) => (orig, orig.other()),
            (None, Some(resp)) => (resp.other(), resp),
            (None, None) => return "OTH",
        };
        let fin = |s: Side| seen.saw(s, FIN);
        // A reset behind a FIN says nothing new, once the other side has finished too.
        let rst = |s: Side| {
            seen.saw(s, RST) && !(fin(s) && fin(s.other()) && self.place_of(s, FIN) < self.place_of(s, RST))
        };
        match (asked.is_some(), seen.saw(resp, SYN_ACK)) {
            (true, true) if rst(orig) && rst(resp) && !seen.sent_data(orig) && !seen.sent_data(resp) => "REJ",
            (true, true) if rst(resp) => "RSTR",
            (true, true) if rst(orig) => "RSTO",
            (true, true) => match (fin(orig), fin(resp)) {
                (true, true) => "SF",
                (true, false) => "S2",
                (false, true) => "S3",
                (false, false) => "S1",
            },
            (true, false) if rst(resp) => "REJ",
            (true, false) if rst(orig) => "RSTOS0",
            (true, false) if fin(orig) => "SH",
            (true, false) if seen.saw(resp, PURE_ACK) || seen.sent_data(resp) => "OTH",
            (true, false) => "S0",
            (false, _) if rst(resp) => "RSTRH",
            (false, _) if fin(resp) => "SHR",
            (false, _) => "OTH",
        }
    }

    /// Where a letter stands in the history.
    fn place_of(&self, side: Side, letter: u8) -> Option<u32> {
        (0..self.state.seen.letters()).find(|&place| self.events.history.at(place).is(side, letter))
    }

    /// Round-trip time of the handshake, from SYN to SYN-ACK as they passed the capture point.
    ///
    /// `None` without both, or where the SYN was sent more than once.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        (self.events.rtt > 0).then(|| Duration::from_nanos(u64::from(self.events.rtt - 1)))
    }

    /// Segments with bytes that `side` had sent before.
    ///
    /// Keep-alives do not count, nor what fills a hole within 3 ms (reordering).
    pub(crate) fn retransmits(&self, side: Side) -> u32 {
        self.events.retransmits[side.index()].saturating_add(self.state.few_resent(side))
    }
}
