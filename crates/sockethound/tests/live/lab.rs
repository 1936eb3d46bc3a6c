//! Network namespaces, joined as a test wants them, that are gone when the test is.
//!
//! In what a lab is given, `10.N.` and `fd00:N:` stand for networks that no other lab of this program uses: owners are
//! looked for in all namespaces of the machine. `@b` is the name of the namespace `b`.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::sys::within;

pub(crate) struct Lab {
    name: String,
    number: u32,
    sides: Vec<&'static str>,
}

fn permitted() -> bool {
    const NET_ADMIN: u64 = 1 << 12;
    const NET_RAW: u64 = 1 << 13;
    const SYS_ADMIN: u64 = 1 << 21;
    let needed = NET_ADMIN | NET_RAW | SYS_ADMIN;
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|l| l.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(effective.trim(), 16).unwrap() & needed == needed
}

impl Lab {
    /// Namespaces of these names, with a loopback that is up and without IPv6: only then does the kernel itself send
    /// nothing. `None`, and a reason on standard error, where the test may not do this.
    #[allow(clippy::print_stderr)]
    pub(crate) fn new(sides: &[&'static str]) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !permitted() {
            eprintln!("skipped: needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN");
            return None;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let lab = Self {
            name: format!("shlv-{}-{number}", std::process::id()),
            number: 20 + number,
            sides: sides.to_vec(),
        };
        for side in sides {
            run("ip", &["netns", "add", &lab.space(side)]);
            lab.sysctl(side, "net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1");
            lab.ip(side, "link set lo up");
        }
        Some(lab)
    }

    /// Two namespaces, `a` with `va` at 10.N.1.1 and `b` with `vb` at 10.N.1.2.
    pub(crate) fn pair() -> Option<Self> {
        let lab = Self::new(&["a", "b"])?;
        lab.join(("a", "va", "10.N.1.1/24"), ("b", "vb", "10.N.1.2/24"));
        Some(lab)
    }

    /// A router `r` between `c` at 10.N.1.1 (`vc`, `rc`) and `s` at 10.N.2.1 (`vs`, `rs`), itself 254 in both networks.
    pub(crate) fn routed() -> Option<Self> {
        let lab = Self::new(&["c", "r", "s"])?;
        lab.join(("c", "vc", "10.N.1.1/24"), ("r", "rc", "10.N.1.254/24"));
        lab.join(("s", "vs", "10.N.2.1/24"), ("r", "rs", "10.N.2.254/24"));
        lab.ip("c", "route add default via 10.N.1.254");
        lab.ip("s", "route add default via 10.N.2.254");
        lab.sysctl("r", "net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0");
        Some(lab)
    }

    /// Two namespaces, joined by `va0` and `vb0` and by `va1` and `vb1`; in `b`, those are ports of a bridge `br0`.
    pub(crate) fn bridged() -> Option<Self> {
        let lab = Self::new(&["a", "b"])?;
        for (near, far) in [("va0", "vb0"), ("va1", "vb1")] {
            lab.join(("a", near, ""), ("b", far, ""));
        }
        for words in [
            "link add br0 address 02:00:00:00:00:02 type bridge mcast_snooping 0",
            "link set vb0 master br0",
            "link set vb1 master br0",
            "link set br0 up",
        ] {
            lab.ip("b", words);
        }
        lab.wait_for_carrier("b", "br0");
        Some(lab)
    }

    /// Joins two namespaces by a pair of veth interfaces (namespace, interface, address), which do not offload
    /// anything.
    pub(crate) fn join(&self, near: (&str, &str, &str), far: (&str, &str, &str)) {
        let (near_dev, far_dev, space) = (near.1, far.1, self.space(far.0));
        self.ip(near.0, &format!("link add {near_dev} type veth peer name {far_dev} netns {space}"));
        for (side, dev, address) in [near, far] {
            if !address.is_empty() {
                self.ip(side, &format!("addr add {address} dev {dev}"));
            }
            self.exec(side, &format!("ethtool -K {dev} tso off gso off gro off"));
            self.ip(side, &format!("link set {dev} up"));
        }
        self.wait_for_carrier(near.0, near_dev);
        self.wait_for_carrier(far.0, far_dev);
    }

    /// Gives an interface an IPv6 address as well, usable at once.
    pub(crate) fn add_v6(&self, side: &str, dev: &str, address: &str) {
        for dev in ["lo", dev] {
            self.sysctl(
                side,
                &format!("net.ipv6.conf.{dev}.router_solicitations=0 net.ipv6.conf.{dev}.disable_ipv6=0"),
            );
        }
        self.ip(side, &format!("addr add {address} dev {dev} nodad"));
    }

    /// The lab's own networks and names in `text`.
    pub(crate) fn filled(&self, text: &str) -> String {
        text.replace("10.N.", &format!("10.{}.", self.number))
            .replace("fd00:N:", &format!("fd00:{}:", self.number))
            .replace('@', &format!("{}-", self.name))
    }

    /// An address and port.
    pub(crate) fn at(&self, end: &str) -> SocketAddr {
        self.filled(end).parse().unwrap()
    }

    pub(crate) fn space(&self, side: &str) -> String {
        format!("{}-{side}", self.name)
    }

    pub(crate) fn path(&self, side: &str) -> PathBuf {
        PathBuf::from("/run/netns").join(self.space(side))
    }

    /// Runs `body` in a namespace.
    pub(crate) fn within<T: Send>(&self, side: &str, body: impl FnOnce() -> T + Send) -> T {
        within(&self.path(side), body)
    }

    /// `ip`, with these words.
    pub(crate) fn ip(&self, side: &str, words: &str) {
        self.exec(side, &format!("ip {words}"));
    }

    pub(crate) fn sysctl(&self, side: &str, settings: &str) {
        self.exec(side, &format!("sysctl -qw {settings}"));
    }

    /// Runs a program inside; what it printed.
    pub(crate) fn exec(&self, side: &str, words: &str) -> String {
        let words = self.filled(words);
        let space = self.space(side);
        let all: Vec<_> = ["netns", "exec", &space].into_iter().chain(words.split_whitespace()).collect();
        run("ip", &all)
    }

    /// Waits until packets pass.
    pub(crate) fn wait_for_carrier(&self, side: &str, dev: &str) {
        wait_until(&format!("{dev} is up"), || {
            self.exec(side, &format!("ip link show {dev}")).contains("LOWER_UP")
        });
    }

    /// Packets and frame bytes that an interface has counted, both ways; of a loopback those that came in, with the
    /// Ethernet header that it leaves out.
    pub(crate) fn counters(&self, side: &str, dev: &str) -> (u64, u64) {
        let table = self.within(side, || fs::read_to_string("/proc/thread-self/net/dev").unwrap());
        let line = table.lines().find_map(|line| line.trim().strip_prefix(&format!("{dev}:"))).unwrap();
        let n: Vec<u64> = line.split_whitespace().map(|n| n.parse().unwrap()).collect();
        if dev == "lo" { (n[1], n[0] + 14 * n[1]) } else { (n[1] + n[9], n[0] + n[8]) }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for side in &self.sides {
            let _ = Command::new("ip").args(["netns", "del", &self.space(side)]).output();
        }
    }
}

/// What the program printed.
pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits, for some seconds at most.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
