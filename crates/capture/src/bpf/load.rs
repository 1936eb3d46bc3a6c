//! Loading of one object's programs, each by itself.
//!
//! A program that the kernel refuses costs what it was for and nothing else: the
//! refusal is kept, with what the kernel answered.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use aya::programs::{CgroupAttachMode, Program, ProgramError};
use aya::{Btf, Ebpf, EbpfLoader, VerifierLogLevel};

/// Why a program, or the object that has it, is not to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The program, or the object's map; empty for the object as a whole.
    pub hook: String,
    /// What the kernel answered, where it was asked.
    pub errno: Option<i32>,
    /// In words, without the verifier's log.
    pub reason: String,
}

impl Refusal {
    /// Whether privileges are what is missing.
    pub fn is_refusal(&self) -> bool {
        matches!(self.errno, Some(libc::EPERM | libc::EACCES))
    }

    pub(crate) fn of(hook: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut cause = Some(error);
        let mut errno = None;
        while let Some(error) = cause {
            errno = errno.or_else(|| error.downcast_ref::<io::Error>()?.raw_os_error());
            cause = error.source();
        }
        let reason = match errno {
            Some(number) => io::Error::from_raw_os_error(number).to_string(),
            None => error.to_string(),
        };
        Self { hook: hook.to_owned(), errno, reason }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.hook.is_empty() { "" } else { ": " };
        write!(f, "{}{separator}{}", self.hook, self.reason)
    }
}

/// Where a program is attached.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// A cgroup (version 2), and all below it.
    Cgroup(BorrowedFd<'a>),
    /// A tracepoint of the kernel, by its name.
    Tracepoint(&'static str),
    /// Nowhere: its caller runs it as an iterator of this kind.
    Iterator(&'static str),
    /// Nowhere: it is loaded to enter this function of the kernel.
    Function(&'static str),
}

/// The programs of one object; those that were attached detach when it is dropped.
pub struct Object {
    /// What aya knows of it.
    pub ebpf: Ebpf,
    btf: Btf,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").finish_non_exhaustive()
    }
}

impl Object {
    /// Makes the maps of an object, some of them with another number of entries; sets the constants named `switches`.
    ///
    /// # Errors
    /// If the kernel has no types of its own (BTF), or makes no map.
    pub fn open(
        bytes: &[u8],
        entries: &[(&'static str, u32)],
        switches: &[(&'static str, u8)],
    ) -> Result<Self, Refusal> {
        let mut loader = EbpfLoader::new();
        // It has read the kernel's types for itself; they are large, and no two copies are needed at a time.
        loader.btf(None);
        let btf = Btf::from_sys_fs().map_err(|e| Refusal::of("/sys/kernel/btf/vmlinux", &e))?;
        loader.btf(Some(&btf)).verifier_log_level(VerifierLogLevel::STATS);
        for (map, entries) in entries {
            loader.map_max_entries(map, *entries);
        }
        for (name, value) in switches {
            loader.override_global(name, value, true);
        }
        let ebpf = loader.load(bytes).map_err(|e| Refusal::of("", &e))?;
        Ok(Self { ebpf, btf })
    }

    /// The programs alone, once all are loaded: the kernel's types take much memory.
    pub(super) fn into_programs(self) -> Ebpf {
        self.ebpf
    }

    /// Loads one program and attaches it.
    ///
    /// # Errors
    /// Which program, and what the kernel answered.
    pub fn attach(&mut self, name: &str, place: Place<'_>) -> Result<(), Refusal> {
        let Some(program) = self.ebpf.program_mut(name) else {
            return Err(Refusal { hook: name.to_owned(), errno: None, reason: "no such program".to_owned() });
        };
        attach(program, &self.btf, place).map_err(|e| Refusal::of(name, &e))
    }
}

fn attach(program: &mut Program, btf: &Btf, place: Place<'_>) -> Result<(), ProgramError> {
    // A link is what attaches, so that others may attach beside it; the mode says nothing then.
    let mode = CgroupAttachMode::Single;
    match (program, place) {
        (Program::CgroupSkb(program), Place::Cgroup(cgroup)) => {
            program.load()?;
            let Some(direction) = *program.expected_attach_type() else {
                return Err(ProgramError::UnexpectedProgramType);
            };
            program.attach(cgroup, direction, mode).map(drop)
        }
        (Program::CgroupSock(program), Place::Cgroup(cgroup)) => {
            program.load()?;
            program.attach(cgroup, mode).map(drop)
        }
        (Program::CgroupSockAddr(program), Place::Cgroup(cgroup)) => {
            program.load()?;
            program.attach(cgroup, mode).map(drop)
        }
        (Program::BtfTracePoint(program), Place::Tracepoint(name)) => {
            program.load(name, btf)?;
            program.attach().map(drop)
        }
        (Program::Iter(program), Place::Iterator(kind)) => program.load(kind, btf),
        (Program::FEntry(program), Place::Function(name)) => program.load(name, btf),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

/// The descriptor of a loaded program.
pub(crate) fn fd<'a>(object: &'a Object, name: &str) -> Option<BorrowedFd<'a>> {
    Some(object.ebpf.program(name)?.fd().ok()?.as_fd())
}
