//! Snapshots: rows, groups and sums of one instant.

use std::hint::black_box;
use std::sync::Arc;

use dissect::Timestamp;
use dissect::app::{App, End};
use hashbrown::HashMap;

use super::account::Account;
use super::{Collector, Resolvers};
use crate::attribution::Answer;
use crate::closed::Over;
use crate::counters::Counters;
use crate::dns::DnsEvent;
use crate::flow::{self, Flow};
use crate::group::{Group, GroupBy, GroupKey};
use crate::ledger::InterfaceId;
use crate::live::{AHEAD, Facts};
use crate::owner::Owner;
use crate::pace::Rate;
use crate::rank::Top;
use crate::record::FlowDirection;
use crate::snapshot::{Live, Snapshot};

/// How often it is looked for flows that no table counts any more, in nanoseconds: a part of the time after which they are.
const LOOK: u64 = 9_000_000_000;

/// A row of an open flow, or of one that is over.
enum Row<'a> {
    Open(u32, &'a Flow),
    Closed(&'a Over),
}

/// What all flows add up to, those included that are over.
struct Sums<'a> {
    account: Account,
    rows: Top<Row<'a>>,
    groups: HashMap<GroupKey, Group>,
    resolvers: Resolvers,
    /// Flows that are shown, and those that are not: how many, and what they held.
    shown: (u64, Counters),
    hidden: (u64, Counters),
    /// First and last packet.
    span: Option<(Timestamp, Timestamp)>,
}

impl Collector {
    /// Takes the pace of a live capture, an interval having ended at `now`.
    pub fn tick(&mut self, now: Timestamp) {
        let Some(live) = &mut self.live else { return };
        let (then, before) = live.ticked;
        // Where the clock was set back, the interval is taken to be as long as the one before.
        let interval = Some(now.0.saturating_sub(then.0)).filter(|&nanos| nanos > 0);
        let interval = interval.unwrap_or(live.interval);
        if interval <= 0 {
            live.ticked.0 = now;
            return;
        }
        let seconds = interval as f64 / 1e9;
        live.flows.take_pace(&self.flows, seconds);
        let over = self.left_over(now);
        let Some(live) = &mut self.live else { return };
        let one_by_one =
            || self.flows.numbered().fold(Counters::default(), |sum, (_, flow)| sum + flow.total());
        debug_assert_eq!(live.flows.held, one_by_one(), "what open flows have held");
        let open = if self.config.selection.is_all() { live.flows.held } else { self.open_shown() };
        let sum = self.closed.shown.1 + open;
        let Some(live) = &mut self.live else { return };
        live.now = Rate {
            bytes: sum.ip_bytes.saturating_sub(before.ip_bytes) as f64 / seconds,
            packets: sum.packets.saturating_sub(before.packets) as f64 / seconds,
        };
        live.peak.bytes = live.peak.bytes.max(live.now.bytes);
        live.peak.packets = live.peak.packets.max(live.now.packets);
        live.interval = interval;
        live.ticked = (now, sum);
        for number in over {
            self.close_live(number);
        }
    }

    /// What open flows hold that are shown.
    fn open_shown(&self) -> Counters {
        let answer = |number| self.facts(number).and_then(|facts| facts.answer.as_ref());
        let shown = self.flows.numbered().filter(|&(n, flow)| self.config.selection.shows(flow, answer(n)));
        shown.fold(Counters::default(), |sum, (_, flow)| sum + flow.total())
    }

    /// Which open flows no table counts any more, though not all have said so under the same five-tuple: what they were
    /// translated to may have become another's meanwhile. All tables must just have told what they counted. Where reports are
    /// frequent, it is not looked at all flows at each.
    fn left_over(&mut self, now: Timestamp) -> Vec<u32> {
        let Some(live) = &mut self.live else { return Vec::new() };
        if now.0.abs_diff(live.looked.0) < LOOK {
            return Vec::new();
        }
        live.looked = now;
        let timeouts = &live.config.timeouts;
        let flows = self.flows.numbered().filter(|(_, flow)| timeouts.is_left_over(flow, now));
        flows.map(|(number, _)| number).collect()
    }

    /// The same at the end of a run, where the last interval is cut short: one that is not worth half of those before is
    /// left out.
    pub fn tick_at_end(&mut self, now: Timestamp) {
        let Some(live) = &self.live else { return };
        let (started, then) = (live.config.started, live.ticked.0);
        if live.interval == 0
            || now.0.saturating_sub(then.0).saturating_mul(2) >= live.interval
            || then == started
        {
            self.tick(now);
        }
    }

