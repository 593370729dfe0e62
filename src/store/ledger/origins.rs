//! Whose server a source address is, kept in the ledger beside its name.
//!
//! The answers are renewed with every run of `enrich` that sees the address.

use super::database::Ledger;
use crate::model::SourceOrigin;
use crate::store::error::StoreError;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The kind of lookup these are, in the ledger.
pub(crate) const KIND: &str = "origin";

/// As the ledger keeps it: the rung, a space, the name.
pub(crate) fn answer(origin: &SourceOrigin) -> String {
    format!("{} {}", origin.rung, origin.name)
}

fn parse(answer: &str) -> Option<SourceOrigin> {
    let (rung, name) = answer.split_once(' ')?;
    Some(SourceOrigin { name: name.to_owned(), rung: rung.parse().ok()? })
}

pub(crate) fn origins(ledger: &Ledger) -> Result<BTreeMap<IpAddr, SourceOrigin>, StoreError> {
    let read = || -> rusqlite::Result<BTreeMap<IpAddr, SourceOrigin>> {
        let sql = "SELECT name, answer FROM lookups WHERE kind = ?1 AND answer IS NOT NULL";
        let mut statement = ledger.connection.prepare(sql)?;
        let mut rows = statement.query([KIND])?;
        let mut found = BTreeMap::new();
        while let Some(row) = rows.next()? {
            // What another version wrote otherwise is not known here.
            if let (Ok(address), Some(origin)) = (row.get_ref(0)?.as_str()?.parse(), parse(row.get_ref(1)?.as_str()?)) {
                found.insert(address, origin);
            }
        }
        Ok(found)
    };
    read().map_err(ledger.failed("reading whose servers the sources are"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::read::store::Store;
    use crate::store::write::writer::Writer;
    use jiff::Timestamp;

    #[test]
    fn an_origin_is_kept_until_nothing_proves_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path(), Timestamp::UNIX_EPOCH).unwrap();
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let kept = || Store::open(folder.path()).unwrap().origins().unwrap();
        let origin = SourceOrigin { name: "Example Mail".into(), rung: 2 };
        writer.keep_origins(&[(address, Some(origin.clone()))], Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(kept(), BTreeMap::from([(address, origin)]));
        writer.keep_origins(&[(address, None)], Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(kept(), BTreeMap::new());
    }
}
