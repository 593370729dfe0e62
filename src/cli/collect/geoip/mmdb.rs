//! Reads network databases in the `MaxMind` format (`.mmdb`), from any provider.
//!
//! A database may be corrupt or not what its name says. Either is an error, and no offset in it is trusted.

use super::file::{NAME, country};
use crate::store::StoredNetwork;
use anyhow::anyhow;
use maxminddb::{LookupResult, MaxMindDbError, PathElement, Reader};
use serde::Deserialize;
use std::net::IpAddr;

/// A database in memory.
#[derive(Debug)]
pub(super) struct Mmdb(Reader<Vec<u8>>);

/// Any record: its fields are read one by one.
#[derive(Deserialize)]
struct MmdbRecord {}

impl Mmdb {
    pub(super) fn new(bytes: Vec<u8>) -> anyhow::Result<Self> {
        let reader = Reader::from_source(bytes);
        reader.map(Self).map_err(|error| {
            anyhow!("expected a MaxMind database, or a table from iptoasn.com, found neither: {error}")
        })
    }

    /// The network of an address.
    pub(super) fn network(&self, address: IpAddr) -> anyhow::Result<Option<StoredNetwork>> {
        if address.is_ipv6() && self.0.metadata().ip_version == 4 {
            return Ok(None);
        }
        let found = self.0.lookup(address).and_then(|found| network(&found));
        found.map_err(|error| anyhow!("the record of {address}: {error}"))
    }
}

/// Reads a record, whose fields have the names that providers use. Each may have another type in another database.
fn network(found: &LookupResult<'_, Vec<u8>>) -> Result<Option<StoredNetwork>, MaxMindDbError> {
    if found.decode::<MmdbRecord>()?.is_none() {
        return Ok(None);
    }
    let text = |path: &[&str]| field::<String>(found, path);
    let number = |key| match field::<i128>(found, &[key])? {
        Some(number) => Ok(u32::try_from(number).ok()),
        // As `AS64500`.
        None => text(&[key]).map(|text| text.and_then(|text| text.strip_prefix("AS").unwrap_or(&text).parse().ok())),
    };
    let as_name = text(&["autonomous_system_organization"])?.or(text(&["as_name"])?);
    // A code beside a name, a code in a record, or a code alone.
    let code = text(&["country_code"])?.or(text(&["country", "iso_code"])?).or(text(&["country"])?);
    Ok(Some(StoredNetwork {
        asn: number("autonomous_system_number")?.or(number("asn")?),
        as_name: as_name.map(|name| name.chars().take(NAME).collect()),
        country: code.and_then(|code| country(&code)),
    }))
}

/// The value of a field; `None` without one of this type. An `i128` takes integers of any width.
fn field<'a, T: Deserialize<'a>>(
    found: &LookupResult<'a, Vec<u8>>,
    path: &[&str],
) -> Result<Option<T>, MaxMindDbError> {
    let path: Vec<PathElement<'_>> = path.iter().map(|key| PathElement::Key(key)).collect();
    match found.decode_path(&path) {
        Err(MaxMindDbError::Decoding { .. }) => Ok(None),
        other => other,
    }
}

#[cfg(test)]
#[path = "../../../../tests/it/support/mmdb.rs"]
mod fixtures;

#[cfg(test)]
mod tests {
    use super::fixtures::{Value, database};
    use super::*;

    fn open(bytes: &[u8]) -> anyhow::Result<Mmdb> {
        Mmdb::new(bytes.to_vec())
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
        let of = |address: &str| geoip.network(address.parse().unwrap()).unwrap().unwrap_or_default();
        let whole = StoredNetwork { asn: Some(64_500), as_name: Some("EXAMPLE-AS".into()), country: Some("DE".into()) };
        assert_eq!(of("192.0.2.255"), whole);
        assert_eq!(of("192.0.3.0"), StoredNetwork::default());
        assert_eq!(of("2001:db8::7"), StoredNetwork { asn: Some(64_501), ..StoredNetwork::default() });
        assert_eq!(of("2001:db9::7"), StoredNetwork::default());
    }

    #[test]
    fn the_fields_of_other_providers_are_read_and_wrong_values_skipped() {
        let of = |pairs: Vec<(&'static str, Value)>| {
            let geoip = open(&database(&[("192.0.2.0/24", Value::Map(pairs))])).unwrap();
            geoip.network("192.0.2.1".parse().unwrap()).unwrap().unwrap()
        };
        let text = Value::Text;
        let named = of(vec![("country", text("Germany")), ("country_code", text("de")), ("as_name", text("X"))]);
        assert_eq!(named, StoredNetwork { asn: None, as_name: Some("X".into()), country: Some("DE".into()) });
        assert_eq!(of(vec![("asn", Value::Number(7)), ("country", text("AT"))]).country.as_deref(), Some("AT"));
        let odd = of(vec![("asn", Value::NoList), ("country", Value::Number(7)), ("country_code", text("nowhere"))]);
        assert_eq!(odd, StoredNetwork::default());
    }

    #[test]
    fn an_integer_of_any_width_is_read() {
        let asn = |value: Value| {
            let record = Value::Map(vec![("autonomous_system_number", value)]);
            let geoip = open(&database(&[("192.0.2.0/24", record)])).unwrap();
            geoip.network("192.0.2.1".parse().unwrap()).unwrap().unwrap().asn
        };
        assert_eq!(asn(Value::Short(64_500)), Some(64_500));
        assert_eq!(asn(Value::Number(4_200_000_000)), Some(4_200_000_000));
        assert_eq!(asn(Value::Long(4_200_000_000)), Some(4_200_000_000));
        assert_eq!(asn(Value::Wide(4_200_000_000)), Some(4_200_000_000));
        assert_eq!(asn(Value::Signed(64_500)), Some(64_500));
        assert_eq!(asn(Value::Signed(-1)), None);
        assert_eq!(asn(Value::Long(1 << 40)), None, "no AS number is so large");
        assert_eq!(asn(Value::Wide(u128::MAX)), None);
        assert_eq!(asn(Value::Text("AS64500")), Some(64_500));
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
