//! The list of files that exports wrote to a folder: `.dmarquet-export`, one path per line.
//!
//! A file is listed before it is written, so that the next export knows the files of an interrupted one. Files of
//! earlier exports that this one does not write are removed; a file that is not listed never is.

use super::folder::{self, ExportFolder};
use crate::store::disk::files::standing;
use crate::store::error::StoreError;
use crate::store::parquet::table_file::file;
use crate::store::tables::columns::Table;
use crate::store::tables::filter::NewReports;
use crate::store::tables::table::TABLES;
use polars_arrow::array::Array;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

/// The name of the list. Engines ignore names that begin with a dot.
const LIST: &str = ".dmarquet-export";

/// The file that says up to which run an incremental export goes.
pub const RUN: &str = "run.json";

/// Bytes read of a list. A line has about fifty bytes: no export writes more files.
const LIST_BYTES: u64 = 64 << 20;

/// How the parts of the store are put into an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PartFiles {
    /// As copies, which share blocks with the store if the file system supports it.
    #[default]
    Copied,
    /// As hard links, if the file system supports them: they take no space, but are the store's own files.
    Linked,
}

/// A running export.
#[derive(Debug)]
pub(crate) struct Exported {
    folder: ExportFolder,
    list: File,
    parts: PartFiles,
    /// Files of earlier exports, below the folder.
    before: BTreeSet<PathBuf>,
    written: BTreeSet<PathBuf>,
}

impl Exported {
    /// Begins writing to a folder, which is created if necessary.
    ///
    /// # Errors
    /// If the folder or its list cannot be created or read, or is a symbolic link.
    pub(crate) fn begin(dir: &Path, parts: PartFiles) -> Result<Self, StoreError> {
        let folder = ExportFolder::open(dir).map_err(StoreError::io(dir, "opening the folder to export to"))?;
        let (list, lines) = folder
            .appended(LIST, LIST_BYTES)
            .map_err(StoreError::io(&dir.join(LIST), "opening the list of exported files"))?;
        let before = lines.lines().map(PathBuf::from).filter(|path| is_ours(path)).collect();
        Ok(Self { folder, list, parts, before, written: BTreeSet::new() })
    }

    /// Whether no file of a table was written yet.
    pub(crate) fn is_empty(&self, table: &Path) -> bool {
        !self.written.iter().any(|path| path.starts_with(table))
    }

    /// Writes a file at a path below the folder; an existing one is replaced.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn write(&mut self, path: PathBuf, bytes: &[u8]) -> Result<(), StoreError> {
        self.enlist(&path)?;
        self.folder.write(&path, |out| out.write_all(bytes)).map_err(self.failed(&path, "writing the file"))
    }

    /// Writes a table to a Parquet file at a path below the folder; an existing one is replaced.
    ///
    /// # Errors
    /// If the columns are not the table's, or the file cannot be written.
    pub(crate) fn table(
        &mut self,
        path: PathBuf,
        table: &'static Table,
        columns: &[Box<dyn Array>],
    ) -> Result<(), StoreError> {
        let bytes = file(table, columns).map_err(StoreError::parquet(&path, "writing the table"))?;
        self.write(path, &bytes)
    }

    /// Copies or links a part of the store; an existing file is replaced.
    ///
    /// # Errors
    /// If it cannot be copied.
    pub(crate) fn part(&mut self, from: &Path, path: PathBuf) -> Result<(), StoreError> {
        self.enlist(&path)?;
        let from = &standing(from);
        if self.parts == PartFiles::Linked && self.folder.link(from, &path).is_ok() {
            return Ok(());
        }
        let copied = self.folder.write(&path, |out| folder::copy(from, out));
        copied.map_err(self.failed(&path, "copying the part"))
    }

    /// Removes files of earlier exports that this one did not write, and empty folders. For an incremental export, last
    /// of all writes up to which run it goes.
    ///
    /// # Errors
    /// If a file cannot be removed, or the list cannot be written.
    pub(crate) fn finish(mut self, new: Option<&NewReports>) -> Result<(), StoreError> {
        let run = Path::new(RUN);
        if self.before.contains(run) {
            self.folder.remove(run).map_err(self.failed(run, "removing the file of an earlier export"))?;
        }
        for path in self.before.difference(&self.written) {
            self.folder.remove(path).map_err(self.failed(path, "removing the file of an earlier export"))?;
        }
        if let Some(new) = new {
            self.write(run.to_owned(), new.json().as_bytes())?;
        }
        let lines = self.written.iter().map(|path| path.display().to_string() + "\n").collect::<String>();
        let list = Path::new(LIST);
        let written = self.folder.write(list, |out| out.write_all(lines.as_bytes()));
        written.map_err(self.failed(list, "replacing the list of exported files"))
    }

    /// Adds a path to the list, if it is new.
    fn enlist(&mut self, path: &Path) -> Result<(), StoreError> {
        let known = self.before.contains(path);
        if self.written.insert(path.to_owned()) && !known {
            let line = path.display().to_string() + "\n";
            let listed = self.list.write_all(line.as_bytes()).and_then(|()| self.list.sync_data());
            listed.map_err(self.failed(Path::new(LIST), "writing the list of exported files"))?;
        }
        Ok(())
    }

    fn failed(&self, path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> StoreError + use<> {
        let path = self.folder.path().join(path);
        move |source| StoreError::Io { path, doing, source }
    }
}

