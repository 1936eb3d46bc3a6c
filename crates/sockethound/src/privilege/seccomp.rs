//! Which system calls are left (seccomp(2)).
//!
//! What is not on a list is refused with `EPERM`, not punished: a call that a
//! library makes on some other system should cost what it was for, not the run.
//! The few calls that nothing here could ever make are punished, since only code
//! that was brought in from outside makes them, and a killed process leaves a
//! record in the audit log.
//!
//! seccomp sees numbers, not what pointers point at: which address a socket is
//! bound, and which file is opened, it cannot tell. There are no new sockets, and
//! the old ones send only to whom they were connected; files are Landlock's. What
//! is left to whoever takes the process over is to send frames through the packet
//! socket, which the kernel cannot be told to use for receiving only.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use libc::c_long;
use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule, TargetArch, apply_filter,
};

/// A call that is allowed if the argument, masked, has this value.
#[derive(Clone, Copy, Debug)]
struct Only {
    call: c_long,
    argument: u8,
    mask: u64,
    value: u64,
}

/// What a process may call.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    always: Vec<c_long>,
    only: Vec<Only>,
}

/// Memory, time, signals to itself, open files, its own end.
const ALL: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_getsockopt,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mlock,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_newfstatat,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_preadv2,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_setsockopt,
    libc::SYS_sigaltstack,
    libc::SYS_statx,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_getdents64,
];

/// Besides: threads, waiting for many things, sockets that are open, files that Landlock allows.
const PACKETS: &[c_long] = &[
    libc::SYS_bind,   // a packet socket, to an interface that has come again
    libc::SYS_clone3, // answered below
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fdatasync,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getpeername,
    libc::SYS_getrusage,
    libc::SYS_getsockname,
    libc::SYS_membarrier,
    libc::SYS_openat,
    libc::SYS_pipe2,
    libc::SYS_pselect6,
    libc::SYS_pwrite64,
    libc::SYS_recvmmsg,
    libc::SYS_rseq,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sched_setaffinity,
    libc::SYS_set_robust_list,
    libc::SYS_shutdown,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_gettime,
    libc::SYS_timerfd_settime,
    libc::SYS_wait4,
    libc::SYS_waitid,
];

/// Older forms of calls on the lists; newer architectures never had them.
#[cfg(target_arch = "x86_64")]
const PACKETS_FORMER: &[c_long] = &[
    libc::SYS_access,
    libc::SYS_dup2,
    libc::SYS_epoll_wait,
    libc::SYS_getdents,
    libc::SYS_lstat,
    libc::SYS_open,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_select,
    libc::SYS_stat,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const PACKETS_FORMER: &[c_long] = &[];

/// The same for the process that looks up owners.
#[cfg(target_arch = "x86_64")]
const OWNERS_FORMER: &[c_long] = &[libc::SYS_lstat, libc::SYS_poll, libc::SYS_readlink, libc::SYS_stat];
#[cfg(not(target_arch = "x86_64"))]
const OWNERS_FORMER: &[c_long] = &[];

/// What only foreign code calls.
const FATAL: &[c_long] = &[
    libc::SYS_add_key,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_umount2,
    libc::SYS_userfaultfd,
];

/// For every process: no memory becomes code, and nothing is sent but to whom the socket was connected before.
const NARROW: [Only; 3] = [
    Only { call: libc::SYS_mmap, argument: 2, mask: libc::PROT_EXEC as u64, value: 0 },
    Only { call: libc::SYS_mprotect, argument: 2, mask: libc::PROT_EXEC as u64, value: 0 },
    Only { call: libc::SYS_sendto, argument: 4, mask: WHOLE, value: 0 },
];

/// bpf(2): reads an entry of a map.
const BPF_MAP_LOOKUP_ELEM: u64 = 1;
/// bpf(2): begins a run of an iterator that is attached.
const BPF_ITER_CREATE: u64 = 33;

/// Every bit of an argument.
const WHOLE: u64 = u64::MAX;

/// What the process that reads packets may call.
#[allow(clippy::unnecessary_cast, reason = "the requests are of another type where the C library is musl")]
pub(super) fn packets() -> Calls {
    let only = |call, argument, value| Only { call, argument, mask: WHOLE, value };
    let ioctl = |request: u64| only(libc::SYS_ioctl, 1, request);
    let thread = libc::CLONE_THREAD as u64;
    let mut all = vec![
        // Threads, no processes.
        Only { call: libc::SYS_clone, argument: 0, mask: thread, value: thread },
        only(libc::SYS_tgkill, 0, u64::from(std::process::id())),
        only(libc::SYS_prctl, 0, libc::PR_SET_NAME as u64),
        // Limits are asked for, not set.
        only(libc::SYS_prlimit64, 2, 0),
        ioctl(libc::TIOCGWINSZ as u64),
        ioctl(libc::TCGETS as u64),
        ioctl(libc::FIONBIO as u64),
        ioctl(libc::FIONREAD as u64),
    ];
    all.extend(NARROW);
    Calls { always: [ALL, PACKETS, PACKETS_FORMER].concat(), only: all }
}

/// What the process that looks up owners may call: files are read, and never written.
pub(super) fn owners() -> Calls {
    let writing = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC) as u64;
    let mut only = vec![
        Only { call: libc::SYS_openat, argument: 2, mask: writing, value: libc::O_RDONLY as u64 },
        #[cfg(target_arch = "x86_64")]
        Only { call: libc::SYS_open, argument: 1, mask: writing, value: libc::O_RDONLY as u64 },
        Only { call: libc::SYS_tgkill, argument: 0, mask: WHOLE, value: u64::from(std::process::id()) },
        // What programs in the kernel count, and the lists they make; no further programs.
        Only { call: libc::SYS_bpf, argument: 0, mask: WHOLE, value: BPF_MAP_LOOKUP_ELEM },
        Only { call: libc::SYS_bpf, argument: 0, mask: WHOLE, value: BPF_ITER_CREATE },
    ];
    only.extend(NARROW);
    Calls { always: [ALL, OWNERS_FORMER].concat(), only }
}

