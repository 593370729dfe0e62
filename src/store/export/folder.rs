//! The folder that an export writes to. New files follow the umask.
//!
//! Others may write there too, so nothing in it is trusted: no symbolic link is followed, not even one that appears
//! during the export, and a file is written beside the one that it then replaces.

use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

/// An open folder.
#[derive(Debug)]
pub struct ExportFolder {
    folder: OwnedFd,
    path: PathBuf,
}

/// The modes of new folders and files, before the umask.
const NEW_FOLDER: Mode = Mode::from_bits_retain(0o777);
const NEW_FILE: Mode = Mode::from_bits_retain(0o666);

const OPEN_FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl ExportFolder {
    /// Opens a folder, creating it and its parents if necessary.
    ///
    /// # Errors
    /// If it is a symbolic link or not a folder, or cannot be created.
    pub fn open(path: &Path) -> io::Result<Self> {
        // Without a trailing slash, which would follow a link.
        let path: PathBuf = path.components().collect();
        let path = if path.as_os_str().is_empty() { PathBuf::from(".") } else { path };
        if let Ok(target) = path.read_link() {
            let why = format!("expected a folder, found a symbolic link to {}", target.display());
            return Err(io::Error::new(ErrorKind::InvalidInput, why));
        }
        std::fs::create_dir_all(&path)?;
        let folder = openat(CWD, &path, OPEN_FOLDER, Mode::empty()).map_err(not_followed)?;
        Ok(Self { folder, path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file at a path below the folder; an existing one is replaced once everything is written.
    ///
    /// # Errors
    /// If a folder on the path is a link, or the file cannot be written.
    pub fn write(&self, path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let (folder, name) = self.make_way(path)?;
        let temporary = temporary(name);
        remove(&folder, Path::new(&temporary))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&folder, &temporary, flags, NEW_FILE)?);
        let written = write(&mut file).and_then(|()| file.sync_all());
        let placed = written.and_then(|()| Ok(renameat(&folder, &temporary, &folder, name)?));
        if placed.is_err() {
            // The first error counts; a leftover is hidden from readers, and the next export replaces it.
            let _ = remove(&folder, Path::new(&temporary));
        }
        placed
    }

    /// Hard-links a file into the folder; an existing one is replaced, and never missing meanwhile.
    ///
    /// # Errors
    /// If a folder on the path is a link, or the file system does not support links.
    pub fn link(&self, from: &Path, path: &Path) -> io::Result<()> {
        let (folder, name) = self.make_way(path)?;
        let temporary = temporary(name);
        remove(&folder, Path::new(&temporary))?;
        rustix::fs::linkat(CWD, from, &folder, &temporary, AtFlags::empty())?;
        let placed = renameat(&folder, &temporary, &folder, name);
        // It is still there if both names were links to the same file.
        remove(&folder, Path::new(&temporary))?;
        Ok(placed?)
    }

    /// Removes a file, and folders that become empty. A missing file is fine.
    ///
    /// # Errors
    /// If it exists and cannot be removed.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        let (folders, name) = split(path)?;
        let mut way = vec![self.folder.try_clone()?];
        for folder in &folders {
            match openat(&way[way.len() - 1], *folder, OPEN_FOLDER, Mode::empty()) {
                Ok(next) => way.push(next),
                // Gone, or not what an export made.
                Err(_) => return Ok(()),
            }
        }
        remove(&way[way.len() - 1], name)?;
        for (folder, above) in folders.iter().zip(&way).rev() {
            // One that is not empty stays.
            let _ = unlinkat(above, *folder, AtFlags::REMOVEDIR);
        }
        Ok(())
    }

    /// Opens a file directly in the folder for appending, and returns its current content, up to a number of bytes.
    ///
    /// # Errors
    /// If it is not a regular file, cannot be opened, or is not UTF-8.
    pub(crate) fn appended(&self, name: &str, bytes: u64) -> io::Result<(File, String)> {
        // Opening something other than a file must not block.
        let flags =
            OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&self.folder, name, flags, NEW_FILE).map_err(not_followed)?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "expected an ordinary file, found another kind"));
        }
        let mut text = String::new();
        (&file).take(bytes).read_to_string(&mut text)?;
        Ok((file, text))
    }

    /// The first bytes of a file directly in the folder, up to a number; `None` if it is not a regular file or
    /// cannot be read.
    pub(crate) fn beginning(&self, name: &str, bytes: u64) -> Option<Vec<u8>> {
        // Opening something other than a file must not block.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&self.folder, name, flags, Mode::empty()).ok()?);
        let mut found = Vec::new();
        (file.metadata().ok()?.is_file() && file.take(bytes).read_to_end(&mut found).is_ok()).then_some(found)
    }

    /// Opens the parent folder of a path, creating missing folders.
    fn make_way<'a>(&self, path: &'a Path) -> io::Result<(OwnedFd, &'a Path)> {
        let (folders, name) = split(path)?;
        let mut folder = self.folder.try_clone()?;
        for next in folders {
            match mkdirat(&folder, next, NEW_FOLDER) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            folder = openat(&folder, next, OPEN_FOLDER, Mode::empty()).map_err(not_followed)?;
        }
        Ok((folder, name))
    }
}

