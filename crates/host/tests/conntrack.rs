//! Translations as a router's kernel tells them, against what the far end sees.
//!
//! Needs root, and `nft`: without them these tests are skipped, and say so.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use host::{Conntrack, Protocol, Translation};
use rustix::fd::AsFd;
use rustix::thread::{
    CapabilitySet, CapabilitySets, LinkNameSpaceType, capabilities, move_into_link_name_space,
    set_capabilities,
};

/// A client's network and a server's, and a router between them. The router masquerades as 10.2.0.254 (ports from
/// 61000 for UDP) and as fd02::fe, and passes its own port 8080 on to the server's 7002.
const RULES: &str = "\
table inet nat {
  chain post {
    type nat hook postrouting priority 100;
    oifname rs meta nfproto ipv4 udp dport 7001 snat ip to 10.2.0.254:61000-61999
    oifname rs masquerade
  }
  chain pre {
    type nat hook prerouting priority -100;
    iifname rc ip daddr 10.1.0.254 tcp dport 8080 dnat ip to 10.2.0.1:7002
  }
}
";

/// Three namespaces that are gone when the test is: `c`, `r` and `s`.
struct Lab(String);

impl Lab {
    fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let needed = CapabilitySet::NET_ADMIN | CapabilitySet::SYS_ADMIN;
        if !capabilities(None).unwrap().effective.contains(needed) {
            println!("skipped: needs CAP_NET_ADMIN and CAP_SYS_ADMIN");
            return None;
        }
        if Command::new("nft").arg("--version").stdout(Stdio::null()).status().is_err() {
            println!("skipped: needs nft (nftables)");
            return None;
        }
        let lab = Self(format!("shct-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        for side in ["c", "r", "s"] {
            ip(&["netns", "add", &lab.name(side)]);
            ip(&["-n", &lab.name(side), "link", "set", "lo", "up"]);
        }
        let (c, r, s) = (lab.name("c"), lab.name("r"), lab.name("s"));
        ip(&["link", "add", "vc", "netns", &c, "type", "veth", "peer", "name", "rc", "netns", &r]);
        ip(&["link", "add", "vs", "netns", &s, "type", "veth", "peer", "name", "rs", "netns", &r]);
        for (space, link, net, host) in
            [(&c, "vc", 1, 1), (&r, "rc", 1, 0xfe), (&r, "rs", 2, 0xfe), (&s, "vs", 2, 1)]
        {
            ip(&["-n", space, "addr", "add", &format!("10.{net}.0.{host}/24"), "dev", link]);
            ip(&["-n", space, "addr", "add", &format!("fd0{net}::{host:x}/64"), "dev", link, "nodad"]);
            ip(&["-n", space, "link", "set", link, "up"]);
        }
        ip(&["-n", &c, "route", "add", "default", "via", "10.1.0.254"]);
        ip(&["-n", &c, "-6", "route", "add", "default", "via", "fd01::fe"]);
        lab.exec("r", &["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"], "");
        lab.exec("r", &["nft", "-f", "-"], RULES);
        Some(lab)
    }

    fn name(&self, side: &str) -> String {
        format!("{}-{side}", self.0)
    }

    /// Runs a program inside, with `input`.
    fn exec(&self, side: &str, args: &[&str], input: &str) {
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.name(side)])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{args:?}");
    }

    /// Runs `body` in one of them, in a thread of its own.
    fn within<T: Send>(&self, side: &str, body: impl FnOnce() -> T + Send) -> T {
        let space = File::open(format!("/run/netns/{}", self.name(side))).unwrap();
        let inside = || {
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            body()
        };
        std::thread::scope(|scope| scope.spawn(inside).join().unwrap())
    }

    fn conntrack(&self) -> Conntrack {
        self.within("r", || Conntrack::open().unwrap())
    }

    fn udp(&self, side: &str, at: &str) -> UdpSocket {
        let socket = self.within(side, || UdpSocket::bind(at).unwrap());
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for side in ["c", "r", "s"] {
            drop(Command::new("ip").args(["netns", "del", &self.name(side)]).output());
        }
    }
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().unwrap();
    assert!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn at(end: &str) -> SocketAddr {
    end.parse().unwrap()
}

/// Takes until one fits.
fn wait_for(conntrack: &mut Conntrack, fits: impl FnMut(&Translation) -> bool) -> Translation {
    wait_and(conntrack, || {}, fits)
}

