//! Packets that the kernel has counted: what a live capture had no room for.
//!
//! They add to the same flows as all others. Of those that are counted together
//! only the first is known, by its headers; so nothing is read of payloads, and
//! of TCP only what that first one tells, and whether an end was sent.

use dissect::packet::{Claim, Registry};
use dissect::{Dissection, Ip, KernelCount, TcpFlags};

use super::{FlowTable, Run, observe_packet};
use crate::counters::Counters;
use crate::ledger::InterfaceId;
use crate::tally::Observation;
use crate::totals::{Frames, NoFlow};

impl FlowTable {
    /// Adds packets that the kernel has counted, in the order of their first ones.
    pub fn observe_counts<'a>(&mut self, counts: impl IntoIterator<Item = KernelCount<'a>>) {
        let mut ends = Vec::new();
        for count in counts.into_iter().filter(|count| count.packets > 0) {
            let rest = |o: Observation<'a>| (o, count.last, TcpFlags(count.tcp_flags.0 & !o.segment.flags.0));
            ends.extend(self.observe_count(&count).map(rest));
        }
        // An end comes after what the other side's first packet says.
        ends.retain(|(.., flags)| flags.has(TcpFlags::FIN | TcpFlags::RST));
        for (o, at, flags) in &ends {
            self.tally.note_tcp_flags(o, *at, *flags);
        }
    }

    /// The same of packets of which only the interface is known.
    pub fn observe_unplaced(&mut self, interface: u32, packets: u64, frame_bytes: u64) {
        let frames = Frames { packets, bytes: frame_bytes };
        let totals = self.totals.interface(self.capture.interface(interface));
        totals.seen += frames;
        totals.in_kernel += frames;
        totals.without_flow += frames;
    }

    /// Adds one count; gives what its first packet said, if it is TCP.
    fn observe_count<'a>(&mut self, count: &KernelCount<'a>) -> Option<Observation<'a>> {
        let packet = &count.first;
        let frames = Frames { packets: count.packets, bytes: count.frame_bytes };
        let (interface, start, end) = (packet.interface, packet.timestamp, count.last);
        self.close_run(Run { interface, seen: frames, start, end });
        let interface = self.capture.interface(interface);
        self.totals.interface(interface).in_kernel += frames;
        let mut d = Dissection::start(packet);
        d.follow(packet, self.registry);
        self.note_split_count(count, &d, interface);
        // What encloses others was counted, not what is enclosed: that may be several flows'.
        let ip = d.outer.or(d.ip);
        let Some(ip) = ip.filter(|_| count.is_flow) else {
            self.totals.interface(interface).note(no_flow(count, &d), frames);
            return None;
        };
        let observation = self.add_count(count, &d, &ip, interface);
        observation.segment.is_some().then_some(observation)
    }

    fn add_count<'a>(
        &mut self,
        count: &KernelCount<'a>,
        d: &Dissection<'_>,
        ip: &Ip,
        interface: InterfaceId,
    ) -> Observation<'a> {
        let flow = self.flow_of(d, ip, count.first.timestamp);
        let plain = d.outer.is_none();
        let tcp = d.tcp.as_ref().filter(|_| plain);
        let mut observation = Observation::default();
        let (o, packet, how) = (&mut observation, &count.first, self.how(interface));
        match self.options.live {
            Some(_) => observe_packet::<true>(o, packet, ip, tcp, flow, &how),
            None => observe_packet::<false>(o, packet, ip, tcp, flow, &how),
        }
        observation.icmp = d.icmp.filter(|_| plain).unwrap_or_default();
        let sum =
            Counters { packets: count.packets, ip_bytes: count.ip_bytes, frame_bytes: count.frame_bytes };
        self.tally.add_many(&observation, sum, count.last, count.prints);
        observation
    }
}

/// Why such packets make no flow.
fn no_flow(count: &KernelCount<'_>, d: &Dissection<'_>) -> NoFlow {
    if d.ip.is_none() && !count.first.bytes.is_empty() {
        return NoFlow::of(d);
    }
    // IP that is too deep in it to be told apart where it is counted; or nobody knows where it begins.
    let claim = Claim::EtherType(count.ether_type);
    match Registry::global().claimant(claim) {
        Some(dissector) => NoFlow::Protocol(dissector.name()),
        None => NoFlow::Unclaimed(claim),
    }
}
