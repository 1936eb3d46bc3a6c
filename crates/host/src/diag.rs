//! The kernel's sockets over netlink: `NETLINK_SOCK_DIAG` with
//! `inet_diag_req_v2` (linux/inet_diag.h, sock_diag(7)).
//!
//! A request without `NLM_F_DUMP` looks up one socket with the kernel's own
//! match, in constant time however many sockets there are. Raw and ping sockets
//! are not asked for here: the module is often not there, and their tables in
//! `/proc` are short.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::Protocol;
use crate::netlink::{Attributes, NetlinkSocket, u32_at};
use crate::sockets::{Socket, State, end};

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// `INET_DIAG_SKV6ONLY`, sent for unconnected IPv6 sockets.
const ATTRIBUTE_V6_ONLY: u16 = 11;
/// `INET_DIAG_NOCOOKIE`.
const NO_COOKIE: u32 = u32::MAX;
/// Length of `inet_diag_msg`.
const REPLY: usize = 72;
/// Length of `inet_diag_req_v2`.
const REQUEST: usize = 56;
/// Requests sent in one call: their answers fit the default receive buffer.
const BATCH: usize = 64;

/// All states but TIME_WAIT and requests: those that a process may hold.
const HELD: u32 = 0xfff & !(1 << 6) & !(1 << 3);
/// A query for one socket, seen from this host's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Lookup {
    /// TCP, UDP, UDP-Lite or SCTP.
    pub(crate) protocol: Protocol,
    /// This host's end.
    pub(crate) local: SocketAddr,
    /// The other end; unspecified with port 0 for a listener.
    pub(crate) remote: SocketAddr,
    /// Index of the interface, 0 if not known.
    pub(crate) interface: u32,
}

/// A sock_diag socket of one network namespace.
#[derive(Debug)]
pub(crate) struct Diag(NetlinkSocket);

impl Diag {
    /// Opens it in the network namespace of the calling thread.
    pub(crate) fn open() -> io::Result<Self> {
        NetlinkSocket::sock_diag().map(Self)
    }

    /// Looks up one socket for each of `lookups`: `None` where the kernel has
    /// none, or does not know the protocol.
    pub(crate) fn find(&mut self, lookups: &[Lookup]) -> io::Result<Vec<Option<Socket>>> {
        let mut found = vec![None; lookups.len()];
        for (batch, slots) in lookups.chunks(BATCH).zip(found.chunks_mut(BATCH)) {
            let requests: Vec<_> = batch.iter().map(exact).collect();
            self.0.ask(BY_FAMILY, requests.iter().map(<[u8; REQUEST]>::as_slice), |index, answer| {
                if let (Ok(body), Some(slot)) = (answer, slots.get_mut(index)) {
                    *slot = parse(body);
                }
            })?;
        }
        Ok(found)
    }

    /// All sockets of a protocol that a process may hold, over IPv4 and IPv6.
    ///
    /// A protocol that the kernel does not know gives none.
    pub(crate) fn dump(&mut self, protocol: Protocol) -> io::Result<Vec<Socket>> {
        self.dump_port(protocol, 0)
    }

    /// Those of them with this local port; 0 for any.
    pub(crate) fn dump_port(&mut self, protocol: Protocol, port: u16) -> io::Result<Vec<Socket>> {
        let mut sockets = Vec::new();
        for family in [AF_INET, AF_INET6] {
            // The kernel does not look at addresses in a dump.
            let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
            let body = request(family, protocol, HELD, [Some(local), None], 0);
            match self.0.dump(BY_FAMILY, &body, |message| sockets.extend(parse(message))) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sockets)
    }
}

/// The request for one socket.
///
/// The kernel's UDP lookup takes the ends the other way round than its TCP
/// lookup ("src and dst are swapped for historical reasons", net/ipv4/udp_diag.c).
fn exact(lookup: &Lookup) -> [u8; REQUEST] {
    let family = if lookup.local.is_ipv4() { AF_INET } else { AF_INET6 };
    let ends = if lookup.protocol.is_stream() {
        [Some(lookup.local), Some(lookup.remote)]
    } else {
        [Some(lookup.remote), Some(lookup.local)]
    };
    request(family, lookup.protocol, u32::MAX, ends, lookup.interface)
}

/// An `inet_diag_req_v2`.
fn request(
    family: u8,
    protocol: Protocol,
    states: u32,
    [source, destination]: [Option<SocketAddr>; 2],
    interface: u32,
) -> [u8; REQUEST] {
    let mut out = [0; REQUEST];
    let (fixed, id) = out.split_at_mut(8);
    fixed[0] = family;
    fixed[1] = protocol.0;
    fixed[4..8].copy_from_slice(&states.to_ne_bytes());
    for (address, port, ip) in [(source, 0, 4), (destination, 2, 20)] {
        let Some(address) = address else { continue };
        id[port..port + 2].copy_from_slice(&address.port().to_be_bytes());
        match address.ip() {
            IpAddr::V4(v4) => id[ip..ip + 4].copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => id[ip..ip + 16].copy_from_slice(&v6.octets()),
        }
    }
    id[36..40].copy_from_slice(&interface.to_ne_bytes());
    id[40..44].copy_from_slice(&NO_COOKIE.to_ne_bytes());
    id[44..48].copy_from_slice(&NO_COOKIE.to_ne_bytes());
    out
}

