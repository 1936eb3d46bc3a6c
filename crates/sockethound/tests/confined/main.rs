//! What is left to a process that is confined, seen from inside and from outside.
//!
//! Confinement cannot be undone, and must come before the first thread: each
//! test starts this program again in a role. A test harness of threads cannot do
//! that, so that this program is its own.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

#[cfg(target_os = "linux")]
mod role;
#[cfg(target_os = "linux")]
mod subject;
#[cfg(target_os = "linux")]
mod tests;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [sockethound::privilege::owners::COMMAND, ..] => {
            // Whoever asks may have ended by now.
            match sockethound::privilege::owners::run(sockethound::privilege::owners::Manner::default()) {
                Ok(()) => std::process::ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("owners: {error}");
                    std::process::ExitCode::FAILURE
                }
            }
        }
        ["role", name] => role::play(name),
        ref filter => tests::run(filter),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {}
