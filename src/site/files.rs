//! Files of an archive: each is written to a temporary file and renamed, and only if its content differs.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The suffix of temporary files.
const UNDER_WAY: &str = ".part";

/// The file that marks a folder as an archive.
const MARKER: &str = "archive.state";

/// The folders that belong to the archive alone.
const FOLDERS: [&str; 4] = ["weeks", "domains", "senders", "state"];

/// A folder of pages.
#[derive(Debug)]
pub(super) struct Pages {
    root: PathBuf,
    /// Locked while the folder is written: two runs would remove each other's files.
    marker: File,
    /// All files that belong to the archive in this run.
    kept: BTreeSet<String>,
    written: u64,
    removed: u64,
}

/// The result of writing a folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// New or changed files.
    pub written: u64,
    /// Files removed because nothing links to them any more.
    pub removed: u64,
    /// All files.
    pub files: u64,
}

/// Why an archive could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SiteError {
    /// Reading or writing failed.
    #[error("{path}: {doing}")]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// The operation.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The folder contains something else.
    #[error("{0}: expected an empty folder or an archive made by dmarquet, found other files")]
    Foreign(PathBuf),
    /// Another run writes the same folder.
    #[error("{0}: another run is writing this archive")]
    Busy(PathBuf),
}

fn failed(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> SiteError {
    let path = path.to_owned();
    move |source| SiteError::Disk { path, doing, source }
}

impl Pages {
    /// Opens a folder for writing, creating it if necessary.
    pub(super) fn open(root: &Path) -> Result<Self, SiteError> {
        fs::create_dir_all(root).map_err(failed(root, "making the folder"))?;
        let path = root.join(MARKER);
        if !path.exists() && !is_empty(root)? {
            return Err(SiteError::Foreign(root.to_owned()));
        }
        let marker =
            File::options().create(true).append(true).open(&path).map_err(failed(&path, "opening the file"))?;
        match marker.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(SiteError::Busy(root.to_owned())),
            // A file system without locks.
            Err(fs::TryLockError::Error(_)) => {}
        }
        for folder in FOLDERS {
            let folder = root.join(folder);
            fs::create_dir_all(&folder).map_err(failed(&folder, "making the folder"))?;
        }
        Ok(Self { root: root.to_owned(), marker, kept: BTreeSet::new(), written: 0, removed: 0 })
    }

    /// The text of a file; `None` if it cannot be read.
    pub(super) fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.root.join(name)).ok()
    }

    /// Whether there is such a file. Files are not synced: after a power failure, the last ones may be empty.
    pub(super) fn has(&self, name: &str) -> bool {
        fs::metadata(self.root.join(name)).is_ok_and(|found| found.is_file() && found.len() > 0)
    }

    /// Keeps a file as it is.
    pub(super) fn keep(&mut self, name: &str) {
        self.kept.insert(name.to_owned());
    }

    /// The names of all files that belong to the archive.
    pub(super) fn names(&self) -> Vec<String> {
        self.kept.iter().cloned().collect()
    }

    /// Writes a file if it is missing or differs.
    pub(super) fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), SiteError> {
        self.written += u64::from(put(&self.root, name, bytes)?);
        self.keep(name);
        Ok(())
    }

    /// Writes a file that may be too large to be held in memory, if it is missing or differs.
    pub(super) fn put_large(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), SiteError> {
        let (path, beside) = (self.root.join(name), self.root.join(format!("{name}{UNDER_WAY}")));
        let whole = || -> io::Result<()> {
            let mut out = BufWriter::new(File::create(&beside)?);
            write(&mut out)?;
            out.flush()
        };
        whole().map_err(failed(&beside, "writing the file"))?;
        let made = File::open(&beside).map_err(failed(&beside, "reading the file"))?;
        if is_same(&path, BufReader::with_capacity(PART, made)).map_err(failed(&path, "reading the file"))? {
            fs::remove_file(&beside).map_err(failed(&beside, "removing the file"))?;
        } else {
            fs::rename(&beside, &path).map_err(failed(&path, "renaming the file"))?;
            self.written += 1;
        }
        self.keep(name);
        Ok(())
    }

    /// Write many files on all cores.
    pub(super) fn put_all<T: Sync>(
        &mut self,
        items: &[T],
        files: impl Fn(&T) -> Vec<(String, Vec<u8>)> + Sync,
    ) -> Result<(), SiteError> {
        use rayon::prelude::*;
        let root = &self.root;
        let write = |item: &T| -> Result<Vec<(String, bool)>, SiteError> {
            files(item).into_iter().map(|(name, bytes)| Ok((name.clone(), put(root, &name, &bytes)?))).collect()
        };
        let done: Result<Vec<Vec<(String, bool)>>, SiteError> = items.par_iter().map(write).collect();
        for (name, written) in done?.into_iter().flatten() {
            self.written += u64::from(written);
            self.kept.insert(name);
        }
        Ok(())
    }

    /// Removes the pages of an earlier run that continued a longer list of domains. Another file of such a name is a
    /// user's.
    pub(super) fn remove_further(&mut self, built: &[String]) -> Result<(), SiteError> {
        for name in built.iter().filter(|name| is_further_page(name) && !self.kept.contains(*name)) {
            let path = self.root.join(name);
            if path.is_file() {
                fs::remove_file(&path).map_err(failed(&path, "removing the file"))?;
                self.removed += 1;
            }
        }
        Ok(())
    }

    /// Removes files that no longer belong to the archive, and temporary files of a killed run.
    pub(super) fn finish(self) -> Result<Written, SiteError> {
        let mut removed = self.removed;
        for folder in [""].iter().chain(&FOLDERS) {
            let path = self.root.join(folder);
            for entry in fs::read_dir(&path).map_err(failed(&path, "reading the folder"))? {
                let entry = entry.map_err(failed(&path, "reading the folder"))?;
                let Some(file) = entry.file_name().to_str().map(str::to_owned) else { continue };
                let name = if folder.is_empty() { file.clone() } else { format!("{folder}/{file}") };
                // Other files directly in the folder may belong to the user.
                let ours = !folder.is_empty() || file.ends_with(UNDER_WAY);
                if ours && entry.path().is_file() && !self.kept.contains(&name) {
                    fs::remove_file(entry.path()).map_err(failed(&entry.path(), "removing the file"))?;
                    removed += 1;
                }
            }
        }
        drop(self.marker);
        Ok(Written { written: self.written, removed, files: self.kept.len() as u64 })
    }
}

