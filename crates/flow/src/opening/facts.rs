//! What is known of a flow, from what its ends said.

use std::sync::Arc;

use dissect::FiveTuple;
use dissect::app::{App, Depth, End, Name};

use super::{NameEvent, Openings, heard};
use crate::encrypted::{Announcement, Encrypted};
use crate::flow::Flow;
use crate::key::Side;
use crate::ledger::InterfaceId;
use crate::record::outermost;
use crate::store::FlowStore;
use crate::tally::Observation;

impl Openings {
    /// Adds to what is known of a flow, and by which it will be known elsewhere. What is `later` than what was read before
    /// takes nothing of that away.
    pub(super) fn learn(
        &mut self,
        flows: &mut FlowStore,
        number: u32,
        o: &Observation<'_>,
        app: App,
        later: bool,
    ) {
        self.add(flows, number, o, app, later);
        let flow = flows.get(number);
        if let Some(app) = flows.app(flow) {
            self.moved.learn(flow, app, o);
        }
    }

    fn add(&mut self, flows: &mut FlowStore, number: u32, o: &Observation<'_>, mut app: App, later: bool) {
        let flow = flows.get(number);
        let later = later || flow.heed.is_told();
        let known = flows.app(flow);
        if let Some(client) = known.and_then(|known| known.names.first()).map(|name| name.client) {
            // What looks like a request of the server's is a part of a body.
            app.names.retain(|name| name.client == client);
        }
        if self.depth == Depth::All {
            // What the flow has no room for is remembered elsewhere.
            let mut room = App::MAX_NAMES.saturating_sub(known.map_or(0, |known| known.names.len()));
            for name in app.names.iter().filter(|name| known.is_none_or(|known| !known.knows(name))) {
                if room > 0 || self.beyond.hears_first(flow, name) {
                    self.names.push(event(flow, o, name));
                }
                room = room.saturating_sub(1);
            }
        }
        let app = match known {
            Some(known) if **known == app || later && known.says_all_of(&app) => return,
            Some(known) => {
                let mut whole = App::clone(known);
                if later {
                    whole.extend(&app);
                } else {
                    whole.absorb(&app);
                }
                Arc::new(whole.kept())
            }
            None if app.names.is_empty() && app.fields.is_empty() => self.bare(app.protocol),
            None => Arc::new(app.kept()),
        };
        flows.set_app(number, app);
        self.look_for_lookups(flows, number, o);
    }

    /// What is known of a flow of which the ends said no more than what protocol they speak.
    pub(super) fn bare(&mut self, protocol: &'static str) -> Arc<App> {
        Arc::clone(self.bare.entry(protocol).or_insert_with(|| Arc::new(App::of(protocol))))
    }

    /// Learns of encrypted resolvers that were announced elsewhere, perhaps after flows to them had been read.
    pub(crate) fn learn_announced(&mut self, flows: &mut FlowStore, announced: Vec<Announcement>) {
        /// Beyond so many flows, those that have been read are left as they are.
        const MOST: usize = 65_536;
        let mut fresh = Vec::new();
        for one in announced {
            let at = one.at;
            if self.announced.learn(one) {
                fresh.push(at);
            }
        }
        if fresh.is_empty() || flows.len() > MOST {
            return;
        }
        let is_to = |flow: &Flow| {
            [Side::Low, Side::High].into_iter().any(|side| fresh.contains(&flow.key.endpoint(side)))
        };
        let found = flows.numbered().filter(|(_, flow)| !flow.heed.is_counted() && is_to(flow));
        let found: Vec<u32> = found.map(|(number, _)| number).collect();
        for number in found {
            let flow = flows.get(number);
            if let Some(encrypted) = Encrypted::of(flow, flows.app(flow).map(|app| &**app), &self.announced) {
                flows.set_encrypted(number, encrypted);
            }
        }
    }

    /// Tells a flow of encrypted lookups by what is known of it now.
    pub(super) fn look_for_lookups(&mut self, flows: &mut FlowStore, number: u32, o: &Observation<'_>) {
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
}

fn event(flow: &Flow, o: &Observation<'_>, name: &Name) -> NameEvent {
    let client = if name.client == End::Initiator { flow.initiator } else { flow.initiator.other() };
    let (key, protocol) = (&flow.key, flow.key.protocol());
    let tuple = FiveTuple { src: key.endpoint(client), dst: key.endpoint(client.other()), protocol };
    let outer = o.enclosing().and_then(|(link_type, bytes)| outermost(link_type, bytes));
    let turned = |outer: FiveTuple| FiveTuple { src: outer.dst, dst: outer.src, ..outer };
    let outer = outer.map(|outer| if client == o.side { outer } else { turned(outer) });
    let (timestamp, interface) = (o.at, InterfaceId(o.interface));
    NameEvent { timestamp, interface, tuple, outer, source: name.source, name: Arc::clone(&name.name) }
}
