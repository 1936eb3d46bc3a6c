//! Which records of an answer are what was asked for: those of the question's name, and of the names that aliases lead to from
//! there (RFC 1034, section 3.6.2), wherever the aliases stand among the answers.

use super::outline::Outline;
use super::wire::{HEADER, TYPE_CNAME};

/// Names that are followed, the question's included: resolvers give up earlier.
const MOST: usize = 32;

/// The names of an answer that are what was asked for, by where they begin. Aliases are only looked at once somebody asks for
/// another name than the question's.
#[derive(Debug)]
pub(super) struct Aliases {
    /// Places in the message, which has at most 65,535 bytes over UDP as over TCP.
    names: [u16; MOST],
    len: usize,
    /// Labels and pointers that may yet be read: crafted names would take for ever.
    steps: usize,
}

impl Aliases {
    pub(super) fn of(outline: &Outline<'_>) -> Self {
        Aliases { names: [HEADER as u16; MOST], len: 0, steps: 2048 + 8 * outline.bytes().len() }
    }

    /// Whether the name at `at` is one of them.
    pub(super) fn lead_to(&mut self, outline: &Outline<'_>, at: usize) -> bool {
        if start(outline.bytes(), at, &mut self.steps) == Some(HEADER) {
            return true;
        }
        if self.len == 0 {
            self.follow(outline);
        }
        (0..self.len).any(|known| self.is(outline.bytes(), known, at))
    }

    /// Follows aliases from the question's name on: most stand in this order.
    fn follow(&mut self, outline: &Outline<'_>) {
        self.len = 1;
        let mut before = 0;
        while before < self.len && self.len < MOST {
            before = self.len;
            let mut wire = outline.answers();
            for _ in 0..outline.answer_count() {
                let owner = wire.at;
                wire.steps = self.steps;
                let Ok((kind, _, says)) = wire.pass_any_record() else { break };
                self.steps = wire.steps;
                if kind == TYPE_CNAME && !says.is_empty() && self.is(outline.bytes(), self.len - 1, owner) {
                    let Some(next) = self.names.get_mut(self.len) else { return };
                    *next = says.start as u16;
                    self.len += 1;
                }
            }
        }
    }

    fn is(&mut self, message: &[u8], known: usize, at: usize) -> bool {
        self.names.get(known).is_some_and(|&known| is_same(message, known.into(), at, &mut self.steps))
    }
}

/// Whether two names are the same, without regard to case (RFC 4343).
fn is_same(message: &[u8], mut a: usize, mut b: usize, steps: &mut usize) -> bool {
    loop {
        let (Some(at_a), Some(at_b)) = (start(message, a, steps), start(message, b, steps)) else {
            return false;
        };
        if at_a == at_b {
            return true;
        }
        let (Some(label_a), Some(label_b)) = (label(message, at_a), label(message, at_b)) else {
            return false;
        };
        if !label_a.eq_ignore_ascii_case(label_b) {
            return false;
        }
        if label_a.is_empty() {
            return true;
        }
        (a, b) = (at_a + 1 + label_a.len(), at_b + 1 + label_b.len());
    }
}

/// Where the next label of the name at `at` stands, behind pointers.
fn start(message: &[u8], mut at: usize, steps: &mut usize) -> Option<usize> {
    loop {
        *steps = steps.checked_sub(1)?;
        match *message.get(at..)? {
            [high, low, ..] if high >= 192 => at = usize::from(high & 63) << 8 | usize::from(low),
            [0..=63, ..] => return Some(at),
            _ => return None,
        }
    }
}

