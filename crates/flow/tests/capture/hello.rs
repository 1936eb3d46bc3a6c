//! What a client of TLS says first.
#![allow(dead_code, reason = "each test program uses its part")]

/// A client's hello in a record (RFC 8446, sections 4.1.2 and 5.1; RFC 6066, section 3) that asks for `name`.
pub(crate) fn hello(name: &str) -> Vec<u8> {
    let len = name.len() as u8;
    let extension = [&[0, 0, 0, len + 5, 0, len + 3, 0, 0, len][..], name.as_bytes()].concat();
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0, 0, len + 9], &extension].concat();
    let handshake = [&[1, 0, 0, body.len() as u8][..], &body].concat();
    [&[22, 3, 1, 0, handshake.len() as u8][..], &handshake].concat()
}
