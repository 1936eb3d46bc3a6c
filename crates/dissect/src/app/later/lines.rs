//! Protocols of lines: a server that greets, and a client that commands.

use super::{Before, HELLO, Later};
use crate::app::{End, Opening, Port};

pub(in crate::app) static SMTP: Later = Later {
    name: "smtp",
    ports: &[Port::Tcp(25), Port::Tcp(587)],
    begins: b"2EHLMQRNehlmqrn",
    mark: None,
    before: |opening| {
        Lines {
            greetings: &["220 ", "220-"],
            hint: "MTP",
            ports: &[25, 587, 2525, 24],
            word: 0,
            first: &["EHLO", "HELO", "LHLO", "STARTTLS", "NOOP", "RSET", "MAIL", "QUIT"],
            past: &["MAIL"],
        }
        .read(opening)
    },
    server: Some(("smtp.server", greeting)),
};

pub(in crate::app) static FTP: Later = Later {
    name: "ftp",
    ports: &[Port::Tcp(21)],
    begins: b"2AFSOHUPQafsohupq",
    mark: None,
    before: |opening| {
        Lines {
            greetings: &["220 ", "220-"],
            hint: "FTP",
            ports: &[21],
            word: 0,
            first: &["AUTH", "FEAT", "SYST", "OPTS", "HOST", "USER", "PASS", "QUIT"],
            past: &["PASS", "CWD", "PWD", "TYPE", "PASV", "EPSV", "PORT", "EPRT", "LIST", "RETR", "STOR"],
        }
        .read(opening)
    },
    server: Some(("ftp.server", greeting)),
};

pub(in crate::app) static POP3: Later = Later {
    name: "pop3",
    ports: &[Port::Tcp(110)],
    begins: b"+CSAUQcsauq",
    mark: None,
    before: |opening| {
        Lines {
            greetings: &["+OK"],
            hint: "POP",
            ports: &[110],
            word: 0,
            first: &["CAPA", "STLS", "USER", "APOP", "AUTH", "QUIT"],
            past: &["PASS", "APOP", "STAT", "LIST", "RETR"],
        }
        .read(opening)
    },
    server: Some(("pop3.server", greeting)),
};

pub(in crate::app) static IMAP: Later = Later {
    name: "imap",
    ports: &[Port::Tcp(143)],
    begins: b"*0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.",
    mark: None,
    before: |opening| {
        Lines {
            greetings: &["* OK", "* PREAUTH", "* BYE"],
            hint: "IMAP",
            ports: &[143],
            word: 1,
            first: &[
                "CAPABILITY",
                "STARTTLS",
                "NOOP",
                "ID",
                "LOGIN",
                "AUTHENTICATE",
                "LOGOUT",
                "SELECT",
                "ENABLE",
            ],
            past: &["LOGIN", "SELECT", "EXAMINE", "LIST", "FETCH"],
        }
        .read(opening)
    },
    server: Some(("imap.server", greeting)),
};

/// Longest first line of a client that is waited for, in bytes.
const LONGEST: usize = 256;

/// Longest greeting that is kept, in bytes.
const LONGEST_GREETING: usize = 512;

/// Bytes of a line among which its command is looked for.
const LONGEST_COMMAND: usize = 64;

/// A protocol's words.
struct Lines {
    /// What a server says first begins with one of these.
    greetings: &'static [&'static str],
    /// What a greeting has in it that begins as another protocol's does.
    hint: &'static str,
    /// Where a server may do without.
    ports: &'static [u16],
    /// Which word of a line is the command.
    word: usize,
    /// Commands that a client may begin with.
    first: &'static [&'static str],
    /// Commands that TLS no longer follows.
    past: &'static [&'static str],
}

/// What an end's first line says of the protocol.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    /// Nothing was said yet, or not enough.
    Open,
    /// A server's greeting, with the hint in it or without.
    Greeting(bool),
    /// A client's command.
    Command,
    /// Something else.
    Other,
}

