//! Where a process stands: systemd unit, container and pod, from the paths of
//! `/proc/<pid>/cgroup` (cgroups(7)), for cgroup v1, v2 and both mixed.
//!
//! A path is read component by component, from the outside in; the innermost
//! container counts, and a unit counts only inside it. Monitors that stand
//! beside a container (conmon, lxc.monitor) are not in it. Virtual machines are
//! not containers.

use crate::{Container, Runtime};

/// What `/proc/<pid>/cgroup` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// The path: of the v2 hierarchy if the process is placed there, else of
    /// systemd's, else the first that is not the root.
    pub path: Option<String>,
    /// The systemd unit: the innermost service or scope.
    pub unit: Option<String>,
    /// The container.
    pub container: Option<Container>,
}

impl Placement {
    /// Reads the text of `/proc/<pid>/cgroup`.
    pub fn parse(text: &str) -> Self {
        let mut paths: Vec<(u8, &str)> = text.lines().filter_map(ranked).collect();
        paths.sort_by_key(|(rank, _)| *rank);
        let mut placement =
            Self { path: paths.first().map(|(_, path)| (*path).to_owned()), ..Self::default() };
        for (_, path) in paths {
            let (unit, container) = read_path(path);
            let inside = container.is_some();
            if placement.container.is_none() && inside {
                placement.container = container;
                placement.unit = unit;
            } else if placement.unit.is_none() && placement.container.is_none() {
                placement.unit = unit;
            }
        }
        placement
    }
}

/// A line `hierarchy:controllers:path`, ranked; root paths say nothing.
fn ranked(line: &str) -> Option<(u8, &str)> {
    let mut fields = line.splitn(3, ':');
    let hierarchy = fields.next()?;
    let controllers = fields.next()?;
    let path = fields.next()?;
    let rank = match (hierarchy, controllers) {
        ("0", "") => 0,
        (_, "name=systemd") => 1,
        _ => 2,
    };
    path.split('/').any(|part| !part.is_empty() && part != "..").then_some((rank, path))
}

fn read_path(path: &str) -> (Option<String>, Option<Container>) {
    let mut unit = None;
    let mut container: Option<Container> = None;
    let mut pod = None;
    let mut outer = "";
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if let Some(uid) = pod_uid(part) {
            pod = Some(uid);
        }
        match classify(part, outer, pod.is_some()) {
            Part::Container(runtime, id) => {
                container = Some(Container { runtime, id: id.to_owned(), name: None, pod: pod.clone() });
                unit = None;
            }
            Part::Monitor => container = None,
            Part::Unit => unit = Some(part.to_owned()),
            Part::Plain => {}
        }
        outer = part;
    }
    (unit, container)
}

/// What one component of a path is.
enum Part<'a> {
    Container(Runtime, &'a str),
    Monitor,
    Unit,
    Plain,
}

/// Prefixes that systemd scopes and cgroup folders carry before the id.
const PREFIXES: [(&str, Runtime); 9] = [
    ("docker-", Runtime::Docker),
    ("libpod-payload-", Runtime::Podman),
    ("libpod-", Runtime::Podman),
    ("cri-containerd-", Runtime::Containerd),
    ("containerd-", Runtime::Containerd),
    ("nerdctl-", Runtime::Containerd),
    ("crio-", Runtime::CriO),
    ("podman-", Runtime::Podman),
    ("oci-", Runtime::Other),
];

fn classify<'a>(part: &'a str, outer: &str, in_pod: bool) -> Part<'a> {
    if part.contains("conmon") || part.starts_with("lxc.monitor") {
        return Part::Monitor;
    }
    let bare = part.strip_suffix(".scope").unwrap_or(part);
    for (prefix, runtime) in PREFIXES {
        if let Some(id) = bare.strip_prefix(prefix).filter(|id| is_id(id)) {
            return Part::Container(runtime, id);
        }
    }
    if let Some((_, id)) = part.split_once(":cri-containerd:") {
        return Part::Container(Runtime::Containerd, id);
    }
    if let Some((_, id)) = part.split_once(":crio:") {
        return Part::Container(Runtime::CriO, id);
    }
    if let Some(named) = named(part, bare, outer) {
        return named;
    }
    if is_id(part) || (outer.len() == 32 && is_fargate(part, outer)) {
        let runtime = match outer {
            "docker" => Runtime::Docker,
            "libpod_parent" | "libpod" => Runtime::Podman,
            "default" | "k8s.io" | "moby" if !in_pod => Runtime::Containerd,
            _ => Runtime::Other,
        };
        return Part::Container(runtime, part);
    }
    let unit = [".service", ".scope"].iter().any(|suffix| part.ends_with(suffix));
    if unit { Part::Unit } else { Part::Plain }
}

