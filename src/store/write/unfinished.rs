//! Leftovers of an unfinished rebuild.

use crate::store::disk::access::{LOG_FILES, beside};
use crate::store::disk::files::{list, remove_file};
use crate::store::disk::layout::{FileKind, Layout};
use crate::store::error::StoreError;
use crate::store::ledger::database::Ledger;
use crate::store::ledger::{intents, survey};
use std::path::Path;

/// Removes the leftovers of an unfinished rebuild, beside a valid ledger.
pub(crate) fn clear(layout: &Layout, ledger: &Ledger) -> Result<(), StoreError> {
    if layout.rebuild_folder().exists() { clear_all(layout, Some(ledger)) } else { Ok(()) }
}

/// Removes an unfinished ledger and its new files: parts, and copies of rejected items and of conflicts. Hidden packs
/// stay: a rebuild creates none.
pub(crate) fn clear_all(layout: &Layout, ledger: Option<&Ledger>) -> Result<(), StoreError> {
    let known = ledger.map_or_else(|| Ok(std::collections::BTreeSet::new()), intents::named)?;
    let mut hidden = survey::hidden(layout, FileKind::Part)?;
    if ledger.is_some() {
        for folder in [layout.rejected(), layout.conflicts()] {
            hidden.extend(list(&folder)?.into_iter().filter(|path| Layout::unhidden(path).is_some()));
        }
    }
    for path in hidden {
        let name = Layout::unhidden(&path).map(|path| survey::relative(layout, &path));
        if name.is_some_and(|name| !known.contains(&name)) {
            remove_file(&path, "removing an unfinished file")?;
        }
    }
    let unfinished = layout.rebuilding().ledger();
    for suffix in [""].into_iter().chain(LOG_FILES) {
        remove_file(&beside(&unfinished, suffix), "removing an unfinished ledger")?;
    }
    remove_empty(&layout.rebuild_folder())
}

/// Removes empty folders at and below a path.
fn remove_empty(folder: &Path) -> Result<(), StoreError> {
    for path in list(folder)? {
        if path.is_dir() && !path.is_symlink() {
            remove_empty(&path)?;
        }
    }
    let _ = std::fs::remove_dir(folder);
    Ok(())
}
