//! Encrypted resolvers that plain DNS tells of: designations (RFC 9461, RFC 9462) and DNSCrypt's certificates.

use std::net::IpAddr;
use std::sync::Arc;

use dissect::app::App;
use dissect::app::dns::Service;
use dissect::{Endpoint, Timestamp};
use hashbrown::HashMap;

use super::{DnsBy, DnsKind, Told, in_lower_case, speaks};

/// Announcements that are kept; beyond, all are learned anew.
const MAX_KEPT: usize = 4096;
/// What is announced again so many nanoseconds after it was told others is told them again: somebody may not have had room.
const TOLD_AGAIN: i64 = 60_000_000_000;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// One encrypted resolver that an answer told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    pub(crate) kind: DnsKind,
    /// Where it is.
    pub(crate) at: Endpoint,
    /// What it is called, if it has a name.
    pub(crate) name: Option<Arc<str>>,
}

impl Announcement {
    /// What the SVCB record `service` of an answer from `resolver` tells: a resolver for each protocol and address that it
    /// names. Without addresses it is the resolver itself that is meant, or a name whose addresses are not known here.
    pub(crate) fn of_service(service: &Service, resolver: IpAddr) -> Vec<Self> {
        let own = [resolver];
        let addresses = if service.hints.is_empty() { &own[..] } else { &service.hints };
        let name = Some(&service.target).filter(|name| !name.is_empty());
        let mut all = Vec::new();
        let mut kinds = Vec::new();
        for found in service.alpn.iter().filter_map(|alpn| kind_of(alpn)) {
            // Several protocols may be of one kind.
            if !kinds.contains(&found) {
                kinds.push(found);
            }
        }
        for (kind, usual) in kinds {
            let port = service.port.unwrap_or(usual);
            let found = addresses.iter().map(|&addr| Announcement {
                kind,
                at: Endpoint { addr, port },
                name: name.cloned(),
            });
            found.for_each(|one| {
                if !all.contains(&one) {
                    all.push(one);
                }
            });
        }
        all
    }
}

/// The kind of DNS that a protocol is for, and its usual port (RFC 9461, section 4).
fn kind_of(alpn: &str) -> Option<(DnsKind, u16)> {
    Some(match alpn {
        "dot" => (DnsKind::Tls, 853),
        "doq" => (DnsKind::Quic, 853),
        "h2" | "h3" | "http/1.1" => (DnsKind::Https, 443),
        _ => return None,
    })
}

/// What is known of an announced resolver.
#[derive(Debug)]
struct Place {
    name: Option<Arc<str>>,
    /// When others were told of it.
    told: Option<Timestamp>,
}

/// Encrypted resolvers that answers told of.
#[derive(Debug, Default)]
pub(crate) struct Announced {
    places: HashMap<(Endpoint, DnsKind), Place>,
    /// In lower case, each with the kinds that it serves, a bit each.
    names: HashMap<Arc<str>, u8>,
    /// Bits of the places' ports, modulo 64.
    ports: u64,
}

impl Announced {
    /// Remembers one; gives whether it was not known.
    pub(crate) fn learn(&mut self, one: Announcement) -> bool {
        if self.places.len() >= MAX_KEPT {
            *self = Announced::default();
        }
        if let Some(name) = &one.name {
            *self.names.entry(name.to_ascii_lowercase().into()).or_default() |= bit(one.kind);
        }
        self.ports |= 1 << (one.at.port % 64);
        let place = (one.at, one.kind);
        if self.places.get(&place).is_some_and(|known| known.name == one.name) {
            return false;
        }
        self.places.insert(place, Place { name: one.name, told: None });
        true
    }

    /// Whether others are to be told of one that was announced `at` this time, which they then are.
    pub(crate) fn tell(&mut self, one: &Announcement, at: Timestamp) -> bool {
        let Some(place) = self.places.get_mut(&(one.at, one.kind)) else { return false };
        let since = |told: Timestamp| at.0.saturating_sub(told.0);
        let is_due = place.told.is_none_or(|told| !(0..TOLD_AGAIN).contains(&since(told)));
        if is_due {
            place.told = Some(at);
        }
        is_due
    }

