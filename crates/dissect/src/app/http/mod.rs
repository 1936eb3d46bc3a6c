//! HTTP/1 (RFC 9112): whom every request asks for, and what the first one is about.
//!
//! A request names its server in `Host`, to a proxy in its target (sections 3.2 and 3.3). Requests that follow each
//! other in what is there are all read; what comes later begins an opening of its own. Bodies are only passed over.
//! Where a proxy opens a tunnel (RFC 9110, section 9.3.6), the hellos of TLS in it are read. Behind a switch to another
//! protocol than HTTP/2 (section 7.8) nothing is.

mod body;
mod head;

use std::sync::Arc;

use self::head::{RequestHead, Start};
use super::fact::without_port;
use super::{
    App, AppDissector, Begins, Depth, End, Name, NameSource, Opening, Past, Port, Reading, Said, Value,
    http2, tls,
};

/// Longest name: a domain name's 255 bytes, and a port.
const MAX_NAME: usize = 261;
/// Longest text that is kept of what a client calls itself.
const MAX_AGENT: usize = 512;

/// HTTP/1.
#[derive(Debug)]
pub(super) struct Http;

impl AppDissector for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn ports(&self) -> &'static [Port] {
        &[Port::Tcp(80), Port::Tcp(8080), Port::Tcp(3128), Port::Tcp(8008), Port::Tcp(8088), Port::Tcp(5985)]
    }

    fn transports(&self) -> &'static [u8] {
        &[6]
    }

    fn begins(&self) -> Begins {
        Begins::of(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    }

    fn dissect(&self, opening: &Opening<'_>) -> Reading {
        let mut app = App::of("http");
        let (mut is_told, mut is_whole, mut is_over) = (false, true, false);
        let (mut is_silent, mut is_enough) = (false, false);
        let mut tunnel = [None; 2];
        for (tunnel, (end, said)) in tunnel.iter_mut().zip(opening.sides()) {
            match message(&mut app, end, said, opening.is_last) {
                Heard::Nothing => is_silent = true,
                Heard::Other => {}
                Heard::Cut => is_whole = false,
                Heard::Part => (is_told, is_whole) = (true, false),
                Heard::Whole => is_told = true,
                // Of the other end, no more than a code may be missing, or a request that can be read alone.
                Heard::Enough => (is_told, is_enough) = (true, opening.depth == Depth::Names),
                Heard::Switch => (is_told, is_over) = (true, true),
                Heard::Tunnel(len) => {
                    is_told = true;
                    *tunnel = Some(len);
                }
            }
        }
        is_whole &= !is_silent || is_enough;
        match (is_told, is_whole || opening.is_last) {
            (true, _) if is_over => Reading::Last(app),
            (true, true) => match tunnelled(opening, tunnel) {
                Some(inner) => in_tunnel(&inner, app),
                None => Reading::Is(app),
            },
            (true, false) => Reading::Partly(app),
            (false, true) => Reading::NotMine,
            (false, false) => refused_or_more(opening),
        }
    }

    fn past(&self, opening: &Opening<'_>) -> [Past; 2] {
        let sides = opening.sides().map(|(_, said)| past(said.bytes()));
        // Behind a request for a tunnel, what both say matters.
        if sides.contains(&None) { [Past::None; 2] } else { sides.map(Option::unwrap_or_default) }
    }

    fn recurs(&self) -> bool {
        true
    }
}

/// Nothing is sure yet: more is wanted where an end may be about to say it.
fn refused_or_more(opening: &Opening<'_>) -> Reading {
    let may_be = |bytes: &[u8]| !bytes.is_empty() && head::start(bytes) == Start::Cut;
    let is_begun = opening.sides().iter().any(|(_, said)| may_be(said.bytes()));
    if is_begun { Reading::NeedMore } else { Reading::NotMine }
}

