//! Reads items again: the originals of a store (`rebuild`), its rejected items (`rejected retry`).

use super::parsed::{ParsedReport, accept_tls, each_parsed, read_tls};
use super::pieces::Piece;
use super::reread::{ReadReport, ReportAgain, each_again};
use super::trial::{Survival, TrialItem};
use super::work::{KnownItems, deadly_reason, work};
use super::{IngestOptions, Observer, Tally};
use crate::fetch::{FetchError, Fetched, Item};
use crate::limits::Limits;
use crate::model::{Accepted, AcceptedTls, Original, Provenance};
use crate::normalize::{Context, ReadTls, is_no_longer_ahead};
use crate::store::{
    Access, ConflictEntry, OriginalReader, PackedReport, Rebuild, Rebuilt, RejectedEntry, ReportSums, StoreError,
    Writer,
};
use crate::unpack::{Content, unpack};
use jiff::Timestamp;
use rayon::prelude::*;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Originals read together: enough for all cores, few enough that their reports fit beside a batch.
const TOGETHER: usize = 256;
/// Their bytes, as stored.
const TOGETHER_BYTES: usize = 1 << 20;
/// Bytes that an original may inflate to beside others; a larger one is read by itself.
const SMALL: u64 = 4 << 20;
/// Memory of reports that are read together.
const READ_TOGETHER: usize = 16 << 20;

/// Rebuilds a store's tables from its originals. An original that cannot be read is reported, and the rest continues.
///
/// # Errors
/// If the store is in use or the disk fails; then the old tables are unchanged.
pub fn rebuild(dir: &Path, access: Access, options: &IngestOptions) -> Result<(Tally, Rebuilt), StoreError> {
    let mut rebuild = Rebuild::start(dir, options.now, access)?;
    let mut tally = Tally::default();
    for pack in rebuild.packs()? {
        let mut waiting = Vec::new();
        let mut bytes = 0;
        rebuild.read(&pack, |rebuild, kept| {
            bytes += kept.original.bytes().len();
            waiting.push(kept);
            if waiting.len() < TOGETHER && bytes < TOGETHER_BYTES {
                return Ok(());
            }
            bytes = 0;
            read_again(&mut tally, rebuild.writer(), std::mem::take(&mut waiting), options)
        })?;
        read_again(&mut tally, rebuild.writer(), waiting, options)?;
    }
    for (file, set_aside, original) in rebuild.unnamed_conflicts()? {
        let provenance = Provenance { origin: file.clone(), attachment: None, arrival: set_aside, mail: None };
        let reports = documents(&provenance, &original, options);
        let context = Context { attachment: None, arrival: set_aside };
        let tls = read_tls(&original, &context, options).map(|ReadTls { report, findings }| {
            let nothing = Arc::new(Original::Plain(Vec::new()));
            AcceptedTls { report, findings, original: nothing, provenance }
        });
        rebuild.name_conflicts((&file, set_aside, &original), &reports, tls.as_ref())?;
    }
    let rebuilt = rebuild.finish()?;
    let mut writer = Writer::open_as(dir, options.now, access)?;
    tally.add(retry_tls(&mut writer, options)?);
    Ok((tally, rebuilt))
}

/// How the reasons for rejecting unrecognized content begin; the first is that of earlier versions.
const OTHER_CONTENT: [&str; 3] = ["payload is not", "expected XML", "expected JSON"];

/// Retries rejected items that are TLS reports: earlier versions rejected those they did not recognize.
fn retry_tls(writer: &mut Writer, options: &IngestOptions) -> Result<Tally, StoreError> {
    let mut found = Vec::new();
    for entry in writer.rejected()? {
        if entry.file.is_none() || !OTHER_CONTENT.iter().any(|reason| entry.reason.starts_with(reason)) {
            continue;
        }
        let unpacked = unpack(writer.rejected_bytes(&entry)?, entry.attachment.as_deref(), &options.limits);
        if unpacked.items.iter().any(|unit| matches!(unit.content, Content::TlsReport { .. })) {
            found.push(entry);
        }
    }
    if found.is_empty() { Ok(Tally::default()) } else { retry(writer, &found, options, &mut ()) }
}