    /// Whether one of them may be on this port.
    pub(super) fn may_be_on(&self, port: u16) -> bool {
        self.ports >> (port % 64) & 1 != 0
    }

    /// Whether a flow to `server`, in which a client asked for `name`, is to one of them.
    pub(super) fn of(
        &self,
        transport: u8,
        server: Endpoint,
        name: Option<&str>,
        app: Option<&App>,
    ) -> Option<Told> {
        if self.places.is_empty() {
            return None;
        }
        let kinds: &[DnsKind] = match (transport, app.map(|app| app.protocol)) {
            (TCP, Some("tls")) => &[DnsKind::Tls, DnsKind::Https],
            (UDP, Some("quic")) => &[DnsKind::Quic, DnsKind::Https],
            (TCP, None) => &[DnsKind::Tls, DnsKind::Https, DnsKind::Crypt],
            (UDP, None) => &[DnsKind::Crypt],
            _ => return None,
        };
        let fits = |kind: DnsKind| kind != DnsKind::Tls || !speaks(app, super::is_http);
        let by_name = name.and_then(|name| self.names.get_key_value(&*in_lower_case(name)));
        let found = kinds.iter().filter(|&&kind| fits(kind)).find_map(|&kind| {
            let by_name =
                by_name.filter(|(_, kinds)| **kinds & bit(kind) != 0).map(|(name, _)| Arc::clone(name));
            let at = || self.places.get(&(server, kind)).map(|place| place.name.clone());
            // Who asks for another name asks another one at the same place.
            let by_place = || at().filter(|known| name.is_none() || known.is_none());
            by_name.map(Some).or_else(by_place).map(|name| (kind, name))
        });
        found.map(|(kind, name)| (kind, DnsBy::Announced, name))
    }
}

fn bit(kind: DnsKind) -> u8 {
    1 << kind as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// The example of RFC 9462, section 4.1, with hints.
    #[test]
    fn a_designation_is_a_resolver_for_each_protocol_and_address() {
        let service = Service {
            priority: 1,
            target: "example.net".into(),
            alpn: vec!["h2".into(), "dot".into(), "other".into()],
            port: None,
            hints: vec![addr("192.0.2.1"), addr("2001:db8::1")],
        };
        let all = Announcement::of_service(&service, addr("10.0.0.1"));
        let shown: Vec<_> = all.iter().map(|a| (a.kind.name(), a.at.addr, a.at.port)).collect();
        let expected = [
            ("doh", addr("192.0.2.1"), 443),
            ("doh", addr("2001:db8::1"), 443),
            ("dot", addr("192.0.2.1"), 853),
            ("dot", addr("2001:db8::1"), 853),
        ];
        assert_eq!(shown, expected);
        let own = Service { hints: vec![], port: Some(8443), ..service };
        let all = Announcement::of_service(&own, addr("10.0.0.1"));
        assert!(all.iter().all(|a| a.at == Endpoint { addr: addr("10.0.0.1"), port: 8443 }));
    }

    #[test]
    fn a_flow_is_to_an_announced_resolver_by_name_or_place() {
        let at = Endpoint { addr: addr("192.0.2.1"), port: 443 };
        let mut announced = Announced::default();
        let is_new =
            announced.learn(Announcement { kind: DnsKind::Https, at, name: Some("dns.example.net".into()) });
        assert!(is_new);
        let tls = App::of("tls");
        let elsewhere = Endpoint { addr: addr("192.0.2.2"), port: 443 };
        let of = |server, name| announced.of(TCP, server, name, Some(&tls)).map(|(kind, ..)| kind);
        assert_eq!(of(elsewhere, Some("DNS.example.net")), Some(DnsKind::Https));
        assert_eq!(of(at, None), Some(DnsKind::Https));
        assert_eq!(of(at, Some("www.example.net")), None, "another site at the same address");
        assert_eq!(of(elsewhere, None), None);
        assert_eq!(announced.of(UDP, at, None, Some(&App::of("dns"))), None);
    }
}
