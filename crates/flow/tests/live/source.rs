//! A source that counts what it is told to, as the kernel does, and has the rest wait in a ring.

use std::collections::VecDeque;

use dissect::app::{Interest, quic};
use dissect::packet::{Plain, Registry};
use dissect::{
    Dissection, Endpoint, FiveTuple, Ip, Packet, Pause, SettledCount, Stretch, Tcp, TcpFlags, Unread, Way,
};
use flow::Settle;

use crate::wire::Capture;

/// Packets of a block of the ring, and blocks that wait to be read.
const BLOCK: usize = 5;
const BLOCKS: usize = 3;
/// What interfaces split is longer.
pub(crate) const LONGEST: u32 = 290;

#[derive(Default)]
pub(crate) struct Source<'a> {
    ways: Vec<(Way, Unread)>,
    streams: Vec<Stream>,
    /// Segments of TCP that carry nothing: the reader must have had so many blocks before they are counted, and has.
    acks: Vec<(Way, usize, bool)>,
    counts: Vec<SettledCount>,
    ring: VecDeque<Packet<'a>>,
    /// Blocks that were read.
    done: usize,
    pauses: Vec<Pause>,
    /// Segments with data that were counted.
    pub(crate) data: u64,
}

/// Data of a way that is watched, or counted.
struct Stream {
    way: Way,
    /// The reader must have had so many blocks before it says how far it has come.
    since: usize,
    least: Option<u32>,
    /// Where the next segment begins, and whether that is where the last one ended.
    next: Option<(u32, bool)>,
    counted: Option<Stretch>,
}

impl<'a> Source<'a> {
    pub(crate) fn pass(&mut self, capture: &mut Capture, packet: Packet<'a>) {
        if let Some(way) = self.counted(&packet) {
            self.count(way, &packet);
            return;
        }
        self.ring.push_back(packet);
        if self.ring.len() == BLOCK * BLOCKS {
            self.read(capture);
        }
    }

    /// Has everything read that waits.
    pub(crate) fn read(&mut self, capture: &mut Capture) {
        for pause in std::mem::take(&mut self.pauses) {
            capture.table().observe_pause(&pause);
        }
        while !self.ring.is_empty() {
            for packet in self.ring.drain(..BLOCK.min(self.ring.len())).collect::<Vec<_>>() {
                capture.observe(0, packet);
            }
            self.heed(capture);
            self.done += 1;
            for stream in self.streams.iter_mut().filter(|s| s.least.is_none() && s.since <= self.done) {
                stream.least = capture.table().next_of(&stream.way, Unread::Data);
            }
            for (way, since, counted) in &mut self.acks {
                *counted |= *since <= self.done && capture.table().next_of(way, Unread::Nothing).is_some();
            }
        }
    }

    fn heed(&mut self, capture: &mut Capture) {
        for settle in capture.table().take_settling() {
            match settle {
                Settle::Begin(way, unread) => {
                    self.ways.push((way, unread));
                    let since = self.done + self.ring.len().div_ceil(BLOCK) + 1;
                    if unread == Unread::Nothing {
                        self.acks.retain(|(one, ..)| *one != way);
                        self.acks.push((way, since, false));
                    } else {
                        self.streams.retain(|stream| stream.way != way);
                        self.streams.push(Stream { way, since, least: None, next: None, counted: None });
                    }
                }
                Settle::End(way) => {
                    self.ways.retain(|(one, _)| *one != way);
                    self.acks.retain(|(one, ..)| *one != way);
                    self.stop(|one| *one == way);
                }
                Settle::EndAll => {
                    self.ways.clear();
                    self.acks.clear();
                    self.stop(|_| true);
                }
            }
        }
    }

    /// Hands over what was counted; gives how many packets.
    pub(crate) fn tell(&mut self, capture: &mut Capture) -> u64 {
        self.read(capture);
        let counts = std::mem::take(&mut self.counts);
        for count in &counts {
            capture.table().observe_settled(count);
        }
        counts.iter().map(|count| count.packets).sum()
    }

    fn stop(&mut self, of: impl Fn(&Way) -> bool) {
        for stream in self.streams.extract_if(.., |stream| of(&stream.way)) {
            self.pauses.push(Pause { way: stream.way, counted: stream.counted, is_over: true });
        }
    }

    /// Behind what begins or ends a connection, all that both ends send is seen.
    fn stop_both(&mut self, way: &Way) {
        let FiveTuple { src, dst, protocol } = way.tuple;
        let back = FiveTuple { src: dst, dst: src, protocol };
        let both = |one: &Way| one.interface == way.interface && [way.tuple, back].contains(&one.tuple);
        self.acks.retain(|(one, ..)| !both(one));
        self.stop(both);
    }

