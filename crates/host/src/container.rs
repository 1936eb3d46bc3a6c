//! Names of containers, from the state files of their runtimes, where those
//! can be read: a cgroup path holds the id only.
//!
//! Docker: `config.v2.json` of the container. Podman and CRI-O: the shared
//! `containers.json` of containers/storage, of root or of the process's user.
//! containerd under Kubernetes: the annotations in the OCI bundle's
//! `config.json`.

use std::fs;
use std::path::{Path, PathBuf};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use serde_json::Value;

use crate::{Container, Runtime};

/// How many names are kept before all are forgotten.
const KEPT: usize = 4096;
/// State files above this size are not read.
const LARGEST: u64 = 16 << 20;

/// The names of containers, each looked up once.
#[derive(Debug)]
pub(crate) struct ContainerNames {
    root: PathBuf,
    known: HashMap<String, Option<String>, RandomState>,
}

impl ContainerNames {
    /// `root` is the root of the file system, `/` but in tests.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, known: HashMap::default() }
    }

    /// The container's name; `home` is that of the user whose process it is,
    /// for runtimes that run without privileges.
    pub(crate) fn name(&mut self, container: &Container, home: Option<&Path>) -> Option<String> {
        if matches!(container.runtime, Runtime::Lxc | Runtime::Nspawn) {
            return Some(container.id.clone()); // the id is the name
        }
        if let Some(known) = self.known.get(&container.id) {
            return known.clone();
        }
        let name = self.look_up(container, home);
        if self.known.len() >= KEPT {
            self.known.clear();
        }
        self.known.insert(container.id.clone(), name.clone());
        name
    }

    fn look_up(&self, container: &Container, home: Option<&Path>) -> Option<String> {
        let id = &container.id;
        match container.runtime {
            Runtime::Docker => self.docker(id),
            Runtime::Podman | Runtime::CriO => self.storage(id, home),
            Runtime::Containerd => self.bundle(id),
            _ => self.docker(id).or_else(|| self.bundle(id)).or_else(|| self.storage(id, home)),
        }
    }

    fn docker(&self, id: &str) -> Option<String> {
        let state = self.json(&format!("var/lib/docker/containers/{id}/config.v2.json"))?;
        let name = state.get("Name")?.as_str()?;
        Some(name.strip_prefix('/').unwrap_or(name).to_owned())
    }

    fn storage(&self, id: &str, home: Option<&Path>) -> Option<String> {
        let list = "containers/storage/overlay-containers/containers.json";
        let of_user = home
            .and_then(|home| home.strip_prefix("/").ok())
            .map(|home| format!("{}/.local/share/{list}", home.display()));
        [Some(format!("var/lib/{list}")), of_user].into_iter().flatten().find_map(|path| {
            let containers = self.json(&path)?;
            let container = containers
                .as_array()?
                .iter()
                .find(|entry| entry.get("id").and_then(Value::as_str) == Some(id))?;
            Some(container.get("names")?.get(0)?.as_str()?.to_owned())
        })
    }

    fn bundle(&self, id: &str) -> Option<String> {
        let tasks = "run/containerd/io.containerd.runtime.v2.task";
        let bundle = self.json(&format!("{tasks}/k8s.io/{id}/config.json"))?;
        let annotations = bundle.get("annotations")?;
        let text = |key: &str| Some(annotations.get(key)?.as_str()?.to_owned());
        text("io.kubernetes.cri.container-name").or_else(|| text("io.kubernetes.cri.sandbox-name"))
    }

    fn json(&self, path: &str) -> Option<Value> {
        let path = self.root.join(path);
        if fs::metadata(&path).ok()?.len() > LARGEST {
            return None;
        }
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(runtime: Runtime, id: &str) -> Container {
        Container { runtime, id: id.to_owned(), name: None, pod: None }
    }

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn names_from_each_runtimes_files() {
        let root = tempfile::tempdir().unwrap();
        let tasks = "run/containerd/io.containerd.runtime.v2.task/k8s.io";
        write(root.path(), "var/lib/docker/containers/d1/config.v2.json", r#"{"ID":"d1","Name":"/web"}"#);
        let storage = "containers/storage/overlay-containers/containers.json";
        write(root.path(), &format!("var/lib/{storage}"), r#"[{"id":"p1","names":["db"]},{"id":"p2"}]"#);
        write(root.path(), &format!("home/u/.local/share/{storage}"), r#"[{"id":"p3","names":["mine"]}]"#);
        let bundle = r#"{"annotations":{"io.kubernetes.cri.container-name":"app"}}"#;
        write(root.path(), &format!("{tasks}/c1/config.json"), bundle);
        let mut names = ContainerNames::new(root.path().to_owned());
        let mut name = |runtime, id: &str| names.name(&container(runtime, id), Some(Path::new("/home/u")));
        assert_eq!(name(Runtime::Docker, "d1").as_deref(), Some("web"));
        assert_eq!(name(Runtime::Docker, "d2"), None);
        assert_eq!(name(Runtime::Podman, "p1").as_deref(), Some("db"));
        assert_eq!(name(Runtime::Podman, "p2"), None);
        assert_eq!(name(Runtime::Podman, "p3").as_deref(), Some("mine"));
        assert_eq!(name(Runtime::Containerd, "c1").as_deref(), Some("app"));
        assert_eq!(name(Runtime::Lxc, "web01").as_deref(), Some("web01"));
    }
}
