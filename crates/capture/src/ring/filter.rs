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
    ADD_K, ADD_X, AND_K, Assembler, Instruction, JEQ, JGE, JGT, JSET, LD_ABS, LD_IND, LD_LEN, LD_MEM,
    LDB_ABS, LDB_IND, LDH_ABS, LDH_IND, LDX_IMM, Label, RET_K, RSH_K, ST, SUB_X, TAX, TXA, To, ancillary,
};

/// Bytes kept of ordinary packets: at most 22 of Ethernet and a tag or PPPoE,
/// 40 of IPv6, 60 of TCP, and the payload's first 4.
const SHORT: u32 = 128;
/// Bytes kept of tunnelled packets: two sets of headers.
const TUNNEL: u32 = 256;
/// Bytes kept of a packet that begins with an HTTP message: its header, as long as servers take it (8 KiB by default, both
/// nginx's `large_client_header_buffers` and Apache's `LimitRequestFieldSize`), behind those of the packet.
const HEADER: u32 = 8192 + SHORT;
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
/// The PPPoE header and the PPP protocol number.
const PPPOE: u32 = 8;
/// The first port that Linux gives to clients (`net.ipv4.ip_local_port_range`): who listens mostly has a lower one.
const EPHEMERAL: u32 = 32_768;
/// The words of the program's memory: what A was, TCP's flags, and the port that a segment goes to.
const A: u32 = 0;
const FLAGS: u32 = 1;
const TO_PORT: u32 = 2;
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
        let [long, ethernet, bare, ipv4, ipv6, whole] = std::array::from_fn(|_| self.asm.label());
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
        self.asm.place(ethernet);
        self.asm.emit(LDX_IMM, ETHERNET);
        self.asm.emit(LDH_ABS, ETHERNET - 2);
        self.names(&[(0x0800, ipv4), (0x86dd, ipv6)]);
        self.case(0x8864, |f| {
            // PPP's protocol number behind the PPPoE header (RFC 2516).
            f.asm.emit(LDX_IMM, ETHERNET + PPPOE);
            f.asm.emit(LDH_ABS, ETHERNET + PPPOE - 2);
            f.names(&[(0x0021, ipv4), (0x0057, ipv6)]);
            f.asm.jump(whole);
        });
        let tagged = self.asm.label();
        for tag in [0x8100, 0x88a8, 0x9100] {
            self.asm.branch(JEQ, tag, To::At(tagged), To::Next);
        }
        self.asm.jump(whole);
        self.asm.place(tagged);
        self.asm.emit(LDX_IMM, ETHERNET + TAG);
        self.asm.emit(LDH_ABS, ETHERNET + TAG - 2);
        self.names(&[(0x0800, ipv4), (0x86dd, ipv6)]);
        self.asm.jump(whole);
        self.asm.place(bare);
        self.asm.emit(LDX_IMM, 0);
        self.asm.emit(LDB_ABS, 0);
        self.asm.emit(AND_K, 0xf0);
        self.names(&[(0x40, ipv4), (0x60, ipv6)]);
        self.asm.place(whole);
        self.asm.emit(RET_K, WHOLE);
        self.ip(ipv4, ipv6);
    }

    /// Goes on at the label of the value in A, or behind this.
    fn names(&mut self, values: &[(u32, Label)]) {
        for &(value, label) in values {
            self.asm.branch(JEQ, value, To::At(label), To::Next);
        }
    }

    /// What an IP header at X says; each way ends with X at the transport header, and the protocol in A.
    ///
    /// Whatever is before it, all go on through the same instructions: the kernel grants a socket's filter 20 KiB on many
    /// systems (net.core.optmem_max), in its own longer form, and counts the old and the new one while they are exchanged.
    fn ip(&mut self, ipv4: Label, ipv6: Label) {
        let [transport, jumbogram] = std::array::from_fn(|_| self.asm.label());
        self.ends(|f, ends| {
            f.asm.place(ipv4);
            f.asm.emit(LDB_IND, 0);
            f.asm.branch(JEQ, 0x45, To::Next, To::At(ends.whole));
            f.asm.emit(LDH_IND, 6);
            // An offset, or more to come: a fragment.
            f.asm.branch(JSET, 0x3fff, To::At(ends.whole), To::Next);
            f.asm.emit(LDB_IND, 9);
            f.skip(20);
            f.asm.jump(transport);
            f.asm.place(ipv6);
            f.asm.emit(LDB_IND, 6);
            f.asm.branch(JEQ, 0, To::At(jumbogram), To::Next);
            f.skip(40);
            f.asm.jump(transport);
            // Packets longer than 65,535 bytes have a hop-by-hop header of 8 bytes, which says so (RFC 2675): the kernel
            // makes such of bulk TCP. Any shorter packet with this header is no plain one.
            f.asm.place(jumbogram);
            f.asm.emit(LD_LEN, 0);
            f.asm.branch(JGT, 0xffff, To::Next, To::At(ends.whole));
            f.asm.emit(LDB_IND, 41);
            f.asm.branch(JEQ, 0, To::Next, To::At(ends.whole));
            f.asm.emit(LDB_IND, 40);
            f.skip(48);
            f.asm.place(transport);
            f.transport(ends);
        });
    }

    /// Moves X on and keeps A.
    fn skip(&mut self, bytes: u32) {
        self.asm.emit(ST, A);
        self.asm.emit(TXA, 0);
        self.asm.emit(ADD_K, bytes);
        self.asm.emit(TAX, 0);
        self.asm.emit(LD_MEM, A);
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

    /// What the protocol in A, whose header begins at X, lets us read.
    fn transport(&mut self, ends: Ends) {
        let [tcp, udp] = std::array::from_fn(|_| self.asm.label());
        self.asm.branch(JEQ, 6, To::At(tcp), To::Next);
        self.asm.branch(JEQ, 17, To::At(udp), To::Next);
        // ICMP, ICMPv6, and ESP, of which nothing more can be read.
        for protocol in [1, 58, 50] {
            self.asm.branch(JEQ, protocol, To::At(ends.short), To::Next);
        }
        self.asm.jump(ends.whole);
        self.asm.place(tcp);
        self.tcp(ends);
        self.asm.place(udp);
        self.udp(ends);
    }

    fn udp(&mut self, ends: Ends) {
        let (short, whole) = (To::At(ends.short), To::At(ends.whole));
        let ports = ports(ends.whole, ends.tunnel);
        for port in [2, 0] {
            let none = self.asm.label();
            self.asm.emit(LDH_IND, port);
            self.find_port(&ports, none);
            self.asm.place(none);
        }
        // DNS on any other port, by its counts (RFC 1035, section 4.1.1): one question, fewer than 256 answers. So resolvers of
        // DNSCrypt give their certificates.
        self.asm.emit(LD_IND, 12);
        self.asm.emit(AND_K, 0xffff_ff00);
        self.asm.branch(JEQ, 0x0001_0000, whole, To::Next);
        let long = self.asm.label();
        self.asm.emit(LDB_IND, 8);
        self.asm.branch(JSET, 0x80, To::At(long), To::Next);
        // A DTLS handshake: content type 22, version 0xfeff or 0xfefd (RFC 6347, section 4.1).
        self.asm.branch(JEQ, 22, To::Next, short);
        self.asm.emit(LDB_IND, 9);
        self.asm.branch(JEQ, 0xfe, whole, short);
        // A QUIC long header, by its version (RFC 9000, section 17.2; RFC 9369; drafts; Meta's and Google's own).
        self.asm.place(long);
        self.asm.emit(LD_IND, 9);
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

    fn tcp(&mut self, ends: Ends) {
        let (short, whole, header) = (To::At(ends.short), To::At(ends.whole), To::At(ends.header));
        for port in [0, 2] {
            self.asm.emit(LDH_IND, port);
            self.asm.branch(JEQ, 53, whole, To::Next);
        }
        self.asm.emit(ST, TO_PORT);
        self.asm.emit(LDB_IND, 13);
        self.asm.emit(ST, FLAGS);
        // X = the payload's offset: the upper half of byte 12 says in words how long the header is.
        self.asm.emit(LDB_IND, 12);
        self.asm.emit(AND_K, 0xf0);
        self.asm.emit(RSH_K, 2);
        self.asm.emit(ADD_X, 0);
        self.asm.emit(TAX, 0);
        self.asm.emit(LD_LEN, 0);
        self.asm.emit(SUB_X, 0);
        let long = self.asm.label();
        self.asm.branch(JGE, PUSHED, To::At(long), To::Next);
        self.asm.emit(LD_MEM, FLAGS);
        self.asm.branch(JSET, 0x08, whole, To::Next);
        self.text(To::At(long), whole);
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

    /// Whether a segment's payload, at X, is text to a service: the header of a request may go on in it, where many fields
    /// stand before its host. Of some 300
    /// segments that are encrypted or compressed one looks so.
    fn text(&mut self, no: To, yes: To) {
        /// The payload's first 8 bytes lie within what may be read if it begins here at most.
        const LAST: u32 = SHORT - 8;
        self.asm.emit(LD_MEM, TO_PORT);
        self.asm.branch(JGE, EPHEMERAL, no, To::Next);
        self.asm.emit(TXA, 0);
        self.asm.branch(JGT, LAST, no, To::Next);
        self.asm.emit(LD_IND, 4);
        self.asm.branch(JSET, 0x8080_8080, no, To::Next);
        self.asm.emit(LD_IND, 0);
        self.asm.branch(JSET, 0x8080_8080, no, To::Next);
        // It begins with a printable character, or one of those from backspace on that end lines and move to the right.
        self.asm.branch(JSET, 0x6000_0000, yes, To::Next);
        self.asm.emit(AND_K, 0x7800_0000);
        self.asm.branch(JEQ, 0x0800_0000, yes, no);
    }
}

#[cfg(test)]
mod tests;
