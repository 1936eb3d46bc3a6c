use proptest::prelude::*;

use super::gone::APART;
use super::*;
use crate::key::FlowKey;

/// What happens to a flow on one interface: `packets` of a side, with a print, after which its table may be done with it.
#[derive(Clone, Debug)]
struct Step {
    interface: u16,
    side: Side,
    packets: u64,
    print: u32,
    ends: bool,
}

fn step() -> impl Strategy<Value = Step> {
    (0..300_u16, any::<bool>(), 1..50_u64, 1..60_u32, any::<bool>()).prop_map(
        |(interface, low, packets, print, ends)| {
            let side = if low { Side::Low } else { Side::High };
            Step { interface, side, packets, print, ends }
        },
    )
}

fn apply(strands: &mut Strands, n: usize, step: &Step) {
    let mut part = Flow::new(FlowKey::default(), 0, Timestamp(n as i64), step.side);
    let sent =
        Counters { packets: step.packets, ip_bytes: 100 * step.packets, frame_bytes: 114 * step.packets };
    part.count(|side| if side == step.side.index() { sent } else { Counters::default() });
    let mut prints = Prints::default();
    prints.keep(step.side.index(), 0, step.print);
    let place = Place { interface: InterfaceId(step.interface), translated: false };
    strands.add(place, &part, &prints);
    if step.ends {
        strands.end(place);
    }
}

fn sent(strands: &Strands) -> [Counters; 2] {
    [strands.sent(0), strands.sent(1)]
}

proptest! {
    #[test]
    fn folding_changes_no_sum(
        steps in prop::collection::vec(step(), 1..900),
        then in prop::collection::vec(step(), 1..50),
    ) {
        let (mut folded, mut whole) = (Strands::default(), Strands::default());
        let mut closed = Counters::default();
        for (n, step) in steps.iter().enumerate() {
            for strands in [&mut folded, &mut whole] {
                apply(strands, n, step);
            }
        }
        let on_each = |strands: &Strands| strands.iter().fold(Counters::default(), |sum, s| sum + s.sent[0] + s.sent[1]);
        // Twice: what was folded once is folded again.
        for most in [150, 290] {
            let before = folded.all.len();
            let told = folded.fold(|id| id.0 < most);
            prop_assert_eq!(folded.all.len() + told.len(), before);
            for (_, sum) in told {
                closed += sum;
            }
            prop_assert_eq!(sent(&folded), sent(&whole));
            prop_assert_eq!(on_each(&folded) + closed, on_each(&whole));
            prop_assert_eq!(folded.interfaces(), whole.interfaces());
        }
        // What goes on elsewhere, in packets of its own or in those that passed interfaces that go on.
        for (n, step) in then.iter().enumerate() {
            let step = Step { interface: step.interface % 10 + 290, print: 1000 + step.print, ..step.clone() };
            for strands in [&mut folded, &mut whole] {
                apply(strands, 1000 + n, &step);
            }
            prop_assert_eq!(sent(&folded), sent(&whole));
        }
    }
}

#[test]
fn strands_of_interfaces_that_are_gone_are_few() {
    let mut strands = Strands::default();
    for n in 0..5000_u16 {
        // A bridge that stays, and a container that does not.
        for (interface, ends) in [(0, false), (n + 1, true)] {
            let print = 1 + u32::from(n);
            apply(
                &mut strands,
                usize::from(n),
                &Step { interface, side: Side::Low, packets: 2, print, ends },
            );
        }
        strands.fold(|id| id.0 > 0);
        assert!(strands.all.len() <= APART + 2, "{}", strands.all.len());
    }
    assert_eq!(sent(&strands).map(|sent| sent.packets), [10_000, 0], "as the bridge has it");
    assert!(strands.interfaces().len() < 1200);
}
