//! What became of every packet: the ledger.

use std::collections::BTreeMap;

use super::Collector;
use crate::attribution::{Answer, Reason};
use crate::counters::Counters;
use crate::ledger::{InterfaceId, InterfaceLedger, InterfaceName, Ledger, LiveLedger};
use crate::live::Facts;
use crate::path::Place;
use crate::sockets::{InFlows, SocketLedger};
use crate::totals::{Frames, InterfaceTotals};

/// Why nobody has said whose a flow is.
const NOT_YET: &str = Reason::Deferred.text();

/// Whose the packets of one interface were, in packets and frame bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Shares {
    owned: (u64, u64),
    forwarded: (u64, u64),
    by_kernel: (u64, u64),
    unknown: (u64, u64),
    reasons: BTreeMap<&'static str, u64>,
}

impl Shares {
    fn add(&mut self, answer: Option<&Answer>, sum: Counters) {
        let share = match answer {
            Some(Answer::Owner(_)) => &mut self.owned,
            Some(Answer::None(Reason::Forwarded)) => &mut self.forwarded,
            Some(Answer::None(Reason::Kernel)) => &mut self.by_kernel,
            _ => &mut self.unknown,
        };
        *share = (share.0 + sum.packets, share.1 + sum.frame_bytes);
    }
}

/// Why it is not known whose a flow is; `None` where it is.
fn unknown(answer: Option<&Answer>) -> Option<&'static str> {
    match answer {
        Some(Answer::Owner(_) | Answer::None(Reason::Forwarded | Reason::Kernel)) => None,
        Some(Answer::None(reason)) => Some(reason.text()),
        None => Some(NOT_YET),
    }
}

fn shares_of(shares: &mut Vec<Shares>, interface: InterfaceId) -> &mut Shares {
    let at = usize::from(interface.0);
    if shares.len() <= at {
        shares.resize_with(at + 1, Shares::default);
    }
    &mut shares[at]
}

/// Adds a flow's strands to their interfaces' shares, and once to `reasons`; gives what they held together.
fn add_strands(
    shares: &mut Vec<Shares>,
    reasons: &mut BTreeMap<&'static str, u64>,
    facts: &Facts,
) -> Counters {
    let mut all = Counters::default();
    let reason = unknown(facts.answer.as_ref());
    if let Some(reason) = reason {
        *reasons.entry(reason).or_default() += 1;
    }
    for strand in facts.strands.iter() {
        let shares = shares_of(shares, strand.place.interface);
        let sum = strand.sent[0] + strand.sent[1];
        shares.add(facts.answer.as_ref(), sum);
        all += sum;
        // A flow may pass an interface on both sides of a translation.
        let again = strand.place.translated && facts.strands.has(Place { translated: false, ..strand.place });
        if let Some(reason) = reason.filter(|_| !again) {
            *shares.reasons.entry(reason).or_default() += 1;
        }
    }
    all
}

/// What all flows add up to: begun with those that are over.
pub(super) struct Account {
    counted: Counters,
    shares: Vec<Shares>,
    reasons: BTreeMap<&'static str, u64>,
    /// By process, where sockets are counted, and somebody wants to know.
    in_flows: Option<InFlows>,
}

impl Account {
    /// Adds an open flow that has held `sum`; live, what all of its strands have.
    pub(super) fn add(&mut self, sum: Counters, facts: Option<&Facts>) {
        let Some(facts) = facts else {
            self.counted += sum;
            return;
        };
        self.counted += add_strands(&mut self.shares, &mut self.reasons, facts);
        if let Some(in_flows) = &mut self.in_flows {
            in_flows.add(facts.answer.as_ref(), sum);
        }
    }
}

impl Collector {
    /// The account of all that is over; with what processes' flows had if `sockets`.
    pub(super) fn account(&self, sockets: bool) -> Account {
        let live = self.live.as_ref();
        Account {
            counted: self.closed.counted,
            shares: live.map(|live| live.shares.clone()).unwrap_or_default(),
            reasons: live.map(|live| live.reasons.clone()).unwrap_or_default(),
            in_flows: live
                .and_then(|live| live.sockets.as_ref())
                .filter(|_| sockets)
                .map(|s| s.closed.clone()),
        }
    }

    /// Puts together what an open flow had on interfaces that are gone, and closes its account there.
    pub(super) fn fold(&mut self, number: u32) {
        let Some(live) = &mut self.live else { return };
        let gone = &live.gone;
        let folded = live.flows.fold(number, |id| gone.contains(&id));
        let answer = live.flows.facts(number).and_then(|facts| facts.answer.as_ref());
        for (place, sum) in folded {
            let shares = shares_of(&mut live.shares, place.interface);
            shares.add(answer, sum);
            if let Some(reason) = unknown(answer).filter(|_| !place.translated) {
                *shares.reasons.entry(reason).or_default() += 1;
            }
            self.closed.counted += sum;
        }
    }

    /// Adds a flow that is over to the shares of its interfaces; gives what all of them counted, where each counts
    /// apart.
    pub(super) fn share(&mut self, facts: Option<&Facts>) -> Option<Counters> {
        let live = self.live.as_mut()?;
        facts.map(|facts| add_strands(&mut live.shares, &mut live.reasons, facts))
    }

