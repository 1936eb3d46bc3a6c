//! What wakes the worker that looks whether a live run is to end or to report.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use signal_hook::low_level::pipe;

/// Rings for the worker that looks at [`Watch`](super::Watch), which sleeps for long where nothing passes.
#[derive(Debug)]
pub struct Bell(UnixStream);

impl Bell {
    /// A bell, and what becomes readable when it rings.
    ///
    /// # Errors
    /// Those of making a socket pair.
    pub fn new() -> io::Result<(Self, OwnedFd)> {
        let (rings, heard) = UnixStream::pair()?;
        // One that is full has rung.
        rings.set_nonblocking(true)?;
        heard.set_nonblocking(true)?;
        Ok((Self(rings), heard.into()))
    }

    /// Has it rung by a signal, from now on, behind what was registered before.
    ///
    /// # Errors
    /// Those of registering.
    pub fn ring_by(&self, signal: i32) -> io::Result<()> {
        pipe::register(signal, self.0.try_clone()?).map(drop)
    }

    /// Rings; where nobody hears any more, all have ended.
    pub fn ring(&self) {
        let _ = (&self.0).write(&[0]);
    }
}
