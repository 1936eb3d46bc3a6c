use super::*;
use crate::app::{Candidates, Value};

mod samples;

use samples::SAMPLES;

/// Bytes of a text in which `{…}` are hexadecimal digits.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        bytes.extend_from_slice(before.as_bytes());
        let (hex, after) = behind.split_once('}').unwrap();
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        bytes.extend(digits.chunks(2).map(byte));
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// What is said of an opening of which each end sent `said`, by everybody who may read it.
fn told(transport: u8, port: u16, said: &[Vec<u8>; 2]) -> Option<App> {
    let ends = said.each_ref().map(|said| [said.len() as u32]);
    let side = |end: usize| match transport {
        _ if said[end].is_empty() => Said::default(),
        6 => Said::stream(&said[end]),
        _ => Said::datagrams_of(&said[end], &ends[end]),
    };
    let opening = Opening {
        transport,
        ports: [40000, port],
        initiator: side(0),
        responder: side(1),
        ..Opening::default()
    };
    let of = |said: &Vec<u8>| Candidates::of(transport, said, opening.ports);
    let asked = said.iter().map(of).fold(Candidates::default(), Candidates::or);
    asked.each().find_map(|(_, dissector)| match dissector.dissect(&opening) {
        Reading::Is(app) | Reading::Partly(app) => Some(app),
        _ => None,
    })
}

#[test]
fn samples_are_told() {
    let told = SAMPLES.iter().map(|&(name, transport, port, initiator, responder)| {
        let said = [bytes(initiator), bytes(responder)];
        (name, told(transport, port, &said).map(|app| app.protocol), initiator)
    });
    let others: Vec<_> = told.filter(|(name, told, _)| *told != Some(name)).collect();
    assert!(others.is_empty(), "{others:?}");
}

/// Whoever is told by more than its port has a sample.
#[test]
fn every_signature_has_a_sample() {
    for signature in
        FAMILIES.iter().copied().flatten().filter(|signature| signature.begins != Begins::of(&[]))
    {
        let has = |&(name, transport, ..): &(&str, u8, u16, &str, &str)| {
            signature.over.contains(&transport)
                && (name == signature.name || signature.name == "rpc" && name == "nfs")
        };
        // RTP takes two datagrams.
        assert!(signature.name == "rtp" || SAMPLES.iter().any(has), "{}", signature.name);
    }
}

/// No part of a sample is taken for another protocol.
#[test]
fn parts_of_samples_are_nobody_elses() {
    for &(name, transport, port, initiator, responder) in SAMPLES.iter().filter(|sample| sample.1 == 6) {
        let whole = [bytes(initiator), bytes(responder)];
        for len in 1..whole[0].len() {
            let told = told(transport, port, &[whole[0][..len].to_vec(), Vec::new()]).map(|app| app.protocol);
            assert!(told.is_none_or(|told| told == name), "{name} {len}: {told:?}");
        }
    }
}

/// What other protocols say on ports that nobody is known by is not claimed.
#[test]
fn others_are_left_alone() {
    let hello = "{16030100b1010000ad030164b23eee2bf478dc77cb782dd86a063e28a60c97c1a9ff444b2716b51cb97b93000040c014c00a}";
    let alert = "{15030300020100}";
    for text in [hello, alert] {
        let told = told(6, 50001, &[bytes(text), Vec::new()]).map(|app| app.protocol);
        assert!(told.is_none_or(|told| told == "tls"), "{told:?} {text}");
    }
    // A QUIC Initial (RFC 9001, appendix A.2), a DTLS ClientHello's record.
    let initial =
        "{c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9bd8bab936b47d92ec356c}";
    let dtls = "{16fefd0000000000000000007c010000700000000000000070fefd}";
    for text in [initial, dtls] {
        let told = told(17, 50001, &[bytes(text), Vec::new()]).map(|app| app.protocol);
        assert!(told.is_none_or(|told| matches!(told, "quic" | "dtls")), "{told:?} {text}");
    }
}

/// Of random bytes, at most a few in a million are claimed on ports that nobody is known by.
#[test]
fn random_bytes_are_not_claimed() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut claimed = Vec::new();
    for _ in 0..20_000 {
        let words = 2 + random() % 24;
        let datagram: Vec<u8> = (0..words).flat_map(|_| random().to_le_bytes()).collect();
        for transport in [6, 17] {
            claimed.extend(told(transport, 50001, &[datagram.clone(), Vec::new()]).map(|app| app.protocol));
        }
    }
    assert!(claimed.is_empty(), "{claimed:?}");
}

#[test]
fn what_is_said_cheaply_is_kept() {
    let fact = |name: &str, path: &str| {
        let &(_, transport, port, initiator, responder) =
            SAMPLES.iter().find(|sample| sample.0 == name).unwrap();
        told(transport, port, &[bytes(initiator), bytes(responder)]).unwrap().get(path).cloned()
    };
    let text = |text: &str| Some(Value::Text(text.into()));
    assert_eq!(fact("mqtt", "mqtt.client.id"), text("DIGI"));
    assert_eq!(fact("sip", "sip.method"), text("INVITE"));
    assert_eq!(fact("snmp", "snmp.version"), text("2c"));
    assert_eq!(fact("ntp", "ntp.version"), Some(Value::Number(3)));
}
