//! Sums of the reports about each domain, and about those of one owner: counted when needed, because a store has few
//! domains and their owners may change with the settings.

use super::parquet_folder;
use super::status_sums::{ReportedDomain, StatusOfReport, StatusSums};
use super::store::Store;
use crate::store::error::StoreError;
use crate::store::ledger::database::Ledger;
use crate::store::ledger::status::Status;
use crate::store::tables::values::{day, time};

impl Store {
    /// The policy domains that reports are about, by name.
    ///
    /// # Errors
    /// If the ledger or the folder cannot be read.
    pub fn domains(&self) -> Result<Vec<ReportedDomain>, StoreError> {
        if self.folder {
            return parquet_folder::domains(&self.layout);
        }
        self.read_ledger(domains)
    }

    /// The status of the reports about some policy domains: their sums, months and reporters, without files, mailboxes,
    /// rejected items and conflicts.
    ///
    /// # Errors
    /// If the ledger or the folder cannot be read.
    pub fn status_of(&self, wanted: &dyn Fn(&str) -> bool) -> Result<Status, StoreError> {
        let status = if self.folder {
            parquet_folder::status_of(&self.layout, wanted)?
        } else {
            self.read_ledger(|ledger| status_of(ledger, wanted))?
        };
        self.with_tls(status, Some(wanted))
    }
}

fn domains(ledger: &Ledger) -> Result<Vec<ReportedDomain>, StoreError> {
    let sql = "SELECT policy_domain, max(\"end\") FROM reports GROUP BY policy_domain ORDER BY policy_domain";
    ledger.rows("listing the domains", sql, [], |row| {
        Ok(ReportedDomain { policy_domain: row.get(0)?, newest_end: time(row.get(1)?) })
    })
}

fn status_of(ledger: &Ledger, wanted: &dyn Fn(&str) -> bool) -> Result<Status, StoreError> {
    let sql = "SELECT policy_domain, org_name, day, \"end\", arrival, records, messages, dmarc_pass FROM reports";
    let mut sums = StatusSums::default();
    ledger.each_row("reading the reports", sql, [], |row| {
        if wanted(row.get_ref(0)?.as_str()?) {
            sums.add(&StatusOfReport {
                org_name: row.get_ref(1)?.as_str()?,
                day: day(row.get(2)?),
                end: time(row.get(3)?),
                arrival: time(row.get(4)?),
                records: row.get(5)?,
                messages: row.get(6)?,
                dmarc_pass: row.get(7)?,
            });
        }
        Ok(())
    })?;
    Ok(sums.finish())
}
