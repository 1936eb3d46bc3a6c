//! The system calls of reading through the page cache: leases, mappings.
#![allow(unsafe_code, reason = "system calls, and memory that the kernel shares with files")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

/// Chooses the signal that tells of a broken lease (`<asm-generic/fcntl.h>`); libc has no name for it.
const F_SETSIG: i32 = 10;

/// Takes a read lease on a file (`F_SETLEASE`, fcntl(2)): whoever wants to write to it or to cut it waits until the
/// lease is given back, or for `/proc/sys/fs/lease-break-time` (45 seconds by default).
///
/// Fails where somebody has the file open for writing, for files of others without `CAP_LEASE`, and on file systems
/// that know no leases.
pub(super) fn lease(file: &File) -> io::Result<()> {
    // A broken lease is told by a signal, too. This one is ignored unless somebody wants it; SIGIO would end us.
    fcntl(file, F_SETSIG, libc::SIGURG)?;
    fcntl(file, libc::F_SETLEASE, libc::F_RDLCK).map(drop)
}

/// Whether nobody has asked for the lease back.
pub(super) fn holds(file: &File) -> bool {
    fcntl(file, libc::F_GETLEASE, 0).is_ok_and(|kind| kind == libc::F_RDLCK)
}

/// Gives a lease back; failing, it ends when the file is closed.
pub(super) fn give_back(file: &File) {
    let _ = fcntl(file, libc::F_SETLEASE, libc::F_UNLCK);
}

fn fcntl(file: &File, command: i32, argument: i32) -> io::Result<i32> {
    // SAFETY: these commands take an integer.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), command, argument) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Bytes of a file, as they lie in the page cache.
///
/// Whoever makes one holds a lease of the file for as long as the bytes are lent: that nobody changes them is what
/// makes them a slice.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory belongs to the value alone, and is only read.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps `len` bytes (not 0) from `offset`, a multiple of the page size, and has them read from the disk.
    ///
    /// What the disk cannot give is an error here. What it gave stays in the page cache for the milliseconds until it is
    /// looked at, if anything does: only if it were thrown out by then, and the disk failed when it is read once more, would the
    /// kernel end the process (SIGBUS). To lock it (`mlock`) takes as long again as to map it, since each page goes from list to
    /// list and back.
    ///
    /// Kernels before 5.14 can read pages in only if they lock them: there, too, where the user may lock less
    /// (`RLIMIT_MEMLOCK`), it is an error.
    pub(super) fn new(file: &File, offset: u64, len: usize) -> io::Result<Self> {
        let offset = i64::try_from(offset).map_err(io::Error::other)?;
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory of ours.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), offset)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Self { start, len };
        // SAFETY: the range is the mapping that was just made; reading pages in changes nothing of what is in them.
        if unsafe { libc::madvise(start.as_ptr().cast(), len, libc::MADV_POPULATE_READ) } == 0 {
            return Ok(mapping);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::InvalidInput {
            return Err(error);
        }
        // SAFETY: the same; unmapping them gives them free.
        let read = unsafe { libc::mlock(start.as_ptr().cast(), len) };
        if read < 0 { Err(io::Error::last_os_error()) } else { Ok(mapping) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: so many bytes are mapped until the value is dropped, and the file's lease keeps others from changing
        // them or taking them away meanwhile.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's, and no slice of it outlives the value.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// Has the kernel begin to read so many bytes, unless the first and the last of them are in its cache: to look for all pages takes it
/// a thirtieth of what counting takes. Failing, they are read when they are wanted.
pub(super) fn read_ahead(file: &File, offset: u64, len: usize) {
    let (Ok(offset), Ok(len)) = (i64::try_from(offset), i64::try_from(len)) else { return };
    if is_there(file, offset) && is_there(file, offset + len - 1) {
        return;
    }
    // SAFETY: advice about a descriptor; no memory is touched.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), offset, len, libc::POSIX_FADV_WILLNEED) };
}

/// Whether a byte is in the page cache, or lies behind the end of the file.
fn is_there(file: &File, offset: i64) -> bool {
    let mut byte = 0_u8;
    let part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // SAFETY: it may write the one byte that `part` tells of.
    unsafe { libc::preadv2(file.as_raw_fd(), &raw const part, 1, offset, libc::RWF_NOWAIT) >= 0 }
}
