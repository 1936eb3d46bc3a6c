//! Every seed, and each with a bit turned over here and there or its end cut off, keeps what the targets promise.

#[test]
fn seeds_hold() {
    for (name, target) in targets::TARGETS {
        let seeds = targets::seeds(name);
        assert!(seeds.len() >= 15, "{name} has {} seeds", seeds.len());
        for (seed, bytes) in seeds {
            eprintln!("{name} {seed}");
            target(&bytes);
            for at in (0..bytes.len()).step_by(1 + bytes.len() / 16) {
                let mut turned = bytes.clone();
                turned[at] ^= 1 << (at % 8);
                target(&turned);
                target(&bytes[..at]);
            }
        }
    }
}
