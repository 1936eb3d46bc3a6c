//! The programs in the kernel that tell owners, for the process that looks them up.
//!
//! They are loaded before privileges are dropped, and stay as long as the process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;

use capture::bpf::{self, Event, Hooks, RoundTrip, Total};
use host::kernel::Kernel;
use host::service::Greeting;

use super::owners::Manner;
use super::rung::Rung;

/// What tells owners; not there where nothing can, or nothing shall. And what there is to say of it.
pub(super) fn open(manner: Manner) -> (Option<Told>, Greeting) {
    if manner.no_bpf {
        return (None, Greeting::default());
    }
    let ring_bytes = (manner.bpf_ring << 10).next_power_of_two();
    let opened = Hooks::open(&bpf::Options { ring_bytes, ..bpf::Options::default() });
    let rung = Rung::of(&opened);
    let lines = rung.line().into_iter().collect();
    // Any socket tells the namespace.
    let home = UnixDatagram::unbound().and_then(|socket| bpf::namespace_cookie(socket.as_fd()));
    match (opened, home) {
        (Ok(hooks), Ok(home)) => {
            let (counts, tells_all) = (hooks.counts(), rung.letter == 'A');
            (Some(Told { hooks, home, tells_all }), Greeting { told: true, counts, lines })
        }
        _ => (None, Greeting { lines, ..Greeting::default() }),
    }
}

/// Programs that are attached.
#[derive(Debug)]
pub(super) struct Told {
    hooks: Hooks,
    /// The cookie of this network namespace.
    home: u64,
    /// No kind of socket is left out.
    tells_all: bool,
}

impl Kernel for Told {
    fn read(&mut self, each: &mut dyn FnMut(Event)) {
        self.hooks.read(each);
    }

    fn wake_by_next(&mut self, wanted: bool) {
        self.hooks.wake_by_next(wanted);
    }

    fn take_lost(&mut self) -> u64 {
        self.hooks.take_lost()
    }

    fn snapshot(&mut self, each: &mut dyn FnMut(Event)) -> io::Result<()> {
        self.hooks.snapshot(each)
    }

    fn accounts(
        &mut self,
        round_trip: &mut dyn FnMut(RoundTrip),
        total: &mut dyn FnMut(Total),
    ) -> io::Result<()> {
        self.hooks.accounts(round_trip, total)
    }

    fn home(&self) -> u64 {
        self.home
    }

    fn tells_use(&self) -> bool {
        self.hooks.attached().contains(&"sock_recv_length")
    }

    fn tells_all(&self) -> bool {
        self.tells_all
    }

    fn cgroups(&self) -> Option<BorrowedFd<'_>> {
        self.hooks.cgroup()
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        self.hooks.as_fd()
    }
}
