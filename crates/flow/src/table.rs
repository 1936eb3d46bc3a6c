//! One shard of the flows: observes packets, hands out deltas. Owned by one thread.

mod behind;
mod counted;
mod enclosed;
mod pieces;
mod reading;
mod settled;
mod untimed;

use std::mem;
use std::ops::Range;
use std::sync::Arc;

use dissect::app::Depth;
use dissect::packet::{Plain, Registry, Take};
use dissect::{Dissection, Ip, LinkType, Packet, Stop, Tcp, Timestamp};

use self::reading::{Reading, Run};
use crate::delta::Delta;
use crate::encrypted::Announcement;
use crate::expiry::{Expiry, Timeouts};
use crate::flow;
use crate::fragment::{FirstFragments, Packets};
use crate::key::{FlowKey, Seed, Side};
use crate::ledger::{CaptureEnd, CaptureRecord, InterfaceId};
use crate::lookup::Keep;
use crate::message::{Messages, Origin};
use crate::neighbours::Neighbours;
use crate::offload;
use crate::tally::{Group, Observation, Tally};
use crate::tcp::Segment;
use crate::totals::{Frames, NoFlow, Totals};

/// Encrypted resolvers that wait to be told of; further ones are told of when they are announced again.
const MAX_ANNOUNCED: usize = 256;

/// How a table counts.
#[derive(Clone, Debug)]
pub struct Options {
    /// Flows are those of the innermost IP header, else of the outermost.
    pub decap: bool,
    /// Flows that are kept at once; beyond, the longest idle ones are evicted.
    pub max_flows: usize,
    /// Which DNS messages are handed on whole.
    pub keep: Keep,
    /// How deep what flows say first is read. With all, names are told as they are seen.
    pub depth: Depth,
    /// Seed of the hash: the same for every table and collector of a run.
    pub seed: Seed,
    /// Packets are those of a live capture: each interface's are counted apart, for the collector to join, and flows
    /// end. `None` for captures.
    pub live: Option<Timeouts>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            decap: true,
            max_flows: 4_000_000,
            keep: Keep::default(),
            depth: Depth::Names,
            seed: Seed::default(),
            live: None,
        }
    }
}

/// One shard of the flows.
#[derive(Debug)]
pub struct FlowTable {
    options: Options,
    registry: &'static Registry,
    tally: Tally,
    /// Where flows are those of the outermost header: what is said inside of them, if anybody takes it.
    enclosed: Option<Box<Tally>>,
    totals: Totals,
    firsts: FirstFragments,
    packets: Packets,
    announced: Vec<Announcement>,
    messages: Messages,
    /// The first and the last instant of which packets count.
    window: (Timestamp, Timestamp),
    capture: Reading,
    /// Packets had no time so far.
    untimed: bool,
    captures: Vec<CaptureRecord>,
    expiry: Expiry,
    neighbours: Neighbours,
    /// By interface: the longest IP packet that passes its wire, if it splits longer ones.
    splits_at: Vec<u32>,
}

impl FlowTable {
    /// An empty table.
    pub fn new(options: Options) -> Self {
        FlowTable {
            registry: Registry::global(),
            tally: Tally::new(options.max_flows, options.live.is_some(), options.depth),
            enclosed: (!options.decap && options.depth == Depth::All).then(enclosed::nothing_said),
            totals: Totals::default(),
            firsts: FirstFragments::default(),
            packets: Packets::default(),
            announced: Vec::new(),
            messages: Messages::new(options.keep),
            window: (Timestamp(i64::MIN), Timestamp(i64::MAX)),
            capture: Reading::new("".into(), 0),
            untimed: false,
            captures: Vec::new(),
            expiry: Expiry::default(),
            neighbours: Neighbours::default(),
            splits_at: Vec::new(),
            options,
        }
    }

    /// From here on, packets are those of the capture at `path`, and its interface 0 is `first_interface` of the run.
    pub fn begin_capture(&mut self, path: Arc<str>, first_interface: InterfaceId) {
        self.capture = Reading::new(path, first_interface.0);
        self.tally.first_interface = first_interface.0;
    }