    /// The way of a packet that is counted.
    fn counted(&mut self, packet: &Packet<'_>) -> Option<Way> {
        let Some(plain) = Plain::of(packet, Registry::global()) else {
            let ip = Dissection::of(packet, Registry::global()).ip?;
            let way = way_of(packet, &ip);
            let flags =
                Dissection::of(packet, Registry::global()).tcp.map(|tcp| tcp.flags).unwrap_or_default();
            if flags.has(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST) {
                self.stop_both(&way);
            } else {
                self.stop(|one| *one == way);
            }
            return None;
        };
        let ip = &plain.ip;
        let way = way_of(packet, ip);
        let has = |unread| self.ways.contains(&(way, unread));
        let is_whole = usize::from(ip.at) + ip.bytes as usize <= packet.bytes.len();
        let Some(tcp) = &plain.tcp else {
            let is_read = match plain.payload {
                [_, _, _, _, 0, 1, ..] | [_, _, 0x80..=0xff, _, 0, 0, ..] => true,
                [first, ..] => Interest::of(17, *first).follows() || quic::may_be_handshake(*first),
                [] => false,
            };
            return (has(Unread::Nothing) && is_whole && !is_read).then_some(way);
        };
        let (is_plain, is_empty) = (tcp.window > 0, tcp.payload_len == 0);
        if is_whole && is_plain && is_empty && tcp.flags == TcpFlags(TcpFlags::ACK) {
            return self.acks.iter().any(|&(one, _, counted)| counted && one == way).then_some(way);
        }
        let control = tcp.flags.has(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST);
        if control {
            self.stop_both(&way);
            return None;
        }
        if !has(Unread::Data) || is_whole && is_empty {
            return None;
        }
        if !is_whole {
            self.stop(|one| *one == way);
            return None;
        }
        let stream = self.streams.iter_mut().find(|stream| stream.way == way)?;
        let goes_on = stream.goes_on(tcp, is_plain, packet);
        if !goes_on && let Some(counted) = stream.counted.take() {
            self.pauses.push(Pause { way, counted: Some(counted), is_over: false });
        }
        self.data += u64::from(goes_on);
        goes_on.then_some(way)
    }

    fn count(&mut self, way: Way, packet: &Packet<'_>) {
        let (last, none) = (packet.timestamp, [0; 4]);
        let at = self.counts.iter().position(|count| count.way == way).unwrap_or_else(|| {
            self.counts.push(SettledCount {
                way,
                last,
                packets: 0,
                ip_bytes: 0,
                frame_bytes: 0,
                split: 0,
                split_bytes: 0,
                prints: none,
            });
            self.counts.len() - 1
        });
        let (split, split_bytes) = split(packet);
        let count = &mut self.counts[at];
        (count.split, count.split_bytes) = (count.split + split, count.split_bytes + split_bytes);
        if let Some(print) = count.prints.get_mut(count.packets as usize) {
            *print = flow::print(packet);
        }
        count.packets += 1;
        count.ip_bytes += Plain::of(packet, Registry::global()).map_or(0, |plain| u64::from(plain.ip.bytes));
        count.frame_bytes += u64::from(packet.wire_len);
        count.last = count.last.max(last);
    }
}

impl Stream {
    fn goes_on(&mut self, tcp: &Tcp, is_plain: bool, packet: &Packet<'_>) -> bool {
        let end = tcp.seq.wrapping_add(tcp.payload_len);
        let ahead = |a: u32, b: u32| a.wrapping_sub(b).cast_signed();
        let Some((next, clean)) = self.next.replace((end, true)) else { return false };
        let known = self.least.is_some_and(|least| ahead(next, least) > 0);
        if is_plain && tcp.flags.0 & 0x37 == TcpFlags::ACK && clean && known && tcp.seq == next {
            let from = self.counted.map_or(tcp.seq, |counted| counted.from);
            self.counted = Some(Stretch { from, next: end, last: packet.timestamp });
            return true;
        }
        if ahead(end, next) <= 0 {
            self.next = Some((next, false));
        }
        false
    }
}

/// How many more a packet becomes on a wire for IP packets of [`LONGEST`] bytes, as the kernel says, and their headers' bytes.
fn split(packet: &Packet<'_>) -> (u64, u64) {
    let plain = Plain::of(packet, Registry::global()).unwrap();
    let header = if plain.ip.version == 4 { 20 } else { 40 };
    let payload = plain.tcp.as_ref().map_or(plain.ip.bytes - header - 8, |tcp| tcp.payload_len);
    let room = LONGEST - (plain.ip.bytes - payload);
    let further = u64::from(payload.saturating_sub(1) / room);
    (further, further * u64::from(packet.wire_len - payload))
}

fn way_of(packet: &Packet<'_>, ip: &Ip) -> Way {
    Way { interface: packet.interface, tuple: tuple(ip), direction: packet.direction }
}

fn tuple(ip: &Ip) -> FiveTuple {
    let end = |addr: u128, port| {
        let addr = if ip.version == 4 {
            std::net::Ipv4Addr::from_bits(addr as u32).into()
        } else {
            std::net::Ipv6Addr::from_bits(addr).into()
        };
        Endpoint { addr, port }
    };
    FiveTuple { src: end(ip.src, ip.src_port), dst: end(ip.dst, ip.dst_port), protocol: ip.protocol }
}
