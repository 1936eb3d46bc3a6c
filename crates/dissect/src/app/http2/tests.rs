use super::super::Said;
use super::*;

/// A frame on stream 1 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
}

/// RFC 7541, appendix C.4.1 and C.4.2: GET http://www.example.com/, twice.
const FIRST: &[u8] =
    &[0x82, 0x86, 0x84, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
const SETTINGS: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100];

fn read(client: &[u8], server: &[u8]) -> Reading {
    let (initiator, responder) = (Said::stream(client), Said::stream(server));
    Http2.dissect(&Opening { transport: 6, ports: [40000, 80], initiator, responder, ..Opening::default() })
}

fn names(reading: Reading) -> Vec<String> {
    match reading {
        Reading::Partly(app) => app.names.iter().map(|name| name.name.to_string()).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn requests_name_whom_they_ask() {
    let whole = [PREFACE, SETTINGS, &frame(frame::HEADERS, flag::END_HEADERS, FIRST)].concat();
    assert_eq!(names(read(&whole, b"")), ["www.example.com"]);
    let padded = [&[3, 0, 0, 0, 0, 16][..], FIRST, &[0; 3]].concat();
    let flags = flag::END_HEADERS | flag::PADDED | flag::PRIORITY;
    assert_eq!(
        names(read(&[PREFACE, &frame(frame::HEADERS, flags, &padded)].concat(), b"")),
        ["www.example.com"]
    );
    let split = [
        PREFACE,
        &frame(frame::HEADERS, 0, &FIRST[..6]),
        &frame(frame::CONTINUATION, flag::END_HEADERS, &FIRST[6..]),
        // `:authority: other.example`, literal (RFC 7541, section 6.2.2).
        &frame(frame::HEADERS, flag::END_HEADERS, b"\x82\x86\x84\x01\x0dother.example"),
    ];
    assert_eq!(names(read(&split.concat(), b"")), ["www.example.com", "other.example"]);
}

#[test]
fn a_server_says_how_it_went() {
    // `:status: 404` is entry 13 of the static table.
    let server = [SETTINGS, &frame(frame::HEADERS, flag::END_HEADERS, &[0x8d])].concat();
    let Reading::Partly(app) = read(b"", &server) else { panic!("settings are enough") };
    assert_eq!(app.get("http.response.status_code"), Some(&Value::Number(404)));
}

#[test]
fn any_part_of_it_is_bounded() {
    let whole = [PREFACE, SETTINGS, &frame(frame::HEADERS, flag::END_HEADERS, FIRST)].concat();
    for len in 1..PREFACE.len() {
        assert_eq!(read(&whole[..len], b""), Reading::NeedMore, "{len}");
    }
    for len in PREFACE.len()..whole.len() {
        assert!(names(read(&whole[..len], b"")).is_empty(), "{len}");
    }
    assert_eq!(read(b"PUT / HTTP/1.1\r\n", b""), Reading::NotMine);
    assert_eq!(read(b"\x00\x00\x07\x04\x00\x00\x00\x00\x00", b""), Reading::NotMine);
}

/// A client that offers to upgrade (RFC 7540, section 3.2) meets a server that speaks nothing but HTTP/2.
#[test]
fn a_client_of_http_1_is_heard_though_the_server_speaks_http_2() {
    let request = b"GET / HTTP/1.1\r\nHost: up.example\r\nUpgrade: h2c\r\n\r\n";
    let Reading::Is(app) = read(request, SETTINGS) else { panic!("no more will come") };
    assert_eq!((&*app.names[0].name, app.protocol), ("up.example", "http"));
}

#[test]
fn of_a_long_field_a_part_is_kept_and_it_is_no_name() {
    let long = [b'a'; MAX_FRAME];
    let mut fields = Fields::default();
    for len in [long.len(), 3] {
        fields.take(b":authority", &long[..len]);
        fields.take(b"x-other", &long[..len]);
    }
    let host = fields.authority.unwrap();
    assert_eq!(
        (host.len, host.bytes.len(), host.name()),
        (long.len(), Text::MAX, None),
        "the first one counts"
    );
    // A domain name's 255 bytes, and a port.
    assert_eq!(Text::of(&long[..261]).name().map(|name| name.len()), Some(261));
    assert_eq!(Text::of(&long[..262]).name(), None);
    assert_eq!(Text::of("a\u{8d}.example".as_bytes()).name(), None, "a control of two bytes");
}
