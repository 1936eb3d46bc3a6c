//! One shard of the flows: observes packets, hands out deltas. Owned by one thread.

mod announced;
mod behind;
mod counted;
mod deltas;
mod enclosed;
mod observe;
mod options;
mod pieces;
mod rare;
mod reading;
mod settled;
mod split;
mod untimed;

use std::ops::Range;

use dissect::app::Depth;
use dissect::packet::Registry;
use dissect::{LinkType, Packet, Timestamp};

use self::observe::{How, observe_packet, observe_plain};
pub use self::options::Options;
use self::reading::{Reading, Run};
use self::split::Splits;
use crate::encrypted::Announcement;
use crate::expiry::Expiry;
use crate::fragment::{FirstFragments, Packets};
use crate::ledger::{CaptureRecord, InterfaceId};
use crate::message::{Messages, Origin};
use crate::neighbours::Neighbours;
use crate::tally::{Fetch, Group, Tally};
use crate::totals::{Frames, Totals};

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
    splits: Splits,
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
            splits: Splits::default(),
            options,
        }
    }

    /// Counts `packets`, in order.
    pub fn observe_batch<'a>(&mut self, packets: impl Iterator<Item = Packet<'a>>) {
        self.observe_batch_by::<()>(packets);
    }

    /// The same where somebody can have memory brought near: where flows are many, packets wait for most of it else.
    pub fn observe_batch_by<'a, F: Fetch>(&mut self, packets: impl Iterator<Item = Packet<'a>>) {
        if self.options.live.is_some() {
            self.count::<true, F>(packets);
        } else {
            self.count::<false, F>(packets);
        }
    }

    /// Counts `packets` for their interfaces, the capture and their flows.
    fn count<'a, const LIVE: bool, F: Fetch>(&mut self, packets: impl Iterator<Item = Packet<'a>>) {
        let (since, last) = self.window;
        let mut how = self.how(self.capture.interface(0));
        let mut group = Group::default();
        // Those before this run, and those that do not count.
        let mut frames = self.capture.frames;
        let mut run = Run::default();
        let mut whole_up_to = self.splits.whole_up_to(0);
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
                whole_up_to = self.splits.whole_up_to(packet.interface);
            }
            run.seen += Frames::of(&packet);
            if LIVE && packet.wire_len > whole_up_to {
                self.note_split(&packet, how.interface);
            }
            let place = self.tally.next::<F>(&mut group);
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
        self.tally.flush::<F>(&mut group);
    }

    fn how(&self, interface: InterfaceId) -> How {
        How { registry: self.registry, seed: self.options.seed, interface }
    }

    /// Where flows that will begin soon will stand, unless that was told before: whoever can may have that memory ready, in
    /// pieces, which takes half of the time that page after page does when it is written.
    pub fn next_room(&mut self) -> Option<Range<*const u8>> {
        /// As many as may begin in a batch of packets.
        const SOON: usize = 128;
        let flows = &mut self.tally.flows;
        flows.next_room(flows.beyond_free(SOON))
    }
}
