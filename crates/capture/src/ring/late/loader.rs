//! Loads a ring's programs, and maps what is shared with them.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Duration;

use aya::maps::{Map, MapData};
use aya::programs::{ProgramError, SocketFilter};
use aya::{Ebpf, EbpfLoader, VerifierLogLevel};

use super::acks::Acks;
use super::extended::{self, Maps};
use super::memory::{self, ENTRY, LINKS, REST, RESTS, STATE, USE};
use super::room::Room;
use super::settled::{self, Settled};
use super::streams::{self, Streams};
use super::{Late, sys};
use crate::bpf::{Refusal, Words};
use crate::ring::program::Instruction;

static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/late.bpf.o");
/// The program that counts what there may be no room for, by its name in the object; and the one that a packet meets first.
const COUNT: &str = "late_count";
const SETTLE: &str = "late_settle";
/// Where programs are called.
const CALL_COUNT: u32 = 0;
const CALL_FILTER: u32 = 1;

/// Places in the index for each entry: then few are looked at in vain.
const PLACES: usize = 4;
/// Bytes of the ring for each byte of one generation's entries.
const SHARE: usize = 8;
/// Entries of one generation, at most and at least: 64 MiB and 64 KiB of both.
const MOST: usize = 1 << 17;
const LEAST: usize = 1 << 7;
/// Blocks that are left out of account: the one that is being filled, one that time may close before the program charges
/// for it, and one for packets that have been charged, but are not in the ring yet.
pub(super) const RESERVE: usize = 3;

/// What a ring is like.
#[derive(Clone, Copy, Debug)]
pub(in crate::ring) struct Ring {
    pub(in crate::ring) block_size: usize,
    pub(in crate::ring) blocks: usize,
    /// How long a block is filled at most.
    pub(in crate::ring) patience: Duration,
}

/// Loads the programs of rings.
pub(in crate::ring) struct Loader(EbpfLoader<'static>);

impl Loader {
    /// To be made once: it reads the kernel's types, though these programs want none of them. Before there is a ring, since
    /// for a moment that takes nearly as much memory.
    pub(in crate::ring) fn new() -> Self {
        let mut loader = EbpfLoader::new();
        loader.btf(None).verifier_log_level(VerifierLogLevel::STATS);
        crate::memory::give_back();
        Self(loader)
    }

    /// Loads programs that decide as `decisions` does, and if `chosen`, of interfaces that are chosen.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(in crate::ring) fn load(
        &mut self,
        decisions: &[Instruction],
        chosen: bool,
        ring: Ring,
    ) -> Result<Late, Refusal> {
        let loader = &mut self.0;
        let bytes = ring.block_size * ring.blocks;
        let entries = (bytes / SHARE / (ENTRY * 8)).clamp(LEAST, MOST).next_power_of_two().min(MOST);
        let places = entries * PLACES;
        loader.map_max_entries("late_entries", 2 * entries as u32);
        loader.map_max_entries("late_index", 2 * places as u32);
        let mut ebpf = loader.load(OBJECT).map_err(|e| Refusal::of("", &e))?;
        let words = |ebpf: &Ebpf, name, count| Words::map(map(ebpf, name)?, count).map_err(refused(name));
        let state = words(&ebpf, "late_state", STATE)?;
        let (index, counts) =
            (words(&ebpf, "late_index", 2 * places)?, words(&ebpf, "late_entries", 2 * entries * ENTRY)?);
        let (generations, rests) =
            (words(&ebpf, "late_generations", 2 * USE)?, words(&ebpf, "late_rests", RESTS * REST)?);
        let links = words(&ebpf, "late_links", LINKS)?;
        let settled = words(&ebpf, "late_settled", settled::PLACES * settled::WORDS)?;
        let data = words(&ebpf, "late_streams", settled::PLACES * streams::WORDS)?;
        let streams = Streams::new(data, words(&ebpf, "late_pauses", settled::PLACES * streams::PAUSE)?);
        let calls = take_calls(&mut ebpf)?;
        let room = Room::new(ring.block_size, ring.patience.as_nanos() as i64, sys::tick());
        let maps = Maps {
            state: map(&ebpf, "late_state")?.as_raw_fd(),
            links: map(&ebpf, "late_links")?.as_raw_fd(),
            calls: calls.fd().as_fd().as_raw_fd(),
        };
        let program = extended::program(decisions, chosen, &room.charge, &maps)
            .ok_or_else(|| Refusal::of("filter", &io::Error::other("it cannot be translated")))?;
        let filter = sys::load(c"sockethound", &program, c"Dual MIT/GPL").map_err(refused("filter"))?;
        let (count, first) = (load(&mut ebpf, COUNT)?, load(&mut ebpf, SETTLE)?);
        for (place, program) in [(CALL_COUNT, &count), (CALL_FILTER, &filter)] {
            sys::set_call(calls.fd().as_fd(), place, program.as_fd()).map_err(refused("late_calls"))?;
        }
        let words = state.all();
        words[memory::SEED]
            .store(std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0), Relaxed);
        words[memory::ENTRIES].store(entries as u64, Relaxed);
        words[memory::MASK].store(places as u64 - 1, Relaxed);
        // The first packet is charged for all the time before it.
        let free = ring.blocks.saturating_sub(RESERVE) as u64;
        words[memory::LIMIT].store(free * room.block + room.charge.later, Release);
        let settled = Settled::new(settled, words);
        Ok(Late {
            first,
            filter,
            chosen,
            room,
            entries,
            state,
            generations,
            index,
            counts,
            rests,
            links,
            taken: 0,
            behind: None,
            told: vec![(0, 0); RESTS],
            settled,
            streams,
            acks: Acks::default(),
            _calls: calls,
            _ebpf: ebpf,
        })
    }
}

fn take_calls(ebpf: &mut Ebpf) -> Result<MapData, Refusal> {
    match ebpf.take_map("late_calls") {
        Some(Map::ProgramArray(data)) => Ok(data),
        _ => Err(Refusal::of("late_calls", &io::Error::other("it is missing"))),
    }
}

/// Loads one of the object's programs.
fn load(ebpf: &mut Ebpf, name: &str) -> Result<OwnedFd, Refusal> {
    let refused = |e: ProgramError| Refusal::of(name, &e);
    let missing = || Refusal::of(name, &io::Error::other("it is missing"));
    let program: &mut SocketFilter =
        ebpf.program_mut(name).ok_or_else(missing)?.try_into().map_err(refused)?;
    program.load().map_err(refused)?;
    let descriptor = program.fd().map_err(refused)?;
    descriptor.as_fd().try_clone_to_owned().map_err(|e| Refusal::of(name, &e))
}

fn map<'a>(ebpf: &'a Ebpf, name: &str) -> Result<BorrowedFd<'a>, Refusal> {
    match ebpf.map(name) {
        Some(Map::Array(data)) => Ok(data.fd().as_fd()),
        _ => Err(Refusal::of(name, &io::Error::other("it is missing"))),
    }
}

fn refused(what: &str) -> impl Fn(io::Error) -> Refusal {
    let what = what.to_owned();
    move |error| Refusal::of(&what, &error)
}
