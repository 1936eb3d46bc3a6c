//! The system calls of live capture: sockets, the mapped ring, waiting.
//!
//! Everything unsafe of this module tree stands here, and nothing but calls into the kernel.
//! Layouts and numbers are those of `<linux/if_packet.h>`, `<linux/filter.h>` and
//! `<linux/netlink.h>`, which the kernel keeps for good.
#![allow(unsafe_code, reason = "system calls and memory that is shared with the kernel")]

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::program::Instruction;

/// `block_status`, from the start of a block.
const STATUS_AT: usize = 8;
/// `num_pkts`, from there.
const PACKETS_AT: usize = 12;
/// `TP_STATUS_USER`: the block is ours to read.
const TP_STATUS_USER: u32 = 1;
/// `TP_STATUS_KERNEL`: the block is the kernel's to fill.
const TP_STATUS_KERNEL: u32 = 0;

const PACKET_ADD_MEMBERSHIP: i32 = 1;
const PACKET_RX_RING: i32 = 5;
const PACKET_STATISTICS: i32 = 6;
const PACKET_VERSION: i32 = 10;
const PACKET_TIMESTAMP: i32 = 17;
const PACKET_FANOUT: i32 = 18;
const PACKET_MR_PROMISC: u16 = 1;
const TPACKET_V3: i32 = 2;
const SOF_TIMESTAMPING_RAW_HARDWARE: i32 = 1 << 6;

/// A value whose bytes the kernel reads or writes as they are.
///
/// # Safety
/// The type must be `repr(C)` or primitive, have no padding, no pointers, and allow any bits.
unsafe trait Plain: Copy {}
// SAFETY: integers have neither padding nor forbidden values.
unsafe impl Plain for i32 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}

/// `struct tpacket_req3`: the shape of a ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct RingRequest {
    block_size: u32,
    blocks: u32,
    frame_size: u32,
    frames: u32,
    /// `tp_retire_blk_tov`, in milliseconds.
    retire_after: u32,
    private_size: u32,
    features: u32,
}
// SAFETY: seven u32.
unsafe impl Plain for RingRequest {}

/// `struct tpacket_stats_v3`: counts since they were last asked for.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Statistics {
    /// Packets that passed the filter, those without room included.
    pub(super) packets: u32,
    /// Packets that found no room.
    pub(super) drops: u32,
    /// How often the ring was full.
    pub(super) freezes: u32,
}
// SAFETY: three u32.
unsafe impl Plain for Statistics {}

/// `struct packet_mreq`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Membership {
    ifindex: i32,
    kind: u16,
    address_len: u16,
    address: [u8; 8],
}
// SAFETY: 4 + 2 + 2 + 8 bytes, no padding.
unsafe impl Plain for Membership {}

/// `struct sockaddr_ll`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct LinkAddress {
    family: u16,
    /// Network byte order.
    protocol: u16,
    ifindex: i32,
    hatype: u16,
    pkttype: u8,
    halen: u8,
    addr: [u8; 8],
}

/// `struct sockaddr_nl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct NetlinkAddress {
    family: u16,
    pad: u16,
    pid: u32,
    groups: u32,
}

/// `struct sock_fprog`.
#[repr(C)]
struct FilterProgram {
    len: u16,
    code: *const Instruction,
}

