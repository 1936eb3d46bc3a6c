//! Payloads of which every message is read: datagrams and stream directions.

use std::collections::BTreeMap;

use dissect::app::{Fact, MessageDissector, Verdict, by_content, by_port};
use dissect::{Ip, Tcp, TcpFlags, Timestamp};

use crate::key::FlowKey;
use crate::ledger::InterfaceId;
use crate::lookup::{Keep, Lookups};
use crate::stream::{Stream, Streams};

/// Which packet completed a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) timestamp: Timestamp,
    /// When the first packet of its capture was seen.
    pub(crate) since: Timestamp,
    pub(crate) frame: u64,
    pub(crate) interface: InterfaceId,
}

/// What payloads said, and what is kept of others until they have said it.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    streams: Streams,
    pub(crate) said: Said,
}

/// What payloads said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) lookups: Lookups,
    /// Messages that their specification rules out, by protocol and reason.
    pub(crate) malformed: BTreeMap<(&'static str, &'static str), u64>,
}

impl Messages {
    pub(crate) fn new(keep: Keep) -> Self {
        let said = Said { lookups: Lookups::new(keep), ..Said::default() };
        Self { said, ..Self::default() }
    }

    /// Reads the payload of a whole packet, if anybody speaks on its ports; gives the protocol of the messages that it
    /// completed.
    #[inline]
    pub(crate) fn read(
        &mut self,
        origin: Origin,
        ip: &Ip,
        tcp: Option<&Tcp>,
        payload: &[u8],
    ) -> Option<&'static str> {
        match (by_port(ip.protocol, ip.src_port, ip.dst_port), tcp) {
            (Some(dissector), Some(tcp)) => self.read_segment(dissector, origin, ip, tcp, payload),
            (Some(dissector), None) => self.read_datagram(dissector, origin, ip, payload),
            (None, Some(_)) => None,
            (None, None) => {
                let dissector = by_content(ip.src_port, ip.dst_port, payload)?;
                self.read_datagram(dissector, origin, ip, payload)
            }
        }
    }

    fn read_datagram(
        &mut self,
        dissector: &'static dyn MessageDissector,
        origin: Origin,
        ip: &Ip,
        payload: &[u8],
    ) -> Option<&'static str> {
        let verdict = dissector.dissect(&ip.five_tuple(), payload);
        self.said.note(dissector, origin, ip, &verdict);
        matches!(verdict, Verdict::Is { .. }).then(|| dissector.name())
    }

    fn read_segment(
        &mut self,
        dissector: &'static dyn MessageDissector,
        origin: Origin,
        ip: &Ip,
        tcp: &Tcp,
        payload: &[u8],
    ) -> Option<&'static str> {
        let (key, side) = FlowKey::of(ip);
        // A SYN may carry data (RFC 7413), which stands behind it.
        let syn = tcp.flags.has(TcpFlags::SYN);
        let seq = tcp.seq.wrapping_add(u32::from(syn));
        if syn {
            self.streams.begin(key, side, seq);
        }
        let tuple = ip.five_tuple();
        // A stream that was picked up in its middle, with bytes that mean nothing to the dissector, is not followed.
        let unknown = !self.streams.knows(key, side);
        if payload.is_empty() || unknown && dissector.dissect(&tuple, payload) == Verdict::NotMine {
            return None;
        }
        let stream = self.streams.push(key, side, seq, payload);
        let spoken = self.said.read_stream(dissector, origin, ip, stream);
        self.streams.settle(key, side);
        spoken
    }
}

impl Said {
    /// Reads the messages that are whole by now; gives their protocol.
    fn read_stream(
        &mut self,
        dissector: &'static dyn MessageDissector,
        origin: Origin,
        ip: &Ip,
        stream: &mut Stream,
    ) -> Option<&'static str> {
        let tuple = ip.five_tuple();
        let mut spoken = None;
        let mut read = 0;
        while let Some(rest) = stream.ready.get(read..).filter(|rest| !rest.is_empty()) {
            let verdict = dissector.dissect(&tuple, rest);
            match verdict {
                Verdict::NotMine => {
                    stream.give_up();
                    return spoken;
                }
                Verdict::NeedMore => break,
                Verdict::Is { consumed, .. } | Verdict::Malformed { consumed, .. } => {
                    read += consumed.clamp(1, rest.len());
                    self.note(dissector, origin, ip, &verdict);
                    if matches!(verdict, Verdict::Is { .. }) {
                        spoken = Some(dissector.name());
                    }
                }
            }
        }
        stream.ready.drain(..read);
        spoken
    }

    fn note(
        &mut self,
        dissector: &'static dyn MessageDissector,
        origin: Origin,
        ip: &Ip,
        verdict: &Verdict<'_>,
    ) {
        let reason = match verdict {
            Verdict::Is { fact: Fact::Dns(message), .. } => {
                self.lookups.note(origin, dissector.name(), ip, message);
                return;
            }
            Verdict::Malformed { reason, .. } => reason,
            Verdict::NeedMore => "cut short",
            Verdict::NotMine => return,
        };
        *self.malformed.entry((dissector.name(), reason)).or_default() += 1;
    }
}
