//! Against nameservers on loopback.

use super::*;

const QUICK: Pace = Pace { between: Duration::from_millis(2), patience: Duration::from_millis(300) };

/// A nameserver that sends what `reply` makes of every question; gives its address, and when it was asked what.
fn nameserver(
    reply: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
) -> (SocketAddr, Receiver<(Instant, Vec<u8>)>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (addr, (tell, told)) = (socket.local_addr().unwrap(), channel());
    thread::spawn(move || {
        let mut bytes = [0; 512];
        while let Ok((len, from)) = socket.recv_from(&mut bytes) {
            for reply in reply(&bytes[..len]) {
                socket.send_to(&reply, from).unwrap();
            }
            if tell.send((Instant::now(), bytes[..len].to_vec())).is_err() {
                return;
            }
        }
    });
    (addr, told)
}

/// The header of a reply to `question` with so many answers, and the question.
fn head(question: &[u8], code: u8, answers: u8) -> Vec<u8> {
    let mut bytes = question.to_vec();
    (bytes[2], bytes[3], bytes[7]) = (0x81, 0x80 | code, answers);
    bytes
}

/// A record of `owner`, a name on the wire.
fn record(owner: &[u8], kind: u8, name: &[u8]) -> Vec<u8> {
    [owner, &[0, kind, 0, 1, 0, 0, 0, 60, 0, name.len() as u8], name].concat()
}

/// A reply that gives the question's name a PTR record.
fn named(question: &[u8], name: &[u8]) -> Vec<u8> {
    [head(question, 0, 1), record(b"\xc0\x0c", 12, name)].concat()
}

/// The next answers, as soon as there are `n`.
fn wait(resolver: &mut Resolver, n: usize) -> Vec<(IpAddr, Option<String>)> {
    let (begun, mut all) = (Instant::now(), Vec::new());
    while all.len() < n {
        all.extend(resolver.answers());
        assert!(begun.elapsed() < Duration::from_secs(10), "only {all:?}");
        thread::sleep(Duration::from_millis(1));
    }
    all
}

fn resolver(servers: &[SocketAddr]) -> Resolver {
    Resolver::of(servers, QUICK).unwrap()
}

fn addr(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn found(text: &str, name: &str) -> Vec<(IpAddr, Option<String>)> {
    vec![(addr(text), Some(name.to_owned()))]
}

const NAME: &[u8] = b"\x04host\x07example\x00";

#[test]
fn both_families_are_named_and_asked_once() {
    let (server, asked) = nameserver(|question| vec![named(question, NAME)]);
    let mut resolver = resolver(&[server]);
    assert!(asked.try_recv().is_err());
    for text in ["192.0.2.1", "2001:db8::1"] {
        resolver.ask(addr(text));
        resolver.ask(addr(text));
        assert_eq!(wait(&mut resolver, 1), found(text, "host.example"));
        resolver.ask(addr(text));
    }
    thread::sleep(Duration::from_millis(50));
    let all: Vec<_> = asked.try_iter().map(|(_, question)| question).collect();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0][2..], ptr::question(0, "1.2.0.192.in-addr.arpa")[2..]);
}

#[test]
fn the_own_end_is_known() {
    let (server, asked) = nameserver(|question| vec![named(question, NAME)]);
    let mut resolver = resolver(&[server]);
    let [local] = resolver.local_endpoints() else { panic!("one nameserver, one socket") };
    assert_eq!(local.ip(), addr("127.0.0.1"));
    assert_ne!(local.port(), 0);
    resolver.ask(addr("192.0.2.1"));
    asked.recv().unwrap();
}

#[test]
fn what_does_not_reply_to_the_question_is_ignored() {
    let forged = b"\x04evil\x07example\x00";
    let (server, _asked) = nameserver(move |question| {
        let (mut other_id, mut no_answer) = (named(question, forged), named(question, forged));
        other_id[1] ^= 1;
        no_answer[2] = 0x01;
        let mut other_name = named(question, forged);
        other_name[13] ^= 1;
        let mut other_type = named(question, forged);
        let kind = question.len() - 3;
        other_type[kind] = 1;
        vec![other_id, no_answer, other_name, other_type, vec![], vec![0; 12], named(question, NAME)]
    });
    let mut resolver = resolver(&[server]);
    resolver.ask(addr("192.0.2.1"));
    assert_eq!(wait(&mut resolver, 1), found("192.0.2.1", "host.example"));
}

