//! The ring's filter as an eBPF program, which also knows when the ring may be full.
//!
//! All its decisions are those of the classic program: each of its instructions
//! is put into eBPF's words, as the kernel itself does with a classic program
//! (`bpf_convert_filter`). What is put around them:
//!
//! - *In front*, the interface's kind is looked up, which eBPF is not told, and
//!   whether its packets are taken.
//! - *Behind*, the bytes that the packet will take in the ring are added to a
//!   position. If that is beyond the limit that the reader has set, the packet
//!   does not go into the ring: a tail call has it counted.
//!
//! How the position relates to blocks of the ring is told in [`super::room`].

use std::os::fd::RawFd;

use super::super::program::{self as classic, ancillary};
use super::memory::{LIMIT, LINKS, POSITION, TICK};

/// `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    code: u8,
    /// Two registers, in an order that depends on the machine's.
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// What packets take of the ring, and when time does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Charge {
    /// The most that one packet can take, in bytes.
    pub(super) most: u32,
    /// What takes more than this is charged twice.
    pub(super) plain: u32,
    /// So many ticks after the last time …
    pub(super) ticks: u32,
    /// … time takes this, …
    pub(super) soon: u64,
    /// … and if it was longer ago, this.
    pub(super) later: u64,
}

/// The descriptors of the maps that the program uses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Maps {
    pub(super) state: RawFd,
    pub(super) links: RawFd,
    pub(super) calls: RawFd,
}

/// What the kernel puts in front of a packet's bytes in the ring, at most: its header and address, aligned to 16 with the
/// link header, which itself counts as at least 16.
const IN_FRONT: i32 = 96;
/// An interface's kind if none is known: nobody's.
const NO_KIND: i32 = 0xffff;

const R0: u8 = 0;
const R1: u8 = 1;
const R2: u8 = 2;
const R3: u8 = 3;
const R4: u8 = 4;
const R5: u8 = 5;
/// The packet.
const PACKET: u8 = 6;
/// The classic machine's X; its A is R0.
const X: u8 = 7;
/// What to keep of the packet.
const KEEP: u8 = 8;
/// The interface's kind; then, the state.
const KIND: u8 = 9;
const STATE: u8 = 9;
const FRAME: u8 = 10;

/// Offsets in `struct __sk_buff`.
const LEN: i16 = 0;
const PKT_TYPE: i16 = 4;
const IFINDEX: i16 = 40;
/// Offsets in `struct link`.
const LINK_HATYPE: i16 = 4;
const LINK_TAKEN: i16 = 6;

const LOAD_WORD: u8 = 0x61;
const LOAD_HALF: u8 = 0x69;
const LOAD_BYTE: u8 = 0x71;
const LOAD_DOUBLE: u8 = 0x79;
const STORE_WORD: u8 = 0x63;
const ATOMIC_DOUBLE: u8 = 0xdb;
const ATOMIC_ADD: i32 = 0;
const FETCH_AND_ADD: i32 = 0x01;
const COMPARE_EXCHANGE: i32 = 0xf1;
const MOVE: u8 = 0xbf;
const MOVE_32: u8 = 0xbc;
const SET_32: u8 = 0xb4;
const ADD: u8 = 0x07;
const ADD_REGISTER: u8 = 0x0f;
const SUB_REGISTER: u8 = 0x1f;
const ADD_32: u8 = 0x04;
const AND_32: u8 = 0x54;
const SHIFT_LEFT_32: u8 = 0x64;
const IF_EQUAL: u8 = 0x15;
const IF_EQUAL_REGISTER: u8 = 0x1d;
const IF_GREATER_REGISTER: u8 = 0x2d;
const IF_AT_LEAST: u8 = 0x35;
const IF_NOT_EQUAL_REGISTER_32: u8 = 0x5e;
const IF_AT_MOST_32: u8 = 0xb6;
const IF_AT_MOST_REGISTER_32: u8 = 0xbe;
const JUMP: u8 = 0x05;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
const LOAD_CONSTANT: u8 = 0x18;
const OF_MAP: u8 = 1;
const OF_MAP_VALUE: u8 = 2;
/// The classic conditions compare 32 bits: class 6 instead of 5.
const TO_32: u16 = 1;

const LOOK_UP: i32 = 1;
const TAIL_CALL: i32 = 12;
const JIFFIES: i32 = 118;

/// Where a jump goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    /// The place of a classic instruction.
    Classic(usize),
    Reject,
    Accept,
    UnknownLink,
    Body,
    Late,
    Time,
}

/// The program while it is written.
#[derive(Default)]
struct Assembler {
    code: Vec<Instruction>,
    jumps: Vec<(usize, To)>,
    places: Vec<(To, usize)>,
}

impl Assembler {
    fn emit(&mut self, code: u8, dst: u8, src: u8, offset: i16, immediate: i32) {
        let registers = if cfg!(target_endian = "little") { src << 4 | dst } else { dst << 4 | src };
        self.code.push(Instruction { code, registers, offset, immediate });
    }

