//! Replaces a report with another that has the same key: the stored one is found and compared, and with the batch its
//! rows are removed from their part.
//!
//! The part is rewritten without them, with the same intents as a merge, and the batch's transaction commits both. The
//! original of the replaced report stays in its pack; a copy is kept as a conflict. The manifest of the new report's
//! pack says that it replaced another ([`ManifestLine::replaced`](crate::store::pack::manifest::ManifestLine)), so that a
//! rebuild knows which one counts.

use super::batch::{Added, Batch, Conflict, conflict_file};
use super::ledger_files::{LedgerFile, replace_files};
use super::merge;
use super::rivals::{OriginalReader, Places, ReportSums, Rival};
use super::writer::Writer;
use crate::judge::{Rivalry, rivalry};
use crate::model::{Accepted, Hash, MailFacts, Original, Provenance, Report, ReportKey, ReportKind};
use crate::store::disk::access::sync_folder;
use crate::store::disk::files::standing;
use crate::store::disk::layout::{FileKind, Layout, Month};
use crate::store::error::StoreError;
use crate::store::ledger::database::Ledger;
use crate::store::ledger::{intents, survey};
use crate::store::pack::manifest::ManifestLine;
use crate::store::pack::zip::{PackReader, manifest_of};
use crate::store::tables::values::{self, int, parse_key, sender_auth, time};
use rusqlite::{Transaction, params};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Stored reports cached per batch, for others with the same key.
const REMEMBERED: usize = 16;

/// What the ledger says about a stored report.
struct StoredRow {
    content: Hash,
    ingested: i64,
    provenance: Provenance,
    sums: ReportSums,
}

impl Writer {
    /// Compares the stored report with others by content, which requires reading its original again. Without a reader
    /// the stored one stays.
    pub fn read_originals_with(&mut self, reader: OriginalReader) {
        self.reader = Some(reader);
    }

    /// Replaces the stored report with another, on the user's request.
    ///
    /// # Errors
    /// If the ledger cannot be read, or a pack.
    pub fn promote(&mut self, mut accepted: Accepted, listed: (ReportKey, Hash)) -> Result<Added, StoreError> {
        self.keep_former_key(&mut accepted)?;
        let key = accepted.report.key;
        let is_stored = self.batch.keys.contains_key(&key) || self.stored(key)?.is_some();
        if is_stored && !self.batch.keys.contains_key(&key) && self.rival(key)?.is_none() {
            let what = format!("the report {} that counts now", accepted.report.metadata.report_id);
            return Err(StoreError::Unknown { what, expected: "an original that can be read" });
        }
        self.batch.settled.insert(listed);
        self.batch.promoted.insert(key);
        if is_stored {
            return self.replace(accepted);
        }
        self.push(accepted);
        Ok(Added::Stored)
    }

    /// A report stored under a key of an older version keeps that key.
    pub(crate) fn keep_former_key(&mut self, accepted: &mut Accepted) -> Result<(), StoreError> {
        let Some(former) = accepted.report.former_key else { return Ok(()) };
        let key = accepted.report.key;
        if self.fresh || self.batch.keys.contains_key(&key) || self.stored(key)?.is_some() {
            return Ok(());
        }
        let id = |text: &str| text.trim_matches(|c: char| c.is_whitespace() || c == '<' || c == '>').to_owned();
        let sql = "SELECT report_id FROM reports WHERE key = ?1";
        let stored: Option<String> = self.ledger.first_row("looking up a report", sql, [former.0], |row| row.get(0))?;
        if stored.is_some_and(|stored| id(&stored) == id(&accepted.report.metadata.report_id)) {
            accepted.report.key = former;
        }
        Ok(())
    }