/// The folders of a path below the export's, and the file's name.
fn split(path: &Path) -> io::Result<(Vec<&Path>, &Path)> {
    let names: Option<Vec<&Path>> = path
        .components()
        .map(|part| if let Component::Normal(name) = part { Some(Path::new(name)) } else { None })
        .collect();
    let mut folders = names.unwrap_or_default();
    let name =
        folders.pop().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "expected a path below the folder"))?;
    Ok((folders, name))
}

/// The name of a file while it is written: hidden from readers that list visible files.
fn temporary(name: &Path) -> String {
    format!(".{}.tmp", name.display())
}

fn remove(folder: &OwnedFd, name: &Path) -> io::Result<()> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The error for a link or something else in place of a folder or file.
fn not_followed(error: Errno) -> io::Error {
    match error {
        Errno::LOOP | Errno::NOTDIR => io::Error::new(
            ErrorKind::InvalidInput,
            "found a symbolic link, or something else than a folder, which is not followed",
        ),
        other => other.into(),
    }
}

/// Copies a file's bytes, by sharing its blocks if the file system can.
pub(crate) fn copy(from: &Path, to: &mut File) -> io::Result<()> {
    // On Linux this is copy_file_range, which clones on Btrfs and XFS.
    io::copy(&mut File::open(from)?, to)?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn write(folder: &ExportFolder, path: &str, text: &str) -> io::Result<()> {
        folder.write(Path::new(path), |out| out.write_all(text.as_bytes()))
    }

    #[test]
    fn no_link_is_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let (out, victim) = (dir.path().join("out"), dir.path().join("victim"));
        std::fs::create_dir_all(out.join("records")).unwrap();
        std::fs::create_dir(&victim).unwrap();
        std::fs::write(victim.join("file"), "precious").unwrap();
        symlink(&victim, out.join("reports")).unwrap();
        symlink(victim.join("file"), out.join("records/a.parquet")).unwrap();
        symlink(victim.join("file"), out.join("records/.b.parquet.tmp")).unwrap();
        symlink(victim.join("file"), out.join("list")).unwrap();
        let folder = ExportFolder::open(&out).unwrap();
        let error = write(&folder, "reports/a.parquet", "x").unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
        assert!(folder.link(&dir.path().join("x"), Path::new("reports/a.parquet")).is_err());
        write(&folder, "records/a.parquet", "x").unwrap();
        write(&folder, "records/b.parquet", "x").unwrap();
        assert!(folder.appended("list", 10).is_err());
        folder.remove(Path::new("reports/file")).unwrap();
        assert_eq!(std::fs::read_to_string(victim.join("file")).unwrap(), "precious");
        assert_eq!(victim.read_dir().unwrap().count(), 1);
        assert!(out.join("records/a.parquet").symlink_metadata().unwrap().is_file());
    }

    #[test]
    fn a_hard_link_replaces_a_file_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (out, part) = (dir.path().join("out"), dir.path().join("part"));
        std::fs::write(&part, "new").unwrap();
        let folder = ExportFolder::open(&out).unwrap();
        write(&folder, "records/a.parquet", "old").unwrap();
        // The second time, both names are links to the same file already.
        for _ in 0..2 {
            folder.link(&part, Path::new("records/a.parquet")).unwrap();
            assert_eq!(std::fs::read_to_string(out.join("records/a.parquet")).unwrap(), "new");
            assert_eq!(out.join("records").read_dir().unwrap().count(), 1);
        }
        folder.link(&dir.path().join("missing"), Path::new("records/a.parquet")).unwrap_err();
        assert!(out.join("records/a.parquet").exists(), "what is there stays if there is nothing in its place");
    }

    #[test]
    fn a_folder_that_is_a_link_is_refused_with_or_without_a_slash() {
        let dir = tempfile::tempdir().unwrap();
        symlink(dir.path(), dir.path().join("link")).unwrap();
        for name in ["link", "link/"] {
            let error = ExportFolder::open(&dir.path().join(name)).unwrap_err();
            assert!(error.to_string().starts_with("expected a folder, found a symbolic link to "), "{error}");
        }
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(ExportFolder::open(&dir.path().join("file")).is_err());
        assert!(ExportFolder::open(&dir.path().join("new/below")).is_ok());
    }

    #[test]
    fn a_path_out_of_the_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let folder = ExportFolder::open(&dir.path().join("out")).unwrap();
        for path in ["../a", "/etc/a", "a/../../b", "", "."] {
            assert!(write(&folder, path, "x").is_err(), "{path}");
        }
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let folder = ExportFolder::open(dir.path()).unwrap();
        write(&folder, "a", "old").unwrap();
        folder.write(Path::new("a"), |_| Err(io::Error::other("no"))).unwrap_err();
        assert_eq!(std::fs::read_to_string(dir.path().join("a")).unwrap(), "old");
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
    }
}