/// A socket of ours: closed on drop, never inherited, never blocking.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl Socket {
    /// A packet socket that receives nothing until it is bound.
    pub(super) fn packet() -> io::Result<Self> {
        Self::open(libc::AF_PACKET, libc::SOCK_RAW, 0)
    }

    /// A socket to rtnetlink.
    pub(super) fn route() -> io::Result<Self> {
        Self::open(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)
    }

    fn open(family: i32, kind: i32, protocol: i32) -> io::Result<Self> {
        // SAFETY: takes no pointers.
        let fd = unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, protocol) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened and nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// One that was made elsewhere, and does not block.
    pub(super) fn of(socket: OwnedFd) -> Self {
        Self(socket)
    }

    fn set<T: Plain>(&self, level: i32, name: i32, value: &T) -> io::Result<()> {
        let (at, len) = (std::ptr::from_ref(value).cast::<c_void>(), size_of::<T>() as u32);
        // SAFETY: the kernel reads `len` initialized bytes at `at`; `Plain` has no padding.
        check(unsafe { libc::setsockopt(self.0.as_raw_fd(), level, name, at, len) })
    }

    fn get<T: Plain + Default>(&self, level: i32, name: i32) -> io::Result<T> {
        let mut value = T::default();
        let mut len = size_of::<T>() as u32;
        let at = std::ptr::from_mut(&mut value).cast::<c_void>();
        // SAFETY: the kernel writes at most `len` bytes at `at`, and any bits are a `Plain` value.
        check(unsafe { libc::getsockopt(self.0.as_raw_fd(), level, name, at, &raw mut len) })?;
        Ok(value)
    }

    /// Replaces the filter, between two packets.
    pub(super) fn attach(&self, program: &[Instruction]) -> io::Result<()> {
        let program = FilterProgram { len: program.len() as u16, code: program.as_ptr() };
        let at = (&raw const program).cast::<c_void>();
        let len = size_of::<FilterProgram>() as u32;
        // SAFETY: the kernel copies `len` instructions from `code`, which outlives the call,
        // checks the program, and keeps neither pointer.
        check(unsafe {
            libc::setsockopt(self.0.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, at, len)
        })
    }

    /// The same by an eBPF program, which the kernel holds from then on.
    pub(super) fn attach_extended(&self, program: BorrowedFd<'_>) -> io::Result<()> {
        self.set(libc::SOL_SOCKET, libc::SO_ATTACH_BPF, &program.as_raw_fd())
    }

    /// Receives every protocol from now on: of one interface, or of all for 0.
    pub(super) fn bind_packet(&self, ifindex: i32) -> io::Result<()> {
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        self.bind(&LinkAddress {
            family: libc::AF_PACKET as u16,
            protocol,
            ifindex,
            ..LinkAddress::default()
        })
    }

    /// Listens to the multicast groups of the mask.
    pub(super) fn bind_netlink(&self, groups: u32) -> io::Result<()> {
        self.bind(&NetlinkAddress { family: libc::AF_NETLINK as u16, groups, ..NetlinkAddress::default() })
    }

    fn bind<T>(&self, address: &T) -> io::Result<()> {
        let at = std::ptr::from_ref(address).cast::<libc::sockaddr>();
        // SAFETY: both address types are the family's own `repr(C)` layout without padding; the kernel copies them.
        check(unsafe { libc::bind(self.0.as_raw_fd(), at, size_of::<T>() as u32) })
    }

    /// Stamps packets by the device's clock where the device does so.
    pub(super) fn stamp_by_hardware(&self) -> io::Result<()> {
        self.set(libc::SOL_PACKET, PACKET_TIMESTAMP, &SOF_TIMESTAMPING_RAW_HARDWARE)
    }

    /// Makes the interface receive what is not addressed to it, until this socket is closed.
    pub(super) fn join_promiscuous(&self, ifindex: i32) -> io::Result<()> {
        let membership = Membership { ifindex, kind: PACKET_MR_PROMISC, address_len: 0, address: [0; 8] };
        self.set(libc::SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership)
    }

    /// Shares packets with the other sockets of a fanout group: `id | mode << 16`.
    pub(super) fn join_fanout(&self, argument: u32) -> io::Result<()> {
        self.set(libc::SOL_PACKET, PACKET_FANOUT, &argument)
    }

    /// What the kernel made of [`Socket::join_fanout`].
    pub(super) fn fanout(&self) -> io::Result<u32> {
        self.get(libc::SOL_PACKET, PACKET_FANOUT)
    }

    /// What was received since the last call.
    pub(super) fn statistics(&self) -> io::Result<Statistics> {
        self.get(libc::SOL_PACKET, PACKET_STATISTICS)
    }

    /// The pending error, which this clears; 0 for none.
    pub(super) fn take_error(&self) -> io::Result<i32> {
        self.get(libc::SOL_SOCKET, libc::SO_ERROR)
    }

    /// Bytes that may wait in the socket's own queue, beyond what the system grants everybody.
    pub(super) fn set_queue(&self, bytes: i32) -> io::Result<()> {
        self.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes)
    }

    /// Sends one message to the kernel.
    pub(super) fn send(&self, message: &[u8]) -> io::Result<()> {
        // SAFETY: the kernel reads `len` bytes of a live slice.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), message.as_ptr().cast(), message.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// One datagram; `None` when none is waiting. What does not fit is cut off.
    pub(super) fn receive(&self, into: &mut [u8]) -> io::Result<Option<usize>> {
        // SAFETY: the kernel writes at most `len` bytes into an exclusively borrowed slice.
        let got = unsafe { libc::recv(self.0.as_raw_fd(), into.as_mut_ptr().cast(), into.len(), 0) };
        if got >= 0 {
            return Ok(Some(got as usize));
        }
        match io::Error::last_os_error() {
            e if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            e => Err(e),
        }
    }
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Which of the sockets have something to say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ready {
    /// The first has an error to take.
    pub(super) error: bool,
    /// The second can be read.
    pub(super) links: bool,
    /// The third can be read.
    pub(super) bell: bool,
}

/// Sleeps until one of the sockets has something to say, at most for `timeout`. A signal ends the sleep.
pub(super) fn wait(
    packets: &Socket,
    links: &Socket,
    bell: Option<&Socket>,
    timeout: Duration,
) -> io::Result<Ready> {
    let number = |s: &Socket| s.0.as_raw_fd();
    // The kernel passes over numbers below zero.
    let fds = [number(packets), number(links), bell.map_or(-1, number)];
    let mut fds = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let millis = timeout.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128) as i32;
    // SAFETY: the kernel reads and writes the entries of a live array, of that length.
    let got = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, millis) };
    if got < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted { Ok(Ready::default()) } else { Err(error) };
    }
    let [packets, links, bell] = fds.map(|fd| fd.revents);
    Ok(Ready { error: packets & libc::POLLERR != 0, links: links != 0, bell: bell != 0 })
}

