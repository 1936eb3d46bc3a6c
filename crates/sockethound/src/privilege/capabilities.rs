//! Capabilities of the calling thread (capabilities(7)).

use rustix::io::Result;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

/// Captures packets.
pub const CAPTURE: CapabilitySet = CapabilitySet::NET_RAW;
/// Reads `/proc` of other users' processes, and the state files that name containers.
pub const ATTRIBUTION: CapabilitySet = CapabilitySet::SYS_PTRACE.union(CapabilitySet::DAC_READ_SEARCH);

/// Opens the captures that root may open.
pub const FILES: CapabilitySet = CapabilitySet::DAC_READ_SEARCH.union(CapabilitySet::DAC_OVERRIDE);

/// What the thread may use, whether switched on or not.
pub fn held() -> Result<CapabilitySet> {
    Ok(capabilities(None)?.permitted)
}

/// Lower-case names, as setcap(8) takes them: `cap_net_raw,cap_sys_ptrace`; what matters most first.
pub fn names(set: CapabilitySet) -> String {
    let first = [CAPTURE, CapabilitySet::SYS_PTRACE, CapabilitySet::DAC_READ_SEARCH].map(|one| set & one);
    let rest = first.into_iter().fold(set, |rest, one| rest - one);
    let names = first.iter().chain([&rest]).flat_map(CapabilitySet::iter_names);
    names.map(|(name, _)| format!("cap_{}", name.to_lowercase())).collect::<Vec<_>>().join(",")
}

/// Every capability this kernel has, one by one.
fn each() -> impl Iterator<Item = CapabilitySet> {
    // The kernel refuses to speak of one it does not have.
    (0..u64::BITS)
        .map(|bit| CapabilitySet::from_bits_retain(1 << bit))
        .take_while(|c| capability_is_in_bounding_set(*c).is_ok())
}

/// What a program that is started could be given at most.
pub fn bounding_set() -> CapabilitySet {
    each().filter(|c| capability_is_in_bounding_set(*c) == Ok(true)).collect()
}

/// No program that is started gets any. Does nothing without `SETPCAP`, which it takes.
pub(super) fn empty_bounding_set() -> Result<()> {
    if !capabilities(None)?.effective.contains(CapabilitySet::SETPCAP) {
        return Ok(());
    }
    each().try_for_each(remove_capability_from_bounding_set)
}

/// Gives up all but `keep`, of which only what is held is kept.
pub(super) fn keep_only(keep: CapabilitySet) -> Result<()> {
    // Kernels before 4.3 have no ambient set.
    let _ = clear_ambient_capability_set();
    let kept = held()? & keep;
    set_capabilities(
        None,
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_setcap() {
        assert_eq!(names(CAPTURE | ATTRIBUTION), "cap_net_raw,cap_sys_ptrace,cap_dac_read_search");
        assert_eq!(names(CapabilitySet::empty()), "");
    }

    #[test]
    fn every_capability_is_asked_for() {
        let last: u32 =
            std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap().trim().parse().unwrap();
        assert_eq!(each().count() as u32, last + 1);
    }
}
