//! Who owns a flow, in as many words as there is room for.

use flow::{Answer, Attributed, End, Owner, Reason};

use crate::view::text::{cut_end, visible, width};

/// How much is said of owners, from least to most.
pub(super) const LEVELS: usize = 4;
/// `[nginx]`, `(ended)`.
pub(super) const NAMED: usize = 0;
/// `[nginx 4711]`.
pub(super) const WITH_PID: usize = 1;
/// `[curl 815 → nginx 4711]`.
pub(super) const WITH_PEER: usize = 2;
/// `[nginx 4711 www-data in web]`, `(ended before the socket was seen)`.
pub(super) const WHOLE: usize = 3;

/// What is said of a flow's owner; `None` means that nobody has answered yet.
pub(super) fn described(answer: Option<&Answer>, level: usize) -> String {
    match answer {
        Some(Answer::Owner(attributed)) if level > NAMED => format!("[{}]", both(attributed, level)),
        Some(Answer::Owner(attributed)) => format!("[{}]", visible(&attributed.owner.name)),
        Some(Answer::None(reason)) => format!("({})", why(*reason, level)),
        None => format!("({})", why(Reason::Deferred, level)),
    }
}

/// As much as it takes in a pipe, where nothing is cut: the name, or the whole reason.
pub(super) fn in_pipe(answer: Option<&Answer>) -> String {
    let level = if answer.is_some_and(|answer| answer.owner().is_some()) { NAMED } else { WHOLE };
    described(answer, level)
}

/// The owner, and the process at the other end where that is on this host too, in the packets' direction.
fn both(attributed: &Attributed, level: usize) -> String {
    let own = process(&attributed.owner, level);
    let Some(peer) = attributed.peer.as_ref().filter(|_| level >= WITH_PEER) else { return own };
    let peer = process(peer, level);
    match attributed.end {
        End::Source => format!("{own} → {peer}"),
        End::Destination => format!("{peer} → {own}"),
    }
}

fn process(owner: &Owner, level: usize) -> String {
    let mut text = format!("{} {}", visible(&owner.name), owner.pid);
    if level >= WHOLE {
        match (&owner.user, owner.uid) {
            (Some(user), _) => text = format!("{text} {}", visible(user)),
            (None, Some(uid)) => text = format!("{text} uid {uid}"),
            (None, None) => {}
        }
        if let Some(container) = &owner.container {
            // An identifier is told by its first digits, as its runtime shows it.
            let id = || container.id.chars().take(12).collect::<String>();
            let name = container.name.clone().unwrap_or_else(id);
            text = format!("{text} in {}", visible(&name));
        }
    }
    text
}

fn why(reason: Reason, level: usize) -> String {
    match reason {
        Reason::Permission { uid } if level < WHOLE => format!("uid {uid}"),
        Reason::Permission { uid } => format!("{reason} of uid {uid}"),
        _ if level >= WHOLE => reason.to_string(),
        Reason::Forwarded => "forwarded".to_owned(),
        Reason::Kernel => "kernel".to_owned(),
        Reason::Namespace => "other netns".to_owned(),
        Reason::Ended => "ended".to_owned(),
        Reason::Unclaimed => "no receiver".to_owned(),
        Reason::Ambiguous => "ambiguous".to_owned(),
        Reason::Deferred => "pending".to_owned(),
        Reason::Evicted => "evicted".to_owned(),
    }
}

/// `text` in its brackets in at most `columns`.
pub(super) fn fitted(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    match text.char_indices().next_back() {
        Some((at, bracket)) if columns > 2 => format!("{}{bracket}", cut_end(&text[..at], columns - 1)),
        _ => cut_end(text, columns).into_owned(),
    }
}
