//! How much the kernel tells here: a ladder, of which each rung says what it cannot see.

use capture::bpf::{self, Hooks, Options, Refusal};
use rustix::thread::CapabilitySet;

/// A rung of the ladder, with what was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Its letter.
    pub letter: char,
    /// What it lacks, in words; empty on the first.
    pub lacks: &'static str,
    /// What was refused of that.
    pub refused: Vec<Refusal>,
    /// Whether what sockets do is counted, and what was refused of that.
    pub counts: bool,
    /// What was refused of what counts at sockets.
    pub not_counted: Vec<Refusal>,
}

/// Loads programs into the kernel.
pub const PROGRAMS: CapabilitySet = CapabilitySet::BPF;
/// Attaches them to cgroups.
pub const CGROUPS: CapabilitySet = CapabilitySet::BPF.union(CapabilitySet::NET_ADMIN);
/// Attaches them to tracepoints, and reads the kernel's structures.
pub const TRACING: CapabilitySet = CapabilitySet::BPF.union(CapabilitySet::PERFMON);

impl Rung {
    /// The rung that is reached here: loads everything, and lets go of it.
    pub fn probe() -> Self {
        Self::of(&Hooks::open(&Options::default()))
    }

    /// The rung that the programs' loading shows.
    pub fn of(opened: &Result<Hooks, Refusal>) -> Self {
        let hooks = match opened {
            Ok(hooks) => hooks,
            Err(refusal) => return Self::without(refusal),
        };
        let has = |names: &[&str]| names.iter().all(|name| hooks.attached().contains(name));
        let packets = has(&["sent", "received"]) || has(&["sent_plain", "received_plain"]);
        let used = hooks.sees_senders() && has(&["sock_recv_length"]);
        let (letter, lacks) = match (packets, used) {
            (true, true) => ('A', ""),
            (false, true) => ('B', "of UDP sockets without a peer, raw sockets, and those that send nothing"),
            (true, false) => ('C', "of sockets that were accepted or passed on"),
            (false, false) => ('D', "of sockets that end before they are looked up"),
        };
        let counting = |refusal: &Refusal| bpf::is_counting(&refusal.hook);
        let (not_counted, refused) = hooks.refused().iter().cloned().partition(counting);
        Self { letter, lacks, refused, counts: hooks.counts(), not_counted }
    }

    fn without(refusal: &Refusal) -> Self {
        // Whoever may make a map but attach nothing here may still count packets by a program.
        let letter = if refusal.hook.is_empty() { 'E' } else { 'D' };
        let lacks = "of sockets that end before they are looked up";
        let refused = vec![refusal.clone()];
        Self { letter, lacks, refused, counts: false, not_counted: Vec::new() }
    }

    /// Whether everything that the program can use is there.
    pub fn is_whole(&self) -> bool {
        self.letter == 'A' && self.refused.is_empty()
    }

    /// What there is to say, once; nothing where nothing is lacking.
    pub fn line(&self) -> Option<String> {
        if self.is_whole() {
            let lacking = format!("warning: not all is counted at sockets: {}", reasons(&self.not_counted));
            return (!self.not_counted.is_empty()).then_some(lacking);
        }
        let refused = reasons(&self.refused);
        Some(if self.lacks.is_empty() {
            format!("warning: the kernel tells owners, but not all: {refused}")
        } else {
            format!(
                "warning: the kernel tells no owners {}: they are looked up, which may be too late: {refused}",
                self.lacks
            )
        })
    }
}

/// Each reason once, with the programs that it was given for.
pub fn reasons(refused: &[Refusal]) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for refusal in refused {
        let hook = if refusal.hook.is_empty() { "bpf" } else { refusal.hook.as_str() };
        match reasons.iter_mut().find(|(reason, _)| *reason == refusal.reason) {
            Some((_, hooks)) => hooks.push(hook),
            None => reasons.push((&refusal.reason, vec![hook])),
        }
    }
    let each =
        reasons.iter().map(|(reason, hooks)| format!("{}: {reason}{}", hooks.join(" "), option(hooks)));
    each.collect::<Vec<_>>().join("; ")
}

/// The kernel's option that is lacking, where that is what it looks like.
fn option(hooks: &[&str]) -> &'static str {
    if hooks.iter().any(|hook| hook.starts_with("/sys/kernel/btf")) {
        " (takes a kernel with CONFIG_DEBUG_INFO_BTF)"
    } else {
        ""
    }
}
