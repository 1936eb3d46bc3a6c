//! Flows of TLS, told by their hellos; and what hellos are called in records, over whatever they came.

use std::sync::Arc;

use super::{Client, Hello, Server, Version, cipher_name, read};
use crate::app::told::Told;
use crate::app::{
    App, AppDissector, Begins, Depth, End, Name, NameSource, Opening, Port, Reading, Said, Value,
};

/// TLS over a stream.
#[derive(Debug)]
pub(in crate::app) struct Tls;

impl AppDissector for Tls {
    fn name(&self) -> &'static str {
        "tls"
    }

    fn ports(&self) -> &'static [Port] {
        &[Port::Tcp(443), Port::Tcp(853), Port::Tcp(8443)]
    }

    fn transports(&self) -> &'static [u8] {
        &[6]
    }

    /// The content types, and the length of a hello of SSL 2.0.
    fn begins(&self) -> Begins {
        Begins::of(&[20, 21, 22, 23, 24, 0x80])
    }

    /// A record of a handshake is unmistakable.
    fn follows_others(&self) -> bool {
        true
    }

    fn dissect(&self, opening: &Opening<'_>) -> Reading {
        hellos(opening, App::of("tls"), NameSource::Tls, |said| read(said.bytes(), said.depth()))
    }
}

/// Reads the hellos of both ends into `app`.
pub(in crate::app) fn hellos<'a>(
    opening: &Opening<'a>,
    mut app: App,
    source: NameSource,
    read: impl Fn(Said<'a>) -> Told<Hello>,
) -> Reading {
    let (mut mine, mut unclear, mut more, mut passed) = (false, false, false, false);
    let mut enough = false;
    for (end, said) in opening.sides() {
        let told = if said.is_empty() { Told::NeedMore } else { read(said) };
        more |= matches!(told, Told::NeedMore | Told::Partly(_));
        unclear |= told == Told::NeedMore && !said.is_empty();
        // A flow that was met on its way, or that ends before it began.
        passed |= told == Told::Is(Hello::Neither);
        enough |= opening.depth == Depth::Names && says_enough(&told);
        let Some(hello) = told.found() else { continue };
        mine = true;
        match hello {
            Hello::Client(client) => add_client(&mut app, end, source, &client, said.depth()),
            Hello::Server(server) => add_server(&mut app, &server, said.depth()),
            Hello::Neither => {}
        }
    }
    match (mine, more && !passed && !enough && !opening.is_last) {
        (true, true) => Reading::Partly(app),
        (true, false) => Reading::Is(app),
        (false, _) if unclear && !opening.is_last => Reading::NeedMore,
        (false, _) => Reading::NotMine,
    }
}

/// Whether a client's hello has the names, and leaves no doubt what will be spoken: whichever of several offers a server
/// takes, it is HTTP, or none is.
fn says_enough(told: &Told<Hello>) -> bool {
    let Told::Is(Hello::Client(client)) = told else { return false };
    let http = client.alpn.iter().filter(|protocol| is_http(protocol)).count();
    http == client.alpn.len() || http == 0 && client.alpn.len() <= 1
}

/// Whether an application protocol (RFC 7301) is HTTP, of whatever version.
pub fn is_http(alpn: &str) -> bool {
    alpn == "h2" || alpn == "http/1.1" || alpn.starts_with("h3")
}

/// Adds what a client's hello says.
pub(in crate::app) fn add_client(app: &mut App, end: End, source: NameSource, client: &Client, depth: Depth) {
    if let Some(name) = &client.server_name {
        app.add_name(Name { client: end, source, name: Arc::clone(name) });
        if depth == Depth::All {
            app.set_text("tls.client.server_name", Arc::clone(name));
        }
    }
    if let Some(name) = &client.second_name {
        app.add_name(Name { client: end, source, name: Arc::clone(name) });
    }
    if let Some(ja4) = &client.ja4 {
        app.set_text("tls.client.ja4", ja4.as_str());
    }
    if client.encrypted_hello {
        app.set("tls.client.encrypted_hello", Value::Flag(true));
    }
    add_list(app, "tls.client.alpn", client.alpn.clone());
    add_list(app, "tls.client.versions", client.versions.iter().copied().map(text).collect());
}

/// Adds what a server says.
fn add_server(app: &mut App, server: &Server, depth: Depth) {
    if let Some(protocol) = &server.alpn {
        app.set_text("tls.next_protocol", Arc::clone(protocol));
    }
    if depth == Depth::Names {
        return;
    }
    let (protocol, number) = server.version.parts();
    app.set_text("tls.version_protocol", protocol);
    app.set_text("tls.version", number);
    match cipher_name(server.cipher) {
        Some(name) => app.set_text("tls.cipher", name),
        None => app.set_text("tls.cipher", format!("0x{:04x}", server.cipher)),
    }
    if server.retried {
        app.set("tls.server.hello_retry", Value::Flag(true));
    }
    if let Some(certificate) = &server.certificate {
        let subject = certificate.subject.iter().cloned().collect();
        add_list(app, "tls.server.x509.subject.common_name", subject);
        add_list(app, "tls.server.x509.alternative_names", certificate.names.clone());
    }
}

fn add_list(app: &mut App, path: &'static str, list: Vec<Arc<str>>) {
    if !list.is_empty() {
        app.set(path, Value::List(list));
    }
}

fn text(version: Version) -> Arc<str> {
    version.to_string().into()
}
