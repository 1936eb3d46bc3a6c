use super::*;

fn read(client: &[u8], server: &[u8]) -> Reading {
    let (initiator, responder) = (Said::stream(client), Said::stream(server));
    Http.dissect(&Opening { transport: 6, ports: [40000, 80], initiator, responder, ..Opening::default() })
}

fn app(reading: Reading) -> App {
    match reading {
        Reading::Is(app) | Reading::Partly(app) => app,
        other => panic!("{other:?}"),
    }
}

fn names(app: &App) -> Vec<&str> {
    app.names.iter().map(|name| &*name.name).collect()
}

const GET: &[u8] =
    b"GET /where?q=now HTTP/1.1\r\nUser-Agent: curl/7.16.3\r\nHost: www.example.com\r\nAccept-Language: en, mi\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_request_and_its_response_tell_all() {
    let Reading::Partly(app) = read(GET, b"") else { panic!("the response is to come") };
    assert_eq!(names(&app), ["www.example.com"]);
    let Reading::Is(app) = read(GET, OK) else { panic!("nothing is missing") };
    assert_eq!(app.get("http.request.method"), Some(&Value::Text("GET".into())));
    assert_eq!(app.get("http.version"), Some(&Value::Text("1.1".into())));
    assert_eq!(app.get("http.request.path_length"), Some(&Value::Number(12)));
    assert_eq!(app.get("http.response.status_code"), Some(&Value::Number(200)));
    assert_eq!(app.get("user_agent.original"), Some(&Value::Text("curl/7.16.3".into())));
}

#[test]
fn where_only_names_are_wanted_a_whole_request_is_enough() {
    let read = |client: &[u8]| {
        let initiator = Said::stream(client).to(Depth::Names);
        Http.dissect(&Opening { transport: 6, initiator, depth: Depth::Names, ..Opening::default() })
    };
    let Reading::Is(app) = read(GET) else { panic!("the response has no name") };
    assert_eq!(names(&app), ["www.example.com"]);
    assert!(matches!(read(OK), Reading::Is(_)), "the request can be read alone");
    let Reading::Is(app) = read(&[GET, GET].concat()) else { panic!("both are whole") };
    assert_eq!(names(&app), ["www.example.com"]);
    let [cut, body, upgrade, tunnel] = [
        "GET / HTTP/1.1\r\nHost: a.example\r\n",
        "PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9\r\n\r\nhalf",
        "GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\n\r\n",
        "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
    ];
    for waiting in [cut, body, upgrade, tunnel] {
        assert!(matches!(read(waiting.as_bytes()), Reading::Partly(_)), "{waiting}");
    }
}

#[test]
fn a_server_may_be_seen_first_or_be_the_initiator() {
    let Reading::Partly(only_server) = read(b"", OK) else { panic!("the request is to come") };
    assert!(only_server.names.is_empty());
    let turned = app(read(OK, GET));
    assert_eq!(turned.names[0].client, End::Responder);
    assert_eq!(turned.first_name(End::Responder).map(|asked| asked.name).as_deref(), Some("www.example.com"));
}

#[test]
fn every_request_of_a_pipeline_is_read() {
    let post = b"POST /a HTTP/1.1\r\nHost: one.example\r\nContent-Length: 20\r\n\r\nGET / HTTP/1.1\r\nHost";
    let more = b"GET /b HTTP/1.1\r\nhost:two.example:8080\r\n\r\nHEAD /c HTTP/1.0\r\n\r\nGET /d HTTP/1.1\r\nHost: three";
    let Reading::Partly(app) = read(&[&post[..], more].concat(), OK) else { panic!("the last one is cut") };
    assert_eq!(names(&app), ["one.example", "two.example:8080"]);
    assert_eq!(app.get("http.request.method"), Some(&Value::Text("POST".into())), "of the first");
}

#[test]
fn proxies_are_asked_by_the_target() {
    let names_of = |request: &str| names(&app(read(request.as_bytes(), OK))).join(" ");
    // RFC 9112, sections 3.2.2 and 3.2.3.
    assert_eq!(
        names_of("GET http://www.example.org/pub/WWW/TheProject.html HTTP/1.1\r\n\r\n"),
        "www.example.org"
    );
    assert_eq!(
        names_of("CONNECT www.example.com:80 HTTP/1.1\r\nHost: www.example.com\r\n\r\n"),
        "www.example.com"
    );
    assert_eq!(names_of("CONNECT server.example.com:443 HTTP/1.1\r\n\r\n"), "server.example.com:443");
    assert_eq!(names_of("GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n"), "a.example b.example");
    assert_eq!(names_of("GET /?u=http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n"), "b.example");
    assert_eq!(names_of("GET http://u@a.example?x HTTP/1.1\r\n\r\n"), "a.example");
    assert_eq!(path("http://a.example/b?c"), "/b?c");
    assert_eq!(path("http://a.example"), "");
}

