//! The `reports` table read back: the heads that answers start from.

use super::encode::days_since_epoch;
use super::ledger::Ledger;
use super::read::Filter;
use super::{StoreError, pack};
use crate::model::{Domain, PolicyPublished, ReportHead, ReportKey, Text};
use jiff::{Span, Timestamp, civil::Date};
use rusqlite::Row;

const HEAD: &str =
    "SELECT key, org_name, org_email, report_id, begin, end, day, policy_domain, p, sp, np, adkim, aspf, pct,
    fo, testing, discovery_method, records, messages, dmarc_pass, sender_auth, findings FROM reports";

/// Hand over the heads of the reports of a filter, in the order of their arrival in the store: as they lie in the ledger, so
/// that each of its pages is read once, however the days are mixed.
pub(crate) fn heads(ledger: &Ledger, filter: &Filter, each: &mut dyn FnMut(ReportHead)) -> Result<(), StoreError> {
    let mut read = || -> rusqlite::Result<()> {
        // Where all days are asked for, a row whose day is none is told of, not left out.
        let asked = match (filter.from, filter.to) {
            (None, None) => "?1 <= ?2",
            _ => "id IN (SELECT id FROM reports WHERE day BETWEEN ?1 AND ?2)",
        };
        let mut statement = ledger.connection.prepare(&format!("{HEAD} WHERE {asked} ORDER BY id"))?;
        let from = filter.from.map_or(i32::MIN, days_since_epoch);
        let to = filter.to.map_or(i32::MAX, days_since_epoch);
        let mut rows = statement.query([from, to])?;
        while let Some(row) = rows.next()? {
            let domain = row.get_ref(7)?.as_str()?;
            if filter.domains.is_empty() || filter.domains.iter().any(|wanted| wanted == domain) {
                each(head(row)?);
            }
        }
        Ok(())
    };
    read().map_err(ledger.failed("reading the reports"))
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
        sender_auth: pack::sender_auth(row.get_ref(20)?.as_str()?),
        findings: maybe(21)?.map(|json| codes(&json)).unwrap_or_default(),
    })
}

fn codes(json: &str) -> Vec<Text> {
    let findings: Vec<pack::LineFinding> = serde_json::from_str(json).unwrap_or_default();
    findings.into_iter().map(|finding| finding.code.into()).collect()
}

/// A time as the ledger holds it.
pub(crate) fn time(millisecond: i64) -> Timestamp {
    Timestamp::from_millisecond(millisecond).unwrap_or_default()
}

/// A day as the ledger and Parquet hold it.
pub(crate) fn day(days: i32) -> Date {
    // A span of more days than there are between any two dates is none: to ask for it would be to panic.
    let since = Span::new().try_days(days);
    since.and_then(|days| jiff::civil::date(1970, 1, 1).checked_add(days)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Date, day};

    #[test]
    fn any_number_is_a_day_or_none() {
        assert_eq!(day(20_773), jiff::civil::date(2026, 11, 16));
        for beyond in [i32::MIN, -7_304_485, 7_304_485, i32::MAX] {
            assert_eq!(day(beyond), Date::default());
        }
    }
}
