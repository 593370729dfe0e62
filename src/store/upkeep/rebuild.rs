//! Rebuilds the tables from the originals: for a ledger that is gone, damaged or older than its files.
//!
//! The packs stay where they are. A new ledger is built in `rebuilding/`, new parts beside the old ones under hidden
//! names, and one rename of the ledger makes all of it valid: its intents then replace the old parts with the new ones.
//! Before that rename nothing has changed, after it the next writer finishes the rest, so a rebuild may be killed or
//! fail at any instant, any number of times. What only the old ledger knew is carried over as far as it is readable.

use super::old_ledger::{carry_over, is_unreadable, keep_old, lost_reports, open_old};
use super::rebuild_packs::{ManifestIndex, PackedReport, publish_packs};
use super::verify::{Problem, RESTORE, some_of};
use crate::model::{Accepted, AcceptedTls, Original, ReportKind};
use crate::store::disk::access::{self, Access, create_folder, sync_folder};
use crate::store::disk::files::{FileSeal, list};
use crate::store::disk::layout::{FileKind, Layout};
use crate::store::disk::lock::Lock;
use crate::store::error::StoreError;
use crate::store::ledger::database::Ledger;
use crate::store::ledger::{intents, survey, upgrade};
use crate::store::pack::zip::{self, PackReader};
use crate::store::tables::values::int;
use crate::store::write::batch::conflict_file;
use crate::store::write::ledger_files::{LedgerFile, record_files};
use crate::store::write::record::{ConflictRow, insert_conflict};
use crate::store::write::unfinished::{clear, clear_all};
use crate::store::write::writer::Writer;
use jiff::Timestamp;
use rusqlite::params;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a rebuild has to report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Unreadable originals, by their file, and reports that the old ledger knew but no pack has.
    pub damaged: Vec<Problem>,
    /// What else was done.
    pub notices: Vec<String>,
}

/// A running rebuild.
#[derive(Debug)]
pub struct Rebuild {
    layout: Layout,
    writer: Writer,
    /// The old ledger, if it is readable. It keeps other writers out.
    old: Option<Ledger>,
    access: Access,
    packs: Vec<LedgerFile>,
    manifests: ManifestIndex,
    damaged: Vec<Problem>,
    notices: Vec<String>,
}

impl Rebuild {
    /// Begins a rebuild. Whatever the state of the ledger, the originals decide.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if another process writes or a reader does not end, [`StoreError::NoStore`] if there is no
    /// such folder, and any disk error.
    pub fn start(dir: &Path, now: Timestamp, access: Access) -> Result<Self, StoreError> {
        let layout = Layout::new(dir);
        if !layout.root().is_dir() {
            return Err(StoreError::NoStore { path: layout.root().to_owned() });
        }
        let lock = Lock::take(&layout, now)?;
        let mut notices = Vec::new();
        let old = match open_old(&layout, &lock) {
            Ok(old) => old.map(|(ledger, said)| {
                notices.extend(said);
                ledger
            }),
            Err(error) if !is_unreadable(&error) => return Err(error),
            Err(error) => {
                notices.push(format!("the old ledger cannot be read, what only it knew is lost: {error}"));
                None
            }
        };
        // If an older version was killed, the only copy of a pack may be in one of its folders.
        for path in upgrade::rescue_packs(&layout, &["compacting", "retired", "rebuilding"])? {
            notices.push(format!("{path} was the only copy of an original, and is kept"));
        }
        clear_all(&layout, old.as_ref())?;
        publish_packs(&layout)?;

        let fresh = layout.rebuilding();
        create_folder(&layout.rebuild_folder())?;
        let mut ledger = Ledger::create(&fresh.ledger())?;
        ledger.make_tables()?;
        let mut last = survey::newest(&layout)?.map_or(0, |(number, _)| number);
        let mut generation = 0;
        if let Some(old) = &old {
            last = last.max(survey::last_batch(&old.connection).unwrap_or(0));
            generation = old.generation.unwrap_or(0);
        }
        let begin = || -> rusqlite::Result<()> {
            ledger.connection.execute("UPDATE writer SET generation = ?1", [generation])?;
            ledger.connection.execute("INSERT INTO sqlite_sequence VALUES ('batches', ?1)", [last]).map(drop)
        };
        begin().map_err(ledger.failed("making the ledger"))?;
        ledger.claim(&lock)?;
        let mut writer = Writer::of(fresh, ledger, lock, now)?;
        writer.rebuilding = true;
        let (packs, manifests, damaged) = (Vec::new(), ManifestIndex::default(), Vec::new());
        Ok(Self { layout, writer, old, access, packs, manifests, damaged, notices })
    }

