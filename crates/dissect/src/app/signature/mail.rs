//! Mail, news and files: a server greets with a line, and clients answer with words.

use super::{App, BOTH, Bytes, Heard, Port, Signature, TCP, Tells};

pub(super) const ALL: &[Signature] = &[
    // RFC 5321, sections 4.1.1.1 and 4.2: `220` with a word that only mail has, or EHLO.
    Signature::new("smtp", TCP, &[Port::Tcp(25), Port::Tcp(587), Port::Tcp(2525)], b"2EHLehl", smtp)
        .with(smtp_server),
    // RFC 959, section 5.4; RFC 2228.
    Signature::new("ftp", TCP, &[Port::Tcp(21)], b"2UAFuaf", ftp).with(ftp_server),
    // RFC 1939, section 4; RFC 2449.
    Signature::new("pop3", TCP, &[Port::Tcp(110)], b"+UCASuca", pop3).with(pop3_server),
    // RFC 9051, section 7.1: an untagged greeting.
    Signature::new("imap", TCP, &[Port::Tcp(143), Port::Tcp(220)], b"*", imap).with(imap_server),
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

fn verb(bytes: Bytes<'_>) -> Option<String> {
    let word = bytes.line()?.split(' ').next()?;
    Some(word.to_ascii_uppercase())
}

/// Whether a text has one of several words, in whatever case.
fn mentions(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| Bytes(text.as_bytes()).contains(word.as_bytes(), 512))
}

/// What the other end says decides, once it has said something.
fn undecided(h: Heard<'_>) -> Tells {
    if h.other().len() == 0 { Tells::More } else { Tells::No }
}

fn smtp(h: Heard<'_>) -> Tells {
    const PORTS: &[u16] = &[25, 587, 2525];
    match (reply(h.bytes), verb(h.bytes)) {
        (Some((_, text)), _) if mentions(text, &["ftp"]) => Tells::No,
        (Some(("220" | "421" | "554", _)), _) if h.on(PORTS) => Tells::Yes,
        (Some(("220", text)), _) if mentions(text, &["smtp", "postfix", "exim", "mail"]) => Tells::Yes,
        (Some(("220", _)), _) => undecided(h),
        (None, Some(verb)) => Tells::when(
            matches!(verb.as_str(), "EHLO" | "LHLO") || verb == "HELO" && h.bytes.contains(b"helo ", 5),
        ),
        (None, None) if h.on(PORTS) && h.bytes.len() < 4 => Tells::More,
        _ => Tells::No,
    }
}

fn ftp(h: Heard<'_>) -> Tells {
    match (reply(h.bytes), verb(h.bytes)) {
        (Some(("220" | "230" | "421" | "530" | "500", _)), _) if h.on(&[21]) => Tells::Yes,
        (Some(("220", text)), _) if mentions(text, &["ftp"]) => Tells::Yes,
        (Some(("220", _)), _) => undecided(h),
        (None, Some(verb)) if matches!(verb.as_str(), "USER" | "AUTH" | "FEAT") => {
            Tells::when(h.on(&[21]) || reply(h.other()).is_some_and(|(code, _)| code == "220"))
        }
        _ => Tells::No,
    }
}

fn pop3(h: Heard<'_>) -> Tells {
    let greets = |bytes: Bytes<'_>| bytes.line().is_some_and(|line| line.starts_with("+OK"));
    if greets(h.bytes) {
        let line = h.bytes.line().unwrap_or_default();
        let is_stamped = line.ends_with('>') && line.contains('<') && line.contains('@');
        let is_sure = h.on(&[110]) || is_stamped || mentions(line, &["pop3", "pop server", "dovecot"]);
        return if is_sure { Tells::Yes } else { undecided(h) };
    }
    let is_verb =
        verb(h.bytes).is_some_and(|verb| matches!(verb.as_str(), "USER" | "CAPA" | "APOP" | "STLS" | "AUTH"));
    Tells::when(is_verb && (greets(h.other()) || h.on(&[110])))
}

fn imap(h: Heard<'_>) -> Tells {
    h.bytes.begin_any(&[b"* OK", b"* PREAUTH", b"* BYE"])
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

/// What a server says of itself when it greets.
fn greeting(h: Heard<'_>, app: &mut App, path: &'static str) {
    let said = [h.bytes, h.other()].into_iter().find_map(|bytes| match bytes.line() {
        Some(line) if line.starts_with("+OK") => line.get(3..),
        Some(line) if line.starts_with("* ") => line.get(2..),
        _ => reply(bytes).filter(|(code, _)| *code == "220").map(|(_, text)| text),
    });
    if let Some(text) = said.map(str::trim).filter(|text| !text.is_empty()) {
        app.set_text(path, text);
    }
}

fn smtp_server(h: Heard<'_>, app: &mut App) {
    greeting(h, app, "smtp.server");
}

fn ftp_server(h: Heard<'_>, app: &mut App) {
    greeting(h, app, "ftp.server");
}

fn pop3_server(h: Heard<'_>, app: &mut App) {
    greeting(h, app, "pop3.server");
}

fn imap_server(h: Heard<'_>, app: &mut App) {
    greeting(h, app, "imap.server");
}
