//! The nameservers of resolv.conf(5).

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};

/// Nameservers that are used, as by the C library (MAXNS).
const MAX_SERVERS: usize = 3;
/// RFC 1035, section 4.2.
const PORT: u16 = 53;

/// The first nameservers that `text` names; the host's own if it names none.
pub(super) fn servers(text: &str) -> Vec<SocketAddr> {
    let named = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next().and_then(server)).flatten()
    };
    let servers: Vec<_> = text.lines().filter_map(named).take(MAX_SERVERS).collect();
    if servers.is_empty() { vec![(Ipv4Addr::LOCALHOST, PORT).into()] } else { servers }
}

/// `192.0.2.53`, `2001:db8::53` or `fe80::53%eth0`.
fn server(text: &str) -> Option<SocketAddr> {
    match text.split_once('%') {
        None => Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, PORT)),
        Some((addr, zone)) => Some(SocketAddrV6::new(addr.parse().ok()?, PORT, 0, index(zone)?).into()),
    }
}

/// The index of an interface, by its number or name.
fn index(zone: &str) -> Option<u32> {
    if let Ok(index) = zone.parse() {
        return Some(index);
    }
    let harmless = !zone.is_empty() && !zone.starts_with('.') && !zone.contains('/');
    let text = harmless.then(|| std::fs::read_to_string(format!("/sys/class/net/{zone}/ifindex")).ok());
    text.flatten()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        servers(text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nameservers() {
        let text = "# nameserver 192.0.2.1\n; nameserver 192.0.2.2\nsearch example.org\n\
                    nameserver 192.0.2.3\n nameserver\t2001:db8::53 # two\nnameserver none\nnameserver fe80::1%7\n\
                    nameserver 192.0.2.4\n";
        assert_eq!(shown(text), ["192.0.2.3:53", "[2001:db8::53]:53", "[fe80::1%7]:53"]);
    }

    #[test]
    fn without_any_the_host_is_asked() {
        for text in ["", "options edns0\n", "nameserver\n", "nameserver fe80::1%../x\n"] {
            assert_eq!(shown(text), ["127.0.0.1:53"], "{text:?}");
        }
    }
}
