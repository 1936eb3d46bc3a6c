//! Chat, calls and discovery in lines of text, and terminals.

use super::{App, BOTH, Heard, Port, Signature, TCP, Tells, UDP};
use crate::app::{Name, NameSource};

pub(super) const ALL: &[Signature] = &[
    // RFC 3261, section 7: a request line that ends with the version, or a status line that begins with it.
    Signature::new("sip", BOTH, &[Port::Udp(5060), Port::Tcp(5060)], b"ABCEIMNOPRSUKG", sip).with(sip_method),
    // RFC 7826, section 4; RFC 2326.
    Signature::new("rtsp", TCP, &[Port::Tcp(554), Port::Tcp(8554)], b"OADSPTRGE", rtsp),
    // UPnP Device Architecture 1.1, section 1: HTTP's form over UDP.
    Signature::new("ssdp", UDP, &[Port::Udp(1900)], b"MNH", ssdp).with(ssdp_host),
    // BEP 14: local service discovery, in the same form.
    Signature::new("bittorrent", UDP, &[Port::Udp(6771)], b"B", |h| {
        h.bytes.begin(b"BT-SEARCH * HTTP/1.1\r\n")
    }),
    // RFC 2812, section 3.1, and servers' first notices.
    Signature::new("irc", TCP, &[Port::Tcp(6667)], b"NUPC:", irc),
    // RFC 3435, section 3.2: verbs of four letters, a transaction, an endpoint, a version.
    Signature::new("mgcp", UDP, &[Port::Udp(2427), Port::Udp(2727)], b"ACDEMNR", |h| {
        Tells::when(
            h.bytes.line().is_some_and(|line| line.ends_with(" MGCP 1.0") || line.contains(" MGCP 1.0 ")),
        )
    }),
    // RFC 3525, section 7.1 and annex B.
    Signature::new("megaco", BOTH, &[Port::Udp(2944), Port::Tcp(2944)], b"M!", |h| {
        h.bytes.begin_any(&[b"MEGACO/", b"!/1 [", b"!/2 [", b"!/3 ["])
    }),
    // RFC 854 and 855: negotiation of options.
    Signature::new("telnet", TCP, &[Port::Tcp(23)], b"\xff", telnet),
    // WS-Discovery 1.1, section 2: SOAP whose action is one of discovery.
    Signature::new("ws-discovery", UDP, &[Port::Udp(3702)], b"<", |h| {
        Tells::when(
            h.bytes.contains(b"/ws/2005/04/discovery", 4096) || h.on(&[3702]) && h.bytes.contains(b"xml", 8),
        )
    }),
    // RFC 1413, section 3: two ports, and USERID or ERROR behind them.
    Signature::new("ident", TCP, &[Port::Tcp(113)], b"0123456789", |h| {
        Tells::when(
            h.bytes.line().is_some_and(|line| line.contains(": USERID :") || line.contains(": ERROR :")),
        )
    }),
    // RFC 3912 and RFC 1288: one line, and no more to tell it by.
    Signature::new("whois", TCP, &[Port::Tcp(43)], b"", |_| Tells::No),
    Signature::new("finger", TCP, &[Port::Tcp(79)], b"", |_| Tells::No),
    Signature::new("gopher", TCP, &[Port::Tcp(70)], b"", |_| Tells::No),
    Signature::new("echo", BOTH, &[Port::Tcp(7), Port::Udp(7)], b"", |_| Tells::No),
    Signature::new("discard", BOTH, &[Port::Tcp(9), Port::Udp(9)], b"", |_| Tells::No),
    Signature::new("daytime", BOTH, &[Port::Tcp(13), Port::Udp(13)], b"", |_| Tells::No),
    Signature::new("chargen", BOTH, &[Port::Tcp(19), Port::Udp(19)], b"", |_| Tells::No),
    Signature::new("time", BOTH, &[Port::Tcp(37), Port::Udp(37)], b"", |_| Tells::No),
];

