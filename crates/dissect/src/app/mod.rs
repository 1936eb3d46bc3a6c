//! Application dissectors: what a payload says.
//!
//! There are two kinds. A [`MessageDissector`] reads every message of its protocol, one by one, and each is an event:
//! DNS and its kin. A flow in which it has read one is told. An [`AppDissector`] reads the first bytes that both ends of a flow sent, its [`Opening`], and says
//! what the flow is and what its client asked for: [`App`]. Adding one of either is a file here, its `mod` line and its
//! line in `MESSAGES` or `OPENINGS`; a protocol that is told by a few bytes is a row in a file of `signature/`.

mod cursor;
pub mod dns;
mod dnscrypt;
pub mod dtls;
mod fact;
mod http;
mod http2;
mod interest;
pub mod ja4;
mod later;
mod message;
mod opening;
mod pieces;
mod proxied;
pub mod quic;
mod select;
mod signature;
mod ssh;
pub mod tls;
pub mod told;

pub use self::fact::{App, By, Field, Name, NameSource, Value};
pub use self::interest::Interest;
pub use self::message::{Fact, MessageDissector, Port, Verdict, by_content, by_port};
pub(crate) use self::message::{may_recognize, ports};
pub use self::opening::{AppDissector, Begins, Depth, End, Mark, Opening, Past, Reading, Said};
pub use self::select::{Candidates, prepare, protocol_by_port};

/// Every message dissector.
static MESSAGES: &[&dyn MessageDissector] = &[&dns::DNS, &dns::MDNS, &dns::LLMNR, &dns::NBNS];

/// Every application dissector with a file of its own; signatures come after them. Where two read the same bytes, the
/// first is believed.
static OPENINGS: &[&dyn AppDissector] = &[
    &dnscrypt::DnsCrypt,
    &ssh::Ssh,
    &http2::Http2,
    &http::Http,
    &tls::Tls,
    &dtls::Dtls,
    &quic::Dissector,
    &later::SMTP,
    &later::FTP,
    &later::POP3,
    &later::IMAP,
    &later::XMPP,
    &later::POSTGRESQL,
    &later::MYSQL,
    &later::SOCKS,
    &proxied::Proxied,
];
