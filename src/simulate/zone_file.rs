//! A zone file (RFC 1035 section 5), restricted to what mail authentication needs: owners, aliases, delegations, and
//! the records used by the checks. Records of other types only mark their names as existing. Reads no other file and
//! performs no lookups.

use super::SimulationError;
use super::zone_entries::{ZoneEntry, ZoneWord, entries};
use crate::dns::lookup::answer::{Data, DnsQuestion, Mx, QueryType, Txt};
use crate::dns::lookup::name;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The records of a zone file, with canonical names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ZoneFile {
    /// The name of the SOA record: the file is the whole zone below it. `None`: it only contains some records.
    pub(super) apex: Option<String>,
    pub(super) records: BTreeMap<DnsQuestion, Vec<Data>>,
    /// All owners of records, and the names between them and the root.
    names: BTreeSet<String>,
    /// Delegated names below the apex.
    delegated: BTreeSet<String>,
}

impl ZoneFile {
    /// Parses a zone file. Names without a final dot are relative to `domain` until `$ORIGIN`; records that are not at
    /// or below the zone (without an SOA record: the domain) are ignored.
    ///
    /// # Errors
    /// [`SimulationError::Zone`] with the line of the first error, and for `$INCLUDE` and `$GENERATE`.
    pub fn parse(text: &[u8], domain: &str) -> Result<Self, SimulationError> {
        let mut reader = ZoneReader { origin: domain.to_owned(), owner: None, zone: Self::default() };
        for entry in entries(text)? {
            let line = entry.line;
            reader.entry(&entry).map_err(|why| SimulationError::Zone { line, why })?;
        }
        let mut zone = reader.zone;
        if zone.names.is_empty() {
            return Err(SimulationError::Zone { line: 1, why: "expected records, found none".into() });
        }
        if let Some(apex) = &zone.apex
            && !name::is_within(domain, apex)
        {
            let why = format!("expected the zone that holds {domain}, found that of {apex}");
            return Err(SimulationError::Zone { line: 1, why });
        }
        let base = zone.apex.clone().unwrap_or_else(|| domain.to_owned());
        zone.records.retain(|question, _| name::is_within(&question.name, &base));
        let owners = std::mem::take(&mut zone.names).into_iter().filter(|name| name::is_within(name, &base));
        for owner in owners {
            let mut above = owner.as_str();
            // All names above a known name are known.
            while zone.names.insert(above.to_owned())
                && above != base
                && let Some(parent) = name::parent(above)
            {
                above = parent;
            }
        }
        zone.delegated.remove(&base);
        Ok(zone)
    }

    /// Whether the file is authoritative for a name: its SOA record covers it, and it is not delegated.
    pub(super) fn covers(&self, name: &str) -> bool {
        let delegated = || {
            !self.delegated.is_empty()
                && std::iter::successors(Some(name), |name| name::parent(name))
                    .any(|name| self.delegated.contains(name))
        };
        self.apex.as_ref().is_some_and(|apex| name::is_within(name, apex)) && !delegated()
    }

    /// Whether a name has a record, or a name below it has.
    pub(super) fn exists(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// The records of a name and type.
    pub(super) fn get(&self, name: &str, kind: QueryType) -> Option<&Vec<Data>> {
        self.records.get(&DnsQuestion { name: name.to_owned(), kind })
    }

    /// The target of a name's CNAME in the file.
    pub(super) fn alias(&self, name: &str) -> Option<&str> {
        match self.get(name, QueryType::Cname)?.first() {
            Some(Data::Name(target)) => Some(target),
            _ => None,
        }
    }

    /// Whether it can change SPF results: it has records other than keys and DMARC policies.
    pub(super) fn may_change_spf(&self) -> bool {
        let about_spf = |name: &str| !name.starts_with("_dmarc.") && !name.contains("._domainkey.");
        self.apex.is_some() || self.records.keys().any(|question| about_spf(&question.name))
    }
}

/// Reads entries one by one.
struct ZoneReader {
    origin: String,
    owner: Option<String>,
    zone: ZoneFile,
}

impl ZoneReader {
    fn entry(&mut self, entry: &ZoneEntry) -> Result<(), String> {
        let mut words = entry.words.as_slice();
        if !entry.continued
            && let Some((first, rest)) = words.split_first()
        {
            words = rest;
            let text = first.text();
            if let Some(directive) = text.strip_prefix('$').filter(|_| !first.quoted) {
                return self.directive(directive, rest);
            }
            self.owner = Some(self.absolute(&text)?);
        }
        let owner = self.owner.clone().ok_or("expected a name at the start of the line, found a blank")?;
        let mut class = "IN".to_owned();
        let (kind, data) = loop {
            let Some((word, rest)) = words.split_first() else {
                return Err(format!("expected a record type after {owner}, found the end of the line"));
            };
            words = rest;
            let text = word.text().to_ascii_uppercase();
            if matches!(text.as_str(), "IN" | "CH" | "HS" | "CS" | "ANY") {
                class = text;
            } else if !is_ttl(&text) {
                break (text, rest);
            }
        };
        if class != "IN" {
            return Ok(());
        }
        if kind == "SOA" {
            self.zone.apex.get_or_insert_with(|| owner.clone());
        } else if kind == "NS" {
            self.zone.delegated.insert(owner.clone());
        }
        if let Some((kind, data)) = self.data(&kind, data)? {
            self.zone.records.entry(DnsQuestion { name: owner.clone(), kind }).or_default().push(data);
        } else if !kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(format!("expected a record type, found `{kind}`"));
        }
        self.zone.names.insert(owner);
        if let Some(apex) = &self.zone.apex {
            // NS records at the apex are not a delegation.
            self.zone.delegated.remove(apex);
        }
        Ok(())
    }

