//! What the start of a writer puts right: the files of unfinished intents are removed, and nothing else ever is.

use super::StoreError;
use super::commit::remove_file;
use super::layout::Layout;
use super::ledger::Ledger;

/// Remove what an unfinished commit left.
pub(crate) fn recover(layout: &Layout, ledger: &Ledger) -> Result<(), StoreError> {
    let read = || -> rusqlite::Result<Vec<String>> {
        let mut statement = ledger.connection.prepare("SELECT path FROM intents")?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    let intents = read().map_err(ledger.failed("reading the intents"))?;
    if intents.is_empty() {
        return Ok(());
    }
    for intent in &intents {
        let path = layout.file(intent);
        for unfinished in [&path, &Layout::temporary(&path)] {
            remove_file(unfinished, "removing an unfinished file")?;
        }
    }
    // Only now: were the intents forgotten first, a kill here would leave files nobody knows.
    let failed = ledger.failed("ending the intents");
    ledger.connection.execute("DELETE FROM intents", []).map(drop).map_err(failed)
}