/// Waits until whoever handles a packet now is done with it: taps and their filters run inside of what the kernel calls a
/// read-side critical section of RCU (membarrier(2), `MEMBARRIER_CMD_GLOBAL`; Linux 4.3).
pub(super) fn wait_for_packets_on_their_way() -> io::Result<()> {
    const GLOBAL: i32 = 1;
    // SAFETY: it takes three numbers, and touches no memory of ours.
    let done = unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0, 0) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Runs `open` in a network namespace, given by its file; in the caller's own without one.
///
/// A socket belongs for good to the namespace in which it was made.
pub(super) fn within<T: Send>(
    namespace: Option<&Path>,
    open: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    let Some(path) = namespace else { return open() };
    let file = File::open(path)?;
    let inside = move || {
        // SAFETY: takes no pointers; it changes the namespace of this thread only, which ends below.
        check(unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) })?;
        open()
    };
    std::thread::scope(|scope| scope.spawn(inside).join())
        .unwrap_or_else(|_| Err(io::Error::other("the opening thread panicked")))
}

/// The blocks of a ring, mapped. The kernel and we write to them by turns, block by block.
#[derive(Debug)]
pub(super) struct Blocks {
    base: NonNull<u8>,
    block_size: usize,
    count: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and has one owner.
unsafe impl Send for Blocks {}

impl Blocks {
    /// Makes a ring of `count` blocks of `block_size` bytes (a multiple of the page size) on `socket`
    /// and maps it. A block that is not full is handed over after `retire_after` milliseconds.
    pub(super) fn map(socket: &Socket, block_size: u32, count: u32, retire_after: u32) -> io::Result<Self> {
        /// Only its relation to the block size matters for blocks of packets of any length.
        const FRAME: u32 = 2048;
        socket.set(libc::SOL_PACKET, PACKET_VERSION, &TPACKET_V3)?;
        let request = RingRequest {
            block_size,
            blocks: count,
            frame_size: FRAME,
            frames: block_size / FRAME * count,
            retire_after,
            ..RingRequest::default()
        };
        socket.set(libc::SOL_PACKET, PACKET_RX_RING, &request)?;
        let (block_size, count) = (block_size as usize, count as usize);
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: a new mapping at an address of the kernel's choice; its length is that of the ring just made.
        let at = unsafe {
            libc::mmap(std::ptr::null_mut(), block_size * count, protection, flags, socket.0.as_raw_fd(), 0)
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(at.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { base, block_size, count })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// A word of the head of block `number` that both sides access as a whole.
    fn word(&self, number: usize, at: usize) -> &AtomicU32 {
        assert!(number < self.count && matches!(at, STATUS_AT | PACKETS_AT));
        // SAFETY: both words of `struct tpacket_block_desc` lie inside the block, aligned to 4 (blocks are page-aligned),
        // stay mapped as long as `self`, and are only accessed as whole words by both sides.
        unsafe { AtomicU32::from_ptr(self.base.as_ptr().add(number * self.block_size + at).cast()) }
    }

    /// The word by which block `number` changes hands.
    fn status(&self, number: usize) -> &AtomicU32 {
        self.word(number, STATUS_AT)
    }

    /// Whether the kernel has put nothing into block `number`, which it has or which is ours next. One that is given back
    /// has what it had before until the kernel begins with it.
    pub(super) fn is_empty(&self, number: usize) -> bool {
        !self.is_ours(number) && self.word(number, PACKETS_AT).load(Ordering::Relaxed) == 0
    }

    /// Whether block `number` is ours now.
    pub(super) fn is_ours(&self, number: usize) -> bool {
        // Acquire: what the kernel wrote before it handed the block over is seen after this.
        self.status(number).load(Ordering::Acquire) & TP_STATUS_USER != 0
    }

    /// How many blocks are ours, one after the other, from number `at` on.
    pub(super) fn full(&self, at: usize) -> usize {
        (0..self.count).take_while(|n| self.is_ours((at + n) % self.count)).count()
    }

    /// Block `number`, if it is ours now.
    pub(super) fn get(&self, number: usize) -> Option<&[u8]> {
        if !self.is_ours(number) {
            return None;
        }
        // SAFETY: the block lies inside the mapping; the kernel does not write to a block that it has handed over,
        // and we hand it back only by `give_back`, which needs `self` exclusively, so after this borrow.
        Some(unsafe {
            std::slice::from_raw_parts(self.base.as_ptr().add(number * self.block_size), self.block_size)
        })
    }

    /// Hands block `number` back to the kernel.
    pub(super) fn give_back(&mut self, number: usize) {
        // Release: what we read of the block was read before the kernel may write to it.
        self.status(number).store(TP_STATUS_KERNEL, Ordering::Release);
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that `map` made; no slice of it outlives `self`. It cannot fail then.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.block_size * self.count) };
    }
}
