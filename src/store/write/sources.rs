//! Stores names and networks of source addresses.

use super::writer::Writer;
use crate::model::SourceOrigin;
use crate::store::error::StoreError;
use crate::store::ledger::lookups::{self, LookedUp, StoredName};
use crate::store::ledger::networks::{self, StoredNetwork};
use crate::store::ledger::origins::{self, AddressRange};
use jiff::Timestamp;
use rusqlite::params;
use std::net::IpAddr;

impl Writer {
    /// Whether an address was looked up, and the answer is still valid.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn name_holds(&self, address: IpAddr, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM lookups WHERE name = ?1 AND kind = ?2 AND expires > ?3";
        let of = params![address.to_string(), lookups::KIND, now.as_millisecond()];
        self.ledger.any("looking for a name", sql, of)
    }

    /// Stores these, durably and all or nothing.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn keep_names(&mut self, looked_up: &[LookedUp]) -> Result<(), StoreError> {
        let sql = "INSERT INTO lookups VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET expires = excluded.expires, \
                   looked_up = iif(excluded.answer IS NULL, looked_up, excluded.looked_up), \
                   answer = coalesce(excluded.answer, answer)";
        self.ledger.write("keeping names", |transaction| {
            let mut statement = transaction.prepare_cached(sql)?;
            for LookedUp { address, naming, at, until } in looked_up {
                let answer = naming.as_ref().map(StoredName::answer);
                statement.execute(params![
                    address.to_string(),
                    lookups::KIND,
                    answer,
                    at.as_millisecond(),
                    until.as_millisecond()
                ])?;
            }
            Ok(())
        })
    }

    /// Replaces what was known about these addresses, durably and all or nothing.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn keep_networks(&mut self, found: &[(IpAddr, StoredNetwork)], at: Timestamp) -> Result<(), StoreError> {
        self.ledger.write("keeping networks", |transaction| {
            let mut statement =
                transaction.prepare_cached("INSERT OR REPLACE INTO lookups VALUES (?1, ?2, ?3, ?4, ?4)")?;
            for (address, network) in found {
                statement.execute(params![
                    address.to_string(),
                    networks::KIND,
                    network.answer(),
                    at.as_millisecond()
                ])?;
            }
            Ok(())
        })
    }

    /// Stores who operates the servers at these addresses, durably and all or nothing; `None` if nothing proves it any
    /// more.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn keep_origins(&mut self, found: &[(IpAddr, Option<SourceOrigin>)], at: Timestamp) -> Result<(), StoreError> {
        self.ledger.write("storing the origins of sources", |transaction| {
            let mut statement =
                transaction.prepare_cached("INSERT OR REPLACE INTO lookups VALUES (?1, ?2, ?3, ?4, ?4)")?;
            for (address, origin) in found {
                let answer = origin.as_ref().map(origins::answer);
                statement.execute(params![address.to_string(), origins::KIND, answer, at.as_millisecond()])?;
            }
            Ok(())
        })
    }

    /// Keeps the ranges of these SPF records in place of what was kept of them, durably and all or none.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn keep_service_ranges(
        &mut self,
        found: &[(String, Vec<AddressRange>)],
        at: Timestamp,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        self.ledger.write("keeping the ranges of services", |transaction| {
            let mut statement =
                transaction.prepare_cached("INSERT OR REPLACE INTO lookups VALUES (?1, ?2, ?3, ?4, ?5)")?;
            for (record, ranges) in found {
                let (at, until) = (at.as_millisecond(), until.as_millisecond());
                statement.execute(params![record, origins::RANGES, origins::ranges_answer(ranges), at, until])?;
            }
            Ok(())
        })
    }
}
