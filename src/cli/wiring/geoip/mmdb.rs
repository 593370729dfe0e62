//! Reads network databases in the `MaxMind` format (`.mmdb`), from any provider.
//!
//! A database may be corrupt or not what its name says. Either is an error, and no offset in it is trusted.

use super::values::{NAME, country};
use crate::store::StoredNetwork;
use anyhow::anyhow;
use maxminddb::Reader;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use std::fmt;
use std::net::IpAddr;

/// A database in memory.
#[derive(Debug)]
pub(super) struct Mmdb(Reader<Vec<u8>>);

/// The fields of a record under the names that providers use; others are ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MmdbRecord {
    autonomous_system_number: AnyValue,
    autonomous_system_organization: AnyValue,
    /// A number, or `AS64500`.
    asn: AnyValue,
    as_name: AnyValue,
    /// A code, a name beside `country_code`, or a nested record.
    country: AnyValue,
    country_code: AnyValue,
}

/// A value of any type: an integer of any width, text, or a record with a country code. Others are ignored, as are
/// numbers too large for an AS number.
#[derive(Debug, Default, PartialEq, Eq)]
enum AnyValue {
    Number(u32),
    Text(String),
    Country(String),
    #[default]
    Other,
}

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
        let found = self.0.lookup(address).and_then(|found| found.decode::<MmdbRecord>());
        let found = found.map_err(|error| anyhow!("the record of {address}: {error}"))?;
        Ok(found.map(MmdbRecord::network))
    }
}

impl MmdbRecord {
    fn network(self) -> StoredNetwork {
        let asn = |value: &AnyValue| match value {
            AnyValue::Number(number) => Some(*number),
            AnyValue::Text(text) => text.strip_prefix("AS").unwrap_or(text).parse().ok(),
            AnyValue::Country(_) | AnyValue::Other => None,
        };
        let text = |value: AnyValue| if let AnyValue::Text(text) = value { Some(text) } else { None };
        let code = match self.country {
            AnyValue::Country(code) | AnyValue::Text(code) => Some(code),
            AnyValue::Number(_) | AnyValue::Other => None,
        };
        let as_name = text(self.autonomous_system_organization).or_else(|| text(self.as_name));
        StoredNetwork {
            asn: asn(&self.autonomous_system_number).or_else(|| asn(&self.asn)),
            as_name: as_name.map(|name| name.chars().take(NAME).collect()),
            country: text(self.country_code).or(code).and_then(|code| country(&code)),
        }
    }
}

impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValueVisitor)
    }
}

struct AnyValueVisitor;

impl<'de> Visitor<'de> for AnyValueVisitor {
    type Value = AnyValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<AnyValue, E> {
        Ok(AnyValue::Other)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<AnyValue, E> {
        Ok(u32::try_from(number).map_or(AnyValue::Other, AnyValue::Number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<AnyValue, E> {
        Ok(u32::try_from(number).map_or(AnyValue::Other, AnyValue::Number))
    }

    fn visit_u128<E: de::Error>(self, number: u128) -> Result<AnyValue, E> {
        Ok(u32::try_from(number).map_or(AnyValue::Other, AnyValue::Number))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<AnyValue, E> {
        Ok(AnyValue::Other)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<AnyValue, E> {
        Ok(AnyValue::Text(text.to_owned()))
    }

    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<AnyValue, E> {
        Ok(AnyValue::Other)
    }

    fn visit_unit<E: de::Error>(self) -> Result<AnyValue, E> {
        Ok(AnyValue::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<AnyValue, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(AnyValue::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnyValue, A::Error> {
        let mut code = AnyValue::Other;
        while let Some(key) = map.next_key::<String>()? {
            if key == "iso_code" {
                code = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(if let AnyValue::Text(code) = code { AnyValue::Country(code) } else { AnyValue::Other })
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