    /// The capture ended, as `stop` says: its record goes into the next delta.
    pub fn end_capture(&mut self, stop: CaptureEnd) {
        let c = &self.capture;
        let span = flow::span(c.start, c.end);
        self.captures.push(CaptureRecord {
            path: Arc::clone(&c.path),
            packets: c.packets,
            bytes: c.bytes,
            start: span.map(|(start, _)| start),
            end: span.map(|(_, end)| end),
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

    /// Only packets from `since` to before `until` count; without an end, all that follow. Those without a time do not.
    pub fn set_window(&mut self, since: Timestamp, until: Option<Timestamp>) {
        let last = until.map_or(i64::MAX, |until| until.0.saturating_sub(1));
        self.window = (since.max(Timestamp(Timestamp::UNKNOWN.0 + 1)), Timestamp(last));
    }

    /// Counts `packets`, in order.
    pub fn observe_batch<'a>(&mut self, packets: impl Iterator<Item = Packet<'a>>) {
        if self.options.live.is_some() {
            self.count::<true>(packets);
        } else {
            self.count::<false>(packets);
        }
    }

    /// Counts `packets` for their interfaces, the capture and their flows.
    fn count<'a, const LIVE: bool>(&mut self, packets: impl Iterator<Item = Packet<'a>>) {
        let (since, last) = self.window;
        let mut how = self.how(self.capture.interface(0));
        let mut group = Group::default();
        // Those before this run, and those that do not count.
        let mut frames = self.capture.frames;
        let mut run = Run::default();
        let mut whole_up_to = self.whole_up_to(0);
        for packet in packets {
            let at = packet.timestamp;
            // Most are no earlier than those before them, and so within the window unless it has ended.
            if at < run.end || at > last {
                if at < since || at > last {
                    frames += 1;
                    continue;
                }
                if self.untimed {
                    self.begin_time(at);
                }
                run.turn_back(at);
            } else {
                run.end = at;
            }
            if packet.interface != run.interface {
                frames += run.seen.packets;
                self.close_run(run);
                run = Run { interface: packet.interface, start: at, end: at, seen: Frames::default() };
                how.interface = self.capture.interface(packet.interface);
                whole_up_to = self.whole_up_to(packet.interface);
            }
            run.seen += Frames::of(&packet);
            if LIVE && packet.wire_len > whole_up_to {
                self.note_split(&packet, how.interface);
            }
            let place = self.tally.next(&mut group);
            let is_spoken = if packet.link_type == LinkType::ETHERNET {
                observe_plain::<LIVE>(packet.bytes, packet.timestamp, packet.wire_len, &how, place)
            } else {
                None
            };
            if is_spoken == Some(false) {
                place.note_direction(packet.direction);
                group.keep();
                continue;
            }
            // The account of this run has not been closed yet.
            let since = self.capture.start.min(run.start);
            let frame = frames + run.seen.packets;
            let origin = Origin { timestamp: packet.timestamp, since, frame, interface: how.interface };
            // By value: so it is put together here only, and no other packet ever is.
            self.observe_rare::<LIVE>(packet, origin, is_spoken.is_some(), &mut group);
        }
        self.capture.frames = frames + run.seen.packets;
        self.close_run(run);
        self.tally.flush(&mut group);
    }

    fn how(&self, interface: InterfaceId) -> How {
        How { registry: self.registry, seed: self.options.seed, interface }
    }

    /// Adds packets of one interface to its account and the capture's.
    #[inline(never)] // By value, so that the loop above keeps its account in registers.
    fn close_run(&mut self, run: Run) {
        if (run.seen.packets, run.seen.bytes) == (0, 0) {
            return;
        }
        let capture = &mut self.capture;
        capture.packets += run.seen.packets;
        capture.bytes += run.seen.bytes;
        if run.start == Timestamp::UNKNOWN {
            self.untimed = true;
        } else {
            capture.start = capture.start.min(run.start);
            capture.end = capture.end.max(run.end);
        }
        let interface = capture.interface(run.interface);
        self.totals.interface(interface).seen += run.seen;
    }

    /// Messages, and flows that ended or were evicted, that wait to be taken with the next delta.
    pub fn events(&self) -> usize {
        self.messages.said.lookups.len()
            + self.tally.openings.names.len()
            + self.enclosed.as_ref().map_or(0, |enclosed| enclosed.openings.names.len())
            + self.tally.eviction.evicted.len()
            + self.expiry.ended.len()
    }

    /// Goes on with a packet that is not done with yet.
    #[inline(never)]
    fn observe_rare<'a, const LIVE: bool>(
        &mut self,
        packet: Packet<'a>,
        origin: Origin,
        is_plain: bool,
        group: &mut Group<'a>,
    ) {
        if is_plain {
            self.read_message(&packet, origin, group);
        } else {
            self.observe_unusual::<LIVE>(&packet, origin, group);
        }
    }

