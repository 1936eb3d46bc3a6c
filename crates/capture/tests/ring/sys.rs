//! The system calls of the tests: other namespaces, raw frames, a tun device.
#![allow(unsafe_code, reason = "system calls")]
#![allow(dead_code, reason = "each test program uses its part")]

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Runs `body` in a network namespace.
pub(crate) fn within<T: Send>(namespace: &Path, body: impl FnOnce() -> T + Send) -> T {
    let inside = || {
        let file = File::open(namespace).unwrap();
        // SAFETY: takes no pointers; only this thread, which ends below, changes its namespace.
        check(unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) }).unwrap();
        body()
    };
    std::thread::scope(|scope| scope.spawn(inside).join().unwrap())
}

fn set(socket: &impl AsRawFd, level: i32, option: i32, value: i32) {
    let (at, size) = ((&raw const value).cast(), size_of::<i32>() as u32);
    // SAFETY: the kernel reads one live integer.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, at, size) }).unwrap();
}

/// Whatever the socket sends is datagrams of so many bytes, in one packet as far as the interface goes.
pub(crate) fn send_segmented(socket: &UdpSocket, each: i32) {
    set(socket, libc::SOL_UDP, libc::UDP_SEGMENT, each);
}

/// What says of a segment of TCP that it is to be split, where IP has a header of so many bytes (`struct virtio_net_hdr`).
pub(crate) fn large(ip: u16, each: u16) -> Vec<u8> {
    const NEEDS_CHECKSUM: u8 = 1;
    let protocol = if ip == 20 { 1 } else { 4 };
    let (start, of_checksum) = (14 + ip, 16);
    let words = [start + 32, each, start, of_checksum];
    [vec![NEEDS_CHECKSUM, protocol], words.iter().flat_map(|word| word.to_ne_bytes()).collect()].concat()
}

/// Sends frames as they are.
pub(crate) struct RawSender {
    fd: OwnedFd,
    ifindex: i32,
}

impl RawSender {
    /// On an interface of the current namespace.
    pub(crate) fn open(interface: &str) -> Self {
        let name = CString::new(interface).unwrap();
        // SAFETY: `name` is a live C string.
        let ifindex = unsafe { libc::if_nametoindex(name.as_ptr()) } as i32;
        assert_ne!(ifindex, 0, "{interface}");
        // SAFETY: takes no pointers.
        let fd =
            check(unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) }).unwrap();
        // SAFETY: `fd` was just opened and nobody else knows it.
        Self { fd: unsafe { OwnedFd::from_raw_fd(fd) }, ifindex }
    }

    /// The same; what is sent begins with [`large`].
    pub(crate) fn open_large(interface: &str) -> Self {
        let sender = Self::open(interface);
        set(&sender.fd, libc::SOL_PACKET, libc::PACKET_VNET_HDR, 1);
        sender
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        // SAFETY: all zeros are a valid `sockaddr_ll`.
        let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_ifindex = self.ifindex;
        let size = size_of::<libc::sockaddr_ll>() as u32;
        // SAFETY: the kernel reads a live slice and a live address, of the lengths given.
        let sent = unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const to).cast(),
                size,
            )
        };
        assert_eq!(sent, frame.len() as isize, "{}", io::Error::last_os_error());
    }

    /// Sends them all, many with one call.
    pub(crate) fn send_all(&self, frames: &[Vec<u8>]) {
        // SAFETY: all zeros are a valid `sockaddr_ll`.
        let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_ifindex = self.ifindex;
        let mut parts: Vec<libc::iovec> = frames
            .iter()
            .map(|frame| libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() })
            .collect();
        let mut messages: Vec<libc::mmsghdr> = parts
            .iter_mut()
            .map(|part| {
                // SAFETY: all zeros are a valid `mmsghdr`.
                let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
                message.msg_hdr.msg_name = (&raw mut to).cast();
                message.msg_hdr.msg_namelen = size_of::<libc::sockaddr_ll>() as u32;
                message.msg_hdr.msg_iov = part;
                message.msg_hdr.msg_iovlen = 1;
                message
            })
            .collect();
        let mut rest = &mut messages[..];
        while !rest.is_empty() {
            let count = rest.len().min(1024) as u32;
            // SAFETY: the kernel reads what the live messages point to, and writes into them.
            let sent = check(unsafe { libc::sendmmsg(self.fd.as_raw_fd(), rest.as_mut_ptr(), count, 0) });
            rest = &mut rest[sent.unwrap() as usize..];
        }
    }
}

/// A tun device, from the side of the program behind it.
pub(crate) struct Tun(File);

impl Tun {
    /// In the current namespace.
    pub(crate) fn open(name: &str) -> Self {
        let file = File::options().read(true).write(true).open("/dev/net/tun").unwrap();
        // SAFETY: all zeros are a valid `ifreq`.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as i16;
        // SAFETY: the kernel reads and writes one `ifreq`.
        check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) }).unwrap();
        Self(file)
    }

    /// The device receives `packet`.
    pub(crate) fn send(&mut self, packet: &[u8]) {
        self.0.write_all(packet).unwrap();
    }

    /// A packet that was sent to the device.
    pub(crate) fn receive(&mut self) -> Vec<u8> {
        let mut packet = vec![0; 65_536];
        let length = self.0.read(&mut packet).unwrap();
        packet.truncate(length);
        packet
    }
}
