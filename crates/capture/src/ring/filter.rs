//! Which packets the ring takes, and how much of each: the program that runs in the kernel.
//!
//! Copying is what a ring costs, so ordinary packets are cut off behind their
//! headers, and those are kept whole whose payload says something: names,
//! handshakes, starts of requests, and all that is no plain TCP, UDP or ICMP.
//!
//! A load past the end of a packet would end the program with 0, and the packet
//! would never be seen. None can happen: packets of up to [`SHORT`] bytes are
//! taken whole before anything of them is read, and all that is read of a longer
//! one lies within its first [`SHORT`] bytes, since headers with options other
//! than TCP's are not plain. Only offsets from the packet's first byte are used:
//! those from the network header see nothing of a packet in fragments, and the
//! kernel's own payload offset costs more than the rest of the program.
//!
//! On loopback every packet passes twice, sent and received; the first is not taken.

use dissect::packet::{Claim, Registry};

use super::link::arphrd;
use super::program::{
    ADD_K, AND_K, Assembler, Instruction, JEQ, JGE, JGT, JSET, LD_ABS, LD_IND, LD_LEN, LDB_ABS, LDH_ABS,
    Label, RET_K, RSH_K, SUB_X, TAX, To, ancillary,
};

/// Bytes kept of ordinary packets: at most 18 of Ethernet with a tag, 40 of IPv6, 60 of TCP, and a little payload.
const SHORT: u32 = 128;
/// Bytes kept of tunnelled packets: two sets of headers.
const TUNNEL: u32 = 256;
/// Bytes kept of a packet that begins with an HTTP message: its header.
const HEADER: u32 = 4096;
/// Everything, as libpcap says it.
pub(super) const WHOLE: u32 = 262_144;
/// TCP segments with PSH and less payload than this are kept whole: the end of a hello that was split, small messages.
const PUSHED: u32 = 2048;

/// `PACKET_OUTGOING`: what this host sends.
pub(super) const PACKET_OUTGOING: u32 = 4;
/// The Ethernet header.
const ETHERNET: u32 = 14;
/// A VLAN tag.
const TAG: u32 = 4;
/// DNS, multicast DNS and LLMNR: over UDP, and DNS over TCP.
const NAMES: [u16; 3] = [53, 5353, 5355];

/// How much is kept of each packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Snaplen {
    /// What is read of it: the headers of most, the whole of few.
    #[default]
    Adaptive,
    /// At most so many bytes of every packet; 0 for everything.
    Fixed(u32),
}

/// The program for a snaplen and a choice of interfaces, by number; `None` takes all.
pub(super) fn program(snaplen: Snaplen, interfaces: Option<&[u32]>) -> Vec<Instruction> {
    let mut filter = Filter::default();
    if let Some(interfaces) = interfaces {
        filter.choose(interfaces);
    }
    filter.skip_sent_on_loopback();
    match snaplen {
        Snaplen::Adaptive => filter.adapt(),
        Snaplen::Fixed(0) => filter.asm.emit(RET_K, WHOLE),
        Snaplen::Fixed(bytes) => filter.asm.emit(RET_K, bytes),
    }
    filter.end()
}

/// The ports behind which other packets are, or names: sorted, with what to keep.
fn ports(whole: Label, tunnel: Label) -> Vec<(u16, Label)> {
    let registry = Registry::global();
    let carries = |port: &u16| registry.claimant(Claim::UdpPort(*port)).is_some();
    let mut ports: Vec<_> = (0..=u16::MAX).filter(carries).map(|port| (port, tunnel)).collect();
    ports.retain(|(port, _)| !NAMES.contains(port));
    ports.extend(NAMES.map(|port| (port, whole)));
    ports.sort_unstable_by_key(|&(port, _)| port);
    ports
}

/// The program while it is written.
#[derive(Default)]
struct Filter {
    asm: Assembler,
}

/// Where a packet's way through the program ends: how much of it is kept.
#[derive(Clone, Copy)]
struct Ends {
    short: Label,
    tunnel: Label,
    header: Label,
    whole: Label,
}

impl Filter {
    fn end(self) -> Vec<Instruction> {
        let program = self.asm.finish();
        debug_assert!(program.is_some(), "a branch is too long");
        // Never without a program: everything of everything is right, if dear.
        program.unwrap_or_else(|| vec![Instruction { code: RET_K, jt: 0, jf: 0, k: WHOLE }])
    }

