//! Data of connections that nobody reads any more: the kernel counts what goes on, and tells of what does not before that is
//! read.

use std::net::IpAddr;
use std::time::Duration;

use capture::ring::{Options, RingSource};
use capture::{Next, PacketSource};
use dissect::{Direction, Endpoint, FiveTuple, Pause, Stretch, Unread, Way};

use crate::frames::{framed, ipv4, ipv6, tagged, tcp};
use crate::lab::Lab;
use crate::late::counting;
use crate::sys::{RawSender, large, within};

const LEN: u32 = 100;
const ACK: u8 = 0x10;

fn way(version: u8) -> Way {
    let [src, dst]: [IpAddr; 2] = match version {
        4 => ["192.0.2.1", "192.0.2.2"].map(|addr| addr.parse().unwrap()),
        _ => ["fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd"; 2].map(|addr| addr.parse().unwrap()),
    };
    let tuple = FiveTuple {
        src: Endpoint { addr: src, port: 40_000 },
        dst: Endpoint { addr: dst, port: 7000 },
        protocol: 6,
    };
    Way { interface: 0, tuple, direction: Direction::Inbound }
}

/// A segment's header and data.
fn segment(seq: u32, flags: u8, len: usize) -> Vec<u8> {
    let mut tcp = tcp(40_000, 7000, flags, b"", len);
    tcp[4..8].copy_from_slice(&seq.to_be_bytes());
    tcp
}

fn frame(version: u8, tcp: &[u8]) -> Vec<u8> {
    framed(&if version == 4 { ipv4(6, 0, tcp) } else { ipv6(6, tcp) })
}

struct Wire {
    sender: RawSender,
    source: RingSource,
    version: u8,
}

impl Wire {
    fn send(&self, seq: u32, flags: u8, len: u32) {
        self.sender.send(&frame(self.version, &segment(seq, flags, len as usize)));
    }

    /// How many packets are in the ring, and what is told with them.
    fn read(&mut self) -> (usize, Vec<Pause>) {
        let (mut packets, mut pauses) = (0, Vec::new());
        while let Next::Batch(batch) = self.source.next_batch(Duration::from_millis(200)).unwrap() {
            packets += batch.len();
            pauses.extend_from_slice(batch.pauses);
        }
        (packets, pauses)
    }

    /// Has data counted that goes on at `first`, of which there was none.
    fn begin(&mut self, first: u32) {
        let way = way(self.version);
        self.source.settle(way, Unread::Data);
        self.send(first.wrapping_sub(LEN), ACK, LEN);
        assert_eq!(self.read(), (1, vec![]));
        let mut asked = 0;
        self.source.count_streams(|one, _| {
            asked += 1;
            (*one == way).then_some(first)
        });
        assert_eq!(asked, 1);
        // It has come no further than was said: not yet.
        self.send(first, ACK, LEN);
        assert_eq!(self.read(), (1, vec![]));
    }

    fn counted(&mut self) -> u64 {
        let mut packets = 0;
        self.source.take_settled(|count| packets += count.packets);
        packets
    }
}

fn lab() -> Option<(Lab, Wire)> {
    let lab = Lab::new()?;
    let sender = within(&lab.path("a"), || RawSender::open("va"));
    let source = counting(&Options { ring_bytes: 64 << 20, ..lab.options("b", &["vb"]) })?;
    let mut wire = Wire { sender, source, version: 4 };
    // An interface is known by its packets.
    wire.send(0, ACK, 1);
    assert_eq!(wire.read().0, 1);
    Some((lab, wire))
}

fn stretches(pauses: &[Pause]) -> Vec<(Option<(u32, u32)>, bool)> {
    let ends = |stretch: Stretch| (stretch.from, stretch.next);
    pauses.iter().map(|pause| (pause.counted.map(ends), pause.is_over)).collect()
}

/// Numbers go round between the first and the last of them.
#[test]
fn root_what_goes_on_passes_the_ring_by() {
    let Some((_lab, mut wire)) = lab() else { return };
    for version in [4, 6] {
        wire.version = version;
        let at = |n: u32| (u32::MAX - 350).wrapping_add(n * LEN);
        wire.begin(at(0));
        for n in 1..100 {
            wire.send(at(n), if n % 3 == 0 { ACK | 0x08 } else { ACK }, LEN);
        }
        assert_eq!(wire.read(), (0, vec![]));
        assert_eq!(wire.counted(), 99);
        // Sent again; then, behind one that goes on, it is counted again.
        wire.send(at(50), ACK, LEN);
        wire.send(at(100), ACK, LEN);
        wire.send(at(101), ACK, LEN);
        let (packets, pauses) = wire.read();
        assert_eq!((packets, stretches(&pauses)), (2, vec![(Some((at(1), at(100))), false)]));
        assert_eq!(pauses[0].way, way(version));
        // Lost: what comes then goes on from there.
        wire.send(at(105), ACK, LEN);
        wire.send(at(106), ACK, LEN);
        let (packets, pauses) = wire.read();
        assert_eq!((packets, stretches(&pauses)), (1, vec![(Some((at(101), at(102))), false)]));
        wire.send(at(107), ACK | 0x01, LEN);
        wire.send(at(108), ACK, LEN);
        wire.send(at(109), ACK, LEN);
        let (packets, pauses) = wire.read();
        assert_eq!((packets, stretches(&pauses)), (3, vec![(Some((at(106), at(107))), true)]));
        assert_eq!(wire.counted(), 2);
    }
}

