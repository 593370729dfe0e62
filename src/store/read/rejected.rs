//! Lists and reads rejected items and conflicts.

use super::store::Store;
use crate::store::disk::files;
use crate::store::error::StoreError;
use crate::store::ledger::rejected::{ConflictEntry, RejectedEntry, conflicts, rejected};

impl Store {
    /// The rejected items, oldest first.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn rejected(&self) -> Result<Vec<RejectedEntry>, StoreError> {
        self.read_ledger(rejected)
    }

    /// The conflicts, oldest first.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn conflicts(&self) -> Result<Vec<ConflictEntry>, StoreError> {
        self.read_ledger(conflicts)
    }

    /// The bytes of a rejected item or conflict, by its file below the folder of the store.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn aside(&self, file: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.layout.file(file);
        std::fs::read(files::standing(&path)).map_err(StoreError::io(&path, "reading a kept item"))
    }
}
