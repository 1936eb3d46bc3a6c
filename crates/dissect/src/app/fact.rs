//! What the first bytes of a flow said of its application.

use std::net::IpAddr;
use std::sync::Arc;

use super::End;

/// How a flow's protocol was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// By what its ends said.
    Content,
    /// By its port alone, since nobody knew what its ends said.
    Port,
}

impl By {
    /// As records have it.
    pub fn name(self) -> &'static str {
        match self {
            By::Content => "content",
            By::Port => "port",
        }
    }
}

/// Where a client said the name of what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NameSource {
    /// Server name of a TLS ClientHello (RFC 6066, section 3), over TCP.
    Tls,
    /// The same in QUIC (RFC 9001), or in the CHLO of the QUIC before it.
    Quic,
    /// The same in DTLS.
    Dtls,
    /// Host of an HTTP/1 request (RFC 9112, section 3.2).
    Http,
    /// `:authority` of an HTTP/2 request (RFC 9113, section 8.3.1).
    Http2,
}

impl NameSource {
    /// As records have it.
    pub fn name(self) -> &'static str {
        match self {
            NameSource::Tls => "tls",
            NameSource::Quic => "quic",
            NameSource::Dtls => "dtls",
            NameSource::Http => "http",
            NameSource::Http2 => "http2",
        }
    }
}

/// A name that a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Who is the client.
    pub client: End,
    /// Where it said so.
    pub source: NameSource,
    /// The name as it stood there. HTTP's may have a port behind it.
    pub name: Arc<str>,
}

impl Name {
    /// The name alone, without a port. `None` for an address, which names nothing.
    pub fn host(&self) -> Option<Arc<str>> {
        // Of most, two looks tell that they are neither an address nor have a port.
        let bytes = self.name.as_bytes();
        if bytes.last().is_some_and(|last| !last.is_ascii_digit())
            && memchr::memchr2(b':', b'[', bytes).is_none()
        {
            return Some(Arc::clone(&self.name));
        }
        let host = without_port(&self.name);
        let is_address = [host, &self.name].into_iter().any(is_address);
        if host.is_empty() || host.starts_with('[') || is_address {
            return None;
        }
        Some(if host.len() == self.name.len() { Arc::clone(&self.name) } else { host.into() })
    }
}

/// A name without the port that may stand behind it.
pub(super) fn without_port(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => name,
    }
}

/// Most names are none, which their last byte and a look for a colon tell.
fn is_address(text: &str) -> bool {
    let may_be = text.ends_with(|last: char| last.is_ascii_digit()) || text.contains(':');
    may_be && text.parse::<IpAddr>().is_ok()
}

/// One further thing that was said, under the name that records have for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its place in a record, with dots between the names of objects: `tls.client.server_name`.
    pub path: &'static str,
    /// What it is.
    pub value: Value,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text; it may hold anything that a sender chose.
    Text(Arc<str>),
    /// A number.
    Number(u64),
    /// Yes or no.
    Flag(bool),
    /// Several texts, in the order in which they were said.
    List(Vec<Arc<str>>),
}

/// What the first bytes of a flow said of its application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// The protocol: lower case, as the field writes it.
    pub protocol: &'static str,
    /// How it was told.
    pub by: By,
    /// Every distinct name that the client asked for, in order.
    pub names: Vec<Name>,
    /// What else was said, by path.
    pub fields: Vec<Field>,
}

impl App {
    /// Names that one flow keeps: a proxy's may ask for any number.
    pub const MAX_NAMES: usize = 64;
    /// Names that one reading gives: more than those that a flow keeps, since each is told.
    const MAX_READ: usize = 1024;

    /// Of a protocol, told by what its ends said.
    pub fn of(protocol: &'static str) -> Self {
        App { protocol, by: By::Content, names: Vec::new(), fields: Vec::new() }
    }

    /// Whether it has this name, in whatever case, from the same source.
    pub fn knows(&self, name: &Name) -> bool {
        self.names.iter().any(|n| n.name.eq_ignore_ascii_case(&name.name) && n.source == name.source)
    }

    /// Adds a name, unless it is known.
    pub fn add_name(&mut self, name: Name) {
        if self.names.len() < Self::MAX_READ && !self.knows(&name) {
            self.names.push(name);
        }
    }

    /// The same, with no more names than one flow keeps.
    #[must_use]
    pub fn kept(mut self) -> Self {
        self.names.truncate(Self::MAX_NAMES);
        self
    }

    /// The name that `client` asked for first, without a port. Addresses are none.
    pub fn first_name(&self, client: End) -> Option<Name> {
        let mut names = self.names.iter().filter(|name| name.client == client);
        names.find_map(|name| Some(Name { name: name.host()?, ..name.clone() }))
    }

