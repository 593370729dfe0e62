//! The tables made anew from the originals: for a ledger that is gone or damaged, or a new schema.
//!
//! A whole new store grows in `rebuilding/`, from the packs that stay where they are; then it takes the old one's place.
//! A kill before that changes nothing. A kill in between leaves a folder without a ledger, which asks for `rebuild`
//! again: `originals/` holds every original at every instant, the old set or the new. What only the old ledger knew
//! (cursors, rejected items, look-ups) is carried over as far as it can be read.

use super::layout::{FileKind, Layout};
use super::ledger::{Ledger, sync_folder};
use super::lock::Lock;
use super::pack::{Line, PackReader};
use super::writer::Writer;
use super::{StoreError, writer::create_folder};
use crate::model::{Code, Finding, Original, Provenance, ReportKey};
use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// A report as a pack holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its key, as it was stored.
    pub key: String,
    /// Its original, or one it shares with others.
    pub original: Original,
    /// When it was first committed.
    pub ingested: Timestamp,
    /// Where it came from.
    pub provenance: Provenance,
    /// What was odd about its mail and on the way to its bytes, which its bytes do not show.
    pub findings: Vec<Finding>,
}

impl Kept {
    /// Whether this is the report.
    pub fn is(&self, key: ReportKey) -> bool {
        self.key == key.to_string()
    }
}

/// A rebuild under way.
#[derive(Debug)]
pub struct Rebuild {
    layout: Layout,
    fresh: Layout,
    writer: Writer,
    _lock: Lock,
}

/// The tables of the old ledger that originals do not tell.
const CARRIED: &[&str] = &["folders", "pending", "done", "rejected", "conflicts", "seen", "lookups"];

impl Rebuild {
    /// Begin. Whatever state the ledger is in, the originals decide.
    ///
    /// # Errors
    /// [`StoreError::Busy`] where another process writes, and any fault of the disk.
    pub fn start(dir: &Path, now: Timestamp) -> Result<Self, StoreError> {
        let layout = Layout::new(dir);
        create_folder(layout.root())?;
        let lock = Lock::take(&layout, now)?;
        let fresh = Layout::new(&dir.join("rebuilding"));
        remove_folder(fresh.root())?;
        let writer = Writer::open(fresh.root(), now)?;
        Ok(Self { layout, fresh, writer, _lock: lock })
    }

    /// The packs, oldest batch first.
    ///
    /// # Errors
    /// Where a folder cannot be read.
    pub fn packs(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut packs = Vec::new();
        files(&self.layout.folder(FileKind::Pack), FileKind::Pack.extension(), &mut packs)?;
        packs.sort_by(|a, b| (a.file_name(), a).cmp(&(b.file_name(), b)));
        Ok(packs)
    }

    /// The reports of a pack, those that share an original one behind the other.
    ///
    /// # Errors
    /// Where the pack cannot be read.
    pub fn kept(&self, pack: &Path) -> Result<Vec<Kept>, StoreError> {
        let mut reader = PackReader::open(pack)?;
        let lines = reader.manifest()?;
        lines.into_iter().map(|line| Ok(kept(&line, reader.original(&line.member)?))).collect()
    }

