//! Whose server a source address is, and the ranges that services publish, kept in the ledger beside the names.
//!
//! The answers are renewed with every run of `enrich` that sees the address.

use super::database::Ledger;
use super::lookups::by_address;
use crate::model::{NetworkClass, SourceClass, SourceOrigin, parse_network};
use crate::store::error::StoreError;
use crate::store::tables::values::time;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The kind of lookup these are, in the ledger.
pub(crate) const KIND: &str = "origin";

/// The form in the ledger: the rung, a space, the name; if the class is known, also a tab, the class, a tab, and the
/// rule.
pub(crate) fn answer(origin: &SourceOrigin) -> String {
    let plain = |text: &str| text.replace(char::is_control, " ");
    let mut answer = format!("{} {}", origin.rung, plain(&origin.name));
    if let Some(SourceClass { class, ground }) = &origin.class {
        answer.extend(["\t", class.as_str(), "\t", &plain(ground)]);
    }
    answer
}

fn parse(answer: &str) -> Option<SourceOrigin> {
    let mut fields = answer.split('\t');
    let (rung, name) = fields.next()?.split_once(' ')?;
    let mut class =
        || Some(SourceClass { class: NetworkClass::parse(fields.next()?)?, ground: fields.next()?.to_owned() });
    Some(SourceOrigin { name: name.to_owned(), rung: rung.parse().ok()?, class: class() })
}

pub(crate) fn origins(ledger: &Ledger) -> Result<BTreeMap<IpAddr, SourceOrigin>, StoreError> {
    by_address(ledger, KIND, parse, "reading the origins of sources")
}

/// The kind of lookup that the ranges of services are, in the ledger.
pub(crate) const RANGES: &str = "ranges";

/// An address and how many leading bits count.
pub type AddressRange = (IpAddr, u8);

/// The ranges of an SPF record and those it includes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRanges {
    /// The ranges.
    pub ranges: Vec<AddressRange>,
    /// Until when they need not be looked up again.
    pub until: Timestamp,
}

/// The text in the ledger: one per line.
pub(crate) fn ranges_answer(ranges: &[AddressRange]) -> String {
    let lines: Vec<String> = ranges.iter().map(|(network, bits)| format!("{network}/{bits}")).collect();
    lines.join("\n")
}

fn parse_ranges(answer: &str) -> Vec<AddressRange> {
    answer.lines().filter_map(parse_network).collect()
}

/// What is kept, by the domain of the SPF record.
pub(crate) fn service_ranges(ledger: &Ledger) -> Result<BTreeMap<String, KeptRanges>, StoreError> {
    let sql = "SELECT name, answer, expires FROM lookups WHERE kind = ?1 AND answer IS NOT NULL";
    ledger.rows("reading the ranges of services", sql, [RANGES], |row| {
        let ranges = parse_ranges(row.get_ref(1)?.as_str()?);
        Ok((row.get(0)?, KeptRanges { ranges, until: time(row.get(2)?) }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::read::store::Store;
    use crate::store::write::writer::Writer;

    #[test]
    fn an_origin_is_kept_until_nothing_proves_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path(), Timestamp::UNIX_EPOCH).unwrap();
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let kept = || Store::open(folder.path()).unwrap().origins().unwrap();
        let ground = "host name under mail.example".to_owned();
        let class = Some(SourceClass { class: NetworkClass::RentedHost, ground });
        let origin = SourceOrigin { name: "Example\tMail".into(), rung: 2, class };
        writer.keep_origins(&[(address, Some(origin.clone()))], Timestamp::UNIX_EPOCH).unwrap();
        let told = SourceOrigin { name: "Example Mail".into(), ..origin.clone() };
        assert_eq!(kept(), BTreeMap::from([(address, told)]));
        assert_eq!(parse("5 EXAMPLE-AS").map(|origin| (origin.name, origin.class)), Some(("EXAMPLE-AS".into(), None)));
        writer.keep_origins(&[(address, None)], Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(kept(), BTreeMap::new());
    }

    #[test]
    fn ranges_are_kept_with_their_time() {
        let folder = tempfile::tempdir().unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut writer = Writer::open(folder.path(), at(0)).unwrap();
        let ranges = vec![("192.0.2.0".parse().unwrap(), 24), ("2001:db8::".parse().unwrap(), 32)];
        writer.keep_service_ranges(&[("spf.example.net".to_owned(), ranges.clone())], at(10), at(20)).unwrap();
        let kept = Store::open(folder.path()).unwrap().service_ranges().unwrap();
        assert_eq!(kept, BTreeMap::from([("spf.example.net".to_owned(), KeptRanges { ranges, until: at(20) })]));
        assert_eq!(Store::open(folder.path()).unwrap().names().unwrap(), [], "ranges are no names");
        assert_eq!(parse_ranges("192.0.2.0/24\nnonsense\n192.0.2.0/999\n").len(), 1);
    }
}
