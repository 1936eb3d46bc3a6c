//! Names of numbers: EtherTypes and IP protocols.

use crate::packet::Claim;

/// IANA keyword of an IP protocol, lower case; `None` where none is assigned.
pub fn ip_protocol(_number: u8) -> Option<&'static str> {
    None
}

/// Short name of an EtherType; `None` for one that is not well known.
pub fn ether_type(_number: u16) -> Option<&'static str> {
    None
}

/// How people call what `claim` names.
pub fn claim(claim: Claim) -> String {
    format!("{claim:?}")
}
