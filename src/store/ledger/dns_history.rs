//! The history of DNS records in the ledger: each record with the time during which lookups found it.
//!
//! A failed lookup leaves no trace: the caller passes on only answers.

use super::database::Ledger;
use crate::model::{DnsObservation, DnsSpan, DnsValue, RecordType, WatchedName};
use crate::store::error::StoreError;
use crate::store::tables::values::time;

use rusqlite::{Transaction, params};
use std::collections::HashSet;

pub(crate) fn keep(transaction: &Transaction<'_>, at: i64, found: &DnsObservation) -> rusqlite::Result<()> {
    let DnsObservation { domain, name, record_type, values } = found;
    let kind = record_type.as_str();
    let newest = "SELECT COALESCE(MAX(last), ?3) FROM dns_names WHERE name = ?1 AND type = ?2";
    let newest: i64 = transaction.prepare_cached(newest)?.query_row(params![name, kind, i64::MIN], |row| row.get(0))?;
    let watch = "INSERT INTO dns_names VALUES (?1, ?2, ?3, ?4, ?4) \
                 ON CONFLICT DO UPDATE SET last = MAX(last, excluded.last), since = MIN(since, excluded.since)";
    transaction.prepare_cached(watch)?.execute(params![domain, name, kind, at])?;
    if at < newest {
        return Ok(());
    }
    let there = "SELECT meaning FROM dns_records WHERE name = ?1 AND type = ?2 AND ended IS NULL";
    let there: Vec<String> = transaction
        .prepare_cached(there)?
        .query_map(params![name, kind], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for meaning in there.iter().filter(|meaning| values.iter().all(|value| value.meaning != **meaning)) {
        let end = "UPDATE dns_records SET ended = ?4 WHERE name = ?1 AND type = ?2 AND meaning = ?3 AND ended IS NULL";
        transaction.prepare_cached(end)?.execute(params![name, kind, meaning, at])?;
    }
    for DnsValue { meaning, text } in values {
        if there.contains(meaning) {
            let again = "UPDATE dns_records SET last_seen = ?4, value = ?5 \
                         WHERE name = ?1 AND type = ?2 AND meaning = ?3 AND ended IS NULL";
            transaction.prepare_cached(again)?.execute(params![name, kind, meaning, at, text])?;
        } else {
            let new = "INSERT OR REPLACE INTO dns_records VALUES (?1, ?2, ?3, ?4, ?5, ?5, NULL)";
            transaction.prepare_cached(new)?.execute(params![name, kind, meaning, text, at])?;
        }
    }
    Ok(())
}

const READING: &str = "reading the history of DNS";

pub(crate) fn spans(ledger: &Ledger) -> Result<Vec<DnsSpan>, StoreError> {
    let sql = "SELECT name, type, meaning, value, first_seen, last_seen, ended FROM dns_records";
    let mut found = Vec::new();
    ledger.each_row(READING, sql, [], |row| {
        // A type added by a later version is unknown here.
        let Some(record_type) = RecordType::parse(row.get_ref(1)?.as_str()?) else { return Ok(()) };
        found.push(DnsSpan {
            name: row.get(0)?,
            record_type,
            value: DnsValue { meaning: row.get(2)?, text: row.get(3)? },
            first_seen: time(row.get(4)?),
            last_seen: time(row.get(5)?),
            ended: row.get::<_, Option<i64>>(6)?.map(time),
        });
        Ok(())
    })?;
    Ok(found)
}

pub(crate) fn names(ledger: &Ledger) -> Result<Vec<WatchedName>, StoreError> {
    let mut found = Vec::new();
    ledger.each_row(READING, "SELECT domain, name, type, since FROM dns_names", [], |row| {
        if let Some(record_type) = RecordType::parse(row.get_ref(2)?.as_str()?) {
            found.push(WatchedName { domain: row.get(0)?, name: row.get(1)?, record_type, since: time(row.get(3)?) });
        }
        Ok(())
    })?;
    Ok(found)
}

pub(crate) fn domains_since(ledger: &Ledger, since: i64) -> Result<HashSet<String>, StoreError> {
    ledger.rows(READING, "SELECT DISTINCT domain FROM dns_names WHERE last >= ?1", [since], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::read::store::Store;
    use crate::store::write::writer::Writer;
    use jiff::Timestamp;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(day * 86_400).unwrap()
    }

    fn seen(domain: &str, texts: &[&str]) -> DnsObservation {
        let value = |text: &&str| DnsValue { meaning: text.to_lowercase(), text: (*text).to_owned() };
        DnsObservation {
            domain: domain.to_owned(),
            name: "_spf.example.net".to_owned(),
            record_type: RecordType::Txt,
            values: texts.iter().map(value).collect(),
        }
    }

    #[test]
    fn lookups_become_spans_and_changes() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path(), at(0)).unwrap();
        for (day, texts) in [(1, &["a"][..]), (2, &["A"]), (3, &["b"]), (3, &["b"]), (5, &[]), (6, &["a"])] {
            writer.keep_dns(at(day), &[seen("example.com", texts)]).unwrap();
        }
        writer.keep_dns(at(4), &[seen("example.org", &["c"])]).unwrap();
        let store = Store::open(folder.path()).unwrap();
        let spans: Vec<_> = store
            .dns_spans()
            .unwrap()
            .into_iter()
            .map(|span| (span.value.text, span.first_seen, span.last_seen, span.ended))
            .collect();
        let a = [("A".to_owned(), at(1), at(2), Some(at(3))), ("a".to_owned(), at(6), at(6), None)];
        assert_eq!(
            spans,
            [&a[..], &[("b".to_owned(), at(3), at(3), Some(at(5)))]].concat(),
            "an older look adds nothing"
        );
        let changes = store.dns_changes(Some("example.com")).unwrap();
        let told: Vec<_> = changes.iter().map(|change| (change.at, change.kind())).collect();
        assert_eq!(told, [(at(3), "changed"), (at(5), "removed"), (at(6), "added")]);
        assert_eq!(store.dns_changes(Some("example.org")).unwrap().len(), 2, "it began to look on day 4");
        assert_eq!(store.dns_changes(None).unwrap().len(), 5);
    }
}
