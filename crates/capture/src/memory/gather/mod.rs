//! The program itself, brought together.

mod sys;

use std::fs;
use std::ops::Range;

/// Moves what the program runs to where it lies together, in large pages as far as the kernel gives some: its code and its
/// constants, and the code of the C library.
///
/// All stays at its addresses. What is refused (a policy may forbid code in memory that is no file's) leaves things as they
/// were. To be called when the program has begun and has little to do yet: it copies some megabytes.
pub fn gather_program() {
    let Ok(maps) = fs::read_to_string("/proc/self/maps") else { return };
    // An address in the code of each.
    let (own, library) = (gather_program as fn() as usize, libc::malloc as *const () as usize);
    let mut parts = code(&maps, own);
    parts.extend(constants(&maps, own));
    parts.extend(code(&maps, library));
    sys::gather(&parts);
}

/// A mapping that nobody writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    range: Range<usize>,
    executable: bool,
}

/// The code that `place` is in.
fn code(maps: &str, place: usize) -> Vec<Part> {
    let parts = maps.lines().filter_map(parse).map(|(part, _)| part);
    parts.filter(|part| part.executable && part.range.contains(&place)).collect()
}

/// The constants of the file whose code `place` is in.
fn constants(maps: &str, place: usize) -> Vec<Part> {
    let Some((_, file)) = maps.lines().filter_map(parse).find(|(part, _)| part.range.contains(&place)) else {
        return Vec::new();
    };
    maps.lines()
        .filter_map(parse)
        .filter(|(part, of)| *of == file && !part.executable)
        .map(|(part, _)| part)
        .collect()
}

/// A line of proc_pid_maps(5): a private mapping of a file that nobody writes to, and the file.
fn parse(line: &str) -> Option<(Part, &str)> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
    let (access, rest) = rest.split_once(' ')?;
    let executable = match access {
        "r-xp" => true,
        "r--p" => false,
        _ => return None,
    };
    let file = rest.find('/').and_then(|at| rest.get(at..))?;
    Some((Part { range, executable }, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55f9434be000-55f943631000 r--p 00000000 fe:00 10011093                   /usr/bin/a program
55f943631000-55f943a8c000 r-xp 00172000 fe:00 10011093                   /usr/bin/a program
55f943a8c000-55f943ab3000 r--p 005cb000 fe:00 10011093                   /usr/bin/a program
55f943ab3000-55f943ab4000 rw-p 005f0000 fe:00 10011093                   /usr/bin/a program
55f957800000-55f9582b5000 rw-p 00000000 00:00 0                          [heap]
7f162c4fe000-7f162c524000 r--p 00000000 fe:00 326279                     /usr/lib/libc.so.6
7f162c524000-7f162c67a000 r-xp 00026000 fe:00 326279                     /usr/lib/libc.so.6
7ffe98035000-7ffe98037000 r-xp 00000000 00:00 0                          [vdso]
";

    #[test]
    fn parts_are_those_of_the_file_that_a_place_is_in() {
        let part = |start, end, executable| Part { range: start..end, executable };
        assert_eq!(code(MAPS, 0x55f9_4363_1000), [part(0x55f9_4363_1000, 0x55f9_43a8_c000, true)]);
        let constants = constants(MAPS, 0x55f9_43a8_bfff);
        let both = [
            part(0x55f9_434b_e000, 0x55f9_4363_1000, false),
            part(0x55f9_43a8_c000, 0x55f9_43ab_3000, false),
        ];
        assert_eq!(constants, both);
        assert_eq!(code(MAPS, 0x7f16_2c52_4001).len(), 1);
        // Not of a file, written to, or nobody's.
        for place in [0x7ffe_9803_5000, 0x55f9_5780_0000, 0x55f9_43ab_3000, 5] {
            assert!(code(MAPS, place).is_empty() && super::constants(MAPS, place).is_empty());
        }
    }

    #[test]
    fn a_program_runs_on_where_it_was_moved() {
        let before = fs::read_to_string("/proc/self/maps").unwrap();
        let own = gather_program as fn() as usize;
        assert_eq!(code(&before, own).len(), 1, "the code is its file's");
        // Others run meanwhile.
        let sums: Vec<_> = (0..4_u64)
            .map(|n| std::thread::spawn(move || (0..3_000_000).fold(n, |sum, i| sum.rotate_left(5) ^ i)))
            .collect();
        gather_program();
        let after = fs::read_to_string("/proc/self/maps").unwrap();
        assert!(code(&after, own).is_empty(), "and then no file's: {after}");
        let again = (0..4_u64).map(|n| (0..3_000_000).fold(n, |sum, i| sum.rotate_left(5) ^ i));
        assert!(sums.into_iter().map(|sum| sum.join().unwrap()).eq(again));
        // Where there is nothing left to be moved, nothing is.
        gather_program();
    }
}