    /// Freezes what is known now; live, at `now`.
    pub fn snapshot(&self, now: Option<Timestamp>, is_final: bool) -> Snapshot {
        self.freeze(now, is_final, true)
    }

    /// The same without the account at sockets: one of another instant would differ for that alone.
    pub fn snapshot_without_sockets(&self, now: Timestamp) -> Snapshot {
        self.freeze(Some(now), false, false)
    }

    fn freeze(&self, now: Option<Timestamp>, is_final: bool, sockets: bool) -> Snapshot {
        let Sums { mut account, rows, mut groups, resolvers, shown, hidden, span } = self.sums(sockets);
        if sockets {
            self.join_sockets(&mut groups);
        }
        let (groups, more_groups) = self.rank_groups(groups);
        let intervals = self.intervals();
        let span = self.whole_span(span.and_then(|(first, last)| flow::span(first, last)));
        let row = |row| match row {
            Row::Open(number, flow) => self.record_of(number, flow),
            Row::Closed(over) => over.record(intervals),
        };
        Snapshot {
            interfaces: self.interfaces.clone(),
            captures: self.captures.clone(),
            first: span.map(|(first, _)| first),
            last: span.map(|(_, last)| last),
            flows: shown.0,
            total: shown.1,
            rows: rows.into_sorted().map(row).collect(),
            groups,
            more_groups,
            dns: self.recent.iter().map(|event| self.owned(event)).collect(),
            dns_totals: self.dns_totals,
            resolvers: resolvers.ranked(),
            sockets: self.socket_ledger(&mut account, is_final),
            ledger: self.ledger(hidden, account),
            live: now.and_then(|now| self.live_part(now)),
            is_final,
        }
    }

    /// From the first packet to the last, those included that belong to no flow, of captures that were read to their end.
    fn whole_span(&self, of_flows: Option<(Timestamp, Timestamp)>) -> Option<(Timestamp, Timestamp)> {
        let of_captures = self.captures.iter().filter_map(|capture| capture.start.zip(capture.end));
        of_captures.chain(of_flows).reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }

