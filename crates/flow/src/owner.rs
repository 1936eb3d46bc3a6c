//! The process that owns a flow, as plain facts.

/// What runs the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Runtime {
    /// Docker.
    Docker,
    /// Podman and others on libpod.
    Podman,
    /// containerd, by itself or for Kubernetes.
    Containerd,
    /// CRI-O.
    CriO,
    /// LXC and LXD; the id is the container's name.
    Lxc,
    /// systemd-nspawn; the id is the machine's name.
    Nspawn,
    /// A container whose path does not name what runs it.
    Other,
}

impl Runtime {
    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Lxc => "lxc",
            Self::Nspawn => "nspawn",
            Self::Other => "container",
        }
    }
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Container {
    /// What runs it.
    pub runtime: Runtime,
    /// The runtime's identifier in full: 64 hexadecimal digits, or a name.
    pub id: String,
    /// Name, where the runtime's state files could be read.
    pub name: Option<String>,
    /// Unique identifier of the Kubernetes pod, with dashes.
    pub pod: Option<String>,
}

/// A process: who it is and where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Process id, in the namespace of the `/proc` that was read.
    pub pid: u32,
    /// Clock ticks after boot at which it started; a pid that is used again
    /// has another.
    pub start: u64,
    /// Its name: the kernel's, made whole from the executable or the first
    /// argument where the kernel cut it.
    pub name: String,
    /// Path of its executable; kernel threads have none.
    pub executable: Option<String>,
    /// Its arguments.
    pub command_line: Vec<String>,
    /// Effective user id.
    pub uid: Option<u32>,
    /// Name of that user.
    pub user: Option<String>,
    /// Process id of its parent, 0 if that is outside the namespace.
    pub parent: u32,
    /// Path of its cgroup.
    pub cgroup: Option<String>,
    /// systemd unit.
    pub unit: Option<String>,
    /// Container.
    pub container: Option<Container>,
    /// Inode of its network namespace, where that may be read.
    pub net_namespace: Option<u64>,
}
