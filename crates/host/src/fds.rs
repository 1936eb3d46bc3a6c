//! The sockets among a process's open files: `/proc/<pid>/fd`.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{self, Mode, OFlags, RawDir};
use rustix::io::Errno;

use crate::proc::bracketed;

/// How many files a process has open, by the size of its `fd` folder (since
/// Linux 6.2; `None` before, or if it has ended).
pub(crate) fn count(path: &Path) -> Option<u64> {
    positive(fs::stat(path).ok()?.st_size)
}

fn positive(size: i64) -> Option<u64> {
    u64::try_from(size).ok().filter(|count| *count > 0)
}

/// The open folder `/proc/<pid>/fd`.
#[derive(Debug)]
pub(crate) struct FdFolder(OwnedFd);

impl FdFolder {
    /// Opens it.
    ///
    /// # Errors
    /// `PermissionDenied` for another user's process without `CAP_SYS_PTRACE`
    /// or `CAP_DAC_READ_SEARCH`, `NotFound` if it has ended.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(fs::open(path, flags, Mode::empty())?))
    }

    /// How many files are open; see [`count`].
    pub(crate) fn count(&self) -> Option<u64> {
        positive(fs::fstat(&self.0).ok()?.st_size)
    }

    /// Gives the number of every open file to `each`, in ascending order.
    pub(crate) fn list(&self, mut each: impl FnMut(u32)) -> io::Result<()> {
        fs::seek(&self.0, fs::SeekFrom::Start(0))?;
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut entries = RawDir::new(&self.0, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(Errno::NOENT) => return Ok(()), // it ended meanwhile
                Err(errno) => return Err(errno.into()),
            };
            if let Some(number) = entry.file_name().to_str().ok().and_then(|name| name.parse().ok()) {
                each(number);
            }
        }
        Ok(())
    }

    /// Inode of the socket behind a file number; `None` if it is no socket, or
    /// not open.
    ///
    /// # Errors
    /// `PermissionDenied`, alike for every number: some processes may be listed
    /// but not read (ptrace(2), access mode checking).
    pub(crate) fn socket(&self, number: u32) -> io::Result<Option<u64>> {
        let mut name = [0; 11];
        let Some(name) = decimal(number, &mut name) else { return Ok(None) };
        let mut link = [MaybeUninit::<u8>::uninit(); 40];
        match fs::readlinkat_raw(&self.0, name, &mut link[..]) {
            Ok((link, _)) => Ok(bracketed(link, b"socket:[")),
            Err(errno @ (Errno::ACCESS | Errno::PERM)) => Err(errno.into()),
            Err(_) => Ok(None),
        }
    }
}

/// The number as a C string at the end of `buffer`.
fn decimal(mut number: u32, buffer: &mut [u8; 11]) -> Option<&CStr> {
    let mut at = buffer.len() - 1;
    loop {
        at -= 1;
        *buffer.get_mut(at)? = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return CStr::from_bytes_with_nul(buffer.get(at..)?).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn numbers_as_names() {
        for number in [0, 9, 10, 4711, u32::MAX] {
            assert_eq!(decimal(number, &mut [0; 11]).unwrap().to_str().unwrap(), number.to_string());
        }
    }

    #[test]
    fn an_own_socket_is_found() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let folder = FdFolder::open(Path::new("/proc/self/fd")).unwrap();
        let mut numbers = Vec::new();
        folder.list(|number| numbers.push(number)).unwrap();
        let number = socket.as_raw_fd() as u32;
        assert!(numbers.contains(&number));
        assert!(folder.socket(number).unwrap().is_some_and(|inode| inode > 0));
        assert_eq!(folder.socket(u32::MAX).unwrap(), None);
        let file = std::fs::File::open("/proc/self/stat").unwrap();
        assert_eq!(folder.socket(file.as_raw_fd() as u32).unwrap(), None);
    }
}
