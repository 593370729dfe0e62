//! Rebuilds the tables from the originals: for a ledger that is gone, damaged or older than its files.
//!
//! The packs stay where they are. A new ledger is built in `rebuilding/`, new parts beside the old ones under hidden
//! names, and one rename of the ledger makes all of it valid: its intents then replace the old parts with the new ones.
//! Before that rename nothing has changed, after it the next writer finishes the rest, so a rebuild may be killed or
//! fail at any instant, any number of times. What only the old ledger knew is carried over as far as it is readable.

use super::verify::{Problem, RESTORE, named, some_of};
use crate::model::{Accepted, AcceptedTls, Finding, FindingCode, Hash, Original, Provenance, ReportKind};
use crate::store::disk::access::{self, Access, create_folder, sync_folder};
use crate::store::disk::files::{FileSeal, list, rename_new};
use crate::store::disk::layout::{FileKind, Layout};
use crate::store::disk::lock::Lock;
use crate::store::error::StoreError;
use crate::store::ledger::database::Ledger;
use crate::store::ledger::{intents, mailboxes, outbox, survey, upgrade};
use crate::store::pack::manifest::{ManifestLine, kind_of};
use crate::store::pack::zip::{self, PackReader};
use crate::store::tables::values::{int, path_value};
use crate::store::write::batch::conflict_file;
use crate::store::write::commit::{ConflictRow, insert_conflict};
use crate::store::write::ledger_files::{LedgerFile, record_files};
use crate::store::write::unfinished::{clear, clear_all};
use crate::store::write::writer::Writer;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An original in a pack, with its reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedReport {
    /// Its bytes.
    pub original: Arc<Original>,
    /// The reports that were read from it.
    pub reports: Vec<KeptReport>,
}

/// What a pack says about a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptReport {
    /// Its key, as it was stored.
    pub key: String,
    /// What it is.
    pub kind: ReportKind,
    /// When it was first committed.
    pub ingested: Timestamp,
    /// Where it came from.
    pub provenance: Provenance,
    /// Findings about its mail and the layers around it, which its bytes do not show.
    pub findings: Vec<Finding>,
    /// Whether another report has replaced it.
    pub replaced: bool,
}

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
    /// Keys with a replaced report, and the batch of the last replacement.
    replaced: Arc<HashMap<String, i64>>,
    /// Originals that are in several packs, by hash: a file with many reports is committed in parts, each with the whole
    /// file. Their lines are taken with the first of these packs that can be read, so that the file is read once.
    shared: HashMap<String, Vec<SharedRun>>,
    damaged: Vec<Problem>,
    notices: Vec<String>,
}

/// The lines of a manifest by the hash of their original.
type LinesByHash = HashMap<String, Vec<ManifestLine>>;

/// Packs one after the other that contain the same original.
#[derive(Debug)]
struct SharedRun {
    packs: Vec<PathBuf>,
    /// The original's lines in all of them, until they are taken.
    lines: Vec<ManifestLine>,
}