    /// Reads the payload of a plain packet that was observed last, and which somebody may read.
    #[inline(never)]
    fn read_message<'a>(&mut self, packet: &Packet<'a>, origin: Origin, group: &mut Group<'a>) {
        // Handing it over would cost every packet more than reading these few again.
        if let Some(plain) = Plain::of(packet, self.registry) {
            let spoken = self.messages.read(origin, &plain.ip, plain.tcp.as_ref(), plain.payload);
            let observation = self.tally.next(group);
            observation.spoken = spoken;
            observation.note_direction(packet.direction);
        }
        group.keep_rare();
        self.tell_of_resolvers(origin);
    }

    /// Has flows to the encrypted resolvers told that answers spoke of.
    #[inline(always)]
    fn tell_of_resolvers(&mut self, origin: Origin) {
        if !self.messages.said.lookups.announcements.is_empty() {
            self.learn_of_resolvers(origin.timestamp);
        }
    }

    #[cold]
    fn learn_of_resolvers(&mut self, at: Timestamp) {
        self.unsettle_all();
        let known = &mut self.tally.openings.announced;
        for one in self.messages.said.lookups.announcements.drain(..) {
            known.learn(one.clone());
            if self.announced.len() < MAX_ANNOUNCED && known.tell(&one, at) {
                self.announced.push(one);
            }
        }
    }

    /// Encrypted resolvers that answers have spoken of since somebody asked, for the other tables of the same capture.
    pub fn take_announced(&mut self) -> Vec<Announcement> {
        mem::take(&mut self.announced)
    }

    /// Learns of encrypted resolvers that answers in another table have spoken of.
    pub fn learn_announced(&mut self, announced: Vec<Announcement>) {
        self.unsettle_all();
        self.tally.openings.learn_announced(&mut self.tally.flows, announced);
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
        if let Some((plain, is_spoken)) = d.follow_to_plain(packet, self.registry) {
            if self.options.decap && !pieces::is_piece(&d) {
                let is_enclosed = d.ip.is_some();
                self.observe_behind::<LIVE>(packet, &plain, is_spoken, is_enclosed, origin, group);
                return;
            }
            d.end_with(&plain, self.registry);
        }
        let d = &d;
        if let Some((addr, mac)) = d.neighbour() {
            self.neighbours.learn(addr, mac);
        }
        let Some(inner) = &d.ip else {
            let totals = self.totals.interface(origin.interface);
            totals.note(NoFlow::of(d), Frames::of(packet));
            return;
        };
        if matches!(d.stop, Stop::Malformed { .. } | Stop::Truncated { .. } | Stop::TooDeep) {
            *self.totals.odd.entry(NoFlow::of(d)).or_default() += 1;
        }
        let ip = if self.options.decap { inner } else { d.outer.as_ref().unwrap_or(inner) };
        let flow = self.flow_of(d, ip, packet.timestamp);
        // Transport facts are the innermost flow's.
        let told = self.options.decap || d.outer.is_none();
        let tcp = d.tcp.as_ref().filter(|_| told);
        let (spoken, whole) = if pieces::is_piece(d) {
            self.observe_piece(packet, origin, d)
        } else {
            let said = d.app_payload();
            (said.and_then(|said| self.messages.read(origin, inner, d.tcp.as_ref(), said)), None)
        };
        let how = self.how(origin.interface);
        let observation = self.tally.next(group);
        observe_packet::<LIVE>(observation, packet, ip, tcp, flow, &how);
        observation.icmp = d.icmp.filter(|_| told).unwrap_or_default();
        if self.options.decap && !d.tunnels().is_empty() {
            observation.enclose(packet);
        }
        // Of a packet in pieces, the first one has the beginning of it.
        observation.payload = d.app_payload().filter(|_| told).unwrap_or_default();
        observation.spoken = spoken.filter(|_| told);
        group.keep_rare();
        if d.outer.is_some() && self.enclosed.is_some() {
            self.observe_enclosed(packet, d, spoken, origin.interface);
        }
        if let Some(whole) = whole {
            self.tally.flush(group);
            self.hear_whole::<LIVE>(packet, d, &whole, origin.interface);
        }
        self.tell_of_resolvers(origin);
    }

    /// Whose the packet is: a later fragment follows its first one, to the flow of the header that was cut up.
    #[inline(always)]
    fn flow_of(&mut self, d: &Dissection<'_>, ip: &Ip, at: Timestamp) -> (FlowKey, Side) {
        let whole = |ip: Option<&Ip>| ip.is_none_or(|ip| ip.fragment.is_none());
        if whole(d.ip.as_ref()) && whole(d.outer.as_ref()) {
            return FlowKey::of(ip);
        }
        self.flow_of_fragment(d, ip, at)
    }

    #[inline(never)]
    fn flow_of_fragment(&mut self, d: &Dissection<'_>, ip: &Ip, at: Timestamp) -> (FlowKey, Side) {
        for ip in [d.ip.as_ref(), d.outer.as_ref()].into_iter().flatten() {
            if let Some(fragment) = ip.fragment.filter(|f| f.offset == 0) {
                self.firsts.note(ip, fragment, at, FlowKey::of(ip));
            }
        }
        let known = ip.fragment.filter(|f| f.offset > 0).and_then(|f| self.firsts.flow_of(ip, f, at));
        known.unwrap_or_else(|| FlowKey::of(ip))
    }

    /// Where flows that will begin soon will stand, unless that was told before: whoever can may have that memory ready, in
    /// pieces, which takes half of the time that page after page does when it is written.
    pub fn next_room(&mut self) -> Option<Range<*const u8>> {
        /// As many as may begin in a batch of packets.
        const SOON: usize = 128;
        let flows = &mut self.tally.flows;
        flows.next_room(flows.beyond_free(SOON))
    }

    /// How many flows began since the last delta.
    pub fn begun(&self) -> usize {
        self.tally.begun.as_ref().map_or(0, Vec::len)
    }

    /// Whether flows ended since the last delta.
    pub fn has_ended(&self) -> bool {
        !self.expiry.ended.is_empty()
    }

    /// Takes what changed since the last delta; flows stay, with their counters at zero.
    pub fn take_delta(&mut self) -> Delta {
        let mut delta = self.take_events();
        delta.changed.expect(self.tally.flows.len());
        self.tally.flows.take_changed(&mut delta.changed);
        delta
    }

    /// Takes messages, totals, and flows that began, ended or were evicted; leaves the other flows' counters for a
    /// later delta.
    pub fn take_events(&mut self) -> Delta {
        let begun = self.tally.begun.as_mut().map(mem::take).unwrap_or_default();
        let mut totals = mem::take(&mut self.totals);
        totals.malformed_messages = mem::take(&mut self.messages.said.malformed);
        totals.unread_openings = mem::take(&mut self.tally.openings.evicted);
        let mut names = mem::take(&mut self.tally.openings.names);
        if let Some(enclosed) = &mut self.enclosed {
            names.append(&mut enclosed.openings.names);
            totals.unread_openings += mem::take(&mut enclosed.openings.evicted);
        }
        Delta {
            changed: self.tally.flows.take_those(&begun),
            begun: begun.len(),
            ended: mem::take(&mut self.expiry.ended),
            evicted: mem::take(&mut self.tally.eviction.evicted),
            captures: mem::take(&mut self.captures),
            totals,
            lookups: self.messages.said.lookups.take(),
            names,
            neighbours: mem::take(&mut self.neighbours.fresh),
            ..Delta::default()
        }
    }

    /// The last delta: everything that was not taken yet, without copying it.
    pub fn finish(mut self) -> Delta {
        self.tally.openings.read_rest(&mut self.tally.flows);
        if let Some(enclosed) = &mut self.enclosed {
            enclosed.openings.read_rest(&mut enclosed.flows);
        }
        let mut delta = self.take_events();
        delta.flows = self.tally.flows;
        delta
    }
}

