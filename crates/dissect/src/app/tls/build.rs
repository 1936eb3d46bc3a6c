//! Hellos for tests, written as the RFCs have them.

/// A client's hello: what it offers, in its order.
#[derive(Clone, Debug, Default)]
pub(in crate::app) struct Hello {
    pub(in crate::app) version: u16,
    pub(in crate::app) ciphers: Vec<u16>,
    pub(in crate::app) extensions: Vec<(u16, Vec<u8>)>,
    /// DTLS only.
    pub(in crate::app) cookie: Option<Vec<u8>>,
}

impl Hello {
    /// One that asks for `name` by TLS 1.2.
    pub(in crate::app) fn asking_for(name: &str) -> Self {
        Hello { version: 0x0303, ciphers: vec![0xc02f], extensions: vec![server_name(name)], cookie: None }
    }

    /// The handshake message (RFC 8446, section 4.1.2).
    pub(in crate::app) fn message(&self) -> Vec<u8> {
        message(1, &self.body())
    }

    /// The same without type and length.
    pub(in crate::app) fn body(&self) -> Vec<u8> {
        let extensions: Vec<u8> =
            self.extensions.iter().flat_map(|(kind, data)| extension(*kind, data)).collect();
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend([7; 32]);
        body.extend([2, 0xaa, 0xbb]);
        if let Some(cookie) = &self.cookie {
            body.push(cookie.len() as u8);
            body.extend(cookie);
        }
        body.extend(vec16(&words(&self.ciphers)));
        body.extend([1, 0]);
        body.extend(vec16(&extensions));
        body
    }
}

/// A server's hello.
pub(in crate::app) fn server_hello(random: [u8; 32], cipher: u16, extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let extensions: Vec<u8> = extensions.iter().flat_map(|(kind, data)| extension(*kind, data)).collect();
    let mut body = vec![3, 3];
    body.extend(random);
    body.push(0);
    body.extend(cipher.to_be_bytes());
    body.push(0);
    body.extend(vec16(&extensions));
    message(2, &body)
}

/// A handshake message.
pub(in crate::app) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u32).to_be_bytes()[1..], body].concat()
}

/// A record of a stream.
pub(in crate::app) fn record(content: u8, fragment: &[u8]) -> Vec<u8> {
    [&[content, 3, 1][..], &vec16(fragment)].concat()
}

pub(in crate::app) fn server_name(name: &str) -> (u16, Vec<u8>) {
    (0, vec16(&[&[0][..], &vec16(name.as_bytes())].concat()))
}

pub(in crate::app) fn alpn(protocols: &[&[u8]]) -> (u16, Vec<u8>) {
    (16, vec16(&protocols.iter().flat_map(|p| [&[p.len() as u8][..], p].concat()).collect::<Vec<_>>()))
}

pub(in crate::app) fn supported_versions(versions: &[u16]) -> (u16, Vec<u8>) {
    let list = words(versions);
    (43, [&[list.len() as u8][..], &list].concat())
}

pub(in crate::app) fn signature_algorithms(algorithms: &[u16]) -> (u16, Vec<u8>) {
    (13, vec16(&words(algorithms)))
}

/// Bytes that are written in hexadecimal; whatever else stands between the digits is passed over.
pub(in crate::app) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vec16(data)].concat()
}

fn words(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

fn vec16(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}