/// What is said behind a request for a tunnel and the response that opens it.
fn tunnelled<'a>(opening: &Opening<'a>, clear: [Option<usize>; 2]) -> Option<Opening<'a>> {
    let (asked, answer) = match clear {
        [Some(len), None] => (len, opening.responder),
        [None, Some(len)] => (len, opening.initiator),
        _ => return None,
    };
    let Start::Response { code: 200..=299, .. } = head::start(answer.bytes()) else { return None };
    let answered = head::end(answer.bytes())?;
    let [initiator, responder] = if clear[0].is_some() { [asked, answered] } else { [answered, asked] };
    let (initiator, responder) = (opening.initiator.behind(initiator), opening.responder.behind(responder));
    Some(Opening { initiator, responder, ..*opening })
}

/// Adds what the hellos of TLS in a tunnel say. What else is in it is not the proxy's.
fn in_tunnel(inner: &Opening<'_>, app: App) -> Reading {
    let is_open = inner.sides().iter().all(|(_, said)| said.is_empty());
    match tls::hellos(inner, app.clone(), NameSource::Tls, |said| tls::read(said.bytes(), said.depth())) {
        Reading::NotMine if is_open && !inner.is_last => Reading::Partly(app),
        Reading::NeedMore => Reading::Partly(app),
        Reading::Partly(app) => Reading::Partly(app),
        Reading::NotMine => Reading::Last(app),
        Reading::Is(app) | Reading::Last(app) => Reading::Last(app),
    }
}

/// What the bytes of one end are.
enum Heard {
    /// It has said nothing.
    Nothing,
    /// Another protocol's.
    Other,
    /// Too few bytes to tell.
    Cut,
    /// HTTP, and more bytes would say more.
    Part,
    /// HTTP, and all that is wanted.
    Whole,
    /// The same, and what follows is HTTP, whatever the other end says to it.
    Enough,
    /// A response behind which both ends speak another protocol.
    Switch,
    /// A request for a tunnel, which begins behind so many bytes.
    Tunnel(usize),
}

fn message(app: &mut App, end: End, said: Said<'_>, is_last: bool) -> Heard {
    let bytes = said.bytes();
    match head::start(bytes) {
        _ if bytes.is_empty() => Heard::Nothing,
        Start::Cut => match head::begun_request(bytes).filter(|_| is_last) {
            Some(method) => {
                if said.depth() == Depth::All {
                    app.set_text("http.request.method", method);
                }
                Heard::Whole
            }
            None => Heard::Cut,
        },
        Start::Other if bytes.starts_with(http2::PREFACE) => {
            http2::requests(app, end, bytes);
            Heard::Part
        }
        Start::Other => Heard::Other,
        Start::Response { code: 101, .. } => switch(bytes),
        Start::Response { .. } if said.depth() == Depth::Names => Heard::Enough,
        Start::Response { minor, code } => {
            app.set("http.response.status_code", Value::Number(code.into()));
            if app.get("http.version").is_none() {
                app.set_text("http.version", version(minor));
            }
            Heard::Whole
        }
        first @ Start::Request { .. } => requests(app, end, said, first),
    }
}

/// A response that switches protocols: to HTTP/2, whose names are read, or to another one.
fn switch(bytes: &[u8]) -> Heard {
    match head::switches_to(bytes) {
        None => Heard::Part,
        Some(protocol) if protocol.is_empty() || protocol.to_ascii_lowercase().starts_with(b"h2c") => {
            Heard::Whole
        }
        Some(_) => Heard::Switch,
    }
}

/// How much of what an end sent is told for good: whole requests, and all responses. `None` if it asks for a tunnel.
fn past(bytes: &[u8]) -> Option<Past> {
    let mut rest = bytes;
    loop {
        let told = (bytes.len() - rest.len()) as u32;
        let (method, target, minor) = match head::start(rest) {
            Start::Request { method: "CONNECT", .. } => return None,
            Start::Request { method, target, minor } => (method, target, minor),
            Start::Response { code, .. } if code != 101 => return Some(Past::All),
            _ => return Some(if told == 0 { Past::None } else { Past::First(told) }),
        };
        let RequestHead { fields, len: Some(len), .. } = head::request(rest, method, target, minor) else {
            return Some(if told == 0 { Past::None } else { Past::First(told) });
        };
        let body = rest.get(len..).unwrap_or_default();
        let Some(next) = body::skip(body, fields.content_length, fields.is_chunked) else {
            // Without its length, where a body ends is told by all of it.
            let body = body::len(fields.content_length, fields.is_chunked);
            let end = body.map_or(told, |body| told.saturating_add(len as u32).saturating_add(body));
            return Some(if end == 0 { Past::None } else { Past::First(end) });
        };
        rest = next;
    }
}

