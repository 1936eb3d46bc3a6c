//! What a user may choose of live capture.

use std::path::PathBuf;
use std::time::Duration;

use super::Snaplen;

/// What to capture, and with how much memory.
#[expect(clippy::struct_excessive_bools, reason = "one switch, one field")]
#[derive(Clone, Debug)]
pub struct Options {
    /// Names of interfaces; none for all there are and will be.
    ///
    /// One that is renamed is still captured; one that vanishes is captured again when one of its name comes.
    pub interfaces: Vec<String>,
    /// How much is kept of each packet.
    pub snaplen: Snaplen,
    /// Memory of the ring, in bytes; locked, and counted as resident.
    pub ring_bytes: usize,
    /// Half of that memory is enough where the kernel counts what the ring may have no room for.
    pub halve_if_counted: bool,
    /// Memory of one block, in bytes: a power of two of at least 4096. At most so much is kept of a packet.
    pub block_bytes: usize,
    /// How long a packet waits at most until its block is handed over.
    pub patience: Duration,
    /// Also receive what is addressed to others.
    pub promiscuous: bool,
    /// Use the clocks of devices that stamp packets. They need not agree with the system's, nor among each other.
    pub hardware_clock: bool,
    /// Have the kernel count what the ring may have no room for, where it lets us (`CAP_BPF`); else it is dropped.
    pub count_in_kernel: bool,
    /// The file of the network namespace whose packets are wanted; none for the caller's own.
    pub namespace: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            snaplen: Snaplen::Adaptive,
            ring_bytes: 32 << 20,
            halve_if_counted: false,
            block_bytes: 1 << 20,
            patience: Duration::from_millis(50),
            promiscuous: false,
            hardware_clock: false,
            count_in_kernel: false,
            namespace: None,
        }
    }
}
