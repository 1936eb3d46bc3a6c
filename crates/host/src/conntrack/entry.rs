//! One connection of the kernel's table (linux/netfilter/nfnetlink_conntrack.h):
//! an `nfgenmsg`, then attributes, of which the two tuples are read. Numbers in
//! them are in network order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Translation;
use crate::Protocol;
use crate::netlink::Attributes;

/// Length of `nfgenmsg`.
const HEADER: usize = 4;
/// `CTA_TUPLE_ORIG`, `CTA_TUPLE_REPLY`.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
/// `CTA_TUPLE_IP`, `CTA_TUPLE_PROTO`.
const ADDRESSES: u16 = 1;
const PROTOCOL: u16 = 2;
/// `CTA_IP_V4_SRC` and what follows it.
const V4_SOURCE: u16 = 1;
const V4_DESTINATION: u16 = 2;
const V6_SOURCE: u16 = 3;
const V6_DESTINATION: u16 = 4;
/// `CTA_PROTO_NUM`, `CTA_PROTO_SRC_PORT`, `CTA_PROTO_DST_PORT`.
const NUMBER: u16 = 1;
const SOURCE_PORT: u16 = 2;
const DESTINATION_PORT: u16 = 3;

/// One direction of a connection.
#[derive(Debug, Clone, Copy)]
struct Tuple {
    protocol: Protocol,
    source: SocketAddr,
    destination: SocketAddr,
}

/// The translation that a message tells of; `None` for a connection that is not
/// translated, or not understood.
pub(super) fn parse(body: &[u8], ended: bool) -> Option<Translation> {
    let (mut original, mut reply) = (None, None);
    for (kind, value) in Attributes(body.get(HEADER..)?) {
        match kind {
            ORIGINAL => original = tuple(value),
            REPLY => reply = tuple(value),
            _ => {}
        }
    }
    let (original, reply) = (original?, reply?);
    let translation = Translation {
        protocol: original.protocol,
        original: (original.source, original.destination),
        translated: (reply.destination, reply.source),
        ended,
    };
    (translation.original != translation.translated).then_some(translation)
}

