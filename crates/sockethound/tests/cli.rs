//! The command line: exit statuses, what goes to standard error, signals, pipes.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod run;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use run::{fixture, of_kind, program, records, run, run_on, text};

/// That `output` failed with `code`, in one line, which has `words`.
fn one_line(output: &Output, code: i32, words: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for word in words.iter().chain([&"sockethound: "]) {
        assert!(stderr.contains(word), "{word:?} in {stderr}");
    }
}

fn read(path: &Path) -> Output {
    run(&["-r", path.to_str().unwrap()])
}

#[test]
fn what_is_no_capture_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    one_line(&read(folder.path()), 1, &["directory"]);
    one_line(&read(&write("empty.pcap", b"")), 1, &["empty.pcap", "empty"]);
    one_line(&read(&write("photo.pcap", b"\xff\xd8\xff\xe0\0\x10JFIF")), 1, &["photo.pcap", "JPEG"]);
    one_line(&read(&folder.path().join("missing.pcap")), 1, &["missing.pcap", "No such file"]);
    let empty_pcap = b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0";
    let huge = [&empty_pcap[..], &[0; 8], &[0xff; 8], b"four"].concat();
    one_line(&read(&write("huge.pcap", &huge)), 6, &["huge.pcap", "4294967295"]);
    let none = read(&write("none.pcap", empty_pcap));
    assert_eq!((none.status.code(), none.stderr.len()), (Some(0), 0));
}

#[test]
#[expect(clippy::print_stderr, reason = "a part that is skipped says so")]
fn what_may_not_be_read_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.pcap");
    std::fs::copy(fixture("plain.pcap"), &path).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    // The superuser may read anything.
    if std::fs::File::open(&path).is_ok() {
        eprintln!("skipped: the superuser may read anything");
        return;
    }
    one_line(&read(&path), 1, &["secret.pcap", "ermission denied"]);
}

#[test]
fn a_pipe_that_never_begins_is_refused_in_one_line() {
    for (bytes, why) in [(&b""[..], "empty file"), (b"\xff\xd8\xff\xe0 and so on, and so on", "JPEG")] {
        for args in [&["-r", "-"][..], &["-r", "-", "--json"]] {
            let output = run_on(bytes, args);
            one_line(&output, 1, &["stdin", why]);
            assert_eq!(String::from_utf8_lossy(&output.stdout), "");
        }
    }
}

#[test]
fn the_good_part_of_a_damaged_capture_is_reported() {
    for name in ["truncated.pcap", "truncated.pcap.gz"] {
        let output = run(&["-r", &fixture(name)]);
        one_line(&output, 6, &[name]);
        let report = String::from_utf8(output.stdout).unwrap();
        assert!(report.contains("Total:") && report.contains("Ledger:"), "{report}");
    }
    let json = run(&["-r", &fixture("truncated.pcap"), "--json"]);
    let records = records(&json.stdout);
    let capture = of_kind(&records, "capture")[0];
    assert_eq!(
        (capture["sockethound"]["stop"].as_str(), capture["network"]["packets"].as_u64()),
        (Some("truncated"), Some(59))
    );
}

