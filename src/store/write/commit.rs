//! The steps of a commit, in an order in which a kill at any instant loses nothing and duplicates nothing.
//!
//! 1. A transaction names the files to be written.
//! 2. The files are written under hidden names, and files and names are synced.
//! 3. A transaction records reports, files, items and cursors. From here on the batch exists.
//! 4. The files get their final names.
//!
//! Before step 3 is durable the next writer removes the hidden files; after it the next writer gives them their names.
//! The rows of step 3 are inserted while the files of step 2 are written: only the end of the transaction makes them
//! valid.

use super::batch::{Batch, Conflict, one_per_file};
use super::ledger_files::{LedgerFile, record_files};
use super::record::{record_all, rejected_file};
use super::replace;
use super::rivals::Rivals;
use super::writer::{CommitStage, Writer};
use crate::limits::return_freed_memory;
use crate::model::{Accepted, Fate, Message, ReportKey};
use crate::store::disk::access::{create_folder, sync_folder};
use crate::store::disk::files::write_file;
use crate::store::disk::layout::{FileKind, Layout, Month};
use crate::store::error::StoreError;
use crate::store::ledger::survey::last_batch;
use crate::store::ledger::{intents, quota};
use crate::store::pack::manifest::{PackItem, Standing};
use crate::store::pack::zip::PackContents;
use crate::store::parquet::encode;
use crate::store::tables::values::int;
use rayon::prelude::*;
use rusqlite::Transaction;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

const RECORDING: &str = "recording the batch";

/// A file that a commit writes.
struct NewFile<'a> {
    /// Below the root.
    path: String,
    content: FileContent<'a>,
}

enum FileContent<'a> {
    Part {
        month: Month,
        reports: Vec<&'a Accepted>,
    },
    Pack {
        month: Month,
        reports: Vec<PackItem<'a>>,
        records: usize,
    },
    /// The bytes of a rejected item or of a report in conflict.
    Plain(&'a [u8]),
}

impl Writer {
    /// Makes the batch durable, and returns the messages whose reports are now stored.
    ///
    /// # Errors
    /// A disk error. Then nothing of the batch is stored, and the next writer finds the store as it was before.
    pub fn commit(&mut self) -> Result<Vec<(Message, Fate)>, StoreError> {
        if self.batch.is_empty() {
            return Ok(Vec::new());
        }
        self.known.release()?;
        self.rivals = Rivals::default();
        self.make_room()?;
        // The batch is taken out while the writer's hook and ledger are used.
        let is_large = self.is_crowded();
        let mut batch = std::mem::take(&mut self.batch);
        try_commit(self, &batch)?;
        self.fresh = self.fresh && batch.accepted.is_empty();
        let messages = std::mem::take(&mut batch.messages);
        drop(batch);
        if is_large {
            return_freed_memory();
        }
        Ok(messages)
    }
}

fn try_commit(writer: &mut Writer, batch: &Batch) -> Result<(), StoreError> {
    writer.reach(CommitStage::Start)?;
    writer.lock.check()?;
    let rewrites = replace::plan(writer, batch)?;
    // Greater than all in the ledger, which are greater than all on the disk.
    let number = writer.ledger.read("numbering the batch", last_batch)?.saturating_add(1);
    let files = new_files(batch, number, writer);
    plan(writer, &files)?;
    writer.reach(CommitStage::Planned)?;
    let rewritten = replace::write(&writer.layout, &writer.ledger, &rewrites)?;
    let transaction = write(writer, batch, number, &files)?;
    writer.reach(CommitStage::Written)?;
    replace::record(&transaction, &rewrites, &rewritten).map_err(writer.ledger.failed(RECORDING))?;
    end(transaction, writer, batch, &files).map_err(writer.ledger.failed(RECORDING))?;
    writer.reach(CommitStage::Recorded)?;
    if !writer.rebuilding {
        writer.settle()?;
    }
    writer.reach(CommitStage::Published)
}

/// The files of a batch: a part and a pack for each month, and the bytes that are kept aside.
fn new_files<'b>(batch: &'b Batch, number: i64, writer: &Writer) -> Vec<NewFile<'b>> {
    let mut months: BTreeMap<Month, (Vec<&Accepted>, Vec<PackItem<'_>>)> = BTreeMap::new();
    for accepted in &batch.accepted {
        let (reports, originals) = months.entry(Month::of(accepted.report.day)).or_default();
        reports.push(accepted);
        originals.push(accepted.into());
    }
    for accepted in &batch.tls.accepted {
        let (_, originals) = months.entry(Month::of(accepted.report.day)).or_default();
        originals.push(accepted.into());
    }
    let mut files = Vec::new();
    for (month, (mut reports, originals)) in months {
        let path = |kind| Layout::relative_file(kind, month, number, writer.tag);
        let records = reports.iter().map(|accepted| accepted.report.records.len()).sum();
        // A report without rows has an original and a line in the ledger, but no part.
        reports.retain(|accepted| !accepted.report.records.is_empty());
        if !reports.is_empty() {
            files.push(NewFile { path: path(FileKind::Part), content: FileContent::Part { month, reports } });
        }
        // A rebuild reads the originals from packs, which stay.
        if !writer.rebuilding {
            let content = FileContent::Pack { month, reports: originals, records };
            files.push(NewFile { path: path(FileKind::Pack), content });
        }
    }
    for (hash, reject) in &batch.rejects {
        if let Some(bytes) = &reject.bytes {
            files.push(NewFile { path: rejected_file(*hash, reject.extension), content: FileContent::Plain(bytes) });
        }
    }
    let conflicts = one_per_file(&batch.conflicts).map(|Conflict { accepted, file }| (&accepted.original, file));
    let tls = one_per_file(&batch.tls.conflicts).map(|Conflict { accepted, file }| (&accepted.original, file));
    files.extend(
        conflicts
            .chain(tls)
            .map(|(original, file)| NewFile { path: file.clone(), content: FileContent::Plain(original.bytes()) }),
    );
    files
}

