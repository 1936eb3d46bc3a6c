//! Paths of cgroups by their ids, for processes that have ended: an id is the inode of the folder.

use std::fs;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// Between two walks for ids that are not known.
const PAUSE: Duration = Duration::from_secs(1);
/// Folders that are looked at in a walk.
const MAX_FOLDERS: usize = 20_000;

/// The paths that are known.
#[derive(Debug)]
pub(super) struct Cgroups {
    root: Option<OwnedFd>,
    paths: HashMap<u64, String, RandomState>,
    walked: Option<Instant>,
}

impl Cgroups {
    /// Those below `root`.
    pub(super) fn new(root: Option<BorrowedFd<'_>>) -> Self {
        let root = root.and_then(|root| root.try_clone_to_owned().ok());
        Self { root, paths: HashMap::default(), walked: None }
    }

    /// The path of a cgroup, `/` being the root's.
    pub(super) fn path(&mut self, id: u64) -> Option<String> {
        if !self.paths.contains_key(&id) && self.walked.is_none_or(|at| at.elapsed() >= PAUSE) {
            self.walk();
            self.walked = Some(Instant::now());
        }
        self.paths.get(&id).cloned()
    }

    fn walk(&mut self) {
        let Some(root) = &self.root else { return };
        let root = PathBuf::from(format!("/proc/self/fd/{}/.", root.as_raw_fd()));
        self.paths = walk(&root);
    }
}

fn walk(root: &Path) -> HashMap<u64, String, RandomState> {
    let mut paths = HashMap::default();
    let mut open = vec![(root.to_owned(), String::new())];
    while let Some((folder, path)) = open.pop() {
        let Ok(metadata) = fs::metadata(&folder) else { continue };
        paths.insert(metadata.ino(), if path.is_empty() { "/".to_owned() } else { path.clone() });
        if paths.len() >= MAX_FOLDERS {
            break;
        }
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let name = entry.file_name();
                open.push((entry.path(), format!("{path}/{}", name.to_string_lossy())));
            }
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_inodes() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("system.slice/web.service");
        fs::create_dir_all(&inner).unwrap();
        let paths = walk(root.path());
        let id = |path: &Path| fs::metadata(path).unwrap().ino();
        assert_eq!(paths[&id(&inner)], "/system.slice/web.service");
        assert_eq!(paths[&id(root.path())], "/");
        assert_eq!(paths.len(), 3);
    }
}
