//! Encrypted DNS: which flows are lookups, of which resolver, and about how many.
//!
//! A flow is one by what its ends negotiated (ALPN: RFC 7858, RFC 9250), by the port that is registered for it, by the
//! name or address of a resolver that serves DNS over HTTPS (RFC 8484), because a resolver announced it in plain DNS
//! (RFC 9461, RFC 9462; certificates of DNSCrypt), or by DNSCrypt's own mark.

mod announced;
mod count;
mod known;

use std::borrow::Cow;
use std::sync::Arc;

use dissect::Endpoint;
use dissect::app::tls::is_http;
use dissect::app::{App, End, Value};

pub(crate) use self::announced::Announced;
pub use self::announced::Announcement;
use self::count::Count;
pub(crate) use self::count::Heard;
use crate::flow::Flow;
use crate::key::Side;

const TCP: u8 = 6;
const UDP: u8 = 17;
const HTTPS: u16 = 443;
/// DNS over TLS and over QUIC (RFC 7858, section 3.1; RFC 9250, section 4.1.1), and the latter's ports before.
const DOT: u16 = 853;
const DOQ: [u16; 3] = [DOT, 784, 8853];

/// How lookups are hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DnsKind {
    /// DNS over TLS.
    Tls,
    /// DNS over HTTPS.
    Https,
    /// DNS over QUIC.
    Quic,
    /// DNSCrypt.
    Crypt,
}

impl DnsKind {
    /// As records have it.
    pub fn name(self) -> &'static str {
        match self {
            DnsKind::Tls => "dot",
            DnsKind::Https => "doh",
            DnsKind::Quic => "doq",
            DnsKind::Crypt => "dnscrypt",
        }
    }
}

/// What tells that a flow is of lookups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DnsBy {
    /// What its bytes say.
    Content,
    /// The protocol that its ends negotiated.
    Alpn,
    /// Its port.
    Port,
    /// The name that its client asked for is a well-known resolver's.
    Name,
    /// Its responder's address is a well-known resolver's that serves nothing else.
    Address,
    /// A resolver announced it in plain DNS.
    Announced,
}

impl DnsBy {
    /// As records have it.
    pub fn name(self) -> &'static str {
        match self {
            DnsBy::Content => "content",
            DnsBy::Alpn => "alpn",
            DnsBy::Port => "port",
            DnsBy::Name => "name",
            DnsBy::Address => "address",
            DnsBy::Announced => "announced",
        }
    }
}

/// A flow of encrypted lookups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedDns {
    /// How they are hidden.
    pub kind: DnsKind,
    /// What tells so.
    pub by: DnsBy,
    /// Who is asked: by the name that the client gave it, else the one that it is known by, else its address.
    pub resolver: Arc<str>,
    /// About how many lookups there were, by the sizes of records or datagrams.
    pub queries: u64,
}

/// All flows of encrypted lookups that go to one resolver in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverTotals {
    /// How the lookups are hidden.
    pub kind: DnsKind,
    /// Who is asked.
    pub resolver: Arc<str>,
    /// How many flows there are.
    pub flows: u64,
    /// Their IP bytes, both ways.
    pub bytes: u64,
    /// About how many lookups there were.
    pub queries: u64,
}

/// What is known of a flow of encrypted lookups while it is counted.
#[derive(Clone, Debug)]
pub(crate) struct Encrypted {
    kind: DnsKind,
    by: DnsBy,
    resolver: Option<Arc<str>>,
    /// The resolver's side.
    server: Side,
    count: Count,
}

impl Encrypted {
    /// Whether `flow` is of encrypted lookups, as far as is known by now; `app` is what its ends said.
    #[inline]
    pub(crate) fn of(flow: &Flow, app: Option<&App>, announced: &Announced) -> Option<Self> {
        // Most of what is read is none of the protocols below.
        let may_carry = |app: &App| matches!(app.protocol, "tls" | "quic" | "http2" | "dnscrypt");
        if app.is_none_or(may_carry) { Self::told(flow, app, announced) } else { None }
    }

    #[inline(never)]
    fn told(flow: &Flow, app: Option<&App>, announced: &Announced) -> Option<Self> {
        let transport = flow.key.protocol();
        let server = server(flow);
        let end = flow.key.endpoint(server);
        let client = if server == flow.initiator { End::Responder } else { End::Initiator };
        let name = app.and_then(|app| app.first_name(client)).map(|name| name.name);
        let told = by_protocol(transport, end, app)
            .or_else(|| announced.of(transport, end, name.as_deref(), app))
            .or_else(|| by_resolver(transport, end, name.as_deref(), app));
        let (kind, by, resolver) = told?;
        let resolver = name.or(resolver).or_else(|| known::name_of(end.addr).map(Arc::from));
        // Answers alone tell of DNSCrypt: a query went before the first.
        let count = if by == DnsBy::Content { Count::with_one() } else { Count::default() };
        Some(Encrypted { kind, by, resolver, server, count })
    }