/// What all packets of an interface have in common.
struct How {
    registry: &'static Registry,
    seed: Seed,
    interface: InterfaceId,
}

/// Writes down a plain packet of Ethernet, but for its direction; gives whether somebody may read its payload. `None` if it
/// is not plain.
///
/// By itself it has registers enough; within the loop over packets it would keep half of its values in memory. All that it
/// is given comes in registers.
#[inline(never)]
fn observe_plain<'a, const LIVE: bool>(
    bytes: &'a [u8],
    at: Timestamp,
    frame_bytes: u32,
    how: &How,
    observation: &mut Observation<'a>,
) -> Option<bool> {
    (observation.at, observation.frame_bytes) = (at, frame_bytes);
    Plain::read_ethernet(bytes, how.registry, Count::<LIVE> { bytes, how, observation })
}

/// Where a plain packet is written down.
struct Count<'t, 'a, const LIVE: bool> {
    bytes: &'a [u8],
    how: &'t How,
    observation: &'t mut Observation<'a>,
}

impl<'a, const LIVE: bool> Take<'a> for Count<'_, 'a, LIVE> {
    type Out = bool;

    #[inline(always)]
    fn take(self, plain: Plain<'a>, is_spoken: bool) -> bool {
        let (ip, tcp) = (&plain.ip, plain.tcp.as_ref());
        observe::<LIVE>(self.observation, self.bytes, ip, tcp, FlowKey::of(ip), self.how);
        self.observation.payload = plain.payload;
        is_spoken
    }
}