/// Small originals are read together on all cores. Of a large one each report is stored before the next is read.
fn read_again(
    tally: &mut Tally,
    writer: &mut Writer,
    kept: Vec<PackedReport>,
    options: &IngestOptions,
) -> Result<(), StoreError> {
    let limits = Limits { inflated_bytes: SMALL, ..options.limits.clone() };
    let small = IngestOptions { limits, ..options.clone() };
    let taken = AtomicUsize::new(0);
    let together = |kept: PackedReport| {
        if kept.original.bytes().len() as u64 > SMALL || taken.load(Ordering::Relaxed) > READ_TOGETHER {
            return Err(kept);
        }
        let mut read = Vec::new();
        each_again(&kept, &small, &mut |again| {
            taken.fetch_add(again.weight(), Ordering::Relaxed);
            read.push(again);
        });
        let is_whole = read.len() == kept.reports.len() && read.iter().all(|again| again.report.is_ok());
        if is_whole { Ok(read) } else { Err(kept) }
    };
    let read: Vec<Result<Vec<ReportAgain>, PackedReport>> = kept.into_par_iter().map(together).collect();
    for read in read {
        match read {
            Ok(read) => read.into_iter().try_for_each(|again| enter(tally, writer, again))?,
            Err(kept) => {
                let mut entered = Ok(());
                each_again(&kept, options, &mut |again| {
                    if entered.is_ok() {
                        entered = enter(tally, writer, again);
                    }
                });
                entered?;
            }
        }
    }
    Ok(())
}

/// Puts a report that was read again into the new tables.
fn enter(tally: &mut Tally, writer: &mut Writer, again: ReportAgain) -> Result<(), StoreError> {
    tally.items += 1;
    match (again.report, again.replaced) {
        (Ok(ReadReport::Tls(accepted)), true) => {
            tally.conflicts += 1;
            writer.tls_replaced_before(*accepted);
        }
        (Ok(ReadReport::Tls(accepted)), false) => {
            writer.first_stored(accepted.report.key, again.ingested);
            tally.add_report(writer.add_tls(*accepted)?, None);
        }
        (Ok(ReadReport::Aggregate(accepted)), true) => {
            tally.conflicts += 1;
            writer.replaced_before(*accepted);
        }
        (Ok(ReadReport::Aggregate(accepted)), false) => {
            writer.first_stored(accepted.report.key, again.ingested);
            add(tally, writer, *accepted)?;
        }
        (Err(reject), _) => {
            tally.reject(&reject.origin, &reject.reason);
            writer.reject(*reject)?;
        }
    }
    if writer.is_full() { writer.commit().map(drop) } else { Ok(()) }
}

/// The reports of a file of which only the name is known, without their rows.
fn documents(provenance: &Provenance, original: &Original, options: &IngestOptions) -> Vec<Accepted> {
    let context = Context { attachment: None, arrival: provenance.arrival };
    let mut all = Vec::new();
    each_parsed(original, &context, options, |ParsedReport { mut report, content, findings }| {
        report.records = Vec::new();
        let original = Arc::new(Original::Plain(Vec::new()));
        let provenance = provenance.clone();
        all.push(Accepted { report, content, verdicts: Vec::new(), findings, original, provenance });
    });
    all
}

/// When a retried report arrived: at that time, unless the clock was wrong then.
fn arrival(end: Timestamp, then: Timestamp, now: Timestamp) -> Timestamp {
    if then < end || then > now { now } else { then }
}

fn add(tally: &mut Tally, writer: &mut Writer, accepted: Accepted) -> Result<(), StoreError> {
    let sums = ReportSums::of(&accepted);
    tally.add_report(writer.add(accepted)?, Some(sums));
    Ok(())
}

/// Reads stored originals again, to compare them with reports that have their key.
pub(super) fn reader(options: &IngestOptions) -> OriginalReader {
    let options = options.clone();
    Arc::new(move |original, attachment, arrival, each| {
        let context = Context { attachment, arrival };
        each_parsed(original, &context, &options, |parsed| each(parsed.report, parsed.content));
    })
}

/// Replaces the stored report with one that is listed as a conflict. Returns false if its bytes no longer contain such
/// a report.
///
/// # Errors
/// If the bytes were not kept, or the store cannot be read or written.
pub fn promote(writer: &mut Writer, entry: &ConflictEntry, options: &IngestOptions) -> Result<bool, StoreError> {
    writer.read_originals_with(reader(options));
    let original = writer.conflict(entry)?;
    let context = Context { attachment: entry.attachment.as_deref(), arrival: entry.arrival };
    let (origin, attachment, arrival) = (entry.origin.clone(), entry.attachment.clone(), entry.arrival);
    let provenance = Provenance { origin, attachment, arrival, mail: None };
    let trust = &options.trust;
    if let Some(read) = read_tls(&original, &context, options) {
        if (read.report.key, read.report.content) != (entry.key, entry.content) {
            return Ok(false);
        }
        writer.promote_tls(accept_tls(read, Vec::new(), Arc::new(original), provenance, trust))?;
    } else {
        let mut found = None;
        each_parsed(&original, &context, options, |parsed| {
            let has_key = parsed.report.key == entry.key || parsed.report.former_key == Some(entry.key);
            if found.is_none() && has_key && parsed.content == entry.content {
                found = Some(parsed);
            }
        });
        let Some(parsed) = found else { return Ok(false) };
        let accepted = parsed.accept(None, Arc::new(original), provenance, trust);
        writer.promote(accepted, (entry.key, entry.content))?;
    }
    writer.commit()?;
    Ok(true)
}