    /// `body` for A == `value`, which must not go on behind it.
    fn case(&mut self, value: u32, body: impl FnOnce(&mut Self)) {
        let [same, other] = [self.asm.label(), self.asm.label()];
        self.asm.branch(JEQ, value, To::At(same), To::Next);
        self.asm.jump(other);
        self.asm.place(same);
        body(self);
        self.asm.place(other);
    }

    fn choose(&mut self, interfaces: &[u32]) {
        let chosen = self.asm.label();
        self.asm.emit(LD_ABS, ancillary::IFINDEX);
        for &number in interfaces {
            self.case(number, |f| f.asm.jump(chosen));
        }
        self.asm.emit(RET_K, 0);
        self.asm.place(chosen);
    }

    fn skip_sent_on_loopback(&mut self) {
        let taken = self.asm.label();
        self.asm.emit(LD_ABS, ancillary::HATYPE);
        self.asm.branch(JEQ, u32::from(arphrd::LOOPBACK), To::Next, To::At(taken));
        self.asm.emit(LD_ABS, ancillary::PKTTYPE);
        self.asm.branch(JEQ, PACKET_OUTGOING, To::Next, To::At(taken));
        self.asm.emit(RET_K, 0);
        self.asm.place(taken);
    }

    fn adapt(&mut self) {
        let [long, ethernet, bare] = std::array::from_fn(|_| self.asm.label());
        self.asm.emit(LD_LEN, 0);
        self.asm.branch(JGT, SHORT, To::At(long), To::Next);
        self.asm.emit(RET_K, WHOLE);
        self.asm.place(long);
        self.asm.emit(LD_ABS, ancillary::HATYPE);
        for kind in [arphrd::ETHER, arphrd::LOOPBACK] {
            self.asm.branch(JEQ, u32::from(kind), To::At(ethernet), To::Next);
        }
        for kind in arphrd::BARE {
            self.asm.branch(JEQ, u32::from(kind), To::At(bare), To::Next);
        }
        self.asm.emit(RET_K, WHOLE);
        self.asm.place(bare);
        self.asm.emit(LDB_ABS, 0);
        self.asm.emit(AND_K, 0xf0);
        self.case(0x40, |f| f.ipv4(0));
        self.case(0x60, |f| f.ipv6(0));
        self.asm.emit(RET_K, WHOLE);
        self.asm.place(ethernet);
        self.asm.emit(LDH_ABS, ETHERNET - 2);
        self.ethertype(ETHERNET);
        for tag in [0x8100, 0x88a8, 0x9100] {
            self.case(tag, |f| {
                f.asm.emit(LDH_ABS, ETHERNET + TAG - 2);
                f.ethertype(ETHERNET + TAG);
                f.asm.emit(RET_K, WHOLE);
            });
        }
        self.asm.emit(RET_K, WHOLE);
    }

    /// What the EtherType in A says that begins at `at`; goes on for what is not IP.
    fn ethertype(&mut self, at: u32) {
        self.case(0x0800, |f| f.ipv4(at));
        self.case(0x86dd, |f| f.ipv6(at));
    }

    fn ipv4(&mut self, at: u32) {
        self.ends(|f, ends| {
            f.asm.emit(LDB_ABS, at);
            f.asm.branch(JEQ, 0x45, To::Next, To::At(ends.whole));
            f.asm.emit(LDH_ABS, at + 6);
            // An offset, or more to come: a fragment.
            f.asm.branch(JSET, 0x3fff, To::At(ends.whole), To::Next);
            f.asm.emit(LDB_ABS, at + 9);
            f.transport(at + 20, ends);
        });
    }

    fn ipv6(&mut self, at: u32) {
        self.ends(|f, ends| {
            f.asm.emit(LDB_ABS, at + 6);
            f.transport(at + 40, ends);
        });
    }

    /// `body`, and the ends it goes to; near, because a condition reaches no further than 255 instructions.
    fn ends(&mut self, body: impl FnOnce(&mut Self, Ends)) {
        let [short, tunnel, header, whole] = std::array::from_fn(|_| self.asm.label());
        body(self, Ends { short, tunnel, header, whole });
        for (label, keep) in [(short, SHORT), (tunnel, TUNNEL), (header, HEADER), (whole, WHOLE)] {
            self.asm.place(label);
            self.asm.emit(RET_K, keep);
        }
    }

