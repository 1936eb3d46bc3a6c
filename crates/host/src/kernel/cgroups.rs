//! Paths of cgroups by their ids, for processes that have ended: an id is the inode of the folder.

use std::fs;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use crate::Budget;

/// Seconds for which folders may be walked at once for ids that are not known, and in a second.
const AT_ONCE: f64 = 0.2;
const A_SECOND: f64 = 0.02;
/// Folders that are looked at in a walk.
const MAX_FOLDERS: usize = 20_000;
/// Ids known at once, with those of folders that are gone.
const MAX_KNOWN: usize = 2 * MAX_FOLDERS;

/// The paths that are known.
#[derive(Debug)]
pub(super) struct Cgroups {
    root: Option<OwnedFd>,
    paths: HashMap<u64, String, RandomState>,
    /// Ids that were told before a walk and are of no folder: those are not given again.
    gone: HashSet<u64, RandomState>,
    budget: Budget,
}

/// What is known of an id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Folder<'a> {
    /// The path, `/` being the root's.
    At(&'a str),
    Gone,
    /// There was no time to look; later there may be.
    Unread,
}

impl Cgroups {
    /// Those below `root`.
    pub(super) fn new(root: Option<BorrowedFd<'_>>) -> Self {
        let root = root.and_then(|root| root.try_clone_to_owned().ok());
        let budget = Budget::new(AT_ONCE, A_SECOND);
        Self { root, paths: HashMap::default(), gone: HashSet::default(), budget }
    }

    /// Where the folder of a cgroup is, or was when it was walked by.
    pub(super) fn folder(&mut self, id: u64, now: Instant) -> Folder<'_> {
        // 0 is nobody's: it was not told.
        let is_known = id == 0 || self.gone.contains(&id) || self.paths.contains_key(&id);
        if !is_known && self.root.is_some() {
            // It costs what it takes.
            if !self.budget.borrow(0.0, now) {
                return Folder::Unread;
            }
            self.walk();
            if !self.paths.contains_key(&id) {
                self.gone.insert(id);
            }
        }
        self.paths.get(&id).map_or(Folder::Gone, |path| Folder::At(path))
    }

    /// Adds what is there by now; what has gone is still known.
    fn walk(&mut self) {
        let Some(root) = &self.root else { return };
        let begun = Instant::now();
        let root = PathBuf::from(format!("/proc/self/fd/{}/.", root.as_raw_fd()));
        if self.paths.len() + self.gone.len() >= MAX_KNOWN {
            (self.paths, self.gone) = (HashMap::default(), HashSet::default());
        }
        self.paths.extend(walk(&root));
        self.budget.charge(begun.elapsed().as_secs_f64());
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
    use std::os::fd::AsFd;
    use std::time::Duration;

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

    #[test]
    fn whatever_is_made_is_found_and_stays_known() {
        let root = tempfile::tempdir().unwrap();
        let opened = fs::File::open(root.path()).unwrap();
        let mut cgroups = Cgroups::new(Some(opened.as_fd()));
        let now = Instant::now();
        let mut ids = Vec::new();
        for name in ["one", "two", "three"] {
            let folder = root.path().join(name);
            fs::create_dir(&folder).unwrap();
            let id = fs::metadata(&folder).unwrap().ino();
            assert_eq!(cgroups.folder(id, now), Folder::At(&format!("/{name}")), "at once");
            ids.push(id);
        }
        // When there was no time for a walk, that says nothing of the folder.
        let folder = root.path().join("four");
        fs::create_dir(&folder).unwrap();
        let id = fs::metadata(&folder).unwrap().ino();
        cgroups.budget.charge(1.0);
        assert_eq!(cgroups.folder(id, now), Folder::Unread);
        assert_eq!(cgroups.folder(id, now + Duration::from_secs(60)), Folder::At("/four"));
        fs::remove_dir(root.path().join("one")).unwrap();
        assert_eq!(cgroups.folder(u64::MAX, now), Folder::Gone);
        assert_eq!(cgroups.folder(ids[0], now), Folder::At("/one"), "as it was");
    }
}