/// What the interface splits later is counted whole, and so is what that makes of it.
#[test]
fn root_large_segments_are_counted_with_their_parts() {
    let Some((lab, mut wire)) = lab() else { return };
    let sender = within(&lab.path("a"), || RawSender::open_large("va"));
    for (version, ip) in [(4, 20), (6, 40)] {
        wire.version = version;
        let send = |seq: u32, len: u16, each: u16| {
            let frame = frame(version, &segment(seq, ACK, usize::from(len)));
            sender.send(&[large(ip, each), frame].concat());
        };
        wire.begin(0);
        let (mut at, mut sum) = (LEN, (0, 0, 0, 0));
        let headers = u64::from(ip) + 32;
        for (len, each, parts) in [(101, 100, 2), (5000, 1000, 5), (60_000, 1400, 43), (9001, 1500, 7)] {
            send(at, len, each);
            at += u32::from(len);
            let (len, further) = (u64::from(len), parts - 1);
            sum = (sum.0 + 1, sum.1 + len + headers, sum.2 + further, sum.3 + further * (14 + headers));
        }
        assert_eq!(wire.read(), (0, vec![]));
        let mut counted = (0, 0, 0, 0);
        wire.source.take_settled(|count| {
            assert_eq!(count.frame_bytes, count.ip_bytes + 14 * count.packets);
            counted = (count.packets, count.ip_bytes, count.split, count.split_bytes);
        });
        assert_eq!(counted, sum);
        // Sent again.
        send(at - 9001, 9001, 1500);
        let (packets, pauses) = wire.read();
        assert_eq!((packets, stretches(&pauses)), (1, vec![(Some((LEN, at)), false)]));
        wire.send(at, ACK | 0x01, 0);
        wire.read();
    }
}

/// Whatever else belongs to the stream is read, and known to be behind what was counted.
#[test]
fn root_what_does_not_go_on_is_read() {
    type Change = fn(&mut Vec<u8>);
    let Some((_lab, mut wire)) = lab() else { return };
    let with_options = |frame: &mut Vec<u8>| {
        frame[14] += 1;
        frame[17] += 4;
        frame.splice(34..34, [1; 4]);
    };
    let changes: [(&str, Change, bool); 9] = [
        ("nothing, of which it is sent twice", |_| {}, false),
        ("URG", |frame| frame[14 + 20 + 13] |= 0x20, false),
        ("no window", |frame| frame[14 + 20 + 14..][..2].fill(0), false),
        ("SYN", |frame| frame[14 + 20 + 13] |= 0x02, true),
        ("RST", |frame| frame[14 + 20 + 13] |= 0x04, true),
        ("IPv4 options", with_options, true),
        ("first fragment", |frame| frame[14 + 6] |= 0x20, true),
        ("cut", |frame| frame.truncate(frame.len() - 1), true),
        ("tag", |frame| *frame = tagged(7, frame), true),
    ];
    for (n, (what, change, is_over)) in (1..).zip(changes) {
        let first = n * 1_000_000;
        wire.begin(first);
        wire.send(first + LEN, ACK, LEN);
        wire.send(first + 2 * LEN, ACK, LEN);
        let mut odd = frame(4, &segment(first + 2 * LEN, ACK, LEN as usize));
        change(&mut odd);
        wire.sender.send(&odd);
        let (packets, pauses) = wire.read();
        // The kernel takes tags out.
        if what != "tag" {
            let stretch = (first + LEN, first + 3 * LEN);
            assert_eq!((packets, stretches(&pauses)), (1, vec![(Some(stretch), is_over)]), "{what}");
        }
        assert_eq!(wire.counted(), 2, "{what}");
        wire.send(first, ACK | 0x01, 0);
        wire.read();
    }
}

/// What is said from here stops a stream as well: what was counted is told with the next packet.
#[test]
fn root_a_stream_is_stopped() {
    let Some((_lab, mut wire)) = lab() else { return };
    for (n, all) in [(1, false), (2, true)] {
        let first = n * 1_000_000;
        wire.begin(first);
        wire.send(first + LEN, ACK, LEN);
        assert_eq!(wire.read(), (0, vec![]));
        if all {
            wire.source.unsettle_all();
        } else {
            wire.source.unsettle(&way(4));
        }
        wire.send(first + 2 * LEN, ACK, LEN);
        let (packets, pauses) = wire.read();
        let stretch = (first + LEN, first + 2 * LEN);
        assert_eq!((packets, stretches(&pauses)), (1, vec![(Some(stretch), true)]));
        assert_eq!(wire.counted(), 1);
    }
}

/// What is told first is kept until it is read: pauses that have no room are not told, but what they counted is, and later ones are.
#[test]
fn root_pauses_that_have_no_room_are_not_told() {
    /// Pauses that may wait; of so many streams, each could tell of one.
    const ROOM: u32 = 1 << 15;
    const ALL: u32 = ROOM + 100;
    let Some((_lab, mut wire)) = lab() else { return };
    wire.begin(0);
    // A segment that goes on, one that is lost, and one behind it.
    let pause = |wire: &Wire, n: u32| {
        let at = (1 + 3 * n) * LEN;
        wire.send(at, ACK, LEN);
        wire.send(at + 2 * LEN, ACK, LEN);
        (Some((at, at + LEN)), false)
    };
    let mut told: Vec<_> = (0..ALL).map(|n| pause(&wire, n)).collect();
    let (packets, pauses) = wire.read();
    told.truncate(ROOM as usize);
    assert_eq!(packets, ALL as usize);
    assert!(stretches(&pauses) == told, "{} pauses, {:?}", pauses.len(), stretches(&pauses).first());
    assert_eq!(wire.counted(), u64::from(ALL));
    let next = pause(&wire, ALL);
    let (packets, pauses) = wire.read();
    assert_eq!((packets, stretches(&pauses)), (1, vec![next]));
}