    /// What the protocol in A, whose header begins at `at`, lets us read.
    fn transport(&mut self, at: u32, ends: Ends) {
        let [tcp, udp] = std::array::from_fn(|_| self.asm.label());
        self.asm.branch(JEQ, 6, To::At(tcp), To::Next);
        self.asm.branch(JEQ, 17, To::At(udp), To::Next);
        // ICMP, ICMPv6, and ESP, of which nothing more can be read.
        for protocol in [1, 58, 50] {
            self.asm.branch(JEQ, protocol, To::At(ends.short), To::Next);
        }
        self.asm.jump(ends.whole);
        self.asm.place(tcp);
        self.tcp(at, ends);
        self.asm.place(udp);
        self.udp(at, ends);
    }

    fn udp(&mut self, at: u32, ends: Ends) {
        let (short, whole) = (To::At(ends.short), To::At(ends.whole));
        let ports = ports(ends.whole, ends.tunnel);
        for port in [at + 2, at] {
            let none = self.asm.label();
            self.asm.emit(LDH_ABS, port);
            self.find_port(&ports, none);
            self.asm.place(none);
        }
        let long = self.asm.label();
        self.asm.emit(LDB_ABS, at + 8);
        self.asm.branch(JSET, 0x80, To::At(long), To::Next);
        // A DTLS handshake: content type 22, version 0xfeff or 0xfefd (RFC 6347, section 4.1).
        self.asm.branch(JEQ, 22, To::Next, short);
        self.asm.emit(LDB_ABS, at + 9);
        self.asm.branch(JEQ, 0xfe, whole, short);
        // A QUIC long header, by its version (RFC 9000, section 17.2; RFC 9369; drafts; Meta's and Google's own).
        self.asm.place(long);
        self.asm.emit(LD_ABS, at + 9);
        self.asm.branch(JEQ, 1, whole, To::Next);
        self.asm.branch(JEQ, 0x6b33_43cf, whole, To::Next);
        self.asm.emit(AND_K, 0xffff_ff00);
        self.asm.branch(JEQ, 0xff00_0000, whole, To::Next);
        self.asm.branch(JEQ, 0xface_b000, whole, To::Next);
        self.asm.emit(AND_K, 0xffff_0000);
        self.asm.branch(JEQ, 0x5130_0000, whole, short);
    }

    /// Goes to the label of the port in A by halving, or to `none`.
    fn find_port(&mut self, ports: &[(u16, Label)], none: Label) {
        if ports.len() > 3 {
            let (lower, upper) = ports.split_at(ports.len() / 2);
            let least = upper.first().map_or(0, |&(port, _)| port);
            let above = self.asm.label();
            self.asm.branch(JGE, u32::from(least), To::At(above), To::Next);
            self.find_port(lower, none);
            self.asm.place(above);
            self.find_port(upper, none);
            return;
        }
        for &(port, label) in ports {
            self.asm.branch(JEQ, u32::from(port), To::At(label), To::Next);
        }
        self.asm.jump(none);
    }

    fn tcp(&mut self, at: u32, ends: Ends) {
        let (short, whole, header) = (To::At(ends.short), To::At(ends.whole), To::At(ends.header));
        for port in [at, at + 2] {
            self.asm.emit(LDH_ABS, port);
            self.asm.branch(JEQ, 53, whole, To::Next);
        }
        // X = the payload's offset: the upper half of byte 12 says in words how long the header is.
        self.asm.emit(LDB_ABS, at + 12);
        self.asm.emit(AND_K, 0xf0);
        self.asm.emit(RSH_K, 2);
        self.asm.emit(ADD_K, at);
        self.asm.emit(TAX, 0);
        self.asm.emit(LD_LEN, 0);
        self.asm.emit(SUB_X, 0);
        let long = self.asm.label();
        self.asm.branch(JGE, PUSHED, To::At(long), To::Next);
        self.asm.emit(LDB_ABS, at + 13);
        self.asm.branch(JSET, 0x08, whole, To::Next);
        self.asm.place(long);
        self.asm.emit(LD_IND, 0);
        for start in [
            b"HTTP", b"GET ", b"POST", b"HEAD", b"PUT ", b"DELE", b"OPTI", b"PATC", b"CONN", b"TRAC", b"PRI ",
        ] {
            self.asm.branch(JEQ, u32::from_be_bytes(*start), header, To::Next);
        }
        // A TLS handshake record: content type 22, version 3.x (RFC 8446, section 5.1).
        self.asm.emit(AND_K, 0xffff_0000);
        self.asm.branch(JEQ, 0x1603_0000, whole, short);
    }
}
