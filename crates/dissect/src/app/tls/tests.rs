use super::build::{
    Hello as Build, alpn, bytes, message, record, server_hello, server_name, supported_versions,
};
use super::*;

fn read(bytes: &[u8]) -> Told<Hello> {
    super::read(bytes, Depth::All)
}

const HANDSHAKE: u8 = 22;
const CHANGE: u8 = 20;
/// SHA-256 of "HelloRetryRequest" (RFC 8446, section 4.1.3).
const RETRY: &str = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c";

fn is_client(told: Told<Hello>) -> Client {
    let Told::Is(Hello::Client(client)) = told else { panic!("{told:?}") };
    client
}

fn is_server(told: Told<Hello>) -> Server {
    let Told::Is(Hello::Server(server)) = told else { panic!("{told:?}") };
    server
}

fn browser() -> Build {
    Build {
        version: 0x0303,
        ciphers: vec![0x1a1a, 0x1301],
        extensions: vec![
            (0x2a2a, vec![]),
            server_name("www.example.org"),
            alpn(&[b"h2", b"http/1.1", &[0x3a, 0x3a], &[1, b'x']]),
            supported_versions(&[0x4a4a, 0x0304, 0x0303]),
            (0xfe0d, vec![0; 9]),
        ],
        cookie: None,
    }
}

#[test]
fn a_client_says_whom_it_asks_for_and_what_it_speaks() {
    let client = is_client(read(&record(HANDSHAKE, &browser().message())));
    assert_eq!(client.server_name.as_deref(), Some("www.example.org"));
    assert_eq!(client.alpn.iter().map(|p| &**p).collect::<Vec<_>>(), ["h2", "http/1.1", "\\x01x"]);
    assert_eq!(client.versions, [Version::TLS13, Version::TLS12]);
    assert!(client.encrypted_hello && client.ja4.is_some());
    let plain = is_client(read(&record(HANDSHAKE, &Build::asking_for("a.example").message())));
    assert_eq!((plain.versions, plain.encrypted_hello), (vec![Version::TLS12], false));
}

#[test]
fn a_hello_may_be_cut_into_records_and_segments() {
    let message = browser().message();
    let records: Vec<u8> = message.chunks(3).flat_map(|part| record(HANDSHAKE, part)).collect();
    let whole = is_client(read(&records));
    assert_eq!(whole, is_client(read(&record(HANDSHAKE, &message))));
    let mut named = false;
    for end in 1..records.len() {
        match read(&records[..end]) {
            Told::NeedMore => assert!(!named),
            Told::Partly(Hello::Client(client)) => {
                assert_eq!(client.ja4, None, "{end}");
                named |= client.server_name.is_some();
                assert_eq!(named, client.server_name.is_some(), "a name that was there is there");
            }
            told => panic!("{end}: {told:?}"),
        }
    }
    assert!(named, "a name is known before the hello is whole");
}

#[test]
fn a_name_that_is_none_is_not_taken() {
    for odd in ["", "a\nb", &"a".repeat(256)] {
        let client = is_client(read(&record(HANDSHAKE, &Build::asking_for(odd).message())));
        assert_eq!(client.server_name, None, "{odd:?}");
    }
}

#[test]
fn what_is_malformed_has_no_fingerprint() {
    let mut long = browser().body();
    long.push(0);
    let client = is_client(read(&record(HANDSHAKE, &message(1, &long))));
    assert_eq!((client.server_name.as_deref(), client.ja4), (Some("www.example.org"), None));
}

#[test]
fn another_protocol_is_said_soon() {
    let mut session = browser().message();
    session[4 + 2 + 32] = 33;
    let others: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x05\x00\x01\x01",
        b"\x16\x04",
        b"\x16\x03\x01\xff\xff\x01",
        b"SSH-2.0-x",
        &record(HANDSHAKE, &message(1, b"\x47\x45TTTTT")),
        &record(HANDSHAKE, &session),
    ];
    for other in others {
        assert_eq!(read(other), Told::NotMine, "{other:?}");
    }
    for unclear in [&b"\x16"[..], b"\x16\x03", b"\x16\x03\x01\x01", b"\x16\x03\x01\x01\x01"] {
        assert_eq!(read(unclear), Told::NeedMore, "{unclear:?}");
    }
}