/// Whether a line of the list can be from an export: anything else is not touched.
fn is_ours(path: &Path) -> bool {
    let names: Option<Vec<&str>> =
        path.components().map(|part| if let Component::Normal(name) = part { name.to_str() } else { None }).collect();
    let is_table = |name: &str| TABLES.iter().any(|table| table.name == name);
    match names.as_deref() {
        Some([table, month, file]) => is_table(table) && month.starts_with("month=") && file.ends_with(".parquet"),
        // The small tables are one file each.
        Some([table, file]) => is_table(table) && file.strip_suffix(".parquet") == Some(table),
        Some([name]) => *name == RUN,
        _ => false,
    }
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
        let mut exported = Exported::begin(dir, PartFiles::Copied).unwrap();
        for name in names {
            exported.write(PathBuf::from(name), name.as_bytes()).unwrap();
        }
        exported.finish(None).unwrap();
    }

    #[test]
    fn files_that_are_not_written_again_are_removed_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = ("records/month=2026-10/1.parquet", "records/month=2026-11/2.parquet");
        export(dir.path(), &[old, new, "reports/month=2026-10/reports.parquet"]);
        std::fs::write(dir.path().join("records/month=2026-11/mine.parquet"), "").unwrap();
        export(dir.path(), &[new]);
        assert_eq!(files(dir.path()), [new, "records/month=2026-11/mine.parquet"]);
        assert!(!dir.path().join("records/month=2026-10").exists() && !dir.path().join("reports").exists());
    }

    #[test]
    fn files_of_tables_that_an_export_lacks_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let months = TABLES.map(|table| format!("{0}/month=2026-10/{0}.parquet", table.name));
        let single = TABLES.map(|table| format!("{0}/{0}.parquet", table.name));
        let all: Vec<&str> = months.iter().chain(&single).map(String::as_str).collect();
        export(dir.path(), &all);
        assert_eq!(files(dir.path()).len(), 2 * TABLES.len());
        std::fs::write(dir.path().join("dns/mine.parquet"), "").unwrap();
        export(dir.path(), &["records/month=2026-10/records.parquet"]);
        assert_eq!(files(dir.path()), ["dns/mine.parquet", "records/month=2026-10/records.parquet"]);
    }

    #[test]
    fn files_of_an_interrupted_export_are_removed_too() {
        let dir = tempfile::tempdir().unwrap();
        let mut cut = Exported::begin(dir.path(), PartFiles::Copied).unwrap();
        cut.write("records/month=2026-10/1.parquet".into(), b"1").unwrap();
        drop(cut);
        export(dir.path(), &["records/month=2026-10/2.parquet"]);
        assert_eq!(files(dir.path()), ["records/month=2026-10/2.parquet"]);
    }

    #[test]
    fn other_files_named_in_a_list_are_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let named = ["mine.parquet", "records/mine.parquet", "records/month=2026-10/notes.txt", "mine/mine.parquet"];
        std::fs::create_dir_all(dir.path().join("records/month=2026-10")).unwrap();
        std::fs::create_dir(dir.path().join("mine")).unwrap();
        for name in named {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let outside = dir.path().join("outside.parquet");
        std::fs::write(&outside, "").unwrap();
        let lines = format!("{}\n{}\nrecords/../outside.parquet\n", named.join("\n"), outside.display());
        std::fs::write(dir.path().join(LIST), lines).unwrap();
        export(dir.path(), &[]);
        assert_eq!(files(dir.path()).len(), 5);
    }

    #[test]
    fn a_part_is_a_file_of_its_own_unless_a_link_is_asked_for() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let dir = tempfile::tempdir().unwrap();
        let part = dir.path().join("part.parquet");
        std::fs::write(&part, "of the store").unwrap();
        std::fs::set_permissions(&part, std::fs::Permissions::from_mode(0o400)).unwrap();
        let (out, name) = (dir.path().join("out"), PathBuf::from("records/month=2026-11/1.parquet"));
        let inode = |path: &Path| path.metadata().unwrap().ino();
        for (parts, same) in [(PartFiles::Linked, true), (PartFiles::Copied, false), (PartFiles::Linked, true)] {
            let mut exported = Exported::begin(&out, parts).unwrap();
            exported.part(&part, name.clone()).unwrap();
            exported.finish(None).unwrap();
            assert_eq!(inode(&out.join(&name)) == inode(&part), same, "{parts:?}");
            assert_eq!(std::fs::read(out.join(&name)).unwrap(), b"of the store");
        }
        // Writing to a name that is linked to the store does not change the store.
        let mut exported = Exported::begin(&out, PartFiles::Copied).unwrap();
        exported.write(name.clone(), b"filtered").unwrap();
        assert_eq!(std::fs::read(&part).unwrap(), b"of the store");
        assert_eq!(std::fs::read(out.join(&name)).unwrap(), b"filtered");
        assert_ne!(out.join(&name).metadata().unwrap().mode() & 0o200, 0, "the mode of the store is not copied");
    }
}