fn paths<'a>(files: &'a [NewFile<'_>]) -> impl Iterator<Item = &'a str> {
    files.iter().map(|file| file.path.as_str())
}

/// Step 1. Files published by an earlier commit are durable from here on, and no longer need intents.
fn plan(writer: &Writer, files: &[NewFile<'_>]) -> Result<(), StoreError> {
    if files.is_empty() {
        return Ok(());
    }
    intents::sync(&writer.layout, &writer.published)?;
    writer.ledger.write("recording the files to be written", |transaction| {
        intents::forget_published(transaction, &writer.published)?;
        intents::plan(transaction, writer.ledger.generation, paths(files))
    })
}

/// Step 2, and the rows of step 3 in a transaction that is still open.
fn write<'w>(
    writer: &'w Writer,
    batch: &Batch,
    number: i64,
    files: &[NewFile<'_>],
) -> Result<Transaction<'w>, StoreError> {
    let layout = &writer.layout;
    let folders: BTreeSet<&Path> =
        paths(files).map(|path| Path::new(path).parent().expect("every file is in a folder")).collect();
    let folders: Vec<PathBuf> = folders.into_iter().map(|folder| layout.root().join(folder)).collect();
    folders.iter().try_for_each(|folder| create_folder(folder))?;

    let now = writer.now;
    let standing = |key: ReportKey| {
        let replaces = batch.replaced.contains(&key) || batch.tls.replaced.contains(&key);
        let replaced = if replaces { number } else { 0 };
        Standing { ingested: batch.first_stored(key, now), replaced, promoted: batch.promoted.contains(&key) }
    };
    let mut written: Vec<Option<Result<Option<LedgerFile>, StoreError>>> = files.iter().map(|_| None).collect();
    let entered = rayon::in_place_scope(|scope| {
        for (file, slot) in files.iter().zip(&mut written) {
            let standing = &standing;
            scope.spawn(move |_| *slot = Some(write_new(layout, file, standing)));
        }
        enter(writer, batch, number)
    });
    let made: Vec<LedgerFile> =
        written.into_iter().flatten().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    let transaction = entered?;
    folders.into_par_iter().try_for_each(|folder| sync_folder(&folder))?;
    record_files(&transaction, &made, number).map_err(writer.ledger.failed(RECORDING))?;
    Ok(transaction)
}

/// Writes a file under its hidden name. Returns its row in the ledger, if it is a part or pack.
fn write_new(
    layout: &Layout,
    NewFile { path, content }: &NewFile<'_>,
    standing: &(dyn Fn(ReportKey) -> Standing + Sync),
) -> Result<Option<LedgerFile>, StoreError> {
    let target = layout.file(path);
    let hidden = Layout::temporary(&target);
    let (kind, month, records, reports, seal) = match content {
        FileContent::Part { month, reports } => {
            let bytes = encode::encode(reports, |accepted| standing(accepted.report.key).ingested);
            let bytes = bytes.map_err(StoreError::parquet(&target, "writing the part"))?;
            let seal = write_file(&hidden, |out| out.write_all(&bytes))?;
            let records = reports.iter().map(|accepted| accepted.report.records.len()).sum();
            (FileKind::Part, *month, records, reports.len(), seal)
        }
        FileContent::Pack { month, reports, records } => {
            let contents = PackContents::of(reports, standing);
            let seal = write_file(&hidden, |out| contents.write(out))?;
            (FileKind::Pack, *month, *records, reports.len(), seal)
        }
        FileContent::Plain(bytes) => {
            write_file(&hidden, |out| out.write_all(bytes))?;
            return Ok(None);
        }
    };
    let (records, reports) = (int(records), int(reports));
    Ok(Some(LedgerFile { path: path.clone(), kind, month, records, reports, seal }))
}

/// Inserts everything of the batch that needs no file, in a transaction that is still open.
fn enter<'w>(writer: &'w Writer, batch: &Batch, number: i64) -> Result<Transaction<'w>, StoreError> {
    let transaction = writer.ledger.begin(RECORDING)?;
    record_all(&transaction, batch, number, writer.now).map_err(writer.ledger.failed(RECORDING))?;
    Ok(transaction)
}

/// Step 3: the files are durable; commits.
fn end(transaction: Transaction<'_>, writer: &Writer, batch: &Batch, files: &[NewFile<'_>]) -> rusqlite::Result<()> {
    intents::publish(&transaction, paths(files))?;
    if !batch.rejects.is_empty() {
        quota::hold_rejected(&transaction, writer.quota)?;
    }
    if !batch.conflicts.is_empty() || !batch.tls.conflicts.is_empty() {
        quota::hold_conflicts(&transaction, &writer.layout, writer.quota)?;
    }
    transaction.commit()
}
