//! The user's own network databases (`.mmdb` files such as `GeoLite2`), read locally.
//!
//! A database may be broken or may not be what its name says. Either is an error that names the file, and no offset in it
//! is trusted.

use crate::store::StoredNetwork;
use anyhow::{Context as _, anyhow};
use maxminddb::Reader;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The largest file that is read: twice what the largest of them has.
const FILE_BYTES: u64 = 1 << 30;
/// Characters kept of a name.
const NAME: usize = 100;

/// Databases, the first that knows something goes first.
#[derive(Debug)]
pub(crate) struct GeoIp(Vec<Database>);

#[derive(Debug)]
struct Database {
    path: PathBuf,
    reader: Reader<Vec<u8>>,
}

/// What stands in a record, in the words of those who make such files; all else is passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MmdbRecord {
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<String>,
    /// `AS64500`.
    asn: Option<Asn>,
    as_name: Option<String>,
    country: Option<Country>,
    country_code: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Asn {
    Number(u32),
    Text(String),
    Other(IgnoredAny),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Country {
    Whole {
        #[serde(default)]
        iso_code: Option<String>,
    },
    /// Its name, beside `country_code`.
    Name(String),
    Other(IgnoredAny),
}

impl GeoIp {
    /// Read the files. None at all: nothing is known.
    pub(crate) fn open(paths: &[PathBuf]) -> anyhow::Result<Self> {
        paths.iter().map(|path| Database::open(path)).collect::<anyhow::Result<_>>().map(Self)
    }

    /// Whether there is nothing to ask.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the databases say of an address.
    pub(crate) fn network(&self, address: IpAddr) -> anyhow::Result<StoredNetwork> {
        let mut network = StoredNetwork::default();
        for database in &self.0 {
            let Some(found) = database.network(address).with_context(|| database.name())? else { continue };
            network.asn = network.asn.or(found.asn);
            network.as_name = network.as_name.or(found.as_name);
            network.country = network.country.or(found.country);
        }
        Ok(network)
    }
}

impl Database {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let name = || format!("geoip: {}", path.display());
        let size = std::fs::metadata(path).with_context(name)?.len();
        if size > FILE_BYTES {
            return Err(anyhow!("{}: expected a file of 1 GiB at most, found {size} bytes", name()));
        }
        let bytes = std::fs::read(path).with_context(name)?;
        let reader = Reader::from_source(bytes);
        let reader = reader.map_err(|error| anyhow!("{}: expected a MaxMind database, found: {error}", name()))?;
        Ok(Self { path: path.to_owned(), reader })
    }

    fn name(&self) -> String {
        format!("geoip: {}", self.path.display())
    }

    fn network(&self, address: IpAddr) -> anyhow::Result<Option<StoredNetwork>> {
        if address.is_ipv6() && self.reader.metadata().ip_version == 4 {
            return Ok(None);
        }
        let found = self.reader.lookup(address).and_then(|found| found.decode::<MmdbRecord>());
        let found = found.map_err(|error| anyhow!("the record of {address}: {error}"))?;
        Ok(found.map(MmdbRecord::network))
    }
}

impl MmdbRecord {
    fn network(self) -> StoredNetwork {
        let of_text = |text: &str| text.strip_prefix("AS").unwrap_or(text).parse().ok();
        let asn = match self.asn {
            Some(Asn::Number(number)) => Some(number),
            Some(Asn::Text(text)) => of_text(&text),
            Some(Asn::Other(_)) | None => None,
        };
        let code = match self.country {
            Some(Country::Whole { iso_code }) => iso_code,
            Some(Country::Name(name)) => Some(name),
            Some(Country::Other(_)) | None => None,
        };
        let code =
            self.country_code.or(code).filter(|code| code.len() == 2 && code.bytes().all(|b| b.is_ascii_alphabetic()));
        StoredNetwork {
            asn: self.autonomous_system_number.or(asn),
            as_name: self.autonomous_system_organization.or(self.as_name).map(|name| name.chars().take(NAME).collect()),
            country: code.map(|code| code.to_ascii_uppercase()),
        }
    }
}

#[cfg(test)]
#[path = "../../../tests/it/support/mmdb.rs"]
mod mmdb;

#[cfg(test)]
mod tests {
    use super::mmdb::{Value, database};
    use super::*;

    fn open(bytes: &[u8]) -> anyhow::Result<GeoIp> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), bytes)?;
        GeoIp::open(&[file.path().to_owned()])
    }

    fn record() -> Vec<u8> {
        let country = Value::Map(vec![("iso_code", Value::Text("DE")), ("geoname_id", Value::Number(1))]);
        let record = Value::Map(vec![
            ("autonomous_system_number", Value::Number(64_500)),
            ("autonomous_system_organization", Value::Text("EXAMPLE-AS")),
            ("country", country),
            ("languages", Value::NoList),
        ]);
        database(&[("192.0.2.0/24", record), ("2001:db8::/32", Value::Map(vec![("asn", Value::Text("AS64501"))]))])
    }

    #[test]
    fn networks_of_both_families_are_found_and_others_are_not() {
        let geoip = open(&record()).unwrap();
        let of = |address: &str| geoip.network(address.parse().unwrap()).unwrap();
        let whole = StoredNetwork { asn: Some(64_500), as_name: Some("EXAMPLE-AS".into()), country: Some("DE".into()) };
        assert_eq!(of("192.0.2.255"), whole);
        assert_eq!(of("192.0.3.0"), StoredNetwork::default());
        assert_eq!(of("2001:db8::7"), StoredNetwork { asn: Some(64_501), ..StoredNetwork::default() });
        assert_eq!(of("2001:db9::7"), StoredNetwork::default());
    }

    #[test]
    fn the_words_of_other_makers_are_understood_and_wrong_ones_passed_over() {
        let of = |pairs: Vec<(&'static str, Value)>| {
            let geoip = open(&database(&[("192.0.2.0/24", Value::Map(pairs))])).unwrap();
            geoip.network("192.0.2.1".parse().unwrap()).unwrap()
        };
        let text = Value::Text;
        let named = of(vec![("country", text("Germany")), ("country_code", text("de")), ("as_name", text("X"))]);
        assert_eq!(named, StoredNetwork { asn: None, as_name: Some("X".into()), country: Some("DE".into()) });
        assert_eq!(of(vec![("asn", Value::Number(7)), ("country", text("AT"))]).country.as_deref(), Some("AT"));
        let odd = of(vec![("asn", Value::NoList), ("country", Value::Number(7)), ("country_code", text("nowhere"))]);
        assert_eq!(odd, StoredNetwork::default());
    }

    #[test]
    fn every_byte_may_be_wrong_and_the_end_anywhere() {
        let whole = record();
        let (mut refused, mut read) = (0, 0);
        for place in 0..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[place] ^= flip;
                for bytes in [&bytes[..], &bytes[..place]] {
                    let found = open(bytes).and_then(|geoip| {
                        geoip.network("2001:db8::1".parse()?)?;
                        geoip.network("192.0.2.1".parse()?)
                    });
                    *(if found.is_ok() { &mut read } else { &mut refused }) += 1;
                }
            }
        }
        assert!(refused > 1000 && read > 1000, "{refused} {read}");
    }
}
