//! A classic BPF program, assembled from instructions with labels.
//!
//! The machine (`<linux/filter.h>`): an accumulator A, an index X, sixteen
//! words of memory, jumps forward only. A load past the packet's end ends the
//! program with 0.

/// `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    /// What to do.
    pub(super) code: u16,
    /// Instructions to skip when a condition holds.
    pub(super) jt: u8,
    /// Instructions to skip when it does not.
    pub(super) jf: u8,
    /// The operand.
    pub(super) k: u32,
}

/// A = 32 bits at k; k from [`ancillary`] gives what the kernel knows of the packet.
pub(super) const LD_ABS: u16 = 0x20;
/// A = 16 bits at k, network byte order.
pub(super) const LDH_ABS: u16 = 0x28;
/// A = 8 bits at k.
pub(super) const LDB_ABS: u16 = 0x30;
/// A = 32 bits at X + k.
pub(super) const LD_IND: u16 = 0x40;
/// A = 16 bits at X + k, network byte order.
pub(super) const LDH_IND: u16 = 0x48;
/// A = 8 bits at X + k.
pub(super) const LDB_IND: u16 = 0x50;
/// A = word k of the memory.
pub(super) const LD_MEM: u16 = 0x60;
/// Word k of the memory = A.
pub(super) const ST: u16 = 0x02;
/// X = k.
pub(super) const LDX_IMM: u16 = 0x01;
/// A = the packet's length.
pub(super) const LD_LEN: u16 = 0x80;
/// X = A.
pub(super) const TAX: u16 = 0x07;
/// A = X.
pub(super) const TXA: u16 = 0x87;
/// A += X.
pub(super) const ADD_X: u16 = 0x0c;
/// A += k.
pub(super) const ADD_K: u16 = 0x04;
/// A -= X.
pub(super) const SUB_X: u16 = 0x1c;
/// A &= k.
pub(super) const AND_K: u16 = 0x54;
/// A >>= k.
pub(super) const RSH_K: u16 = 0x74;
/// Skip k instructions.
pub(super) const JA: u16 = 0x05;
/// A == k?
pub(super) const JEQ: u16 = 0x15;
/// A > k?
pub(super) const JGT: u16 = 0x25;
/// A >= k?
pub(super) const JGE: u16 = 0x35;
/// A & k?
pub(super) const JSET: u16 = 0x45;
/// End with k: how many bytes to keep.
pub(super) const RET_K: u16 = 0x06;

/// What the kernel knows of the packet beside its bytes, as operands of [`LD_ABS`] (`SKF_AD_OFF + …`).
pub(super) mod ancillary {
    /// How the packet is addressed: `PACKET_HOST`, …, `PACKET_OUTGOING`.
    pub(in super::super) const PKTTYPE: u32 = (-0x1000_i32 + 4) as u32;
    /// Number of the interface.
    pub(in super::super) const IFINDEX: u32 = (-0x1000_i32 + 8) as u32;
    /// `ARPHRD_*` of the interface.
    pub(in super::super) const HATYPE: u32 = (-0x1000_i32 + 28) as u32;
}

/// A place in a program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label(usize);

/// Where a branch goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum To {
    /// To the following instruction.
    Next,
    /// To a label, which lies ahead.
    At(Label),
}

/// Collects instructions; labels may be used before they are placed.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    items: Vec<(u16, u32, To, To)>,
    places: Vec<Option<usize>>,
}

impl Assembler {
    /// A label that is not placed yet.
    pub(super) fn label(&mut self) -> Label {
        self.places.push(None);
        Label(self.places.len() - 1)
    }

    /// The next instruction is `label`'s.
    pub(super) fn place(&mut self, label: Label) {
        let here = self.items.len();
        if let Some(place) = self.places.get_mut(label.0) {
            *place = Some(here);
        }
    }

    /// One instruction that goes on to the next.
    pub(super) fn emit(&mut self, code: u16, k: u32) {
        self.items.push((code, k, To::Next, To::Next));
    }

    /// A condition.
    pub(super) fn branch(&mut self, code: u16, k: u32, yes: To, no: To) {
        self.items.push((code, k, yes, no));
    }

    /// A jump of any length.
    pub(super) fn jump(&mut self, to: Label) {
        self.items.push((JA, 0, To::At(to), To::Next));
    }

