//! Parts and packs as the ledger lists them.

use crate::store::disk::files::FileSeal;
use crate::store::disk::layout::{FileKind, Month};
use crate::store::ledger::intents;
use crate::store::tables::values::int;
use rusqlite::{Transaction, params};

/// A part or pack as listed in the ledger.
#[derive(Debug, Clone)]
pub(crate) struct LedgerFile {
    pub(crate) path: String,
    pub(crate) kind: FileKind,
    pub(crate) month: Month,
    pub(crate) records: i64,
    pub(crate) reports: i64,
    pub(crate) seal: FileSeal,
}

/// Lists parts or packs.
pub(crate) fn record_files(transaction: &Transaction<'_>, made: &[LedgerFile], number: i64) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached("INSERT INTO files VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for LedgerFile { path, kind, month, records, reports, seal } in made {
        statement.execute(params![
            path,
            kind.folder(),
            month.to_string(),
            number,
            records,
            reports,
            int(seal.bytes),
            seal.hash
        ])?;
    }
    Ok(())
}

/// Replaces files with others, in this transaction. The new ones are complete and durable under their hidden names;
/// [`intents::settle`] updates the folders. Both must have the same rows, unless the transaction changes the rest too.
pub(crate) fn replace_files(
    transaction: &Transaction<'_>,
    old: &[&str],
    new: &[LedgerFile],
    number: i64,
) -> rusqlite::Result<()> {
    for path in old {
        transaction.prepare_cached("DELETE FROM files WHERE path = ?1")?.execute([path])?;
    }
    record_files(transaction, new, number)?;
    intents::retire(transaction, old)?;
    intents::publish(transaction, new.iter().map(|made| made.path.as_str()))
}
