//! The program, capturing in a lab, and what it wrote.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::lab::{Lab, wait_until};

/// The program while it runs; ends with the test.
pub(crate) struct Running {
    child: Child,
    folder: TempDir,
}

/// What is left of a run.
pub(crate) struct Run {
    pub(crate) status: ExitStatus,
    pub(crate) records: Vec<Value>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The built program, in UTC and without the caller's colours.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockethound"));
    command.env("TZ", "UTC").env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

impl Running {
    /// Starts to capture in a namespace, with these words, and waits until it does. It reports often, and ends some time
    /// by itself, unless the words say otherwise.
    pub(crate) fn start(lab: &Lab, side: &str, words: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = |name| folder.path().join(name);
        let mut command = program();
        command.args(lab.filled(words).split_whitespace());
        for (option, value) in [("-t", "0.25"), ("--duration", "60")] {
            if !words.split(' ').any(|word| word == option) {
                command.args([option, value]);
            }
        }
        command.arg(format!("--json={}", place("json").display()));
        command.stdout(File::create(place("stdout")).unwrap());
        command.stderr(File::create(place("stderr")).unwrap());
        let child = lab.within(side, move || command.spawn().unwrap());
        let mut running = Self { child, folder };
        wait_until("the program captures", || {
            if let Some(status) = running.child.try_wait().unwrap() {
                panic!("{status}: {}", running.text("stderr"));
            }
            running.text("json").contains('\n')
        });
        running
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it has written so far to `stdout`, `stderr` or `json`.
    pub(crate) fn text(&self, name: &str) -> String {
        fs::read(self.place(name)).map(|bytes| String::from_utf8(bytes).unwrap()).unwrap_or_default()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
        if signal == Signal::STOP {
            wait_until("all threads stand still", || self.stands_still());
        }
    }

    fn stands_still(&self) -> bool {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid().as_raw_nonzero())).unwrap();
        let mut states = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("stat")).unwrap());
        states.all(|state| state.rsplit(')').next().is_some_and(|rest| rest.starts_with(" T")))
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(mut self) -> Run {
        let mut status = None;
        wait_until("the program ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let (stdout, stderr) = (self.text("stdout"), self.text("stderr"));
        let schema = serde_json::from_str(include_str!("../../schema/ndjson.schema.json")).unwrap();
        let schema = jsonschema::validator_for(&schema).unwrap();
        let read = |line: &str| {
            let record = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            if let Some(error) = schema.iter_errors(&record).next() {
                panic!("{error:?}\n{line}");
            }
            record
        };
        let records = self.text("json").lines().map(read).collect();
        Run { status: status.unwrap(), records, stdout, stderr }
    }

    /// Interrupts it, as from a keyboard; it must end well.
    pub(crate) fn stop(self) -> Run {
        self.signal(Signal::INT);
        let run = self.wait();
        assert!(run.status.success(), "{}: {}", run.status, run.stderr);
        run
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Numbers of the processes that a process has started.
pub(crate) fn children(of: Pid) -> Vec<Pid> {
    let of = of.as_raw_nonzero();
    let list = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap();
    list.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect()
}

/// Whether a process has ended.
pub(crate) fn gone(pid: Pid) -> bool {
    let number = pid.as_raw_nonzero();
    // Nobody has asked for its end yet, but it has ended.
    let status = fs::read_to_string(format!("/proc/{number}/status")).unwrap_or_default();
    test_kill_process(pid).is_err() || status.contains("State:\tZ")
}

/// Ends the program with the test.
pub(crate) struct Ending(pub(crate) Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A pair of packets and bytes.
pub(crate) fn counts(value: &Value) -> (u64, u64) {
    let number = |name: &str| value[name].as_u64().unwrap_or_else(|| panic!("no {name} in {value}"));
    (number("packets"), number("bytes"))
}

fn sum(parts: &[(u64, u64)]) -> (u64, u64) {
    parts.iter().fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
}

impl Run {
    pub(crate) fn flows(&self) -> impl Iterator<Item = &Value> {
        self.records.iter().filter(|record| record["kind"] == "flow")
    }

    /// The one flow between these ends, whoever began it.
    pub(crate) fn flow(&self, transport: &str, ends: [SocketAddr; 2]) -> &Value {
        let end = |flow: &Value, side: &str| {
            let ip = flow[side]["ip"].as_str().unwrap().parse().unwrap();
            SocketAddr::new(ip, flow[side]["port"].as_u64().unwrap() as u16)
        };
        let between = |flow: &&Value| {
            let found = [end(flow, "source"), end(flow, "destination")];
            flow["network"]["transport"] == transport && (found == ends || found == [ends[1], ends[0]])
        };
        let found: Vec<_> = self.flows().filter(between).collect();
        match found[..] {
            [flow] => flow,
            [] => panic!("no {transport} flow {ends:?}, but {:#?}", self.flows().collect::<Vec<_>>()),
            _ => panic!("{transport} flow {ends:?} more than once: {found:#?}"),
        }
    }

    /// The account of an interface that counts whole frames; it closes to the packet and, where nothing was dropped,
    /// to the byte.
    pub(crate) fn ledger(&self, interface: &str) -> &Value {
        let ledger = self.ledger_of_packets(interface);
        if ledger["dropped"] == 0 {
            let seen = sum(&[counts(&ledger["counted"]), counts(&ledger["not_ip"])]);
            assert_eq!(counts(&ledger["kernel"]), seen, "{ledger}");
        }
        ledger
    }

    /// The account of an interface that may leave headers out when it counts bytes, as bridges and VXLAN do; it closes
    /// to the packet.
    pub(crate) fn ledger_of_packets(&self, interface: &str) -> &Value {
        let of_it =
            |record: &&Value| record["kind"] == "ledger" && record["sockethound"]["interface"] == interface;
        let found: Vec<_> = self.records.iter().filter(of_it).collect();
        assert_eq!(found.len(), 1, "ledgers of {interface}: {found:?}");
        let ledger = &found[0]["sockethound"];
        let [kernel, counted, not_ip, owned, forwarded, by_kernel, unknown] =
            ["kernel", "counted", "not_ip", "owned", "forwarded", "by_kernel", "unknown"]
                .map(|name| counts(&ledger[name]));
        assert_eq!(ledger["offload"], 0, "{ledger}");
        let dropped = ledger["dropped"].as_u64().unwrap_or_else(|| panic!("{ledger}"));
        let seen = sum(&[counted, not_ip]);
        assert_eq!(kernel.0, seen.0 + dropped, "{ledger}");
        assert_eq!(sum(&[owned, forwarded, by_kernel, unknown]), counted, "{ledger}");
        ledger
    }

    /// Packets and frame bytes that all interfaces together counted in flows.
    pub(crate) fn in_ledgers(&self) -> (u64, u64) {
        let ledgers = self.records.iter().filter(|record| record["kind"] == "ledger");
        sum(&ledgers.map(|record| counts(&record["sockethound"]["counted"])).collect::<Vec<_>>())
    }

    /// Packets and frame bytes in all flow records.
    pub(crate) fn in_flows(&self) -> (u64, u64) {
        let of = |flow: &Value| {
            let frame_bytes = |name: &str| flow["sockethound"][name].as_u64().unwrap();
            let packets = flow["network"]["packets"].as_u64().unwrap();
            (packets, frame_bytes("source_frame_bytes") + frame_bytes("destination_frame_bytes"))
        };
        sum(&self.flows().map(of).collect::<Vec<_>>())
    }
}

/// Packets that each end sent: the flow's source, its destination.
pub(crate) fn packets(flow: &Value) -> (u64, u64) {
    let of = |side: &str| flow[side]["packets"].as_u64().unwrap();
    (of("source"), of("destination"))
}

/// The interfaces that a flow's packets passed, in the order of their names.
pub(crate) fn path(flow: &Value) -> Vec<&str> {
    let path = flow["sockethound"]["path"].as_array().unwrap_or_else(|| panic!("no path: {flow}"));
    let mut path: Vec<_> = path.iter().map(|name| name.as_str().unwrap()).collect();
    path.sort_unstable();
    path
}

/// The address and port of a flow's end, or of one in `nat`.
pub(crate) fn end(value: &Value) -> SocketAddr {
    let ip = value["ip"].as_str().unwrap_or_else(|| panic!("no end: {value}")).parse().unwrap();
    SocketAddr::new(ip, value["port"].as_u64().unwrap() as u16)
}
