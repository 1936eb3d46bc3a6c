//! Frames, built field by field.

pub(crate) fn ethernet(ethertype: u16, rest: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa], &ethertype.to_be_bytes()[..], rest].concat()
}

/// An IP packet in a frame.
pub(crate) fn framed(packet: &[u8]) -> Vec<u8> {
    ethernet(if packet[0] >> 4 == 6 { 0x86dd } else { 0x0800 }, packet)
}

/// An IP packet in PPPoE.
pub(crate) fn in_pppoe(packet: &[u8]) -> Vec<u8> {
    let protocol = if packet[0] >> 4 == 6 { 0x57 } else { 0x21 };
    ethernet(0x8864, &[&[0x11, 0, 0, 1, 5, 0xde, 0, protocol], packet].concat())
}

pub(crate) fn tagged(tci: u16, frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &[0x81, 0], &tci.to_be_bytes()[..], &frame[12..]].concat()
}

pub(crate) fn ipv4(protocol: u8, fragment: u16, rest: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x45, 0];
    ip.extend((rest.len() as u16 + 20).to_be_bytes());
    ip.extend([0, 1]);
    ip.extend(fragment.to_be_bytes());
    ip.extend([64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    [ip, rest.to_vec()].concat()
}

pub(crate) fn ipv6(next: u8, rest: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x60, 0, 0, 0];
    ip.extend((rest.len() as u16).to_be_bytes());
    ip.extend([next, 64]);
    ip.extend([0xfd; 32]);
    [ip, rest.to_vec()].concat()
}

pub(crate) fn udp(from: u16, to: u16, start: &[u8], len: usize) -> Vec<u8> {
    let payload = filled(start, len);
    let words = [from, to, len as u16 + 8, 0];
    [words.iter().flat_map(|w| w.to_be_bytes()).collect(), payload].concat()
}

pub(crate) fn tcp(from: u16, to: u16, flags: u8, start: &[u8], len: usize) -> Vec<u8> {
    let mut tcp: Vec<u8> = [from, to].iter().flat_map(|w| w.to_be_bytes()).collect();
    tcp.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x80, flags, 1, 0, 0, 0, 0, 0]);
    tcp.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    [tcp, filled(start, len)].concat()
}

fn filled(start: &[u8], len: usize) -> Vec<u8> {
    let mut p = start.to_vec();
    p.resize(len, 0x5a);
    p
}

/// IP packets of every kind that the snaplen program tells apart, longer than what is kept of ordinary ones.
pub(crate) fn packets() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let payloads = [
        (6, tcp(40000, 443, 0x10, &[0x17, 3, 3], 200)),
        (6, tcp(40000, 443, 0x10, &[0x16, 3, 1], 200)),
        (6, tcp(40000, 80, 0x10, b"GET / HTTP/1.1", 200)),
        (6, tcp(40000, 53, 0x18, b"q", 200)),
        (17, udp(40000, 53, b"q", 200)),
        (17, udp(40000, 4433, &[0xc3, 0, 0, 0, 1], 200)),
        (17, udp(40000, 4789, &[8, 0, 0, 0], 300)),
        (17, udp(40000, 7000, b"x", 200)),
        (1, filled(&[8, 0], 200)),
        (47, filled(&[0, 0, 8, 0], 200)),
    ];
    for (protocol, payload) in &payloads {
        all.push(ipv4(*protocol, 0, payload));
        all.push(ipv6(*protocol, payload));
    }
    all.push(ipv4(17, 0x2000, &payloads[4].1));
    let mut lying = ipv4(6, 0, &payloads[1].1);
    lying[0] = 0x4f;
    all.push(lying);
    let mut long_offset = ipv4(6, 0, &payloads[2].1);
    long_offset[32] = 0xf0;
    all.push(long_offset);
    all
}