/// Refuses all but `calls` to the calling thread and all that it will start.
///
/// # Errors
/// If the kernel refuses; one that cannot, or an unknown architecture, is a line to say.
pub(super) fn install(calls: &Calls) -> Result<Option<String>> {
    let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else {
        return Ok(Some(format!(
            "warning: no list of system calls for {}: all are allowed",
            std::env::consts::ARCH
        )));
    };
    for filter in filters(calls, arch)? {
        match apply_filter(&filter) {
            Err(seccompiler::Error::Seccomp(error)) if is_missing(&error) => {
                return Ok(Some(
                    "warning: this kernel has no seccomp filters: all system calls are allowed".to_owned(),
                ));
            }
            other => other.context("cannot restrict system calls")?,
        }
    }
    Ok(None)
}

fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL))
}

/// Of several filters the sternest speaks. The last one allows no further.
fn filters(calls: &Calls, arch: TargetArch) -> Result<[BpfProgram; 3]> {
    let plain = |list: &[c_long]| list.iter().map(|call| (*call, Vec::new())).collect::<BTreeMap<_, _>>();
    let build = |rules, otherwise, matched| -> Result<BpfProgram> {
        Ok(SeccompFilter::new(rules, otherwise, matched, arch)?.try_into()?)
    };
    let errno = |code: i32| SeccompAction::Errno(code as u32);
    let mut allowed = plain(&calls.always);
    for only in &calls.only {
        allowed.entry(only.call).or_default().push(only.rule()?);
    }
    Ok([
        // Its flags are behind a pointer; whoever hears of no such call takes clone, whose flags can be seen.
        build(plain(&[libc::SYS_clone3]), SeccompAction::Allow, errno(libc::ENOSYS))?,
        build(plain(FATAL), SeccompAction::Allow, SeccompAction::KillProcess)?,
        build(allowed, errno(libc::EPERM), SeccompAction::Allow)?,
    ])
}

impl Only {
    fn rule(&self) -> Result<SeccompRule> {
        // The kernel looks at the lower half of the arguments that have 32 bits.
        let length =
            if self.call == libc::SYS_prlimit64 || self.call == libc::SYS_clone { Qword } else { Dword };
        let operator = if self.mask == WHOLE { Eq } else { MaskedEq(self.mask) };
        let condition = SeccompCondition::new(self.argument, length, operator, self.value)?;
        Ok(SeccompRule::new(vec![condition])?)
    }
}

/// Whether a filter can be installed, found by a thread that does nothing else.
pub(crate) fn probe() -> Result<()> {
    let probe = || match install(&packets())? {
        Some(line) => anyhow::bail!(line),
        None => Ok(()),
    };
    std::thread::spawn(probe).join().unwrap_or_else(|_| anyhow::bail!("the probe panicked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_have_no_call_that_makes_sockets_or_programs() {
        let never = [
            libc::SYS_socket,
            libc::SYS_socketpair,
            libc::SYS_connect,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_setns,
            libc::SYS_unshare,
            libc::SYS_kill,
            libc::SYS_sendmsg,
            libc::SYS_sendmmsg,
        ];
        for calls in [packets(), owners()] {
            for call in never {
                assert!(!calls.always.contains(&call) && calls.only.iter().all(|only| only.call != call));
            }
            assert!(FATAL.iter().all(|call| !calls.always.contains(call)));
            // An entry that is always allowed would void its condition.
            assert!(calls.only.iter().all(|only| !calls.always.contains(&only.call)));
        }
    }

    #[test]
    fn filters_are_built_for_every_known_machine() {
        for arch in [TargetArch::x86_64, TargetArch::aarch64, TargetArch::riscv64] {
            for filter in
                filters(&packets(), arch).unwrap().into_iter().chain(filters(&owners(), arch).unwrap())
            {
                assert!(!filter.is_empty() && filter.len() < 4096);
            }
        }
    }

    #[test]
    fn a_filter_can_be_installed() {
        probe().unwrap();
    }
}
