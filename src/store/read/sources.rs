//! Reads what is known about source addresses: names and networks.

use super::store::Store;
use crate::model::SourceOrigin;
use crate::store::error::StoreError;
use crate::store::ledger::lookups::{LookedUp, names};
use crate::store::ledger::networks::{StoredNetwork, networks};
use crate::store::ledger::origins::{KeptRanges, origins, service_ranges};
use std::collections::BTreeMap;
use std::net::IpAddr;

impl Store {
    /// All addresses with an answer from DNS, unordered, including expired ones.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn names(&self) -> Result<Vec<LookedUp>, StoreError> {
        self.read_ledger(names)
    }

    /// The networks of all addresses with an answer from a database.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn networks(&self) -> Result<BTreeMap<IpAddr, StoredNetwork>, StoreError> {
        self.read_ledger(networks)
    }

    /// Who operates the servers at addresses, as far as proven.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn origins(&self) -> Result<BTreeMap<IpAddr, SourceOrigin>, StoreError> {
        self.read_ledger(origins)
    }

    /// The ranges that services publish, by the domain of their SPF record.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn service_ranges(&self) -> Result<BTreeMap<String, KeptRanges>, StoreError> {
        self.read_ledger(service_ranges)
    }
}
