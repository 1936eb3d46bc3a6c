//! How a live run begins: everything that takes privileges is opened, then they are given up.

use capture::ring::{self, RingSource, Snaplen};
use flow::LiveConfig;

use crate::attribution::Attribution;
use crate::exit::Exit;
use crate::pipeline::live::now;
use crate::pipeline::{Job, Live};
use crate::plan::Interfaces;

/// Opens what `interfaces` and `job` ask for, and completes `job`; an error says how to exit, and one line.
pub(crate) fn open(interfaces: &Interfaces, job: &mut Job, quiet: bool) -> Result<Live, (Exit, String)> {
    let options = ring::Options {
        interfaces: interfaces.names.clone(),
        snaplen: interfaces.snaplen.map_or(Snaplen::Adaptive, Snaplen::Fixed),
        ring_bytes: interfaces.ring_bytes,
        promiscuous: interfaces.promiscuous,
        hardware_clock: interfaces.hardware_clock,
        ..ring::Options::default()
    };
    let owners = owners().ok();
    let conntrack = host::Conntrack::open().ok();
    let rings = RingSource::open_group(&options, interfaces.workers).map_err(|e| (exit(&e), e.to_string()))?;
    job.config.live = Some(LiveConfig {
        seed: job.options.seed,
        started: now(),
        owners_from: if owners.is_some() { "sock_diag" } else { "no owners" },
    });
    Ok(Live { rings, attribution: Attribution::new(owners, conntrack), quiet })
}

fn exit(error: &ring::Error) -> Exit {
    match error {
        ring::Error::NotPermitted { .. } => Exit::NotPermitted,
        ring::Error::NoSuchInterface { .. } => Exit::NoSuchInterface,
        _ => Exit::Failed,
    }
}

fn owners() -> std::io::Result<host::service::Client> {
    let (near, far) = std::os::unix::net::UnixStream::pair()?;
    let mut owners = host::Owners::open(&host::Config::default())?;
    std::thread::spawn(move || host::service::serve(&mut owners, far));
    host::service::Client::new(near)
}