    /// Which of the two counts: this report, or the one with its key.
    pub(crate) fn rivalry(&mut self, accepted: &Accepted) -> Result<Rivalry, StoreError> {
        let new = (&accepted.report, accepted.provenance.sender_auth());
        let key = accepted.report.key;
        let decided =
            |stored: &Accepted, promoted: bool| match rivalry(new, (&stored.report, stored.provenance.sender_auth())) {
                Rivalry::Replaces if promoted => Rivalry::Stays,
                decided => decided,
            };
        if let Some(stored) = self.batch.accepted.iter().find(|stored| stored.report.key == key) {
            return Ok(decided(stored, self.batch.promoted.contains(&key)));
        }
        let rival = self.rival(key)?;
        Ok(rival.map_or(Rivalry::Stays, |rival| decided(&rival.accepted, rival.promoted)))
    }

    /// Replaces the report with the same key, which becomes a conflict.
    pub(crate) fn replace(&mut self, accepted: Accepted) -> Result<Added, StoreError> {
        let (key, content) = (accepted.report.key, accepted.content);
        let in_batch = self.batch.accepted.iter().position(|stored| stored.report.key == key);
        let (old, sums) = if let Some(at) = in_batch {
            self.batch.keys.insert(key, content);
            self.batch.records += accepted.report.records.len();
            self.batch.bytes += accepted.weight() + accepted.original.bytes().len();
            let old = std::mem::replace(&mut self.batch.accepted[at], accepted);
            let sums = ReportSums::of(&old);
            (old, Some(sums))
        } else {
            let Some(rival) = self.rival(key)? else { return Ok(Added::Conflict) };
            self.batch.replaced.insert(key);
            self.push(accepted);
            (rival.accepted.clone(), rival.sums)
        };
        // It may have been kept as a conflict before.
        self.batch.settled.insert((key, content));
        if self.batch.conflicting.remove(&(key, content)) {
            self.batch
                .conflicts
                .retain(|Conflict { accepted, .. }| (accepted.report.key, accepted.content) != (key, content));
        }
        if old.content != content && self.batch.conflicting.insert((key, old.content)) {
            self.batch.settled.remove(&(key, old.content));
            self.push_conflict(old);
        }
        Ok(Added::Replaced(sums))
    }

    /// In a rebuild: a replaced report. It is listed as a conflict, with the copy of its bytes if that still exists.
    pub fn replaced_before(&mut self, mut accepted: Accepted) {
        let file = conflict_file(ReportKind::Aggregate, &accepted.original);
        let kept = self.layout.file(&file).is_file();
        accepted.report.records = Vec::new();
        accepted.verdicts = Vec::new();
        accepted.original = Arc::new(Original::Plain(Vec::new()));
        self.batch.bytes += accepted.weight();
        self.batch.replaced_before.push(Conflict { accepted, file: if kept { file } else { String::new() } });
    }

    /// The stored report with a key; `None` if its original can no longer be read.
    fn rival(&mut self, key: ReportKey) -> Result<Option<Arc<Rival>>, StoreError> {
        if let Some(known) = self.rivals.known.get(&key) {
            return Ok(known.clone());
        }
        let rival = StoreError::unless_damaged(self.find_rival(key))?.flatten().map(Arc::new);
        if self.rivals.known.len() >= REMEMBERED {
            self.rivals.known.clear();
        }
        self.rivals.known.insert(key, rival.clone());
        Ok(rival)
    }

    fn find_rival(&mut self, key: ReportKey) -> Result<Option<Rival>, StoreError> {
        let Some(reader) = self.reader.clone() else { return Ok(None) };
        let Some((row, month)) = self.row(key)? else { return Ok(None) };
        let Some((original, line)) = self.packed(key, month)? else { return Ok(None) };
        // One with the stored content, else any with the key; the others are dropped at once.
        let mut found: Option<(Report, Hash)> = None;
        reader(&original, line.attachment.as_deref(), line.arrival, &mut |report, content| {
            let is_it = report.key == key || report.former_key == Some(key);
            if is_it && found.as_ref().is_none_or(|(_, found)| *found != row.content) {
                found = Some((report, content));
            }
        });
        let Some((mut report, _)) = found else { return Ok(None) };
        report.key = key;
        let sums = (row.ingested == self.now.as_millisecond()).then_some(row.sums);
        let accepted = Accepted {
            report,
            content: row.content,
            verdicts: Vec::new(),
            findings: Vec::new(),
            original: Arc::new(original),
            provenance: row.provenance,
        };
        Ok(Some(Rival { accepted, promoted: line.promoted, sums }))
    }