/// RFC 2317, section 4.
#[test]
fn an_alias_leads_to_the_name() {
    let (server, _asked) = nameserver(|question| {
        let zone = b"\x011\x040/25\x012\x010\x03192\x07in-addr\x04arpa\x00";
        let [alias, name] = [record(b"\xc0\x0c", 5, zone), record(zone, 12, NAME)];
        vec![[head(question, 0, 2), alias, name].concat()]
    });
    let mut resolver = resolver(&[server]);
    resolver.ask(addr("192.0.2.1"));
    assert_eq!(wait(&mut resolver, 1), found("192.0.2.1", "host.example"));
}

#[test]
fn no_name_is_an_answer_too() {
    let (server, asked) = nameserver(|question| vec![head(question, 3, 0)]);
    let mut resolver = resolver(&[server]);
    resolver.ask(addr("192.0.2.1"));
    assert_eq!(wait(&mut resolver, 1), [(addr("192.0.2.1"), None)]);
    resolver.ask(addr("192.0.2.1"));
    thread::sleep(Duration::from_millis(50));
    assert_eq!(asked.try_iter().count(), 1);
}

#[test]
fn the_next_nameserver_is_asked_where_one_fails() {
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (silent, asked_first) = nameserver(|_| vec![]);
    let (failing, asked_then) = nameserver(|question| vec![head(question, 2, 0)]);
    let (good, asked_last) = nameserver(|question| vec![named(question, NAME)]);
    for servers in [[gone, failing, good], [silent, failing, good]] {
        let mut resolver = resolver(&servers);
        resolver.ask(addr("192.0.2.1"));
        assert_eq!(wait(&mut resolver, 1), found("192.0.2.1", "host.example"));
    }
    let counts = [asked_first, asked_then, asked_last].map(|asked| asked.try_iter().count());
    assert_eq!(counts, [1, 2, 2]);
}

#[test]
fn nobody_answers() {
    let (server, asked) = nameserver(|_| vec![]);
    let mut resolver = resolver(&[server]);
    resolver.ask(addr("192.0.2.1"));
    assert_eq!(wait(&mut resolver, 1), [(addr("192.0.2.1"), None)]);
    assert_eq!(asked.try_iter().count(), 2);
}

#[test]
fn what_was_forgotten_is_asked_again() {
    let (server, asked) = nameserver(|question| vec![named(question, NAME)]);
    let mut resolver = resolver(&[server]);
    let addr = addr("192.0.2.1");
    resolver.ask(addr);
    // Not before it is answered.
    resolver.forget(addr);
    resolver.ask(addr);
    assert_eq!(wait(&mut resolver, 1).len(), 1);
    resolver.forget(addr);
    resolver.ask(addr);
    assert_eq!(wait(&mut resolver, 1), found("192.0.2.1", "host.example"));
    assert_eq!(asked.try_iter().count(), 2);
}

#[test]
fn questions_keep_their_distance() {
    let (server, asked) = nameserver(|question| vec![named(question, NAME)]);
    let pace = Pace { between: Duration::from_millis(40), ..QUICK };
    let mut resolver = Resolver::of(&[server], pace).unwrap();
    for host in 1..=6 {
        resolver.ask(IpAddr::from([192, 0, 2, host]));
    }
    assert_eq!(wait(&mut resolver, 6).len(), 6);
    let times: Vec<Instant> = asked.try_iter().map(|(at, _)| at).collect();
    let took = times[5] - times[0];
    assert!(took >= Duration::from_millis(5 * 40 - 30), "{took:?}");
}

#[test]
fn what_has_no_name_is_not_asked_for() {
    let (server, asked) = nameserver(|question| vec![named(question, NAME)]);
    let mut resolver = resolver(&[server]);
    for text in ["127.0.0.1", "::1", "0.0.0.0", "224.0.0.251", "ff02::fb", "255.255.255.255"] {
        resolver.ask(addr(text));
    }
    resolver.ask(addr("10.0.0.1"));
    wait(&mut resolver, 1);
    assert_eq!(asked.try_iter().count(), 1);
}
