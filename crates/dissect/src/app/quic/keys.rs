//! Protection of first packets (RFC 9001, section 5): anybody who sees the first one can read them.

use aes_gcm::aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes_gcm::aes::{Aes128, Block};
use aes_gcm::{AeadInOut, Aes128Gcm, Tag};
use hkdf::Hkdf;
use sha2::Sha256;

use super::version::Scheme;

/// Bytes of ciphertext that the header is protected with.
const SAMPLE: usize = 16;
/// Longest packet number; the sample begins so far behind its first byte, however short it is (section 5.4.2).
const LONGEST_NUMBER: usize = 4;
const TAG: usize = 16;
const IV: usize = 12;

/// The keys of a client's first packets.
pub(super) struct Keys {
    packet: Aes128Gcm,
    iv: [u8; IV],
    header: Aes128,
    /// What the next packet number is likely to be.
    expected: u32,
}

impl Keys {
    /// The keys for packets behind a first one to `connection`; there are some for any.
    pub(super) fn of(scheme: Scheme, connection: &[u8]) -> Option<Self> {
        let secret: [u8; 32] = expand(&Hkdf::new(Some(scheme.salt), connection), "client in")?;
        let client = Hkdf::from_prk(&secret).ok()?;
        let [key, iv, header] = if scheme.second {
            ["quicv2 key", "quicv2 iv", "quicv2 hp"]
        } else {
            ["quic key", "quic iv", "quic hp"]
        };
        Some(Keys {
            packet: Aes128Gcm::new(&expand::<16>(&client, key)?.into()),
            iv: expand(&client, iv)?,
            header: Aes128::new(&expand::<16>(&client, header)?.into()),
            expected: 0,
        })
    }

    /// The payload of `packet`, whose number begins at `number_at`; `None` if it was not protected with these keys.
    pub(super) fn open(&mut self, packet: &[u8], number_at: usize) -> Option<Vec<u8>> {
        let sample: [u8; SAMPLE] = *packet.get(number_at + LONGEST_NUMBER..)?.first_chunk()?;
        let mut mask = Block::from(sample);
        self.header.encrypt_block(&mut mask);
        let [flags_mask, number_mask @ ..] = mask.0;
        let flags = packet.first()? ^ flags_mask & 0x0f;
        let number_len = usize::from(flags & 3) + 1;
        let (header, protected) = packet.split_at_checked(number_at + number_len)?;
        let mut header = header.to_vec();
        *header.first_mut()? = flags;
        let mut number = 0;
        for (byte, mask) in header.get_mut(number_at..)?.iter_mut().zip(number_mask) {
            *byte ^= mask;
            number = number << 8 | u32::from(*byte);
        }
        let number = nearest(self.expected, number, number_len);
        let (payload, tag) = protected.split_last_chunk::<TAG>()?;
        let mut payload = payload.to_vec();
        let nonce = self.nonce(number).into();
        let tag = Tag::from(*tag);
        self.packet.decrypt_inout_detached(&nonce, &header, payload.as_mut_slice().into(), &tag).ok()?;
        self.expected = self.expected.max(number.wrapping_add(1));
        Some(payload)
    }

    /// The packet that [`Self::open`] opens: `header` ends with the whole of `number`.
    #[cfg(test)]
    pub(super) fn seal(&self, header: &[u8], number: u32, payload: &[u8]) -> Vec<u8> {
        let number_len = usize::from(header[0] & 3) + 1;
        let mut sealed = payload.to_vec();
        let nonce = self.nonce(number).into();
        let tag = self.packet.encrypt_inout_detached(&nonce, header, sealed.as_mut_slice().into()).unwrap();
        let mut packet = [header, &sealed, &tag].concat();
        let number_at = header.len() - number_len;
        let mut mask = Block::try_from(&packet[number_at + LONGEST_NUMBER..][..SAMPLE]).unwrap();
        self.header.encrypt_block(&mut mask);
        packet[0] ^= mask[0] & 0x0f;
        packet[number_at..header.len()].iter_mut().zip(&mask[1..]).for_each(|(byte, mask)| *byte ^= mask);
        packet
    }

    fn nonce(&self, number: u32) -> [u8; IV] {
        let mut nonce = self.iv;
        nonce.iter_mut().rev().zip(number.to_le_bytes()).for_each(|(byte, part)| *byte ^= part);
        nonce
    }
}

/// The packet number next to `expected` whose last `len` bytes are `cut` (RFC 9000, appendix A.3).
///
/// Numbers beyond 32 bits are left out: nobody sends as many first packets.
fn nearest(expected: u32, cut: u32, len: usize) -> u32 {
    let window = 1_u64 << (8 * len);
    let (expected, half) = (u64::from(expected), window / 2);
    let candidate = expected & !(window - 1) | u64::from(cut);
    let nearest = if candidate + half <= expected {
        candidate + window
    } else if candidate > expected + half && candidate >= window {
        candidate - window
    } else {
        candidate
    };
    nearest as u32
}

/// HKDF-Expand-Label without a context (RFC 8446, section 7.1).
fn expand<const N: usize>(secret: &Hkdf<Sha256>, label: &str) -> Option<[u8; N]> {
    const PREFIX: &str = "tls13 ";
    let mut info = Vec::with_capacity(4 + PREFIX.len() + label.len());
    info.extend((N as u16).to_be_bytes());
    info.push((PREFIX.len() + label.len()) as u8);
    info.extend(PREFIX.bytes().chain(label.bytes()));
    info.push(0);
    let mut key = [0; N];
    secret.expand(&info, &mut key).ok()?;
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_nearest() {
        // RFC 9000, appendix A.3.
        assert_eq!(nearest(0xa82f_30ea + 1, 0x9b32, 2), 0xa82f_9b32);
        assert_eq!(nearest(0, 0, 1), 0);
        assert_eq!(nearest(256, 1, 1), 257);
        assert_eq!(nearest(257, 255, 1), 255);
        assert_eq!(nearest(0, u32::MAX, 4), u32::MAX);
    }
}
