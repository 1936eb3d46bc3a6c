//! Which flows are shown, and which end of a flow is this side's.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use dissect::{Endpoint, FiveTuple};

use crate::attribution::{Answer, End, Reason};
use crate::flow::{Flow, LOCAL};
use crate::key::Side;
use crate::pattern::ProcessPattern;
use crate::record::FlowDirection;

const UDP: u8 = 17;

/// Addresses that share a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether `addr` lies in it.
    pub fn contains(&self, addr: IpAddr) -> bool {
        match (self.base, addr) {
            (IpAddr::V4(base), IpAddr::V4(addr)) => {
                let differ = base.to_bits() ^ addr.to_bits();
                differ.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(addr)) => {
                let differ = base.to_bits() ^ addr.to_bits();
                differ.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    /// `192.0.2.0/24`, `2001:db8::/32`, or one address.
    fn from_str(text: &str) -> Result<Self, String> {
        let (addr, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let base: IpAddr = addr.parse().map_err(|_| format!("{addr:?} is not an IP address"))?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(p) => p
                .parse()
                .ok()
                .filter(|p| *p <= most)
                .ok_or_else(|| format!("prefix length {p:?} is not a number from 0 to {most}"))?,
        };
        Ok(Self { base, prefix })
    }
}

/// Which flows are shown.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Hide loopback traffic (127.0.0.0/8, ::1).
    pub no_local: bool,
    /// Hide what stays inside private networks (RFC 1918, RFC 4193, link-local).
    pub exclude_lan: bool,
    /// What counts as this side.
    pub local: Vec<Network>,
    /// Addresses of the hosts that captured, as captures say; asked where `local` says nothing.
    pub told: BTreeSet<IpAddr>,
    /// Only flows of such processes, on either end; none for all.
    pub processes: Vec<ProcessPattern>,
    /// Ends of the program's own lookups, whose flows are hidden.
    pub own: Vec<SocketAddr>,
}

impl Selection {
    /// Whether every flow is shown, whatever it is.
    pub(crate) fn is_all(&self) -> bool {
        self.processes.is_empty() && self.own.is_empty() && !self.no_local && !self.exclude_lan
    }

    pub(crate) fn shows(&self, flow: &Flow, answer: Option<&Answer>) -> bool {
        if !self.processes.is_empty() && !self.is_of_process(answer) {
            return false;
        }
        if self.is_own_lookup(flow) {
            return false;
        }
        if !self.no_local && !self.exclude_lan {
            return true;
        }
        let [a, b] = [Side::Low, Side::High].map(|side| flow.key.endpoint(side).addr);
        let looped = self.no_local && (a.is_loopback() || b.is_loopback());
        let lan = self.exclude_lan && stays_inside(a) && stays_inside(b) && (private(a) || private(b));
        !looped && !lan
    }

    fn is_of_process(&self, answer: Option<&Answer>) -> bool {
        let Some(Answer::Owner(owned)) = answer else { return false };
        let either = [Some(&*owned.owner), owned.peer.as_deref()];
        either.into_iter().flatten().any(|owner| ProcessPattern::any(&self.processes, Some(owner)))
    }

    /// Whether a flow is of the program's own lookups.
    pub(crate) fn is_own_lookup(&self, flow: &Flow) -> bool {
        !self.own.is_empty() && [Side::Low, Side::High].into_iter().any(|side| self.is_own(flow, side))
    }

    /// Whether a message is.
    pub(crate) fn is_own_message(&self, tuple: &FiveTuple) -> bool {
        let is = |end: &Endpoint| self.own.iter().any(|own| own.port() == end.port && own.ip() == end.addr);
        tuple.protocol == UDP && (is(&tuple.src) || is(&tuple.dst))
    }

    fn is_own(&self, flow: &Flow, side: Side) -> bool {
        let end = flow.key.endpoint(side);
        flow.key.protocol() == UDP
            && self.own.iter().any(|own| own.port() == end.port && own.ip() == end.addr)
    }

    /// Which way `flow` goes: by `local`, else by the end that has an owner, else by what the source of packets knew (of
    /// each packet, or of its own addresses); `None` where none of them says.
    pub(crate) fn direction(&self, flow: &Flow, answer: Option<&Answer>) -> Option<FlowDirection> {
        let is_local = |side: Side| {
            let addr = flow.key.endpoint(side).addr;
            self.local.iter().any(|n| n.contains(addr))
        };
        let known = |side: Side| {
            flow.local & LOCAL[side.index()] != 0
                || !self.told.is_empty() && self.told.contains(&flow.key.endpoint(side).addr)
        };
        let (from, to) = (flow.initiator, flow.initiator.other());
        if self.local.is_empty() {
            match answer {
                Some(Answer::Owner(owned)) if owned.peer.is_some() => return Some(FlowDirection::Internal),
                Some(Answer::Owner(owned)) => {
                    return Some(match owned.end {
                        End::Source => FlowDirection::Outbound,
                        End::Destination => FlowDirection::Inbound,
                    });
                }
                Some(Answer::None(Reason::Forwarded)) => return Some(FlowDirection::Forwarded),
                _ => {}
            }
            return match (known(from), known(to)) {
                (true, true) => Some(FlowDirection::Internal),
                (true, false) => Some(FlowDirection::Outbound),
                (false, true) => Some(FlowDirection::Inbound),
                (false, false) => None,
            };
        }
        Some(match (is_local(from), is_local(to)) {
            (true, true) => FlowDirection::Internal,
            (true, false) => FlowDirection::Outbound,
            (false, true) => FlowDirection::Inbound,
            (false, false) => FlowDirection::Forwarded,
        })
    }
}

/// Private, or unable to leave the link.
fn stays_inside(addr: IpAddr) -> bool {
    private(addr)
        || match addr {
            IpAddr::V4(a) => a.is_broadcast() || a.octets()[..3] == [224, 0, 0] || a.octets()[0] == 239,
            // Multicast scopes up to site-local (RFC 7346, section 2).
            IpAddr::V6(a) => a.is_multicast() && a.segments()[0] & 0xf <= 5,
        }
}

/// RFC 1918, RFC 4193, link-local (RFC 3927; RFC 4291, section 2.5.6), unspecified.
fn private(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(a) => a.is_private() || a.is_link_local() || a.is_unspecified(),
        IpAddr::V6(a) => a.is_unique_local() || a.is_unicast_link_local() || a.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let net: Network = "10.1.0.0/16".parse().unwrap();
        assert!(net.contains("10.1.255.1".parse().unwrap()));
        assert!(!net.contains("10.2.0.1".parse().unwrap()));
        assert!(!net.contains("::1".parse().unwrap()));
        assert!("0.0.0.0/0".parse::<Network>().unwrap().contains("8.8.8.8".parse().unwrap()));
        assert!("2001:db8::1".parse::<Network>().unwrap().contains("2001:db8::1".parse().unwrap()));
        assert!("10.0.0.0/33".parse::<Network>().is_err());
        assert!("lan".parse::<Network>().is_err());
    }
}
