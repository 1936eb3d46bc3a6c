//! One shard of the flows: observes packets, hands out deltas. Owned by one thread.

mod counted;

use std::mem;
use std::sync::Arc;

use dissect::packet::{NotTaken, Plain, Registry, Take};
use dissect::{Direction, Dissection, Icmp, Ip, Packet, Stop, Tcp, Timestamp};

use crate::delta::Delta;
use crate::expiry::{Expiry, Timeouts};
use crate::flow::LOCAL;
use crate::fragment::FirstFragments;
use crate::key::{FlowKey, Seed, Side};
use crate::ledger::{CaptureEnd, CaptureRecord, InterfaceId};
use crate::lookup::Keep;
use crate::message::{Messages, Origin};
use crate::offload;
use crate::path;
use crate::tally::{Group, Observation, Tally};
use crate::totals::{Frames, NoFlow, Totals};

/// How a table counts.
#[derive(Clone, Debug)]
pub struct Options {
    /// Flows are those of the innermost IP header, else of the outermost.
    pub decap: bool,
    /// Flows that are kept at once; beyond, the longest idle ones are evicted.
    pub max_flows: usize,
    /// Which DNS messages are handed on whole.
    pub keep: Keep,
    /// Seed of the hash: the same for every table and collector of a run.
    pub seed: Seed,
    /// Packets are those of a live capture: each interface's are counted apart, for the collector to join, and flows
    /// end. `None` for captures.
    pub live: Option<Timeouts>,
}

impl Default for Options {
    fn default() -> Self {
        Self { decap: true, max_flows: 4_000_000, keep: Keep::default(), seed: Seed::default(), live: None }
    }
}

/// One shard of the flows.
#[derive(Debug)]
pub struct FlowTable {
    options: Options,
    registry: &'static Registry,
    tally: Tally,
    totals: Totals,
    firsts: FirstFragments,
    messages: Messages,
    window: (Timestamp, Timestamp),
    capture: Reading,
    captures: Vec<CaptureRecord>,
    expiry: Expiry,
    /// By interface: the longest IP packet that passes its wire, if it splits longer ones.
    splits_at: Vec<u32>,
}

/// The capture that is being read.
#[derive(Clone, Debug)]
struct Reading {
    path: Arc<str>,
    first_interface: u16,
    frames: u64,
    packets: u64,
    bytes: u64,
    start: Timestamp,
    end: Timestamp,
}

impl FlowTable {
    /// An empty table.
    pub fn new(options: Options) -> Self {
        FlowTable {
            registry: Registry::global(),
            tally: Tally::new(options.max_flows, options.live.is_some()),
            totals: Totals::default(),
            firsts: FirstFragments::default(),
            messages: Messages::new(options.keep),
            window: (Timestamp(i64::MIN), Timestamp(i64::MAX)),
            capture: Reading::new("".into(), 0),
            captures: Vec::new(),
            expiry: Expiry::default(),
            splits_at: Vec::new(),
            options,
        }
    }

    /// From here on, packets are those of the capture at `path`, and its interface 0 is `first_interface` of the run.
    pub fn begin_capture(&mut self, path: Arc<str>, first_interface: InterfaceId) {
        self.capture = Reading::new(path, first_interface.0);
    }

    /// The capture ended, as `stop` says: its record goes into the next delta.
    pub fn end_capture(&mut self, stop: CaptureEnd) {
        let c = &self.capture;
        let any = c.packets > 0;
        self.captures.push(CaptureRecord {
            path: Arc::clone(&c.path),
            packets: c.packets,
            bytes: c.bytes,
            start: any.then_some(c.start),
            end: any.then_some(c.end),
            stop,
        });
    }

    /// Interface `number` of a live capture splits IP packets that are longer than this, and counts the parts.
    pub fn set_split(&mut self, number: u32, splits_at: u32) {
        let number = number as usize;
        if self.splits_at.len() <= number {
            self.splits_at.resize(number + 1, u32::MAX);
        }
        self.splits_at[number] = splits_at;
    }

    /// Frames of this interface that are longer may have been split.
    fn whole_up_to(&self, number: u32) -> u32 {
        /// Of Ethernet; with a tag in it, it is looked at more closely.
        const LINK: u32 = 14;
        self.splits_at.get(number as usize).map_or(u32::MAX, |at| at.saturating_add(LINK))
    }

