//! News and files, and what else is said in lines.

use super::{BOTH, Bytes, Heard, Port, Signature, TCP, Tells};

pub(super) const ALL: &[Signature] = &[
    // RFC 3977, section 5.1.
    Signature::new("nntp", TCP, &[Port::Tcp(119)], b"2", nntp),
    // RFC 5804, section 1.2.
    Signature::new("managesieve", TCP, &[Port::Tcp(4190)], b"\"", |h| h.bytes.begin(b"\"IMPLEMENTATION\"")),
    // The rsync daemon's greeting, in rsync's `clientserver.c`.
    Signature::new("rsync", TCP, &[Port::Tcp(873)], b"@", |h| h.bytes.begin(b"@RSYNCD: ")),
    // Git's pack protocol, `gitprotocol-pack(5)`: a pkt-line with the request.
    Signature::new("git", TCP, &[Port::Tcp(9418)], b"0123456789abcdef", |h| {
        Tells::when(h.bytes.has(4, b"git-upload-pack ") || h.bytes.has(4, b"git-receive-pack "))
    }),
    // Subversion's `ra_svn` protocol, section 3.1.
    Signature::new("svn", TCP, &[Port::Tcp(3690)], b"(", |h| {
        h.bytes.begin_any(&[b"( success ( ", b"( 2 ( "])
    }),
    // RFC 3507, sections 4.3.2 and 4.3.3.
    Signature::new("icap", TCP, &[Port::Tcp(1344)], b"ORI", |h| {
        let line = h.bytes.line().unwrap_or_default();
        Tells::when(line.ends_with(" ICAP/1.0") || line.starts_with("ICAP/1.0 "))
    }),
    // RFC 5424, section 6; RFC 3164, section 4: a priority of up to 191.
    Signature::new("syslog", BOTH, &[Port::Udp(514), Port::Tcp(601)], b"<", syslog),
];

/// A reply's code and text (RFC 5321, section 4.2.1, and RFC 959, section 4.2).
fn reply(bytes: Bytes<'_>) -> Option<(&str, &str)> {
    let line = bytes.line()?;
    let (code, rest) = line.split_at_checked(3)?;
    let is_reply = code.bytes().all(|byte| byte.is_ascii_digit()) && rest.starts_with([' ', '-']);
    Some((code, rest.get(1..)?)).filter(|_| is_reply)
}

/// Whether a text has one of several words, in whatever case.
fn mentions(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| Bytes(text.as_bytes()).contains(word.as_bytes(), 512))
}

fn nntp(h: Heard<'_>) -> Tells {
    match reply(h.bytes) {
        Some(("200" | "201", text)) => {
            Tells::when(h.on(&[119]) || mentions(text, &["nntp", "internetnews", "news"]))
        }
        _ => Tells::No,
    }
}

fn syslog(h: Heard<'_>) -> Tells {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let text = h.bytes.0.get(1..).unwrap_or_default();
    let digits = text.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at(digits);
    let priority = str::from_utf8(number).ok().and_then(|text| text.parse::<u16>().ok());
    let Some(rest) = rest.strip_prefix(b">").filter(|_| priority.is_some_and(|p| p <= 191)) else {
        return Tells::No;
    };
    let is_month =
        str::from_utf8(rest.get(..3).unwrap_or_default()).is_ok_and(|m| m.len() == 3 && MONTHS.contains(m));
    let is_text = rest.iter().take(16).all(|&byte| byte == b' ' || byte.is_ascii_graphic());
    Tells::when(is_month || rest.starts_with(b"1 ") || is_text && h.on(&[514, 601]))
}
