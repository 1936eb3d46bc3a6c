//! User names from the password file (passwd(5)); network directories are not
//! asked, since that could block on the very network that is watched.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// Where accounts are.
const FILE: &str = "/etc/passwd";

/// How often it is looked whether it changed.
const AGAIN: Duration = Duration::from_secs(1);

/// Whether the password file knows a user of this name; those of network directories it does not.
pub fn is_user(name: &str) -> bool {
    let bytes = fs::read(FILE).unwrap_or_default();
    String::from_utf8_lossy(&bytes).lines().filter_map(parse).any(|(_, account)| account.name == name)
}

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) home: PathBuf,
}

/// The password file, read again when it changed.
#[derive(Debug)]
pub(crate) struct Users {
    path: PathBuf,
    read: Option<SystemTime>,
    looked: Option<Instant>,
    accounts: HashMap<u32, Account, RandomState>,
}

impl Users {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, read: None, looked: None, accounts: HashMap::default() }
    }

    /// The account of a user id; of several, the first line's.
    pub(crate) fn account(&mut self, uid: u32) -> Option<&Account> {
        if self.looked.is_none_or(|at| at.elapsed() >= AGAIN) {
            self.looked = Some(Instant::now());
            self.look();
        }
        self.accounts.get(&uid)
    }

    fn look(&mut self) {
        let modified = fs::metadata(&self.path).and_then(|metadata| metadata.modified()).ok();
        if modified == self.read {
            return;
        }
        self.read = modified;
        self.accounts.clear();
        let bytes = fs::read(&self.path).unwrap_or_default();
        for line in String::from_utf8_lossy(&bytes).lines() {
            if let Some((uid, account)) = parse(line) {
                self.accounts.entry(uid).or_insert(account);
            }
        }
    }
}

fn parse(line: &str) -> Option<(u32, Account)> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let home = PathBuf::from(fields.nth(2).unwrap_or_default());
    Some((uid, Account { name, home }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_number_counts() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(
            file.path(),
            "root:x:0:0:root:/root:/bin/sh\n# x\n+::::::\ntoor:x:0:0::/:/bin/sh\nw:x:33:33:w,,:/var/www:/x\n",
        )
        .unwrap();
        let mut users = Users::new(file.path().to_owned());
        assert_eq!(users.account(0).map(|a| a.name.as_str()), Some("root"));
        let www = Account { name: "w".to_owned(), home: "/var/www".into() };
        assert_eq!(users.account(33), Some(&www));
        assert_eq!(users.account(34), None);
    }
}