/// Reads requests until one is not whole; `start` is the first one's line.
fn requests<'a>(app: &mut App, end: End, said: Said<'a>, mut start: Start<'a>) -> Heard {
    let mut bytes = said.bytes();
    let whole = bytes.len();
    let mut may_switch = false;
    loop {
        let (method, target, minor) = match start {
            Start::Request { method, target, minor } => (method, target, minor),
            Start::Cut if !bytes.is_empty() => return Heard::Part,
            Start::Other if bytes.starts_with(http2::PREFACE) => {
                http2::requests(app, end, bytes);
                return Heard::Part;
            }
            Start::Cut if !may_switch => return Heard::Enough,
            _ => return Heard::Whole,
        };
        let request = head::request(bytes, method, target, minor);
        name(app, end, &request);
        may_switch |= request.fields.upgrade.is_some();
        if said.depth() == Depth::All && app.get("http.request.method").is_none() {
            describe(app, &request);
        }
        let Some(len) = request.len else { return Heard::Part };
        let rest = bytes.get(len..).unwrap_or_default();
        if method == "CONNECT" {
            return Heard::Tunnel(whole - rest.len());
        }
        bytes = match body::skip(rest, request.fields.content_length, request.fields.is_chunked) {
            Some(rest) => rest,
            None => return Heard::Whole,
        };
        start = head::start(bytes);
    }
}

/// Adds whom a request asks for: its `Host`, and what its target says, where that is another one.
fn name(app: &mut App, client: End, request: &RequestHead<'_>) {
    let authority = authority(request);
    let mut names = request.fields.hosts.iter().flatten().filter_map(|name| host(name)).peekable();
    let first = names.peek().copied();
    let differs =
        |name: &&str| first.is_none_or(|host| !without_port(host).eq_ignore_ascii_case(without_port(name)));
    // To a proxy, the target counts (RFC 9112, section 3.2.2).
    for name in authority.filter(differs).into_iter().chain(names) {
        app.add_name(Name { client, source: NameSource::Http, name: name.into() });
    }
}

/// Whom a target names: in absolute form, or in that of CONNECT (RFC 9112, sections 3.2.2 and 3.2.3).
fn authority<'a>(request: &RequestHead<'a>) -> Option<&'a str> {
    let name = if request.method == "CONNECT" {
        request.target
    } else {
        if request.target.starts_with('/') {
            return None;
        }
        let (scheme, rest) = request.target.split_once("://")?;
        if scheme.contains(['/', '?']) {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = rest.get(..end)?;
        authority.rsplit_once('@').map_or(authority, |(_, host)| host)
    };
    host(name.as_bytes())
}

/// Sets what a first request is about.
fn describe(app: &mut App, request: &RequestHead<'_>) {
    app.set_text("http.request.method", request.method);
    app.set_text("http.version", version(request.minor));
    app.set("http.request.path_length", Value::Number(path(request.target).len() as u64));
    if let Some(agent) = request.fields.user_agent {
        let agent = agent.get(..MAX_AGENT).unwrap_or(agent);
        app.set_text("user_agent.original", Arc::<str>::from(String::from_utf8_lossy(agent)));
    }
}

/// The path of a target, with its query.
fn path(target: &str) -> &str {
    let Some((_, rest)) = target.split_once("://").filter(|_| !target.starts_with('/')) else {
        return target;
    };
    rest.find(['/', '?']).and_then(|at| rest.get(at..)).unwrap_or_default()
}

fn version(minor: u8) -> &'static str {
    if minor == 0 { "1.0" } else { "1.1" }
}

/// A name, perhaps with a port: text without controls, of a length that is believed.
pub(super) fn host(bytes: &[u8]) -> Option<&str> {
    let text = str::from_utf8(bytes).ok().filter(|text| (1..=MAX_NAME).contains(&text.len()))?;
    (!text.chars().any(char::is_control)).then_some(text)
}

#[cfg(test)]
mod tests;
