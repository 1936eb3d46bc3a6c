//! Where bytes come from and go to: pipes that stay open or are closed, files that take no more, and signals meanwhile.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::one_line;
use crate::run::{fixture, piped, program, run, run_on, text};

/// A program that reads a pipe which stays open.
struct Piped {
    child: Child,
    stdin: Option<std::process::ChildStdin>,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Piped {
    fn start(bytes: &[u8], args: &[&str]) -> Self {
        let mut child = piped(&[&["-r", "-"], args].concat());
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(bytes).unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|l| send.send(l)));
        Piped { child, stdin: Some(stdin), lines }
    }

    /// Waits for the ledger's line, with which a report ends.
    fn report(&self) -> Vec<String> {
        let (mut report, end) = (Vec::new(), Instant::now() + Duration::from_secs(20));
        loop {
            let line = self.lines.recv_timeout(end.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|e| panic!("{e} after {report:#?}"));
            let last = line.starts_with("Ledger:");
            report.push(line);
            if last {
                return report;
            }
        }
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits until the program has a handler for the signal of this number.
    #[cfg(target_os = "linux")]
    fn wait_until_it_heeds(&self, signal: u32) {
        let end = Instant::now() + Duration::from_secs(20);
        let caught = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
            let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
            u64::from_str_radix(mask.trim(), 16).unwrap()
        };
        while caught() & 1 << (signal - 1) == 0 {
            assert!(Instant::now() < end, "it heeds no signal {signal}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Exit status, and what there was on standard error.
    fn end(mut self) -> (Option<i32>, String) {
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (self.child.wait().unwrap().code(), stderr)
    }
}

/// The ledger of a report, which says how many packets there were.
fn ledger(report: &[String]) -> String {
    report.last().unwrap().clone()
}

#[test]
fn a_pipe_that_keeps_coming_is_reported_meanwhile() {
    let bytes = std::fs::read(fixture("plain.pcap")).unwrap();
    let (some, rest) = bytes.split_at(bytes.len() / 2);
    let mut piped = Piped::start(some, &["-t", "0.5"]);
    let interim = piped.report();
    assert!(interim.iter().any(|l| l.starts_with("Total:")), "{interim:#?}");
    let mut stdin = piped.stdin.take().unwrap();
    stdin.write_all(rest).unwrap();
    drop(stdin);
    let mut last = piped.report();
    while let Ok(line) = piped.lines.recv() {
        last.push(line);
    }
    let at = last.iter().rposition(|l| l.starts_with("Total:")).unwrap();
    let file = text(&["-r", &fixture("plain.pcap")]);
    let total = file.lines().find(|l| l.starts_with("Total:")).unwrap();
    assert_eq!(last[at], total);
    assert_ne!(interim.iter().find(|l| l.starts_with("Total:")).unwrap(), total);
    assert_eq!(piped.end(), (Some(0), String::new()));
}

#[test]
fn the_last_report_of_a_pipe_is_the_files() {
    let path = fixture("plain.pcap");
    let piped = run_on(&std::fs::read(&path).unwrap(), &["-r", "-"]);
    let piped = String::from_utf8(piped.stdout).unwrap();
    let body = |report: &str| {
        report.lines().skip(1).filter(|l| !l.starts_with("Ledger:")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(body(&piped), body(&text(&["-r", &path])));
}

#[test]
fn signals_end_a_run_with_its_report() {
    let bytes = std::fs::read(fixture("plain.pcap")).unwrap();
    for name in ["INT", "TERM"] {
        let piped = Piped::start(&bytes, &["-t", "0.3"]);
        // It listens, and has read everything, once it has reported.
        let interim = piped.report();
        piped.signal(name);
        let last = piped.report();
        assert_eq!(ledger(&interim), ledger(&last), "{name}");
        let mut piped = piped;
        let stdin = piped.stdin.take();
        assert_eq!(piped.end(), (Some(0), String::new()), "{name}");
        drop(stdin);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_signal_asks_for_a_report() {
    const SIGUSR1: u32 = 10;
    let bytes = std::fs::read(fixture("plain.pcap")).unwrap();
    let mut piped = Piped::start(&bytes, &["-t", "3600"]);
    piped.wait_until_it_heeds(SIGUSR1);
    piped.signal("USR1");
    piped.report();
    drop(piped.stdin.take());
    piped.report();
    assert_eq!(piped.end().0, Some(0));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    for args in [&[][..], &["--json"], &["man"]] {
        let path = fixture("office.pcapng");
        let args = if args == ["man"] { args.to_vec() } else { [&["-r", &path, "-c0"], args].concat() };
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = program()
            .args(&args)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{args:?} {output:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_fails_one_output_only() {
    let path = fixture("plain.pcap");
    let output = run(&["-r", &path, "--json=/dev/full"]);
    one_line(&output, 1, &["/dev/full", "No space left"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), text(&["-r", &path]));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = program()
        .args(["-r", &path])
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    one_line(&output, 1, &["standard output", "No space left"]);
}

#[test]
fn json_goes_to_a_file_besides_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.ndjson");
    let path = fixture("plain.pcap");
    assert_eq!(text(&["-r", &path, &format!("--json={}", file.display())]), text(&["-r", &path]));
    assert_eq!(std::fs::read_to_string(file).unwrap(), text(&["-r", &path, "--json"]));
}
