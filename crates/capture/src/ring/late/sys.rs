//! The system calls of counting in the kernel: a program of our own making, clocks.
//!
//! Layouts and numbers are those of `<linux/bpf.h>`, which the kernel keeps for good.
#![allow(unsafe_code, reason = "system calls and memory that is shared with the kernel")]

use std::ffi::CStr;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::extended::Instruction;

const BPF_MAP_UPDATE_ELEM: libc::c_long = 2;
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_TYPE_SOCKET_FILTER: u32 = 1;

/// `union bpf_attr` of `BPF_PROG_LOAD`, as far as it is used.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct ProgramLoad {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// Has the kernel check and take a program.
///
/// The maps that its instructions name by descriptor must be open; the kernel holds them from then on.
pub(super) fn load(name: &CStr, program: &[Instruction], license: &CStr) -> io::Result<OwnedFd> {
    let mut attributes = ProgramLoad {
        kind: BPF_PROG_TYPE_SOCKET_FILTER,
        instructions: program.len() as u32,
        code: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        ..ProgramLoad::default()
    };
    // One byte is left for the end.
    attributes.name.iter_mut().take(15).zip(name.to_bytes()).for_each(|(to, from)| *to = *from);
    // SAFETY: bpf(2) reads `attributes`, and behind it so many instructions and a text that ends with a zero; all live
    // longer than the call.
    let fd = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const attributes, size_of::<ProgramLoad>())
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// `union bpf_attr` of `BPF_MAP_UPDATE_ELEM`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct ElementUpdate {
    map: u32,
    unused: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Has the program be called at a place of a `BPF_MAP_TYPE_PROG_ARRAY`; the map holds it from then on.
pub(super) fn set_call(calls: BorrowedFd<'_>, place: u32, program: BorrowedFd<'_>) -> io::Result<()> {
    let value = program.as_raw_fd();
    let attributes = ElementUpdate {
        map: calls.as_raw_fd() as u32,
        key: (&raw const place) as u64,
        value: (&raw const value) as u64,
        ..ElementUpdate::default()
    };
    // SAFETY: bpf(2) reads `attributes`, and behind it a key and a value of 32 bits; all live longer than the call.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_MAP_UPDATE_ELEM, &raw const attributes, size_of::<ElementUpdate>())
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A clock of the system, in nanoseconds.
pub(super) fn time(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one `timespec`.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    nanoseconds(time)
}

/// How often the kernel's own count of time goes on (`jiffies`): a clock that shows it says so. In nanoseconds.
pub(super) fn tick() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one `timespec`.
    unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
    nanoseconds(time)
}

#[allow(clippy::unnecessary_cast, reason = "both are of other types where the C library is another")]
fn nanoseconds(time: libc::timespec) -> i64 {
    time.tv_sec as i64 * 1_000_000_000 + time.tv_nsec as i64
}

/// `union bpf_attr` of `BPF_PROG_TEST_RUN`, as far as it is used.
#[cfg(test)]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct TestRun {
    program: u32,
    result: u32,
    input_length: u32,
    output_length: u32,
    input: u64,
    output: u64,
    repeat: u32,
    nanoseconds: u32,
    context_input_length: u32,
    context_output_length: u32,
    context_input: u64,
    context_output: u64,
}

/// What a program says of a frame, and how long it takes for it, in nanoseconds, over so many runs.
#[cfg(test)]
pub(super) fn test_run(program: BorrowedFd<'_>, frame: &[u8], repeat: u32) -> io::Result<(u32, u32)> {
    const BPF_PROG_TEST_RUN: libc::c_long = 10;
    // The kernel takes an Ethernet header off, since programs of this kind see what a socket receives.
    let input = [&[0; 14], frame].concat();
    let mut attributes = TestRun {
        program: program.as_raw_fd() as u32,
        input_length: input.len() as u32,
        input: input.as_ptr() as u64,
        repeat,
        ..TestRun::default()
    };
    // SAFETY: bpf(2) reads `attributes` and so many bytes of `input` behind it, and writes into `attributes`.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_TEST_RUN, &raw mut attributes, size_of::<TestRun>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok((attributes.result, attributes.nanoseconds)) }
}
