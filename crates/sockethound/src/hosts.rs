//! Names from the hosts file (hosts(5)).

use std::net::IpAddr;
use std::path::Path;

use capture::file::Name;

/// The first name of each address; a file that cannot be read has none.
pub(crate) fn read(path: &Path) -> Vec<Name> {
    std::fs::read(path).map_or_else(|_| Vec::new(), |bytes| parse(&String::from_utf8_lossy(&bytes)))
}

fn parse(text: &str) -> Vec<Name> {
    let entry = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let addr: IpAddr = words.next()?.parse().ok()?;
        Some(Name { addr, name: words.next()?.to_owned() })
    };
    text.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_aliases() {
        let names = parse(
            "# local\n127.0.0.1\tlocalhost loop # both\n\n::1 ip6-localhost\nnot-an-address x\n192.0.2.1\n",
        );
        let shown: Vec<String> = names.iter().map(|n| format!("{} {}", n.addr, n.name)).collect();
        assert_eq!(shown, ["127.0.0.1 localhost", "::1 ip6-localhost"]);
    }
}
