//! Who may read the store: its owner, and one group if the settings name it.
//!
//! Folders and files of the store are created here, independent of the umask. Each gets the permissions of the folder
//! it is created in. Exports are not created here and follow the umask.

use super::layout::{FileKind, Layout};
use crate::store::error::StoreError;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Who may read a store. Only its owner may write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    group: Option<u32>,
}

impl Access {
    /// The owner alone.
    pub const PRIVATE: Self = Self { group: None };

    /// The owner, and read-only the group with this number.
    pub const fn shared_with(group: u32) -> Self {
        Self { group: Some(group) }
    }

    const fn modes(self) -> Modes {
        if self.group.is_some() { SHARED } else { PRIVATE }
    }
}

/// The modes of files and folders in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Modes {
    folder: u32,
    /// Parts, packs, and the bytes of rejected items: never written to again.
    finished: u32,
    /// The ledger, the lock, and a file that is being written.
    written: u32,
}

const PRIVATE: Modes = Modes { folder: 0o700, finished: 0o400, written: 0o600 };
const SHARED: Modes = Modes { folder: 0o750, finished: 0o440, written: 0o640 };

/// The bits of a mode that are compared.
const ALL_BITS: u32 = 0o7777;
/// Anybody may create files in a folder with this bit, such as `/tmp`: it does not belong to the store.
const STICKY: u32 = 0o1000;

/// What a new folder or file inherits: owner, group and modes.
#[derive(Debug, Clone, Copy)]
struct Ownership {
    owner: u32,
    group: u32,
    modes: Modes,
}

impl Ownership {
    /// For things created in a folder. In the root of a store the ledger decides: the root may contain other things,
    /// and then keeps its mode.
    fn within(folder: &Path) -> io::Result<Self> {
        let found = std::fs::symlink_metadata(Layout::new(folder).ledger()).or_else(|_| folder.metadata())?;
        let shared = found.mode() & 0o777 == if found.is_dir() { SHARED.folder } else { SHARED.written };
        Ok(Self { owner: found.uid(), group: found.gid(), modes: if shared { SHARED } else { PRIVATE } })
    }

    /// Of a file at this path.
    fn of(path: &Path) -> io::Result<Self> {
        Self::within(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
    }

    /// Gives an open file or folder this owner and group, and one of the modes.
    ///
    /// A run as root leaves files that the store's owner can read. Without permission to change the owner, or on a file
    /// system without modes, the file stays as created: private.
    fn apply(self, file: &File, mode: impl Fn(Modes) -> u32) -> io::Result<()> {
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (self.owner, self.group) {
            let _ = std::os::unix::fs::fchown(file, Some(self.owner), Some(self.group));
        }
        // If the group could not be set, the file has another group, which gets no access.
        let given = self.modes == PRIVATE || file.metadata()?.gid() == self.group;
        let mode = mode(if given { self.modes } else { PRIVATE });
        if made.mode() & ALL_BITS != mode {
            let _ = file.set_permissions(Permissions::from_mode(mode));
        }
        Ok(())
    }
}

/// Creates the root of a store if necessary; its parents follow the umask.
pub(crate) fn create_root(root: &Path) -> Result<(), StoreError> {
    if root.is_dir() {
        return Ok(());
    }
    let parent = root.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.map_or(Ok(()), create_parents).map_err(StoreError::io(root, "making the folder"))?;
    make_folder(root, PRIVATE.folder).map_err(StoreError::io(root, "making the folder"))?;
    parent.map_or(Ok(()), sync_folder)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(StoreError::io(folder, "syncing the folder"))
}

fn create_parents(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    folder.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), create_parents)?;
    make_folder(folder, 0o777)
}

/// Creates a folder that at least its owner can use, whatever the umask; an existing one is fine.
fn make_folder(folder: &Path, mode: u32) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(mode).create(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => return Ok(()),
        other => other?,
    }
    let made = folder.metadata()?.mode() & ALL_BITS;
    if made & PRIVATE.folder == PRIVATE.folder {
        return Ok(());
    }
    std::fs::set_permissions(folder, Permissions::from_mode(made | PRIVATE.folder))
}

/// Creates a folder in the store with its parents; its name is durable once its parent is synced.
pub(crate) fn create_folder(folder: &Path) -> Result<(), StoreError> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.map_or(Ok(()), create_folder)?;
    let make = || {
        make_folder(folder, PRIVATE.folder)?;
        Ownership::of(folder)?.apply(&File::open(folder)?, |modes| modes.folder)
    };
    make().map_err(StoreError::io(folder, "making the folder"))?;
    parent.map_or(Ok(()), sync_folder)
}

/// Creates a new file of the store for writing.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE.written).open(path)?;
    Ownership::of(path)?.apply(&file, |modes| modes.written)?;
    Ok(file)
}