    /// The original of the report with a key that counts, and what its pack says of it.
    pub(crate) fn packed(
        &mut self,
        key: ReportKey,
        month: Month,
    ) -> Result<Option<(Original, ManifestLine)>, StoreError> {
        let places = self.places(month)?;
        let (packs, places) = places.as_ref();
        // The last replacement counts.
        let Some((pack, replaced)) = places.get(&key).and_then(|places| places.iter().max_by_key(|place| place.1))
        else {
            return Ok(None);
        };
        let mut pack = PackReader::open(&packs[*pack])?;
        let text = key.to_string();
        let lines = pack.manifest()?;
        let Some(line) = lines.into_iter().find(|line| line.key == text && line.replaced == *replaced) else {
            return Ok(None);
        };
        Ok(Some((pack.original(&line.member)?, line)))
    }

    fn row(&self, key: ReportKey) -> Result<Option<(StoredRow, Month)>, StoreError> {
        let sql =
            "SELECT content, sender_auth, ingested, origin, attachment, arrival, records, messages, dmarc_pass, day
                   FROM reports WHERE key = ?1";
        self.ledger.first_row("looking up a report", sql, [key.0], |row| {
            let sender_auth = sender_auth(row.get_ref(1)?.as_str()?);
            let mail = MailFacts { sender_auth, ..MailFacts::default() };
            let records: i64 = row.get(6)?;
            let found = StoredRow {
                content: Hash(row.get(0)?),
                ingested: row.get(2)?,
                provenance: Provenance {
                    origin: row.get(3)?,
                    attachment: row.get(4)?,
                    arrival: time(row.get(5)?),
                    mail: Some(mail),
                },
                sums: ReportSums {
                    records: u64::try_from(records).unwrap_or(0),
                    messages: row.get(7)?,
                    dmarc_pass: row.get(8)?,
                },
            };
            Ok((found, Month::of(values::day(row.get(9)?))))
        })
    }

    /// Where the originals of a month are, looked up once per batch.
    fn places(&mut self, month: Month) -> Result<Arc<(Vec<PathBuf>, Places)>, StoreError> {
        if let Some(known) = self.rivals.months.get(&month) {
            return Ok(known.clone());
        }
        let packs: Vec<PathBuf> = self
            .files(FileKind::Pack, month)?
            .into_iter()
            .map(|(path, ..)| standing(&self.layout.file(&path)))
            .collect();
        let mut places = Places::new();
        for (index, pack) in packs.iter().enumerate() {
            // Reports whose pack is damaged stay as they are; `verify` names it.
            for line in manifest_of(pack)?.unwrap_or_default() {
                if let Some(key) = parse_key(&line.key) {
                    places.entry(key).or_default().push((index, line.replaced));
                }
            }
        }
        let found = Arc::new((packs, places));
        self.rivals.months.insert(month, found.clone());
        Ok(found)
    }

    /// Names a new file of a month, with a new number.
    pub(crate) fn plan_file(&self, kind: FileKind, month: Month) -> Result<(String, i64), StoreError> {
        let now = self.now.as_millisecond();
        intents::sync(&self.layout, &self.published)?;
        self.ledger.write("naming the merged file", |transaction| {
            let number = survey::last_batch(transaction)?.saturating_add(1);
            let sql = "INSERT INTO batches (id, committed, reports, records) VALUES (?1, ?2, 0, 0)";
            transaction.execute(sql, params![number, now])?;
            let path = Layout::relative_file(kind, month, number, self.tag);
            intents::forget_published(transaction, &self.published)?;
            intents::plan(transaction, self.ledger.generation, [&path])?;
            Ok((path, number))
        })
    }

