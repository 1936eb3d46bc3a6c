//! Network namespaces, joined by a veth pair, that are gone when the test is.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use capture::ring::{Options, RingSource};
use capture::{Next, PacketSource, Records};
use dissect::Direction;

/// Two namespaces: `va` in the first and `vb` in the second are the ends of a veth pair.
pub(crate) struct Lab {
    name: String,
}

/// A packet, copied out of the ring.
#[derive(Clone, Debug)]
pub(crate) struct Captured {
    pub(crate) bytes: Vec<u8>,
    pub(crate) wire_len: u32,
    pub(crate) vlan_tci: Option<u16>,
    pub(crate) direction: Direction,
    pub(crate) interface: String,
    pub(crate) number: u32,
    pub(crate) link_type: u16,
    pub(crate) timestamp: i64,
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

#[allow(clippy::print_stderr)]
fn skip(why: &str) {
    eprintln!("skipped: {why}");
}

impl Lab {
    /// `None`, and a reason on stderr, where the test may not do this.
    pub(crate) fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !permitted() {
            skip("needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN");
            return None;
        }
        let name = format!("shnd-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let lab = Self { name };
        for side in ["a", "b"] {
            run("ip", &["netns", "add", &lab.ns(side)]);
            // No chatter of the kernel's own. Only then may packets be counted to the last one.
            for which in ["all", "default"] {
                lab.exec(side, &["sysctl", "-qw", &format!("net.ipv6.conf.{which}.disable_ipv6=1")]);
            }
        }
        let (a, b) = (lab.ns("a"), lab.ns("b"));
        run("ip", &["link", "add", "va", "netns", &a, "type", "veth", "peer", "name", "vb", "netns", &b]);
        for (side, dev, address) in [("a", "va", "10.9.0.1/24"), ("b", "vb", "10.9.0.2/24")] {
            lab.ip(side, &["addr", "add", address, "dev", dev]);
            lab.ip(side, &["link", "set", "lo", "up"]);
            lab.ip(side, &["link", "set", dev, "up"]);
        }
        for (side, dev) in [("a", "va"), ("b", "vb")] {
            lab.wait_for_carrier(side, dev);
        }
        Some(lab)
    }

    pub(crate) fn ns(&self, side: &str) -> String {
        format!("{}-{side}", self.name)
    }

    pub(crate) fn path(&self, side: &str) -> PathBuf {
        PathBuf::from("/run/netns").join(self.ns(side))
    }

    pub(crate) fn ip(&self, side: &str, args: &[&str]) {
        run("ip", &[&["-n", &self.ns(side)], args].concat());
    }

    /// Runs a program inside; what it printed.
    pub(crate) fn exec(&self, side: &str, args: &[&str]) -> String {
        run("ip", &[&["netns", "exec", &self.ns(side)], args].concat())
    }

    /// Waits until packets pass.
    pub(crate) fn wait_for_carrier(&self, side: &str, dev: &str) {
        let end = Instant::now() + Duration::from_secs(5);
        while !self.exec(side, &["ip", "link", "show", dev]).contains("state UP") {
            assert!(Instant::now() < end, "{dev} does not come up");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Makes the kernel tell of an interface `count` times.
    pub(crate) fn flood_news(&self, side: &str, dev: &str, count: usize) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for n in 0..count {
            writeln!(file, "link set dev {dev} alias n{n}").unwrap();
        }
        self.exec(side, &["ip", "-batch", file.path().to_str().unwrap()]);
    }

    /// Gives both sides an IPv6 address, usable at once.
    pub(crate) fn add_ipv6(&self) {
        for (side, dev, address) in [("a", "va", "fd09::1/64"), ("b", "vb", "fd09::2/64")] {
            for dev in ["lo", dev] {
                self.exec(side, &["sysctl", "-qw", &format!("net.ipv6.conf.{dev}.disable_ipv6=0")]);
            }
            self.ip(side, &["addr", "add", address, "dev", dev, "nodad"]);
        }
    }

    /// Segments as they are on a wire.
    pub(crate) fn switch_offloads_off(&self) {
        for (side, dev) in [("a", "va"), ("b", "vb")] {
            self.exec(side, &["ethtool", "-K", dev, "tso", "off", "gso", "off", "gro", "off"]);
        }
    }

    pub(crate) fn options(&self, side: &str, interfaces: &[&str]) -> Options {
        let interfaces = interfaces.iter().map(ToString::to_string).collect();
        Options { interfaces, namespace: Some(self.path(side)), ..Options::default() }
    }

    pub(crate) fn open(&self, side: &str, interfaces: &[&str]) -> RingSource {
        RingSource::open(&self.options(side, interfaces)).unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for side in ["a", "b"] {
            let _ = Command::new("ip").args(["netns", "del", &self.ns(side)]).output();
        }
    }
}

/// What the program printed.
pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// All that is in the ring and comes until nothing more has come for a while.
pub(crate) fn drain(source: &mut RingSource) -> Vec<Captured> {
    const QUIET: Duration = Duration::from_millis(250);
    let mut all = Vec::new();
    while let Next::Batch(batch) = source.next_batch(QUIET).unwrap() {
        let Records::Listed(records) = batch.records else { panic!("a ring's packets are listed") };
        for (packet, record) in batch.packets().zip(records) {
            assert_eq!(packet.bytes.len(), record.captured as usize);
            let interface = &batch.interfaces[packet.interface as usize];
            all.push(Captured {
                bytes: packet.bytes.to_vec(),
                wire_len: packet.wire_len,
                vlan_tci: packet.vlan_tci,
                direction: packet.direction,
                interface: interface.name.clone().unwrap_or_default(),
                number: packet.interface,
                link_type: interface.link_type.0,
                timestamp: packet.timestamp.0,
            });
        }
    }
    all
}