fn tuple(attributes: &[u8]) -> Option<Tuple> {
    let (mut source, mut destination) = (None, None);
    let (mut protocol, mut ports) = (None, [0; 2]);
    for (kind, value) in Attributes(attributes) {
        match kind {
            ADDRESSES => {
                for (kind, value) in Attributes(value) {
                    match kind {
                        V4_SOURCE | V6_SOURCE => source = address(value),
                        V4_DESTINATION | V6_DESTINATION => destination = address(value),
                        _ => {}
                    }
                }
            }
            PROTOCOL => {
                for (kind, value) in Attributes(value) {
                    match kind {
                        NUMBER => protocol = value.first().map(|number| Protocol(*number)),
                        SOURCE_PORT => ports[0] = port(value)?,
                        DESTINATION_PORT => ports[1] = port(value)?,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let protocol = protocol?;
    if !protocol.has_ports() {
        ports = [0; 2];
    }
    Some(Tuple {
        protocol,
        source: SocketAddr::new(source?, ports[0]),
        destination: SocketAddr::new(destination?, ports[1]),
    })
}

fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?).into()),
        _ => None,
    }
}

fn port(value: &[u8]) -> Option<u16> {
    value.try_into().map(u16::from_be_bytes).ok()
}

#[cfg(test)]
mod tests {
    // Datagrams as Linux 6.18 sent them, on a router that masqueraded 10.1.0.0/24
    // and fd01::/64 as 10.2.0.254 and fd02::fe, and redirected its port 8080 to
    // 10.2.0.1:7002.

    use super::super::{DELETE, NEW};
    use super::*;
    use crate::netlink::Messages;

    const MASQUERADED_PING: &str = "\
        a4000000000100060000000000000000020000003c00018014000180080001000a010001080002000a0200012400028005000100\
        01000000060004005d5c0000050005000800000005000600000000003c00028014000180080001000a020001080002000a0200fe\
        240002800500010001000000060004005d5c00000500050000000000050006000000000008000c0006628e4f0800030000000198\
        080007000000001e";
    const MASQUERADED_PING6: &str = "\
        d40000000001000600000000000000000a000000540001802c00018014000300fd01000000000000000000000000000114000400\
        fd02000000000000000000000000000124000280050001003a000000060007005d5d000005000800800000000500090000000000\
        540002802c00018014000300fd02000000000000000000000000000114000400fd0200000000000000000000000000fe24000280\
        050001003a000000060007005d5d00000500080081000000050009000000000008000c00508aab5f080003000000019808000700\
        0000001e";
    const MASQUERADED_UDP: &str = "\
        94000000000100060000000000000000020000003400018014000180080001000a010001080002000a0200011c00028005000100\
        11000000060002009c410000060003001b5900003400028014000180080001000a020001080002000a0200fe1c00028005000100\
        11000000060002001b590000060003009c41000008000c00e58d1e480800030000000198080007000000001e";
    const TRANSLATED_TCP: &str = "\
        c4000000000100060000000000000000020000003400018014000180080001000a010001080002000a0100fe1c00028005000100\
        06000000060002009c420000060003001f9000003400028014000180080001000a020001080002000a0200fe1c00028005000100\
        06000000060002001b5a0000060003009c42000008000c0046f579ee08000300000001b80800070000000078300004802c000180\
        0500010001000000050002000a000000050003000000000006000400030000000600050000000000";
    const TRANSLATED_TCP_ENDS: &str = "\
        a4000000020100000000000000000000020000003400018014000180080001000a010001080002000a0100fe1c00028005000100\
        06000000060002009c420000060003001f9000003400028014000180080001000a020001080002000a0200fe1c00028005000100\
        06000000060002001b5a0000060003009c42000008000c0046f579ee08000300000003b80800070000000078100004800c000180\
        0500010008000000";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// Type of the datagram's one message, and what it tells.
    fn read(hex: &str, ended: bool) -> (u16, Option<Translation>) {
        let bytes = bytes(hex);
        let mut messages = Messages(&bytes);
        let message = messages.next().unwrap();
        assert!(messages.next().is_none());
        (message.kind, parse(message.body, ended))
    }

    fn translation(
        protocol: Protocol,
        original: [&str; 2],
        translated: [&str; 2],
        ended: bool,
    ) -> Translation {
        let ends = |[source, destination]: [&str; 2]| (source.parse().unwrap(), destination.parse().unwrap());
        Translation { protocol, original: ends(original), translated: ends(translated), ended }
    }

    #[test]
    fn a_source_that_is_translated() {
        let told = translation(
            Protocol::UDP,
            ["10.1.0.1:40001", "10.2.0.1:7001"],
            ["10.2.0.254:40001", "10.2.0.1:7001"],
            false,
        );
        assert_eq!(read(MASQUERADED_UDP, false), (NEW, Some(told)));
    }

    #[test]
    fn both_ends_are_translated() {
        let [original, translated] =
            [["10.1.0.1:40002", "10.1.0.254:8080"], ["10.2.0.254:40002", "10.2.0.1:7002"]];
        let told = translation(Protocol::TCP, original, translated, false);
        assert_eq!(read(TRANSLATED_TCP, false), (NEW, Some(told)));
        let told = translation(Protocol::TCP, original, translated, true);
        assert_eq!(read(TRANSLATED_TCP_ENDS, true), (DELETE, Some(told)));
    }

    #[test]
    fn an_echo_has_no_ports() {
        let told =
            translation(Protocol::ICMP, ["10.1.0.1:0", "10.2.0.1:0"], ["10.2.0.254:0", "10.2.0.1:0"], false);
        assert_eq!(read(MASQUERADED_PING, false), (NEW, Some(told)));
        let told = translation(
            Protocol::ICMPV6,
            ["[fd01::1]:0", "[fd02::1]:0"],
            ["[fd02::fe]:0", "[fd02::1]:0"],
            false,
        );
        assert_eq!(read(MASQUERADED_PING6, false), (NEW, Some(told)));
    }

    #[test]
    fn what_is_answered_as_it_was_asked_is_not_translated() {
        let untouched = MASQUERADED_UDP.replace("0a0200fe", "0a010001");
        assert_eq!(read(&untouched, false), (NEW, None));
        // An echo whose identifier alone was changed is the same flow.
        let renumbered = MASQUERADED_PING.replace("0a0200fe", "0a010001").replacen("5d5c", "5d5d", 1);
        assert_eq!(read(&renumbered, false), (NEW, None));
    }

    #[test]
    fn what_is_cut_short_tells_nothing_wrong() {
        for hex in [MASQUERADED_PING6, MASQUERADED_UDP, TRANSLATED_TCP] {
            let bytes = bytes(hex);
            let body = Messages(&bytes).next().unwrap().body;
            let whole = parse(body, false);
            assert!(whole.is_some());
            for cut in 0..body.len() {
                let told = parse(&body[..cut], false);
                assert!(told.is_none() || told == whole, "cut at {cut}: {told:?}");
            }
        }
    }
}