/// The label whose length stands at `at`.
fn label(message: &[u8], at: usize) -> Option<&[u8]> {
    let (&len, rest) = message.get(at..)?.split_first()?;
    rest.get(..usize::from(len))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use simple_dns::rdata::{A, CNAME, RData};
    use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, ResourceRecord, TYPE};

    use super::super::super::{Fact, MessageDissector, Verdict};
    use super::super::DNS;
    use crate::{Endpoint, FiveTuple};

    /// One record: its owner, and an alias or the last byte of an address.
    type Told<'a> = (&'a str, Result<u8, &'a str>);

    fn answer(asked: &str, told: &[Told<'_>], compressed: bool) -> Vec<u8> {
        let name = |text: &str| Name::new(text).unwrap().into_owned();
        let mut packet = Packet::new_reply(7);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        packet.questions.push(Question::new(
            name(asked),
            QTYPE::TYPE(TYPE::A),
            QCLASS::CLASS(CLASS::IN),
            false,
        ));
        for (owner, says) in told {
            let data = match says {
                Ok(last) => RData::A(A { address: Ipv4Addr::new(192, 0, 2, *last).into() }),
                Err(alias) => RData::CNAME(CNAME(name(alias))),
            };
            packet.answers.push(ResourceRecord::new(name(owner), CLASS::IN, 300, data));
        }
        if compressed {
            packet.build_bytes_vec_compressed().unwrap()
        } else {
            packet.build_bytes_vec().unwrap()
        }
    }

    /// Last bytes of the addresses that are what was asked for.
    fn asked_for(message: &[u8]) -> Vec<u8> {
        let end = |port| Endpoint { addr: Ipv4Addr::LOCALHOST.into(), port };
        let tuple = FiveTuple { src: end(53), dst: end(40_000), protocol: 17 };
        let Verdict::Is { fact: Fact::Dns(outline), .. } = DNS.dissect(&tuple, message) else { panic!() };
        let found = outline.addresses().filter(|address| address.is_asked_for);
        let last = |addr| if let IpAddr::V4(addr) = addr { addr.octets()[3] } else { panic!() };
        found.map(|address| last(address.addr)).collect()
    }

    #[test]
    fn only_aliases_lead_from_the_question_to_an_address() {
        let cases: &[(&[Told<'_>], &[u8])] = &[
            (&[("www.example", Ok(1)), ("WWW.Example", Ok(2))], &[1, 2]),
            (
                &[("www.example", Err("a.example")), ("a.example", Err("b.example")), ("B.example", Ok(1))],
                &[1],
            ),
            // In whatever order.
            (
                &[("b.example", Ok(1)), ("a.example", Err("b.example")), ("www.example", Err("a.example"))],
                &[1],
            ),
            // Names of others: beside the chain, before it, below or above the question's.
            (&[("www.example", Ok(1)), ("other.example", Ok(2))], &[1]),
            (&[("other.example", Err("b.example")), ("b.example", Ok(1)), ("www.example", Ok(2))], &[2]),
            (&[("x.www.example", Ok(1)), ("example", Ok(2)), ("ww.example", Ok(3))], &[]),
            // A loop ends.
            (
                &[("www.example", Err("a.example")), ("a.example", Err("www.example")), ("a.example", Ok(1))],
                &[1],
            ),
        ];
        for (told, expected) in cases {
            for compressed in [false, true] {
                assert_eq!(asked_for(&answer("www.example", told, compressed)), *expected, "{told:?}");
            }
        }
    }

    #[test]
    fn a_chain_is_followed_so_far_and_no_further() {
        let names: Vec<String> = (0..=super::MOST).map(|n| format!("n{n}.example")).collect();
        let aliases = names.windows(2).map(|pair| (&*pair[0], Err(&*pair[1])));
        let addresses = [(&*names[super::MOST - 1], Ok(1)), (&*names[super::MOST], Ok(2))];
        let told: Vec<_> = aliases.chain(addresses).collect();
        assert_eq!(asked_for(&answer("n0.example", &told, true)), [1]);
    }

    /// An answer whose `aliases` stand in reverse order before the address, behind `others` records of long names.
    fn reversed(aliases: u8, others: usize) -> Vec<u8> {
        let name = |n: u8| [1, b'A' + n, 0];
        let record = |owner: &[u8], kind: u8, data: &[u8]| {
            [owner, &[0, kind, 0, 1, 0, 0, 1, 44], &(data.len() as u16).to_be_bytes(), data].concat()
        };
        let count = (2 + others as u16 + u16::from(aliases)).to_be_bytes();
        let mut message = [&[0, 7, 0x81, 0x80, 0, 1][..], &count, &[0; 4], &name(0), &[0, 1, 0, 1]].concat();
        // Two names of 127 labels, which the others point to in turn: none is the one before.
        let long = |letter: u8| [&[1, letter].repeat(127)[..], &[0]].concat();
        let at = message.len() as u8 + 11;
        message.extend(record(&[0], 16, &[long(b'x'), long(b'y')].concat()));
        for n in 0..others {
            let [high, low] = (0xc000 | (u16::from(at) + 255 * (n % 2) as u16)).to_be_bytes();
            message.extend(record(&[high, low], 16, &[]));
        }
        message.extend(record(&name(aliases), 1, &[192, 0, 2, 1]));
        for n in (0..aliases).rev() {
            message.extend(record(&name(n), 5, &name(n + 1)));
        }
        message
    }

    #[test]
    fn a_message_is_not_passed_over_again_and_again() {
        assert_eq!(asked_for(&reversed(20, 0)), [1]);
        assert_eq!(asked_for(&reversed(1, 30)), [1]);
        // Each alias takes one more look at all records.
        assert!(asked_for(&reversed(20, 60)).is_empty());
    }
}