/// The tables of the old ledger that cannot be rebuilt from originals.
const CARRIED: &[&str] = &[
    "folders",
    "pending",
    "done",
    "uidls",
    "rejected",
    "conflicts",
    "lookups",
    "events",
    "alert_heard",
    "alert_senders",
    "alert_state",
    "outbox",
    "mailbox_runs",
    "mailed",
    "dns_names",
    "dns_records",
    "verdicts",
];
/// Which items were read before. It is not carried over if reports are lost: their items must be read when they arrive
/// again.
const SEEN: &str = "seen";
/// When mailboxes were heard from: only a ledger that needed it has this table.
const HEARD: &str = "heard";

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
            let read = |sql: &str| old.connection.query_row(sql, [], |row| row.get::<_, i64>(0));
            last = last.max(read(survey::LAST_BATCH).unwrap_or(0));
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
        let (packs, replaced) = (Vec::new(), Arc::default());
        let (shared, damaged) = (HashMap::new(), Vec::new());
        Ok(Self { layout, writer, old, access, packs, replaced, shared, damaged, notices })
    }

    /// The packs, oldest batch first.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub fn packs(&mut self) -> Result<Vec<PathBuf>, StoreError> {
        let mut packs = survey::on_disk(&self.layout, FileKind::Pack)?;
        let number = |path: &Path| Layout::batch_of(FileKind::Pack, path).unwrap_or(i64::MAX);
        packs.sort_by(|a, b| (number(a), a.file_name(), a).cmp(&(number(b), b.file_name(), b)));
        let mut replaced: HashMap<String, i64> = HashMap::new();
        let mut before = (PathBuf::new(), HashMap::new());
        for pack in &packs {
            let lines = match PackReader::open(pack).and_then(|mut pack| pack.manifest()) {
                // Reported when its reports are read.
                Err(StoreError::Damaged { .. }) => continue,
                other => other?,
            };
            for line in lines.iter().filter(|line| line.replaced > 0) {
                let last = replaced.entry(line.key.clone()).or_default();
                *last = line.replaced.max(*last);
            }
            self.share(&mut before, pack, lines);
        }
        self.replaced = Arc::new(replaced);
        Ok(packs)
    }

    /// Notes the lines of originals that are also in the pack before this one, whose lines are given with it.
    fn share(&mut self, before: &mut (PathBuf, LinesByHash), pack: &Path, lines: Vec<ManifestLine>) {
        let mut here = LinesByHash::new();
        for line in lines {
            here.entry(line.sha256.clone()).or_default().push(line);
        }
        let (previous, earlier) = before;
        for (hash, lines) in &here {
            let Some(first) = earlier.remove(hash) else { continue };
            let runs = self.shared.entry(hash.clone()).or_default();
            if let Some(run) = runs.last_mut().filter(|run| run.packs.last() == Some(previous)) {
                run.packs.push(pack.to_owned());
                run.lines.extend(lines.iter().cloned());
            } else {
                let lines = first.iter().chain(lines).cloned().collect();
                runs.push(SharedRun { packs: vec![previous.clone(), pack.to_owned()], lines });
            }
        }
        *before = (pack.to_owned(), here);
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
        let replaced = self.replaced.clone();
        let read = PackReader::open(pack).and_then(|mut reader| {
            reader.originals(|original, lines| {
                reports = reports.saturating_add(int(lines.len()));
                let runs = lines.first().and_then(|line| self.shared.get_mut(&line.sha256));
                let lines =
                    match runs.and_then(|runs| runs.iter_mut().find(|run| run.packs.iter().any(|at| at == pack))) {
                        Some(run) if run.lines.is_empty() => return Ok(()),
                        Some(run) => std::mem::take(&mut run.lines),
                        None => lines,
                    };
                let reports = lines.iter().map(|line| kept(line, &replaced)).collect();
                each(self, PackedReport { original: Arc::new(original), reports })
            })
        });
        match read {
            Ok(bad) => {
                for bad in &bad {
                    let origins: Vec<String> =
                        bad.lines.iter().map(|line| format!("a report of {}", line.origin)).collect();
                    let what = format!("{}; lost: {}; {RESTORE}", bad.error, some_of(&origins));
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
        self.tell_lost();
        let unread = self.carry_over();
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
            let known = self.old.as_ref().is_some_and(|old| {
                let sql = "SELECT 1 FROM conflicts WHERE file = ?1";
                matches!(old.connection.query_row(sql, [&file], |_| Ok(())).optional(), Ok(Some(())))
            });
            let extension = path.extension().and_then(|extension| extension.to_str());
            let gzip = extension == Some("gz");
            let is_ours = matches!(extension, Some("gz" | "xml" | "json"));
            if is_ours && !known && path.is_file() && !file.contains("/.") {
                let bytes = std::fs::read(&path).map_err(StoreError::io(&path, "reading a conflict"))?;
                let original = if gzip { Original::Gzip(bytes) } else { Original::Plain(bytes) };
                found.push((file, written(&path).unwrap_or(self.writer.now), original));
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

    /// Lists a pack that was read.
    fn list_pack(&mut self, pack: &Path, at: String, reports: i64) -> Result<(), StoreError> {
        // One outside the monthly folders is kept, and never pruned.
        let Some((kind, month)) = Layout::month_of(&at) else { return Ok(()) };
        let listed = self.listed(&at);
        let (records, known, seal) = match listed {
            Some((records, reports, seal)) => (records, reports, seal),
            None => (0, reports, None),
        };
        let seal = seal.map_or_else(|| FileSeal::of(pack), Ok)?;
        self.packs.push(LedgerFile { path: at, kind, month, records, reports: reports.max(known), seal });
        Ok(())
    }

    /// What the old ledger says about a pack: records, reports, and its expected size and hash.
    fn listed(&self, path: &str) -> Option<(i64, i64, Option<FileSeal>)> {
        let sql = "SELECT records, reports, bytes, hash FROM files WHERE path = ?1";
        let row = self.old.as_ref()?.connection.query_row(sql, [path], |row| {
            let (bytes, hash): (i64, Option<[u8; 32]>) = (row.get(2)?, row.get(3)?);
            let seal = hash.map(|hash| FileSeal { bytes: u64::try_from(bytes).unwrap_or(0), hash });
            Ok((row.get(0)?, row.get(1)?, seal))
        });
        row.ok()
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

    /// Records reports that the old ledger knew but no pack has any more.
    fn tell_lost(&mut self) {
        let Some(old) = &self.old else { return };
        let ledger = &self.writer.ledger;
        let look = || -> rusqlite::Result<Vec<String>> {
            let sql = "SELECT content, org_name, report_id, policy_domain FROM reports UNION ALL SELECT content, org_name, \
                       report_id, COALESCE((SELECT min(policy_domain) FROM tls_policies WHERE report = id), '') \
                       FROM tls_reports";
            let mut statement = old.connection.prepare(sql)?;
            let mut here = ledger.connection.prepare(
                "SELECT EXISTS (SELECT 1 FROM reports WHERE content = ?1 UNION SELECT 1 FROM tls_reports WHERE content = ?1
                 UNION SELECT 1 FROM conflicts WHERE content = ?1)",
            )?;
            let mut rows = statement.query([])?;
            let mut lost = Vec::new();
            while let Some(row) = rows.next()? {
                let content: [u8; 32] = row.get(0)?;
                if !here.query_row([content], |row| row.get::<_, bool>(0))? {
                    lost.push(named(&row.get::<_, String>(1)?, &row.get::<_, String>(2)?, &row.get::<_, String>(3)?));
                }
            }
            Ok(lost)
        };
        // A partly readable ledger contributes what it can.
        let Ok(lost) = look() else { return };
        if !lost.is_empty() {
            let what = format!("no readable original is left of {}; {RESTORE}", some_of(&lost));
            self.damaged.push(Problem { at: "originals".into(), what });
        }
    }

    /// Copies what only the old ledger knew. Returns the tables that could not be read.
    fn carry_over(&self) -> Vec<&'static str> {
        let Some(old) = &self.old else { return Vec::new() };
        let connection = &self.writer.ledger.connection;
        let seen = self.damaged.is_empty().then_some(SEEN);
        if connection.execute("ATTACH ?1 AS old", [path_value(&old.path)]).is_err() {
            return CARRIED.to_vec();
        }
        let heard = connection.table_exists(Some("old"), HEARD).unwrap_or(false).then_some(HEARD);
        if heard.is_some() && mailboxes::make_heard(connection).is_err() {
            return CARRIED.to_vec();
        }
        let copy = |table: &&str| {
            // The old ledger knows more about a conflict than the pack of a replaced report.
            let or = if *table == "conflicts" { "REPLACE" } else { "IGNORE" };
            let sql = format!("INSERT OR {or} INTO main.{table} SELECT * FROM old.{table}");
            connection.execute(&sql, []).is_err()
        };
        let unread = CARRIED.iter().copied().chain(seen).chain(heard).filter(copy).collect();
        // Incremental loaders use the run of a report. Without it the report is exported again, never lost.
        let runs = "UPDATE main.reports SET batch = old.reports.batch FROM old.reports WHERE old.reports.key = main.reports.key";
        let _ = connection.execute(runs, []);
        let _ = connection.execute(&runs.replace("reports", "tls_reports"), []);
        let _ = connection.execute(outbox::RENUMBERED, []);
        // They may turn out differently now, except for weeks whose reports were pruned: those are kept.
        let _ = connection.execute("UPDATE main.verdicts SET batch = -1", []);
        let _ = connection.execute("DETACH old", []);
        unread
    }

    /// A rejected file that no ledger lists is named by its hash.
    fn name_rejected(&self) -> Result<(), StoreError> {
        let ledger = &self.writer.ledger;
        for path in list(&self.layout.rejected())? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let hash = name.split('.').next().unwrap_or_default().to_owned();
            let sql = "SELECT 1 FROM rejected WHERE lower(hex(hash)) = ?1 AND file IS NOT NULL";
            let known = ledger.connection.query_row(sql, [&hash], |_| Ok(())).optional();
            if hash.len() != 64 || known.map_err(ledger.failed("looking for a rejected item"))?.is_some() {
                continue;
            }
            let bytes = std::fs::read(&path).map_err(StoreError::io(&path, "reading a rejected item"))?;
            let Hash(found) = zip::hash(&bytes);
            if Hash(found).to_string() != hash {
                continue;
            }
            let at = written(&path).unwrap_or(self.writer.now).as_millisecond();
            let reason = "rejected before the ledger was rebuilt; `rejected retry` shows why";
            let row = params![found, name, reason, at, at, int(bytes.len()), format!("rejected/{name}")];
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

/// The old ledger, claimed, with its log written back so that it can be replaced; `None` if there is none.
fn open_old(layout: &Layout, lock: &Lock) -> Result<Option<(Ledger, Vec<String>)>, StoreError> {
    // A ledger whose first commit is only in the log is still empty.
    let log = PathBuf::from(format!("{}-wal", layout.ledger().display()));
    let holds = |path: &Path| std::fs::metadata(path).is_ok_and(|found| found.len() > 0);
    let stands = holds(&layout.ledger()) || (layout.ledger().exists() && holds(&log));
    if !stands {
        return Ok(None);
    }
    let (ledger, notices) = Ledger::writer(layout, lock)?;
    let check = ledger.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match check.map_err(ledger.failed("checking the ledger"))?.as_str() {
        "ok" => {}
        found => {
            let (expected, found) = ("a ledger that is whole".to_owned(), found.to_owned());
            return Err(StoreError::Damaged { path: layout.ledger(), expected, found });
        }
    }
    intents::recover(layout, &ledger)?;
    ledger.fold_log()?;
    Ok(Some((ledger, notices)))
}

/// Whether a ledger is damaged, rather than a disk that is full or fails temporarily: in that case the knowledge of the
/// old ledger is not given up.
fn is_unreadable(error: &StoreError) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, TypeMismatch, Unknown};
    match error {
        StoreError::Damaged { .. } | StoreError::NoLedger { .. } => true,
        StoreError::Ledger { source, .. } => source
            .sqlite_error_code()
            .is_none_or(|code| matches!(code, DatabaseCorrupt | NotADatabase | TypeMismatch | Unknown)),
        _ => false,
    }
}

/// Moves a partly unreadable ledger out of the way, its log first: a new ledger must never meet it.
fn keep_old(layout: &Layout, now: Timestamp) -> Result<String, StoreError> {
    let ledger = layout.ledger();
    let name = format!("ledger-{}.damaged", now.as_millisecond());
    let beside = |end: &str| PathBuf::from(format!("{}{end}", ledger.display()));
    for end in ["-wal", "-shm", "-journal"] {
        if beside(end).exists() {
            let kept = layout.root().join(format!("{name}{end}"));
            std::fs::rename(beside(end), &kept).map_err(StoreError::io(&kept, "keeping the old ledger"))?;
        }
    }
    let kept = layout.root().join(&name);
    // A copy if the file system has no hard links: the ledger exists until the new one replaces it.
    if std::fs::hard_link(&ledger, &kept).is_err() {
        std::fs::copy(&ledger, &kept).map_err(StoreError::io(&kept, "keeping the old ledger"))?;
    }
    sync_folder(layout.root())?;
    Ok(name)
}

/// Complete packs under hidden names may have been committed by a lost ledger: they get their final names. An
/// incomplete one was never committed, and stays as it is.
fn publish_packs(layout: &Layout) -> Result<(), StoreError> {
    for hidden in survey::hidden(layout, FileKind::Pack)? {
        let Some(path) = Layout::unhidden(&hidden) else { continue };
        let whole = PackReader::open(&hidden).and_then(|mut reader| reader.manifest()).is_ok();
        if whole && rename_new(&hidden, &path)? {
            path.parent().map_or(Ok(()), sync_folder)?;
        }
    }
    Ok(())
}

fn kept(line: &ManifestLine, replaced: &HashMap<String, i64>) -> KeptReport {
    // Later stages repeat their findings; only those about the mail and the layers around are gone.
    let findings = line.findings.iter().filter_map(|finding| {
        let code = FindingCode::ALL.iter().find(|code| code.as_str() == finding.code)?;
        let gone = code.is_of_mail() || finding.code.starts_with("archive.");
        gone.then(|| Finding::new(*code, finding.detail.clone()))
    });
    KeptReport {
        key: line.key.clone(),
        kind: kind_of(&line.member),
        ingested: line.ingested,
        provenance: line.provenance(),
        findings: findings.collect(),
        replaced: replaced.get(&line.key).is_some_and(|last| line.replaced < *last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tables that a rebuild makes again from the originals, or begins anew.
    const MADE_AGAIN: &[&str] = &[
        "batches",
        "writer",
        "intents",
        "files",
        "reports",
        "totals",
        "reporters",
        "tls_reports",
        "tls_policies",
        "tls_failures",
    ];

    #[test]
    fn every_table_of_the_ledger_is_carried_over_or_made_again() {
        let ledger = rusqlite::Connection::open_in_memory().unwrap();
        ledger.execute_batch(&Ledger::tables()).unwrap();
        let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
        let mut tables = ledger.prepare(sql).unwrap();
        let names = tables.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
        let known = |name: &String| CARRIED.iter().chain(&[SEEN]).chain(MADE_AGAIN).any(|known| known == name);
        let forgotten: Vec<String> = names.filter(|name| !known(name)).collect();
        assert!(forgotten.is_empty(), "a rebuild would lose these: {forgotten:?}");
    }
}
