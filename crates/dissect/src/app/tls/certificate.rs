//! Whom a certificate names (RFC 5280): its subject's common name, and the DNS names among its alternatives.

use std::sync::Arc;

use super::super::told::name;
use super::der::{Value, Values, tag};

/// id-at-commonName: 2.5.4.3 (RFC 5280, appendix A.1).
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// id-ce-subjectAltName: 2.5.29.17 (RFC 5280, section 4.2.1.6).
const ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// String types of X.680 whose bytes are not UTF-8: `BMPString` has 16 bits a character.
const BMP_STRING: u8 = 0x1e;

/// Alternative names that are kept: no authority issues for as many, but sixteen kilobytes may have five thousand.
const MOST_NAMES: usize = 512;

/// Whom a server's certificate names. Nobody has checked it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Certificate {
    /// The subject's common name; the last one, where there are several.
    pub subject: Option<Arc<str>>,
    /// The DNS names among the subject's alternatives, 512 at most.
    pub names: Vec<Arc<str>>,
}

impl Certificate {
    /// The certificate in `der`, as much as is there of it; `None` if it is none.
    pub(in crate::app) fn of(der: &[u8]) -> Option<Self> {
        let mut body = Values::of(der).enter(tag::SEQUENCE)?.enter(tag::SEQUENCE)?;
        let _version = body.enter(tag::CONTEXT_0);
        let _serial = body.enter(tag::INTEGER)?;
        let (_algorithm, _issuer, _validity) =
            (body.enter(tag::SEQUENCE)?, body.enter(tag::SEQUENCE)?, body.enter(tag::SEQUENCE)?);
        let subject = common_name(body.enter(tag::SEQUENCE)?);
        let extensions = body.find(|value| value.tag == tag::CONTEXT_3);
        let names = extensions.and_then(|e| Values::of(e.content).enter(tag::SEQUENCE)).map(alternatives);
        Some(Certificate { subject, names: names.unwrap_or_default() })
    }
}

/// Looks through relative distinguished names: sets of an object identifier and its value.
fn common_name(names: Values<'_>) -> Option<Arc<str>> {
    let pairs = names.flat_map(|set| Values::of(set.content)).filter_map(|pair| {
        let mut pair = Values::of(pair.content);
        Some((pair.next()?, pair.next()?))
    });
    pairs
        .filter(|(object, _)| object.tag == tag::OBJECT && object.content == COMMON_NAME)
        .filter_map(|(_, v)| text(v))
        .last()
}

fn alternatives(extensions: Values<'_>) -> Vec<Arc<str>> {
    let found = extensions.into_iter().find_map(|extension| {
        let mut parts = Values::of(extension.content);
        let _object = parts.next().filter(|object| object.content == ALTERNATIVE_NAME)?;
        // It may be marked as critical in between.
        parts.find(|part| part.tag == tag::OCTETS)
    });
    let names = found.and_then(|octets| Values::of(octets.content).enter(tag::SEQUENCE));
    let names = names.into_iter().flatten().filter(|name| name.tag == tag::CONTEXT_2);
    names.filter_map(text).take(MOST_NAMES).collect()
}

fn text(value: Value<'_>) -> Option<Arc<str>> {
    if !value.whole {
        return None;
    }
    if value.tag == BMP_STRING {
        let units = value.content.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair));
        let text: String = char::decode_utf16(units).collect::<Result<_, _>>().ok()?;
        return name(text.as_bytes());
    }
    name(value.content)
}
