//! Where addresses are, and whose: from databases in the format of MaxMind that the user names.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use maxminddb::{PathElement, Reader};

/// Opened databases; what several of them tell, the first one counts.
#[derive(Default)]
pub struct Geo {
    databases: Vec<Reader<Vec<u8>>>,
}

/// What is known of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Code of the country (ISO 3166-1, two letters).
    pub country_code: Option<String>,
    /// The country, in English.
    pub country: Option<String>,
    /// The city, in English.
    pub city: Option<String>,
    /// Number of the autonomous system.
    pub as_number: Option<u32>,
    /// Who runs that.
    pub as_organization: Option<String>,
}

impl Geo {
    /// Reads the databases whole; an error is one line.
    pub fn open(paths: &[PathBuf]) -> Result<Self, String> {
        let open = |path: &PathBuf| {
            let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
            Reader::from_source(bytes)
                .map_err(|e| format!("{}: no database of MaxMind's format (mmdb): {e}", path.display()))
        };
        Ok(Geo { databases: paths.iter().map(open).collect::<Result<_, _>>()? })
    }

    /// What is known of `addr`; `None` if nothing is.
    pub fn of(&self, addr: IpAddr) -> Option<Place> {
        let place = Place {
            country_code: self.text(addr, &["country", "iso_code"]),
            country: self.text(addr, &["country", "names", "en"]),
            city: self.text(addr, &["city", "names", "en"]),
            as_number: self.number(addr, &["autonomous_system_number"]),
            as_organization: self.text(addr, &["autonomous_system_organization"]),
        };
        (place != Place::default()).then_some(place)
    }

    fn text(&self, addr: IpAddr, path: &[&str]) -> Option<String> {
        let path: Vec<_> = path.iter().map(|key| PathElement::Key(key)).collect();
        // A damaged record is as good as none.
        self.databases.iter().find_map(|db| db.lookup(addr).ok()?.decode_path(&path).ok()?)
    }

    fn number(&self, addr: IpAddr, path: &[&str]) -> Option<u32> {
        let path: Vec<_> = path.iter().map(|key| PathElement::Key(key)).collect();
        self.databases.iter().find_map(|db| db.lookup(addr).ok()?.decode_path(&path).ok()?)
    }
}

impl fmt::Debug for Geo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Geo").field("databases", &self.databases.len()).finish()
    }
}

impl Place {
    /// `US AS15169`.
    pub fn short(&self) -> String {
        let system = self.as_number.map(|number| format!("AS{number}"));
        let parts = [self.country_code.clone(), system];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}
