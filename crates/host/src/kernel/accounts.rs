//! What each process's sockets did, by what the kernel counts: since the account was begun, and told only if it changed.

use std::io;
use std::time::Duration;

use flow::{ProcessSockets, RoundTrips, SocketCounts};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::facts::Facts;
use super::{Kernel, Process, Total};
use crate::owner::OwnerReader;

/// A process's number, when it started, and whether its sockets are in the own network namespace.
type Key = (u32, u64, bool);

/// What was read of one process.
#[derive(Debug, Default)]
struct Read {
    /// As it was when it had executed most programs.
    process: Process,
    counts: SocketCounts,
    round_trips: RoundTrips,
}

/// The accounts of all processes.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// What had been counted when the account was begun.
    before: HashMap<Key, SocketCounts, RandomState>,
    told: HashMap<Key, (SocketCounts, RoundTrips), RandomState>,
}

impl Accounts {
    /// From now on, what was counted until now is left out.
    pub(super) fn begin(&mut self, kernel: &mut dyn Kernel) -> io::Result<()> {
        self.told.clear();
        self.before = read(kernel)?.into_iter().map(|(key, read)| (key, read.counts)).collect();
        Ok(())
    }

    /// The accounts that have changed since they were told.
    pub(super) fn take(
        &mut self,
        kernel: &mut dyn Kernel,
        facts: &mut Facts,
        reader: &mut OwnerReader,
    ) -> io::Result<Vec<ProcessSockets>> {
        let mut changed = Vec::new();
        for (key, read) in read(kernel)? {
            let before = self.before.get(&key).copied().unwrap_or_default();
            let told = self.told.entry(key).or_default();
            // Only connections that were used since have one: otherwise what was known still holds.
            let round_trips = if read.round_trips.connections == 0 { told.1 } else { read.round_trips };
            let now = (read.counts - before, round_trips);
            if std::mem::replace(told, now) == now {
                continue;
            }
            let owner = if key.0 == 0 { None } else { facts.owner(&read.process, reader) };
            changed.push(ProcessSockets { owner, here: key.2, counts: now.0, round_trips: now.1 });
        }
        Ok(changed)
    }
}

/// All there are, each process once.
fn read(kernel: &mut dyn Kernel) -> io::Result<HashMap<Key, Read, RandomState>> {
    let home = kernel.home();
    let mut all = HashMap::<Key, Read, RandomState>::default();
    let mut trips = Vec::new();
    kernel.accounts(&mut |trip| trips.push(trip), &mut |total| {
        // Those that there was no room for have no namespace either.
        let here = total.namespace == home || total.process.pid == 0;
        let read = all.entry((total.process.pid, total.process.start, here)).or_default();
        read.counts += counts(&total);
        if read.process.pid == 0 || total.process.exec > read.process.exec {
            read.process = total.process;
        }
    })?;
    for trip in trips {
        // What has not sent or received anything since it was counted has no account.
        let Some(read) = all.get_mut(&(trip.pid, trip.start, trip.namespace == home)) else { continue };
        read.round_trips += RoundTrips { sum: Duration::from_micros(trip.micros), connections: 1 };
    }
    Ok(all)
}

fn counts(total: &Total) -> SocketCounts {
    let account = total.account;
    SocketCounts {
        sent: (account.packets_out, account.bytes_out),
        received: (account.packets_in, account.bytes_in),
        retransmits: account.retransmits,
        receive_drops: account.drops,
    }
}
