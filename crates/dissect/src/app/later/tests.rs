use super::*;
use crate::app::Value;
use crate::app::tls::build;

/// A hello in a record.
fn hello() -> Vec<u8> {
    build::record(22, &build::Hello::asking_for("later.example").message())
}

fn server() -> Vec<u8> {
    build::record(22, &build::server_hello([1; 32], 0x1301, &[(43, vec![3, 4])]))
}

fn opening<'a>(client: &'a [u8], server: &'a [u8]) -> Opening<'a> {
    let (initiator, responder) = (Said::stream(client), Said::stream(server));
    Opening { transport: 6, ports: [40000, 40001], initiator, responder, ..Opening::default() }
}

/// The protocol and the name that a flow of these bytes has; the former without the latter if more is wanted.
fn read(dissector: &dyn AppDissector, opening: &Opening<'_>) -> Option<(bool, Option<String>)> {
    let (app, whole) = match dissector.dissect(opening) {
        Reading::NotMine | Reading::NeedMore | Reading::Last(_) => return None,
        Reading::Partly(app) => (app, false),
        Reading::Is(app) => (app, true),
    };
    assert_eq!(app.protocol, dissector.name());
    assert_eq!(app.names.is_empty(), app.get("tls.client.ja4").is_none());
    Some((whole, app.names.first().map(|name| name.name.to_string())))
}

/// What both ends say in clear, as the protocols' own documents have it.
const TALKS: &[(&Later, &[u8], &[u8])] = &[
    // RFC 3207, section 5.
    (
        &SMTP,
        b"EHLO mail.example.com\r\nSTARTTLS\r\n",
        b"220 mail.imc.org SMTP service ready\r\n250-mail.imc.org offers a warm hug of welcome\r\n250 STARTTLS\r\n220 Go ahead\r\n",
    ),
    // RFC 4217, section 12.
    (&FTP, b"AUTH TLS\r\n", b"220 ready\r\n234 AUTH TLS OK.\r\n"),
    // RFC 2595, section 4.
    (&POP3, b"AUTH\r\nCAPA\r\nSTLS\r\n", b"+OK POP server ready\r\n+OK\r\nSTLS\r\n.\r\n+OK Begin TLS negotiation\r\n"),
    // RFC 2595, section 3.1.
    (
        &IMAP,
        b"a001 CAPABILITY\r\na002 STARTTLS\r\n",
        b"* OK ready\r\n* CAPABILITY IMAP4rev1 STARTTLS\r\na001 OK done\r\na002 OK Begin TLS negotiation now\r\n",
    ),
    // RFC 6120, section 9.1.
    (
        &XMPP,
        b"<stream:stream to='im.example.com' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>\
          <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\n",
        b"<stream:stream id='t7' xmlns:stream='http://etherx.jabber.org/streams'><stream:features/>\
          <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    ),
    (&POSTGRESQL, b"\0\0\0\x08\x04\xd2\x16\x30\0\0\0\x08\x04\xd2\x16\x2f", b"NS"),
    (
        &MYSQL,
        b"\x20\0\0\x01\x05\xae\xff\x01\0\0\0\x01\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\x28\0\0\0\x0a8.0.36\0\x08\0\0\0saltsalt\0\xff\xff\x21\x02\0\xff\xc1\x15\0\0\0\0\0\0\0\0\0\0\0",
    ),
    // RFC 1928, sections 3 and 4, with RFC 1929 in between; a host name.
    (
        &SOCKS,
        b"\x05\x02\0\x02\x01\x04user\x04pass\x05\x01\0\x03\x0dlater.example\x01\xbb",
        b"\x05\x02\x01\0\x05\0\0\x01\0\0\0\0\0\0",
    ),
    (&SOCKS, b"\x04\x01\x01\xbb\0\0\0\x01user\0later.example\0", b"\0\x5a\0\0\0\0\0\0"),
];

#[test]
fn hellos_behind_what_was_said_in_clear_name_flows() {
    for (dissector, asks, answers) in TALKS {
        let (asks, answers) = ([*asks, &hello()].concat(), [*answers, &server()].concat());
        let named = Some((true, Some("later.example".to_owned())));
        assert_eq!(read(*dissector, &opening(&asks, &answers)), named, "{}", dissector.name());
        // It does not matter who was seen first.
        assert_eq!(read(*dissector, &opening(&answers, &asks)), named, "{}", dissector.name());
        let Reading::Is(app) = dissector.dissect(&opening(&asks, &answers)) else { panic!() };
        assert_eq!(app.get("tls.version"), Some(&Value::Text("1.3".into())));
    }
}

#[test]
fn more_bytes_never_take_a_name_away() {
    for (dissector, asks, answers) in TALKS {
        let (asks, answers) = ([*asks, &hello()].concat(), [*answers, &server()].concat());
        let mut named = false;
        for end in 0..=asks.len() {
            let now = read(*dissector, &opening(&asks[..end], &answers[..answers.len() - 1]));
            let now = now.is_some_and(|(whole, name)| {
                assert!(!whole, "{} {end}", dissector.name());
                name.is_some()
            });
            assert!(now || !named, "{} {end}", dissector.name());
            named = now;
        }
        assert!(named, "{}", dissector.name());
        for end in 0..=answers.len() {
            let reading = dissector.dissect(&opening(&asks[..4], &answers[..end]));
            assert!(!matches!(reading, Reading::Is(_)), "{} {end}", dissector.name());
        }
    }
}

#[test]
fn whoever_stays_in_clear_is_told_by_what_they_say() {
    let talks: [(&Later, &[u8], &[u8]); 6] = [
        (&SMTP, b"HELO a\r\nMAIL FROM:<a@b>\r\n", b"220 a ESMTP\r\n250 ok\r\n"),
        (&FTP, b"USER anonymous\r\nPASS a\r\n", b"220 ready\r\n331 who\r\n"),
        (&POP3, b"USER a\r\nPASS b\r\n", b"+OK ready\r\n"),
        (&IMAP, b"1 LOGIN a b\r\n", b"* OK ready\r\n"),
        (&POSTGRESQL, b"\0\0\0\x10\0\x03\0\0user\0a\0\0", b""),
        (&MYSQL, b"\x21\0\0\x01\x05\xa6\xff\x01\0\0", TALKS[6].2),
    ];
    for (dissector, asks, answers) in talks {
        assert_eq!(read(dissector, &opening(asks, answers)), Some((true, None)), "{}", dissector.name());
    }
}

#[test]
fn nobody_takes_what_is_another_protocols() {
    let others: [(&[u8], &[u8]); 7] = [
        (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n"),
        (b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"),
        (b"SSH-2.0-a\r\n", b"SSH-2.0-b\r\n"),
        (b"NICK a\r\nUSER a 0 * :a\r\n", b":irc.example NOTICE * :hi\r\n"),
        (b"<html>\r\n</html>\r\n", b"<html>"),
        (b"\0\0\0\x2c\0\0\0\0", b"\0\0\0\x10"),
        (b"\x05\0\0\x03\x10\0\0\0\x48\0\0\0", b"\x05\0\x0c\x03\x10\0\0\0"),
    ];
    for (asks, answers) in others {
        for (dissector, ..) in TALKS {
            let last = Opening { is_last: true, ..opening(asks, answers) };
            assert_eq!(dissector.dissect(&last), Reading::NotMine, "{} {asks:?}", dissector.name());
        }
    }
}
