//! Maildir: a folder with `new`, `cur` and `tmp`, one file per message.
//!
//! If another program changes a message's flags between listing and reading, its file gets a new name, and is found
//! again.

use std::path::{Path, PathBuf};

/// Whether this folder is a Maildir.
pub(crate) fn is_maildir(folder: &Path) -> bool {
    ["new", "cur", "tmp"].iter().all(|name| folder.join(name).is_dir())
}

/// Whether files in this folder are Maildir messages.
pub(crate) fn holds_messages(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name == "new" || name == "cur") && folder.parent().is_some_and(is_maildir)
}

/// The message's file under its current name.
pub(crate) fn find_again(message: &Path) -> Option<PathBuf> {
    let unique = unique_part(message.file_name()?.to_str()?);
    let maildir = message.parent()?.parent()?;
    ["cur", "new"].iter().find_map(|folder| {
        let entries = maildir.join(folder).read_dir().ok()?;
        let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        paths.find(|path| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| unique_part(name) == unique)
        })
    })
}

/// The name without its flags.
fn unique_part(name: &str) -> &str {
    name.split_once(":2,").map_or(name, |(unique, _)| unique)
}
