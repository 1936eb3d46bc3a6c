//! Whose flows are: what is asked about them, and which answers count.

use std::collections::VecDeque;
use std::mem;
use std::net::SocketAddr;

use dissect::{Endpoint, Timestamp};

use super::LiveFlows;
use super::translated::Alias;
use crate::attribution::{Answer, Protocol, Question, Reason};
use crate::flow::Flow;
use crate::key::FlowKey;
use crate::store::FlowStore;

/// Questions that wait to be asked; beyond, flows are not asked about.
pub(super) const MAX_QUESTIONS: usize = 65_536;

/// What an answer is given for.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    key: FlowKey,
    first: Timestamp,
    /// The flow's number, as long as that is not another's.
    number: u32,
    /// It was known how the flow is translated, if it is.
    knows: bool,
}

impl LiveFlows {
    /// Has somebody asked whose a flow is.
    pub(super) fn ask(&mut self, flow: &Flow, number: u32, ifindex: u32) {
        let alias = self.translation_of(&flow.key);
        let ticket = Ticket { key: flow.key, first: flow.first, number, knows: alias.is_some() };
        let question = question(flow, alias, ifindex);
        self.questions.push_back((ticket, question));
    }

    /// Takes what is to be asked.
    pub(crate) fn take_questions(&mut self) -> VecDeque<(Ticket, Question)> {
        mem::take(&mut self.questions)
    }

    /// Takes an answer; one for a flow that is gone is dropped.
    pub(crate) fn answer(&mut self, flows: &FlowStore, ticket: Ticket, answer: Answer) {
        let alias = self.aliases.get(&ticket.key);
        let key = alias.map_or(ticket.key, |alias| alias.key);
        let is_there = flows.open(ticket.number).is_some_and(|flow| flow.key == key);
        let number = Some(ticket.number).filter(|_| is_there);
        let Some(number) = number.or_else(|| flows.find(key.hash(&self.seed), &key)) else { return };
        let (flow, is_beyond) = (flows.get(number), alias.is_some());
        let answer = match self.translation_of(&key).filter(|_| !ticket.knows) {
            Some(unseen) => unseen.still_true(flow, is_beyond, answer),
            None => Some(answer),
        };
        let (Some(answer), Some(facts)) = (answer, self.facts.get_mut(number)) else { return };
        // The same five-tuple may have been another flow's when the question was asked: that one began earlier.
        let same = flow.first <= ticket.first;
        // Beyond a translation nobody has a socket: that says nothing, unless somebody has.
        let tells = !is_beyond && ticket.knows >= facts.knows || answer.owner().is_some();
        let better = match facts.answer.as_ref().map(Answer::owner) {
            Some(Some(_)) => ticket.knows && !facts.knows && answer.owner().is_some(),
            Some(None) => tells,
            None => true,
        };
        if same && better {
            facts.answer = Some(refused_here(flow, answer));
            facts.knows = ticket.knows;
        }
    }
}

/// What is asked of a flow: by which five-tuples the sockets at its ends know it is told here alone. Whoever began a
/// translation has the original, the other end what that is exchanged for.
fn question(flow: &Flow, alias: Option<&Alias>, ifindex: u32) -> Question {
    let at = |end: Endpoint| SocketAddr::new(end.addr, end.port);
    let as_counted = (at(flow.key.endpoint(flow.initiator)), at(flow.key.endpoint(flow.initiator.other())));
    let ((source, destination), translated) = match alias {
        None => (as_counted, None),
        Some(Alias { translated: (from, to), initiator, .. }) if *initiator == flow.initiator => {
            (as_counted, Some((at(*from), at(*to))))
        }
        Some(Alias { translated: (from, to), .. }) => ((at(*to), at(*from)), Some(as_counted)),
    };
    Question {
        protocol: Protocol(flow.key.protocol()),
        source,
        destination,
        translated,
        namespace: None,
        interface: ifindex,
        begun: flow.first,
    }
}

/// A connection to a port that nobody listens on never had a socket: the kernel itself refused it.
fn refused_here(flow: &Flow, answer: Answer) -> Answer {
    let refused = flow.tcp().is_some_and(|tcp| tcp.state(flow.initiator) == "REJ");
    match answer {
        Answer::None(Reason::Ended) if refused && flow.knows_local(flow.initiator.other()) => {
            Answer::None(Reason::Kernel)
        }
        other => other,
    }
}
