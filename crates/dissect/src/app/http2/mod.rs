//! HTTP/2 in clear (RFC 9113): whom requests ask for, in the first bytes of a connection.
//!
//! It begins with the client's preface, at once or behind an HTTP/1 request that upgrades (RFC 7540, section 3.2).
//! Header blocks depend on those before them, so that nothing can be read of a connection whose beginning is missing.

mod hpack;

use std::sync::Arc;

use self::hpack::Decoder;
use super::{
    App, AppDissector, Begins, End, Mark, Name, NameSource, Opening, Port, Reading, Said, Value, http,
};

/// What a client sends first (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Longest frame that is allowed before the other end says otherwise (section 6.5.2).
const MAX_FRAME: usize = 16_384;

/// Types of frames (section 6).
mod frame {
    pub(super) const HEADERS: u8 = 1;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PUSH_PROMISE: u8 = 5;
    pub(super) const CONTINUATION: u8 = 9;
}

/// Flags of frames.
mod flag {
    pub(super) const END_HEADERS: u8 = 4;
    pub(super) const PADDED: u8 = 8;
    pub(super) const PRIORITY: u8 = 0x20;
}

/// HTTP/2.
#[derive(Debug)]
pub(super) struct Http2;

impl AppDissector for Http2 {
    fn name(&self) -> &'static str {
        "http2"
    }

    fn ports(&self) -> &'static [Port] {
        &[]
    }

    fn transports(&self) -> &'static [u8] {
        &[6]
    }

    fn begins(&self) -> Begins {
        Begins::of(b"P\x00")
    }

    /// Of the preface, or of a length of settings.
    fn continues(&self) -> Begins {
        Begins::of(b"R\x00")
    }

    /// Of the preface, or the type of a settings frame.
    fn mark(&self) -> Option<Mark> {
        Some(Mark::new(3, &[b' ', frame::SETTINGS]))
    }

    fn dissect(&self, opening: &Opening<'_>) -> Reading {
        let mut app = App::of(self.name());
        let (mut is_told, mut is_cut) = (false, false);
        for (end, said) in opening.sides() {
            let bytes = said.bytes();
            if bytes.starts_with(PREFACE) {
                requests(&mut app, end, bytes);
                is_told = true;
            } else if begins_with_settings(bytes) {
                if let Some(refused) = refused(opening, end) {
                    return Reading::Is(refused);
                }
                responses(&mut app, bytes);
                is_told = true;
            } else {
                is_cut |= !bytes.is_empty() && PREFACE.starts_with(bytes);
            }
        }
        match (is_told, is_cut && !opening.is_last) {
            // Every further request may name another server.
            (true, _) => Reading::Partly(app),
            (false, true) => Reading::NeedMore,
            (false, false) => Reading::NotMine,
        }
    }
}

/// What a client says that speaks HTTP/1 to a `server` that does not: such a server says its settings all the same.
fn refused(opening: &Opening<'_>, server: End) -> Option<App> {
    let client = opening.said(server.other()).bytes();
    if PREFACE.starts_with(client) || client.starts_with(PREFACE) {
        return None;
    }
    let mut alone = *opening;
    match server {
        End::Initiator => alone.initiator = Said::default(),
        End::Responder => alone.responder = Said::default(),
    }
    http::Http.dissect(&alone).app()
}

/// Reads the requests behind a client's preface.
pub(super) fn requests(app: &mut App, client: End, bytes: &[u8]) {
    app.protocol = "http2";
    app.set_text("http.version", "2");
    header_blocks(bytes.get(PREFACE.len()..).unwrap_or_default(), |fields| {
        let Some(method) = &fields.method else { return };
        if app.get("http.request.method").is_none() {
            app.set_text("http.request.method", method.text());
            let path = fields.path.as_ref().map_or(0, |path| path.len);
            app.set("http.request.path_length", Value::Number(path as u64));
            if let Some(agent) = &fields.user_agent {
                app.set_text("user_agent.original", agent.text());
            }
        }
        // A request that was HTTP/1 before may have only the latter (section 8.3.1).
        let host = fields.authority.as_ref().or(fields.host.as_ref());
        if let Some(name) = host.and_then(Text::name) {
            app.add_name(Name { client, source: NameSource::Http2, name });
        }
    });
}

