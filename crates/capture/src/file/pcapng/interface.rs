//! Interfaces (draft-ietf-opsawg-pcapng, section 4.2).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::clock::Clock;
use super::super::linktype::{self, Lead};
use super::super::notes::Subject;
use super::options::{Fields, keep_options};
use super::{Finds, Local, Parsed, Pcapng, block};
use crate::source::Interface;

/// Interfaces over all sections.
const MOST_INTERFACES: usize = 1 << 20;
/// Bytes of an interface's name that are kept: Linux has 15, Windows 80 of them.
const LONGEST_NAME: usize = 256;

const OPT_IF_NAME: u16 = 2;
const OPT_IF_IPV4: u16 = 4;
const OPT_IF_IPV6: u16 = 5;
const OPT_IF_TSRESOL: u16 = 9;
const OPT_IF_TSOFFSET: u16 = 14;

impl Pcapng {
    /// Interface Description Block (section 4.2).
    pub(super) fn interface(&mut self, mut body: Fields<'_>, finds: &mut Finds<'_>) -> Parsed<()> {
        let (Some(field), Some(_), Some(snaplen)) = (body.u16(), body.u16(), body.u32()) else {
            return Err(block("interface description is too short"));
        };
        if finds.interfaces.len() >= MOST_INTERFACES {
            return Err(block(format!("more than {MOST_INTERFACES} interfaces")));
        }
        let link_type = linktype::link_type(field.into());
        let index = finds.interfaces.len() as u32;
        let (mut clock, mut name, mut own) = (Clock::MICROS, None, Vec::new());
        let big_endian = body.big_endian;
        keep_options(body, finds.notes, Subject::Interface(index), |code, value| {
            match (code, value) {
                (OPT_IF_NAME, text) => name = Some(text_of(text.get(..LONGEST_NAME).unwrap_or(text))),
                // Behind the address, as it is sent, its mask or prefix length.
                (OPT_IF_IPV4, &[a, b, c, d, _, _, _, _]) => own.push(Ipv4Addr::new(a, b, c, d).into()),
                (OPT_IF_IPV6, value) if value.len() == 17 => {
                    let Some(addr) = value.first_chunk::<16>() else { return false };
                    own.push(Ipv6Addr::from(*addr).into());
                }
                (OPT_IF_TSRESOL, [resolution, ..]) => clock.set_resolution(*resolution),
                (OPT_IF_TSOFFSET, value) => {
                    let Ok(value) = value.try_into() else { return false };
                    clock.offset =
                        if big_endian { i64::from_be_bytes(value) } else { i64::from_le_bytes(value) };
                }
                _ => return false,
            }
            true
        })
        .map_err(block)?;
        for addr in own {
            finds.notes.own(addr);
        }
        self.locals.push(Local {
            index,
            snaplen,
            most: linktype::longest(link_type),
            lead: Lead::of(link_type),
            clock,
        });
        finds.interfaces.push(Interface { link_type, name, splits_at: None });
        Ok(())
    }
}

/// Text of an option; some writers count the final NUL.
fn text_of(value: &[u8]) -> String {
    String::from_utf8_lossy(value).trim_end_matches('\0').to_owned()
}