    /// Whether [`Self::of`] may find anything in a flow of which nothing but its ends is known.
    pub(crate) fn may_be(flow: &Flow, announced: &Announced) -> bool {
        let port = flow.key.port(server(flow));
        is_usual(port) || announced.may_be_on(port)
    }

    /// Counts a payload of the flow.
    pub(crate) fn hear(&mut self, payload: &Heard<'_>) {
        self.count.hear(self.kind, payload.side != self.server, payload);
    }

    /// Takes over what another part of the same flow knows.
    pub(crate) fn absorb(&mut self, part: &Encrypted) {
        // Parts count the same packets, each where it sees them.
        self.count = self.count.max(part.count);
        if self.resolver.is_none() {
            self.resolver.clone_from(&part.resolver);
        }
    }

    /// The same of a flow whose sides sort the other way round.
    pub(crate) fn flip(&mut self) {
        self.server = self.server.other();
    }

    /// What a record says of `flow`; nothing where only a place told, and it took no answer, or its ends turned out to speak
    /// something else.
    pub(crate) fn record(&self, flow: &Flow, app: Option<&App>) -> Option<EncryptedDns> {
        let is_other = app.is_some_and(|app| !matches!(app.protocol, "tls" | "quic" | "dnscrypt"));
        let answered = flow.packets[self.server.index()] > 0 && self.count.heard_both();
        if matches!(self.by, DnsBy::Port | DnsBy::Address) && !answered || self.by != DnsBy::Name && is_other
        {
            return None;
        }
        let resolver = match &self.resolver {
            Some(resolver) => Arc::clone(resolver),
            None => flow.key.endpoint(self.server).addr.to_string().into(),
        };
        Some(EncryptedDns { kind: self.kind, by: self.by, resolver, queries: self.count.queries() })
    }
}

type Told = (DnsKind, DnsBy, Option<Arc<str>>);

/// The responder, unless only the initiator has a port of encrypted DNS: the flow was picked up in its middle.
fn server(flow: &Flow) -> Side {
    let (initiator, responder) = (flow.initiator, flow.initiator.other());
    let has = |side: Side| is_usual(flow.key.port(side));
    if has(initiator) && !has(responder) { initiator } else { responder }
}

/// A port of encrypted DNS.
fn is_usual(port: u16) -> bool {
    port == HTTPS || DOQ.contains(&port)
}

/// Names are compared without regard to case; most stand in lower case.
fn in_lower_case(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|b| b.is_ascii_uppercase()) { name.to_ascii_lowercase().into() } else { name.into() }
}

/// Told by the ends' own words and the port.
fn by_protocol(transport: u8, server: Endpoint, app: Option<&App>) -> Option<Told> {
    let protocol = app.map(|app| app.protocol);
    let told = |kind, by| Some((kind, by, None));
    match (transport, protocol) {
        (_, Some("dnscrypt")) => told(DnsKind::Crypt, DnsBy::Content),
        (TCP, Some("tls")) if speaks(app, |alpn| alpn == "dot") => told(DnsKind::Tls, DnsBy::Alpn),
        (UDP, Some("quic")) if speaks(app, |alpn| alpn.starts_with("doq")) => {
            told(DnsKind::Quic, DnsBy::Alpn)
        }
        (TCP, Some("tls") | None) if server.port == DOT && !negotiates(app) => {
            told(DnsKind::Tls, DnsBy::Port)
        }
        (UDP, Some("quic")) if DOQ.contains(&server.port) && !negotiates(app) => {
            told(DnsKind::Quic, DnsBy::Port)
        }
        (UDP, None) if server.port == DOT => told(DnsKind::Quic, DnsBy::Port),
        _ => None,
    }
}

/// Told by the name of a resolver, or by its address where the client gives no name.
fn by_resolver(transport: u8, server: Endpoint, name: Option<&str>, app: Option<&App>) -> Option<Told> {
    let is_https = match app.map(|app| app.protocol) {
        Some("tls" | "quic") => !negotiates(app) || speaks(app, is_http),
        Some("http2") => true,
        // Of a flow that was picked up in its middle, nobody can read what it is.
        None => transport == TCP && server.port == HTTPS,
        Some(_) => false,
    };
    if !is_https {
        return None;
    }
    match name {
        Some(name) => known::is_resolver(name).then_some((DnsKind::Https, DnsBy::Name, None)),
        None if server.port == HTTPS => {
            let name = known::name_of(server.addr)?;
            Some((DnsKind::Https, DnsBy::Address, Some(name.into())))
        }
        None => None,
    }
}

/// Whether the ends settled on a protocol that `wanted` is true of, or, as far as is known, may yet.
fn speaks(app: Option<&App>, wanted: impl Fn(&str) -> bool) -> bool {
    let Some(app) = app else { return false };
    match (app.get("tls.next_protocol"), app.get("tls.client.alpn")) {
        (Some(Value::Text(chosen)), _) => wanted(chosen),
        (_, Some(Value::List(offered))) => offered.iter().any(|alpn| wanted(alpn)),
        _ => false,
    }
}

/// Whether the client offered protocols at all.
fn negotiates(app: Option<&App>) -> bool {
    speaks(app, |_| true)
}
