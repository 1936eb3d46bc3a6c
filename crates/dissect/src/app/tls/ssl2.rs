//! The hello of SSL 2.0, which clients of later versions sent too (RFC 5246, appendix E.2).

use super::super::cursor::Cursor;
use super::super::told::Told;
use super::hello::Client;
use super::version::Version;

/// `msg_type` of a client's hello.
const CLIENT_HELLO: u8 = 1;
/// What the length counts before ciphers, session and challenge, in bytes.
const FIXED: usize = 9;

/// The hello at the start of `bytes`, told by lengths that have to add up.
pub(super) fn read(bytes: &[u8]) -> Told<Client> {
    if !matches!(
        bytes,
        [0x80..=0xff, _, CLIENT_HELLO, 0 | 3, ..]
            | [0x80..=0xff, _, CLIENT_HELLO]
            | [0x80..=0xff, _]
            | [0x80..=0xff]
    ) {
        return Told::NotMine;
    }
    let mut cursor = Cursor::new(bytes);
    let mut fields =
        || Some((cursor.u16()?, cursor.u8()?, [cursor.u16()?, cursor.u16()?, cursor.u16()?, cursor.u16()?]));
    let Some((len, _, [version, ciphers, session, challenge])) = fields() else { return Told::NeedMore };
    let adds_up = [ciphers, session, challenge].map(usize::from).iter().sum::<usize>() + FIXED
        == usize::from(len & 0x7fff);
    let version = Version(version);
    let plausible = (version == Version::SSL2 || version.plausible())
        && ciphers > 0
        && ciphers.is_multiple_of(3)
        && (16..=32).contains(&challenge);
    if !adds_up || !plausible {
        return Told::NotMine;
    }
    Told::Is(Client { versions: vec![version], ..Client::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_add_up() {
        // RFC 5246, appendix E.2: one suite, no session, a challenge of 16 bytes.
        let mut hello = vec![0x80, 28, 1, 3, 1, 0, 3, 0, 0, 0, 16, 0, 0, 0x2f];
        hello.extend([0xa5; 16]);
        let Told::Is(client) = read(&hello) else { panic!("{:?}", read(&hello)) };
        assert_eq!(client.versions, [Version(0x0301)]);
        assert_eq!(client.ja4, None);
        for end in 1..11 {
            assert_eq!(read(&hello[..end]), Told::NeedMore, "{end}");
        }
        hello[1] = 29;
        assert_eq!(read(&hello), Told::NotMine);
        assert_eq!(read(&[0x80, 0x80, 1, 4]), Told::NotMine);
    }
}