    /// Sets a field.
    pub fn set(&mut self, path: &'static str, value: Value) {
        match self.fields.binary_search_by_key(&path, |field| field.path) {
            Ok(at) => {
                if let Some(field) = self.fields.get_mut(at) {
                    field.value = value;
                }
            }
            Err(at) => self.fields.insert(at, Field { path, value }),
        }
    }

    /// Sets a field to a text.
    pub fn set_text(&mut self, path: &'static str, text: impl Into<Arc<str>>) {
        self.set(path, Value::Text(text.into()));
    }

    /// The value of a field.
    pub fn get(&self, path: &str) -> Option<&Value> {
        let at = self.fields.binary_search_by_key(&path, |field| field.path).ok()?;
        self.fields.get(at).map(|field| &field.value)
    }

    /// The same, seen from the other end.
    #[must_use]
    pub fn turned(&self) -> Self {
        let mut turned = self.clone();
        turned.names.iter_mut().for_each(|name| name.client = name.client.other());
        turned
    }

    /// Takes over what another reading of the same flow says. What `later` says counts, where both say something; its
    /// protocol too, unless only a port told it.
    pub fn absorb(&mut self, later: &App) {
        if later.by == By::Content || self.by == By::Port {
            (self.protocol, self.by) = (later.protocol, later.by);
        }
        later.names.iter().for_each(|name| self.add_name(name.clone()));
        later.fields.iter().for_each(|field| self.set(field.path, field.value.clone()));
    }

    /// Whether a later opening of the same flow says nothing new: [`Self::extend`] would change nothing.
    pub fn says_all_of(&self, next: &App) -> bool {
        let has = |name: &Name| {
            self.names.iter().any(|n| n.source == name.source && n.name.eq_ignore_ascii_case(&name.name))
        };
        self.by == By::Content
            && next.protocol == self.protocol
            && next.names.iter().all(has)
            && next.fields.iter().all(|field| self.get(field.path).is_some())
    }

    /// Adds what a later opening of the same flow says, as a second request does: what is known of the first one stays.
    pub fn extend(&mut self, next: &App) {
        if self.by == By::Port || next.protocol != self.protocol {
            return self.absorb(next);
        }
        next.names.iter().for_each(|name| self.add_name(name.clone()));
        let fresh = next.fields.iter().filter(|field| self.get(field.path).is_none()).cloned();
        for field in fresh.collect::<Vec<_>>() {
            self.set(field.path, field.value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_in_the_order_of_their_paths() {
        let mut app = App::of("tls");
        app.set_text("tls.version", "1.2");
        app.set_text("tls.client.server_name", "example.org");
        app.set_text("tls.version", "1.3");
        let paths: Vec<_> = app.fields.iter().map(|field| field.path).collect();
        assert_eq!(paths, ["tls.client.server_name", "tls.version"]);
        assert_eq!(app.get("tls.version"), Some(&Value::Text("1.3".into())));
        assert_eq!(app.get("tls.cipher"), None);
    }

    #[test]
    fn what_the_first_opening_says_stays() {
        let mut app = App::of("http");
        app.set_text("http.request.method", "GET");
        let mut next = App::of("http");
        next.set_text("http.request.method", "POST");
        next.set("http.response.status_code", Value::Number(200));
        app.extend(&next);
        assert_eq!(app.get("http.request.method"), Some(&Value::Text("GET".into())));
        assert_eq!(app.get("http.response.status_code"), Some(&Value::Number(200)));
        app.extend(&App::of("http2"));
        assert_eq!(app.protocol, "http2", "the flow became another one's");
    }

    #[test]
    fn a_port_is_no_part_of_a_name_and_an_address_is_none() {
        let host = |name: &str| {
            let name = Name { client: End::Initiator, source: NameSource::Http, name: name.into() };
            name.host().map(|host| host.to_string())
        };
        assert_eq!(host("a.example:8080").as_deref(), Some("a.example"));
        assert_eq!(host("a.example").as_deref(), Some("a.example"));
        assert_eq!(host("a.example:x").as_deref(), Some("a.example:x"));
        for none in
            ["192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80", "[2001:db8::1]", "2001:db8::1", ":80", ""]
        {
            assert_eq!(host(none), None, "{none}");
        }
    }

    #[test]
    fn a_name_stands_once_however_it_is_written() {
        let name = |text: &str| Name { client: End::Initiator, source: NameSource::Http, name: text.into() };
        let mut app = App::of("http");
        app.add_name(name("a.example"));
        app.absorb(&App { names: vec![name("A.example"), name("b.example")], ..App::of("http") });
        assert_eq!(app.names, [name("a.example"), name("b.example")]);
    }
}
