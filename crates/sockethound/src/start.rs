//! How a live run begins: everything that takes privileges is opened, then they are given up.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use capture::ring::{self, RingSource, Snaplen};
use flow::{LiveConfig, ProcessPattern};
use host::LocalAddresses;
use rustix::thread::CapabilitySet;

use crate::attribution::Attribution;
use crate::exit::Exit;
use crate::pipeline::live::now;
use crate::pipeline::{Files, Job, Live};
use crate::plan::Interfaces;
use crate::privilege::owners::{self, Manner};
use crate::privilege::{self, Confinement, capabilities, remedy};
use crate::resolver::Resolver;
use crate::run::say;

/// How long it is waited for programs to be loaded into the kernel.
const LOADING: Duration = Duration::from_secs(10);
/// What memory there is (proc_meminfo(5)).
const MEMINFO: &str = "/proc/meminfo";
/// Where nameservers are told (resolv.conf(5)).
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// How long a packet waits at most for its block to be handed over where the kernel tells owners, also of what has ended
/// since: few packets are worth no more wake-ups than that.
const TOLD_PATIENCE: Duration = Duration::from_millis(250);

/// Memory for packets that wait, in bytes; half of it where those that find no room there are counted all the same.
const RING: usize = 32 << 20;

/// How a run could not begin: the exit status, and one line.
pub(crate) type Refusal = (Exit, String);

/// Opens what `interfaces` and `job` ask for, and completes `job`; once the run is no more wanted, fewer rings.
pub(crate) fn open(
    interfaces: &Interfaces,
    job: &mut Job,
    quiet: bool,
    no_sandbox: bool,
    wants: impl Fn() -> bool,
) -> Result<Live, Refusal> {
    let ring_bytes = interfaces.ring_bytes.unwrap_or(RING);
    let halve_if_counted = interfaces.ring_bytes.is_none();
    let mut options = ring::Options {
        interfaces: interfaces.names.clone(),
        snaplen: interfaces.snaplen.map_or(Snaplen::Adaptive, Snaplen::Fixed),
        ring_bytes,
        halve_if_counted,
        block_bytes: block((ring_bytes >> u32::from(halve_if_counted)) / interfaces.workers),
        promiscuous: interfaces.promiscuous,
        hardware_clock: interfaces.hardware_clock,
        count_in_kernel: !interfaces.no_bpf && !interfaces.drop_when_late,
        ..ring::Options::default()
    };
    let memory = fs::read_to_string(MEMINFO).unwrap_or_default();
    if let Some(line) = beyond_memory(ring_bytes, &memory) {
        return Err((Exit::Failed, line));
    }
    // First, since it is a process of its own: what is opened from here on is not its business.
    let manner = Manner { no_sandbox, no_bpf: interfaces.no_bpf, bpf_ring: interfaces.bpf_ring };
    let spawned = owners::spawn(manner).inspect_err(|e| say(&format!("owners are not looked up: {e}")));
    let mut owners = spawned.ok();
    // What passes from now on has owners that the kernel tells.
    let greeting = owners.as_mut().and_then(|owners| owners.greeting(LOADING)).unwrap_or_default();
    if greeting.told {
        options.patience = TOLD_PATIENCE;
    }
    capture::memory::share_heap();
    let conntrack = host::Conntrack::open().ok();
    let rings = RingSource::open_group(&options, interfaces.workers, wants).map_err(refusal)?;
    // Both accounts begin now: what waits in the rings meanwhile is in both.
    let (begun, started) = (Instant::now(), now());
    let begin = || owners.as_mut()?.begin_accounts(LOADING).ok().map(|()| begun);
    let counts = greeting.counts.then(begin).flatten();
    // Only now: where nothing can be captured, that is all there is to say.
    greeting.lines.iter().filter(|_| !quiet).for_each(|line| say(line));
    if let Some(refusal) = rings.iter().find_map(RingSource::refusal).filter(|_| !quiet) {
        say(&format!("warning: what the ring has no room for will be dropped, not counted: {refusal}"));
    }
    let resolver = interfaces.resolve.then(|| Resolver::open(Path::new(RESOLV_CONF)));
    let resolver = resolver.transpose().unwrap_or_else(|e| {
        say(&format!("addresses are not looked up: {e}"));
        None
    });
    job.config.selection.own = resolver.as_ref().map(|r| r.local_endpoints().to_vec()).unwrap_or_default();
    job.config.live = Some(LiveConfig {
        seed: job.options.seed,
        started,
        own: LocalAddresses::here().map(|here| here.own().collect()).unwrap_or_default(),
        owners_from: match &owners {
            Some(_) if greeting.told => "bpf",
            Some(_) => "sock_diag",
            None => "no owners",
        },
        timeouts: job.options.live.unwrap_or_default(),
    });
    if !quiet {
        heed_choice(&rings, interfaces, &job.config.selection.processes);
    }
    capture::memory::gather_program();
    capture::memory::gather_heap();
    capture::memory::make_room();
    let named = !interfaces.names.is_empty();
    Ok(Live {
        rings,
        begun,
        attribution: Attribution::new(owners, greeting.told, counts, conntrack),
        resolver,
        named,
        quiet,
    })
}

