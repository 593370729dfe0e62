//! The verdicts of complete weeks, kept from one export to the next.
//!
//! The verdicts of a week depend on its reports, on those of the weeks before it, and on the settings. They are stored
//! with the last batch that had such a report and with a hash of the rest: if either changed since, they are computed
//! again. If the week's reports were pruned, the stored verdicts are all that is left, and stay.

use super::database::Ledger;
use crate::store::error::StoreError;
use crate::store::tables::ledger::VERSION;
use crate::store::tables::values::{day, days_since_epoch};
use crate::store::tables::verdicts::{DayOfReports, KeptVerdicts, WeekVerdicts};
use jiff::civil::Date;
use rusqlite::params;
use std::collections::BTreeMap;
use std::path::Path;

/// The days that reports are about.
pub(crate) fn days(ledger: &Ledger) -> Result<BTreeMap<Date, DayOfReports>, StoreError> {
    let sql = "SELECT day, count(*), max(batch) FROM reports GROUP BY day";
    ledger.rows("reading the reports", sql, [], |row| {
        Ok((day(row.get(0)?), DayOfReports { reports: row.get(1)?, last_batch: row.get(2)? }))
    })
}

/// The kept verdicts, by the first day of their week.
pub(crate) fn kept(ledger: &Ledger) -> Result<BTreeMap<Date, KeptVerdicts>, StoreError> {
    let mut kept = BTreeMap::new();
    ledger.each_row("reading the verdicts", "SELECT monday, settings, batch, answer FROM verdicts", [], |row| {
        let monday = day(row.get(0)?);
        // Verdicts in the form of another version are computed again.
        if let Ok(verdicts) = serde_json::from_str::<WeekVerdicts>(row.get_ref(3)?.as_str()?) {
            let verdicts = WeekVerdicts { monday, ..verdicts };
            kept.insert(monday, KeptVerdicts { settings: row.get(1)?, batch: row.get(2)?, verdicts });
        }
        Ok(())
    })?;
    Ok(kept)
}

/// Stores verdicts, without being the writer: they can be computed again, and of two concurrent processes the later one
/// wins.
pub(crate) fn keep(path: &Path, verdicts: &[KeptVerdicts]) -> Result<(), StoreError> {
    let ledger = Ledger::create(path)?;
    // A ledger of an older version may lack the table.
    if ledger.version()? != VERSION {
        return Ok(());
    }
    ledger.write("keeping the verdicts", |transaction| {
        let mut statement = transaction.prepare("INSERT OR REPLACE INTO verdicts VALUES (?1, ?2, ?3, ?4)")?;
        for KeptVerdicts { batch, settings, verdicts } in verdicts {
            let answer = serde_json::to_string(verdicts).expect("texts and numbers serialize");
            statement.execute(params![days_since_epoch(verdicts.monday), settings, batch, answer])?;
        }
        Ok(())
    })
}