/// Retries rejected items whose period was in the future then and no longer is.
///
/// # Errors
/// If the store cannot be read or written.
pub(super) fn retry_ahead(writer: &mut Writer, options: &IngestOptions) -> Result<Tally, StoreError> {
    let mut entries = writer.rejected()?;
    entries.retain(|entry| is_no_longer_ahead(&entry.reason, options.now) == Some(true));
    if entries.is_empty() {
        return Ok(Tally::default());
    }
    let tally = retry(writer, &entries, options, &mut ())?;
    // Anything still unreadable was reported when it arrived.
    let Tally { stored, findings, findings_more, .. } = tally;
    Ok(Tally { items: stored.reports + stored.tls_reports, stored, findings, findings_more, ..Tally::default() })
}

/// Retries rejected items. Those that are fully readable now leave the list; the observer is told of those that could not be
/// tried.
///
/// # Errors
/// If the store cannot be read or written.
pub fn retry(
    writer: &mut Writer,
    entries: &[RejectedEntry],
    options: &IngestOptions,
    observer: &mut dyn Observer,
) -> Result<Tally, StoreError> {
    writer.read_originals_with(reader(options));
    let mut tally = Tally::default();
    for entry in entries.iter().filter(|entry| entry.file.is_some()) {
        let item = Item {
            origin: entry.origin.clone(),
            name: entry.attachment.clone(),
            bytes: writer.rejected_bytes(entry)?,
            arrival: options.now,
            message: None,
        };
        // An item that crashed the program may do so again.
        let tried = TrialItem::from(&item);
        let again = match options.trial.as_ref().map(|trial| trial.survives(&tried)) {
            Some(Survival::Died(how)) => {
                tally.items += 1;
                Some(deadly_reason(&how))
            }
            Some(Survival::Unknown(reason)) => {
                tally.faults += 1;
                observer.fault(&FetchError::Left { origin: entry.origin.clone(), reason });
                continue;
            }
            Some(Survival::Survived) | None => store_again(item, entry, writer, options, &mut tally)?,
        };
        match again {
            Some(reason) => {
                tally.reject(&entry.origin, &reason);
                writer.reject_again(entry, &reason)?;
            }
            None => writer.forget_rejected(entry)?,
        }
    }
    Ok(tally)
}

/// Puts what a retried item holds into the store. Returns why something in it still cannot be read.
fn store_again(
    item: Item,
    entry: &RejectedEntry,
    writer: &mut Writer,
    options: &IngestOptions,
    tally: &mut Tally,
) -> Result<Option<String>, StoreError> {
    let mut again = None;
    let mut place = |pieces: Vec<Piece>| -> Result<(), StoreError> {
        for piece in pieces {
            tally.items += 1;
            match piece {
                Piece::Report(mut accepted) => {
                    let end = accepted.report.metadata.end;
                    accepted.provenance.arrival = arrival(end, entry.arrival, options.now);
                    tally.find(&accepted.provenance.origin, &accepted.findings);
                    add(tally, writer, *accepted)?;
                    if writer.is_crowded() {
                        writer.commit()?;
                    }
                }
                Piece::TlsReport(mut accepted) => {
                    let end = accepted.report.end;
                    accepted.provenance.arrival = arrival(end, entry.arrival, options.now);
                    tally.find(&accepted.provenance.origin, &accepted.findings);
                    tally.add_report(writer.add_tls(*accepted)?, None);
                }
                Piece::SetAside(_) | Piece::LinkOut => tally.set_aside.other += 1,
                Piece::Rejected(reject, _) => again = Some(reject.reason),
            }
        }
        Ok(())
    };
    let mut placed = Ok(());
    let done = work(Fetched::Item(item).into(), options, &KnownItems::default(), &mut |part| {
        if placed.is_ok() {
            placed = place(part.pieces);
        }
    })?;
    placed?;
    place(done.into_pieces())?;
    // Committed first: the bytes go only when what was in them is safe.
    writer.commit()?;
    Ok(again)
}
