//! Known traffic.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use crate::lab::Lab;

/// A UDP socket in a namespace, which does not wait for ever.
pub(crate) fn udp(lab: &Lab, side: &str, at: &str) -> UdpSocket {
    let at = lab.at(at);
    let socket = lab.within(side, move || UdpSocket::bind(at).unwrap_or_else(|e| panic!("{at}: {e}")));
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

/// `count` datagrams of `size` bytes from `here` to where `there` is bound, each answered by one half as long.
pub(crate) fn exchange(here: &UdpSocket, there: &UdpSocket, count: usize, size: usize) {
    let to = there.local_addr().unwrap();
    let mut buffer = vec![0; size];
    for number in 0..count {
        here.send_to(&payload(number, size), to).unwrap();
        let (_, from) = there.recv_from(&mut buffer).unwrap();
        there.send_to(&payload(number, size / 2), from).unwrap();
        here.recv(&mut buffer).unwrap();
    }
}

/// Datagrams that are never answered, and arrive.
pub(crate) fn send(here: &UdpSocket, there: &UdpSocket, count: usize) {
    for number in 0..count {
        here.send_to(&payload(number, 100), there.local_addr().unwrap()).unwrap();
        there.recv(&mut [0; 100]).unwrap();
    }
}

/// Like most payloads, it is never the same twice: Linux does not number datagrams that may not be fragmented.
fn payload(number: usize, size: usize) -> Vec<u8> {
    let mut payload = vec![7; size];
    payload[..8].copy_from_slice(&(number as u64).to_be_bytes());
    payload
}

/// A TCP transfer of `bytes`, with an end; the client's address.
pub(crate) fn transfer(lab: &Lab, client: &str, (server, at): (&str, &str), bytes: usize) -> SocketAddr {
    let at = lab.at(at);
    let listener = lab.within(server, move || TcpListener::bind(at).unwrap());
    std::thread::scope(|scope| {
        let received = scope.spawn(move || {
            let mut all = Vec::new();
            listener.accept().unwrap().0.read_to_end(&mut all).unwrap();
            all.len()
        });
        // Who accepts must not wait for one that does not come.
        let connect = || {
            TcpStream::connect_timeout(&at, Duration::from_secs(5)).unwrap_or_else(|e| {
                drop(lab.within(server, move || TcpStream::connect(at)));
                panic!("{at}: {e}")
            })
        };
        let mut stream = lab.within(client, connect);
        let from = stream.local_addr().unwrap();
        stream.write_all(&vec![9; bytes]).unwrap();
        drop(stream);
        assert_eq!(received.join().unwrap(), bytes);
        from
    })
}

/// Runs `meanwhile` while a TCP stream sends as fast as it can; the client's address.
pub(crate) fn bulk(
    lab: &Lab,
    client: &str,
    (server, at): (&str, &str),
    meanwhile: impl FnOnce(),
) -> SocketAddr {
    let at = lab.at(at);
    let listener = lab.within(server, move || TcpListener::bind(at).unwrap());
    let mut stream =
        lab.within(client, move || TcpStream::connect_timeout(&at, Duration::from_secs(5)).unwrap());
    let mut accepted = listener.accept().unwrap().0;
    let (from, end) = (stream.local_addr().unwrap(), stream.try_clone().unwrap());
    let (sending, receiving) = (
        std::thread::spawn(move || while stream.write_all(&[9; 16_384]).is_ok() {}),
        std::thread::spawn(move || while accepted.read(&mut [0; 16_384]).is_ok_and(|n| n > 0) {}),
    );
    std::thread::sleep(Duration::from_millis(300));
    meanwhile();
    end.shutdown(std::net::Shutdown::Both).unwrap();
    sending.join().unwrap();
    receiving.join().unwrap();
    from
}

/// `count` echoes of 100 bytes and their answers.
pub(crate) fn ping(lab: &Lab, side: &str, to: &str, count: usize) {
    lab.exec(side, &format!("ping -q -c {count} -i 0.01 -s 100 {to}"));
}

/// An Ethernet frame to everyone with a UDP datagram over IPv4 of 46 bytes, or with a SYN of 54.
pub(crate) fn frame(from: SocketAddrV4, to: SocketAddrV4, id: u16, syn: bool) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 1, 8, 0]);
    let length: u16 = if syn { 40 } else { 32 };
    let start = frame.len();
    frame.extend([0x45, 0]);
    frame.extend(length.to_be_bytes());
    frame.extend(id.to_be_bytes());
    frame.extend([0, 0, 64, if syn { 6 } else { 17 }, 0, 0]);
    frame.extend(from.ip().octets());
    frame.extend(to.ip().octets());
    let checksum = checksum(&frame[start..]);
    frame[start + 10..start + 12].copy_from_slice(&checksum.to_be_bytes());
    frame.extend(from.port().to_be_bytes());
    frame.extend(to.port().to_be_bytes());
    if syn {
        frame.extend([0, 0]);
        frame.extend(id.to_be_bytes());
        frame.extend([0, 0, 0, 0, 0x50, 2, 0x10, 0, 0, 0, 0, 0]);
    } else {
        frame.extend([0, 12, 0, 0, b's', b'o', b'c', b'k']);
    }
    frame
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    !((sum >> 16) + (sum & 0xffff)) as u16
}

/// The `n`th of many sources, none of which is anybody here.
pub(crate) fn stranger(n: u32) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(0xc612_0000 | n & 0xffff), 1024 + (n >> 16) as u16)
}
