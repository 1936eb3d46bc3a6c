//! Packets that are not done with once their plain headers are read: those that somebody may read, and all others.

use dissect::packet::Plain;
use dissect::{Dissection, Packet, Stop};

use super::{FlowTable, observe_packet, pieces};
use crate::message::Origin;
use crate::tally::Group;
use crate::totals::{Frames, NoFlow};

impl FlowTable {
    /// Goes on with a packet that is not done with yet.
    #[inline(never)]
    pub(super) fn observe_rare<'a, const LIVE: bool>(
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
            let observation = group.place();
            observation.spoken = spoken;
            observation.note_direction(packet.direction);
        }
        group.keep_rare();
        self.tell_of_resolvers(origin);
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
        let observation = group.place();
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
            self.tally.flush::<()>(group);
            self.hear_whole::<LIVE>(packet, d, &whole, origin.interface);
        }
        self.tell_of_resolvers(origin);
    }
}