#[test]
fn wrong_usage_is_2() {
    let path = fixture("plain.pcap");
    for args in [
        &["-r", "-", "-r", "-"][..],
        &["--since", "12:30"],
        &["-r", &path, "-i", "lo"],
        &["-r", &path, "-g=process"],
        &["-r", &path, "-g=colour"],
        &["-r", &path, "-t", "0"],
        &["-r", &path, "-t", "nan"],
        &["-r", &path, "--duration", "NaN"],
        &["-r", &path, "--since", "yesterday"],
        &["-r", &path, "--max-flows", "0"],
        &["-r", &path, "--local", "10.0.0.0/33"],
        &["-r", &path, "--nothing"],
    ] {
        let output = run(args);
        one_line(&output, 2, &[]);
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn wrong_usage_says_what_may_have_been_meant() {
    one_line(&run(&["--jsn"]), 2, &["unexpected argument '--jsn' found", "'--json'"]);
    one_line(&run(&["-s", "byte"]), 2, &["'byte'", "--sort <KEY>", "'bytes'"]);
    one_line(&run(&["-s", "x"]), 2, &["[possible values: bytes, rate, packets, rtt, retrans, first, last]"]);
    one_line(&run(&["completions"]), 2, &["<SHELL>"]);
    one_line(&run(&["-t", "soon"]), 2, &["\"soon\" is not a number of seconds above 0"]);
    one_line(&run(&["-g", "host"]), 2, &["write -g=host"]);
    one_line(&run(&["tcp", "port", "80"]), 2, &["'tcp' is no command", "filter expressions"]);
    one_line(&run(&["-i", "lo", "host", "10.0.0.1"]), 2, &["'host' is no command"]);
    one_line(&run(&["-i", "lo", "schema"]), 2, &["'schema' cannot be used with"]);
    one_line(&run(&["docter"]), 2, &["'docter'", "'doctor'"]);
    one_line(&run(&["-r", "a\nb"]), 1, &["a\\x0ab: No such file"]);
    assert_eq!(run(&["--help"]).status.code(), Some(0));
    assert_eq!(run(&["--version"]).status.code(), Some(0));
}

/// The values of `--json` flow records at `pointer`.
fn flows(args: &[&str], pointer: &str) -> Vec<String> {
    let path = fixture("office.pcapng");
    let all = records(text(&[&["-r", &path, "--json"], args].concat()).as_bytes());
    let value = |r: &serde_json::Value| {
        r.pointer(pointer).map_or_else(String::new, |v| v.to_string().replace('"', ""))
    };
    of_kind(&all, "flow").into_iter().map(value).collect()
}

fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The rows of a report, without the space that aligns them.
fn rows(args: &[&str]) -> Vec<String> {
    let path = fixture("office.pcapng");
    let report = text(&[&["-r", &path], args].concat());
    report.lines().filter(|l| l.contains("Src:")).map(words).collect()
}

#[test]
fn rows_are_chosen_and_ordered() {
    let all = rows(&["-c0"]);
    assert_eq!(all.len(), flows(&[], "").len());
    assert_eq!(rows(&["-c", "3"]), all[..3]);
    assert_eq!(rows(&["--count=3", "--no-local"]), all[..3]);
    let mut by_first = rows(&["-c0", "-s", "first"]);
    assert_ne!(by_first, all);
    by_first.sort();
    let by_last = rows(&["-c0", "--sort=last"]);
    assert_eq!(by_last.len(), all.len());
    let public = rows(&["-c0", "-e"]);
    assert!(!public.is_empty() && public.len() < all.len());
    assert!(
        public.iter().all(|r| r.contains("203.0.113.80")
            || r.contains("198.51.100.10")
            || r.contains("2001:db8")
            || r.contains("224.")
            || r.contains("ff02")),
        "{public:#?}"
    );
    assert!(rows(&["-c0", "-R"]).iter().any(|r| r.contains("www.example.org")));
}

#[test]
fn dns_lines_are_as_many_as_asked_for() {
    let path = fixture("office.pcapng");
    let count = |n: &str| {
        text(&["-r", &path, "-d", n])
            .lines()
            .filter(|l| l.contains("www.example.org") && l.starts_with('['))
            .count()
    };
    assert_eq!(count("0"), 0);
    assert!(count("1") <= 1 && count("50") > 1);
}

#[test]
fn groups_add_up_flows() {
    let path = fixture("office.pcapng");
    for (by, word) in
        [("host", "203.0.113.80"), ("name", "www.example.org"), ("service", "80"), ("interface", "eth0")]
    {
        let report = text(&["-r", &path, &format!("-g={by}")]);
        assert!(report.contains(word), "{by}: {report}");
    }
}

#[test]
fn local_networks_give_directions() {
    let directions = flows(&["--local=192.168.17.20/32"], "/network/direction");
    assert!(directions.contains(&"outbound".to_owned()), "{directions:?}");
    let directions =
        flows(&["--local", "203.0.113.0/24", "--local", "198.51.100.0/24"], "/network/direction");
    assert!(
        directions.contains(&"inbound".to_owned()) && directions.contains(&"forwarded".to_owned()),
        "{directions:?}"
    );
    let directions = flows(&["--local=0.0.0.0/0"], "/network/direction");
    assert!(directions.contains(&"internal".to_owned()), "{directions:?}");
}

#[test]
fn no_decap_counts_the_outermost_flow() {
    let path = fixture("vxlan.pcap");
    let protocols = |args: &[&str]| -> Vec<(u64, u64)> {
        let records = records(text(&[&["-r", &path, "--json"], args].concat()).as_bytes());
        let flow = |f: &serde_json::Value| {
            (f["network"]["iana_number"].as_u64().unwrap(), f["destination"]["port"].as_u64().unwrap())
        };
        of_kind(&records, "flow").into_iter().map(flow).collect()
    };
    assert!(protocols(&["--no-decap"]).iter().all(|f| *f == (17, 4789)));
    assert!(protocols(&[]).contains(&(6, 80)));
}

#[test]
fn a_window_leaves_out_the_rest() {
    let path = fixture("big-endian-nanos.pcap");
    let packets = |args: &[&str]| {
        let records = records(text(&[&["-r", &path, "--json"], args].concat()).as_bytes());
        of_kind(&records, "capture")[0]["network"]["packets"].as_u64().unwrap()
    };
    let (before, after) = (packets(&["--until=+200ms"]), packets(&["--since=+200ms"]));
    assert!(before > 0 && after > 0);
    assert_eq!(before + after, 20);
    assert_eq!(packets(&["--since=+1h"]), 0);
    assert_eq!(packets(&["--since=+0s", "--until=+1h"]), 20);
}

#[test]
fn several_captures_are_merged() {
    let path = fixture("plain.pcap");
    let twice = records(text(&["-r", &path, "-r", &path, "--json"]).as_bytes());
    let once = records(text(&["-r", &path, "--json"]).as_bytes());
    assert_eq!((of_kind(&twice, "capture").len(), of_kind(&once, "capture").len()), (2, 1));
    let packets = |records: &[serde_json::Value]| -> Vec<u64> {
        of_kind(records, "flow").iter().map(|f| f["network"]["packets"].as_u64().unwrap()).collect()
    };
    let doubled: Vec<_> = packets(&once).iter().map(|n| 2 * n).collect();
    assert_eq!(packets(&twice), doubled);
}

/// A program that reads a pipe which stays open.
struct Piped {
    child: Child,
    stdin: Option<std::process::ChildStdin>,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Piped {
    fn start(bytes: &[u8], args: &[&str]) -> Self {
        let mut child = program()
            .args(["-r", "-"])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
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
fn a_signal_asks_for_a_report() {
    let bytes = std::fs::read(fixture("plain.pcap")).unwrap();
    let mut piped = Piped::start(&bytes, &["-t", "1"]);
    piped.report();
    let asked = Instant::now();
    piped.signal("USR1");
    piped.report();
    assert!(asked.elapsed() < Duration::from_millis(900), "{:?}", asked.elapsed());
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

/// Every long option that `--help` lists, in order.
fn long_options() -> Vec<String> {
    let help = text(&["--help"]);
    let starts = help.lines().map(str::trim_start).filter(|l| l.starts_with('-'));
    let long = starts.filter_map(|l| l.split_once("--")).map(|(_, rest)| {
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect::<String>()
    });
    long.collect()
}

#[test]
fn help_names_every_option_once() {
    let options = long_options();
    assert!(options.len() > 20 && options.contains(&"read".to_owned()), "{options:?}");
    let mut unique = options.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), options.len(), "{options:?}");
}

#[test]
fn man_page_and_completions_know_every_option() {
    let man = text(&["man"]).replace("\\-", "-");
    let scripts =
        ["bash", "zsh", "fish", "elvish", "powershell"].map(|shell| (shell, text(&["completions", shell])));
    for option in long_options() {
        assert!(man.contains(&format!("--{option}")), "man: {option}");
        for (shell, script) in &scripts {
            let has = script.contains(&format!("--{option}"))
                || *shell == "fish" && script.contains(&format!("-l {option}"));
            assert!(has, "{shell}: {option}");
        }
    }
}

#[test]
fn texts_that_cannot_be_written_are_a_failure() {
    for text in [&["man"][..], &["schema"], &["completions", "bash"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = program().args(text).stdout(full).stderr(Stdio::piped()).output().unwrap();
        one_line(&output, 1, &["cannot write to standard output: No space left"]);
    }
}

#[test]
fn one_of_a_kind_is_singular() {
    let one = std::fs::read(fixture("tls.pcap")).unwrap();
    let length = u32::from_le_bytes(one[32..36].try_into().unwrap()) as usize;
    let report = run_on(&one[..40 + length], &["-r", "-"]);
    let report = String::from_utf8(report.stdout).unwrap();
    assert!(report.contains(" in 1 packet\n") && report.contains("Ledger: 1 packet,"), "{report}");
    one_line(&run_on(&one[..50 + length], &["-r", "-"]), 6, &["stopped, 1 packet read"]);
}

#[test]
fn what_is_read_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("same.pcap"), folder.path().join("link.pcap"));
    std::fs::copy(fixture("plain.pcap"), &path).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let before = std::fs::read(&path).unwrap();
    let json = format!("--json={}", link.display());
    one_line(&run(&["-r", path.to_str().unwrap(), &json]), 2, &["link.pcap"]);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn no_time_is_too_long() {
    let path = fixture("plain.pcap");
    let output = run(&["-r", &path, "-t", "1e19", "--duration", "1e300"]);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

/// pcapng's timestamps may lie beyond what is kept of time; what they are of is counted all the same.
#[test]
fn a_packet_of_the_end_of_time_counts() {
    let block = |kind: u32, body: &[u8]| {
        let length = (body.len() as u32 + 12).to_le_bytes();
        [&kind.to_le_bytes()[..], &length, body, &length].concat()
    };
    let section =
        block(0x0a0d_0d0a, &[&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat());
    let interface = block(1, &[1, 0, 0, 0, 0, 0, 4, 0]);
    let packet = |time: u64| {
        let words = [0, (time >> 32) as u32, time as u32, 60, 60];
        let mut body: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        body.extend([0; 60]);
        block(6, &body)
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("end.pcapng");
    let bytes = [section, interface, packet(1_700_000_000_000_000), packet(u64::MAX)].concat();
    std::fs::write(&path, bytes).unwrap();
    let output = run(&["-r", path.to_str().unwrap(), "--json"]);
    let captures = records(&output.stdout);
    assert_eq!(of_kind(&captures, "capture")[0]["network"]["packets"], 2);
    let within = run(&["-r", path.to_str().unwrap(), "--json", "--until", "2030-01-01T00:00:00Z"]);
    assert_eq!(of_kind(&records(&within.stdout), "capture")[0]["network"]["packets"], 1);
}