#[test]
fn records_without_a_hello() {
    let alert = record(21, &[2, 40]);
    assert_eq!(read(&alert), Told::Is(Hello::Neither));
    assert_eq!(read(&alert[..6]), Told::Is(Hello::Neither));
    assert_eq!(read(&[&record(23, &[9; 40])[..], &record(23, &[8; 4])].concat()), Told::Is(Hello::Neither));
    assert_eq!(read(&[&alert[..], b"GET /"].concat()), Told::NotMine);
}

#[test]
fn a_server_chooses() {
    let hello = server_hello([1; 32], 0x1302, &[(43, vec![3, 4]), (51, vec![0; 36])]);
    let server = is_server(read(&record(HANDSHAKE, &hello)));
    assert_eq!(server.version, Version::TLS13);
    assert_eq!(cipher_name(server.cipher), Some("TLS_AES_256_GCM_SHA384"));
    assert_eq!((server.alpn, server.retried, server.certificate), (None, false, None));
}

#[test]
fn a_server_that_asks_again_chooses_in_its_second_hello() {
    let again = server_hello(bytes(RETRY).try_into().unwrap(), 0x1302, &[(43, vec![3, 4])]);
    let first = record(HANDSHAKE, &again);
    let Told::Partly(Hello::Server(asks)) = read(&first) else { panic!("{:?}", read(&first)) };
    assert!(asks.retried);
    let second = server_hello([1; 32], 0x1301, &[(43, vec![3, 4])]);
    let both = [first, record(CHANGE, &[1]), record(HANDSHAKE, &second), record(23, &[0; 30])].concat();
    let server = is_server(read(&both));
    assert_eq!((server.retried, server.cipher, server.version), (true, 0x1301, Version::TLS13));
}

/// Found by fuzzing: to less depth, no less was to be known of when nothing more comes.
#[test]
fn what_follows_a_retry_and_is_no_hello_ends_it() {
    let again = server_hello(bytes(RETRY).try_into().unwrap(), 0xc02f, &[]);
    for depth in [Depth::All, Depth::Names] {
        let told = read_server(
            &[again.clone(), message(message_kind::SERVER_HELLO_DONE, b"")].concat(),
            false,
            depth,
        );
        assert!(matches!(&told, Told::Is(server) if server.retried), "{depth:?}: {told:?}");
    }
}

#[test]
fn a_resumed_session_has_no_certificate() {
    let hello = record(HANDSHAKE, &server_hello([1; 32], 0xc02f, &[alpn(&[b"h2"])]));
    let Told::Partly(Hello::Server(_)) = read(&hello) else { panic!("{:?}", read(&hello)) };
    let server = is_server(read(&[hello, record(CHANGE, &[1]), record(HANDSHAKE, &[0x5c; 40])].concat()));
    assert_eq!(
        (server.alpn.as_deref(), server.certificate, server.version),
        (Some("h2"), None, Version::TLS12)
    );
}

/// Made with `openssl req -x509 -subj "/C=XX/O=Example/CN=first.example/CN=www.example.org" -addext
/// "subjectAltName=critical,DNS:www.example.org,DNS:*.example.org,IP:192.0.2.1,email:a@example.org"`.
const CERTIFICATE: &str = include_str!("certificate.hex");

/// A certificate message (RFC 5246, section 7.4.2) with as many certificates.
fn certificates(count: usize) -> Vec<u8> {
    let der = bytes(CERTIFICATE);
    let vec24 = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes()[1..], bytes].concat();
    message(11, &vec24(&vec24(&der).repeat(count)))
}