    fn jump(&mut self, code: u8, dst: u8, src: u8, immediate: i32, to: To) {
        self.jumps.push((self.code.len(), to));
        self.emit(code, dst, src, 0, immediate);
    }

    fn place(&mut self, to: To) {
        self.places.push((to, self.code.len()));
    }

    /// A constant of 64 bits, or what stands for a map.
    fn constant(&mut self, dst: u8, what: u8, low: i32, high: i32) {
        self.emit(LOAD_CONSTANT, dst, what, 0, low);
        self.emit(0, 0, 0, 0, high);
    }

    /// The program; `None` if a jump goes nowhere or too far.
    fn finish(mut self) -> Option<Vec<Instruction>> {
        self.places.sort_by_key(|&(to, _)| match to {
            To::Classic(number) => number,
            _ => usize::MAX,
        });
        for (at, to) in self.jumps {
            let place = match to {
                To::Classic(number) => self.places.get(number).filter(|(found, _)| *found == to)?,
                _ => self.places.iter().rev().find(|(found, _)| *found == to)?,
            };
            let distance = place.1.checked_sub(at + 1)?;
            self.code.get_mut(at)?.offset = i16::try_from(distance).ok()?;
        }
        Some(self.code)
    }
}

/// The program that decides as `decisions` does; of the packets of interfaces that are marked as taken, if `chosen`.
///
/// `None` if `decisions` has an instruction that is not known here.
pub(super) fn program(
    decisions: &[classic::Instruction],
    chosen: bool,
    charge: &Charge,
    maps: &Maps,
) -> Option<Vec<Instruction>> {
    let mut asm = Assembler::default();
    look_up_link(&mut asm, chosen, maps);
    for (number, instruction) in decisions.iter().enumerate() {
        asm.place(To::Classic(number));
        translate(&mut asm, number, *instruction)?;
    }
    asm.place(To::Reject);
    asm.emit(SET_32, R0, 0, 0, 0);
    asm.emit(EXIT, 0, 0, 0, 0);
    take(&mut asm, charge, maps);
    asm.finish()
}

/// What is known of the packet's interface.
fn look_up_link(asm: &mut Assembler, chosen: bool, maps: &Maps) {
    asm.emit(MOVE, PACKET, R1, 0, 0);
    asm.emit(LOAD_WORD, KIND, PACKET, IFINDEX, 0);
    asm.emit(MOVE_32, R1, KIND, 0, 0);
    asm.emit(AND_32, R1, 0, 0, LINKS as i32 - 1);
    asm.emit(STORE_WORD, FRAME, R1, -4, 0);
    asm.emit(MOVE, R2, FRAME, 0, 0);
    asm.emit(ADD, R2, 0, 0, -4);
    asm.constant(R1, OF_MAP, maps.links, 0);
    asm.emit(CALL, 0, 0, 0, LOOK_UP);
    asm.jump(IF_EQUAL, R0, 0, 0, To::UnknownLink);
    asm.emit(LOAD_WORD, R1, R0, 0, 0);
    asm.jump(IF_NOT_EQUAL_REGISTER_32, R1, KIND, 0, To::UnknownLink);
    asm.emit(LOAD_HALF, KIND, R0, LINK_HATYPE, 0);
    if chosen {
        asm.emit(LOAD_BYTE, R1, R0, LINK_TAKEN, 0);
        asm.jump(IF_EQUAL, R1, 0, 0, To::Reject);
    }
    asm.jump(JUMP, 0, 0, 0, To::Body);
    asm.place(To::UnknownLink);
    if chosen {
        asm.jump(JUMP, 0, 0, 0, To::Reject);
    } else {
        asm.emit(SET_32, KIND, 0, 0, NO_KIND);
    }
    asm.place(To::Body);
    asm.emit(SET_32, R0, 0, 0, 0);
    asm.emit(SET_32, X, 0, 0, 0);
}

