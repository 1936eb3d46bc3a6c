//! Flows of DNS, mDNS and LLMNR, told by their first message.

use super::{DNS, Dns, in_stream, may_begin, verdict};
use crate::app::{App, AppDissector, Begins, MessageDissector, Opening, Port, Reading, Verdict, by_port};

impl AppDissector for Dns {
    fn name(&self) -> &'static str {
        self.name
    }

    fn ports(&self) -> &'static [Port] {
        self.ports
    }

    fn transports(&self) -> &'static [u8] {
        &[6, 17]
    }

    fn begins(&self) -> Begins {
        Begins::Any
    }

    fn dissect(&self, opening: &Opening<'_>) -> Reading {
        let [initiator, responder] = opening.ports;
        let said = if opening.initiator.is_empty() { opening.responder } else { opening.initiator };
        let first = said.first();
        let port = |p: u16| if opening.is_tcp() { Port::Tcp(p) } else { Port::Udp(p) };
        let is_own = || self.ports.contains(&port(responder)) || self.ports.contains(&port(initiator));
        // Nearly every flow is asked about, and few are on anybody's port.
        if by_port(opening.transport, initiator, responder).is_some() && is_own() {
            return match if opening.is_tcp() { in_stream(first) } else { verdict(first, first.len()) } {
                Verdict::Is { .. } => Reading::Is(App::of(self.name)),
                Verdict::NeedMore => Reading::NeedMore,
                Verdict::NotMine | Verdict::Malformed { .. } => Reading::NotMine,
            };
        }
        // On a port of its own choice: as messages are told there, and by DNS alone.
        let own_choice = self.name == DNS.name && !opening.is_tcp() && may_begin(first);
        if own_choice && self.recognizes(initiator, responder, first) {
            return Reading::Is(App::of(self.name));
        }
        Reading::NotMine
    }
}