/// Takes until one fits, and does something after each attempt.
fn wait_and(
    conntrack: &mut Conntrack,
    mut meanwhile: impl FnMut(),
    mut fits: impl FnMut(&Translation) -> bool,
) -> Translation {
    let end = Instant::now() + Duration::from_secs(5);
    let mut others = Vec::new();
    loop {
        let taken = conntrack.take().unwrap();
        meanwhile();
        if let Some(found) = taken.iter().find(|translation| fits(translation)) {
            return *found;
        }
        others.extend(taken);
        assert!(Instant::now() < end, "not told; but {others:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn root_a_datagram_and_its_translated_port() {
    let Some(lab) = Lab::new() else { return };
    let (client, server) = (lab.udp("c", "10.1.0.1:40001"), lab.udp("s", "10.2.0.1:7001"));
    let mut conntrack = lab.conntrack();
    client.send_to(b"x", at("10.2.0.1:7001")).unwrap();
    let (_, seen) = server.recv_from(&mut [0; 9]).unwrap();
    assert!((61000..62000).contains(&seen.port()), "{seen}");
    let told = wait_for(&mut conntrack, |t| t.protocol == Protocol::UDP);
    assert_eq!(told.original, (at("10.1.0.1:40001"), at("10.2.0.1:7001")));
    assert_eq!(told.translated, (seen, at("10.2.0.1:7001")));
    assert!(!told.ended);
    assert_eq!(conntrack.lost(), 0);
}

/// The port is the router's own at first, and the client's address is rewritten as well.
#[test]
fn root_a_connection_from_its_beginning_to_its_end() {
    let Some(lab) = Lab::new() else { return };
    let mut conntrack = lab.conntrack();
    let listener = lab.within("s", || TcpListener::bind("10.2.0.1:7002").unwrap());
    let client = lab.within("c", || TcpStream::connect("10.1.0.254:8080").unwrap());
    let (accepted, seen) = listener.accept().unwrap();
    let told = wait_for(&mut conntrack, |t| t.protocol == Protocol::TCP);
    assert_eq!(told.original, (client.local_addr().unwrap(), at("10.1.0.254:8080")));
    assert_eq!(told.translated, (seen, at("10.2.0.1:7002")));
    lab.exec("r", &["sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_timeout_time_wait=1"], "");
    drop((client, accepted));
    // Reading the table sweeps out what has expired.
    let ended = wait_and(&mut conntrack, || drop(lab.conntrack()), |t| t.ended);
    assert_eq!(ended, Translation { ended: true, ..told });
}

#[test]
fn root_echoes_and_ipv6() {
    let Some(lab) = Lab::new() else { return };
    let mut conntrack = lab.conntrack();
    lab.exec("c", &["ping", "-qc1", "10.2.0.1"], "");
    let told = wait_for(&mut conntrack, |t| t.protocol == Protocol::ICMP);
    assert_eq!(told.original, (at("10.1.0.1:0"), at("10.2.0.1:0")));
    assert_eq!(told.translated, (at("10.2.0.254:0"), at("10.2.0.1:0")));
    lab.exec("c", &["ping", "-qc1", "fd02::1"], "");
    let told = wait_for(&mut conntrack, |t| t.protocol == Protocol::ICMPV6);
    assert_eq!(told.original, (at("[fd01::1]:0"), at("[fd02::1]:0")));
    assert_eq!(told.translated, (at("[fd02::fe]:0"), at("[fd02::1]:0")));
    let (client, server) = (lab.udp("c", "[fd01::1]:40001"), lab.udp("s", "[fd02::1]:7001"));
    client.send_to(b"x", at("[fd02::1]:7001")).unwrap();
    let (_, seen) = server.recv_from(&mut [0; 9]).unwrap();
    assert_eq!(seen.ip(), at("[fd02::fe]:0").ip());
    let told = wait_for(&mut conntrack, |t| t.protocol == Protocol::UDP);
    assert_eq!(told.original, (at("[fd01::1]:40001"), at("[fd02::1]:7001")));
    assert_eq!(told.translated, (seen, at("[fd02::1]:7001")));
}

#[test]
fn root_what_was_there_before_is_told_and_what_is_not_translated_is_not() {
    let Some(lab) = Lab::new() else { return };
    let (client, server) = (lab.udp("c", "10.1.0.1:40001"), lab.udp("s", "10.2.0.1:7001"));
    client.send_to(b"x", at("10.2.0.1:7001")).unwrap();
    let (_, seen) = server.recv_from(&mut [0; 9]).unwrap();
    // Straight to the router: tracked, and left as it is.
    let router = lab.udp("r", "10.1.0.254:7003");
    client.send_to(b"x", at("10.1.0.254:7003")).unwrap();
    router.recv_from(&mut [0; 9]).unwrap();
    let mut conntrack = lab.conntrack();
    let told: Vec<_> =
        conntrack.take().unwrap().into_iter().filter(|t| t.protocol == Protocol::UDP).collect();
    let expected = Translation {
        protocol: Protocol::UDP,
        original: (at("10.1.0.1:40001"), at("10.2.0.1:7001")),
        translated: (seen, at("10.2.0.1:7001")),
        ended: false,
    };
    assert_eq!(told, [expected]);
    assert_eq!(conntrack.take().unwrap(), [], "told once");
}

/// More than the queue holds: what was lost is said, and the rest goes on.
#[test]
fn root_an_overflow_is_counted() {
    let Some(lab) = Lab::new() else { return };
    let mut conntrack = lab.conntrack();
    let from: Vec<_> = (1..=30).map(|host| lab.udp("r", &format!("127.0.1.{host}:0"))).collect();
    for port in 1..=2000 {
        for socket in &from {
            // Nobody is there: the refusal comes back as an error now and then.
            drop(socket.send_to(b"x", (std::net::Ipv4Addr::LOCALHOST, port)));
        }
    }
    assert_eq!(conntrack.take().unwrap(), []);
    assert_eq!(conntrack.lost(), 1);
    let client = lab.udp("c", "10.1.0.1:40001");
    client.send_to(b"x", at("10.2.0.1:7001")).unwrap();
    wait_for(&mut conntrack, |t| t.original.0 == at("10.1.0.1:40001"));
}

#[test]
fn root_events_outlive_the_privilege_that_the_table_takes() {
    let Some(lab) = Lab::new() else { return };
    let client = lab.udp("c", "10.1.0.1:40001");
    lab.within("r", || {
        let mut conntrack = Conntrack::open().unwrap();
        // Of this thread alone.
        let none = CapabilitySets {
            effective: CapabilitySet::empty(),
            permitted: CapabilitySet::empty(),
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, none).unwrap();
        let refused = Conntrack::open().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
        assert!(refused.to_string().contains("CAP_NET_ADMIN"), "{refused}");
        client.send_to(b"x", at("10.2.0.1:7001")).unwrap();
        wait_for(&mut conntrack, |t| t.original.0 == at("10.1.0.1:40001"));
    });
}