/// Says of what was asked for that there is nothing to be had of it, for now.
fn heed_choice(rings: &[RingSource], interfaces: &Interfaces, processes: &[ProcessPattern]) {
    let down = rings.first().map(RingSource::down).unwrap_or_default();
    for name in down.iter().filter(|name| interfaces.names.contains(name)) {
        say(&format!("interface {name} is down"));
    }
    for pattern in processes {
        if let ProcessPattern::User(user) = pattern
            && user.parse::<u32>().is_err()
            && !host::is_user(user)
        {
            say(&format!("warning: there is no user {user:?} here"));
        }
    }
}

/// Gives up whatever a live run does not take from here on, before the first packet is read; `writes` are its outputs.
pub(crate) fn confine(writes: &[&Path], quiet: bool, no_sandbox: bool) -> Result<(), Refusal> {
    let keep = CapabilitySet::empty();
    give_up(&Confinement { writes, reads: &[], keep, stay: false, no_sandbox }, quiet)
}

/// The same before captures are opened: whoever started the program can still read them, but write only `writes`.
pub(crate) fn confine_to(
    files: &Files,
    writes: &[&Path],
    quiet: bool,
    no_sandbox: bool,
) -> Result<(), Refusal> {
    let reads: Vec<&Path> = files.paths.iter().map(PathBuf::as_path).collect();
    let keep = capabilities::FILES;
    give_up(&Confinement { writes, reads: &reads, keep, stay: true, no_sandbox }, quiet)
}

fn give_up(allowed: &Confinement<'_>, quiet: bool) -> Result<(), Refusal> {
    let lines = privilege::confine(allowed).map_err(|e| (Exit::Failed, format!("{e:#}")))?;
    lines.iter().filter(|_| !quiet).for_each(|line| say(line));
    Ok(())
}

/// The largest block of which a ring of `bytes` still has some.
fn block(bytes: usize) -> usize {
    const BLOCKS: usize = 16;
    let largest = ring::Options::default().block_bytes;
    (bytes / BLOCKS).clamp(4096, largest).next_power_of_two().min(largest)
}

/// What there is to say of a ring that takes nearly all memory there is: the kernel would end other programs to make room.
/// `memory` is what it tells (proc_meminfo(5)).
fn beyond_memory(ring: usize, memory: &str) -> Option<String> {
    let available = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = available.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let ring = ring as u64 >> 10;
    let of = |kib: u64| kib >> 10;
    (ring > kib - kib / 4).then(|| {
        format!(
            "no room for a ring of {} MiB: of memory, {} MiB are available; try a smaller --ring",
            of(ring),
            of(kib)
        )
    })
}

fn refusal(error: ring::Error) -> Refusal {
    match error {
        ring::Error::NotPermitted { .. } => (Exit::NotPermitted, remedy::refusal(error)),
        ring::Error::NoSuchInterface { .. } => (Exit::NoSuchInterface, error.to_string()),
        _ => (Exit::Failed, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_leaves_memory_to_others() {
        let memory = "MemTotal:        8000000 kB\nMemFree:  100 kB\nMemAvailable:    4096000 kB\n";
        assert_eq!(beyond_memory(64 << 20, memory), None);
        assert_eq!(beyond_memory(3000 << 20, memory), None);
        let line = beyond_memory(65_536 << 20, memory).unwrap();
        assert_eq!(
            line,
            "no room for a ring of 65536 MiB: of memory, 4000 MiB are available; try a smaller --ring"
        );
        assert!(beyond_memory(3001 << 20, memory).is_some());
        assert_eq!((beyond_memory(usize::MAX, ""), beyond_memory(9, "MemAvailable: much")), (None, None));
    }
}
