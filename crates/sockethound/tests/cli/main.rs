//! The command line: exit statuses, what goes to standard error, help; what is chosen of captures; pipes and signals.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod choices;
mod pipes;
#[path = "../run/mod.rs"]
mod run;

use std::path::Path;
use std::process::{Output, Stdio};

use run::{fixture, of_kind, program, records, run, run_on, text};

/// That `output` failed with `code`, in one line, which has `words`.
pub(crate) fn one_line(output: &Output, code: i32, words: &[&str]) {
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

/// A capture lasts as long as it has packets, whether they belong to flows or not.
#[test]
fn a_capture_without_flows_takes_its_time() {
    let mut capture = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65535, 1_u32] {
        capture.extend(word.to_le_bytes());
    }
    for second in [1_700_000_000, 1_700_000_003_u32] {
        for word in [second, 0, 60, 60] {
            capture.extend(word.to_le_bytes());
        }
        // ARP, from one's own address to everybody.
        capture.extend([&[0xff; 6][..], &[2; 6], &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &[0; 38]].concat());
    }
    let output = run_on(&capture, &["-r", "-"]);
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(report.contains("Duration: 3.0 seconds"), "{report}");
    assert!(report.contains("not IP 2 (arp 2)"), "{report}");
}

/// `cat a.pcap b.pcap`: what of the second one's header looks like a packet is none.
#[test]
fn the_first_of_two_captures_in_one_is_reported() {
    for (first, packets) in [("plain.pcap", 60), ("big-endian-nanos.pcap", 20)] {
        let alone = run(&["-r", &fixture(first), "--json"]);
        let both = [first, "plain.pcap"].map(|name| std::fs::read(fixture(name)).unwrap()).concat();
        let output = run_on(&both, &["-r", "-", "--json"]);
        let place = format!("packet {}", packets + 1);
        one_line(&output, 6, &["stdin", &place, "another pcap file begins there"]);
        let flows = |output: &Output| {
            of_kind(&records(&output.stdout), "flow").into_iter().cloned().collect::<Vec<_>>()
        };
        assert!(!flows(&alone).is_empty());
        assert_eq!(flows(&output), flows(&alone), "{first}");
        let capture = of_kind(&records(&output.stdout), "capture")[0].clone();
        assert_eq!(
            (capture["sockethound"]["stop"].as_str(), capture["network"]["packets"].as_u64()),
            (Some("malformed"), Some(packets))
        );
    }
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

/// Not taken for options: `-1` is one.
#[test]
fn negative_numbers_are_bad_values() {
    let numbers =
        ["-c", "-d", "-t", "--snaplen", "--ring", "--workers", "--tcp-closed", "--tcp-idle", "--idle"];
    for option in numbers.into_iter().chain(["--max-flows", "--duration"]) {
        for number in ["-1", "-5"] {
            let output = run(&[option, number]);
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(
                (output.status.code(), said.lines().count()),
                (Some(2), 1),
                "{option} {number}: {said}"
            );
            assert!(said.contains(&format!("'{number}' for '")) && said.contains("is not"), "{said}");
        }
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
    one_line(&run(&["-i", ""]), 2, &["a value is required for '--interface <IF>'"]);
    one_line(&run(&["-i", "lo", "host", "10.0.0.1"]), 2, &["'host' is no command"]);
    one_line(&run(&["-i", "lo", "schema"]), 2, &["'schema' cannot be used with"]);
    one_line(&run(&["docter"]), 2, &["'docter'", "'doctor'"]);
    let path = fixture("plain.pcap");
    one_line(&run(&["-r", &path, &path]), 2, &["is a file: write -r in front of each capture"]);
    one_line(&run(&["-r", "a\nb"]), 1, &["a\\x0ab: No such file"]);
    assert_eq!(run(&["--help"]).status.code(), Some(0));
    assert_eq!(run(&["--version"]).status.code(), Some(0));
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

/// What README says that its first command prints, it prints.
#[test]
fn readme_shows_what_is_printed() {
    let output = program().current_dir(run::root()).args(["-r", "fixtures/office.pcapng"]).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    let readme = std::fs::read_to_string(run::root().join("README.md")).unwrap();
    let shown: Vec<_> = readme.split("```").map(str::trim).collect();
    assert!(shown.contains(&report.trim()), "{report}");
}
