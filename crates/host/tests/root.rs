//! Real sockets of real processes. Reading other processes takes privileges:
//! without them these tests are skipped, and say so.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dissect::Timestamp;
use host::{Answer, Config, End, Evidence, Owners, Protocol, Question, Reason};

/// Whether the test may run; prints why not.
fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: needs root");
    }
    root
}

fn question(protocol: Protocol, source: SocketAddr, destination: SocketAddr) -> Question {
    let begun = Timestamp::UNKNOWN;
    Question { protocol, source, destination, translated: None, namespace: None, interface: 0, begun }
}

/// A Python process that prints one line when it is ready.
struct Script(Child, String);

impl Script {
    fn run(wrapper: &[&str], script: &str) -> Self {
        let words: Vec<&str> = wrapper.iter().copied().chain(["python3", "-c", script]).collect();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self(child, line.trim().to_owned())
    }

    /// Lets it go on, to its next line.
    fn next(&mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        self.1.clear();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut self.1).unwrap();
        self.1.truncate(self.1.trim_end().len());
    }

    fn words(&self) -> Vec<u32> {
        self.1.split(' ').map(|word| word.parse().unwrap()).collect()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn owned(answer: &Answer) -> (u32, End, Evidence, Option<u32>) {
    match answer {
        Answer::Owner(a) => (a.owner.pid, a.end, a.evidence, a.peer.as_ref().map(|peer| peer.pid)),
        Answer::None(reason) => panic!("no owner: {reason}"),
    }
}

fn me() -> u32 {
    std::process::id()
}

const SERVER: &str = "
import socket, os, sys
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(50)
print(os.getpid(), s.getsockname()[1], flush=True)
held = []
while True:
    c, _ = s.accept(); held.append(c)
    if c.recv(1) == b'x': held.remove(c); c.close()
";

#[test]
fn root_client_and_server_of_a_connection() {
    if !root() {
        return;
    }
    let mut owners = Owners::open(&Config::default()).unwrap();
    let server = Script::run(&[], SERVER);
    let [pid, port] = server.words()[..] else { panic!() };
    let at = SocketAddr::from(([127, 0, 0, 1], port as u16));
    let mut client = TcpStream::connect(at).unwrap();
    client.write_all(b"-").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let flow = question(Protocol::TCP, client.local_addr().unwrap(), at);
    let answer = owners.owner(&flow, Instant::now());
    assert_eq!(owned(&answer), (me(), End::Source, Evidence::Exact, Some(pid)));
    let Answer::Owner(a) = &answer else { panic!() };
    assert!(a.peer.as_ref().unwrap().name.starts_with("python3"));
    assert_eq!(a.owner.user.as_deref(), Some("root"));
    // The same seen from the other end.
    let back = question(Protocol::TCP, at, client.local_addr().unwrap());
    assert_eq!(owned(&owners.owner(&back, Instant::now())), (pid, End::Source, Evidence::Exact, Some(me())));
}

#[test]
fn root_a_connection_that_ended_belongs_to_the_listener() {
    if !root() {
        return;
    }
    let server = Script::run(&[], SERVER);
    let [pid, port] = server.words()[..] else { panic!() };
    let at = SocketAddr::from(([127, 0, 0, 1], port as u16));
    let mut owners = Owners::open(&Config::default()).unwrap();
    let before = owners.costs();
    let mut flows = Vec::new();
    for _ in 0..50 {
        let mut client = TcpStream::connect(at).unwrap();
        let source = client.local_addr().unwrap();
        client.write_all(b"x").unwrap();
        let _ = client.read(&mut [0]);
        flows.push(question(Protocol::TCP, source, at));
    }
    std::thread::sleep(Duration::from_millis(50));
    for answer in owners.resolve(&flows, Instant::now()) {
        assert_eq!(owned(&answer), (pid, End::Destination, Evidence::Listener, None));
    }
    assert_eq!(owners.costs().dumps, before.dumps, "no dump for that");
}

#[test]
fn root_an_ended_client_has_a_reason() {
    if !root() {
        return;
    }
    let mut owners = Owners::open(&Config::default()).unwrap();
    let [source, destination] = ["127.0.0.1:1", "127.0.0.1:2"].map(|end| end.parse().unwrap());
    let flow = question(Protocol::TCP, source, destination);
    let now = Instant::now();
    assert_eq!(owners.owner(&flow, now), Answer::None(Reason::Ended));
    let lookups = owners.costs().lookups;
    assert_eq!(owners.owner(&flow, now + Duration::from_secs(1)), Answer::None(Reason::Ended));
    assert_eq!(owners.costs().lookups, lookups, "remembered");
    owners.owner(&flow, now + Duration::from_secs(3));
    assert!(owners.costs().lookups > lookups, "asked again later");
}

const FORKED: &str = "
import socket, os, sys
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(50)
master = os.getpid()
r, w = os.pipe()
if os.fork() == 0:
    os.write(w, b'%d' % os.getpid())
    held = []
    while True: held.append(s.accept()[0])
print(master, int(os.read(r, 20)), s.getsockname()[1], flush=True)
sys.stdin.read()
";

#[test]
fn root_a_forked_worker_holds_the_accepted_socket() {
    if !root() {
        return;
    }
    let mut owners = Owners::open(&Config::default()).unwrap();
    let server = Script::run(&[], FORKED);
    let [master, worker, port] = server.words()[..] else { panic!() };
    let at = SocketAddr::from(([127, 0, 0, 1], port as u16));
    let client = TcpStream::connect(at).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let flow = question(Protocol::TCP, client.local_addr().unwrap(), at);
    assert_eq!(
        owned(&owners.owner(&flow, Instant::now())),
        (me(), End::Source, Evidence::Exact, Some(worker))
    );
    // A connection that is gone: the listener's, whoever began first.
    let gone = question(Protocol::TCP, "127.0.0.1:1".parse().unwrap(), at);
    let answer = owners.owner(&gone, Instant::now());
    assert_eq!(owned(&answer), (master, End::Destination, Evidence::Listener, None));
    drop(Command::new("kill").arg(worker.to_string()).status());
}

#[test]
fn root_udp_connected_unconnected_and_mapped() {
    if !root() {
        return;
    }
    let mut owners = Owners::open(&Config::default()).unwrap();
    let bound = UdpSocket::bind("[::]:0").unwrap();
    let port = bound.local_addr().unwrap().port();
    let at: SocketAddr = ([127, 0, 0, 1], port).into();
    let free = question(Protocol::UDP, "127.0.0.1:9".parse().unwrap(), at);
    let now = Instant::now();
    assert_eq!(owned(&owners.owner(&free, now)), (me(), End::Destination, Evidence::Bound, None));

    let client = Script::run(
        &[],
        &format!(
            "import socket,os,sys\ns=socket.socket(socket.AF_INET6,socket.SOCK_DGRAM)\n\
             s.connect(('::ffff:127.0.0.1',{port}))\nprint(os.getpid(),s.getsockname()[1],flush=True)\nsys.stdin.read()"
        ),
    );
    let [pid, source] = client.words()[..] else { panic!() };
    let flow = question(Protocol::UDP, ([127, 0, 0, 1], source as u16).into(), at);
    assert_eq!(owned(&owners.owner(&flow, now)), (pid, End::Source, Evidence::Exact, Some(me())));
    // The same flow with its addresses mapped.
    let mapped = |end: SocketAddr| match end.ip() {
        IpAddr::V4(v4) => SocketAddr::new(v4.to_ipv6_mapped().into(), end.port()),
        IpAddr::V6(_) => end,
    };
    let flow = question(Protocol::UDP, mapped(flow.source), mapped(at));
    assert_eq!(owned(&owners.owner(&flow, now)).0, pid);
}

#[test]
fn root_udp_lite_and_raw() {
    if !root() {
        return;
    }
    let mut owners = Owners::open(&Config::default()).unwrap();
    let other = Script::run(
        &[],
        "import socket,os,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM,136)\ns.bind(('127.0.0.1',0))\n\
         r=socket.socket(socket.AF_INET,socket.SOCK_RAW,253)\n\
         i=socket.socket(socket.AF_INET,socket.SOCK_RAW,1)\ni.bind(('127.0.9.1',0))\n\
         print(os.getpid(),s.getsockname()[1],flush=True)\nsys.stdin.read()",
    );
    let [pid, port] = other.words()[..] else { panic!() };
    let now = Instant::now();
    let lite =
        question(Protocol::UDP_LITE, "127.0.0.1:9".parse().unwrap(), ([127, 0, 0, 1], port as u16).into());
    assert_eq!(owned(&owners.owner(&lite, now)), (pid, End::Destination, Evidence::Bound, None));
    let [a, b] = ["127.0.0.1:0", "127.0.0.2:0"].map(|end| end.parse().unwrap());
    let (owner, _, evidence, _) = owned(&owners.owner(&question(Protocol(253), a, b), now));
    assert_eq!((owner, evidence), (pid, Evidence::Protocol));
    assert_eq!(owners.owner(&question(Protocol(254), a, b), now), Answer::None(Reason::Kernel));
    let ping = question(Protocol::ICMP, "127.0.9.1:0".parse().unwrap(), b);
    assert_eq!(owned(&owners.owner(&ping, now)).0, pid);
    assert_eq!(owners.owner(&question(Protocol::ICMP, a, b), now), Answer::None(Reason::Kernel));
}

#[test]
fn root_a_v6_flow() {
    if !root() {
        return;
    }
    let mut owners = Owners::open(&Config::default()).unwrap();
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        println!("skipped: no IPv6");
        return;
    };
    let at = listener.local_addr().unwrap();
    let client = TcpStream::connect(at).unwrap();
    let flow = question(Protocol::TCP, client.local_addr().unwrap(), at);
    let (pid, end, evidence, _) = owned(&owners.owner(&flow, Instant::now()));
    assert_eq!((pid, end, evidence), (me(), End::Source, Evidence::Exact));
}