/// Makes a finished file read-only.
pub(crate) fn finish_file(path: &Path, file: &File) -> io::Result<()> {
    Ownership::of(path)?.apply(file, |modes| modes.finished)
}

/// Opens a file of the store for reading and writing, creating it if necessary.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(PRIVATE.written).open(path)?;
    Ownership::of(path)?.apply(&file, |modes| modes.written)?;
    Ok(file)
}

/// The suffixes of the files that SQLite keeps beside the ledger: its log, the log's index, and a journal of older days.
pub(crate) const LOG_FILES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Gives the files beside the ledger its group: SQLite copies only its mode.
pub(crate) fn share_log(ledger: &Path) {
    let Ok(found) = std::fs::symlink_metadata(ledger) else { return };
    for suffix in LOG_FILES {
        // Without such a file, or if it belongs to another user, readers in the group wait until the log is written
        // back.
        let _ = std::os::unix::fs::lchown(beside(ledger, suffix), None, Some(found.gid()));
    }
}

/// Whether the ledger has a log that is not written back.
pub(crate) fn has_log(ledger: &Path) -> bool {
    std::fs::metadata(beside(ledger, "-wal")).is_ok_and(|log| log.len() > 0)
}

/// A file beside the ledger, by its suffix.
pub(crate) fn beside(ledger: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Applies the permissions to an existing store: from an older version, or after its group changed. The caller holds
/// the lock, and the ledger exists.
pub(crate) fn settle(layout: &Layout, access: Access) -> Result<(), StoreError> {
    let modes = access.modes();
    let root = layout.root();
    let folders = top_folders(layout);
    let ledger = layout.ledger();
    let own_root = is_own(layout);
    let right = |path: &Path, mode: u32| {
        path.metadata()
            .is_ok_and(|found| found.mode() & ALL_BITS == mode && access.group.is_none_or(|group| group == found.gid()))
    };
    let settled = (!own_root || right(root, modes.folder))
        && right(&ledger, modes.written)
        && folders.iter().all(|folder| !folder.exists() || right(folder, modes.folder));
    if settled {
        return Ok(());
    }
    // From the inside out: if a run is killed, the outside is not done yet, and the next run finishes it.
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        settle_below(folder, access)?;
        settle_one(folder, modes.folder, access)?;
    }
    let beside = LOG_FILES.iter().map(|suffix| beside(&ledger, suffix));
    for file in beside.chain([layout.lock(), ledger.clone()]).filter(|file| file.exists()) {
        settle_one(&file, modes.written, access)?;
    }
    if own_root { settle_one(root, modes.folder, access) } else { Ok(()) }
}

fn top_folders(layout: &Layout) -> [std::path::PathBuf; 7] {
    let [parts, packs] = FileKind::ALL.map(|kind| layout.folder(kind));
    let [retired, compacting] = ["retired", "compacting"].map(|name| layout.root().join(name));
    [parts, packs, layout.rejected(), layout.conflicts(), retired, compacting, layout.rebuild_folder()]
}

/// Whether the root contains only the store. A folder with other things in it, or one such as `/tmp`, keeps its mode:
/// what the store creates in it is private anyway.
fn is_own(layout: &Layout) -> bool {
    let root = layout.root();
    let sticky = root.metadata().is_ok_and(|found| found.mode() & STICKY != 0);
    let folders = top_folders(layout);
    let ours = |name: &std::ffi::OsStr| {
        folders.iter().any(|folder| folder.file_name() == Some(name))
            || layout.lock().file_name() == Some(name)
            // The ledger, its log, and kept copies of damaged ones.
            || name.to_string_lossy().starts_with("ledger")
    };
    !sticky
        && root
            .read_dir()
            .is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(|entry| ours(&entry.file_name()))))
}

/// Everything below a folder; links are left alone.
fn settle_below(folder: &Path, access: Access) -> Result<(), StoreError> {
    let failed = || StoreError::io(folder, "reading the folder");
    for entry in folder.read_dir().map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed())?);
        if kind.is_dir() {
            settle_below(&path, access)?;
            settle_one(&path, access.modes().folder, access)?;
        } else if kind.is_file() {
            settle_one(&path, access.modes().finished, access)?;
        }
    }
    Ok(())
}

fn settle_one(path: &Path, mode: u32, access: Access) -> Result<(), StoreError> {
    let found = path.metadata().map_err(StoreError::io(path, "reading its permissions"))?;
    if let Some(group) = access.group.filter(|group| *group != found.gid()) {
        std::os::unix::fs::chown(path, None, Some(group)).map_err(StoreError::io(
            path,
            "giving it to the group of the settings, of which this account must be a member,",
        ))?;
    }
    if found.mode() & ALL_BITS == mode {
        return Ok(());
    }
    match std::fs::set_permissions(path, Permissions::from_mode(mode)) {
        // It belongs to another account, or the file system has no modes.
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => Ok(()),
        other => other.map_err(StoreError::io(path, "making it private")),
    }
}
