//! Patterns that choose processes, as they are typed.

use std::str::FromStr;

use crate::owner::Owner;

/// What a process must be like.
///
/// A bare word is a part of the process's name; in lower case it matches either case, with a capital it matches as it
/// stands. `pid:`, `user:` (name or number), `exe:` (the path, or a folder that it lies in), `container:` (name, or how
/// the identifier begins) and `unit:` (`.service` may be left out) name something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessPattern {
    /// A part of its name.
    Name {
        /// That part.
        part: String,
        /// Upper and lower case differ.
        exact_case: bool,
    },
    /// Its process id.
    Pid(u32),
    /// Name or number of its user.
    User(String),
    /// Path of its executable, or a folder above that; without a slash at the end.
    Executable(String),
    /// Name of its container, or the beginning of the identifier.
    Container(String),
    /// Its systemd unit, in full.
    Unit(String),
}

impl ProcessPattern {
    /// Whether `owner` is such a process.
    pub fn matches(&self, owner: &Owner) -> bool {
        match self {
            Self::Name { part, exact_case: true } => owner.name.contains(part),
            Self::Name { part, exact_case: false } => owner.name.to_lowercase().contains(part),
            Self::Pid(pid) => owner.pid == *pid,
            Self::User(user) => {
                owner.user.as_ref() == Some(user)
                    || owner.uid.is_some_and(|uid| user.parse().is_ok_and(|wanted: u32| wanted == uid))
            }
            Self::Executable(path) => owner.executable.as_deref().is_some_and(|own| lies_in(own, path)),
            Self::Container(wanted) => owner
                .container
                .as_ref()
                .is_some_and(|own| own.name.as_ref() == Some(wanted) || own.id.starts_with(wanted)),
            Self::Unit(unit) => owner.unit.as_ref() == Some(unit),
        }
    }

    /// Whether `owner` is what any of `patterns` asks for; without patterns, everybody is.
    pub fn any(patterns: &[Self], owner: Option<&Owner>) -> bool {
        patterns.is_empty() || owner.is_some_and(|owner| patterns.iter().any(|p| p.matches(owner)))
    }
}

/// Whether `path` is `above` or lies below it.
fn lies_in(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl FromStr for ProcessPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // What is no word in front of a colon belongs to a name, such as `kworker/0:1`.
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
        let Some((kind, value)) = text.split_once(':').filter(|(kind, _)| is_word(kind)) else {
            if text.is_empty() {
                return Err("a part of the process's name is missing".to_owned());
            }
            return Ok(Self::Name {
                part: text.to_owned(),
                exact_case: text.chars().any(char::is_uppercase),
            });
        };
        if value.is_empty() {
            return Err(format!("nothing follows {text:?}"));
        }
        let value = value.to_owned();
        match kind {
            "pid" => value
                .parse()
                .map(Self::Pid)
                .map_err(|_| format!("{value:?} is not a process id, which is a number")),
            "user" => Ok(Self::User(value)),
            "exe" if value.starts_with('/') => Ok(Self::Executable(value.trim_end_matches('/').to_owned())),
            "exe" => Err(format!("{value:?} is not the whole path of an executable, which begins with /")),
            "container" => Ok(Self::Container(value)),
            "unit" if value.contains('.') => Ok(Self::Unit(value)),
            "unit" => Ok(Self::Unit(value + ".service")),
            _ => Err(format!("{kind:?} is none of pid, user, exe, container, unit")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::owner::{Container, Runtime};

    fn owner() -> Owner {
        Owner {
            pid: 4711,
            start: 1,
            name: "NetworkManager".to_owned(),
            executable: Some("/usr/sbin/NetworkManager".to_owned()),
            command_line: vec![],
            uid: Some(33),
            user: Some("www-data".to_owned()),
            parent: 1,
            cgroup: None,
            unit: Some("nginx.service".to_owned()),
            container: Some(Container {
                runtime: Runtime::Docker,
                id: "4f2a9c".to_owned(),
                name: Some("web".to_owned()),
                pod: None,
            }),
            net_namespace: None,
        }
    }

    fn matches(text: &str) -> bool {
        text.parse::<ProcessPattern>().unwrap().matches(&owner())
    }

    #[test]
    fn every_kind() {
        for text in [
            "NetworkManager",
            "workm",
            "Manager",
            "pid:4711",
            "user:www-data",
            "user:33",
            "exe:/usr/sbin/NetworkManager",
            "exe:/usr/sbin",
            "exe:/usr/",
            "exe:/",
            "container:web",
            "container:4f2a",
            "unit:nginx.service",
            "unit:nginx",
        ] {
            assert!(matches(text), "{text}");
        }
        for text in [
            "networkManager",
            "nginx",
            "pid:471",
            "user:www",
            "user:3",
            "exe:/usr/sbin/Network",
            "exe:/sbin",
            "container:we",
            "container:9c",
            "unit:nginx.socket",
            "unit:ngin",
        ] {
            assert!(!matches(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_does_not_match() {
        let owner = Owner { executable: None, uid: None, user: None, unit: None, container: None, ..owner() };
        for text in ["user:33", "user:www-data", "exe:/", "container:web", "unit:nginx"] {
            assert!(!text.parse::<ProcessPattern>().unwrap().matches(&owner), "{text}");
        }
    }

    #[test]
    fn one_of_several_is_enough() {
        let patterns: Vec<ProcessPattern> = ["curl", "pid:4711"].map(|p| p.parse().unwrap()).into();
        assert!(ProcessPattern::any(&patterns, Some(&owner())));
        assert!(!ProcessPattern::any(&patterns[..1], Some(&owner())));
        assert!(!ProcessPattern::any(&patterns, None));
        assert!(ProcessPattern::any(&[], None));
    }

    #[test]
    fn what_is_no_pattern() {
        for text in ["", "pid:", "pid:x", "pid:-1", "exe:nginx", "uesr:www", "container:", "unit:"] {
            assert!(text.parse::<ProcessPattern>().is_err(), "{text}");
        }
        assert!("kworker/0:1".parse::<ProcessPattern>().is_ok());
    }
}
