//! What flows say first: kept until an application dissector has read it, and no longer.
//!
//! Most flows are told by the first packet with a payload, which is read where it stands. What a dissector wants more
//! of is kept, up to [`MAX_SAID`] bytes an end, for so many flows at once as [`MAX_PENDING`] says; the oldest makes room
//! and is counted.

mod beyond;
mod moved;
mod pending;
mod prefix;

use std::collections::VecDeque;
use std::sync::Arc;

use dissect::app::{App, Candidates, Depth, End, Interest, Name, NameSource, Opening, Reading, Said, quic};
use dissect::{FiveTuple, Timestamp};
use hashbrown::HashMap;

use self::beyond::Beyond;
use self::moved::Moved;
use self::pending::Pending;
use crate::encrypted::{Announced, Encrypted, Heard};
use crate::flow::Flow;
use crate::ledger::InterfaceId;
use crate::record::outermost;
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
            if !flow.heed.is_told() {
                self.settle(flows, number, o, Some(App::of(protocol)), false);
            }
        } else if flow.heed.is_pending() {
            self.go_on(flows, number, o);
        } else if let Some(app) = self.moved.app_of(flow, o) {
            flows.set_app(number, app);
            flows.get_mut(number).heed.told(true, false);
            self.look_for_lookups(flows, number, o);
        } else if !o.payload.is_empty() {
            let mut asked = candidates(flow, o);
            if flow.heed.is_told() {
                if let Some(app) = flows.app(flow) {
                    self.moved.learn(flow, app, o);
                }
                asked = asked.and(later(flow));
            }
            if asked.is_empty() {
                self.say_nothing_known(flows, number, o);
            } else {
                self.read_alone(flows, number, o, asked);
            }
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
            Some((app, true)) => self.settle(flows, number, o, Some(app), recur(left)),
            Some((app, false)) => {
                self.keep(flows, number, Pending::new(o, left, asked, true));
                self.learn(flows, number, o, app);
            }
            None if left.is_empty() => self.say_nothing_known(flows, number, o),
            None => self.keep(flows, number, Pending::new(o, left, asked, false)),
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

    /// Adds a payload to what is kept, and reads that again.
    fn go_on(&mut self, flows: &mut FlowStore, number: u32, o: &Observation<'_>) {
        let flow = flows.get(number);
        let Some(pending) = self.pending.get_mut(&number) else { return };
        if !pending.add(o, ports(flow)) {
            return;
        }
        let verdict = pending.read(self.depth, o.key.protocol(), ports(flow), flow.initiator);
        let is_over = pending.is_over();
        let recurs = recur(pending.sure()) || verdict.is_none() && is_in_its_middle(flow);
        match verdict {
            Some((app, whole)) if whole || is_over => self.settle(flows, number, o, Some(app), recurs),
            Some((app, _)) => self.learn(flows, number, o, app),
            None if is_over => self.settle(flows, number, o, None, recurs),
            None => {}
        }
        let flow = flows.get(number);
        if is_over && recurs && !flow.heed.is_pending() {
            // What there was no room for may begin the next one.
            let asked = candidates(flow, o).and(later(flow));
            self.read_alone(flows, number, o, asked);
        }
    }

    /// A flow is told: nothing more is kept of it. Its next opening is read if its protocol `recurs`.
    fn settle(
        &mut self,
        flows: &mut FlowStore,
        number: u32,
        o: &Observation<'_>,
        app: Option<App>,
        recurs: bool,
    ) {
        let heed = flows.get(number).heed;
        if heed.is_pending() {
            self.pending.remove(&number);
        }
        if let Some(app) = app {
            self.learn(flows, number, o, app);
        }
        flows.get_mut(number).heed.told(!o.segment.is_some(), recurs || heed.recurs());
    }

    /// Adds to what is known of a flow, and by which it will be known elsewhere.
    fn learn(&mut self, flows: &mut FlowStore, number: u32, o: &Observation<'_>, app: App) {
        self.add(flows, number, o, app);
        let flow = flows.get(number);
        if let Some(app) = flows.app(flow) {
            self.moved.learn(flow, app, o);
        }
    }

    fn add(&mut self, flows: &mut FlowStore, number: u32, o: &Observation<'_>, mut app: App) {
        let flow = flows.get(number);
        let known = flows.app(flow);
        if let Some(client) = known.and_then(|known| known.names.first()).map(|name| name.client) {
            // What looks like a request of the server's is a part of a body.
            app.names.retain(|name| name.client == client);
        }
        if self.depth == Depth::All {
            let beyond = &mut self.beyond;
            let fresh = |name: &&Name| {
                known.is_none_or(|known| !known.knows(name) && beyond.hears_first(flow, known, name))
            };
            self.names.extend(app.names.iter().filter(fresh).map(|name| event(flow, o, name)));
        }
        let app = match known {
            Some(known) if **known == app || flow.heed.is_told() && known.says_all_of(&app) => return,
            Some(known) => {
                let mut whole = App::clone(known);
                if flow.heed.is_told() {
                    whole.extend(&app);
                } else {
                    whole.absorb(&app);
                }
                Arc::new(whole)
            }
            None if app.names.is_empty() && app.fields.is_empty() => {
                Arc::clone(self.bare.entry(app.protocol).or_insert_with(|| Arc::new(app)))
            }
            None => Arc::new(app),
        };
        flows.set_app(number, app);
        self.look_for_lookups(flows, number, o);
    }

    /// Tells a flow of encrypted lookups by what is known of it now.
    fn look_for_lookups(&mut self, flows: &mut FlowStore, number: u32, o: &Observation<'_>) {
        let flow = flows.get(number);
        let app = flows.app(flow);
        if flow.heed.is_counted() || app.is_none() && !Encrypted::may_be(flow, &self.announced) {
            return;
        }
        if let Some(encrypted) = Encrypted::of(flow, app.map(|app| &**app), &self.announced) {
            flows.set_encrypted(number, encrypted);
            flows.count_encrypted(number, &heard(o));
        }
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

/// Whether a payload that a flow has heed of is worth a closer look. Most of those that are not are told by their first
/// bytes, here, where the flow and the packet are at hand.
#[inline(never)]
pub(crate) fn is_worth_hearing(flow: &mut Flow, o: &Observation<'_>, openings: &Openings) -> bool {
    if flow.heed.is_pending() || flow.heed.is_counted() {
        return true;
    }
    if o.spoken.is_some() {
        return !flow.heed.is_told();
    }
    let Some(&first) = o.payload.first() else { return false };
    if !flow.heed.is_told() {
        let may_be_more = o.segment.is_some() && flow.misses_earlier(o.side);
        if may_be_more
            || !candidates(flow, o).is_empty()
            || Encrypted::may_be(flow, &openings.announced)
            || openings.moved.may_be(o)
        {
            return true;
        }
        give_up(flow, o);
        return false;
    }
    let interest = Interest::of(o.key.protocol(), first);
    if flow.heed.recurs() && interest.recurs() {
        return true;
    }
    if o.segment.is_some() {
        return false;
    }
    interest.follows() || quic::is_handshake(o.payload)
}

/// Who may read a payload as an end's first one.
fn candidates(flow: &Flow, o: &Observation<'_>) -> Candidates {
    Candidates::of(o.key.protocol(), o.payload, ports(flow))
}

/// Nobody knows what an end said first.
fn give_up(flow: &mut Flow, o: &Observation<'_>) {
    if is_in_its_middle(flow) {
        flow.heed.told(false, true);
    } else {
        flow.heed.nothing_known(o.side, !o.segment.is_some());
    }
}

/// Whether a flow was picked up in its middle, and its port is of a protocol of which openings follow each other: the next may
/// be read.
fn is_in_its_middle(flow: &Flow) -> bool {
    flow.key.protocol() == TCP && !flow.began_here() && ports(flow).into_iter().any(Candidates::recur_on)
}

/// Who may read a later packet of a flow that was told already.
fn later(flow: &Flow) -> Candidates {
    let same = if flow.heed.recurs() { Candidates::that_recur() } else { Candidates::default() };
    if flow.key.protocol() == UDP { same.or(Candidates::that_follow_others()) } else { same }
}

/// A payload, to be counted.
fn heard<'a>(o: &Observation<'a>) -> Heard<'a> {
    let seq = o.segment.is_some().then_some(o.segment.seq);
    let headers = if o.key.version() == 4 { IPV4_UDP } else { IPV6_UDP };
    let len =
        if seq.is_some() { o.segment.len as usize } else { (o.ip_bytes as usize).saturating_sub(headers) };
    Heard { side: o.side, bytes: o.payload, len, seq }
}