    fn directive(&mut self, directive: &str, rest: &[ZoneWord]) -> Result<(), String> {
        match directive.to_ascii_uppercase().as_str() {
            "TTL" => Ok(()),
            "ORIGIN" => {
                let origin = rest.first().ok_or("expected a name after $ORIGIN, found nothing")?.text();
                self.origin = if origin == "." { String::new() } else { self.absolute(&origin)? };
                Ok(())
            }
            other => Err(format!(
                "${other} is not supported; expand the zone first, for example with `named-compilezone -o FILE ZONE FILE`"
            )),
        }
    }

    /// The data of a record; `None` for types that no check uses.
    fn data(&self, kind: &str, words: &[ZoneWord]) -> Result<Option<(QueryType, Data)>, String> {
        let first = || words.first().map(ZoneWord::text).ok_or_else(|| format!("expected data after {kind}"));
        Ok(Some(match kind {
            "A" => {
                let address: Ipv4Addr = parsed(&first()?, "an IPv4 address")?;
                (QueryType::A, Data::Address(address.into()))
            }
            "AAAA" => {
                let address: Ipv6Addr = parsed(&first()?, "an IPv6 address")?;
                (QueryType::Aaaa, Data::Address(address.into()))
            }
            "TXT" | "SPF" => {
                first()?;
                let long = words.iter().map(|word| word.bytes.len()).find(|length| *length > 255);
                if let Some(length) = long {
                    return Err(format!(
                        "expected strings of up to 255 bytes, found one of {length}; split it: \"...\" \"...\""
                    ));
                }
                let strings = words.iter().map(|word| word.bytes.clone()).collect();
                (if kind == "TXT" { QueryType::Txt } else { QueryType::OldSpf }, Data::Text(Txt { strings }))
            }
            "MX" => {
                let [preference, host, ..] = words else {
                    return Err("expected a preference and a host after MX".into());
                };
                let preference = parsed(&preference.text(), "a preference from 0 to 65535")?;
                let host = host.text();
                let host = if host == "." { String::new() } else { self.absolute(&host)? };
                (QueryType::Mx, Data::Mx(Mx { preference, host }))
            }
            "CNAME" => (QueryType::Cname, Data::Name(self.absolute(&first()?)?)),
            "PTR" => (QueryType::Ptr, Data::Name(self.absolute(&first()?)?)),
            _ => return Ok(None),
        }))
    }

    fn absolute(&self, text: &str) -> Result<String, String> {
        let full = match text.strip_suffix('.') {
            Some(absolute) => absolute.to_owned(),
            None if text == "@" => self.origin.clone(),
            None if self.origin.is_empty() => text.to_owned(),
            None => format!("{text}.{}", self.origin),
        };
        name::canonical(&full).ok_or_else(|| not("a domain name", text))
    }
}

fn not(expected: &str, found: &str) -> String {
    format!("expected {expected}, found `{found}`")
}

fn parsed<T: FromStr>(text: &str, expected: &str) -> Result<T, String> {
    text.parse().map_err(|_| not(expected, text))
}