#[test]
fn a_certificate_says_whom_it_is_for() {
    let certificate = Certificate::of(&bytes(CERTIFICATE)).unwrap();
    assert_eq!(certificate.subject.as_deref(), Some("www.example.org"), "the last of two");
    let names: Vec<_> = certificate.names.iter().map(|name| &**name).collect();
    assert_eq!(names, ["www.example.org", "*.example.org"]);
    assert_eq!(Certificate::of(b"GET / HTTP/1.1"), None);
}

#[test]
fn a_certificate_in_clear_is_the_servers_first() {
    let messages = [server_hello([1; 32], 0xc02f, &[]), certificates(2), message(14, &[])].concat();
    let records: Vec<u8> = messages.chunks(100).flat_map(|part| record(HANDSHAKE, part)).collect();
    let certificate = is_server(read(&records)).certificate.unwrap();
    assert_eq!(certificate, Certificate::of(&bytes(CERTIFICATE)).unwrap());
    let mut known = false;
    for end in 1..records.len() {
        let named = |server: &Server| server.certificate.as_ref().is_some_and(|c| c.subject.is_some());
        match read(&records[..end]) {
            Told::NeedMore => {}
            Told::Partly(Hello::Server(server)) => {
                assert!(!known || named(&server), "{end}: a name that was there is there");
                known = named(&server);
            }
            Told::Is(Hello::Server(server)) => {
                assert_eq!(server.certificate.as_ref(), Some(&certificate), "{end}");
            }
            told => panic!("{end}: {told:?}"),
        }
    }
    assert!(known);
}

#[test]
fn a_certificate_of_any_bytes_is_read_or_not() {
    let der = bytes(CERTIFICATE);
    for at in 0..der.len() {
        for value in [0, 0x30, 0x7f, 0x80, 0x84, 0xff] {
            let mut other = der.clone();
            other[at] = value;
            let _ = Certificate::of(&other);
        }
    }
}

#[test]
fn long_lists_are_kept_in_part() {
    let many = vec![&b"x"[..]; 8000];
    let mut hello = Build::asking_for("a.example");
    hello.extensions.extend([alpn(&many), supported_versions(&[0x0304; 127])]);
    let client = is_client(read(&record(HANDSHAKE, &hello.message())));
    assert_eq!((client.alpn.len(), client.versions.len()), (32, 16));
    assert!(client.ja4.is_some_and(|ja4| ja4.as_str().starts_with("t13d0103xx_")), "of all of it");
    // RFC 5280, section 4.1: version, serial number, algorithm, issuer, validity, subject, extensions.
    let der = |tag: u8, parts: &[&[u8]]| {
        let content = parts.concat();
        [&[tag, 0x82][..], &(content.len() as u16).to_be_bytes(), &content].concat()
    };
    let names = der(0x30, &vec![&b"\x82\x01x"[..]; 5000]);
    let alternatives = der(0x30, &[b"\x06\x03\x55\x1d\x11", &der(0x04, &[&names])]);
    let extensions = der(0xa3, &[&der(0x30, &[&alternatives])]);
    let empty = der(0x30, &[]);
    let body = der(0x30, &[b"\x02\x01\x01", &empty, &empty, &empty, &empty, &extensions]);
    assert_eq!(Certificate::of(&der(0x30, &[&body])).unwrap().names.len(), 512);
}

/// RFC 8446, section 4.1.4: a server may ask for a second hello, before which a client may change its cipher in name only.
#[test]
fn a_second_hello_that_names_another_one_is_heard() {
    let hello = |name| record(HANDSHAKE, &Build::asking_for(name).message());
    let change = record(CHANGE, &[1]);
    for between in [&change[..], b""] {
        let second =
            |name| is_client(read(&[&hello("one.example"), between, &hello(name)].concat())).second_name;
        assert_eq!(second("two.example").as_deref(), Some("two.example"));
        assert_eq!(second("one.example"), None);
    }
    assert_eq!(is_client(read(&hello("one.example"))).second_name, None);
}
