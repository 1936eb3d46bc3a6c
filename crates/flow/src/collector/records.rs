//! Flows as views get them, with all that is known of them.

use std::sync::Arc;

use dissect::app::{App, End};

use super::Collector;
use crate::encrypted::Encrypted;
use crate::flow::Flow;
use crate::ledger::InterfaceId;
use crate::live::Facts;
use crate::name::Cause;
use crate::record::{FlowRecord, TunnelHeader};

impl Collector {
    fn interface_name(&self, id: InterfaceId) -> Option<Arc<str>> {
        self.interfaces.get(usize::from(id.0))?.name.clone()
    }

    /// One open flow with all its facts.
    pub(super) fn record_of(&self, number: u32, flow: &Flow) -> FlowRecord {
        let mut record =
            self.record(flow, self.flows.tunnels(flow), self.flows.app(flow), self.facts(number));
        Self::add_encrypted(&mut record, self.flows.encrypted(flow), flow);
        record
    }

    pub(super) fn add_encrypted(record: &mut FlowRecord, encrypted: Option<&Encrypted>, flow: &Flow) {
        record.encrypted_dns = encrypted.and_then(|encrypted| encrypted.record(flow, record.app.as_deref()));
        if record.encrypted_dns.is_some() && record.cause == Cause::NoneSeen {
            record.cause = Cause::Unknown;
        }
    }

    pub(super) fn record(
        &self,
        flow: &Flow,
        tunnels: &[TunnelHeader],
        app: Option<&Arc<App>>,
        facts: Option<&Facts>,
    ) -> FlowRecord {
        let mut record = FlowRecord::of(flow, tunnels, app);
        let answer = facts.and_then(|facts| facts.answer.as_ref());
        record.direction = self.config.selection.direction(flow, answer);
        record.own_lookup = self.config.selection.is_own_lookup(flow);
        record.interface = self.interface_name(InterfaceId(flow.interface));
        record.source_name = self.called(End::Initiator, flow, app, answer);
        record.destination_name = self.called(End::Responder, flow, app, answer);
        record.cause = self.cause(&record, flow, answer);
        // Inside of a tunnel, others may have the addresses of this link.
        if tunnels.is_empty() {
            record.source_mac = self.neighbours.of(record.source.addr);
            record.destination_mac = self.neighbours.of(record.destination.addr);
        }
        if let Some(facts) = facts {
            record.owner.clone_from(&facts.answer);
            // One that went and came back is two, of one name.
            for name in facts.strands.interfaces().into_iter().filter_map(|id| self.interface_name(id)) {
                if !record.path.contains(&name) {
                    record.path.push(name);
                }
            }
            let nat = facts.nat.as_deref().copied();
            record.nat = nat.map(|(from, to)| if facts.turned(flow) { (to, from) } else { (from, to) });
            record.pace = Some(facts.pace(self.intervals()));
        }
        record
    }
}
