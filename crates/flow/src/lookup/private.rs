//! Private addresses and public names.

use std::net::IpAddr;

/// Private or of the host itself: RFC 1918, RFC 4193, link-local, loopback. The unspecified address is none: it stands for
/// names that a resolver blocks.
pub(crate) fn is_private(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(a) => a.is_private() || a.is_link_local() || a.is_loopback(),
        IpAddr::V6(a) => a.is_unique_local() || a.is_unicast_link_local() || a.is_loopback(),
    }
}

/// Ends of names that are private by their nature: RFC 6761 and 6762, RFC 8375, ICANN's `internal`, and what RFC 6762,
/// appendix G, says that private networks use.
const PRIVATE_ENDS: [&str; 13] = [
    "local",
    "localhost",
    "localdomain",
    "home.arpa",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "test",
    "invalid",
    "in-addr.arpa",
];

/// Whether `name`, which is given the private address `addr`, ought to have a public one.
///
/// Names of one label are private. Lists of addresses that answer by names (RFC 5782) say what they know in addresses of
/// the loopback network; the names they are asked for begin with an address written backwards.
pub(super) fn is_public_name(name: &str, addr: IpAddr) -> bool {
    let is_number = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_digit());
    if addr.is_loopback() && name.split('.').take(4).all(is_number) {
        return false;
    }
    let ends_with = |end: &&str| {
        let rest = name.len().checked_sub(end.len()).filter(|rest| name.is_char_boundary(*rest));
        rest.is_some_and(|rest| {
            name[rest..].eq_ignore_ascii_case(end) && (rest == 0 || name[..rest].ends_with('.'))
        })
    };
    name.contains('.') && !PRIVATE_ENDS.iter().any(ends_with)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_names_have_no_private_addresses() {
        let addr = |text: &str| text.parse::<IpAddr>().unwrap();
        for (name, at, expected) in [
            ("rebind.example.org", "192.168.1.1", true),
            ("rebind.example.org", "127.0.0.1", true),
            ("rebind.example.org", "fd00::1", true),
            ("printer.LAN", "192.168.1.1", false),
            ("notlan.example", "192.168.1.1", true),
            ("mylan", "192.168.1.1", false),
            ("nas.home.arpa", "192.168.1.1", false),
            ("2.0.0.127.zen.spamhaus.org", "127.0.0.2", false),
            ("2.0.0.127.zen.spamhaus.org", "10.0.0.2", true),
        ] {
            assert!(is_private(addr(at)));
            assert_eq!(is_public_name(name, addr(at)), expected, "{name} {at}");
        }
        for public in ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "172.32.0.1"] {
            assert!(!is_private(addr(public)), "{public}");
        }
    }
}
