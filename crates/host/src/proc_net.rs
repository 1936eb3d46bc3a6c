//! The kernel's socket tables as text: `/proc/<pid>/net/{tcp,udp,raw,icmp,…}`
//! (proc_pid_net(5)), and the local addresses in `fib_trie` and `if_inet6`.
//!
//! For raw and ping sockets everywhere, and for the rest only in namespaces
//! that cannot be entered: with many sockets, tables as text are slow.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::Protocol;
use crate::sockets::{Socket, State, end};

/// The tables of a protocol, IPv4 first.
pub(crate) fn tables(protocol: Protocol) -> &'static [&'static str] {
    match protocol {
        Protocol::TCP => &["tcp", "tcp6"],
        Protocol::UDP => &["udp", "udp6"],
        Protocol::UDP_LITE => &["udplite", "udplite6"],
        _ => &[],
    }
}

/// The sockets of a protocol in the namespace whose `net` folder this is.
pub(crate) fn read(net: &Path, protocol: Protocol) -> Vec<Socket> {
    tables(protocol).iter().flat_map(|table| read_table(&net.join(table))).collect()
}

/// The raw and ping sockets: of a raw one, the local port is the IP protocol
/// number; of a ping one, the identifier.
pub(crate) fn read_portless(net: &Path, kind: Portless) -> Vec<Socket> {
    let tables = match kind {
        Portless::Raw => ["raw", "raw6"],
        Portless::Ping => ["icmp", "icmp6"],
    };
    tables.iter().flat_map(|table| read_table(&net.join(table))).collect()
}

/// Which sockets without ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Portless {
    Raw,
    Ping,
}

fn read_table(path: &Path) -> Vec<Socket> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().skip(1).filter_map(parse).collect()
}

/// `sl local remote st tx:rx tr:when retrnsmt uid timeout inode …`
fn parse(line: &str) -> Option<Socket> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = parse_end(fields.next()?)?;
    let remote = parse_end(fields.next()?)?;
    let number = u8::from_str_radix(fields.next()?, 16).ok()?;
    let uid = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    let state = match State::from_kernel(number) {
        State::Connected if inode == 0 => State::Detached,
        state => state,
    };
    // A connected raw socket has a remote address with port 0.
    let remote = (remote.port() != 0 || !remote.ip().is_unspecified()).then_some(remote);
    // Whether it takes IPv4 too is not told: most do.
    let dual = local.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    Some(Socket { local, remote, state, dual, interface: 0, inode, uid, cookie: 0 })
}

/// `0100007F:0016`, or 32 digits for IPv6: words in the host's byte order.
fn parse_end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut octets = [0; 16];
    let words = address.len() / 8;
    for (index, word) in octets.chunks_mut(4).take(words).enumerate() {
        let value = u32::from_str_radix(address.get(index * 8..index * 8 + 8)?, 16).ok()?;
        word.copy_from_slice(&value.to_ne_bytes());
    }
    let ip = match words {
        1 => IpAddr::V4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3])),
        4 => IpAddr::V6(Ipv6Addr::from(octets)),
        _ => return None,
    };
    Some(end(ip, port))
}

/// The local addresses of the namespace whose `net` folder this is.
pub(crate) fn local_addresses(net: &Path) -> Vec<IpAddr> {
    let mut addresses = local_v4(&fs::read_to_string(net.join("fib_trie")).unwrap_or_default());
    let v6 = fs::read_to_string(net.join("if_inet6")).unwrap_or_default();
    addresses.extend(v6.lines().filter_map(|line| {
        let number = u128::from_str_radix(line.split_ascii_whitespace().next()?, 16).ok()?;
        Some(IpAddr::V6(Ipv6Addr::from_bits(number)))
    }));
    addresses
}

/// In `fib_trie`, a leaf `|-- 10.0.0.1` is followed by `/32 host LOCAL`.
fn local_v4(text: &str) -> Vec<IpAddr> {
    let mut leaf = None;
    let mut addresses = Vec::new();
    for line in text.lines().map(str::trim_start) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.trim().parse().ok();
        } else if line.starts_with("/32 host LOCAL") {
            addresses.extend(leaf.map(IpAddr::V4 as fn(Ipv4Addr) -> IpAddr));
        }
    }
    addresses.sort_unstable();
    addresses.dedup(); // the main and the local table may both be listed
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_line() {
        let line = "   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 \
                    23019 1 0000000000000000 100 0 0 10 0";
        let socket = parse(line).unwrap();
        if cfg!(target_endian = "little") {
            assert_eq!(socket.local, "127.0.0.1:22".parse().unwrap());
        }
        assert_eq!(
            (socket.remote, socket.state, socket.uid, socket.inode),
            (None, State::Listening, 1000, 23019)
        );
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn mapped_addresses_are_plain() {
        let line = "  1: 0000000000000000FFFF00000100000A:0050 0000000000000000FFFF00000900000A:0FA0 01 \
                    00000000:00000000 00:00000000 00000000    33        0 4021 1 0";
        let socket = parse(line).unwrap();
        assert_eq!(socket.local, "10.0.0.1:80".parse().unwrap());
        assert_eq!(socket.remote, Some("10.0.0.9:4000".parse().unwrap()));
        assert_eq!(socket.state, State::Connected);
        assert!(parse("  sl  local_address rem_address   st").is_none());
        assert!(parse("1: zz:0050").is_none());
    }

    #[test]
    fn local_leaves_of_the_trie() {
        let text = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 10.1.0.0\n        \
                    /24 link UNICAST\n        |-- 10.1.0.7\n           /32 host LOCAL\n        |-- 10.1.0.255\n           \
                    /32 link BROADCAST\nLocal:\n        |-- 10.1.0.7\n           /32 host LOCAL\n";
        assert_eq!(local_v4(text), ["10.1.0.7".parse::<IpAddr>().unwrap()]);
    }
}
