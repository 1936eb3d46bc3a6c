//! sockethound: who is talking to what, how much, and is anything odd.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use sockethound::args::{self, Cli, Command};
use sockethound::exit::Exit;
use sockethound::plan::Plan;
#[cfg(target_os = "linux")]
use sockethound::privilege::owners::{self, Manner};
use sockethound::run::{run, say};
use sockethound::view;

/// Flow tables are large, and read at random.
#[cfg(target_os = "linux")]
#[global_allocator]
static MEMORY: capture::memory::LargePages = capture::memory::LargePages;

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    capture::memory::large_heap();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            say(&args::wrong_usage(&error));
            return Exit::Usage.into();
        }
        // Help, or the version.
        Err(text) => text.exit(),
    };
    let exit = match cli.command {
        #[cfg(target_os = "linux")]
        Some(Command::OwnerService { no_sandbox, no_bpf, bpf_ring }) => {
            owners::run(Manner { no_sandbox, no_bpf, bpf_ring }).map(|()| Exit::Done)
        }
        Some(command) => print(&command),
        None => match Plan::new(cli.report) {
            Ok(plan) => run(plan),
            Err(line) => {
                say(&line);
                return Exit::Usage.into();
            }
        },
    };
    match exit {
        Ok(exit) => exit.into(),
        Err(error) => {
            say(&format!("{error:#}"));
            Exit::Failed.into()
        }
    }
}

/// Prints a text that the program carries. A reader that goes away is no failure.
fn print(command: &Command) -> anyhow::Result<Exit> {
    let text = match command {
        Command::Man => args::man_page()?,
        Command::Completions { shell } => args::completions(*shell),
        Command::Schema => view::SCHEMA.as_bytes().to_vec(),
        #[cfg(target_os = "linux")]
        Command::Doctor { json } => sockethound::doctor::report(*json)?,
        #[cfg(target_os = "linux")]
        Command::OwnerService { .. } => Vec::new(),
    };
    match std::io::stdout().write_all(&text) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(e).context("cannot write to standard output")
        }
        _ => Ok(Exit::Done),
    }
}