    /// Estimates what an interface counts more than was seen, because it split `packet` or put it together.
    #[cold]
    fn note_split(&mut self, packet: &Packet<'_>, interface: InterfaceId) {
        let Some(&splits_at) = self.splits_at.get(packet.interface as usize) else { return };
        let mut d = Dissection::start(packet);
        d.follow(packet, self.registry);
        let more = offload::split(&d, packet.wire_len, splits_at);
        self.totals.interface(interface).offload += more;
    }

    /// Only packets from `since` to before `until` count.
    pub fn set_window(&mut self, since: Timestamp, until: Timestamp) {
        self.window = (since, until);
    }

    /// Counts `packets`, in order.
    pub fn observe_batch<'a>(&mut self, packets: impl Iterator<Item = Packet<'a>> + Clone) {
        self.count_seen(packets.clone());
        if self.options.live.is_some() {
            self.count_flows::<true>(packets);
        } else {
            self.count_flows::<false>(packets);
        }
    }

    /// Counts `packets` for their interfaces and the capture.
    fn count_seen<'a>(&mut self, packets: impl Iterator<Item = Packet<'a>>) {
        let (since, until) = self.window;
        let mut run = Run::default();
        for packet in packets {
            if packet.timestamp < since || packet.timestamp >= until {
                continue;
            }
            if packet.interface != run.interface {
                self.close_run(run.interface, run.seen, run.start, run.end);
                run = Run { interface: packet.interface, ..Run::default() };
            }
            run.add(&packet);
        }
        self.close_run(run.interface, run.seen, run.start, run.end);
    }

    /// Counts `packets` for their flows.
    fn count_flows<'a, const LIVE: bool>(&mut self, packets: impl Iterator<Item = Packet<'a>>) {
        let (since, until) = self.window;
        let registry = self.registry;
        let mut group = Group::default();
        let mut frame = self.capture.frames;
        let mut interface = (0, self.capture.interface(0));
        let mut whole_up_to = self.whole_up_to(0);
        for packet in packets {
            frame += 1;
            if packet.timestamp < since || packet.timestamp >= until {
                continue;
            }
            if packet.interface != interface.0 {
                interface = (packet.interface, self.capture.interface(packet.interface));
                whole_up_to = self.whole_up_to(packet.interface);
            }
            if LIVE && packet.wire_len > whole_up_to {
                self.note_split(&packet, interface.1);
            }
            let count = Count::<LIVE> {
                tally: &mut self.tally,
                seed: &self.options.seed,
                packet: &packet,
                interface: interface.1,
                group: &mut group,
            };
            let Err(reason) = Plain::read(&packet, registry, count) else { continue };
            // A copy, so that other packets need no place in memory.
            let rare = packet;
            let origin = Origin { timestamp: rare.timestamp, frame, interface: interface.1 };
            match reason {
                NotTaken::Spoken => self.observe_spoken::<LIVE>(&rare, origin, &mut group),
                NotTaken::Unusual => self.observe_unusual::<LIVE>(&rare, origin, &mut group),
            }
        }
        self.capture.frames = frame;
        self.tally.flush(&mut group);
    }

    /// Adds packets of one interface, the first at `start`, to its account and the capture's.
    #[inline(never)] // By value, so that the loop above keeps its account in registers.
    fn close_run(&mut self, interface: u32, seen: Frames, start: Timestamp, end: Timestamp) {
        if seen.packets == 0 {
            return;
        }
        let capture = &mut self.capture;
        capture.packets += seen.packets;
        capture.bytes += seen.bytes;
        capture.start = capture.start.min(start);
        capture.end = capture.end.max(end);
        let interface = capture.interface(interface);
        self.totals.interface(interface).seen += seen;
    }

    /// Messages, and flows that ended or were evicted, that wait to be taken with the next delta.
    pub fn events(&self) -> usize {
        self.messages.said.lookups.len() + self.tally.eviction.evicted.len() + self.expiry.ended.len()
    }

    /// Plain TCP and UDP whose payload somebody may read.
    #[inline(never)]
    fn observe_spoken<'a, const LIVE: bool>(
        &mut self,
        packet: &Packet<'a>,
        origin: Origin,
        group: &mut Group<'a>,
    ) {
        let Some(plain) = Plain::of(packet, self.registry) else { return };
        let (ip, tcp) = (&plain.ip, plain.tcp.as_ref());
        let observation = self.tally.next(group);
        observe::<LIVE>(observation, packet, origin.interface, ip, tcp, FlowKey::of(ip), &self.options.seed);
        self.messages.read(origin, ip, tcp, plain.payload);
    }

    /// Everything but plain TCP and UDP: rarer, and allowed to take longer.
    #[inline(never)]
    fn observe_unusual<'a, const LIVE: bool>(
        &mut self,
        packet: &Packet<'a>,
        origin: Origin,
        group: &mut Group<'a>,
    ) {
        let mut d = Dissection::start(packet);
        d.follow(packet, self.registry);
        let d = &d;
        let Some(inner) = &d.ip else {
            let totals = self.totals.interface(origin.interface);
            *totals.no_flow.entry(NoFlow::of(d)).or_default() += Frames::of(packet);
            return;
        };
        if matches!(d.stop, Stop::Malformed { .. } | Stop::Truncated { .. } | Stop::TooDeep) {
            *self.totals.odd.entry(NoFlow::of(d)).or_default() += 1;
        }
        let ip = if self.options.decap { inner } else { d.outer.as_ref().unwrap_or(inner) };
        let flow = self.flow_of(d, ip);
        // Transport facts are the innermost flow's.
        let told = self.options.decap || d.outer.is_none();
        let tcp = d.tcp.as_ref().filter(|_| told);
        let observation = self.tally.next(group);
        observe::<LIVE>(observation, packet, origin.interface, ip, tcp, flow, &self.options.seed);
        observation.icmp = d.icmp.filter(|_| told).unwrap_or_default();
        if self.options.decap && !d.tunnels().is_empty() {
            observation.enclosed = Some((packet.link_type, packet.bytes));
        }
        match inner.fragment {
            Some(fragment) => self.messages.read_fragment(origin, inner, fragment, d.ip_payload()),
            None => {
                if let Some(payload) = d.app_payload() {
                    self.messages.read(origin, inner, d.tcp.as_ref(), payload);
                }
            }
        }
    }

    /// Whose the packet is: a later fragment follows its first one, to the flow of the header that was cut up.
    #[inline(always)]
    fn flow_of(&mut self, d: &Dissection<'_>, ip: &Ip) -> (FlowKey, Side) {
        let whole = |ip: Option<&Ip>| ip.is_none_or(|ip| ip.fragment.is_none());
        if whole(d.ip.as_ref()) && whole(d.outer.as_ref()) {
            return FlowKey::of(ip);
        }
        self.flow_of_fragment(d, ip)
    }

    #[inline(never)]
    fn flow_of_fragment(&mut self, d: &Dissection<'_>, ip: &Ip) -> (FlowKey, Side) {
        for ip in [d.ip.as_ref(), d.outer.as_ref()].into_iter().flatten() {
            if let Some(fragment) = ip.fragment.filter(|f| f.offset == 0) {
                self.firsts.note(ip, fragment, FlowKey::of(ip));
            }
        }
        let known = ip.fragment.filter(|f| f.offset > 0).and_then(|f| self.firsts.flow_of(ip, f));
        known.unwrap_or_else(|| FlowKey::of(ip))
    }

    /// How many flows began since the last delta.
    pub fn begun(&self) -> usize {
        self.tally.begun.as_ref().map_or(0, Vec::len)
    }

    /// Whether flows ended since the last delta.
    pub fn has_ended(&self) -> bool {
        !self.expiry.ended.is_empty()
    }

    /// Ends flows of a live capture that are over or have been idle too long by `now`: some of them at each call, all
    /// within [`ROUNDS`] calls. They go into the next delta.
    pub fn expire(&mut self, now: Timestamp) {
        if let Some(timeouts) = &self.options.live {
            self.expiry.pass(&mut self.tally.flows, timeouts, now);
        }
    }

    /// Takes what changed since the last delta; flows stay, with their counters at zero.
    pub fn take_delta(&mut self) -> Delta {
        let mut delta = self.take_events();
        delta.changed.append(&mut self.tally.flows.take_changed());
        delta
    }

    /// Takes messages, totals, and flows that began, ended or were evicted; leaves the other flows' counters for a
    /// later delta.
    pub fn take_events(&mut self) -> Delta {
        let begun = self.tally.begun.as_mut().map(mem::take).unwrap_or_default();
        let mut totals = mem::take(&mut self.totals);
        totals.malformed_messages = mem::take(&mut self.messages.said.malformed);
        Delta {
            changed: begun.into_iter().filter_map(|number| self.tally.flows.take_one(number)).collect(),
            ended: mem::take(&mut self.expiry.ended),
            evicted: mem::take(&mut self.tally.eviction.evicted),
            captures: mem::take(&mut self.captures),
            totals,
            lookups: self.messages.said.lookups.take(),
            ..Delta::default()
        }
    }

    /// The last delta: everything that was not taken yet, without copying it.
    pub fn finish(mut self) -> Delta {
        let mut delta = self.take_events();
        delta.flows = self.tally.flows;
        delta
    }
}

