//! Well-known resolvers, from `data/resolvers.txt`.

use std::net::IpAddr;
use std::sync::LazyLock;

use hashbrown::{HashMap, HashSet};

use super::in_lower_case;

static KNOWN: LazyLock<Known> = LazyLock::new(|| Known::read(include_str!("../../data/resolvers.txt")));

#[derive(Debug, Default)]
struct Known {
    names: HashSet<&'static str>,
    /// Names below these, without the dot.
    domains: HashSet<&'static str>,
    addresses: HashMap<IpAddr, &'static str>,
}

impl Known {
    fn read(text: &'static str) -> Self {
        let mut known = Known::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            let Some(name) = words.next() else { continue };
            match name.strip_prefix('.') {
                Some(domain) => known.domains.insert(domain),
                None => known.names.insert(name),
            };
            known.addresses.extend(words.filter_map(|word| Some((word.parse().ok()?, name))));
        }
        known
    }
}

/// Whether clients ask a well-known resolver by `name`.
pub(super) fn is_resolver(name: &str) -> bool {
    let name = &*in_lower_case(name);
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut domains = name.match_indices('.').map(|(at, _)| &name[at + 1..]);
    KNOWN.names.contains(name) || domains.any(|domain| KNOWN.domains.contains(domain))
}

/// The name of the resolver that serves nothing but DNS on `addr`.
pub(super) fn name_of(addr: IpAddr) -> Option<&'static str> {
    KNOWN.addresses.get(&addr).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_name_and_addresses() {
        let lines = include_str!("../../data/resolvers.txt").lines();
        let mut names = HashSet::new();
        let mut addresses = HashSet::new();
        for line in lines.filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let mut words = line.split_whitespace();
            let name = words.next().unwrap();
            assert!(name.contains('.') && *name == name.to_ascii_lowercase(), "{name}");
            assert!(names.insert(name), "{name} stands there twice");
            for word in words {
                let addr: IpAddr = word.parse().unwrap_or_else(|_| panic!("{word} of {name}"));
                assert!(addresses.insert(addr), "{word} stands there twice");
            }
        }
        assert_eq!(KNOWN.addresses.len(), addresses.len());
    }

    #[test]
    fn names_are_compared_whole() {
        assert!(is_resolver("dns.google"));
        assert!(is_resolver("DNS.Google."));
        assert!(is_resolver("abc123.dns.nextdns.io"));
        for other in ["google", "www.dns.google", "notdns.google", "nextdns.io", "cloudflare.com", ""] {
            assert!(!is_resolver(other), "{other}");
        }
        assert_eq!(name_of("8.8.8.8".parse().unwrap()), Some("dns.google"));
        assert_eq!(name_of("8.8.8.9".parse().unwrap()), None);
    }
}