#[test]
fn root_addresses_of_nobody_here_are_forwarded() {
    if !root() {
        return;
    }
    let mut owners = Owners::open(&Config::default()).unwrap();
    let [a, b, all] =
        ["203.0.113.251:1000", "198.51.100.251:80", "255.255.255.255:9"].map(|end| end.parse().unwrap());
    let now = Instant::now();
    assert_eq!(owners.owner(&question(Protocol::TCP, a, b), now), Answer::None(Reason::Forwarded));
    assert_eq!(owners.owner(&question(Protocol::UDP, a, all), now), Answer::None(Reason::Unclaimed));
}

const HOLDER: &str = "
import socket, os, sys
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(4096)
held = []
def more(n):
    for _ in range(n):
        c = socket.create_connection(s.getsockname()); held.append(c); held.append(s.accept()[0])
    print(os.getpid(), s.getsockname()[1], held[-2].getsockname()[1], flush=True)
more(300)
sys.stdin.readline()
more(1)
sys.stdin.read()
";

#[test]
fn root_a_new_socket_of_a_process_with_many() {
    if !root() {
        return;
    }
    let mut holder = Script::run(&[], HOLDER);
    let mut owners = Owners::open(&Config::default()).unwrap();
    let before = owners.costs();
    holder.next();
    let [pid, port, newest] = holder.words()[..] else { panic!() };
    let at = |port: u32| SocketAddr::from(([127, 0, 0, 1], port as u16));
    let flow = question(Protocol::TCP, at(newest), at(port));
    let answer = owned(&owners.owner(&flow, Instant::now()));
    assert_eq!(answer, (pid, End::Source, Evidence::Exact, Some(pid)));
    assert!(owners.costs().reads - before.reads < 500, "the process was not read again in full");
}

