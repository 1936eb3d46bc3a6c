use std::sync::Arc;

use hashbrown::HashMap;

use dissect::Timestamp;

use super::*;
use crate::{Config, Protocol};

#[test]
fn questions_are_answered_across_a_pair() {
    let (near, far) = UnixStream::pair().unwrap();
    let service = std::thread::spawn(move || serve(&mut Owners::open(&Config::default())?, far));
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut client = Client::new(near).unwrap();
    let question = Question {
        protocol: Protocol::UDP,
        source: socket.local_addr().unwrap(),
        destination: "127.0.0.1:9".parse().unwrap(),
        translated: None,
        namespace: None,
        interface: 0,
        begun: Timestamp::UNKNOWN,
    };
    let nobody = Question { source: "127.0.0.1:7".parse().unwrap(), ..question };
    let ids = [question, nobody, question].map(|question| client.ask(&question).unwrap());
    let mut answers = HashMap::<u64, Answer>::new();
    let start = Instant::now();
    while client.waiting() > 0 && start.elapsed() < Duration::from_secs(20) {
        client.receive(|id, answer| drop(answers.insert(id, answer))).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    let [first, second, third] = ids.map(|id| answers.remove(&id).unwrap());
    assert_eq!(first.owner().unwrap().pid, std::process::id());
    assert!(Arc::ptr_eq(first.owner().unwrap(), third.owner().unwrap()));
    assert_eq!(second.reason(), Some(Reason::Ended));
    drop(client);
    service.join().unwrap().unwrap();
}

#[test]
fn a_service_that_ended_is_an_error() {
    let (near, far) = UnixStream::pair().unwrap();
    let mut client = Client::new(near).unwrap();
    client.receive(|_, _| unreachable!()).unwrap();
    drop(far);
    assert!(client.receive(|_, _| unreachable!()).is_err());
}

/// A service that takes long to read what was asked before, and tells nothing of itself meanwhile.
#[test]
fn what_did_not_fit_at_once_is_sent_while_one_waits() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut client = Client::new(near).unwrap();
    // So that it does not fit at once, however fast it is read.
    rustix::net::sockopt::set_socket_send_buffer_size(&client, 4096).unwrap();
    let question = Question {
        protocol: Protocol::UDP,
        source: "127.0.0.1:7".parse().unwrap(),
        destination: "127.0.0.1:9".parse().unwrap(),
        translated: None,
        namespace: None,
        interface: 0,
        begun: Timestamp::UNKNOWN,
    };
    while client.ask(&question).is_some() {}
    let asked = client.waiting();
    let service = std::thread::spawn(move || {
        let (mut input, mut chunk, mut questions, mut barriers) = (Vec::new(), vec![0; CHUNK], 0, 0);
        while barriers == 0 {
            let length = far.read(&mut chunk).unwrap();
            assert!(length > 0, "the client gave up");
            input.extend_from_slice(&chunk[..length]);
            take_frames(&mut input, |body| {
                match Request::read(body)? {
                    Request::Question(..) => questions += 1,
                    Request::Barrier => barriers += 1,
                    Request::Accounts { .. } => return None,
                }
                Some(())
            })
            .unwrap();
        }
        let mut output = Vec::new();
        wire::write_barrier(&mut output);
        far.write_all(&output).unwrap();
        // It has not ended before the client has read that.
        (questions, far)
    });
    client.catch_up(Duration::from_secs(20), |_, _| {}).unwrap();
    // Had it waited for nothing, the service would meet its end before the last question.
    drop(client);
    let (questions, _far) = service.join().unwrap();
    assert_eq!(questions, asked);
}