    /// Where the reports go.
    pub fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// Put the new tables in the old one's place.
    ///
    /// # Errors
    /// Any fault of the disk.
    pub fn finish(mut self) -> Result<(), StoreError> {
        self.writer.commit()?;
        self.carry_over()?;
        self.writer.ledger.fold_log()?;
        let Self { layout, fresh, writer, _lock } = self;
        drop(writer);
        for name in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
            super::commit::remove_file(&layout.root().join(name), "removing the old ledger")?;
        }
        sync_folder(layout.root())?;
        for kind in FileKind::ALL {
            create_folder(&fresh.folder(kind))?;
            exchange(&fresh.folder(kind), &layout.folder(kind))?;
        }
        move_files(&fresh.rejected(), &layout.rejected())?;
        std::fs::rename(fresh.ledger(), layout.ledger())
            .map_err(StoreError::io(&layout.ledger(), "renaming the ledger"))?;
        sync_folder(layout.root())?;
        remove_folder(fresh.root())
    }

    /// Copy what only the old ledger knew, as far as it can be read.
    fn carry_over(&self) -> Result<(), StoreError> {
        let old = self.layout.ledger();
        let ledger = &self.writer.ledger;
        let carried = old.is_file() && {
            let copy = || -> rusqlite::Result<()> {
                ledger.connection.execute("ATTACH ?1 AS old", [old.to_string_lossy()])?;
                let copied = CARRIED.iter().try_for_each(|table| {
                    let sql = format!("INSERT OR IGNORE INTO main.{table} SELECT * FROM old.{table}");
                    ledger.connection.execute(&sql, []).map(drop)
                });
                ledger.connection.execute("DETACH old", [])?;
                copied
            };
            copy().is_ok()
        };
        if carried { Ok(()) } else { self.name_rejected(ledger) }
    }

    /// Without the old ledger a rejected file still has its name.
    fn name_rejected(&self, ledger: &Ledger) -> Result<(), StoreError> {
        let folder = self.layout.rejected();
        let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(()) };
        for entry in entries {
            let entry = entry.map_err(StoreError::io(&folder, "reading the folder"))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = entry.path();
            let bytes = std::fs::read(&path).map_err(StoreError::io(&path, "reading a rejected item"))?;
            let hash = super::pack::hash(&bytes);
            if !name.starts_with(&hash.to_string()) {
                continue;
            }
            let now = self.writer.now.as_millisecond();
            let reason = "rejected before the ledger was rebuilt; `rejected retry` tells why";
            let file = format!("rejected/{name}");
            let row = rusqlite::params![hash.0, name, reason, now, now, super::commit::int(bytes.len()), file];
            let sql = "INSERT OR IGNORE INTO rejected VALUES (?1, ?2, NULL, ?3, ?4, ?5, ?6, ?7)";
            ledger.connection.execute(sql, row).map_err(ledger.failed("naming a rejected item"))?;
        }
        Ok(())
    }
}

fn kept(line: &Line, original: Original) -> Kept {
    // The later stages find again what they found; only the mail and the way to the bytes are gone.
    let findings = line.findings.iter().filter_map(|finding| {
        let code = Code::ALL.iter().find(|code| code.as_str() == finding.code)?;
        let gone = code.is_of_mail() || finding.code.starts_with("archive.");
        gone.then(|| Finding::new(*code, finding.detail.clone()))
    });
    Kept {
        key: line.key.clone(),
        original,
        ingested: line.ingested,
        provenance: line.provenance(),
        findings: findings.collect(),
    }
}

/// The files below a folder, by extension; hidden ones are not finished.
pub(crate) fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> Result<(), StoreError> {
    let failed = || StoreError::io(folder, "reading the folder");
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed()(error)),
    };
    for entry in entries {
        let entry = entry.map_err(failed())?;
        let path = entry.path();
        if entry.file_type().map_err(failed())?.is_dir() {
            files(&path, extension, found)?;
        } else if !entry.file_name().to_string_lossy().starts_with('.')
            && path.extension().is_some_and(|found| found == extension)
        {
            found.push(path);
        }
    }
    Ok(())
}

/// Exchange two folders at once where the system can, else by two renames.
pub(crate) fn exchange(new: &Path, old: &Path) -> Result<(), StoreError> {
    let failed = || StoreError::io(old, "exchanging the folder");
    create_folder(old)?;
    let flags = rustix::fs::RenameFlags::EXCHANGE;
    if rustix::fs::renameat_with(rustix::fs::CWD, new, rustix::fs::CWD, old, flags).is_err() {
        let aside = new.with_extension("old");
        std::fs::rename(old, &aside).map_err(failed())?;
        std::fs::rename(new, old).map_err(failed())?;
        std::fs::rename(&aside, new).map_err(failed())?;
    }
    for folder in [new.parent(), old.parent()].into_iter().flatten() {
        sync_folder(folder)?;
    }
    Ok(())
}

fn move_files(from: &Path, to: &Path) -> Result<(), StoreError> {
    let Ok(entries) = std::fs::read_dir(from) else { return Ok(()) };
    create_folder(to)?;
    for entry in entries {
        let entry = entry.map_err(StoreError::io(from, "reading the folder"))?;
        let target = to.join(entry.file_name());
        std::fs::rename(entry.path(), &target).map_err(StoreError::io(&target, "moving the file"))?;
    }
    sync_folder(to)
}

/// Remove a folder of ours and all in it.
pub(crate) fn remove_folder(folder: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::io(folder, "removing the folder")(error))
        }
        _ => Ok(()),
    }
}