/// One classic instruction in eBPF's words.
fn translate(asm: &mut Assembler, number: usize, instruction: classic::Instruction) -> Option<()> {
    let classic::Instruction { code, jt, jf, k } = instruction;
    let to = |skip: u8| To::Classic(number + 1 + usize::from(skip));
    match code {
        classic::LD_ABS if k == ancillary::HATYPE => asm.emit(MOVE_32, R0, KIND, 0, 0),
        classic::LD_ABS if k == ancillary::IFINDEX => asm.emit(LOAD_WORD, R0, PACKET, IFINDEX, 0),
        classic::LD_ABS if k == ancillary::PKTTYPE => asm.emit(LOAD_WORD, R0, PACKET, PKT_TYPE, 0),
        // They find the packet in R6, and leave R1 to R5 undefined.
        classic::LD_ABS | classic::LDH_ABS | classic::LDB_ABS => asm.emit(code as u8, 0, 0, 0, k as i32),
        classic::LD_IND | classic::LDH_IND | classic::LDB_IND => asm.emit(code as u8, 0, X, 0, k as i32),
        classic::LD_MEM => asm.emit(LOAD_WORD, R0, FRAME, memory(k), 0),
        classic::ST => asm.emit(STORE_WORD, FRAME, R0, memory(k), 0),
        classic::LDX_IMM => asm.emit(SET_32, X, 0, 0, k as i32),
        classic::TXA => asm.emit(MOVE_32, R0, X, 0, 0),
        classic::LD_LEN => asm.emit(LOAD_WORD, R0, PACKET, LEN, 0),
        classic::TAX => asm.emit(MOVE_32, X, R0, 0, 0),
        // The same codes, of 32 bits in both machines.
        classic::ADD_K | classic::AND_K | classic::RSH_K => asm.emit(code as u8, R0, 0, 0, k as i32),
        classic::ADD_X | classic::SUB_X => asm.emit(code as u8, R0, X, 0, 0),
        classic::JA => asm.jump(JUMP, 0, 0, 0, To::Classic(number + 1 + k as usize)),
        classic::JEQ | classic::JGT | classic::JGE | classic::JSET => {
            asm.jump((code + TO_32) as u8, R0, 0, k as i32, to(jt));
            if jf > 0 {
                asm.jump(JUMP, 0, 0, 0, to(jf));
            }
        }
        classic::RET_K if k == 0 => asm.jump(JUMP, 0, 0, 0, To::Reject),
        classic::RET_K => {
            asm.emit(SET_32, KEEP, 0, 0, k as i32);
            asm.jump(JUMP, 0, 0, 0, To::Accept);
        }
        _ => return None,
    }
    Some(())
}

/// Where a word of the classic machine's memory stands on the stack, of which the first word is the link's key.
fn memory(word: u32) -> i16 {
    -8 - 4 * word as i16
}

/// Has the ring take the packet, if there is room for it.
fn take(asm: &mut Assembler, charge: &Charge, maps: &Maps) {
    asm.place(To::Accept);
    asm.emit(LOAD_WORD, R1, PACKET, LEN, 0);
    asm.emit(IF_AT_MOST_REGISTER_32, R1, KEEP, 1, 0);
    asm.emit(MOVE_32, R1, KEEP, 0, 0);
    asm.emit(ADD_32, R1, 0, 0, IN_FRONT + 7);
    asm.emit(AND_32, R1, 0, 0, -8);
    asm.emit(IF_AT_MOST_32, R1, 0, 1, charge.most as i32);
    asm.emit(SET_32, R1, 0, 0, charge.most as i32);
    asm.emit(IF_AT_MOST_32, R1, 0, 1, charge.plain as i32);
    asm.emit(SHIFT_LEFT_32, R1, 0, 0, 1);
    asm.constant(STATE, OF_MAP_VALUE, maps.state, 0);
    asm.emit(MOVE, R2, R1, 0, 0);
    asm.emit(ATOMIC_DOUBLE, STATE, R1, bytes(POSITION), FETCH_AND_ADD);
    asm.emit(ADD_REGISTER, R1, R2, 0, 0);
    asm.emit(LOAD_DOUBLE, R2, STATE, bytes(LIMIT), 0);
    asm.jump(IF_GREATER_REGISTER, R1, R2, 0, To::Late);
    asm.emit(CALL, 0, 0, 0, JIFFIES);
    asm.emit(LOAD_DOUBLE, R3, STATE, bytes(TICK), 0);
    asm.emit(MOVE, R4, R0, 0, 0);
    asm.emit(SUB_REGISTER, R0, R3, 0, 0);
    asm.jump(IF_AT_LEAST, R0, 0, charge.ticks as i32, To::Time);
    let exit = |asm: &mut Assembler| {
        asm.emit(MOVE_32, R0, KEEP, 0, 0);
        asm.emit(EXIT, 0, 0, 0, 0);
    };
    exit(asm);
    asm.place(To::Time);
    asm.emit(MOVE, R5, R0, 0, 0);
    asm.emit(MOVE, R0, R3, 0, 0);
    asm.emit(ATOMIC_DOUBLE, STATE, R4, bytes(TICK), COMPARE_EXCHANGE);
    // Another processor was faster: jump over the rest to the end of the program.
    asm.emit(IF_EQUAL_REGISTER, R0, R3, 2, 0);
    exit(asm);
    asm.constant(R1, 0, charge.soon as i32, (charge.soon >> 32) as i32);
    asm.emit(SET_32, R2, 0, 0, charge.ticks as i32);
    asm.emit(IF_EQUAL_REGISTER, R5, R2, 2, 0);
    asm.constant(R1, 0, charge.later as i32, (charge.later >> 32) as i32);
    asm.emit(ATOMIC_DOUBLE, STATE, R1, bytes(POSITION), ATOMIC_ADD);
    exit(asm);
    asm.place(To::Late);
    asm.emit(MOVE, R1, PACKET, 0, 0);
    asm.constant(R2, OF_MAP, maps.calls, 0);
    asm.emit(SET_32, R3, 0, 0, 0);
    asm.emit(CALL, 0, 0, 0, TAIL_CALL);
    // It does not come back, unless there is nothing to call: then the ring itself says what it has no room for.
    exit(asm);
}

/// Offset of a word of the state.
fn bytes(word: usize) -> i16 {
    (word * 8) as i16
}