/// Containers known by name rather than by id.
fn named<'a>(part: &'a str, bare: &'a str, outer: &str) -> Option<Part<'a>> {
    if let Some(name) = part.strip_prefix("lxc.payload.") {
        return Some(Part::Container(Runtime::Lxc, name));
    }
    if matches!(outer, "lxc" | "lxc.payload") {
        return Some(Part::Container(Runtime::Lxc, part));
    }
    if let Some(name) = part.strip_prefix("systemd-nspawn@") {
        return Some(Part::Container(Runtime::Nspawn, name.strip_suffix(".service").unwrap_or(name)));
    }
    if outer == "machine.slice" && bare != part {
        let machine = bare.strip_prefix("machine-")?;
        return Some(match machine.strip_prefix("lxc\\x2d") {
            // libvirt numbers its machines: lxc-4711-name.
            Some(rest) => {
                Part::Container(Runtime::Lxc, rest.split_once("\\x2d").map_or(rest, |(_, name)| name))
            }
            None if machine.starts_with("qemu\\x2d") => Part::Unit,
            None => Part::Container(Runtime::Nspawn, machine),
        });
    }
    None
}

/// 64 hexadecimal digits: the identifiers of every OCI runtime.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `<task>-<number>` under `<task>`, as on AWS Fargate.
fn is_fargate(part: &str, task: &str) -> bool {
    let number = part.strip_prefix(task).and_then(|rest| rest.strip_prefix('-'));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `pod<uid>` or `kubepods-burstable-pod<uid_with_underscores>.slice`; a static
/// pod's uid has no dashes.
fn pod_uid(part: &str) -> Option<String> {
    let bare = part.split(".slice").next()?;
    let uid = match bare.strip_prefix("pod") {
        Some(uid) => uid,
        None if bare.contains("kubepods") => bare.rsplit_once("-pod")?.1,
        None => return None,
    };
    let digits = uid.bytes().filter(u8::is_ascii_hexdigit).count();
    let only = uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-' || byte == b'_');
    (digits == 32 && only).then(|| uid.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4f1a3c0de5b6978899aabbccddeeff00112233445566778899aabbccddeeff0a";
    const POD: &str = "a1b2c3d4-e5f6-4711-8899-aabbccddeeff";

    /// Path (`$` the container's id, `%` the pod's uid, `&` the same with
    /// underscores), unit, runtime and id (`-` for none, `+` for `ID`), whether
    /// in the pod.
    const PATHS: &[(&str, &str, &str, &str, bool)] = &[
        ("/", "-", "-", "-", false),
        ("/init.scope", "init.scope", "-", "-", false),
        ("/system.slice/nginx.service", "nginx.service", "-", "-", false),
        ("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service", "-", "-", false),
        ("/system.slice/ssh.service/session", "ssh.service", "-", "-", false),
        ("/user.slice/user-1000.slice/session-3.scope", "session-3.scope", "-", "-", false),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-7.scope",
            "vte-spawn-7.scope",
            "-",
            "-",
            false,
        ),
        ("/user.slice/user-1000.slice/user@1000.service/init.scope", "init.scope", "-", "-", false),
        ("/system.slice/docker.service", "docker.service", "-", "-", false),
        ("/docker/$", "-", "docker", "+", false),
        ("/system.slice/docker-$.scope", "-", "docker", "+", false),
        ("/../../docker/$", "-", "docker", "+", false),
        (
            "/docker/0000000000000000000000000000000000000000000000000000000000000000/docker/$",
            "-",
            "docker",
            "+",
            false,
        ),
        ("/docker/$/system.slice/cron.service", "cron.service", "docker", "+", false),
        ("/docker/buildx/x1y2", "-", "-", "-", false),
        ("/machine.slice/libpod-$.scope", "-", "podman", "+", false),
        ("/machine.slice/libpod-$.scope/container", "-", "podman", "+", false),
        ("/machine.slice/libpod-conmon-$.scope", "-", "-", "-", false),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-$.scope/container",
            "-",
            "podman",
            "+",
            false,
        ),
        ("/system.slice/web.service/libpod-payload-$", "-", "podman", "+", false),
        ("/libpod_parent/libpod-$", "-", "podman", "+", false),
        ("/default/$", "-", "containerd", "+", false),
        ("/system.slice/nerdctl-$.scope", "-", "containerd", "+", false),
        ("/kubepods/besteffort/pod%/$", "-", "container", "+", true),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod&.slice/cri-containerd-$.scope",
            "-",
            "containerd",
            "+",
            true,
        ),
        ("/kubepods.slice/kubepods-pod&.slice/crio-$.scope", "-", "cri-o", "+", true),
        ("/kubepods.slice/kubepods-pod&.slice/crio-conmon-$.scope", "-", "-", "-", false),
        ("/kubepods.slice/kubepods-pod&.slice/docker-$.scope", "-", "docker", "+", true),
        (
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod&.slice/cri-containerd-$.scope",
            "-",
            "containerd",
            "+",
            true,
        ),
        (
            "/system.slice/containerd.service/kubepods-besteffort-pod&.slice:cri-containerd:$",
            "-",
            "containerd",
            "+",
            true,
        ),
        ("/system.slice/containerd.service", "containerd.service", "-", "-", false),
        ("/lxc.payload.web01", "-", "lxc", "web01", false),
        ("/lxc.payload.web01/system.slice/nginx.service", "nginx.service", "lxc", "web01", false),
        ("/lxc.payload/web01/init.scope", "init.scope", "lxc", "web01", false),
        ("/lxc.monitor.web01", "-", "-", "-", false),
        ("/lxc/101/ns/system.slice/postfix.service", "postfix.service", "lxc", "101", false),
        ("/machine.slice/systemd-nspawn@deb.service/payload", "-", "nspawn", "deb", false),
        ("/machine.slice/machine-deb.scope", "-", "nspawn", "deb", false),
        (
            "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator",
            "machine-qemu\\x2d1\\x2dvm.scope",
            "-",
            "-",
            false,
        ),
        ("/machine.slice/machine-lxc\\x2d4711\\x2dweb.scope", "-", "lxc", "web", false),
        ("/ecs/1234567890abcdef1234567890abcdef/$", "-", "container", "+", false),
        (
            "/ecs/1234567890abcdef1234567890abcdef/1234567890abcdef1234567890abcdef-1122334455",
            "-",
            "container",
            "1234567890abcdef1234567890abcdef-1122334455",
            false,
        ),
        ("/actions_job/$", "-", "container", "+", false),
        ("/process_api/4f1a3c0de5b6978899aabbccddeeff00", "-", "-", "-", false),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/snap.firefox.firefox-1.scope",
            "snap.firefox.firefox-1.scope",
            "-",
            "-",
            false,
        ),
    ];

    #[test]
    fn paths_of_real_runtimes() {
        for (path, unit, runtime, id, in_pod) in PATHS {
            let path = path.replace('$', ID).replace('%', POD).replace('&', &POD.replace('-', "_"));
            let placement = Placement::parse(&format!("0::{path}\n"));
            assert_eq!(placement.unit.as_deref().unwrap_or("-"), *unit, "{path}");
            let container = placement.container.as_ref();
            assert_eq!(container.map_or("-", |c| c.runtime.name()), *runtime, "{path}");
            let expected = if *id == "+" { ID } else { id };
            assert_eq!(container.map_or("-", |c| c.id.as_str()), expected, "{path}");
            let pod = container.and_then(|c| c.pod.as_deref());
            assert_eq!(pod, in_pod.then_some(POD), "{path}");
        }
    }

    #[test]
    fn version_1_and_mixed_hierarchies() {
        let v1 = format!("12:pids:/docker/{ID}\n1:name=systemd:/docker/{ID}\n");
        assert_eq!(Placement::parse(&v1).container.unwrap().id, ID);
        let mixed = format!(
            "9:name=systemd:/system.slice/a.service\n4:memory:/docker/{ID}\n0::/system.slice/a.service\n"
        );
        let placement = Placement::parse(&mixed);
        assert_eq!(placement.path.as_deref(), Some("/system.slice/a.service"));
        assert_eq!(placement.container.unwrap().runtime, Runtime::Docker);
        assert_eq!(placement.unit, None, "a unit outside the container is not the process's");
        let only_v1 = "5:memory:/x\n1:name=systemd:/user.slice/user-0.slice/session-1.scope\n0::/\n";
        let placement = Placement::parse(only_v1);
        assert_eq!(placement.path.as_deref(), Some("/user.slice/user-0.slice/session-1.scope"));
        assert_eq!(placement.unit.as_deref(), Some("session-1.scope"));
        assert_eq!(Placement::parse("garbage\n\n0:\n"), Placement::default());
    }

    #[test]
    fn a_static_pod_has_no_dashes() {
        let uid = "0123456789abcdef0123456789abcdef";
        let text = format!("0::/kubepods/burstable/pod{uid}/{ID}");
        assert_eq!(Placement::parse(&text).container.unwrap().pod.as_deref(), Some(uid));
    }
}
