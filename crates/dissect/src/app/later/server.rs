//! What servers say of themselves when they greet.

use crate::app::{App, Opening};

/// Longest greeting that is kept, in bytes.
const LONGEST: usize = 512;

/// Adds what the greeting in an opening says.
pub(super) fn describe(app: &mut App, opening: &Opening<'_>) {
    let path = match app.protocol {
        "smtp" => "smtp.server",
        "ftp" => "ftp.server",
        "pop3" => "pop3.server",
        "imap" => "imap.server",
        "mysql" => {
            let version = opening.sides().into_iter().find_map(|(_, said)| mysql_version(said.bytes()));
            if let Some(version) = version {
                app.set_text("mysql.server.version", version);
            }
            return;
        }
        _ => return,
    };
    let text = opening.sides().into_iter().find_map(|(_, said)| greeting(said.bytes()));
    if let Some(text) = text {
        app.set_text(path, text);
    }
}

/// The text behind a reply code (RFC 5321, section 4.2), `+OK` (RFC 1939, section 3) or `*` (RFC 9051, section 7.1).
fn greeting(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().take(LONGEST).position(|&byte| byte == b'\n')?;
    let line = str::from_utf8(bytes.get(..end)?).ok()?.trim_end();
    let text = ["220 ", "220-", "+OK ", "* "].iter().find_map(|prefix| line.strip_prefix(prefix))?;
    Some(text).filter(|text| !text.is_empty() && !text.contains(char::is_control))
}

/// The version in a first packet of protocol 10: behind its length and number, up to a zero.
fn mysql_version(bytes: &[u8]) -> Option<&str> {
    let [_, _, _, 0, 10, rest @ ..] = bytes else { return None };
    let end = rest.iter().take(64).position(|&byte| byte == 0)?;
    let version = str::from_utf8(rest.get(..end)?).ok()?;
    Some(version).filter(|version| !version.is_empty() && version.chars().all(|c| c.is_ascii_graphic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_are_texts() {
        assert_eq!(greeting(b"220 mail.example ESMTP Postfix\r\n"), Some("mail.example ESMTP Postfix"));
        assert_eq!(greeting(b"* OK IMAP4rev2 ready\r\n"), Some("OK IMAP4rev2 ready"));
        assert_eq!(greeting(b"+OK \r\n"), None);
        assert_eq!(greeting(b"220 cut"), None);
        assert_eq!(greeting(b"EHLO x\r\n"), None);
        assert_eq!(mysql_version(b"\x36\0\0\0\x0a5.5.2-m2\0\x0b\0\0\0"), Some("5.5.2-m2"));
        assert_eq!(mysql_version(b"\x36\0\0\0\x0a5.5"), None);
    }
}
