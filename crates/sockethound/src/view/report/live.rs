//! What only a live report says of the whole: rates, and what became of each interface's packets.

use std::io;

use anstyle::Style as Ansi;
use flow::{InterfaceLedger, Ledger, Live, LiveLedger, Snapshot};

use super::Page;
use crate::view::color;
use crate::view::text::{NO_BREAK, count, visible, width};

/// Reasons that one line names.
const REASONS: usize = 3;
/// Packets that pass while an interface's counters are read, at most; and the part of all of them, if that is more.
const IN_PASSING: (u64, f64) = (3, 0.001);

/// `Rate: 402.93 KB/s (310.9 packets/sec)   now 1.10 MB/s   peak 2.90 MB/s`.
pub(super) fn rates(page: &Page<'_>, average: &str, live: &Live) -> String {
    let units = page.options.units;
    let (now, peak) = (units.rate(live.now.bytes), units.rate(live.peak.bytes));
    let lines = [format!("{average}   now {now}   peak {peak}"), format!("{average} now {now} peak {peak}")];
    let fits = |line: &String| width(line) <= page.limit();
    lines.into_iter().find(fits).unwrap_or(format!("{average} now {now}"))
}

/// ` · owned 97.2 % · forwarded 2.1 % · kernel 0.3 % · unknown 0.4 % (2 flows: ended before the socket was seen)`.
///
/// Parts of the frames' bytes.
pub(super) fn shares(live: &LiveLedger) -> String {
    let parts = [live.owned.1, live.forwarded.1, live.by_kernel.1, live.unknown.1];
    let Some(tenths) = tenths(parts) else { return String::new() };
    let names = ["owned", "forwarded", "kernel", "unknown"];
    let share = |(name, tenths): (&&str, u64)| {
        format!(" ·{NO_BREAK}{name}{NO_BREAK}{}.{}{NO_BREAK}%", tenths / 10, tenths % 10)
    };
    let text: Vec<String> = names.iter().zip(tenths).map(share).collect();
    text.concat() + &reasons(live)
}

/// ` (2 flows: ended before the socket was seen; 1 flow: several processes have equal claims)`.
fn reasons(live: &LiveLedger) -> String {
    if live.reasons.is_empty() {
        return String::new();
    }
    let flows = |n: u64| count(n, "flow", "flows").replace(' ', &NO_BREAK.to_string());
    let named = live.reasons.iter().take(REASONS);
    let mut parts: Vec<_> = named.map(|(reason, n)| format!("{}: {}", flows(*n), visible(reason))).collect();
    let rest: u64 = live.reasons.iter().skip(REASONS).map(|(_, n)| n).sum();
    if rest > 0 {
        parts.push(format!("{}: other reasons", flows(rest)));
    }
    format!(" ({})", parts.join("; "))
}

/// Thousandths of their sum that `parts` are; the rounded parts add up to 1000. `None` if all are 0.
///
/// What rounding down leaves over goes to those that lost most by it.
fn tenths(parts: [u64; 4]) -> Option<[u64; 4]> {
    let sum: u128 = parts.iter().map(|&part| u128::from(part)).sum();
    if sum == 0 {
        return None;
    }
    let scaled = parts.map(|part| u128::from(part) * 1000);
    let mut tenths = scaled.map(|part| (part / sum) as u64);
    let mut order = [0, 1, 2, 3];
    order.sort_by_key(|&at| std::cmp::Reverse(scaled[at] % sum));
    let left = 1000 - tenths.iter().sum::<u64>();
    for &at in order.iter().take(left as usize) {
        tenths[at] += 1;
    }
    Some(tenths)
}

/// `dropped 3`, where that is known.
pub(super) fn dropped(live: &LiveLedger) -> String {
    live.dropped.map_or("dropped unknown".to_owned(), |packets| format!("dropped {packets}"))
}

/// Interfaces whose own counters say something else, and those that do not close.
pub(super) fn gaps(page: &mut Page<'_>, ledger: &Ledger) -> io::Result<()> {
    for interface in &ledger.interfaces {
        let name = visible(interface.interface.label()).into_owned();
        if interface.live.is_some() && !interface.closes() {
            let text = format!("The ledger of {name} does not close. This is a defect; please report it.");
            page.sentence(color::ALARM, &text, 8)?;
        }
        let gap = interface.gap().filter(|gap| *gap != 0);
        if let Some(gap) = gap {
            let (style, text) = told(&name, interface, gap);
            page.sentence(style, &text, 8)?;
        }
    }
    Ok(())
}

/// How much an interface's own counter is apart from what is accounted for.
fn told(name: &str, interface: &InterfaceLedger, gap: i64) -> (Ansi, String) {
    let (accounted, apart) = (interface.accounted(), gap.unsigned_abs());
    let share = apart as f64 / accounted.max(1) as f64;
    let (packets, than) = (count(apart, "packet", "packets"), if gap > 0 { "more" } else { "fewer" });
    let passing = apart <= IN_PASSING.0 || share <= IN_PASSING.1;
    let (style, why) = if passing {
        (color::QUIET, "which may have passed while it was read")
    } else {
        (color::ALARM, "too many to have passed while it was read")
    };
    let percent = if share >= 10.0 { ">1000".to_owned() } else { format!("{:.2}", 100.0 * share) };
    (style, format!("{name} itself counted {packets} {than} than are accounted for ({percent} %), {why}"))
}

/// One line an interface.
pub(super) fn interfaces(page: &mut Page<'_>, snapshot: &Snapshot) -> io::Result<()> {
    page.headline("Interfaces, in packets:")?;
    for interface in &snapshot.ledger.interfaces {
        let Some(live) = &interface.live else { continue };
        let kernel =
            live.kernel.map_or("gone".to_owned(), |(packets, _)| format!("counted {packets} itself"));
        let without_flow = match live.without_flow.0 {
            0 => String::new(),
            packets => format!(" + without flow {packets}"),
        };
        let text = format!(
            "{}: {kernel}; seen {} + {} + offload {} = {}; seen = counted {} + not IP {}{without_flow}{}",
            visible(interface.interface.label()),
            interface.seen.0,
            dropped(live),
            live.offload.0,
            interface.accounted(),
            interface.counted.0,
            interface.not_ip.0,
            shares(live),
        );
        page.sentence(Ansi::new(), &text, 4)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up() {
        for (parts, expected) in [
            ([1, 0, 0, 0], [1000, 0, 0, 0]),
            ([1, 1, 1, 0], [334, 333, 333, 0]),
            ([999_999, 1, 0, 0], [1000, 0, 0, 0]),
            ([9994, 5, 1, 0], [999, 1, 0, 0]),
            ([9994, 2, 2, 2], [1000, 0, 0, 0]),
            ([u64::MAX; 4], [250; 4]),
        ] {
            assert_eq!(tenths(parts), Some(expected), "{parts:?}");
        }
        assert_eq!(tenths([0; 4]), None);
    }
}
