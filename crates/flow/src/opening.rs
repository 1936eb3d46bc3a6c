//! What flows say first: kept until an application dissector has read it, and no longer.
//!
//! Most flows are told by the first packet with a payload, which is read where it stands. What a dissector wants more
//! of is kept, up to [`MAX_SAID`] bytes an end, for so many flows at once as [`MAX_PENDING`] says; the oldest makes room
//! and is counted.

mod pending;
mod prefix;

use std::collections::VecDeque;
use std::sync::Arc;

use dissect::app::{App, Candidates, End, Name, NameSource, Opening, Reading, Said};
use dissect::{FiveTuple, Timestamp};
use hashbrown::HashMap;

use self::pending::Pending;
use crate::flow::Flow;
use crate::ledger::InterfaceId;
use crate::store::FlowStore;
use crate::tally::Observation;

/// Flows whose first bytes are kept at once.
pub(crate) const MAX_PENDING: usize = 4096;
/// First bytes that are kept of an end.
pub(crate) const MAX_SAID: usize = 16 * 1024;
/// Packets of an end in which a flow of datagrams may still become another protocol's.
const PATIENCE: u64 = 64;
/// Datagrams of an end in which its protocol is looked for.
const TRIES: u64 = 4;

/// A name that a client asked for, as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameEvent {
    /// When it was complete.
    pub timestamp: Timestamp,
    /// Where it was seen.
    pub interface: InterfaceId,
    /// The client, and whom it asked.
    pub tuple: FiveTuple,
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
    /// Whether somebody takes names as they are seen.
    tell: bool,
    pub(crate) names: Vec<NameEvent>,
    /// Flows whose first bytes had to make room before they were read.
    pub(crate) evicted: u64,
}

impl Openings {
    /// Nothing yet; `tell` if somebody takes names as they are seen.
    pub(crate) fn new(tell: bool) -> Self {
        Self { tell, ..Self::default() }
    }

    /// Takes the payload of a packet of flow `number`, which has heed of it.
    #[inline(never)]
    pub(crate) fn hear(&mut self, flows: &mut FlowStore, number: u32, o: &Observation<'_>) {
        // Another flow may have taken its place since it was counted.
        let Some(flow) = flows.open(number).filter(|flow| flow.key == o.key) else { return };
        if flow.heed.is_pending() {
            self.go_on(flows, number, o);
            return;
        }
        let Some(&first) = o.payload.first() else { return };
        let mut asked = Candidates::of(o.key.protocol(), first);
        if flow.heed.is_told() {
            asked = asked.and(Candidates::that_come_later());
            if !asked.is_empty() {
                asked = asked.and(later(flows, flow, o));
            }
            let heard_enough = flow.packets[o.side.index()] > PATIENCE;
            if asked.is_empty() && heard_enough && !recurs(flows, flow) {
                flows.get_mut(number).heed.ignore(o.side);
            }
        }
        if !asked.is_empty() {
            self.read_alone(flows, number, o, asked);
        } else if !flows.get(number).heed.is_told() {
            self.say_nothing_known(flows, number, o);
        }
    }

