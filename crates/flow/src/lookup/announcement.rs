//! Answers that tell of encrypted resolvers.

use dissect::Ip;
use dissect::app::dns::Outline;

use crate::encrypted::{Announcement, DnsKind};

/// IANA numbers of record types.
const TXT: u16 = 16;
const SVCB: u16 = 64;
const PLAIN: u16 = 53;
/// What the name begins with under which a DNSCrypt resolver has its certificates.
const CERTIFICATE: &str = "2.dnscrypt-cert.";

/// Adds the resolvers that an answer tells of to `found`.
pub(super) fn read(ip: &Ip, message: &Outline<'_>, found: &mut Vec<Announcement>) {
    match message.asked().map(|asked| asked.kind) {
        Some(SVCB) if is_of_resolvers(&message.name()) => {
            let services = message.services();
            found.extend(services.iter().flat_map(|one| Announcement::of_service(one, ip.source())));
        }
        // Certificates pass between client and DNSCrypt resolver, on the port that the lookups will go to.
        Some(TXT) if ip.src_port != PLAIN && message.response_code() == 0 => {
            if let Some(name) = message.name().strip_prefix(CERTIFICATE) {
                let at = ip.five_tuple().src;
                found.push(Announcement { kind: DnsKind::Crypt, at, name: Some(name.into()) });
            }
        }
        _ => {}
    }
}

/// `_dns.resolver.arpa`, `_dns.example.net` or, with a port, `_8530._dns.example.net` (RFC 9461, section 2).
fn is_of_resolvers(name: &str) -> bool {
    let labels = name.split('.').take(2);
    labels.into_iter().any(|label| label.eq_ignore_ascii_case("_dns"))
}
