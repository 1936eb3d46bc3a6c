//! The system calls that the loader has none for: iterators, memory of maps, mounts, namespaces.
//!
//! Numbers and layouts are those of `<linux/bpf.h>`, `<linux/mount.h>` and
//! `<asm-generic/socket.h>`, which the kernel keeps for good.
#![allow(unsafe_code, reason = "system calls and memory that is shared with the kernel")]

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_ITER_CREATE: libc::c_long = 33;
const BPF_TRACE_ITER: u32 = 28;
/// `SO_NETNS_COOKIE`
const SO_NETNS_COOKIE: i32 = 71;
/// `FSCONFIG_CMD_CREATE`
const FSCONFIG_CMD_CREATE: libc::c_ulong = 6;
/// `FSOPEN_CLOEXEC`, and `FSMOUNT_CLOEXEC`
const CLOEXEC: libc::c_ulong = 1;

/// `union bpf_attr` of `BPF_LINK_CREATE`, for iterators.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    info: u64,
    info_length: u32,
    unused: u32,
}

/// `union bpf_attr` of `BPF_ITER_CREATE`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct IterCreate {
    link: u32,
    flags: u32,
}

fn checked(result: libc::c_long) -> io::Result<RawFd> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as RawFd) }
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    let fd = checked(result)?;
    // SAFETY: the kernel has just made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A link of an iterator; over the entries of `map`, if there is one.
pub(super) fn iterator_link(program: BorrowedFd<'_>, map: Option<BorrowedFd<'_>>) -> io::Result<OwnedFd> {
    // `union bpf_iter_link_info`: the map's descriptor comes first.
    let info: [u32; 4] = [map.map_or(0, |map| map.as_raw_fd() as u32), 0, 0, 0];
    let attributes = LinkCreate {
        program: program.as_raw_fd() as u32,
        attach_type: BPF_TRACE_ITER,
        info: if map.is_some() { info.as_ptr() as u64 } else { 0 },
        info_length: if map.is_some() { size_of::<[u32; 4]>() as u32 } else { 0 },
        ..LinkCreate::default()
    };
    // SAFETY: bpf(2) reads `attributes`, and `info` behind it, for as long as the call takes.
    owned(unsafe {
        libc::syscall(libc::SYS_bpf, BPF_LINK_CREATE, &raw const attributes, size_of::<LinkCreate>())
    })
}

/// One run of an iterator, as a file to read.
pub(super) fn iterate(link: BorrowedFd<'_>) -> io::Result<File> {
    let attributes = IterCreate { link: link.as_raw_fd() as u32, flags: 0 };
    // SAFETY: bpf(2) reads `attributes` for as long as the call takes.
    owned(unsafe {
        libc::syscall(libc::SYS_bpf, BPF_ITER_CREATE, &raw const attributes, size_of::<IterCreate>())
    })
    .map(File::from)
}

/// The cookie of the network namespace that a socket is in (socket(7), Linux 5.14).
pub(super) fn namespace_cookie(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut cookie = 0_u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: getsockopt(2) writes at most `length` bytes, which `cookie` has.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    checked(libc::c_long::from(result)).map(|_| cookie)
}

/// The memory of an array map (`BPF_F_MMAPABLE`), which programs read and write, too: words, each accessed as a whole.
#[derive(Debug)]
pub(crate) struct Words {
    base: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread; atomics may be shared.
unsafe impl Send for Words {}

impl Words {
    /// Maps the first `count` words of a map.
    pub(crate) fn map(map: BorrowedFd<'_>, count: usize) -> io::Result<Self> {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: a new mapping at an address of the kernel's choice; the kernel refuses a length beyond the map's.
        let at = unsafe {
            libc::mmap(std::ptr::null_mut(), count * size_of::<u64>(), protection, flags, map.as_raw_fd(), 0)
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(at.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { base, count })
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[AtomicU64] {
        // SAFETY: `map` mapped so many words for as long as `self` lives; pages are aligned, any bits are a word, and
        // whoever else writes them does so by aligned accesses.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.count) }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that `map` made; no slice of it outlives `self`. It cannot fail then.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.count * size_of::<u64>()) };
    }
}

/// A mount of the file system `kind` that is nowhere to be seen, as a folder; takes `CAP_SYS_ADMIN`.
pub(super) fn detached_mount(kind: &CStr) -> io::Result<OwnedFd> {
    // SAFETY: fsopen(2) reads the text, which ends with a zero.
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), CLOEXEC) })?;
    let none = std::ptr::null::<libc::c_char>();
    // SAFETY: fsconfig(2) with this command reads neither key nor value.
    checked(unsafe {
        libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_CMD_CREATE, none, none, 0)
    })?;
    // SAFETY: fsmount(2) takes numbers only.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), CLOEXEC, 0) })
}
