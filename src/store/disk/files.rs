//! Durable file operations: every file and folder of a store is created, renamed and removed here.
//!
//! A file is written and synced under a hidden name first. It gets its own name by a rename that replaces nothing.

use super::access;
use super::layout::Layout;
use crate::store::error::StoreError;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Size and hash of a file, to tell whether its bytes are the ones that were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileSeal {
    pub(crate) bytes: u64,
    /// BLAKE3.
    pub(crate) hash: [u8; 32],
}

impl FileSeal {
    /// The seal of an existing file.
    pub(crate) fn of(path: &Path) -> Result<Self, StoreError> {
        let mut hasher = blake3::Hasher::new();
        let hashed = File::open(path).and_then(|file| hasher.update_reader(file).map(drop));
        hashed.map_err(StoreError::io(path, "reading the file"))?;
        Ok(Self { bytes: hasher.count(), hash: *hasher.finalize().as_bytes() })
    }
}

/// A file being written, hashed at the same time.
pub(crate) struct Sealed {
    out: BufWriter<File>,
    hasher: blake3::Hasher,
}

impl Write for Sealed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes a file and makes its bytes durable. An existing file with this name is removed first, never written into: it
/// may be a hard link to another.
pub(crate) fn write_file(
    path: &Path,
    write: impl FnOnce(&mut Sealed) -> io::Result<()>,
) -> Result<FileSeal, StoreError> {
    remove_file(path, "replacing the file")?;
    let run = || {
        let file = access::create_file(path)?;
        let mut sealed = Sealed { out: BufWriter::with_capacity(1 << 16, file), hasher: blake3::Hasher::new() };
        write(&mut sealed)?;
        sealed.flush()?;
        access::finish_file(path, sealed.out.get_ref())?;
        sealed.out.get_ref().sync_all()?;
        Ok(FileSeal { bytes: sealed.hasher.count(), hash: *sealed.hasher.finalize().as_bytes() })
    };
    run().map_err(StoreError::io(path, "writing the file"))
}

/// Removes a file; a missing one is fine.
pub(crate) fn remove_file(path: &Path, doing: &'static str) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io(path, doing)(error)),
        _ => Ok(()),
    }
}

/// Renames a file without replacing another; returns false if the new name is taken.
pub(crate) fn rename_new(from: &Path, to: &Path) -> Result<bool, StoreError> {
    let failed = || StoreError::io(to, "renaming the file");
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        // The file system does not support this rename. A hard link replaces nothing either.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match std::fs::hard_link(from, to) {
            Ok(()) => std::fs::remove_file(from).map(|()| true).map_err(failed()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            // Nor hard links. The caller holds the lock and names are unique, so there is no race.
            Err(_) if to.try_exists().map_err(failed())? => Ok(false),
            Err(_) => std::fs::rename(from, to).map(|()| true).map_err(failed()),
        },
        Err(error) => Err(failed()(error.into())),
    }
}

/// Exchanges two folders atomically; returns false if the file system cannot.
pub(crate) fn exchange(one: &Path, other: &Path) -> Result<bool, StoreError> {
    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Ok(()) => {}
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => return Ok(false),
        Err(error) => return Err(StoreError::io(other, "exchanging the folder")(error.into())),
    }
    [one, other].into_iter().filter_map(Path::parent).try_for_each(access::sync_folder)?;
    Ok(true)
}

/// The names in a folder, sorted; none if it does not exist.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let failed = || StoreError::io(folder, "reading the folder");
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed()(error)),
    };
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(failed())?;
    paths.sort_unstable();
    Ok(paths)
}

/// Opens a file by its final name, or by the hidden name it has until its commit renames it.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let missing = |error: &io::Error| error.kind() == ErrorKind::NotFound;
    match File::open(path) {
        // It may have been renamed meanwhile: then it has its final name.
        Err(error) if missing(&error) => match File::open(Layout::temporary(path)) {
            Err(error) if missing(&error) => File::open(path),
            other => other,
        },
        other => other,
    }
}

/// The name under which [`open`] currently finds a file.
pub(crate) fn standing(path: &Path) -> PathBuf {
    let hidden = Layout::temporary(path);
    if !path.exists() && hidden.exists() { hidden } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rename_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (new, old) = (dir.path().join("new"), dir.path().join("old"));
        std::fs::write(&new, "new").unwrap();
        std::fs::write(&old, "old").unwrap();
        assert!(!rename_new(&new, &old).unwrap());
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "old");
        std::fs::remove_file(&old).unwrap();
        assert!(rename_new(&new, &old).unwrap());
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "new");
    }

    #[test]
    fn a_file_is_never_written_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        std::fs::write(&target, "kept").unwrap();
        std::fs::hard_link(&target, &link).unwrap();
        write_file(&link, |out| out.write_all(b"other")).unwrap();
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "kept");
    }
}
