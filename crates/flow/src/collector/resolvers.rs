//! Resolvers that are asked over encrypted transports, added up over flows.

use std::sync::Arc;

use hashbrown::HashMap;

use super::Collector;
use crate::encrypted::{DnsKind, EncryptedDns, ResolverTotals};
use crate::flow::Flow;

/// Resolvers that are kept of flows that are over.
const MAX_KEPT: usize = 4096;

/// Resolvers by kind and name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resolvers(HashMap<(DnsKind, Arc<str>), ResolverTotals>);

impl Resolvers {
    /// Adds one flow.
    pub(crate) fn add(&mut self, flow: &Flow, dns: EncryptedDns) {
        let EncryptedDns { kind, resolver, queries, .. } = dns;
        let key = (kind, Arc::clone(&resolver));
        if self.0.len() >= MAX_KEPT && !self.0.contains_key(&key) {
            return;
        }
        let none = ResolverTotals { kind, resolver, flows: 0, bytes: 0, queries: 0 };
        let totals = self.0.entry(key).or_insert(none);
        totals.flows += 1;
        totals.bytes += flow.total().ip_bytes;
        totals.queries += queries;
    }

    /// Most lookups first.
    pub(super) fn ranked(self) -> Vec<ResolverTotals> {
        let mut all: Vec<_> = self.0.into_values().collect();
        all.sort_unstable_by(|a, b| {
            let by_size = (b.queries, b.bytes).cmp(&(a.queries, a.bytes));
            by_size.then_with(|| (a.kind, &a.resolver).cmp(&(b.kind, &b.resolver)))
        });
        all
    }
}

impl Collector {
    /// Adds a flow that is shown, if it is to a resolver.
    pub(super) fn add_resolver(&self, resolvers: &mut Resolvers, flow: &Flow) {
        if let Some(encrypted) = self.flows.encrypted(flow)
            && let Some(dns) = encrypted.record(flow, self.flows.app(flow).map(|app| &**app))
        {
            resolvers.add(flow, dns);
        }
    }
}
