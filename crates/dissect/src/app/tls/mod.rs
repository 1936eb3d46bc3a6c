//! SSL 2.0 to TLS 1.3 (RFC 8446, RFC 5246 and older): what both sides say in clear before they encrypt.
//!
//! [`read`] takes the first bytes of one direction of a stream, as many as
//! there are, and keeps nothing: with more bytes it is asked again. Not
//! handled: compressed certificates (RFC 8879), raw public keys, and
//! whatever is encrypted.

#[cfg(test)]
pub(super) mod build;
mod certificate;
mod der;
mod extension;
mod hello;
mod opening;
mod record;
mod server;
mod ssl2;
mod suites;
#[cfg(test)]
mod tests;
mod version;

use std::sync::Arc;

use super::Depth;
use super::cursor::Cursor;
use super::told::Told;

pub use self::certificate::Certificate;
pub(super) use self::extension::kind as extension_kind;
pub use self::hello::Client;
pub(super) use self::hello::{Hello as ClientHello, Over};
pub use self::opening::is_http;
pub(super) use self::opening::{Tls, add_client, hellos};
pub(super) use self::record::Message;
use self::record::{End, Header, content};
pub use self::server::Server;
pub(super) use self::server::{kind as message_kind, read as read_server};
pub use self::suites::cipher_name;
pub use self::version::Version;
pub(super) use self::version::is_grease;

/// What one direction begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hello {
    /// A client's hello.
    Client(Client),
    /// A server's hello.
    Server(Server),
    /// Records, but no hello: an alert, or a flow that was met on its way.
    Neither,
}

/// Reads the first bytes of one direction of a stream, to `depth`.
pub fn read(bytes: &[u8], depth: Depth) -> Told<Hello> {
    if !record::begins(bytes) {
        return ssl2::read(bytes).map(Hello::Client);
    }
    let Some(header) = Header::of(bytes) else {
        return if bytes.len() < record::HEADER { Told::NeedMore } else { Told::NotMine };
    };
    if header.content != content::HANDSHAKE {
        return neither(header, bytes);
    }
    let run = record::run(bytes);
    let cut = run.end == End::Cut;
    match run.messages.first() {
        None if cut => Told::NeedMore,
        Some(&message_kind::CLIENT_HELLO) => client(&run, depth).map(Hello::Client),
        Some(&message_kind::SERVER_HELLO) => server(run, depth).map(Hello::Server),
        _ => neither(header, bytes),
    }
}

/// The hello in front of `run`, and the second one, if a server has asked for it.
fn client(run: &record::Run<'_>, depth: Depth) -> Told<Client> {
    let ended = run.end != End::Cut;
    let more = || if ended { Told::NotMine } else { Told::NeedMore };
    let mut messages = Cursor::new(&run.messages);
    let Some(message) = Message::next(&mut messages) else { return more() };
    let Some(hello) = ClientHello::of(message, Over::Stream) else { return Told::NotMine };
    let mut client = hello.client(Over::Stream, depth);
    if let End::Change(behind) = run.end {
        client.second_name = second_name(&mut Cursor::new(&record::run(behind).messages));
    } else if !messages.is_empty() {
        client.second_name = second_name(&mut messages);
    }
    client.second_name.take_if(|second| client.server_name.as_ref() == Some(second));
    if message.whole || ended { Told::Is(client) } else { Told::Partly(client) }
}

/// The name in a second hello.
fn second_name(messages: &mut Cursor<'_>) -> Option<Arc<str>> {
    let message = Message::next(messages).filter(|message| message.kind == message_kind::CLIENT_HELLO)?;
    ClientHello::of(message, Over::Stream)?.extensions.server_name()
}

/// What `run` says of a server, and what follows it if it asks for another hello.
fn server(run: record::Run<'_>, depth: Depth) -> Told<Server> {
    match run.end {
        End::Change(behind) if server::asks_again(&run.messages) => {
            let second = record::run(behind);
            server::read(&[&*run.messages, &*second.messages].concat(), second.end == End::Other, depth)
        }
        end => server::read(&run.messages, end != End::Cut, depth),
    }
}

/// Records without a hello: the first one has to end where the next begins, as far as one can see. Hellos have passed, or
/// will not come.
fn neither(first: Header, bytes: &[u8]) -> Told<Hello> {
    match bytes.get(record::HEADER + first.len()..) {
        _ if first.len() == 0 => Told::NotMine,
        None | Some([]) => Told::Is(Hello::Neither),
        Some(next) if record::begins(next) => Told::Is(Hello::Neither),
        Some(_) => Told::NotMine,
    }
}
