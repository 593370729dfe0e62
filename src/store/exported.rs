//! The folder an export writes to, and the list of what exports wrote there: `.dmarquet-export`, one path a line.
//!
//! Comes in: files, as bytes or as parts to link. Goes out: the folder with them, without those of earlier exports that
//! were not written again. A file is listed before it is written, so that one of an export that was cut short is known
//! to the next. Must not: remove a file that is not listed, or write into a file that is there, which may be a hard link
//! to a part of the store.

use super::StoreError;
use super::files::{create_folder, remove_file, write_file};
use super::layout::Layout;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

/// The list. Engines pass over what begins with a dot.
const LIST: &str = ".dmarquet-export";

/// What is read of a list. A line has some fifty bytes: more files than this no export writes.
const LIST_BYTES: u64 = 64 << 20;

/// An export under way.
#[derive(Debug)]
pub(crate) struct Exported {
    dir: PathBuf,
    list: File,
    /// Of earlier exports, below the folder.
    before: BTreeSet<PathBuf>,
    written: BTreeSet<PathBuf>,
}

impl Exported {
    /// Begin to write to a folder, which is made if need be.
    ///
    /// # Errors
    /// Where the folder or its list cannot be made or read.
    pub(crate) fn begin(dir: &Path) -> Result<Self, StoreError> {
        create_folder(dir)?;
        let path = dir.join(LIST);
        let failed = || StoreError::io(&path, "opening the list of exported files");
        let list = OpenOptions::new().create(true).read(true).append(true).open(&path).map_err(failed())?;
        let mut lines = String::new();
        (&list).take(LIST_BYTES).read_to_string(&mut lines).map_err(failed())?;
        let before = lines.lines().map(PathBuf::from).filter(|path| is_ours(path)).collect();
        Ok(Self { dir: dir.to_owned(), list, before, written: BTreeSet::new() })
    }

    /// Whether nothing of a table was written yet.
    pub(crate) fn is_empty(&self, table: &Path) -> bool {
        !self.written.iter().any(|path| path.starts_with(table))
    }

    /// Write a file, given by its path below the folder; one of the same name is replaced.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn write(&mut self, path: PathBuf, bytes: &[u8]) -> Result<(), StoreError> {
        let target = self.enlist(path)?;
        replace(&target, bytes, "replacing the file")
    }

    /// Link a part of the store, or copy it where the file system cannot; one of the same name is replaced.
    ///
    /// # Errors
    /// Where it cannot be.
    pub(crate) fn link(&mut self, from: &Path, path: PathBuf) -> Result<(), StoreError> {
        let target = self.enlist(path)?;
        remove_file(&target, "replacing the file")?;
        let from = super::files::standing(from);
        if std::fs::hard_link(&from, &target).is_ok() {
            return Ok(());
        }
        std::fs::copy(&from, &target).map(drop).map_err(StoreError::io(&target, "copying the part"))
    }

    /// Remove what earlier exports wrote and this one did not, and folders that are empty by that.
    ///
    /// # Errors
    /// Where a file cannot be removed, or the list not be written.
    pub(crate) fn finish(self) -> Result<(), StoreError> {
        for path in self.before.difference(&self.written) {
            let stale = self.dir.join(path);
            remove_file(&stale, "removing the file of an earlier export")?;
            for folder in path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
                // One that holds something stays.
                let _ = std::fs::remove_dir(self.dir.join(folder));
            }
        }
        let lines = self.written.iter().map(|path| path.display().to_string() + "\n").collect::<String>();
        replace(&self.dir.join(LIST), lines.as_bytes(), "replacing the list of exported files")
    }

    /// Put a path on the list, if it is not there, and make its folder.
    fn enlist(&mut self, path: PathBuf) -> Result<PathBuf, StoreError> {
        let target = self.dir.join(&path);
        target.parent().map_or(Ok(()), create_folder)?;
        let known = self.before.contains(&path);
        if self.written.insert(path.clone()) && !known {
            let line = path.display().to_string() + "\n";
            let listed = self.list.write_all(line.as_bytes()).and_then(|()| self.list.sync_data());
            listed.map_err(StoreError::io(&self.dir.join(LIST), "writing the list of exported files"))?;
        }
        Ok(target)
    }
}