    /// Reads a payload as the whole opening.
    fn read_alone(&mut self, flows: &mut FlowStore, number: u32, o: &Observation<'_>, asked: Candidates) {
        let flow = flows.get(number);
        let ends = [o.payload.len() as u32];
        let said =
            if o.segment.is_some() { Said::stream(o.payload) } else { Said::datagrams_of(o.payload, &ends) };
        let mut opening = Opening { transport: o.key.protocol(), ports: ports(flow), ..Opening::default() };
        if o.side == flow.initiator {
            opening.initiator = said;
        } else {
            opening.responder = said;
        }
        opening.is_last = o.segment.is_some() && o.payload.len() < o.segment.len as usize;
        let (verdict, left) = read(asked, &opening);
        match verdict {
            Some((app, true)) => self.settle(flows, number, o, Some(app)),
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
        if o.segment.is_some() && flow.misses_earlier(o.side) {
            // It may have begun with a segment that is still to come.
            self.keep(flows, number, Pending::waiting(o));
        } else if o.segment.is_some() || flow.packets[o.side.index()] > TRIES {
            flow.heed.nothing_known(o.side, !o.segment.is_some());
        }
    }

    /// Adds a payload to what is kept, and reads that again.
    fn go_on(&mut self, flows: &mut FlowStore, number: u32, o: &Observation<'_>) {
        let flow = flows.get(number);
        let Some(pending) = self.pending.get_mut(&number) else { return };
        if !pending.add(o) {
            return;
        }
        let verdict = pending.read(o.key.protocol(), ports(flow), flow.initiator);
        let is_over = pending.is_over();
        match verdict {
            Some((app, whole)) if whole || is_over => self.settle(flows, number, o, Some(app)),
            Some((app, _)) => self.learn(flows, number, o, app),
            None if is_over => self.settle(flows, number, o, None),
            None => {}
        }
    }

    /// A flow is told: nothing more is kept of it.
    fn settle(&mut self, flows: &mut FlowStore, number: u32, o: &Observation<'_>, app: Option<App>) {
        if flows.get(number).heed.is_pending() {
            self.pending.remove(&number);
        }
        if let Some(app) = app {
            self.learn(flows, number, o, app);
        }
        let goes_on = !o.segment.is_some() || recurs(flows, flows.get(number));
        flows.get_mut(number).heed.told(goes_on);
    }

    /// Adds to what is known of a flow.
    fn learn(&mut self, flows: &mut FlowStore, number: u32, o: &Observation<'_>, app: App) {
        let flow = flows.get(number);
        let known = flows.app(flow);
        if self.tell {
            let fresh = |name: &&Name| known.is_none_or(|known| !known.names.contains(name));
            self.names.extend(app.names.iter().filter(fresh).map(|name| event(flow, o, name)));
        }
        let app = match known {
            Some(known) if **known == app => return,
            Some(known) => {
                let mut whole = App::clone(known);
                whole.absorb(&app);
                Arc::new(whole)
            }
            None if app.names.is_empty() && app.fields.is_empty() => {
                Arc::clone(self.bare.entry(app.protocol).or_insert_with(|| Arc::new(app)))
            }
            None => Arc::new(app),
        };
        flows.set_app(number, app);
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
                flows.get_mut(oldest).heed.told(false);
            }
        }
        if self.order.len() > 2 * MAX_PENDING {
            self.order.retain(|number| self.pending.contains_key(number));
        }
    }
}

/// Who may read a later packet of a flow that was told already.
fn later(flows: &FlowStore, flow: &Flow, o: &Observation<'_>) -> Candidates {
    let same = flows.app(flow).map_or(Candidates::default(), |app| Candidates::that_recur(app.protocol));
    let patient = !o.segment.is_some() && flow.packets[o.side.index()] <= PATIENCE;
    if patient { same.or(Candidates::that_follow_others()) } else { same }
}

fn recurs(flows: &FlowStore, flow: &Flow) -> bool {
    flows.app(flow).is_some_and(|app| !Candidates::that_recur(app.protocol).is_empty())
}

/// Asks `candidates`; gives what the first of them says that knows, and whether it has said all, and those that want
/// more bytes.
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

fn ports(flow: &Flow) -> [u16; 2] {
    [flow.initiator, flow.initiator.other()].map(|side| flow.key.port(side))
}

fn event(flow: &Flow, o: &Observation<'_>, name: &Name) -> NameEvent {
    let client = if name.client == End::Initiator { flow.initiator } else { flow.initiator.other() };
    let (key, protocol) = (&flow.key, flow.key.protocol());
    let tuple = FiveTuple { src: key.endpoint(client), dst: key.endpoint(client.other()), protocol };
    let (timestamp, interface) = (o.at, InterfaceId(o.interface));
    NameEvent { timestamp, interface, tuple, source: name.source, name: Arc::clone(&name.name) }
}
