//! Strands of interfaces that are gone: a broadcast passes each container that ever was.
//!
//! Nothing will be added to them, so that they need not be told apart any more. What they count towards their flow is kept: of a
//! path that goes on, the fullest of them, which may still be the fullest of all; of other paths, their sum.

use dissect::Timestamp;

use super::{Place, Strands, fuller};
use crate::counters::Counters;
use crate::ledger::InterfaceId;

/// Strands of interfaces that are gone and are told apart all the same: with few of them there is nothing to gain.
pub(super) const APART: usize = 64;
/// Interfaces of folded strands that are told as part of a flow's way; further ones are not.
const TOLD: usize = 1024;

/// What folded strands held.
#[derive(Clone, Debug, Default)]
pub(super) struct Gone {
    /// What each side sent on paths that are gone as a whole.
    pub(super) sums: [Counters; 2],
    /// A side: the fullest of the folded strands of a path that goes on, and the path.
    pub(super) fullest: [Vec<(u32, Counters)>; 2],
    /// First packet, whether beyond a translation, and interface.
    pub(super) places: Vec<(Timestamp, bool, InterfaceId)>,
}

impl Gone {
    /// The path `from` is part of `to`.
    pub(super) fn join(&mut self, side: usize, from: u32, to: u32) {
        self.fullest[side].iter_mut().filter(|(path, _)| *path == from).for_each(|(path, _)| *path = to);
    }

    /// Takes what folded strands of another flow held, whose paths are called as `path` says.
    pub(super) fn adopt(&mut self, mut other: Gone, flipped: bool, path: impl Fn(usize, u32) -> u32) {
        if flipped {
            other.sums.reverse();
            other.fullest.reverse();
        }
        for (side, theirs) in other.fullest.into_iter().enumerate() {
            self.sums[side] += other.sums[side];
            self.fullest[side].extend(theirs.into_iter().map(|(at, sent)| (path(side, at), sent)));
        }
        self.places.extend(other.places.into_iter().map(|(first, _, interface)| (first, true, interface)));
        self.places.truncate(TOLD);
    }
}

impl Strands {
    /// Puts the strands together that ended on interfaces that are gone, once there are many; gives what each of them
    /// held. What all of them count towards the flow stays what it was.
    pub(crate) fn fold(&mut self, is_gone: impl Fn(InterfaceId) -> bool) -> Vec<(Place, Counters)> {
        if self.all.len() <= APART {
            return Vec::new();
        }
        // What is told of one strand alone is told by the first.
        let foldable = |(at, strand): (usize, &super::Strand)| {
            (at > 0 && strand.ended && is_gone(strand.place.interface)).then_some(at)
        };
        let folded: Vec<usize> = self.all.iter().enumerate().filter_map(foldable).collect();
        if folded.len() <= APART {
            return Vec::new();
        }
        let mut gone = *self.gone.take().unwrap_or_default();
        let mut left: Vec<bool> = vec![true; self.all.len()];
        for &at in &folded {
            left[at] = false;
        }
        for side in 0..2 {
            self.fold_side(side, &left, &mut gone);
        }
        let told = folded.iter().map(|&at| {
            let strand = &self.all[at];
            gone.places.push((strand.first, strand.place.translated, strand.place.interface));
            (strand.place, strand.sent[0] + strand.sent[1])
        });
        let told = told.collect();
        gone.places.truncate(TOLD);
        let mut keep = left.into_iter();
        self.all.retain(|_| keep.next().unwrap_or(true));
        self.gone = Some(Box::new(gone));
        told
    }

    /// Folds what `side` sent on strands that are not `left`, and names paths by the first of their strands that are.
    fn fold_side(&mut self, side: usize, left: &[bool], gone: &mut Gone) {
        let mut fullest: Vec<Option<Counters>> = vec![None; self.all.len()];
        let mut add = |path: u32, sent: Counters| {
            let best = fullest[path as usize].get_or_insert(sent);
            *best = fuller(*best, sent);
        };
        gone.fullest[side].drain(..).for_each(|(path, sent)| add(path, sent));
        for (strand, _) in self.all.iter().zip(left).filter(|(_, left)| !**left) {
            add(strand.path[side], strand.sent[side]);
        }
        let mut names: Vec<Option<u32>> = vec![None; self.all.len()];
        let goes_on = self.all.iter_mut().zip(left).filter(|(_, left)| **left);
        for (at, (strand, _)) in (0..).zip(goes_on) {
            strand.path[side] = *names[strand.path[side] as usize].get_or_insert(at);
        }
        for (sent, name) in fullest.into_iter().zip(names) {
            match (sent, name) {
                (Some(sent), Some(path)) => gone.fullest[side].push((path, sent)),
                (Some(sent), None) => gone.sums[side] += sent,
                (None, _) => {}
            }
        }
    }
}