    /// The packs, oldest batch first.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub fn packs(&mut self) -> Result<Vec<PathBuf>, StoreError> {
        let mut packs = survey::on_disk(&self.layout, FileKind::Pack)?;
        let number = |path: &Path| Layout::batch_of(FileKind::Pack, path).unwrap_or(i64::MAX);
        packs.sort_by(|a, b| (number(a), a.file_name(), a).cmp(&(number(b), b.file_name(), b)));
        self.manifests = ManifestIndex::read(&packs)?;
        Ok(packs)
    }

    /// Passes on the originals of a pack, each once. Unreadable ones are noted, and the rest continues.
    ///
    /// # Errors
    /// If the disk fails, and those of `each`.
    pub fn read(
        &mut self,
        pack: &Path,
        mut each: impl FnMut(&mut Self, PackedReport) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let at = survey::relative(&self.layout, pack);
        let mut reports = 0_i64;
        let read = PackReader::open(pack).and_then(|mut reader| {
            reader.originals(|original, lines| {
                reports = reports.saturating_add(int(lines.len()));
                match self.manifests.take(pack, lines) {
                    Some(reports) => each(self, PackedReport { original: Arc::new(original), reports }),
                    None => Ok(()),
                }
            })
        });
        match read {
            Ok(bad) => {
                for bad in &bad {
                    let origins: Vec<String> =
                        bad.lines.iter().map(|line| format!("a report of {}", line.origin)).collect();
                    let what = format!("{}; lost: {}; {RESTORE}", bad.error, some_of(&origins, origins.len()));
                    self.damaged.push(Problem { at: at.clone(), what });
                }
                self.list_pack(pack, at, reports)
            }
            Err(error @ StoreError::Damaged { .. }) => {
                self.damaged.push(Problem { at: at.clone(), what: format!("{error}; {RESTORE}") });
                // A known one stays listed, with its expected size and hash.
                if self.listed(&at).is_some() { self.list_pack(pack, at, 0) } else { Ok(()) }
            }
            Err(error) => Err(error),
        }
    }

    /// Lists a pack that was read.
    fn list_pack(&mut self, pack: &Path, at: String, reports: i64) -> Result<(), StoreError> {
        // One outside the monthly folders is kept, and never pruned.
        let Some((kind, month)) = Layout::month_of(&at) else { return Ok(()) };
        let (records, known, seal) = self.listed(&at).unwrap_or((0, reports, None));
        let seal = seal.map_or_else(|| FileSeal::of(pack), Ok)?;
        self.packs.push(LedgerFile { path: at, kind, month, records, reports: reports.max(known), seal });
        Ok(())
    }

    /// What the old ledger says about a pack: records, reports, and its expected size and hash.
    fn listed(&self, path: &str) -> Option<(i64, i64, Option<FileSeal>)> {
        let sql = "SELECT records, reports, bytes, hash FROM files WHERE path = ?1";
        let row = self.old.as_ref()?.first_row("looking for a file", sql, [path], |row| {
            let (bytes, hash): (i64, Option<[u8; 32]>) = (row.get(2)?, row.get(3)?);
            let seal = hash.map(|hash| FileSeal { bytes: u64::try_from(bytes).unwrap_or(0), hash });
            Ok((row.get(0)?, row.get(1)?, seal))
        });
        row.ok().flatten()
    }

    /// The writer for the reports.
    pub fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// Replaces the old tables with the new ones.
    ///
    /// # Errors
    /// Any disk error.
    pub fn finish(mut self) -> Result<Rebuilt, StoreError> {
        self.writer.commit()?;
        let mut unread = Vec::new();
        if let Some(old) = &self.old {
            // A partly readable ledger contributes what it can.
            let lost = lost_reports(old, &self.writer.ledger).unwrap_or_default();
            if !lost.is_empty() {
                let lost = some_of(&lost, lost.len());
                let what = format!("no readable original is left of {lost}; {RESTORE}");
                self.damaged.push(Problem { at: "originals".into(), what });
            }
            unread = carry_over(old, &self.writer.ledger, self.damaged.is_empty());
        }
        self.name_rejected()?;
        let packs = std::mem::take(&mut self.packs);
        let parts = self.old_parts()?;
        self.writer.ledger.write("listing the files", |transaction| {
            for made in &packs {
                let number = Layout::batch_of(made.kind, Path::new(&made.path)).unwrap_or(0);
                record_files(transaction, std::slice::from_ref(made), number)?;
            }
            // A report that counts is not a conflict, whatever the old ledger said.
            transaction.execute(
                "DELETE FROM conflicts WHERE EXISTS (SELECT 1 FROM reports
                 WHERE reports.key = conflicts.key AND reports.content = conflicts.content)
                 OR EXISTS (SELECT 1 FROM tls_reports
                 WHERE tls_reports.key = conflicts.key AND tls_reports.content = conflicts.content)",
                [],
            )?;
            intents::retire(transaction, &parts)
        })?;
        self.writer.close_snapshot();
        self.writer.ledger.fold_log()?;
        let Self { layout, writer, old, access, damaged, mut notices, .. } = self;
        let Writer { ledger, lock, layout: fresh, now, .. } = writer;
        drop(ledger);
        let synced = std::fs::File::open(fresh.ledger()).and_then(|file| file.sync_all());
        synced.map_err(StoreError::io(&fresh.ledger(), "syncing the ledger"))?;
        lock.check()?;
        let whole = old.is_some() && unread.is_empty();
        if let Some(mut old) = old {
            // It stays claimed until it is replaced.
            old.generation = None;
        }
        if !whole && layout.ledger().exists() {
            let kept = keep_old(&layout, now)?;
            notices.push(format!("the old ledger could not be read in full; it is kept as {kept}"));
        }
        std::fs::rename(fresh.ledger(), layout.ledger())
            .map_err(StoreError::io(&layout.ledger(), "renaming the ledger"))?;
        sync_folder(layout.root())?;
        let (ledger, _) = Ledger::writer(&layout, &lock)?;
        access::settle(&layout, access)?;
        clear(&layout, &ledger)?;
        intents::recover(&layout, &ledger)?;
        Ok(Rebuilt { damaged, notices })
    }

    /// The files in `conflicts/` that the old ledger does not list: path, time and bytes.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn unnamed_conflicts(&self) -> Result<Vec<(String, Timestamp, Original)>, StoreError> {
        let mut found = Vec::new();
        for path in list(&self.layout.conflicts())? {
            let file = survey::relative(&self.layout, &path);
            let sql = "SELECT 1 FROM conflicts WHERE file = ?1";
            let lists = |old: &Ledger| old.any("looking for a conflict", sql, [&file]).unwrap_or(false);
            let known = self.old.as_ref().is_some_and(lists);
            let is_ours = matches!(path.extension().and_then(OsStr::to_str), Some("gz" | "xml" | "json"));
            if is_ours && !known && path.is_file() && !file.contains("/.") {
                let bytes = std::fs::read(&path).map_err(StoreError::io(&path, "reading a conflict"))?;
                found.push((file, written(&path).unwrap_or(self.writer.now), zip::original_of(&path, bytes)));
            }
        }
        Ok(found)
    }

    /// Restores the rows of the reports in a file of `conflicts/` with these bytes. A file may hold reports that are no
    /// conflict: those that are stored are forgotten again when the rebuild is finished.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn name_conflicts(
        &mut self,
        (file, set_aside, original): (&str, Timestamp, &Original),
        reports: &[Accepted],
        tls: Option<&AcceptedTls>,
    ) -> Result<(), StoreError> {
        // Earlier versions named the file by the one report in it.
        let former = |accepted: &Accepted| {
            file.starts_with(&format!("conflicts/{}-{}.", accepted.report.key, &accepted.content.to_string()[..16]))
        };
        let by_bytes = conflict_file(ReportKind::Aggregate, original) == file;
        let reports = reports.iter().filter(|accepted| by_bytes || former(accepted)).map(ConflictRow::from);
        let tls = tls.filter(|_| conflict_file(ReportKind::Tls, original) == file).map(ConflictRow::from);
        let rows: Vec<ConflictRow<'_>> = reports.chain(tls).collect();
        let at = set_aside.min(self.writer.now).as_millisecond();
        self.writer.ledger.write("naming conflicts", |transaction| {
            rows.iter().try_for_each(|row| insert_conflict(transaction, "IGNORE", row, at, file))
        })
    }

    /// The parts that the new ones replace: those of the old ledger, and those named like ours.
    fn old_parts(&self) -> Result<Vec<String>, StoreError> {
        let parts = survey::on_disk(&self.layout, FileKind::Part)?;
        let parts = parts.iter().filter(|path| {
            let at = survey::relative(&self.layout, path);
            let ours = Layout::batch_of(FileKind::Part, path).is_some() || self.listed(&at).is_some();
            ours && Layout::month_of(&at).is_some()
        });
        Ok(parts.map(|path| survey::relative(&self.layout, path)).collect())
    }

    /// A rejected file that no ledger lists is named by its hash.
    fn name_rejected(&self) -> Result<(), StoreError> {
        let ledger = &self.writer.ledger;
        for path in list(&self.layout.rejected())? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let hash = name.split('.').next().unwrap_or_default();
            let sql = "SELECT 1 FROM rejected WHERE lower(hex(hash)) = ?1 AND file IS NOT NULL";
            if hash.len() != 64 || ledger.any("looking for a rejected item", sql, [hash])? {
                continue;
            }
            let bytes = std::fs::read(&path).map_err(StoreError::io(&path, "reading a rejected item"))?;
            let found = zip::hash(&bytes);
            if found.to_string() != hash {
                continue;
            }
            let at = written(&path).unwrap_or(self.writer.now).as_millisecond();
            let reason = "rejected before the ledger was rebuilt; `rejected retry` shows why";
            let row = params![found.0, name, reason, at, at, int(bytes.len()), format!("rejected/{name}")];
            let sql = "INSERT OR REPLACE INTO rejected VALUES (?1, ?2, NULL, ?3, ?4, ?5, ?6, ?7)";
            ledger.write("naming a rejected item", |transaction| transaction.execute(sql, row))?;
        }
        Ok(())
    }
}

/// When a file was written.
fn written(path: &Path) -> Option<Timestamp> {
    Timestamp::try_from(std::fs::metadata(path).ok()?.modified().ok()?).ok()
}