/// Counts a plain packet whose payload nobody reads.
struct Count<'t, 'g, 'a, const LIVE: bool> {
    tally: &'t mut Tally,
    seed: &'t Seed,
    packet: &'t Packet<'a>,
    interface: InterfaceId,
    group: &'g mut Group<'a>,
}

impl<'a, const LIVE: bool> Take<'a> for Count<'_, '_, 'a, LIVE> {
    type Out = ();
    const SPOKEN: bool = false;

    #[inline(always)]
    fn take(self, plain: Plain<'a>) {
        let (ip, tcp) = (&plain.ip, plain.tcp.as_ref());
        let observation = self.tally.next(self.group);
        observe::<LIVE>(observation, self.packet, self.interface, ip, tcp, FlowKey::of(ip), self.seed);
    }
}

/// Writes down what every packet adds to its flow; the rest is set to nothing.
#[inline(always)]
fn observe<const LIVE: bool>(
    o: &mut Observation<'_>,
    packet: &Packet<'_>,
    interface: InterfaceId,
    ip: &Ip,
    tcp: Option<&Tcp>,
    (mut key, side): (FlowKey, Side),
    seed: &Seed,
) {
    o.print = 0;
    if LIVE {
        key = key.on(interface.0);
        o.print = path::print(packet.bytes, ip, tcp);
    }
    o.set_tcp(tcp);
    o.key = key;
    o.hash = key.hash(seed);
    o.ip_bytes = ip.bytes;
    o.at = packet.timestamp;
    o.frame_bytes = packet.wire_len;
    o.interface = interface.0;
    o.side = side;
    o.local = match packet.direction {
        Direction::Unknown => 0,
        Direction::Outbound => LOCAL[side.index()],
        Direction::Inbound => LOCAL[side.other().index()],
    };
    o.icmp = Icmp::default();
    o.enclosed = None;
}

/// Packets of one interface, one after the other.
#[derive(Clone, Copy, Debug)]
struct Run {
    interface: u32,
    seen: Frames,
    start: Timestamp,
    end: Timestamp,
}

impl Default for Run {
    fn default() -> Self {
        let (start, end) = (Timestamp(i64::MAX), Timestamp(i64::MIN));
        Run { interface: 0, seen: Frames::default(), start, end }
    }
}

impl Run {
    #[inline]
    fn add(&mut self, packet: &Packet<'_>) {
        self.seen += Frames::of(packet);
        self.start = self.start.min(packet.timestamp);
        self.end = self.end.max(packet.timestamp);
    }
}

impl Reading {
    /// The number within the run of an interface of this capture.
    #[inline]
    fn interface(&self, number: u32) -> InterfaceId {
        InterfaceId(self.first_interface.saturating_add(u16::try_from(number).unwrap_or(u16::MAX)))
    }

    fn new(path: Arc<str>, first_interface: u16) -> Self {
        let (start, end) = (Timestamp(i64::MAX), Timestamp(i64::MIN));
        Reading { path, first_interface, frames: 0, packets: 0, bytes: 0, start, end }
    }
}
