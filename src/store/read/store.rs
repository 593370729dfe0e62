//! A store opened for reading.

use super::{folder_files, parquet_folder};
use crate::model::{ColumnSet, MailboxProgress, ReportHead, ReportNotes, Rows};
use crate::store::disk::layout::{FileKind, Layout, Month};
use crate::store::error::StoreError;
use crate::store::ledger::database::Ledger;
use crate::store::ledger::status::{self, Status};
use crate::store::ledger::{mailboxes, reports, survey};
use crate::store::parquet::rows;
use crate::store::tables::filter::Filter;
use jiff::civil::Date;
use rusqlite::{Row, params};
use std::path::{Path, PathBuf};

/// A store opened for reading. Any number may be open, also beside a writer.
#[derive(Debug)]
pub struct Store {
    pub(crate) layout: Layout,
    /// `None` if the store does not exist yet or is empty.
    pub(crate) ledger: Option<Ledger>,
    /// Whether it is a folder of Parquet files, which has no ledger.
    pub(crate) folder: bool,
}

impl Store {
    /// Opens a data folder. One that does not exist, or is empty, reads as empty.
    ///
    /// # Errors
    /// [`StoreError::NoLedger`] if there are data without a ledger, and any disk error.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let layout = Layout::new(dir);
        let ledger = Ledger::reader(&layout)?;
        Ok(Self { layout, ledger, folder: false })
    }

    /// Opens a folder in the layout of [`Store::export_parquet`], whoever wrote it: `records/` and `reports/`, in
    /// monthly folders. It has no rejected items, conflicts and mailboxes.
    ///
    /// # Errors
    /// If the folder has no `records/`.
    pub fn open_folder(dir: &Path) -> Result<Self, StoreError> {
        let layout = Layout::new(dir);
        parquet_folder::check(&layout)?;
        Ok(Self { layout, ledger: None, folder: true })
    }

    /// Whether nothing was ever stored.
    pub fn is_empty(&self) -> bool {
        !self.folder && self.ledger.is_none()
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.layout.root()
    }

    /// Passes on the rows of the filter, a run at a time, in no particular order: decoded on all cores, passed on from
    /// this thread.
    ///
    /// # Errors
    /// If a part cannot be read.
    pub fn rows(&self, filter: &Filter, columns: ColumnSet, each: &mut dyn FnMut(Rows)) -> Result<(), StoreError> {
        let paths = self.parts(filter)?;
        // A run of rows with a name of its own in each takes ten megabytes.
        let (send, receive) = crossbeam_channel::bounded(1);
        std::thread::scope(|scope| {
            let reader = scope
                .spawn(move || rows::each(&paths, (filter, &|_| columns), |rows| drop(send.send(rows)), || Ok(())));
            receive.iter().for_each(each);
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// [`Store::rows`] and [`Store::heads`] at once, on all cores: rows are passed on from each thread; this one does
    /// the heads, then its share of the rows. `columns` returns the columns needed of rows up to a day; `None`: the day
    /// is unknown.
    ///
    /// # Errors
    /// If a part, the ledger or the folder cannot be read.
    pub fn all(
        &self,
        filter: &Filter,
        columns: &(dyn Fn(Option<Date>) -> ColumnSet + Sync),
        rows: impl Fn(Rows) + Sync,
        head: &mut dyn FnMut(ReportHead),
    ) -> Result<(), StoreError> {
        rows::each(&self.parts(filter)?, (filter, columns), rows, || self.heads(filter, head))
    }

    /// Passes on the heads of the reports of the filter, one at a time; of a store, in the order in which they were
    /// stored.
    ///
    /// # Errors
    /// If the ledger or the folder cannot be read.
    pub fn heads(&self, filter: &Filter, each: &mut dyn FnMut(ReportHead)) -> Result<(), StoreError> {
        if self.folder {
            return parquet_folder::heads(&self.layout, filter, each);
        }
        self.read_ledger(|ledger| reports::heads(ledger, filter, each))
    }

    /// Passes on what each report says about its reporter, except reports whose mail was proven to be forged. A folder
    /// of Parquet files has none.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn report_notes(&self, each: &mut dyn FnMut(ReportNotes)) -> Result<(), StoreError> {
        self.read_ledger(|ledger| reports::notes(ledger, each))
    }

    /// The status of the store.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn status(&self) -> Result<Status, StoreError> {
        if self.folder {
            return self.with_tls(parquet_folder::status(&self.layout)?, None);
        }
        let Some(ledger) = &self.ledger else { return Ok(Status::default()) };
        let (rejected_unlisted, conflicts_unlisted) = survey::unlisted(&self.layout, ledger)?;
        self.with_tls(Status { rejected_unlisted, conflicts_unlisted, ..status::status(ledger)? }, None)
    }

    /// How far a mailbox was read, whatever its protocol.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn progress(&self, mailbox: &str) -> Result<MailboxProgress, StoreError> {
        self.read_ledger(|ledger| mailboxes::progress(ledger, mailbox))
    }

    /// Reads several things from the ledger as of one instant, whatever a writer does meanwhile.
    #[cfg(feature = "query")]
    pub(crate) fn at_one_instant<T, E: From<StoreError>>(&self, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let Some(ledger) = &self.ledger else { return read() };
        // It writes nothing, so there is nothing to commit.
        let _reading = ledger.connection.unchecked_transaction().map_err(ledger.failed("reading the ledger"))?;
        read()
    }

    /// What a function reads from the ledger; nothing if there is none.
    pub(in crate::store) fn read_ledger<T: Default>(
        &self,
        read: impl FnOnce(&Ledger) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.ledger.as_ref().map_or_else(|| Ok(T::default()), read)
    }

    /// The parts that may have rows of the filter: those of its months.
    pub(crate) fn parts(&self, filter: &Filter) -> Result<Vec<PathBuf>, StoreError> {
        if self.folder {
            return folder_files::files(&self.layout, "records", filter);
        }
        let sql =
            "SELECT path FROM files WHERE kind = ?1 AND month BETWEEN ?2 AND ?3 AND batch > ?4 ORDER BY month, path";
        // A merged file has a later number than any of its rows.
        let after = filter.new.as_ref().map_or(-1, |new| new.after);
        let from = filter.from.map_or_else(String::new, |day| Month::of(day).to_string());
        let to = filter.to.map_or_else(|| "9999-99".to_owned(), |day| Month::of(day).to_string());
        let asked = params![FileKind::Part.folder(), from, to, after];
        let file = |row: &Row<'_>| Ok(self.layout.file(row.get_ref(0)?.as_str()?));
        self.read_ledger(|ledger| ledger.rows("listing the parts", sql, asked, file))
    }
}