/// Writes down what every packet's headers add to its flow.
#[inline(always)]
fn observe<'a, const LIVE: bool>(
    o: &mut Observation<'a>,
    bytes: &'a [u8],
    ip: &Ip,
    tcp: Option<&Tcp>,
    (mut key, side): (FlowKey, Side),
    how: &How,
) {
    if LIVE {
        key = key.on(how.interface.0);
        (o.bytes, o.ip_at, o.ack) = (bytes, ip.at, tcp.map_or(0, |tcp| tcp.ack));
    }
    match tcp {
        Some(tcp) => o.segment = Segment::of(tcp),
        None => o.segment.clear(),
    }
    o.key = key;
    o.hash = key.hash(&how.seed);
    o.ip_bytes = ip.bytes;
    o.interface = how.interface.0;
    o.side = side;
}

/// The same, and what is known of the packet from its capture.
fn observe_packet<'a, const LIVE: bool>(
    o: &mut Observation<'a>,
    packet: &Packet<'a>,
    ip: &Ip,
    tcp: Option<&Tcp>,
    flow: (FlowKey, Side),
    how: &How,
) {
    observe::<LIVE>(o, packet.bytes, ip, tcp, flow, how);
    (o.at, o.frame_bytes) = (packet.timestamp, packet.wire_len);
    o.note_direction(packet.direction);
}