fn sip(h: Heard<'_>) -> Tells {
    match h.bytes.line() {
        Some(line) => Tells::when(line.ends_with(" SIP/2.0") || line.starts_with("SIP/2.0 ")),
        None if h.bytes.has(0, b"SIP/2.0 ") => Tells::Yes,
        None if h.opening.is_tcp() && h.on(&[5060]) => Tells::More,
        // The end of the first line was not captured.
        None => {
            let uri = h.bytes.contains(b" sip:", 16) || h.bytes.contains(b" tel:", 16);
            Tells::when(uri && h.bytes.0.iter().all(|byte| !byte.is_ascii_control()))
        }
    }
}

fn sip_method(h: Heard<'_>, app: &mut App) {
    let word = h.bytes.line().and_then(|line| line.split(' ').next());
    if let Some(method) = word.filter(|&word| word != "SIP/2.0" && word.len() < 20) {
        app.set_text("sip.method", method);
    }
}

fn rtsp(h: Heard<'_>) -> Tells {
    let Some(line) = h.bytes.line() else {
        return if h.on(&[554, 8554]) && h.bytes.len() < 1024 { Tells::More } else { Tells::No };
    };
    let is_version = |text: &str| matches!(text, "RTSP/1.0" | "RTSP/2.0");
    let mut words = line.split(' ');
    Tells::when(words.next().is_some_and(is_version) || words.next_back().is_some_and(is_version))
}

fn ssdp(h: Heard<'_>) -> Tells {
    match h.bytes.begin_any(&[b"M-SEARCH * HTTP/1.1\r\n", b"NOTIFY * HTTP/1.1\r\n"]) {
        Tells::Yes => Tells::Yes,
        _ => Tells::when(
            h.bytes.has(0, b"HTTP/1.1 200 OK\r\n") && (h.on(&[1900]) || h.bytes.contains(b"\nst:", 1024)),
        ),
    }
}

/// Whom a search or a notice is for: the group's address, and its port.
fn ssdp_host(h: Heard<'_>, app: &mut App) {
    let lines = h.bytes.0.split(|&byte| byte == b'\n').take(32);
    let host = lines.filter_map(|line| str::from_utf8(line).ok()).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim())
    });
    let fits = |name: &&str| !name.is_empty() && name.len() < 261 && !name.contains(char::is_control);
    if let Some(name) = host.filter(fits) {
        app.add_name(Name { client: h.end, source: NameSource::Http, name: name.into() });
    }
}

fn irc(h: Heard<'_>) -> Tells {
    let Some(line) = h.bytes.line() else { return Tells::No };
    let mut words = line.split(' ');
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_on = h.on(&[6666, 6667, 6668, 6669, 7000]);
    match first {
        "NOTICE" => Tells::when(second == "AUTH" || second == "*"),
        "NICK" => Tells::when(is_on || h.bytes.contains(b"\nUSER ", 512)),
        "USER" => Tells::when(words.count() >= 2 && (is_on || h.bytes.contains(b"\nNICK ", 512))),
        "PASS" => Tells::when(is_on || h.bytes.contains(b"\nNICK ", 512)),
        "CAP" => Tells::when(matches!(second, "LS" | "REQ" | "END")),
        _ => Tells::when(first.starts_with(':') && matches!(second, "NOTICE" | "001" | "020" | "433")),
    }
}

fn telnet(h: Heard<'_>) -> Tells {
    let negotiates = |at: usize| {
        h.bytes.u8(at) == Some(0xff)
            && h.bytes.u8(at + 1).is_some_and(|verb| (0xfb..=0xfe).contains(&verb))
            && h.bytes.u8(at + 2).is_some_and(|option| option < 50)
    };
    match (negotiates(0), negotiates(3)) {
        (true, true) => Tells::Yes,
        (true, false) => Tells::when(h.on(&[23]) || h.bytes.len() == 3),
        _ if h.bytes.len() < 3 => Tells::More,
        _ => Tells::No,
    }
}
