//! What flows say first: kept until an application dissector has read it, and no longer.
//!
//! Most flows are told by the first packet with a payload, which is read where it stands. What a dissector wants more
//! of is kept, up to [`MAX_SAID`] bytes an end, for so many flows at once as [`MAX_PENDING`] says; the oldest makes room
//! and is counted.

mod beyond;
mod facts;
mod last;
mod moved;
mod pending;
mod prefix;
mod turns;
mod worth;

use std::collections::VecDeque;
use std::sync::Arc;

use dissect::app::{App, Candidates, Depth, NameSource, Opening, Past, Reading, Said};
use dissect::{FiveTuple, Timestamp};
use hashbrown::HashMap;

use self::beyond::Beyond;
use self::moved::Moved;
use self::pending::{Pending, past};
use self::worth::{candidates, give_up, later, may_begin_another, may_begin_later};
pub(crate) use self::worth::{is_worth_hearing, may_be_worth_hearing};
use crate::encrypted::{Announced, Encrypted, Heard};
use crate::flow::Flow;
use crate::ledger::InterfaceId;
use crate::store::FlowStore;
use crate::tally::Observation;

/// Flows whose first bytes are kept at once.
pub(crate) const MAX_PENDING: usize = 4096;
/// First bytes that are kept of an end.
pub(crate) const MAX_SAID: usize = 16 * 1024;
/// Bytes before a datagram: the IP header without options, the UDP header.
const IPV4_UDP: usize = 20 + 8;
const IPV6_UDP: usize = 40 + 8;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// A name that a client asked for, as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameEvent {
    /// When it was complete.
    pub timestamp: Timestamp,
    /// Where it was seen.
    pub interface: InterfaceId,
    /// The client, and whom it asked: the ends of the flow.
    pub tuple: FiveTuple,
    /// The same as the outermost header has them, where a tunnel encloses the flow.
    pub outer: Option<FiveTuple>,
    /// Where the client said it.
    pub source: NameSource,
    /// The name.
    pub name: Arc<str>,
}

/// What the flows of one table said first.
#[derive(Debug, Default)]
pub(crate) struct Openings {
    pending: HashMap<u32, Box<Pending>>,
    order: VecDeque<u32>,
    /// What has no more to it than its protocol's name, once for all flows.
    bare: HashMap<&'static str, Arc<App>>,
    /// How much is wanted: all, where somebody takes records, and names as they are seen.
    depth: Depth,
    pub(crate) names: Vec<NameEvent>,
    beyond: Beyond,
    /// QUIC connections by which later flows are known.
    pub(crate) moved: Moved,
    /// Flows whose first bytes had to make room before they were read.
    pub(crate) evicted: u64,
    /// Encrypted resolvers that plain DNS told of.
    pub(crate) announced: Announced,
}

impl Openings {
    /// Nothing yet, of which so much is wanted.
    pub(crate) fn new(depth: Depth) -> Self {
        Self { depth, ..Self::default() }
    }

    /// Takes the payload of a packet of flow `number`, which is worth hearing.
    #[inline(never)]
    pub(crate) fn hear(&mut self, flows: &mut FlowStore, number: u32, o: &Observation<'_>) {
        // Another flow may have taken its place since it was counted.
        let Some(flow) = flows.open(number).filter(|flow| flow.key == o.key) else { return };
        let is_counted = flow.heed.is_counted();
        if is_counted {
            flows.count_encrypted(number, &heard(o));
        }
        let flow = flows.get(number);
        if let Some(protocol) = o.spoken {
            if flow.more == 0 && !flow.heed.is_told() && !flow.heed.is_pending() {
                // As below, where nothing is known yet.
                flows.set_app(number, self.bare(protocol));
                flows.get_mut(number).heed.told(!o.segment.is_some(), false);
            } else if !flow.heed.is_told() {
                let verdict = Verdict { app: App::of(protocol), then: Then::Next };
                self.settle(flows, number, o, Some(verdict), false);
            }
        } else if flow.heed.is_pending() {
            self.go_on(flows, number, o);
        } else if let Some(app) = self.moved.app_of(flow, o) {
            flows.set_app(number, app);
            flows.get_mut(number).heed.told(true, false);
            self.look_for_lookups(flows, number, o);
        } else if !o.payload.is_empty() {
            if flow.heed.is_told() {
                // Of most, nothing is to be learned: then what is known is left where it is, far from here.
                if Moved::may_learn(o)
                    && let Some(app) = flows.app(flow)
                {
                    self.moved.learn(flow, app, o);
                }
                if !may_begin_another(flow, o) {
                    return;
                }
            }
            let mut asked = candidates(flow, o);
            if flow.heed.is_told() {
                asked = asked.and(later(flow));
            }
            flows.get_mut(number).heed.go_on();
            if asked.is_empty() {
                self.say_nothing_known(flows, number, o);
            } else {
                self.read_alone(flows, number, o, asked);
            }
        }
    }

