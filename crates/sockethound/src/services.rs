//! What ports are called on this system (services(5)).

use std::collections::HashMap;
use std::path::Path;

/// IANA numbers of the transports that the file names.
const TRANSPORTS: [(&str, u8); 4] = [("tcp", 6), ("udp", 17), ("sctp", 132), ("udplite", 136)];

/// Names of services by transport and port.
#[derive(Clone, Debug, Default)]
pub struct Services {
    names: HashMap<(u8, u16), String>,
}

impl Services {
    /// Reads the file; one that cannot be read names nothing.
    pub fn read(path: &Path) -> Self {
        std::fs::read(path)
            .map_or_else(|_| Self::default(), |bytes| Self::parse(&String::from_utf8_lossy(&bytes)))
    }

    fn parse(text: &str) -> Self {
        let mut names = HashMap::new();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let (Some(name), Some(place)) = (words.next(), words.next()) else { continue };
            let Some((port, transport)) = place.split_once('/') else { continue };
            let number = TRANSPORTS.iter().find(|(word, _)| *word == transport).map(|(_, number)| *number);
            if let (Some(number), Ok(port)) = (number, port.parse()) {
                names.entry((number, port)).or_insert_with(|| name.to_owned());
            }
        }
        Services { names }
    }

    /// The name of a port.
    pub fn name(&self, transport: u8, port: u16) -> Option<&str> {
        self.names.get(&(transport, port)).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_port_counts() {
        let services = Services::parse(
            "# comment\nhttp 80/tcp www # web\nhttps\t443/tcp\nhttps 443/udp\nodd 80/tcp\nbroken 99999/tcp\nx y\n",
        );
        assert_eq!(services.name(6, 80), Some("http"));
        assert_eq!(services.name(17, 443), Some("https"));
        assert_eq!(services.name(17, 80), None);
        assert_eq!(services.name(6, 1), None);
    }
}