    /// The program; `None` if a branch goes back, to nowhere, or further than 255 instructions.
    pub(super) fn finish(self) -> Option<Vec<Instruction>> {
        let distance = |from: usize, to: To| match to {
            To::Next => Some(0),
            To::At(label) => self.places.get(label.0).copied().flatten()?.checked_sub(from + 1),
        };
        let resolve = |(at, &(code, k, yes, no)): (usize, &(u16, u32, To, To))| {
            let (yes, no) = (distance(at, yes)?, distance(at, no)?);
            if code == JA {
                return Some(Instruction { code, jt: 0, jf: 0, k: yes as u32 });
            }
            Some(Instruction { code, jt: yes.try_into().ok()?, jf: no.try_into().ok()?, k })
        };
        self.items.iter().enumerate().map(resolve).collect()
    }
}

/// An interpreter of the instructions that are used.
#[cfg(test)]
pub(super) mod machine {
    use super::*;

    /// A packet as the program sees it.
    pub(in super::super) struct Seen<'a> {
        pub(in super::super) bytes: &'a [u8],
        pub(in super::super) hatype: u16,
        pub(in super::super) pkttype: u32,
        pub(in super::super) ifindex: u32,
    }

    /// Runs a program. `None` for a load past the end.
    pub(in super::super) fn run(program: &[Instruction], seen: &Seen<'_>) -> Option<u32> {
        let load = |at: u32, size: usize| {
            let bytes = seen.bytes.get(at as usize..)?.get(..size)?;
            Some(bytes.iter().fold(0, |word, &b| word << 8 | u32::from(b)))
        };
        let (mut a, mut x, mut at) = (0_u32, 0_u32, 0);
        let mut memory = [0_u32; 16];
        loop {
            let Instruction { code, jt, jf, k } = program[at];
            at += 1;
            let mut jump = |yes: bool| at += usize::from(if yes { jt } else { jf });
            match code {
                LD_ABS if k == ancillary::IFINDEX => a = seen.ifindex,
                LD_ABS if k == ancillary::HATYPE => a = u32::from(seen.hatype),
                LD_ABS if k == ancillary::PKTTYPE => a = seen.pkttype,
                LD_ABS => a = load(k, 4)?,
                LDH_ABS => a = load(k, 2)?,
                LDB_ABS => a = load(k, 1)?,
                LD_IND => a = load(x + k, 4)?,
                LDH_IND => a = load(x + k, 2)?,
                LDB_IND => a = load(x + k, 1)?,
                LD_MEM => a = memory[k as usize],
                ST => memory[k as usize] = a,
                LDX_IMM => x = k,
                TXA => a = x,
                ADD_X => a += x,
                SUB_X => a -= x,
                LD_LEN => a = seen.bytes.len() as u32,
                TAX => x = a,
                ADD_K => a += k,
                AND_K => a &= k,
                RSH_K => a >>= k,
                JA => at += k as usize,
                JEQ => jump(a == k),
                JGT => jump(a > k),
                JGE => jump(a >= k),
                JSET => jump(a & k != 0),
                RET_K => return Some(k),
                _ => panic!("instruction {code:#x}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_become_distances() {
        let mut a = Assembler::default();
        let (far, near) = (a.label(), a.label());
        a.branch(JEQ, 7, To::At(far), To::Next);
        a.jump(near);
        a.emit(RET_K, 1);
        a.place(near);
        a.emit(RET_K, 2);
        a.place(far);
        a.emit(RET_K, 3);
        let program = a.finish().unwrap();
        assert_eq!(program[0], Instruction { code: 0x15, jt: 3, jf: 0, k: 7 });
        assert_eq!(program[1], Instruction { code: 0x05, jt: 0, jf: 0, k: 1 });
    }

    #[test]
    fn branches_that_cannot_be_are_refused() {
        let mut back = Assembler::default();
        let label = back.label();
        back.place(label);
        back.branch(JEQ, 0, To::At(label), To::Next);
        assert!(back.finish().is_none());
        let mut far = Assembler::default();
        let label = far.label();
        far.branch(JEQ, 0, To::At(label), To::Next);
        (0..256).for_each(|_| far.emit(RET_K, 0));
        far.place(label);
        far.emit(RET_K, 0);
        assert!(far.finish().is_none());
        let mut nowhere = Assembler::default();
        let label = nowhere.label();
        nowhere.jump(label);
        assert!(nowhere.finish().is_none());
    }
}
