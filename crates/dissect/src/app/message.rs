//! Protocols of which every message is read.
//!
//! Each is asked by the ports it names ([`by_port`]), or where it recognizes what no port explains ([`by_content`]). It
//! is given the bytes of one datagram, or the contiguous bytes of one stream direction from where the last message
//! ended, and says what they are.

use std::sync::LazyLock;

use super::{MESSAGES, dns};
use crate::FiveTuple;
use crate::port_set::PortSet;

/// Says which protocols are known by what they say, wherever they say it, and what may begin one of their messages: a look
/// at a few bytes, which is taken at every datagram on ports that nobody is known by.
macro_rules! recognizers {
    ($($protocol:expr, if $may_begin:path;)+) => {
        static RECOGNIZERS: &[&dyn MessageDissector] = &[$(&$protocol),+];

        /// Whether [`by_content`] may know who sent `bytes`: no is sure, and soon said of most.
        #[inline]
        pub(crate) fn may_recognize(bytes: &[u8]) -> bool {
            $($may_begin(bytes))||+
        }
    };
}

recognizers! {
    dns::DNS, if dns::may_begin;
}

/// A port that an application protocol is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// A UDP port, at either end.
    Udp(u16),
    /// A TCP port, at either end.
    Tcp(u16),
}

/// What a message dissector found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact<'a> {
    /// One DNS, mDNS or LLMNR message.
    Dns(dns::Outline<'a>),
}

/// What a message dissector says of the bytes it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// This is another protocol.
    NotMine,
    /// The message goes on in bytes that were not given.
    NeedMore,
    /// One message, which ends after `consumed` bytes; what follows may be another.
    Is {
        /// Bytes up to the message's end.
        consumed: usize,
        /// What it says.
        fact: Fact<'a>,
    },
    /// One message that its specification rules out, for `reason`; it ends after `consumed` bytes.
    Malformed {
        /// Bytes up to the message's end.
        consumed: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// One protocol of messages.
pub trait MessageDissector: Sync {
    /// Its name: lower case, as the field writes it.
    fn name(&self) -> &'static str;
    /// Where it is usually spoken.
    fn ports(&self) -> &'static [Port];
    /// Reads the message at the start of `bytes`, which `tuple`'s source sent.
    fn dissect<'a>(&self, tuple: &FiveTuple, bytes: &'a [u8]) -> Verdict<'a>;
    /// Whether `bytes`, a datagram on ports that nobody is known by, begin a message that is its own beyond doubt.
    fn recognizes(&self, _src_port: u16, _dst_port: u16, _bytes: &[u8]) -> bool {
        false
    }
}

/// The ports that some message dissector names.
pub(crate) fn ports() -> impl Iterator<Item = u16> {
    MESSAGES.iter().flat_map(|d| d.ports()).map(|port| match port {
        Port::Udp(port) | Port::Tcp(port) => *port,
    })
}

/// The ports that some message dissector names: most packets are none's.
static NAMED: LazyLock<PortSet> = LazyLock::new(|| ports().collect());

/// Who speaks on one of these ports; the destination's counts first.
#[inline]
pub fn by_port(protocol: u8, src_port: u16, dst_port: u16) -> Option<&'static dyn MessageDissector> {
    if NAMED.has_any([dst_port, src_port]) { registered(protocol, src_port, dst_port) } else { None }
}

fn registered(protocol: u8, src_port: u16, dst_port: u16) -> Option<&'static dyn MessageDissector> {
    let speaks = |port: u16| {
        let wanted = match protocol {
            6 => Port::Tcp(port),
            17 => Port::Udp(port),
            _ => return None,
        };
        MESSAGES.iter().copied().find(|d| d.ports().contains(&wanted))
    };
    speaks(dst_port).or_else(|| speaks(src_port))
}

/// Who sent the datagram `bytes` between ports where [`by_port`] knows nobody, told by the first bytes alone.
#[inline]
pub fn by_content(src_port: u16, dst_port: u16, bytes: &[u8]) -> Option<&'static dyn MessageDissector> {
    RECOGNIZERS.iter().copied().find(|d| d.recognizes(src_port, dst_port, bytes))
}
