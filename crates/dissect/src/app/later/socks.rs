//! SOCKS 4, 4a and 5 (RFC 1928, RFC 1929): a proxy is told where to connect to, and then passes on all bytes.

use super::{Before, HELLO, Later};
use crate::app::cursor::Cursor;
use crate::app::{Opening, Port};

pub(in crate::app) static SOCKS: Later =
    Later { name: "socks", ports: &[Port::Tcp(1080)], begins: &[4, 5], mark: None, before, server: None };

/// Request that a proxy connects: the only one that bytes are passed on behind at once.
const CONNECT: u8 = 1;
/// Longest user or host name of version 4, in bytes.
const LONGEST: usize = 255;
/// First byte of a proxy's answer in version 4.
const ANSWER_4: u8 = 0;

fn before(opening: &Opening<'_>) -> Before {
    let sides = opening.sides().map(|(_, said)| said.bytes());
    let said = |end: usize| sides.get(end).copied().unwrap_or_default();
    let read = sides.map(client);
    // Both ends of version 5 begin alike: the client says more.
    let (client, server) = match read {
        [Talk::Asks(_), _] => (0, 1),
        [_, Talk::Asks(_)] => (1, 0),
        // A proxy says nothing before it is asked.
        [Talk::Other, other] | [other, Talk::Other]
            if other == Talk::Other || said(0).is_empty() || said(1).is_empty() =>
        {
            return Before::NotMine;
        }
        _ if opening.is_last => return Before::NotMine,
        _ => return Before::NeedMore,
    };
    let Some(Talk::Asks(asked)) = read.get(client) else { return Before::NotMine };
    let answered = answers(said(server));
    if answered.is_none() && !said(server).is_empty() {
        return if opening.is_last { Before::NotMine } else { Before::NeedMore };
    }
    let mut clear = [None; 2];
    let mut over = false;
    for (end, len) in [(client, Some(*asked)), (server, answered)] {
        let rest = len.and_then(|len| said(end).get(len..)).unwrap_or_default();
        let hello = rest.get(..2).is_some_and(|rest| *rest == HELLO);
        over |= rest.len() >= 2 && !hello;
        if let (Some(slot), true) = (clear.get_mut(end), hello) {
            *slot = len;
        }
    }
    Before::Mine { clear, over: over && clear == [None; 2] }
}

/// What an end says as a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Talk {
    /// Nothing, or the beginning of a request.
    Open,
    /// A request to connect, which ends after so many bytes.
    Asks(usize),
    /// Something else.
    Other,
}

fn client(bytes: &[u8]) -> Talk {
    let mut cursor = Cursor::new(bytes);
    let asked = match cursor.u8() {
        Some(4) => version_4(&mut cursor),
        Some(5) => version_5(&mut cursor),
        Some(_) => return Talk::Other,
        None => return Talk::Open,
    };
    match asked {
        Some(true) => Talk::Asks(bytes.len() - cursor.rest().len()),
        Some(false) => Talk::Other,
        None if bytes.len() > 2 * LONGEST + 64 => Talk::Other,
        None => Talk::Open,
    }
}

/// Reads a client's first message of version 4 behind the version; `None` if it is cut.
fn version_4(cursor: &mut Cursor<'_>) -> Option<bool> {
    if cursor.u8()? != CONNECT {
        return Some(false);
    }
    let (_port, address) = (cursor.u16()?, cursor.array::<4>()?);
    let text = |cursor: &mut Cursor<'_>| {
        let len = cursor.rest().iter().position(|byte| *byte == 0)?;
        let text = cursor.take(len)?;
        cursor.u8()?;
        Some(len <= LONGEST && !text.iter().any(u8::is_ascii_control))
    };
    let user = text(cursor)?;
    // Version 4a: an address that cannot be, and a name behind the user's.
    let named = matches!(address, [0, 0, 0, last] if last != 0);
    Some(user && (!named || text(cursor)?))
}

/// Reads a client's messages of version 5 up to its request, behind the first version; `None` if they are cut.
fn version_5(cursor: &mut Cursor<'_>) -> Option<bool> {
    const METHODS: u8 = 16;
    let count = cursor.u8()?;
    if !(1..=METHODS).contains(&count) {
        return Some(false);
    }
    let _methods = cursor.take(count.into())?;
    let mut version = cursor.u8()?;
    if version == 1 {
        // A user and a password (RFC 1929).
        let (_user, _password) = (cursor.vec8()?, cursor.vec8()?);
        version = cursor.u8()?;
    }
    if version != 5 || cursor.u8()? != CONNECT || cursor.u8()? != 0 {
        return Some(false);
    }
    address(cursor)
}

/// Reads an address and a port; `None` if they are cut.
fn address(cursor: &mut Cursor<'_>) -> Option<bool> {
    match cursor.u8()? {
        1 => cursor.take(4).map(drop)?,
        3 => cursor.vec8().map(drop)?,
        4 => cursor.take(16).map(drop)?,
        _ => return Some(false),
    }
    cursor.u16().map(|_port| true)
}

/// Where a proxy's answers end; `None` if they are cut, or none.
fn answers(bytes: &[u8]) -> Option<usize> {
    let mut cursor = Cursor::new(bytes);
    match cursor.u8()? {
        ANSWER_4 => cursor.take(7).map(drop)?,
        5 => {
            let _method = cursor.u8()?;
            let mut version = cursor.u8()?;
            if version == 1 {
                let _status = cursor.u8()?;
                version = cursor.u8()?;
            }
            let (_reply, _reserved) = (cursor.u8()?, cursor.u8()?);
            if version != 5 || !address(&mut cursor)? {
                return None;
            }
        }
        _ => return None,
    }
    Some(bytes.len() - cursor.rest().len())
}