/// Whether a line of the list can be an export's: whatever else stands there is not touched.
fn is_ours(path: &Path) -> bool {
    let names: Option<Vec<&str>> =
        path.components().map(|part| if let Component::Normal(name) = part { name.to_str() } else { None }).collect();
    let is_file = |name: &str| name.ends_with(".parquet");
    match names.as_deref() {
        Some(["records" | "reports", month, file]) => month.starts_with("month=") && is_file(file),
        Some(["sources", file]) => is_file(file),
        _ => false,
    }
}

/// Write a file beside the one it then replaces, which may be a hard link.
fn replace(path: &Path, bytes: &[u8], doing: &'static str) -> Result<(), StoreError> {
    let temporary = Layout::temporary(path);
    write_file(&temporary, |out| out.write_all(bytes))?;
    std::fs::rename(&temporary, path).map_err(StoreError::io(path, doing))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files of a folder and below, without the list.
    fn files(dir: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut ahead = vec![dir.to_owned()];
        while let Some(path) = ahead.pop() {
            if path.is_dir() {
                ahead.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else if !path.ends_with(LIST) {
                found.push(path.strip_prefix(dir).unwrap().display().to_string());
            }
        }
        found.sort();
        found
    }

    fn export(dir: &Path, names: &[&str]) {
        let mut exported = Exported::begin(dir).unwrap();
        for name in names {
            exported.write(PathBuf::from(name), name.as_bytes()).unwrap();
        }
        exported.finish().unwrap();
    }

    #[test]
    fn what_is_not_written_again_goes_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = ("records/month=2026-10/1.parquet", "records/month=2026-11/2.parquet");
        export(dir.path(), &[old, new, "reports/month=2026-10/reports.parquet"]);
        std::fs::write(dir.path().join("records/month=2026-11/mine.parquet"), "").unwrap();
        export(dir.path(), &[new]);
        assert_eq!(files(dir.path()), [new, "records/month=2026-11/mine.parquet"]);
        assert!(!dir.path().join("records/month=2026-10").exists() && !dir.path().join("reports").exists());
    }

    #[test]
    fn what_an_export_that_was_cut_short_wrote_goes_too() {
        let dir = tempfile::tempdir().unwrap();
        let mut cut = Exported::begin(dir.path()).unwrap();
        cut.write("records/month=2026-10/1.parquet".into(), b"1").unwrap();
        drop(cut);
        export(dir.path(), &["records/month=2026-10/2.parquet"]);
        assert_eq!(files(dir.path()), ["records/month=2026-10/2.parquet"]);
    }

    #[test]
    fn a_list_that_names_other_files_moves_nobody_to_remove_them() {
        let dir = tempfile::tempdir().unwrap();
        let named = ["mine.parquet", "records/mine.parquet", "records/month=2026-10/notes.txt"];
        std::fs::create_dir_all(dir.path().join("records/month=2026-10")).unwrap();
        for name in named {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let outside = dir.path().join("outside.parquet");
        std::fs::write(&outside, "").unwrap();
        let lines = format!("{}\n{}\nrecords/../outside.parquet\n", named.join("\n"), outside.display());
        std::fs::write(dir.path().join(LIST), lines).unwrap();
        export(dir.path(), &[]);
        assert_eq!(files(dir.path()).len(), 4);
    }

    #[test]
    fn a_file_that_is_replaced_leaves_what_it_was_linked_to() {
        let dir = tempfile::tempdir().unwrap();
        let part = dir.path().join("part.parquet");
        std::fs::write(&part, "of the store").unwrap();
        let (out, name) = (dir.path().join("out"), PathBuf::from("records/month=2026-10/1.parquet"));
        let mut exported = Exported::begin(&out).unwrap();
        exported.link(&part, name.clone()).unwrap();
        exported.finish().unwrap();
        let mut exported = Exported::begin(&out).unwrap();
        exported.write(name.clone(), b"less").unwrap();
        exported.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&part).unwrap(), "of the store");
        assert_eq!(std::fs::read_to_string(out.join(name)).unwrap(), "less");
    }
}