impl Lines {
    fn read(&self, opening: &Opening<'_>) -> Before {
        let first = opening.sides().map(|(_, said)| self.first(said.bytes()));
        let on_port = self.ports.iter().any(|port| opening.has_port(*port));
        let sure = match first {
            [First::Other, _] | [_, First::Other] | [First::Greeting(_), First::Greeting(_)] => {
                return Before::NotMine;
            }
            [First::Command, First::Command] => return Before::NotMine,
            [First::Command, First::Greeting(_)] | [First::Greeting(_), First::Command] => true,
            [First::Greeting(hint), _] | [_, First::Greeting(hint)] => hint || on_port,
            [First::Command, _] | [_, First::Command] => on_port,
            [First::Open, First::Open] => false,
        };
        if !sure {
            return if opening.is_last { Before::NotMine } else { Before::NeedMore };
        }
        let clear = opening.sides().map(|(_, said)| tls_at(said.bytes()));
        let client = if first[0] == First::Command || matches!(first[1], First::Greeting(_)) {
            End::Initiator
        } else {
            End::Responder
        };
        let over = clear == [None; 2] && self.goes_on_in_clear(opening.said(client).bytes());
        Before::Mine { clear, over }
    }

    fn first(&self, bytes: &[u8]) -> First {
        let begins = |text: &&str| {
            let len = text.len().min(bytes.len());
            bytes.get(..len) == text.as_bytes().get(..len)
        };
        let line = memchr::memchr(b'\n', bytes).and_then(|end| bytes.get(..end)).unwrap_or(bytes);
        let whole = line.len() < bytes.len();
        if self.greetings.iter().any(begins) {
            let hint = self.hint.as_bytes();
            let has_hint = |window: &[u8]| window.eq_ignore_ascii_case(hint);
            return if whole { First::Greeting(line.windows(hint.len()).any(has_hint)) } else { First::Open };
        }
        match self.command(line) {
            Some(command) if whole && self.first.iter().any(|c| is(command, c)) => First::Command,
            _ if whole || line.len() > LONGEST || !is_text(line) => First::Other,
            _ => First::Open,
        }
    }

    fn command<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let line = line.get(..LONGEST_COMMAND).unwrap_or(line);
        line.trim_ascii_end().split(|byte| *byte == b' ').nth(self.word)
    }

    /// Whether a client said a command that TLS no longer follows.
    fn goes_on_in_clear(&self, bytes: &[u8]) -> bool {
        let mut start = 0;
        memchr::memchr_iter(b'\n', bytes).any(|end| {
            let line = bytes.get(start..end).unwrap_or_default();
            start = end + 1;
            let said = self.command(line);
            said.is_some_and(|said| self.past.iter().any(|c| is(said, c)))
        })
    }
}

/// Whether the beginning of a line has no controls but its end's.
fn is_text(line: &[u8]) -> bool {
    !line.iter().any(|b| *b != b'\r' && b.is_ascii_control())
}

fn is(command: &[u8], word: &str) -> bool {
    command.eq_ignore_ascii_case(word.as_bytes())
}

/// Where the first line begins that is no line, but a hello.
fn tls_at(bytes: &[u8]) -> Option<usize> {
    let [content, major] = HELLO;
    memchr::memmem::find(bytes, &[b'\n', content, major]).map(|at| at + 1)
}

/// The text behind a reply code (RFC 5321, section 4.2), `+OK` (RFC 1939, section 3) or `*` (RFC 9051, section 7.1).
fn greeting(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().take(LONGEST_GREETING).position(|&byte| byte == b'\n')?;
    let line = str::from_utf8(bytes.get(..end)?).ok()?.trim_end();
    let text = ["220 ", "220-", "+OK ", "* "].iter().find_map(|prefix| line.strip_prefix(prefix))?;
    Some(text).filter(|text| !text.is_empty() && !text.contains(char::is_control))
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
    }
}