/// `3600`, and BIND's `1h30m`.
fn is_ttl(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"SMHDW".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(text: &str) -> ZoneFile {
        ZoneFile::parse(text.as_bytes(), "example.com").unwrap_or_else(|error| panic!("{error}"))
    }

    fn texts(zone: &ZoneFile, name: &str) -> Vec<String> {
        let texts = zone.get(name, QueryType::Txt).into_iter().flatten();
        texts.filter_map(|data| if let Data::Text(txt) = data { Some(txt.text()) } else { None }).collect()
    }

    fn fault(text: &str) -> String {
        ZoneFile::parse(text.as_bytes(), "example.com").unwrap_err().to_string()
    }

    #[test]
    fn a_zone_as_people_write_it_is_read() {
        let zone = zone(
            "\u{feff}$TTL 1h\n@ 3600 IN SOA ns1 hostmaster (\n 1 ; serial\n 2 3 4 5 )\n\tNS ns1\n\tIN 300 MX 10 mx\n\
             mx A 192.0.2.25\n  AAAA 2001:db8::25\n@ TXT ( \"v=spf1 mx; \" ; a comment; with marks \"\n \"-all\\\"\\059\" ) v\\=x\n\
             $ORIGIN Sub.Example.com.\nwww IN CNAME @\ns1._domainkey.example.com. TXT plain\nexample.com. CAA 0 issue \"ca.example\"\n\
             dept NS ns.other.example.\nother.example. A 192.0.2.9\n@ 2w LOC 52 22 23.000 N 4 53 32.000 E -2m",
        );
        assert_eq!(zone.apex.as_deref(), Some("example.com"));
        assert_eq!(texts(&zone, "example.com"), ["v=spf1 mx; -all\";v=x"]);
        assert_eq!(texts(&zone, "s1._domainkey.example.com"), ["plain"]);
        assert_eq!(zone.alias("www.sub.example.com"), Some("sub.example.com"));
        assert_eq!(zone.get("mx.example.com", QueryType::Aaaa).map(Vec::len), Some(1));
        assert!(zone.exists("sub.example.com") && !zone.exists("other.example"));
        assert!(
            zone.covers("new.example.com") && !zone.covers("host.dept.sub.example.com") && !zone.covers("example.org")
        );
    }

    #[test]
    fn a_file_without_soa_holds_some_records() {
        let zone = zone("_dmarc TXT \"v=DMARC1; p=none\"\n");
        assert_eq!((zone.apex.as_deref(), zone.covers("example.com"), zone.may_change_spf()), (None, false, false));
        assert_eq!(texts(&zone, "_dmarc.example.com"), ["v=DMARC1; p=none"]);
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_line() {
        for (text, says) in [
            ("@ A 192.0.2.1\n@ A 192.0.2.300\n", "line 2: expected an IPv4 address, found `192.0.2.300`"),
            ("@ TXT \"open\n", "line 1: expected a closing quotation mark on this line, found none"),
            ("@ TXT ( \"x\"\n", "line 1: expected `)` after `(`, found the end of the file"),
            ("@ A 192.0.2.1 )\n", "line 1: expected `(` before `)`, found none"),
            ("$INCLUDE /etc/passwd\n", "line 1: $INCLUDE is not supported"),
            ("\tA 192.0.2.1\n", "line 1: expected a name at the start of the line, found a blank"),
            ("@ 3600 IN\n", "line 1: expected a record type after example.com, found the end of the line"),
            ("@ MX mx\n", "line 1: expected a preference and a host after MX"),
            ("; nothing\n", "line 1: expected records, found none"),
            ("@ TXT x\\", "expected a character after the backslash"),
            ("@ TXT \\999", "expected a number up to 255 after the backslash"),
            (
                "example.org. SOA a. b. 1 2 3 4 5\n",
                "expected the zone that holds example.com, found that of example.org",
            ),
        ] {
            assert!(fault(text).contains(says), "{text}: {}", fault(text));
        }
        assert!(fault(&format!("@ TXT {}", "x".repeat(256))).contains("found one of 256"));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn no_bytes_panic(text in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = ZoneFile::parse(&text, "example.com");
        }

        #[test]
        fn nothing_that_looks_like_a_zone_panics(text in "[@a. \t\n;()\"\\\\0-9]{0,60}( TXT | MX | A |\\$ORIGIN )[a@. \"\\\\\n0-9]{0,40}") {
            let _ = ZoneFile::parse(text.as_bytes(), "example.com");
        }
    }
}
