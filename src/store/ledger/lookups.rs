//! Host names of source addresses, kept in the ledger between runs: when each was looked up, and until when it is valid.
//!
//! A failure never replaces an answer: "could not look up" is not "has no name".

use super::database::Ledger;
use crate::store::error::StoreError;
use crate::store::tables::values::time;
use jiff::Timestamp;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The kind of these lookups in the ledger.
pub(crate) const KIND: &str = "ptr";

/// What DNS says about an address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredName {
    /// Its names, best first; may be empty.
    pub names: Vec<String>,
    /// The first resolves back to the address.
    pub confirmed: bool,
}

impl StoredName {
    /// The form stored in the ledger.
    pub(crate) fn answer(&self) -> String {
        serde_json::to_string(self).expect("names and a flag serialize")
    }
}

/// An address, looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookedUp {
    /// The address.
    pub address: IpAddr,
    /// What DNS says about it; `None` if it could not be looked up.
    pub naming: Option<StoredName>,
    /// When it was looked up.
    pub at: Timestamp,
    /// Until when this is valid.
    pub until: Timestamp,
}

pub(crate) fn names(ledger: &Ledger) -> Result<Vec<LookedUp>, StoreError> {
    let sql = "SELECT name, answer, looked_up, expires FROM lookups WHERE kind = ?1 AND answer IS NOT NULL";
    let mut found = Vec::new();
    ledger.each_row("reading the names", sql, [KIND], |row| {
        let address = row.get_ref(0)?.as_str()?.parse();
        let naming = serde_json::from_str(row.get_ref(1)?.as_str()?);
        // A form written by another version is ignored here, and looked up again when it expires.
        if let (Ok(address), Ok(naming)) = (address, naming) {
            let (at, until) = (time(row.get(2)?), time(row.get(3)?));
            found.push(LookedUp { address, naming: Some(naming), at, until });
        }
        Ok(())
    })?;
    Ok(found)
}

/// The answers of one kind about addresses. One in the form of another version is left out; errors name what was read.
pub(crate) fn by_address<T>(
    ledger: &Ledger,
    kind: &str,
    parse: impl Fn(&str) -> Option<T>,
    doing: &'static str,
) -> Result<BTreeMap<IpAddr, T>, StoreError> {
    let sql = "SELECT name, answer FROM lookups WHERE kind = ?1 AND answer IS NOT NULL";
    let mut found = BTreeMap::new();
    ledger.each_row(doing, sql, [kind], |row| {
        if let (Ok(address), Some(answer)) = (row.get_ref(0)?.as_str()?.parse(), parse(row.get_ref(1)?.as_str()?)) {
            found.insert(address, answer);
        }
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::read::store::Store;
    use crate::store::write::writer::Writer;

    fn looked_up(naming: Option<StoredName>, at: i64) -> LookedUp {
        let time = |second| Timestamp::from_second(second).unwrap();
        LookedUp { address: "192.0.2.7".parse().unwrap(), naming, at: time(at), until: time(at + 100) }
    }

    #[test]
    fn a_name_is_valid_for_its_time_and_a_failure_does_not_replace_it() {
        let folder = tempfile::tempdir().unwrap();
        let now = |second| Timestamp::from_second(second).unwrap();
        let mut writer = Writer::open(folder.path(), now(0)).unwrap();
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        assert!(!writer.name_holds(address, now(10)).unwrap());

        let naming = StoredName { names: vec!["mx.example.net".to_owned()], confirmed: true };
        writer.keep_names(&[looked_up(Some(naming.clone()), 10)]).unwrap();
        assert!(writer.name_holds(address, now(109)).unwrap());
        assert!(!writer.name_holds(address, now(110)).unwrap());

        writer.keep_names(&[looked_up(None, 200)]).unwrap();
        assert!(writer.name_holds(address, now(299)).unwrap(), "not asked for again at once");
        let kept = Store::open(folder.path()).unwrap().names().unwrap();
        assert_eq!(kept, [LookedUp { until: now(300), ..looked_up(Some(naming), 10) }]);

        writer.keep_names(&[looked_up(Some(StoredName::default()), 400)]).unwrap();
        let kept = Store::open(folder.path()).unwrap().names().unwrap();
        assert_eq!(kept, [looked_up(Some(StoredName::default()), 400)], "an answer does, that there is no name too");
    }

    #[test]
    fn what_could_never_be_looked_up_is_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path(), Timestamp::UNIX_EPOCH).unwrap();
        writer.keep_names(&[looked_up(None, 10)]).unwrap();
        assert_eq!(Store::open(folder.path()).unwrap().names().unwrap(), []);
    }
}