/// Asks `candidates`; gives what the first of them says that knows, and whether it has said all, with itself; else those
/// that want more bytes.
fn read(candidates: Candidates, opening: &Opening<'_>) -> (Option<(App, bool)>, Candidates) {
    let mut left = Candidates::default();
    for (one, dissector) in candidates.each() {
        match dissector.dissect(opening) {
            Reading::NotMine => {}
            Reading::NeedMore => left = left.or(one),
            Reading::Partly(app) => return (Some((app, false)), one),
            Reading::Is(app) => return (Some((app, true)), one),
        }
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

fn event(flow: &Flow, o: &Observation<'_>, name: &Name) -> NameEvent {
    let client = if name.client == End::Initiator { flow.initiator } else { flow.initiator.other() };
    let (key, protocol) = (&flow.key, flow.key.protocol());
    let tuple = FiveTuple { src: key.endpoint(client), dst: key.endpoint(client.other()), protocol };
    let outer = o.enclosed.and_then(|(link_type, bytes)| outermost(link_type, bytes));
    let turned = |outer: FiveTuple| FiveTuple { src: outer.dst, dst: outer.src, ..outer };
    let outer = outer.map(|outer| if client == o.side { outer } else { turned(outer) });
    let (timestamp, interface) = (o.at, InterfaceId(o.interface));
    NameEvent { timestamp, interface, tuple, outer, source: name.source, name: Arc::clone(&name.name) }
}
