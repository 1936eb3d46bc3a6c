use proptest::prelude::*;

use super::*;
use crate::{Container, Runtime};

fn owner() -> Owner {
    Owner {
        pid: 4711,
        start: 112_233,
        name: "python3".to_owned(),
        executable: Some("/usr/bin/python3.11".to_owned()),
        command_line: vec!["python3".to_owned(), String::new()],
        uid: Some(33),
        user: None,
        parent: 1,
        cgroup: Some("/x".to_owned()),
        unit: Some("web.service".to_owned()),
        container: Some(Container {
            runtime: Runtime::CriO,
            id: "4f1a".to_owned(),
            name: Some("web".to_owned()),
            pod: None,
        }),
        net_namespace: Some(4_026_531_833),
    }
}

fn attributed() -> Answer {
    Answer::Owner(Attributed {
        owner: Arc::new(owner()),
        end: End::Destination,
        evidence: Evidence::Listener,
        peer: Some(Arc::new(Owner { container: None, command_line: Vec::new(), ..owner() })),
        elsewhere: Elsewhere::Peer,
    })
}

fn body_of(bytes: &[u8]) -> &[u8] {
    let (body, rest) = split_frame(bytes).unwrap().unwrap();
    assert!(rest.is_empty());
    body
}

#[test]
fn answers_are_read_back() {
    let permission = Answer::None(Reason::Permission { uid: 1000 });
    for answer in [attributed(), permission, Answer::None(Reason::Deferred)] {
        let mut out = Vec::new();
        write_answer(&mut out, 9, &answer, &mut Told::default());
        assert_eq!(read_answer(body_of(&out), &mut Heard::default()), Some((9, answer)));
    }
}

#[test]
fn accounts_are_read_back() {
    let counts = SocketCounts { sent: (1, 2), received: (3, 4), retransmits: 5, receive_drops: 6 };
    let round_trips = RoundTrips { sum: Duration::from_micros(7), connections: 8 };
    for owner in [None, Some(Arc::new(owner()))] {
        let sockets = ProcessSockets { owner, here: true, counts, round_trips };
        let mut out = Vec::new();
        write_sockets(&mut out, &sockets, &mut Told::default());
        let body = body_of(&out);
        assert_eq!(read_sockets(body, &mut Heard::default()), Some(sockets));
        for cut in 0..body.len() {
            assert_eq!(read_sockets(&body[..cut], &mut Heard::default()), None, "cut at {cut}");
        }
    }
    let mut out = Vec::new();
    write_accounts(&mut out, true);
    assert_eq!(read_accounts(body_of(&out)), Some(true));
}

#[test]
fn questions_are_read_back() {
    let question = Question {
        protocol: Protocol::UDP,
        source: "10.0.0.1:5353".parse().unwrap(),
        destination: "[fd00::1]:443".parse().unwrap(),
        translated: Some(("10.0.0.2:5353".parse().unwrap(), "[fd00::2]:8443".parse().unwrap())),
        namespace: Some(7),
        interface: 3,
        begun: Timestamp(-5),
    };
    let mut out = Vec::new();
    write_question(&mut out, 1, &question);
    assert_eq!(read_question(body_of(&out)), Some((1, question)));
    for cut in 0..out.len() {
        assert_eq!(split_frame(&out[..cut]).unwrap(), None);
    }
}

/// However often a process is told of, its facts cross once; when too many are known, all begin anew.
#[test]
fn facts_are_sent_once() {
    let (mut told, mut heard) = (Told::default(), Heard::default());
    let mut sent = |answer: &Answer| {
        let mut out = Vec::new();
        write_answer(&mut out, 1, answer, &mut told);
        assert_eq!(read_answer(body_of(&out), &mut heard).unwrap().1, *answer);
        out.len()
    };
    let of = |pid: u32| {
        let owner = Arc::new(Owner { pid, ..owner() });
        Answer::Owner(Attributed {
            owner,
            end: End::Source,
            evidence: Evidence::Exact,
            peer: None,
            elsewhere: Elsewhere::Nobody,
        })
    };
    let first = sent(&of(1));
    assert!(sent(&of(1)) < first / 4);
    let renamed = Owner { name: "sh".to_owned(), pid: 1, ..owner() };
    let (end, evidence) = (End::Source, Evidence::Exact);
    sent(&Answer::Owner(Attributed {
        owner: Arc::new(renamed),
        end,
        evidence,
        peer: None,
        elsewhere: Elsewhere::Nobody,
    }));
    for pid in 0..KEPT as u32 + 3 {
        sent(&of(pid));
    }
    assert!(sent(&of(KEPT as u32)) < first / 4);
}

#[test]
fn a_cut_body_is_no_answer() {
    let mut out = Vec::new();
    write_answer(&mut out, 9, &attributed(), &mut Told::default());
    let body = body_of(&out);
    for cut in 0..body.len() {
        assert_eq!(read_answer(&body[..cut], &mut Heard::default()), None, "cut at {cut}");
    }
    assert!(split_frame(&[0xff; 8]).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_question(&bytes);
        let _ = read_answer(&bytes, &mut Heard::default());
    }
}