#[test]
fn root_many_unknown_flows_are_few_dumps() {
    if !root() {
        return;
    }
    let mut owners = Owners::open(&Config::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let client = TcpStream::connect(at).unwrap();
    let ended = (1..2000).map(|port| question(Protocol::TCP, ([127, 0, 9, 9], port).into(), at));
    let live = question(Protocol::TCP, client.local_addr().unwrap(), at);
    let questions: Vec<Question> = ended.chain([live]).collect();
    let answers = owners.resolve(&questions, Instant::now());
    assert_eq!(owned(answers.last().unwrap()).2, Evidence::Exact);
    for answer in answers.iter().rev().skip(1) {
        assert_eq!((owned(answer).0, owned(answer).2), (me(), Evidence::Listener));
    }
    let costs = owners.costs();
    assert!((1..=4).contains(&costs.dumps) && costs.lookups < 64, "{costs:?}");
}

/// A network namespace that is removed at the end.
struct Namespace(&'static str);

impl Namespace {
    fn new(name: &'static str) -> Option<Self> {
        let done =
            |words: &[&str]| Command::new("ip").args(words).status().is_ok_and(|status| status.success());
        let made = done(&["netns", "add", name]);
        let space = made.then_some(Self(name))?;
        done(&["-n", name, "link", "set", "lo", "up"]);
        done(&["-n", name, "address", "add", "192.0.2.77/32", "dev", "lo"]);
        done(&["-n", name, "address", "add", "192.0.2.78/30", "broadcast", "192.0.2.79", "dev", "lo"]);
        Some(space)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(Command::new("ip").args(["netns", "delete", self.0]).status());
    }
}

#[test]
fn root_another_namespace() {
    if !root() {
        return;
    }
    let mut owners = Owners::open(&Config::default()).unwrap();
    let Some(space) = Namespace::new("sockethound-test-a") else {
        println!("skipped: cannot make a network namespace");
        return;
    };
    let wrapper = ["ip", "netns", "exec", space.0];
    let inside = Script::run(
        &wrapper,
        "import socket,os,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.bind(('192.0.2.77',0))\n\
         print(os.getpid(),s.getsockname()[1],os.stat('/proc/self/ns/net').st_ino,flush=True)\nsys.stdin.read()",
    );
    let [pid, port, inode] = inside.words()[..] else { panic!() };
    let own = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
    // Seen on an interface of ours: neither end is here, but one is in there.
    let from = ([192, 0, 2, 77], port as u16).into();
    let seen = question(Protocol::UDP, from, "198.51.100.1:53".parse().unwrap());
    let now = Instant::now() + Duration::from_secs(1);
    let answer = owners.owner(&seen, now);
    assert_eq!(owned(&answer), (pid, End::Source, Evidence::Bound, None));
    assert_eq!(answer.owner().unwrap().net_namespace, Some(u64::from(inode)));
    // Asked for that namespace, by its number.
    let within = Question { namespace: Some(u64::from(inode)), ..seen };
    assert_eq!(owned(&owners.owner(&within, now)).0, pid);
    let to_all = Question { destination: "192.0.2.79:9".parse().unwrap(), ..within };
    assert_eq!(owned(&owners.owner(&to_all, now)).0, pid);
    let opened = owners.sockets().namespaces().iter().find(|space| space.inode() == u64::from(inode));
    assert!(opened.is_some_and(host::NetNamespace::is_open));
    assert!(opened.is_some_and(|space| space.addresses().is_broadcast("192.0.2.79".parse().unwrap())));
    assert_eq!(std::fs::read_link("/proc/thread-self/ns/net").unwrap(), own, "the caller stays where it was");
}
