//! Which files may be opened from now on (landlock(7)).
//!
//! Also denied, where the kernel can: TCP, sockets and signals of other
//! processes. UDP is left alone, since answers to name lookups come over a socket
//! that was opened before. Landlock denies every look into other processes
//! (`/proc/PID/fd`, `exe`, `ns`), whatever the capabilities: owners are looked up
//! outside.

use std::error::Error;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::fs::Access as Mode;

use super::Confinement;

/// The newest version without a say in UDP.
const VERSION: ABI = ABI::V9;
/// What telling local times reads, whenever it finds that it may have changed (tzfile(5)).
const TIME_ZONES: [&str; 2] = ["/etc/localtime", "/usr/share/zoneinfo"];

/// Denies every file but those allowed to the calling thread and all that it will start.
///
/// # Errors
/// If the kernel refuses; one that has no Landlock is a line to say.
pub(super) fn restrict(allowed: &Confinement<'_>) -> Result<Option<String>> {
    let rules = rules(allowed).context("cannot say which files may be opened")?;
    let status = rules.restrict_self().context("cannot restrict which files may be opened")?;
    Ok((status.ruleset == RulesetStatus::NotEnforced).then(|| {
        "warning: this kernel has no Landlock: any file may be opened that the user may open".to_owned()
    }))
}

/// Of the paths, those that cannot be reached get no rule: they cannot be opened either.
fn rules(allowed: &Confinement<'_>) -> Result<RulesetCreated> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(VERSION))?
        .handle_access(AccessNet::from_all(VERSION))?
        .scope(Scope::from_all(VERSION))?
        .create()?;
    let always = TIME_ZONES.iter().map(Path::new);
    for path in allowed.reads.iter().copied().chain(always) {
        let access =
            if path.is_dir() { AccessFs::ReadFile | AccessFs::ReadDir } else { AccessFs::ReadFile.into() };
        rules = allow(rules, path, access)?;
    }
    let write = AccessFs::WriteFile | AccessFs::Truncate;
    for path in allowed.writes {
        rules = match remaking(path) {
            // A rule follows the file, not its name: a new one of that name needs the folder's.
            Some(folder) => allow(rules, folder, write | AccessFs::MakeReg)?,
            None => allow(rules, path, write)?,
        };
    }
    Ok(rules)
}

fn allow(rules: RulesetCreated, path: &Path, access: BitFlags<AccessFs>) -> Result<RulesetCreated> {
    let Ok(file) = PathFd::new(path) else { return Ok(rules) };
    let before = rules.try_clone()?;
    match rules.add_rule(PathBeneath::new(file, access)) {
        // What has no place in a file system, such as the pipe behind /dev/stdout, has no rule and needs none.
        Err(error) if is_nameless(&error) => Ok(before),
        other => other.with_context(|| path.display().to_string()),
    }
}

fn is_nameless(error: &RulesetError) -> bool {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.raw_os_error() == Some(libc::EBADFD);
        }
        cause = error.source();
    }
    false
}

/// The folder in which a file can be made, or made anew; `None` for what is no file, or where the user may not.
fn remaking(path: &Path) -> Option<&Path> {
    let folder = folder_of(path);
    let may = || rustix::fs::access(folder, Mode::WRITE_OK | Mode::EXEC_OK).is_ok();
    ((path.is_file() || !path.exists()) && may()).then_some(folder)
}

/// Where the file stands.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Version of the kernel's Landlock, found by confining a thread that does nothing else; an error says why not.
pub(crate) fn probe() -> Result<String> {
    let probe = || -> Result<String> {
        let rules = rules(&Confinement {
            writes: &[],
            reads: &[],
            keep: rustix::thread::CapabilitySet::empty(),
            stay: true,
            no_sandbox: false,
        })?;
        let status = rules.restrict_self()?;
        match status.landlock {
            landlock::LandlockStatus::Available { effective_abi, kernel_abi } => {
                let version = kernel_abi.unwrap_or(effective_abi as i32);
                Ok(format!("ABI {version}"))
            }
            landlock::LandlockStatus::NotEnabled => anyhow::bail!("switched off at boot"),
            landlock::LandlockStatus::NotImplemented => anyhow::bail!("not in this kernel"),
        }
    };
    std::thread::spawn(probe).join().unwrap_or_else(|_| anyhow::bail!("the probe panicked"))
}