    /// The files of a month: path, rows, reports.
    fn files(&self, kind: FileKind, month: Month) -> Result<Vec<(String, i64, i64)>, StoreError> {
        let sql = "SELECT path, records, reports FROM files WHERE kind = ?1 AND month = ?2 ORDER BY path";
        self.ledger.rows("listing the files", sql, params![kind.folder(), month.to_string()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
    }
}

/// A part to be rewritten without the rows of replaced reports.
#[derive(Debug)]
pub(crate) struct Rewrite {
    old: String,
    /// The new file, and its number; `None` if nothing is left.
    new: Option<(String, i64)>,
    month: Month,
    keys: HashSet<String>,
    records: i64,
    reports: i64,
}

/// Finds the parts with rows of the batch's replaced reports, and names the new ones.
pub(crate) fn plan(writer: &Writer, batch: &Batch) -> Result<Vec<Rewrite>, StoreError> {
    let mut months: HashMap<Month, HashSet<String>> = HashMap::new();
    for accepted in batch.accepted.iter().filter(|accepted| batch.replaced.contains(&accepted.report.key)) {
        months.entry(Month::of(accepted.report.day)).or_default().insert(accepted.report.key.to_string());
    }
    let mut rewrites = Vec::new();
    for (month, keys) in months {
        for (path, records, reports) in writer.files(FileKind::Part, month)? {
            let (rows, of) = merge::count_rows_of(&standing(&writer.layout.file(&path)), &keys)?;
            if rows == 0 {
                continue;
            }
            let left = records.saturating_sub(int(rows));
            let new = if left > 0 { Some(writer.plan_file(FileKind::Part, month)?) } else { None };
            let (records, reports) = (left, reports.saturating_sub(int(of)));
            rewrites.push(Rewrite { old: path, new, month, keys: keys.clone(), records, reports });
        }
    }
    Ok(rewrites)
}

/// Writes the new parts under their hidden names, each with its number.
pub(crate) fn write(
    layout: &Layout,
    ledger: &Ledger,
    rewrites: &[Rewrite],
) -> Result<Vec<(Option<LedgerFile>, i64)>, StoreError> {
    let mut made = Vec::new();
    for Rewrite { old, new, month, keys, records, reports } in rewrites {
        let Some((path, number)) = new else {
            made.push((None, 0));
            continue;
        };
        let hidden = Layout::temporary(&layout.file(path));
        let seal = merge::parts_without(ledger, &[standing(&layout.file(old))], &hidden, keys)?;
        let (kind, month, records, reports) = (FileKind::Part, *month, *records, *reports);
        made.push((Some(LedgerFile { path: path.clone(), kind, month, records, reports, seal }), *number));
    }
    let months: BTreeSet<Month> = rewrites.iter().map(|rewrite| rewrite.month).collect();
    months.into_iter().try_for_each(|month| sync_folder(&layout.month(FileKind::Part, month)))?;
    Ok(made)
}

/// Records with the batch: the new parts replace the old ones, and the replaced reports leave the tables.
pub(crate) fn record(
    transaction: &Transaction<'_>,
    rewrites: &[Rewrite],
    made: &[(Option<LedgerFile>, i64)],
) -> rusqlite::Result<()> {
    for (rewrite, (made, number)) in rewrites.iter().zip(made) {
        replace_files(transaction, &[&rewrite.old], made.as_slice(), *number)?;
    }
    Ok(())
}

/// Computes the sums of a month again: saturated sums cannot be subtracted from.
pub(crate) fn sum_month(transaction: &Transaction<'_>, month: Month) -> rusqlite::Result<()> {
    let (first, last) = (values::days_since_epoch(month.first()), values::days_since_epoch(month.last()));
    let mut sums = [0_i64; 4];
    let mut statement = transaction
        .prepare_cached("SELECT 1, records, messages, dmarc_pass FROM reports WHERE day BETWEEN ?1 AND ?2")?;
    let mut rows = statement.query([first, last])?;
    while let Some(row) = rows.next()? {
        for (place, sum) in sums.iter_mut().enumerate() {
            *sum = sum.saturating_add(row.get(place)?);
        }
    }
    let [reports, records, messages, passing] = sums;
    let sql = "INSERT OR REPLACE INTO totals VALUES (?1, ?2, ?3, ?4, ?5)";
    transaction.execute(sql, params![month.to_string(), reports, records, messages, passing]).map(drop)
}