    /// What all flows add up to. Each is looked at once: of many, each look is a cache miss; what is known of some of them is
    /// read before any of these is added, so that their misses overlap.
    fn sums(&self, sockets: bool) -> Sums<'_> {
        let mut sums = Sums {
            account: self.account(sockets),
            rows: Top::new(self.config.rows),
            groups: self.closed.groups.clone(),
            resolvers: self.closed.resolvers.clone(),
            shown: self.closed.shown,
            hidden: self.closed.hidden,
            span: self.closed.span,
        };
        self.closed.rows.iter().for_each(|(place, over)| sums.rows.offer(*place, Row::Closed(over)));
        let mut flows = self.flows.numbered();
        let mut some = Vec::with_capacity(AHEAD);
        loop {
            some.extend(flows.by_ref().take(AHEAD));
            if some.is_empty() {
                return sums;
            }
            black_box(
                some.iter().fold(0, |read, &(number, _)| read ^ self.facts(number).map_or(0, Facts::warm)),
            );
            some.drain(..).for_each(|(number, flow)| self.add_open(&mut sums, number, flow));
        }
    }

    fn add_open<'a>(&'a self, sums: &mut Sums<'a>, number: u32, flow: &'a Flow) {
        let sum = flow.total();
        let (first, last) = sums.span.unwrap_or((flow.first, flow.last));
        sums.span = Some((first.min(flow.first), last.max(flow.last)));
        let facts = self.facts(number);
        sums.account.add(sum, facts);
        let is_shown = self.config.selection.shows(flow, facts.and_then(|f| f.answer.as_ref()));
        let (flows, total) = if is_shown { &mut sums.shown } else { &mut sums.hidden };
        *flows += 1;
        *total += sum;
        if is_shown {
            self.add_shown(sums, number, flow, facts);
        }
    }

    fn add_shown<'a>(&'a self, sums: &mut Sums<'a>, number: u32, flow: &'a Flow, facts: Option<&Facts>) {
        self.add_resolver(&mut sums.resolvers, flow);
        match self.config.group {
            None => {
                let place = self.config.sort.place(flow, facts.map(|facts| facts.rate(self.intervals())));
                sums.rows.offer(place, Row::Open(number, flow));
            }
            Some(by) => {
                let (key, one) = self.group_of_one(by, flow, self.flows.app(flow), facts);
                sums.groups.entry_ref(&key).and_modify(|group| group.absorb(&one)).or_insert(one);
            }
        }
    }

    fn live_part(&self, now: Timestamp) -> Option<Live> {
        let live = self.live.as_ref()?;
        Some(Live {
            started: live.config.started,
            at: now,
            now: live.now,
            peak: live.peak,
            owners_from: live.config.owners_from,
        })
    }

    /// A message with the process that asked, or answers.
    fn owned(&self, event: &DnsEvent) -> DnsEvent {
        let answer = self.live.as_ref().and_then(|live| live.flows.owner(&self.flows, &event.tuple));
        let owner = answer.and_then(Answer::owner).map(Arc::<Owner>::clone);
        DnsEvent { owner, ..event.clone() }
    }

    pub(super) fn group_of_one(
        &self,
        by: GroupBy,
        flow: &Flow,
        app: Option<&Arc<App>>,
        facts: Option<&Facts>,
    ) -> (GroupKey, Group) {
        let answer = facts.and_then(|facts| facts.answer.as_ref());
        let key = self.group_key(by, flow, app, answer);
        let pid = answer.and_then(Answer::owner).map(|owner| owner.pid);
        (key.clone(), Group::of(key, flow, pid))
    }

    fn group_key(
        &self,
        by: GroupBy,
        flow: &Flow,
        app: Option<&Arc<App>>,
        answer: Option<&Answer>,
    ) -> GroupKey {
        // The far end is the responder, unless only the initiator is remote.
        let inbound = self.config.selection.direction(flow, answer) == Some(FlowDirection::Inbound);
        let far = if inbound { flow.initiator } else { flow.initiator.other() };
        let responder = flow.key.endpoint(flow.initiator.other());
        let far = flow.key.endpoint(far).addr;
        match by {
            GroupBy::Process | GroupBy::Container | GroupBy::User => owner_key(by, answer),
            GroupBy::Host => GroupKey::Host(far),
            GroupBy::Name => {
                let end = if inbound { End::Initiator } else { End::Responder };
                let called = self.called(end, flow, app, answer);
                called.map_or(GroupKey::Host(far), |called| GroupKey::Name(called.name))
            }
            GroupBy::Service => GroupKey::Service(flow.key.protocol(), responder.port),
            GroupBy::Interface => GroupKey::Interface(InterfaceId(flow.interface)),
        }
    }

    /// Adds to groups of processes what their sockets did.
    fn join_sockets(&self, groups: &mut HashMap<GroupKey, Group>) {
        let by = self.config.group.filter(|by| by.is_of_processes());
        let sockets = self.live.as_ref().and_then(|live| live.sockets.as_ref());
        let (Some(by), Some(sockets)) = (by, sockets) else { return };
        for told in sockets.processes() {
            let Some(owner) = &told.owner else { continue };
            let Some(group) = groups.get_mut(&key_of_owner(by, owner)) else { continue };
            let (counts, round_trips) = group.sockets.get_or_insert_default();
            *counts += told.counts;
            *round_trips += told.round_trips;
        }
    }

    fn rank_groups(&self, groups: HashMap<GroupKey, Group>) -> (Option<Vec<Group>>, u64) {
        if self.config.group.is_none() {
            return (None, 0);
        }
        let all = groups.len();
        let mut ranked: Vec<Group> = groups.into_values().collect();
        ranked.sort_unstable_by(|one, other| self.config.sort.order_groups(one, other));
        ranked.truncate(self.config.rows);
        let more = (all - ranked.len()) as u64;
        (Some(ranked), more)
    }
}

/// The group of a flow's owner, or of the reason for which it has none.
fn owner_key(by: GroupBy, answer: Option<&Answer>) -> GroupKey {
    let owner = match answer {
        Some(Answer::Owner(attributed)) => &attributed.owner,
        Some(Answer::None(reason)) => return GroupKey::Unowned(reason.to_string().into()),
        None => return GroupKey::Unowned("not looked up yet".into()),
    };
    key_of_owner(by, owner)
}

fn key_of_owner(by: GroupBy, owner: &Owner) -> GroupKey {
    match (by, &owner.container) {
        (GroupBy::Container, Some(container)) => {
            GroupKey::Container(container.name.as_deref().unwrap_or(&container.id).into())
        }
        (GroupBy::Container, None) => GroupKey::NoContainer,
        (GroupBy::User, _) => match (&owner.user, owner.uid) {
            (Some(user), _) => GroupKey::User(user.as_str().into()),
            (None, uid) => GroupKey::User(uid.map_or("?".into(), |uid| uid.to_string().into())),
        },
        _ => GroupKey::Process(owner.name.as_str().into()),
    }
}
