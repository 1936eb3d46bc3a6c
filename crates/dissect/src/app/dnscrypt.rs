//! DNSCrypt version 2 (draft-denis-dprive-dnscrypt), told by the mark with which its resolvers begin every answer.
//!
//! Queries begin with a mark that each resolver chooses for itself: they alone tell nothing. A resolver's certificate is
//! asked for in plain DNS, which is read as such.

use super::{App, AppDissector, Begins, Opening, Port, Reading};

/// The mark of answers (section "Resolver response" of the draft).
const MARK: &[u8; 8] = b"r6fnvWj8";
/// Behind it: a nonce of 24 bytes, a tag of 16.
const LEAST: usize = 8 + 24 + 16;

/// DNSCrypt.
#[derive(Debug)]
pub(super) struct DnsCrypt;

impl AppDissector for DnsCrypt {
    fn name(&self) -> &'static str {
        "dnscrypt"
    }

    fn ports(&self) -> &'static [Port] {
        &[]
    }

    fn transports(&self) -> &'static [u8] {
        &[6, 17]
    }

    /// Over TCP the length of the answer stands before its mark.
    fn begins(&self) -> Begins {
        Begins::of(b"r\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10")
    }

    fn at_least(&self) -> usize {
        LEAST
    }

    fn dissect(&self, opening: &Opening<'_>) -> Reading {
        for (_, said) in opening.sides() {
            let first = said.first();
            let answer = match first.split_first_chunk::<2>() {
                Some((_, behind)) if opening.is_tcp() => behind,
                _ => first,
            };
            if answer.starts_with(MARK) && answer.len() >= LEAST {
                return Reading::Is(App::of("dnscrypt"));
            }
        }
        Reading::NotMine
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Said;

    fn read(transport: u8, client: &[u8], server: &[u8]) -> Reading {
        let said = |bytes| Said::stream(bytes);
        let (initiator, responder) = (said(client), said(server));
        DnsCrypt.dissect(&Opening {
            transport,
            ports: [40000, 443],
            initiator,
            responder,
            ..Opening::default()
        })
    }

    #[test]
    fn answers_are_known_by_their_mark() {
        let answer = [&MARK[..], &[7; 100]].concat();
        let query = [9; 512];
        assert_eq!(read(17, &query, &answer), Reading::Is(App::of("dnscrypt")));
        assert_eq!(read(6, &query, &[&[0, 108][..], &answer].concat()), Reading::Is(App::of("dnscrypt")));
        assert_eq!(read(17, &query, b""), Reading::NotMine);
        assert_eq!(read(17, &query, &answer[1..]), Reading::NotMine);
        for len in 0..LEAST {
            assert_eq!(read(17, &query, &answer[..len]), Reading::NotMine);
        }
    }
}
