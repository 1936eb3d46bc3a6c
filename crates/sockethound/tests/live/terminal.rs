//! Reports on a terminal: as large as it is right now, and over when it is gone.

use std::fs::{self, File};
use std::io::Read;
use std::process::Command;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::lab::{Lab, wait_until};
use crate::program::{Ending, children, gone, program};
use crate::traffic::{send, udp};

/// With which a report is painted over the one before.
const HOME_AND_ERASE_BELOW: &str = "\x1b[H\x1b[J";

/// The program on a terminal, and what it has written there that was not looked at.
struct OnTerminal {
    child: Ending,
    terminal: File,
    written: Vec<u8>,
}

impl OnTerminal {
    /// Starts it in namespace `b`, with these words, on a terminal of so many columns and lines.
    fn start(lab: &Lab, words: &str, (columns, lines): (u16, u16)) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let name = name.to_str().unwrap();
        let side = || File::options().read(true).write(true).open(name).unwrap();
        // Of whatever kind the terminal is on which the tests run.
        let mut command = Command::new("setsid");
        command.env("TERM", "xterm").env("TZ", "UTC");
        command.arg("--ctty").arg(program().get_program()).args(words.split_whitespace());
        command.args(["--color", "never"]);
        command.stdin(side()).stdout(side()).stderr(side());
        resize(&side(), columns, lines);
        let child = lab.within("b", move || command.spawn().unwrap());
        Self { child: Ending(child), terminal: File::from(terminal), written: Vec::new() }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child.0)
    }

    /// Reads on what is written; `false` if nothing comes for some seconds.
    fn read(&mut self) -> bool {
        let mut ready = [PollFd::new(&self.terminal, PollFlags::IN)];
        if poll(&mut ready, Some(&Timespec { tv_sec: 20, tv_nsec: 0 })).unwrap() == 0 {
            return false;
        }
        let mut buffer = [0; 4096];
        let length = self.terminal.read(&mut buffer).unwrap_or(0);
        self.written.extend_from_slice(&buffer[..length]);
        length > 0
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.written).into_owned()
    }

    /// The lines of the next report, which ends with the ledger.
    fn report(&mut self) -> Vec<String> {
        loop {
            let text = self.text();
            let whole = text.split_once(HOME_AND_ERASE_BELOW).and_then(|(_, report)| {
                let (_, ledger) = report.split_once("\nLedger:")?;
                let (_, rest) = ledger.split_once('\n')?;
                Some((&report[..report.len() - rest.len()], rest))
            });
            if let Some((report, rest)) = whole {
                self.written = rest.as_bytes().to_vec();
                return report.lines().map(str::to_owned).collect();
            }
            assert!(self.read(), "no report, but {text}");
        }
    }
}

fn resize(terminal: &File, columns: u16, lines: u16) {
    tcsetwinsize(terminal, Winsize { ws_col: columns, ws_row: lines, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
}

/// The columns that the longest line takes.
fn widest(report: &[String]) -> usize {
    report.iter().map(|line| line.chars().count()).max().unwrap()
}

/// What is seen is painted again at once, for the new size: without it, the next report would come in a minute.
#[test]
fn root_a_terminal_that_changes_its_size() {
    let Some(lab) = Lab::pair() else { return };
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("json");
    let mut program = OnTerminal::start(&lab, &format!("-i vb -t 60 --json={}", json.display()), (160, 60));
    wait_until("the program captures", || fs::metadata(&json).is_ok_and(|file| file.len() > 0));
    let server = udp(&lab, "b", "10.N.1.2:7000");
    for port in 8000..8040 {
        send(&udp(&lab, "a", &format!("10.N.1.1:{port}")), &server, 1);
    }
    kill_process(program.pid(), Signal::USR1).unwrap();
    let flows = |report: &[String]| report.iter().filter(|line| line.contains(":7000")).count();
    let mut reports = vec![program.report()];
    for (columns, lines) in [(80, 24), (120, 30), (160, 60)] {
        resize(&program.terminal, columns, lines);
        reports.push(program.report());
        let report = reports.last().unwrap();
        let fits = widest(report) <= usize::from(columns) && report.len() < usize::from(lines);
        assert!(fits, "in {columns} by {lines}: {report:#?}");
    }
    let [first, narrow, middle, last] = &reports[..] else { panic!() };
    assert_eq!(first, last, "nothing else has changed");
    assert!(widest(narrow) < widest(middle) && widest(middle) < widest(last), "{reports:#?}");
    assert!(flows(narrow) < flows(middle) && flows(middle) < flows(last), "{reports:#?}");
    kill_process(program.pid(), Signal::INT).unwrap();
    while !program.text().contains("\nLedger:") && program.read() {}
    let mut status = None;
    wait_until("the program ends", || {
        status = program.child.0.try_wait().unwrap();
        status.is_some()
    });
    assert!(status.unwrap().success(), "{}", program.text());
}

#[test]
fn root_a_terminal_that_is_gone() {
    let Some(lab) = Lab::pair() else { return };
    let mut program = OnTerminal::start(&lab, "-i vb -t 0.5", (80, 24));
    program.report();
    let started = children(program.pid());
    let OnTerminal { mut child, terminal, .. } = program;
    drop(terminal);
    wait_until("the program ends", || child.0.try_wait().unwrap().is_some());
    wait_until("all that it started ends", || started.iter().all(|pid| gone(*pid)));
}
