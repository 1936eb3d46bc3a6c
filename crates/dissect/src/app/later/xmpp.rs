//! XMPP (RFC 6120): streams of XML.

use super::{Before, HELLO, Later};
use crate::app::{Opening, Port};

/// Servers among themselves. Where clients usually connect to, 5222, more speak protocols of their own than this one.
pub(in crate::app) static XMPP: Later =
    Later { name: "xmpp", ports: &[Port::Tcp(5269)], begins: b"<", mark: None, before, server: None };

/// Bytes of XML in which the beginning of TLS is looked for.
const MOST: usize = 8192;
/// What streams are told by: their namespace, which both ends declare.
const NAMESPACE: &[u8] = b"http://etherx.jabber.org/streams";

fn before(opening: &Opening<'_>) -> Before {
    let sides = opening.sides().map(|(_, said)| said.bytes());
    if sides.iter().any(|bytes| bytes.first().is_some_and(|byte| *byte != b'<')) {
        return Before::NotMine;
    }
    let clear = sides.map(tls_at);
    let heads = [0, 1].map(|at| {
        let bytes = sides.get(at).copied().unwrap_or_default();
        bytes.get(..MOST).unwrap_or(bytes)
    });
    if !heads.iter().any(|head| head.windows(NAMESPACE.len()).any(|window| window == NAMESPACE)) {
        let long = heads.iter().any(|head| head.len() >= 512);
        return if long || opening.is_last { Before::NotMine } else { Before::NeedMore };
    }
    Before::Mine { clear, over: clear == [None; 2] && sides.iter().any(|bytes| bytes.len() >= MOST) }
}

/// Where a hello follows the end of an element, maybe behind white space.
fn tls_at(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..MOST).unwrap_or(bytes);
    let hello = |at: &usize| bytes.get(*at..).is_some_and(|rest| rest.starts_with(&HELLO));
    let follows = |at: &usize| bytes.get(..*at).is_some_and(|xml| xml.trim_ascii_end().ends_with(b">"));
    (0..head.len()).find(|at| hello(at) && follows(at))
}