#[test]
fn a_request_in_parts_is_waited_for() {
    for len in 1..GET.len() {
        let reading = read(&GET[..len], b"");
        assert!(matches!(reading, Reading::NeedMore | Reading::Partly(_)), "{len}: {reading:?}");
    }
    let cut = Opening {
        transport: 6,
        ports: [40000, 80],
        initiator: Said::stream(&GET[..80]),
        is_last: true,
        ..Opening::default()
    };
    assert_eq!(names(&app(Http.dissect(&cut))), ["www.example.com"]);
}

#[test]
fn others_are_refused() {
    for other in [
        "EHLO a.example\r\n",
        "OPTIONS sip:a SIP/2.0\r\n",
        "SSH-2.0-x\r\n",
        "HTTP/2 200\r\n",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    ] {
        assert_eq!(read(other.as_bytes(), b""), Reading::NotMine, "{other}");
    }
    assert_eq!(read(b"", b""), Reading::NotMine);
}

#[test]
fn names_are_text() {
    let host = |host: &[u8]| [b"GET / HTTP/1.1\r\nHost: ", host, b"\r\n\r\n"].concat();
    assert!(names(&app(read(&host(b"a\x01b"), OK))).is_empty());
    assert!(names(&app(read(&host(&[b'a'; 300]), OK))).is_empty());
    assert!(names(&app(read(&host(b""), OK))).is_empty());
    assert_eq!(names(&app(read(&host("bücher.example".as_bytes()), OK))), ["bücher.example"]);
}

/// A ClientHello behind what opens a tunnel (RFC 9110, section 9.3.6), built by the rules of RFC 8446, section 4.1.2.
/// C1 controls (U+0080 to U+009F) are controls too.
#[test]
fn no_name_has_a_control_of_two_bytes() {
    for host in ["www.example.o\u{8d}g", "\u{9b}31m.example"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert!(names(&app(read(request.as_bytes(), OK))).is_empty(), "{host:?}");
    }
    let request = "GET / HTTP/1.1\r\nHost: b\u{fc}cher.example\r\n\r\n";
    assert_eq!(names(&app(read(request.as_bytes(), OK))), ["b\u{fc}cher.example"]);
}

#[test]
fn a_hello_in_a_tunnel_is_read() {
    let extension = b"\x00\x00\x00\x0c\x00\x0a\x00\x00\x07a.inner";
    let body =
        [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0, 0, extension.len() as u8], extension].concat();
    let handshake = [&[1, 0, 0, body.len() as u8][..], &body].concat();
    let hello = [&[22, 3, 1, 0, handshake.len() as u8][..], &handshake].concat();
    let connect = b"CONNECT proxied.example:443 HTTP/1.1\r\nHost: proxied.example:443\r\n\r\n";
    let opened = b"HTTP/1.1 200 Connection established\r\n\r\n";
    let Reading::Partly(waiting) = read(connect, opened) else { panic!("the tunnel is empty yet") };
    assert_eq!(names(&waiting), ["proxied.example:443"]);
    let app = app(read(&[&connect[..], &hello].concat(), opened));
    assert_eq!((names(&app), app.protocol), (vec!["proxied.example:443", "a.inner"], "http"));
    assert!(matches!(read(&[&connect[..], b"SSH-2.0-x\r\n"].concat(), opened), Reading::Last(_)));
    assert!(matches!(read(connect, b"HTTP/1.1 403 Forbidden\r\n\r\n"), Reading::Is(_)));
}

/// RFC 9110, section 7.8: behind the response both speak what it names; HTTP/2's names are read, in its own way.
#[test]
fn behind_a_switch_nothing_is_asked_for() {
    let switched =
        |to: &str| read(GET, format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: {to}\r\n\r\n").as_bytes());
    let Reading::Last(app) = switched("websocket") else { panic!("HTTP is over") };
    assert_eq!(names(&app), ["www.example.com"]);
    assert!(matches!(switched("h2c"), Reading::Is(_)));
    assert!(matches!(
        read(GET, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"),
        Reading::Partly(_)
    ));
}

#[test]
fn what_is_told_for_good_makes_room() {
    let past = |client: &[u8], server: &[u8]| {
        let (initiator, responder) = (Said::stream(client), Said::stream(server));
        Http.past(&Opening { transport: 6, initiator, responder, ..Opening::default() })
    };
    let len = GET.len() as u32;
    let two = [GET, GET, b"GET /cut"].concat();
    assert_eq!(past(&two, OK), [Past::First(2 * len), Past::All]);
    assert_eq!(past(&GET[..20], b""), [Past::None; 2]);
    let post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\nabc";
    assert_eq!(past(post, b"")[0], Past::First(post.len() as u32 - 3 + 70_000));
    let chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc";
    assert_eq!(past(&[GET, chunked].concat(), b"")[0], Past::First(len), "its end is not known");
    assert_eq!(past(b"CONNECT a:443 HTTP/1.1\r\n\r\n", OK), [Past::None; 2]);
}
