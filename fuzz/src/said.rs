//! What the ends of a flow say first, as one input.

use std::collections::BTreeSet;

use dissect::app::{AppDissector, Candidates, Depth, End, Opening, Reading, Said};

/// Pieces that an input may have: dissectors read everything anew with each.
const PIECES: usize = 32;
/// The bit of a piece's length that says which end said it.
const RESPONDER: u16 = 0x8000;

/// An opening: how it was carried, and its pieces in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Input {
    /// Datagrams, not a stream.
    pub(crate) datagrams: bool,
    /// Ports of initiator and responder.
    pub(crate) ports: [u16; 2],
    /// Segments or datagrams, and who sent each.
    pub(crate) pieces: Vec<(End, Vec<u8>)>,
}

impl Input {
    /// The input as bytes: one for how it was carried, four of ports, then each piece behind its length.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.datagrams.into()];
        bytes.extend(self.ports.map(u16::to_be_bytes).as_flattened());
        for (end, piece) in self.pieces.iter().take(PIECES) {
            let piece = &piece[..piece.len().min(usize::from(RESPONDER - 1))];
            let from = if *end == End::Responder { RESPONDER } else { 0 };
            bytes.extend((piece.len() as u16 | from).to_be_bytes());
            bytes.extend(piece);
        }
        bytes
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        let (&[carried, a, b, c, d], mut rest) = bytes.split_first_chunk()?;
        let mut input = Input {
            datagrams: carried & 1 != 0,
            ports: [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])],
            pieces: Vec::new(),
        };
        while let (Some((head, behind)), true) = (rest.split_first_chunk(), input.pieces.len() < PIECES) {
            let head = u16::from_be_bytes(*head);
            let (piece, behind) = behind.split_at(usize::from(head & !RESPONDER).min(behind.len()));
            let end = if head & RESPONDER == 0 { End::Initiator } else { End::Responder };
            input.pieces.push((end, piece.to_vec()));
            rest = behind;
        }
        Some(input)
    }
}

/// Reads an opening piece by piece with the dissectors of these names: names are text, and each is said once.
pub(crate) fn read(names: &[&str], bytes: &[u8]) {
    let Some(input) = Input::of(bytes) else { return };
    let transport = if input.datagrams { 17 } else { 6 };
    let dissectors = named(transport, names);
    let (mut said, mut ends) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for (end, piece) in &input.pieces {
        let at = usize::from(*end == End::Responder);
        said[at].extend(piece);
        ends[at].push(said[at].len() as u32);
        let of = |at: usize| match input.datagrams {
            true => Said::datagrams_of(&said[at], &ends[at]),
            false => Said::stream(&said[at]),
        };
        for is_last in [false, true] {
            let ports = input.ports;
            let opening = Opening {
                transport,
                ports,
                initiator: of(0),
                responder: of(1),
                is_last,
                ..Opening::default()
            };
            dissectors.iter().for_each(|dissector| check(*dissector, &opening));
        }
    }
}

fn check(dissector: &dyn AppDissector, opening: &Opening<'_>) {
    let reading = dissector.dissect(opening);
    assert_eq!(reading, dissector.dissect(opening));
    check_names(dissector, opening, &reading);
    assert_eq!(dissector.past(opening), dissector.past(opening));
    let Some(app) = reading.app() else { return };
    let distinct: BTreeSet<_> =
        app.names.iter().map(|name| (name.source, name.name.to_lowercase())).collect();
    assert!(distinct.len() == app.names.len() || !app.names.iter().all(|name| name.name.is_ascii()));
    assert!(app.names.iter().all(|name| !name.name.is_empty() && !name.name.chars().any(char::is_control)));
    assert!(app.fields.is_sorted_by(|a, b| a.path < b.path));
}

/// To less depth, as much is known of the protocol and its names, or more is known sooner.
fn check_names(dissector: &dyn AppDissector, opening: &Opening<'_>, whole: &Reading) {
    let [initiator, responder] = [opening.initiator, opening.responder].map(|said| said.to(Depth::Names));
    let less = Opening { initiator, responder, depth: Depth::Names, ..*opening };
    match (whole, dissector.dissect(&less)) {
        (Reading::Is(all), Reading::Is(some))
        | (Reading::Last(all), Reading::Last(some))
        | (Reading::Partly(all), Reading::Is(some) | Reading::Partly(some)) => {
            assert_eq!((all.protocol, &all.names), (some.protocol, &some.names));
        }
        (whole, less) => assert_eq!(*whole, less),
    }
}

/// The application dissectors of these names; all of them, if there is none.
fn named(transport: u8, names: &[&str]) -> Vec<&'static dyn AppDissector> {
    let all =
        (0..=255).fold(Candidates::default(), |all, first| all.or(Candidates::that_begin(transport, first)));
    all.each()
        .map(|(_, dissector)| dissector)
        .filter(|d| names.is_empty() || names.contains(&d.name()))
        .collect()
}