    /// Takes the payload of a packet that was put together. Its beginning may have been read before: that is no reason not
    /// to, if it named nothing.
    pub(crate) fn hear_whole(&mut self, flows: &mut FlowStore, number: u32, o: &Observation<'_>) {
        let is_named = flows.app(flows.get(number)).is_some_and(|app| !app.names.is_empty());
        let flow = flows.get_mut(number);
        if flow.heed.is_counted() {
            // Its pieces were, and nothing else is to be known.
            return;
        }
        if !is_named && !flow.heed.is_pending() {
            flow.heed.begin_again();
        }
        if flow.heed.wants(o.side) && !o.payload.is_empty() && is_worth_hearing(flow, o, self) {
            self.hear(flows, number, o);
        }
    }

    /// Reads a payload as the whole opening.
    fn read_alone(&mut self, flows: &mut FlowStore, number: u32, o: &Observation<'_>, asked: Candidates) {
        let flow = flows.get(number);
        let ends = [o.payload.len() as u32];
        let said =
            if o.segment.is_some() { Said::stream(o.payload) } else { Said::datagrams_of(o.payload, &ends) };
        let said = said.to(self.depth);
        let (transport, ports) = (o.key.protocol(), ports(flow));
        let mut opening = Opening { transport, ports, depth: self.depth, ..Opening::default() };
        if o.side == flow.initiator {
            opening.initiator = said;
        } else {
            opening.responder = said;
        }
        opening.is_last = o.segment.is_some() && o.payload.len() < o.segment.len as usize;
        let (verdict, left) = read(asked, &opening);
        match verdict {
            Some(Verdict { app, then: Then::More }) => {
                let past = if o.payload.len() < MAX_SAID { [Past::None; 2] } else { past(left, &opening) };
                let past = [(past[0], flow.initiator), (past[1], flow.initiator.other())];
                self.keep(flows, number, Pending::new(o, left, asked, true, past));
                self.learn(flows, number, o, app, false);
            }
            Some(verdict) => self.settle(flows, number, o, Some(verdict), recur(left)),
            None if left.is_empty() => self.say_nothing_known(flows, number, o),
            None => {
                let past = [(Past::None, o.side); 2];
                self.keep(flows, number, Pending::new(o, left, asked, false, past));
            }
        }
    }

    /// Nobody knows what an end says.
    fn say_nothing_known(&mut self, flows: &mut FlowStore, number: u32, o: &Observation<'_>) {
        let flow = flows.get_mut(number);
        if flow.heed.is_told() {
            return;
        }
        // Nobody has read anything: all that may tell is where it goes.
        if Encrypted::may_be(flow, &self.announced) {
            self.look_for_lookups(flows, number, o);
        }
        let flow = flows.get_mut(number);
        if o.segment.is_some() && flow.misses_earlier(o.side) {
            // It may have begun with a segment that is still to come.
            self.keep(flows, number, Pending::waiting(o));
        } else {
            give_up(flow, o);
        }
    }

    /// Adds a payload to what is kept, and reads that again; of a long one, what there is room for, then the rest.
    fn go_on(&mut self, flows: &mut FlowStore, number: u32, o: &Observation<'_>) {
        while self.go_on_once(flows, number, o) {}
    }