    /// The ledger: `hidden` is of the flows that are not shown.
    pub(super) fn ledger(&self, hidden: (u64, Counters), account: Account) -> Ledger {
        let Account { counted, mut shares, reasons, .. } = account;
        let silent = InterfaceTotals::default();
        let totals = self.totals.interfaces.iter().chain(std::iter::repeat(&silent));
        let named = self.interfaces.iter().zip(totals);
        let mut interfaces: Vec<_> = named.map(|(name, totals)| interface_ledger(name, totals)).collect();
        if self.live.is_some() {
            shares.resize_with(interfaces.len(), Shares::default);
            self.add_live_ledgers(&mut interfaces, shares);
        }
        Ledger {
            interfaces,
            counted,
            evicted_flows: self.closed.evicted.0,
            evicted: self.closed.evicted.1,
            hidden,
            reasons: most_first(reasons.into_iter().map(|(reason, n)| (reason.to_owned(), n))),
            unread_openings: self.totals.unread_openings,
            odd: most_first(self.totals.odd.iter().map(|(what, &n)| (what.name(), n))),
            malformed_messages: most_first(
                self.totals.malformed_messages.iter().map(|((who, why), &n)| (format!("{who}: {why}"), n)),
            ),
        }
    }

    /// The account at sockets; with each process if `whole`.
    pub(super) fn socket_ledger(&self, account: &mut Account, whole: bool) -> Option<SocketLedger> {
        let sockets = self.live.as_ref()?.sockets.as_ref()?;
        account.in_flows.take().map(|in_flows| sockets.ledger(in_flows, whole))
    }

    /// Adds what only live interfaces have.
    fn add_live_ledgers(&self, interfaces: &mut [InterfaceLedger], shares: Vec<Shares>) {
        let Some(live) = &self.live else { return };
        let alone = interfaces.len() == 1;
        let mut left = live.dropped;
        for ((id, ledger), shares) in (0..).map(InterfaceId).zip(interfaces).zip(shares) {
            let totals = self.totals.interfaces.get(usize::from(id.0));
            let readings = live.kernel.get(&id);
            // Not all drivers count the parts: what the interface has not counted was not split.
            let lost = if alone { live.dropped } else { 0 };
            let most = readings.map(|r| r.after.0.saturating_sub(ledger.seen.0 + lost));
            let offload = totals.map_or((0, 0), |t| at_most(t.offload, most.unwrap_or(u64::MAX)));
            // The ring does not say on which interface it lost what: what is missing there is taken to be it.
            let missing = readings.map(|r| r.before.0.saturating_sub(ledger.seen.0 + offload.0));
            let dropped = match missing {
                _ if alone => Some(live.dropped),
                _ if live.dropped == 0 => Some(0),
                missing => missing.map(|missing| missing.min(left)),
            };
            left -= dropped.unwrap_or(0).min(left);
            let (packets, bytes) = (ledger.seen.0 + offload.0, ledger.seen.1 + offload.1);
            let kernel = readings.map(|r| match dropped {
                Some(0) => r.at((packets, bytes)),
                // Nobody knows how long those were.
                dropped => r.at((packets + dropped.unwrap_or(0), u64::MAX)),
            });
            ledger.live = Some(LiveLedger {
                kernel,
                dropped,
                in_kernel: totals.map_or((0, 0), |t| (t.in_kernel.packets, t.in_kernel.bytes)),
                without_flow: totals.map_or((0, 0), |t| (t.without_flow.packets, t.without_flow.bytes)),
                settled: totals.map_or((0, 0), |t| (t.settled.packets, t.settled.bytes)),
                offload,
                owned: shares.owned,
                forwarded: shares.forwarded,
                by_kernel: shares.by_kernel,
                unknown: shares.unknown,
                reasons: most_first(shares.reasons.into_iter().map(|(reason, n)| (reason.to_owned(), n))),
            });
        }
    }
}

/// So much of an estimate as there can have been.
fn at_most(estimate: Frames, packets: u64) -> (u64, u64) {
    if packets >= estimate.packets {
        return (estimate.packets, estimate.bytes);
    }
    let bytes = u128::from(estimate.bytes) * u128::from(packets) / u128::from(estimate.packets);
    (packets, bytes as u64)
}

fn interface_ledger(name: &InterfaceName, totals: &InterfaceTotals) -> InterfaceLedger {
    let (mut names, mut malformed) = (BTreeMap::<String, u64>::new(), BTreeMap::<String, u64>::new());
    let mut not_ip = (0, 0);
    for (why, frames) in &totals.no_flow {
        not_ip = (not_ip.0 + frames.packets, not_ip.1 + frames.bytes);
        match why.malformed() {
            Some(reason) => *malformed.entry(reason).or_default() += frames.packets,
            None => *names.entry(why.name()).or_default() += frames.packets,
        }
    }
    let (seen, rest) = (totals.seen, totals.without_flow);
    InterfaceLedger {
        interface: name.clone(),
        seen: (seen.packets, seen.bytes),
        counted: (seen.packets - rest.packets - not_ip.0, seen.bytes - rest.bytes - not_ip.1),
        not_ip,
        not_ip_names: most_first(names.into_iter()),
        malformed: most_first(malformed.into_iter()),
        live: None,
    }
}

fn most_first(counts: impl Iterator<Item = (String, u64)>) -> Vec<(String, u64)> {
    let mut counts: Vec<_> = counts.collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts
}