/// The socket in an `inet_diag_msg` with its attributes; `None` if it is short
/// or of another family.
fn parse(body: &[u8]) -> Option<Socket> {
    let message = body.get(..REPLY)?;
    let family = *message.first()?;
    let number = *message.get(1)?;
    let address = |ip: usize, port: usize| -> Option<SocketAddr> {
        let port = u16::from_be_bytes(message.get(port..port + 2)?.try_into().ok()?);
        let bytes = message.get(ip..ip + 16)?;
        let ip = match family {
            AF_INET => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(..4)?).ok()?)),
            AF_INET6 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
            _ => return None,
        };
        Some(end(ip, port))
    };
    let local = address(8, 4)?;
    let remote = address(24, 6)?;
    let v6_only = Attributes(body.get(REPLY..)?)
        .find(|(kind, _)| *kind == ATTRIBUTE_V6_ONLY)
        .and_then(|(_, value)| value.first().copied());
    let inode = u64::from(u32_at(message, 68)?);
    let state = match State::from_kernel(number) {
        State::Connected if inode == 0 => State::Detached,
        state => state,
    };
    let cookie = u64::from(u32_at(message, 44)?) | u64::from(u32_at(message, 48)?) << 32;
    Some(Socket {
        local,
        remote: (remote.port() != 0).then_some(remote),
        state,
        dual: family == AF_INET6 && v6_only == Some(0),
        interface: u32_at(message, 40)?,
        inode,
        uid: u32_at(message, 64)?,
        cookie,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_request_has_the_ends_where_the_kernel_wants_them() {
        let lookup = |protocol| Lookup {
            protocol,
            local: at("10.0.0.1:80"),
            remote: at("10.0.0.9:4000"),
            interface: 2,
        };
        let tcp = exact(&lookup(Protocol::TCP));
        assert_eq!(tcp[..4], [2, 6, 0, 0]);
        assert_eq!(tcp[8..12], [0, 80, 0x0f, 0xa0]);
        assert_eq!(tcp[12..16], [10, 0, 0, 1]);
        assert_eq!(tcp[28..32], [10, 0, 0, 9]);
        assert_eq!(tcp[44..48], 2_u32.to_ne_bytes());
        assert_eq!(tcp[48..56], [0xff; 8]);
        let udp = exact(&lookup(Protocol::UDP));
        assert_eq!(udp[8..12], [0x0f, 0xa0, 0, 80]);
        assert_eq!(udp[12..16], [10, 0, 0, 9]);
    }

    /// Answers of a kernel (6.18, x86-64) to single requests.
    const LISTENING: &str = "840000001400000001000000a55000000a0a0000ebd90000000000000000000000000000000000000000\
        000000000000000000000000000000000000164a00000000000000000000000000008000000000000000c33e0d0005000800\
        0000000005000b000000000008000f00000000000c00150001000000000000000600160012000000";
    const ACCEPTED: &str = "7c0000001400000001000000a55000000a010000ebd9ae9a00000000000000000000ffff7f0000010000\
        0000000000000000ffff7f00000100000000174a00000000000000000000000000000000000000000000c53e0d0005000800\
        0000000008000f00000000000c00150001000000000000000600160012000000";
    const WAITING: &str = "600000001400000001000000a55000000a060300ebd9ae9a00000000000000000000ffff7f0000010000000000\
        0000000000ffff7f00000100000000174a00000000000060ea00000000000000000000000000000000000008000f0000000000";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn recorded_answers() {
        let read = |hex| parse(crate::netlink::Messages(&bytes(hex)).next().unwrap().body).unwrap();
        let listening = Socket {
            local: at("[::]:60377"),
            remote: None,
            state: State::Listening,
            dual: true,
            interface: 0,
            inode: 0x000d_3ec3,
            uid: 0,
            cookie: 0x4a16,
        };
        assert_eq!(read(LISTENING), listening);
        let accepted = Socket {
            local: at("127.0.0.1:60377"),
            remote: Some(at("127.0.0.1:44698")),
            state: State::Connected,
            dual: false,
            inode: 0x000d_3ec5,
            cookie: 0x4a17,
            ..listening
        };
        assert_eq!(read(ACCEPTED), accepted);
        assert_eq!(read(WAITING), Socket { state: State::Detached, inode: 0, ..accepted });
    }

    #[test]
    fn prefixes_of_a_reply_are_no_socket() {
        for length in 0..REPLY {
            assert_eq!(parse(&vec![2; length]), None);
        }
    }
}
