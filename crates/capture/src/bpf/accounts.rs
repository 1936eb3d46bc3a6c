//! What each process's sockets sent and received, counted in the kernel: nothing that is lost on the way changes it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya::maps::{HashMap, Map, MapData};

use super::event::{Fields, Process, process, read_records};
use super::load::{self, Object, Place, Refusal};
use super::sys;

/// Size of `struct whose`.
const WHOSE: usize = 24;
/// Size of `struct total`.
const TOTAL: usize = 96;
/// Size of `struct rtt`.
const RTT: usize = 32;

/// Packets and IP bytes, as they passed sockets, and what went wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Packets received.
    pub packets_in: u64,
    /// Packets sent.
    pub packets_out: u64,
    /// IP bytes received.
    pub bytes_in: u64,
    /// IP bytes sent.
    pub bytes_out: u64,
    /// TCP segments sent again.
    pub retransmits: u64,
    /// Datagrams that sockets did not take, as they count themselves: mostly, their receive buffer had no room.
    pub drops: u64,
}

/// A process's account in one network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// The process; its number is 0 for those that there was no room for, together.
    pub process: Process,
    /// The cookie of the network namespace.
    pub namespace: u64,
    /// Since programs were loaded.
    pub account: Account,
}

/// The smoothed round-trip time of one open connection that was used since the last reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTrip {
    /// The process's number.
    pub pid: u32,
    /// Nanoseconds after boot at which it started.
    pub start: u64,
    /// The cookie of the network namespace.
    pub namespace: u64,
    /// Microseconds.
    pub micros: u64,
}

/// The accounts of all processes.
pub(super) struct Accounts {
    open: OwnedFd,
    each: OwnedFd,
    /// Programs that are loaded later take it from here.
    _totals: HashMap<MapData, [u8; WHOSE], [u8; TOTAL]>,
}

impl Accounts {
    /// Loads what reads them; to be called before anything counts.
    pub(super) fn open(object: &mut Object) -> Result<Self, Refusal> {
        let open = iterator(object, "open_sockets", "bpf_sk_storage_map", "owners")?;
        let each = iterator(object, "each_total", "bpf_map_elem", "totals")?;
        let failed = |e: &(dyn std::error::Error + 'static)| Refusal::of("totals", e);
        let totals =
            object.ebpf.take_map("totals").ok_or_else(|| failed(&io::Error::other("no such map")))?;
        let mut totals = HashMap::try_from(totals).map_err(|e| failed(&e))?;
        // There is always room for this one.
        totals.insert([0; WHOSE], [0; TOTAL], 0).map_err(|e| failed(&e))?;
        Ok(Self { open, each, _totals: totals })
    }

    /// Adds up what open sockets did, gives the round-trip times of those that have one, then every account.
    pub(super) fn read(
        &self,
        mut round_trip: impl FnMut(RoundTrip),
        mut total: impl FnMut(Total),
    ) -> io::Result<()> {
        read_records::<RTT>(&mut sys::iterate(self.open.as_fd())?, |record| {
            round_trip_of(record).map(&mut round_trip);
        })?;
        let mut file: File = sys::iterate(self.each.as_fd())?;
        read_records::<{ WHOSE + TOTAL }>(&mut file, |record| {
            total_of(record).map(&mut total);
        })
    }
}

/// Loads an iterator over the entries of a map.
fn iterator(object: &mut Object, name: &str, kind: &'static str, map: &str) -> Result<OwnedFd, Refusal> {
    object.attach(name, Place::Iterator(kind))?;
    let link = || -> io::Result<OwnedFd> {
        let missing = || io::Error::other("no such map");
        let program = load::fd(object, name).ok_or_else(missing)?;
        let map = map_fd(object.ebpf.map(map).ok_or_else(missing)?).ok_or_else(missing)?;
        sys::iterator_link(program, Some(map))
    };
    link().map_err(|e| Refusal::of(name, &e))
}

fn map_fd(map: &Map) -> Option<BorrowedFd<'_>> {
    match map {
        Map::SkStorage(data) | Map::HashMap(data) => Some(data.fd().as_fd()),
        _ => None,
    }
}

fn round_trip_of(record: &[u8]) -> Option<RoundTrip> {
    let mut from = Fields(record);
    let (start, namespace, pid, _exec) = (from.u64()?, from.u64()?, from.u32()?, from.u32()?);
    Some(RoundTrip { pid, start, namespace, micros: from.u64()? })
}

fn total_of(record: &[u8]) -> Option<Total> {
    let mut from = Fields(record);
    let (_start, namespace, _pid, _exec) = (from.u64()?, from.u64()?, from.u32()?, from.u32()?);
    let process = process(&mut from)?;
    let account = Account {
        packets_in: from.u64()?,
        packets_out: from.u64()?,
        bytes_in: from.u64()?,
        bytes_out: from.u64()?,
        retransmits: from.u64()?,
        drops: from.u64()?,
    };
    Some(Total { process, namespace, account })
}