/// Reads the first response behind a server's settings.
fn responses(app: &mut App, bytes: &[u8]) {
    header_blocks(bytes, |fields| {
        let status = fields.status.as_ref().and_then(|code| code.text().parse().ok());
        if let Some(status) = status.filter(|_| app.get("http.response.status_code").is_none()) {
            app.set("http.response.status_code", Value::Number(status));
        }
    });
}

/// The settings that a server sends first (section 3.4): of whole pairs, on stream 0, not an answer to others.
fn begins_with_settings(bytes: &[u8]) -> bool {
    match bytes {
        [0, 0, len, frame::SETTINGS, 0, 0, 0, 0, 0, rest @ ..] => {
            let settings = rest.get(..usize::from(*len)).unwrap_or(rest);
            len % 6 == 0 && settings.chunks(6).all(|pair| pair.first() == Some(&0))
        }
        _ => false,
    }
}

/// The first of each field of a header block that is of use here. A block may refer to one long field thousands of times:
/// nothing else is copied.
#[derive(Debug, Default)]
struct Fields {
    method: Option<Text>,
    path: Option<Text>,
    authority: Option<Text>,
    host: Option<Text>,
    user_agent: Option<Text>,
    status: Option<Text>,
}

impl Fields {
    fn take(&mut self, name: &[u8], value: &[u8]) {
        let field = match name {
            b":method" => &mut self.method,
            b":path" => &mut self.path,
            b":authority" => &mut self.authority,
            b"host" => &mut self.host,
            b"user-agent" => &mut self.user_agent,
            b":status" => &mut self.status,
            _ => return,
        };
        field.get_or_insert_with(|| Text::of(value));
    }
}

/// What is kept of a field's value.
#[derive(Debug)]
struct Text {
    /// Its first bytes.
    bytes: Vec<u8>,
    /// How many it has.
    len: usize,
}

impl Text {
    /// Longest text that is kept.
    const MAX: usize = 512;

    fn of(value: &[u8]) -> Self {
        Text { bytes: value.get(..Self::MAX).unwrap_or(value).to_vec(), len: value.len() }
    }

    fn text(&self) -> Arc<str> {
        String::from_utf8_lossy(&self.bytes).into()
    }

    /// It, if it may be a name.
    fn name(&self) -> Option<Arc<str>> {
        http::host(&self.bytes).filter(|_| self.len == self.bytes.len()).map(Into::into)
    }
}

/// Gives the fields of each header block to `each`, as far as frames are whole.
fn header_blocks(mut bytes: &[u8], mut each: impl FnMut(&Fields)) {
    let mut decoder = Decoder::default();
    let mut block = Vec::new();
    while let Some((kind, flags, payload, rest)) = next_frame(bytes) {
        bytes = rest;
        let part = match kind {
            frame::HEADERS => header_part(payload, flags, flags & flag::PRIORITY != 0, 5),
            frame::PUSH_PROMISE => header_part(payload, flags, true, 4),
            frame::CONTINUATION => Some(payload),
            _ => continue,
        };
        let Some(part) = part else { return };
        block.extend_from_slice(part);
        if flags & flag::END_HEADERS == 0 {
            continue;
        }
        let mut fields = Fields::default();
        if decoder.decode(&block, |name, value| fields.take(name, value)).is_none() {
            return;
        }
        each(&fields);
        block.clear();
    }
}

/// A frame's type, flags and payload, and what follows (section 4.1).
fn next_frame(bytes: &[u8]) -> Option<(u8, u8, &[u8], &[u8])> {
    let (&[a, b, c, kind, flags, ..], _) = bytes.split_first_chunk::<9>()?;
    let len = u32::from_be_bytes([0, a, b, c]) as usize;
    let (payload, rest) = bytes.get(9..)?.split_at_checked(Some(len).filter(|&len| len <= MAX_FRAME)?)?;
    Some((kind, flags, payload, rest))
}

/// The header block's part in a frame: behind `before` bytes if there are any, and before the padding.
fn header_part(payload: &[u8], flags: u8, has_before: bool, before: usize) -> Option<&[u8]> {
    let (padding, payload) = if flags & flag::PADDED != 0 {
        let (&len, rest) = payload.split_first()?;
        (usize::from(len), rest)
    } else {
        (0, payload)
    };
    let start = if has_before { before } else { 0 };
    payload.get(start..payload.len().checked_sub(padding)?)
}

#[cfg(test)]
mod tests;