    /// Gives whether what was read made room for more of the same payload.
    fn go_on_once(&mut self, flows: &mut FlowStore, number: u32, o: &Observation<'_>) -> bool {
        let flow = flows.get(number);
        let Some(pending) = self.pending.get_mut(&number) else { return false };
        if !pending.add(o, ports(flow)) {
            return false;
        }
        let (went_on, was_sure) = (pending.went_on, pending.sure());
        let (verdict, made_room) = pending.read(self.depth, o.key.protocol(), ports(flow), flow.initiator);
        let is_over = pending.is_over();
        let recurs = recur(pending.sure().or(was_sure)) || verdict.is_none() && may_begin_later(flow, o);
        match verdict {
            Some(verdict) if verdict.then != Then::More || is_over => {
                self.settle_later(flows, number, o, Some(verdict), recurs, went_on);
            }
            Some(verdict) => self.learn(flows, number, o, verdict.app, went_on),
            None if is_over => self.settle(flows, number, o, None, recurs),
            None => {}
        }
        let flow = flows.get(number);
        if is_over && flow.heed.recurs() && !flow.heed.is_pending() {
            // What there was no room for may begin the next one.
            let asked = candidates(flow, o).and(later(flow));
            self.read_alone(flows, number, o, asked);
        }
        made_room
    }

    /// A flow is told: nothing more is kept of it. Its next opening is read if its protocol `recurs`.
    fn settle(
        &mut self,
        flows: &mut FlowStore,
        number: u32,
        o: &Observation<'_>,
        verdict: Option<Verdict>,
        recurs: bool,
    ) {
        self.settle_later(flows, number, o, verdict, recurs, false);
    }

    /// The same, where the verdict may be of what is `later` than what was read before.
    fn settle_later(
        &mut self,
        flows: &mut FlowStore,
        number: u32,
        o: &Observation<'_>,
        verdict: Option<Verdict>,
        recurs: bool,
        later: bool,
    ) {
        let heed = flows.get(number).heed;
        if heed.is_pending() {
            self.pending.remove(&number);
        }
        let mut recurs = recurs || heed.recurs();
        if let Some(Verdict { app, then }) = verdict {
            recurs &= then != Then::Nothing;
            self.learn(flows, number, o, app, later);
        }
        flows.get_mut(number).heed.told(!o.segment.is_some(), recurs);
    }

    /// Keeps what a flow said until there is more of it.
    fn keep(&mut self, flows: &mut FlowStore, number: u32, pending: Pending) {
        flows.get_mut(number).heed.pend();
        self.pending.insert(number, Box::new(pending));
        self.order.push_back(number);
        while self.pending.len() > MAX_PENDING
            && let Some(oldest) = self.order.pop_front()
        {
            // Most have left already: their flows were told, or are gone.
            let left = self.pending.remove(&oldest);
            if left.is_some() && flows.open(oldest).is_some_and(|flow| flow.heed.is_pending()) {
                self.evicted += 1;
                flows.get_mut(oldest).heed.told(false, false);
            }
        }
        if self.order.len() > 2 * MAX_PENDING {
            self.order.retain(|number| self.pending.contains_key(number));
        }
    }
}

/// A payload, to be counted.
fn heard<'a>(o: &Observation<'a>) -> Heard<'a> {
    let seq = o.segment.is_some().then_some(o.segment.seq);
    let headers = if o.key.version() == 4 { IPV4_UDP } else { IPV6_UDP };
    let len =
        if seq.is_some() { o.segment.len as usize } else { (o.ip_bytes as usize).saturating_sub(headers) };
    Heard { side: o.side, at: o.at, bytes: o.payload, len, seq }
}

/// What a dissector knows of an opening, and what may come.
struct Verdict {
    app: App,
    then: Then,
}

/// What may come behind what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// More of the same opening.
    More,
    /// The next opening, if the protocol has one.
    Next,
    /// Nothing that anybody reads.
    Nothing,
}

/// Asks `candidates`; gives what the first of them says that knows, with itself; else those that want more bytes.
fn read(candidates: Candidates, opening: &Opening<'_>) -> (Option<Verdict>, Candidates) {
    let mut left = Candidates::default();
    for (one, dissector) in candidates.each() {
        let (app, then) = match dissector.dissect(opening) {
            Reading::NotMine => continue,
            Reading::NeedMore => {
                left = left.or(one);
                continue;
            }
            Reading::Partly(app) => (app, Then::More),
            Reading::Is(app) => (app, Then::Next),
            Reading::Last(app) => (app, Then::Nothing),
        };
        return (Some(Verdict { app, then }), one);
    }
    (None, left)
}

/// Whether openings of one of these follow each other.
fn recur(sure: Candidates) -> bool {
    !sure.and(Candidates::that_recur()).is_empty()
}

fn ports(flow: &Flow) -> [u16; 2] {
    [flow.initiator, flow.initiator.other()].map(|side| flow.key.port(side))
}
