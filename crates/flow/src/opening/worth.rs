//! Which payloads are worth a closer look, and who may take it.

use dissect::app::{Candidates, Interest, quic};

use super::{Openings, TCP, UDP, ports};
use crate::encrypted::Encrypted;
use crate::flow::Flow;
use crate::tally::Observation;

/// Whether a payload that a flow has heed of may be worth a closer look. Most of those that are not are told by their first
/// bytes, here, where the flow and the packet are at hand.
#[inline]
pub(crate) fn may_be_worth_hearing(flow: &Flow, o: &Observation<'_>) -> bool {
    !flow.heed.is_at_rest()
        || may_begin_another(flow, o)
        || !o.segment.is_some() && quic::is_handshake(o.payload)
}

/// The same by all that is known.
pub(crate) fn is_worth_hearing(flow: &mut Flow, o: &Observation<'_>, openings: &Openings) -> bool {
    if flow.heed.is_pending() || flow.heed.is_counted() {
        return true;
    }
    if o.spoken.is_some() {
        return !flow.heed.is_told();
    }
    if o.payload.is_empty() {
        return false;
    }
    if flow.heed.is_astray() {
        let may_begin = may_begin_another(flow, o) && !candidates(flow, o).and(later(flow)).is_empty();
        if !may_begin {
            flow.heed.go_on();
        }
        return may_begin;
    }
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
    may_begin_another(flow, o) || !o.segment.is_some() && quic::is_handshake(o.payload)
}

/// Whether a later payload of a flow that is told may begin another opening, by its first byte.
#[inline]
pub(super) fn may_begin_another(flow: &Flow, o: &Observation<'_>) -> bool {
    let Some(&first) = o.payload.first() else { return false };
    let interest = Interest::of(o.key.protocol(), first);
    let may_follow = !o.segment.is_some() || flow.heed.is_astray();
    flow.heed.recurs() && interest.recurs() || may_follow && interest.follows()
}

/// Who may read a payload as an end's first one.
pub(super) fn candidates(flow: &Flow, o: &Observation<'_>) -> Candidates {
    Candidates::of(o.key.protocol(), o.payload, ports(flow))
}

/// Nobody knows what an end said first.
pub(super) fn give_up(flow: &mut Flow, o: &Observation<'_>) {
    if may_begin_later(flow, o) {
        flow.heed.told(false, true);
    } else {
        flow.heed.nothing_known(o.side, !o.segment.is_some());
    }
}

/// Whether an opening may be read later though nobody knows what was said first: the beginning of that was not captured, and
/// the port is of a protocol of which openings follow each other.
pub(super) fn may_begin_later(flow: &Flow, o: &Observation<'_>) -> bool {
    let is_cut = o.payload.len() < o.segment.len as usize;
    let misses_some = is_cut || !flow.began_here() || flow.misses_earlier(o.side);
    flow.key.protocol() == TCP && misses_some && ports(flow).into_iter().any(Candidates::recur_on)
}

/// Who may read a later packet of a flow that was told already.
pub(super) fn later(flow: &Flow) -> Candidates {
    let same = if flow.heed.recurs() { Candidates::that_recur() } else { Candidates::default() };
    let may_follow = flow.key.protocol() == UDP || flow.heed.is_astray();
    if may_follow { same.or(Candidates::that_follow_others()) } else { same }
}
