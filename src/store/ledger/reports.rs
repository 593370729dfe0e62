//! Reads the `reports` table: the heads that answers start from.

use super::database::Ledger;
use crate::model::{Domain, PolicyPublished, ReportHead, ReportKey, ReportNotes, SenderAuth, Text};
use crate::store::error::StoreError;
use crate::store::tables::filter::{Filter, NewReports};
use crate::store::tables::values::{self, day, time};

use jiff::civil::Date;
use rusqlite::Row;
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

const HEAD: &str =
    "SELECT key, org_name, org_email, report_id, begin, end, day, policy_domain, p, sp, np, adkim, aspf, pct,
    fo, testing, discovery_method, records, messages, dmarc_pass, sender_auth, findings FROM reports";

const READING: &str = "reading the reports";

/// From this share of all reports, reading every row is cheaper than looking up the requested ones.
const LARGE_PART: i64 = 4;

/// Passes on the heads of the reports of a filter, in the order in which they were stored, so that each page of the
/// ledger is read once, however the days are mixed.
pub(crate) fn heads(ledger: &Ledger, filter: &Filter, each: &mut dyn FnMut(ReportHead)) -> Result<(), StoreError> {
    let (from, to) = filter.days();
    let asked = match (filter.from, filter.to) {
        // A row with an invalid day is reported, not left out.
        (None, None) => "?1 <= ?2",
        // `+` keeps the index out.
        _ if is_large_part(ledger, from, to)? => "+day BETWEEN ?1 AND ?2",
        _ => "id IN (SELECT id FROM reports WHERE day BETWEEN ?1 AND ?2)",
    };
    ledger.each_row(READING, &format!("{HEAD} WHERE {asked} ORDER BY id"), [from, to], |row| {
        if filter.has_domain(row.get_ref(7)?.as_str()?) {
            each(head(row)?);
        }
        Ok(())
    })
}

/// Passes on what each report says about its reporter, except reports whose mail was proven to be forged.
pub(crate) fn notes(ledger: &Ledger, each: &mut dyn FnMut(ReportNotes)) -> Result<(), StoreError> {
    let sql = "SELECT org_name, policy_domain, day, generator, discovery_method, errors, findings FROM reports
               WHERE sender_auth <> ?1";
    ledger.each_row(READING, sql, [SenderAuth::Fail.as_str()], |row| {
        let text = |index: usize| -> rusqlite::Result<Option<&str>> { Ok(row.get_ref(index)?.as_str_or_null()?) };
        let errors: Vec<String> = text(5)?.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        each(ReportNotes {
            org_name: row.get_ref(0)?.as_str()?.into(),
            policy_domain: row.get_ref(1)?.as_str()?.into(),
            day: day(row.get(2)?),
            generator: text(3)?.map(Text::from),
            discovery_method: text(4)?.map(Text::from),
            errors: errors.into_iter().map(Text::from).collect(),
            findings: text(6)?.map(codes).unwrap_or_default(),
        });
        Ok(())
    })
}

/// The reports of all runs after a given one. A run is a batch: its number is stored with each of its reports
/// permanently, whatever happens to the files with their rows.
pub(crate) fn since(ledger: &Ledger, after: i64) -> Result<NewReports, StoreError> {
    let mut new = NewReports { after, last: after, keys: HashSet::new() };
    ledger.each_row(READING, "SELECT lower(hex(key)), batch FROM reports WHERE batch > ?1", [after], |row| {
        new.keys.insert(row.get(0)?);
        new.last = new.last.max(row.get(1)?);
        Ok(())
    })?;
    let tls = "SELECT COALESCE(max(batch), 0) FROM tls_reports";
    new.last = new.last.max(ledger.read(READING, |connection| connection.query_row(tls, [], |row| row.get(0)))?);
    Ok(new)
}

/// Whether these days have a large share of the reports; the index is read no further than necessary.
fn is_large_part(ledger: &Ledger, from: i32, to: i32) -> Result<bool, StoreError> {
    ledger.read(READING, |connection| {
        let all: i64 = connection.query_row("SELECT ifnull(max(id), 0) FROM reports", [], |row| row.get(0))?;
        let asked = "SELECT count(*) FROM (SELECT 1 FROM reports WHERE day BETWEEN ?1 AND ?2 LIMIT ?3)";
        let enough = all / LARGE_PART;
        let found: i64 = connection.query_row(asked, (from, to, enough), |row| row.get(0))?;
        Ok(found >= enough)
    })
}

fn head(row: &Row<'_>) -> rusqlite::Result<ReportHead> {
    let text = |index: usize| -> rusqlite::Result<Text> { Ok(row.get_ref(index)?.as_str()?.into()) };
    let maybe =
        |index: usize| -> rusqlite::Result<Option<Text>> { Ok(row.get_ref(index)?.as_str_or_null()?.map(Into::into)) };
    Ok(ReportHead {
        key: ReportKey(row.get(0)?),
        org_name: text(1)?,
        org_email: maybe(2)?,
        report_id: text(3)?,
        begin: time(row.get(4)?),
        end: time(row.get(5)?),
        day: day(row.get(6)?),
        policy: PolicyPublished {
            domain: Domain::from_canonical(text(7)?),
            p: maybe(8)?,
            sp: maybe(9)?,
            np: maybe(10)?,
            adkim: maybe(11)?,
            aspf: maybe(12)?,
            pct: row.get(13)?,
            fo: maybe(14)?,
            testing: maybe(15)?,
            discovery_method: maybe(16)?,
        },
        records: row.get(17)?,
        messages: row.get(18)?,
        dmarc_pass: row.get(19)?,
        sender_auth: values::sender_auth(row.get_ref(20)?.as_str()?),
        findings: maybe(21)?.map(|json| codes(&json)).unwrap_or_default(),
    })
}

fn codes(json: &str) -> Vec<Text> {
    let findings: Vec<values::LineFinding> = serde_json::from_str(json).unwrap_or_default();
    findings.into_iter().map(|finding| finding.code.into()).collect()
}

/// A digest of the reports of each day, independent of their order.
pub(crate) fn day_digests(ledger: &Ledger) -> Result<BTreeMap<Date, u64>, StoreError> {
    let mut days: BTreeMap<i32, u64> = BTreeMap::new();
    ledger.each_row(READING, "SELECT day, key, content, sender_auth FROM reports", [], |row| {
        let mut hasher = DefaultHasher::new();
        (row.get_ref(1)?.as_blob()?, row.get_ref(2)?.as_blob()?, row.get_ref(3)?.as_str()?).hash(&mut hasher);
        let digest = days.entry(row.get(0)?).or_default();
        *digest = digest.wrapping_add(hasher.finish());
        Ok(())
    })?;
    Ok(days.into_iter().map(|(number, digest)| (day(number), digest)).collect())
}

#[cfg(test)]
mod tests {
    use crate::store::tables::values::{day, day_of_calendar};
    use jiff::civil::Date;

    #[test]
    fn a_number_outside_the_calendar_does_not_panic() {
        assert_eq!(day(20_779).to_string(), "2026-11-22");
        assert_eq!(day_of_calendar(2_932_896), Some(Date::MAX));
        for days in [i32::MIN, -4_371_588, 2_932_897, 7_304_485, i32::MAX] {
            assert_eq!((day_of_calendar(days), day(days)), (None, Date::default()));
        }
    }
}
