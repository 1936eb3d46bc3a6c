//! Service bindings (RFC 9460), as far as they tell of resolvers (RFC 9461).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::outline::Outline;
use super::wire::Wire;

/// IANA number of the record type.
pub(super) const TYPE_SVCB: u16 = 64;
/// Keys of parameters (RFC 9460, section 14.3.2).
const ALPN: u16 = 1;
const PORT: u16 = 3;
const IPV4_HINT: u16 = 4;
const IPV6_HINT: u16 = 6;

/// Protocols, and addresses of a family, that are read of one record: resolvers have a handful.
const MOST: usize = 64;

/// One SVCB record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// SvcPriority; 0 is an alias.
    pub priority: u16,
    /// TargetName, as in [`super::Question::name`]; empty stands for the record's own.
    pub target: Arc<str>,
    /// Protocols that it speaks, as far as they are text, 64 at most.
    pub alpn: Vec<Arc<str>>,
    /// Its port, where it is not the usual one.
    pub port: Option<u16>,
    /// Addresses that it may be found at, 64 of a family at most.
    pub hints: Vec<IpAddr>,
}

impl Outline<'_> {
    /// The SVCB records among the answers that tell more than an alias; what is cut or malformed is left out.
    pub fn services(&self) -> Vec<Service> {
        let mut services = Vec::new();
        let mut wire = self.answers();
        for _ in 0..self.answer_count() {
            let Ok((kind, _, says)) = wire.pass_any_record() else { break };
            if kind == TYPE_SVCB
                && let Some(service) = service(&mut wire, says)
            {
                services.push(service);
            }
        }
        services
    }
}

/// The record whose data is at `says` in `wire`, which stays where it is.
fn service(wire: &mut Wire<'_>, says: std::ops::Range<usize>) -> Option<Service> {
    let (message, behind) = (wire.message, wire.at);
    let priority = be16(message.get(says.clone())?)?;
    wire.at = says.start + 2;
    let target = wire.name();
    let params = std::mem::replace(&mut wire.at, behind);
    let mut service = Service { priority, target: target.ok()?, alpn: vec![], port: None, hints: vec![] };
    let mut rest = message.get(params..says.end)?;
    while let Some((head, tail)) = rest.split_first_chunk::<4>() {
        let [k0, k1, l0, l1] = *head;
        let (value, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
        service.take(u16::from_be_bytes([k0, k1]), value);
        rest = tail;
    }
    (priority > 0).then_some(service)
}

impl Service {
    /// How many addresses of one more list are read.
    fn room(&self) -> usize {
        (2 * MOST).saturating_sub(self.hints.len()).min(MOST)
    }

    fn take(&mut self, key: u16, mut value: &[u8]) {
        match key {
            ALPN => {
                while let Some((&len, tail)) = value.split_first() {
                    let Some((alpn, tail)) = tail.split_at_checked(usize::from(len)) else { return };
                    if self.alpn.len() == MOST {
                        return;
                    }
                    self.alpn.extend(str::from_utf8(alpn).ok().map(Arc::from));
                    value = tail;
                }
            }
            PORT => self.port = be16(value),
            IPV4_HINT => {
                let addresses = value.as_chunks::<4>().0.iter().take(self.room());
                self.hints.extend(addresses.map(|&a| IpAddr::V4(Ipv4Addr::from(a))));
            }
            IPV6_HINT => {
                let addresses = value.as_chunks::<16>().0.iter().take(self.room());
                self.hints.extend(addresses.map(|&a| IpAddr::V6(Ipv6Addr::from(a))));
            }
            _ => {}
        }
    }
}

fn be16(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|&b| u16::from_be_bytes(b))
}

#[cfg(test)]
mod tests {
    use super::super::wire::Header;
    use super::*;

    /// An answer for `_dns.resolver.arpa` with this record data.
    fn answer(data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x00\x01\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x04_dns\x08resolver\x04arpa\x00\x00\x40\x00\x01\
            \xc0\x0c\x00\x40\x00\x01\x00\x00\x0e\x10"
            .to_vec();
        bytes.extend((data.len() as u16).to_be_bytes());
        bytes.extend(data);
        bytes
    }

    fn services(bytes: &[u8]) -> Vec<Service> {
        Outline::of(Header::of(bytes).unwrap(), bytes).unwrap().services()
    }

    /// `1 dns.example. alpn="h2,dot" port="8443" ipv4hint="192.0.2.1,192.0.2.2" dohpath="/q{?dns}"`, in wire format
    /// (RFC 9460, section 2.2).
    const DATA: &[u8] =
        b"\x00\x01\x03dns\x07example\x00\x00\x01\x00\x07\x02h2\x03dot\x00\x03\x00\x02\x20\xfb\
        \x00\x04\x00\x08\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x07\x00\x08/q{?dns}";

    #[test]
    fn a_designated_resolver() {
        let expected = Service {
            priority: 1,
            target: "dns.example".into(),
            alpn: vec!["h2".into(), "dot".into()],
            port: Some(8443),
            hints: vec![Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::new(192, 0, 2, 2).into()],
        };
        assert_eq!(services(&answer(DATA)), [expected]);
    }

    #[test]
    fn long_lists_are_read_in_part() {
        let parameter =
            |key: u8, value: &[u8]| [&[0, key][..], &(value.len() as u16).to_be_bytes(), value].concat();
        let alpn = parameter(1, &b"\x02h2".repeat(300));
        // Of each family once, as RFC 9460, section 2.2 has it, and once more.
        let hints = [4, 6, 4].map(|key| parameter(key, &[key; 16].repeat(300))).concat();
        let [service] = &services(&answer(&[&b"\0\x01\0"[..], &alpn, &hints].concat()))[..] else { panic!() };
        assert_eq!((service.alpn.len(), service.hints.len()), (64, 2 * 64));
    }

    #[test]
    fn what_is_cut_or_an_alias_tells_nothing() {
        for len in 0..DATA.len() {
            for service in services(&answer(&DATA[..len])) {
                assert!(service.alpn.len() <= 2 && service.hints.len() <= 2, "{service:?}");
            }
        }
        let alias = [&[0, 0][..], &DATA[2..]].concat();
        assert_eq!(services(&answer(&alias)), []);
    }
}
