//! Flows to this host for which no socket is found.

use super::Owners;
use super::rounds::{Candidate, Place};
use crate::{Answer, End, Question, Reason};

impl Owners {
    /// The answer where no socket was found. If the kernel tells of every one, there was none: then whoever began the flow
    /// has it, as from this namespace so from another one, or nobody.
    pub(super) fn without_socket(&mut self, question: &Question, ends: &[Candidate]) -> Answer {
        let mut here = ends.iter().filter(|end| end.place == Place::Home).peekable();
        let is_nobodys = here.peek().is_some() && here.all(|end| end.end == End::Destination && end.gone);
        let Some(told) = self.told.as_mut().filter(|told| is_nobodys && told.tells_all()) else {
            return Answer::None(Reason::Ended);
        };
        match told.sender_elsewhere(question, &mut self.reader) {
            Some(sender) => Answer::Owner(sender),
            // That a connection is refused is seen in its packets.
            None if question.protocol.is_stream() => Answer::None(Reason::Ended),
            None => Answer::None(Reason::Unclaimed),
        }
    }
}