/// Whether this is the name of one of the pages directly in the folder that continue the first one's list of domains.
fn is_further_page(file: &str) -> bool {
    let number = file
        .strip_prefix("domains-")
        .and_then(|rest| [".html", ".json"].into_iter().find_map(|ending| rest.strip_suffix(ending)));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a folder is empty, apart from temporary files of a killed run.
fn is_empty(root: &Path) -> Result<bool, SiteError> {
    for entry in fs::read_dir(root).map_err(failed(root, "reading the folder"))? {
        let name = entry.map_err(failed(root, "reading the folder"))?.file_name();
        if !name.to_string_lossy().ends_with(UNDER_WAY) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a file exists and contains these bytes.
fn is_same(path: &Path, mut bytes: impl BufRead) -> io::Result<bool> {
    let found = match File::open(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut found = BufReader::with_capacity(PART, found);
    loop {
        let (one, other) = (found.fill_buf()?, bytes.fill_buf()?);
        let both = one.len().min(other.len());
        if both == 0 || one[..both] != other[..both] {
            return Ok(one.is_empty() && other.is_empty());
        }
        found.consume(both);
        bytes.consume(both);
    }
}

/// Bytes that are compared at a time.
const PART: usize = 1 << 16;

fn put(root: &Path, name: &str, bytes: &[u8]) -> Result<bool, SiteError> {
    let path = root.join(name);
    if is_same(&path, bytes).map_err(failed(&path, "reading the file"))? {
        return Ok(false);
    }
    let beside = root.join(format!("{name}{UNDER_WAY}"));
    fs::write(&beside, bytes).map_err(failed(&beside, "writing the file"))?;
    fs::rename(&beside, &path).map_err(failed(&path, "renaming the file"))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_once_and_what_is_not_kept_goes() {
        let folder = tempfile::tempdir().unwrap();
        let run = |names: &[&str]| {
            let mut pages = Pages::open(folder.path()).unwrap();
            names.iter().for_each(|name| pages.put(name, name.as_bytes()).unwrap());
            pages.finish().unwrap()
        };
        assert_eq!(run(&["index.html", "weeks/a.html"]), Written { written: 2, removed: 0, files: 2 });
        assert_eq!(run(&["index.html", "weeks/a.html"]), Written { written: 0, removed: 0, files: 2 });
        fs::write(folder.path().join("own.css"), "").unwrap();
        fs::write(folder.path().join("weeks/a.html.part"), "").unwrap();
        assert_eq!(run(&["index.html"]), Written { written: 0, removed: 2, files: 1 });
        assert!(folder.path().join("own.css").exists());
    }

    #[test]
    fn fewer_domains_need_fewer_pages_and_a_users_own_stay() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(MARKER), "").unwrap();
        let own = ["domains-of-mine.html", "domains-2026.html", "own.html"];
        own.iter().for_each(|name| fs::write(folder.path().join(name), "").unwrap());
        let run = |built: &[&str], names: &[&str]| {
            let mut pages = Pages::open(folder.path()).unwrap();
            names.iter().for_each(|name| pages.put(name, name.as_bytes()).unwrap());
            pages.remove_further(&built.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
            pages.finish().unwrap()
        };
        let first = ["index.html", "domains-2.html", "domains-2.json", "domains-13.html"];
        assert_eq!(run(&[], &first).removed, 0);
        let built = [&first[..], &["own.html"]].concat();
        assert_eq!(run(&built, &first[..2]), Written { written: 0, removed: 2, files: 2 });
        assert_eq!(run(&first[..2], &first[..1]), Written { written: 0, removed: 1, files: 1 });
        assert!(own.iter().all(|name| folder.path().join(name).exists()));
    }

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.txt"), "").unwrap();
        assert!(matches!(Pages::open(folder.path()), Err(SiteError::Foreign(_))));
        assert!(!folder.path().join("weeks").exists());
    }

    #[test]
    fn two_runs_do_not_write_one_folder() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Pages::open(folder.path()).unwrap();
        assert!(matches!(Pages::open(folder.path()), Err(SiteError::Busy(_))));
    }
}
