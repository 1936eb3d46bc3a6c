//! Where addresses are and whose: `--geoip` with a database that is built here.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod run;

use std::path::PathBuf;

use run::{fixture, of_kind, records, run};
use serde_json::json;

/// A value of the MaxMind DB format, version 2.0, section "Data field format".
enum Field {
    Text(&'static str),
    U16(u16),
    U32(u32),
    U64(u64),
    List(Vec<Field>),
    Map(Vec<(&'static str, Field)>),
}

impl Field {
    fn write(&self, out: &mut Vec<u8>) {
        // The type in the upper three bits, the size in the lower five; types beyond 7 in a byte of their own.
        let mut control = |kind: u8, size: usize| {
            // Sizes from 29 on take a byte more.
            let (low, more) = if size < 29 { (size as u8, None) } else { (29, Some(size as u8 - 29)) };
            if kind <= 7 {
                out.push(kind << 5 | low);
            } else {
                out.extend([low, kind - 7]);
            }
            out.extend(more);
        };
        match self {
            Field::Text(text) => {
                control(2, text.len());
                out.extend(text.as_bytes());
            }
            Field::U16(n) => {
                control(5, 2);
                out.extend(n.to_be_bytes());
            }
            Field::U32(n) => {
                control(6, 4);
                out.extend(n.to_be_bytes());
            }
            Field::U64(n) => {
                control(9, 8);
                out.extend(n.to_be_bytes());
            }
            Field::List(items) => {
                control(11, items.len());
                for item in items {
                    item.write(out);
                }
            }
            Field::Map(members) => {
                control(7, members.len());
                for (name, value) in members {
                    Field::Text(name).write(out);
                    value.write(out);
                }
            }
        }
    }
}

/// A database of IPv4 that knows one network, `bits` long, and says `data` of it.
fn database(kind: &'static str, network: [u8; 4], bits: u32, data: &Field) -> Vec<u8> {
    let network = u32::from_be_bytes(network);
    // One node a bit; a record that is the number of nodes stands for nothing, one beyond for data.
    let mut out = Vec::new();
    for node in 0..bits {
        let next = if node + 1 == bits { bits + 16 } else { node + 1 };
        let mut sides = [bits, bits];
        sides[(network >> (31 - node) & 1) as usize] = next;
        for record in sides {
            out.extend(&record.to_be_bytes()[1..]);
        }
    }
    out.extend([0; 16]);
    data.write(&mut out);
    out.extend(b"\xab\xcd\xefMaxMind.com");
    let metadata = Field::Map(vec![
        ("binary_format_major_version", Field::U16(2)),
        ("binary_format_minor_version", Field::U16(0)),
        ("build_epoch", Field::U64(1_795_000_000)),
        ("database_type", Field::Text(kind)),
        ("description", Field::Map(vec![("en", Field::Text("for a test"))])),
        ("ip_version", Field::U16(4)),
        ("languages", Field::List(vec![Field::Text("en")])),
        ("node_count", Field::U32(bits)),
        ("record_size", Field::U16(24)),
    ]);
    metadata.write(&mut out);
    out
}

struct Databases {
    folder: tempfile::TempDir,
}

impl Databases {
    fn new() -> Self {
        Databases { folder: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path: PathBuf = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn city() -> Vec<u8> {
    let names = |text| Field::Map(vec![("en", Field::Text(text))]);
    let data = Field::Map(vec![
        ("city", Field::Map(vec![("names", names("Bielefeld"))])),
        ("country", Field::Map(vec![("iso_code", Field::Text("DE")), ("names", names("Germany"))])),
    ]);
    database("GeoLite2-City", [203, 0, 113, 0], 24, &data)
}

fn systems() -> Vec<u8> {
    let data = Field::Map(vec![
        ("autonomous_system_number", Field::U32(64496)),
        ("autonomous_system_organization", Field::Text("Example Networks")),
    ]);
    database("GeoLite2-ASN", [203, 0, 112, 0], 23, &data)
}

#[test]
fn records_say_where_addresses_are_and_whose() {
    let databases = Databases::new();
    let (city, systems) = (databases.write("city.mmdb", &city()), databases.write("asn.mmdb", &systems()));
    let output = run(&["-r", &fixture("office.pcapng"), "--json", "--geoip", &city, "--geoip", &systems]);
    assert!(output.status.success(), "{output:?}");
    let records = records(&output.stdout);
    let flows = of_kind(&records, "flow");
    let mut known = 0;
    for flow in &flows {
        for end in [&flow["source"], &flow["destination"]] {
            if end["ip"].as_str().unwrap().starts_with("203.0.113.") {
                known += 1;
                let geo =
                    json!({"country_iso_code": "DE", "country_name": "Germany", "city_name": "Bielefeld"});
                assert_eq!(end["geo"], geo);
                let system = json!({"number": 64496, "organization": {"name": "Example Networks"}});
                assert_eq!(end["as"], system);
            } else {
                assert!(end["geo"].is_null() && end["as"].is_null(), "{end}");
            }
        }
    }
    assert!(known > 0, "the capture has such addresses");
    let schema = serde_json::from_str(include_str!("../schema/ndjson.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    assert!(records.iter().all(|record| schema.is_valid(record)));
}

#[test]
fn what_is_no_database_is_refused_in_one_line() {
    let databases = Databases::new();
    let foreign = databases.write("photo.mmdb", b"\xff\xd8\xff\xe0\0\x10JFIF");
    let missing = databases.folder.path().join("missing.mmdb").to_str().unwrap().to_owned();
    for (path, word) in [(&foreign, "no database"), (&missing, "No such file")] {
        let output = run(&["-r", &fixture("office.pcapng"), "--geoip", path]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains(word) && stderr.contains(path.as_str()), "{stderr}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_damaged_database_costs_nothing_else() {
    let databases = Databases::new();
    let whole = city();
    let flows = |args: &[&str]| {
        let output = run(args);
        of_kind(&records(&output.stdout), "flow").len()
    };
    let office = fixture("office.pcapng");
    let expected = flows(&["-r", &office, "--json"]);
    // Any byte of the tree and the data, which end where the metadata begin.
    let end = whole.windows(3).position(|bytes| bytes == b"\xab\xcd\xef").unwrap();
    for at in (0..end).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        let path = databases.write("damaged.mmdb", &damaged);
        assert_eq!(flows(&["-r", &office, "--json", "--geoip", &path]), expected, "byte {at}");
    }
}
