//! Reads items again: the originals of a store (`rebuild`), its rejected items (`rejected retry`).

use super::reporters::NamedReporter;
use super::save::Saver;
use super::trial::{StoreJob, Survival, TrialItem};
use super::trust::is_of_sender;
use super::underway::Underway;
use super::work::{Done, ItemContents, KnownItems, Piece, Worked, deadly, work};
use super::{IngestError, IngestOptions, Observer, Tally};
use crate::fetch::{FetchError, Fetched, Item};
use crate::judge::judge;
use crate::limits::Limits;
use crate::model::{Accepted, AcceptedTls, Finding, Hash, Original, Provenance, Report, ReportKind, TlsReport};
use crate::normalize::{Context, Read, ReadTls, content_hash, each_report, is_no_longer_ahead, tls_report};
use crate::store::{
    Access, Added, ConflictEntry, KeptReport, OriginalReader, PackedReport, Rebuild, Rebuilt, Reject, RejectedEntry,
    StoreError, Writer, head,
};
use crate::unpack::{Content, unpack};
use jiff::Timestamp;
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Originals read together: enough for all cores, few enough that their reports fit beside a batch.
const TOGETHER: usize = 256;
/// Their bytes, as stored.
const TOGETHER_BYTES: usize = 1 << 20;

/// Rebuilds a store's tables from its originals. An original that cannot be read is reported, and the rest continues.
///
/// # Errors
/// If the store is in use or the disk fails; then the old tables are unchanged.
pub fn rebuild(dir: &Path, access: Access, options: &IngestOptions) -> Result<(Tally, Rebuilt), IngestError> {
    let mut rebuild = Rebuild::start(dir, options.now, access)?;
    let mut tally = Tally::default();
    for pack in rebuild.packs()? {
        let mut waiting = Vec::new();
        let mut bytes = 0;
        rebuild.read(&pack, |rebuild, kept| {
            bytes += size(&kept.original);
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
        let tls = parsed_tls(&original, &context, options).map(|(report, findings)| {
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

/// Retries rejected items that are TLS reports: earlier versions rejected those they did not recognize.
fn retry_tls(writer: &mut Writer, options: &IngestOptions) -> Result<Tally, IngestError> {
    let mut found = Vec::new();
    for entry in writer.rejected()? {
        if entry.file.is_none() || !entry.reason.starts_with("payload is not") {
            continue;
        }
        let unpacked = unpack(writer.rejected_bytes(&entry)?, entry.attachment.as_deref(), &options.limits);
        if unpacked.items.iter().any(|unit| matches!(unit.content, Content::TlsReport { .. })) {
            found.push(entry);
        }
    }
    if found.is_empty() { Ok(Tally::default()) } else { retry(writer, &found, options, &mut ()) }
}

fn size(original: &Original) -> usize {
    match original {
        Original::Plain(bytes) | Original::Gzip(bytes) => bytes.len(),
    }
}

fn read_again(
    tally: &mut Tally,
    writer: &mut Writer,
    kept: Vec<PackedReport>,
    options: &IngestOptions,
) -> Result<(), StoreError> {
    let read: Vec<_> = kept.into_par_iter().flat_map_iter(|kept| accept(kept, options)).collect();
    for (ingested, result) in read {
        tally.items += 1;
        match result {
            Ok((ReadReport::Tls(accepted), true)) => {
                tally.conflicts += 1;
                writer.tls_replaced_before(*accepted);
            }
            Ok((ReadReport::Tls(accepted), false)) => {
                writer.first_stored(accepted.report.key, ingested);
                tally.add_tls(writer.add_tls(*accepted)?);
            }
            Ok((ReadReport::Aggregate(accepted), true)) => {
                tally.conflicts += 1;
                writer.replaced_before(*accepted);
            }
            Ok((ReadReport::Aggregate(accepted), false)) => {
                writer.first_stored(accepted.report.key, ingested);
                add(tally, writer, *accepted)?;
            }
            Err(reject) => {
                tally.reject(&reject.origin, &reject.reason);
                writer.reject(*reject)?;
            }
        }
        if writer.is_full() {
            writer.commit()?;
        }
    }
    Ok(())
}

/// The reports of a file of which only the name is known.
fn documents(provenance: &Provenance, original: &Original, options: &IngestOptions) -> Vec<Accepted> {
    let context = Context { attachment: None, arrival: provenance.arrival };
    let accepted = |ParsedReport { report, content, findings }| Accepted {
        report,
        content,
        findings,
        verdicts: Vec::new(),
        original: Arc::new(Original::Plain(Vec::new())),
        provenance: provenance.clone(),
    };
    parsed(original, &context, options).into_iter().map(accepted).collect()
}

/// A report of an original.
struct ParsedReport {
    report: Report,
    content: Hash,
    findings: Vec<Finding>,
}

/// The reports in an original.
fn parsed(original: &Original, context: &Context<'_>, options: &IngestOptions) -> Vec<ParsedReport> {
    let bytes = match original {
        Original::Plain(bytes) | Original::Gzip(bytes) => bytes.clone(),
    };
    let mut found = Vec::new();
    for unit in unpack(bytes, context.attachment, &options.limits).items {
        let Content::Report { xml, .. } = unit.content else { continue };
        // What was stored once is read, however much memory it takes.
        let limits = Limits { report_bytes: u64::MAX, ..options.limits.clone() };
        each_report(Cow::Owned(xml), 0, context, &limits, |read, document| {
            if let Read::Report { report, findings } = read {
                found.push(ParsedReport { report, content: content_hash(document), findings });
            }
        });
    }
    found
}

/// When a retried report arrived: at that time, unless the clock was wrong then.
fn arrival(end: Timestamp, then: Timestamp, now: Timestamp) -> Timestamp {
    if then < end || then > now { now } else { then }
}

fn add(tally: &mut Tally, writer: &mut Writer, accepted: Accepted) -> Result<(), StoreError> {
    let sums = head(&accepted);
    match writer.add(accepted)? {
        Added::Stored => {
            tally.stored.reports += 1;
            tally.stored.records += u64::try_from(sums.records).unwrap_or(0);
            tally.stored.messages = tally.stored.messages.saturating_add(sums.messages);
            tally.stored.dmarc_pass = tally.stored.dmarc_pass.saturating_add(sums.dmarc_pass);
        }
        Added::Duplicate => tally.duplicates += 1,
        Added::Conflict => tally.conflicts += 1,
        Added::Replaced(replaced) => {
            tally.replace(replaced);
            tally.stored.records += u64::try_from(sums.records).unwrap_or(0);
            tally.stored.messages = tally.stored.messages.saturating_add(sums.messages);
            tally.stored.dmarc_pass = tally.stored.dmarc_pass.saturating_add(sums.dmarc_pass);
        }
    }
    Ok(())
}

/// Reads stored originals again, to compare them with reports that have their key.
pub(super) fn reader(options: &IngestOptions) -> OriginalReader {
    let options = options.clone();
    Arc::new(move |original, attachment, arrival| {
        let found = parsed(original, &Context { attachment, arrival }, &options);
        found.into_iter().map(|ParsedReport { report, content, .. }| (report, content)).collect()
    })
}

/// Replaces the stored report with one that is listed as a conflict. Returns false if its bytes no longer contain such
/// a report.
///
/// # Errors
/// If the bytes were not kept, or the store cannot be read or written.
pub fn promote(writer: &mut Writer, entry: &ConflictEntry, options: &IngestOptions) -> Result<bool, IngestError> {
    writer.read_originals_with(reader(options));
    let original = writer.conflict(entry)?;
    let context = Context { attachment: entry.attachment.as_deref(), arrival: entry.arrival };
    let (origin, attachment, arrival) = (entry.origin.clone(), entry.attachment.clone(), entry.arrival);
    let provenance = Provenance { origin, attachment, arrival, mail: None };
    if let Some((report, mut findings)) = parsed_tls(&original, &context, options) {
        if (report.key, report.content) != (entry.key, entry.content) {
            return Ok(false);
        }
        findings.extend(report.domains().into_iter().filter_map(|domain| options.trust.foreign(domain)));
        writer.promote_tls(AcceptedTls { report, findings, original: Arc::new(original), provenance })?;
        writer.commit()?;
        return Ok(true);
    }
    let is_it = |ParsedReport { report, content, .. }: &ParsedReport| {
        *content == entry.content && (report.key == entry.key || report.former_key == Some(entry.key))
    };
    let found = parsed(&original, &context, options).into_iter().find(is_it);
    let Some(ParsedReport { report, content, findings: more }) = found else { return Ok(false) };
    let (verdicts, odd) = judge(&report);
    let foreign = options.trust.foreign(report.policy.domain.as_str());
    let accepted = Accepted {
        findings: foreign.into_iter().chain(more).chain(odd).collect(),
        report,
        content,
        verdicts,
        original: Arc::new(original),
        provenance,
    };
    writer.promote(accepted, (entry.key, entry.content))?;
    writer.commit()?;
    Ok(true)
}

/// A report read again.
enum ReadReport {
    Aggregate(Box<Accepted>),
    Tls(Box<AcceptedTls>),
}

/// When a report was first committed; the report, read again, with whether another replaced it; or the reject, if it
/// cannot be read.
type Again = (Timestamp, Result<(ReadReport, bool), Box<Reject>>);

/// Reads a kept original again, once for all its reports. Whatever can no longer be read is kept as rejected: its bytes
/// are not lost.
fn accept(kept: PackedReport, options: &IngestOptions) -> Vec<Again> {
    let PackedReport { original, reports } = kept;
    let mut again: Vec<Again> = Vec::with_capacity(reports.len());
    let (tls, mut waiting): (Vec<_>, Vec<_>) = reports.into_iter().partition(|kept| kept.kind == ReportKind::Tls);
    for kept in tls {
        let (ingested, replaced) = (kept.ingested, kept.replaced);
        let read = accept_tls(kept, &original, options).map(|accepted| (ReadReport::Tls(accepted), replaced));
        again.push((ingested, read));
    }
    // The same bytes may have arrived twice in one batch, under other names or at other times.
    while let Some(first) = waiting.first() {
        let (attachment, arrival) = (first.provenance.attachment.clone(), first.provenance.arrival);
        let alike = |kept: &KeptReport| kept.provenance.attachment == attachment && kept.provenance.arrival == arrival;
        let (mut now, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(alike);
        waiting = later;
        let mut found: Vec<Option<ParsedReport>> =
            parsed(&original, &Context { attachment: attachment.as_deref(), arrival }, options)
                .into_iter()
                .map(Some)
                .collect();
        let mut places: HashMap<String, usize> = HashMap::new();
        for (place, ParsedReport { report, .. }) in
            found.iter().enumerate().filter_map(|(place, each)| Some((place, each.as_ref()?)))
        {
            places.entry(report.key.to_string()).or_insert(place);
        }
        let mut of_key: Vec<_> =
            now.iter().map(|kept| places.get(&kept.key).and_then(|place| found[*place].take())).collect();
        // An older version computed keys differently. A report keeps its key: its originals and rows refer to it.
        for (kept, place) in now.iter().zip(&mut of_key).filter(|(_, place)| place.is_none()) {
            let former = |each: &&mut Option<ParsedReport>| {
                let former = each.as_ref().and_then(|parsed| parsed.report.former_key);
                former.is_some_and(|former| kept.key == former.to_string())
            };
            *place = found.iter_mut().find(former).and_then(Option::take).map(|mut parsed| {
                parsed.report.key = parsed.report.former_key.unwrap_or(parsed.report.key);
                parsed
            });
        }
        // A later version may compute keys differently: the leftovers on both sides belong together, in order.
        let left = found.iter().flatten().count();
        if left == of_key.iter().filter(|report| report.is_none()).count() {
            let missing = of_key.iter_mut().filter(|report| report.is_none());
            missing.zip(found.into_iter().flatten()).for_each(|(place, report)| *place = Some(report));
        }
        for (kept, report) in now.drain(..).zip(of_key.drain(..)) {
            let (ingested, replaced) = (kept.ingested, kept.replaced);
            let read = accept_one(kept, report, &original, options)
                .map(|accepted| (ReadReport::Aggregate(accepted), replaced));
            again.push((ingested, read));
        }
    }
    again
}

fn accept_one(
    kept: KeptReport,
    found: Option<ParsedReport>,
    original: &Arc<Original>,
    options: &IngestOptions,
) -> Result<Box<Accepted>, Box<Reject>> {
    let Some(ParsedReport { report, content, findings: more }) = found else {
        return Err(Box::new(unread(kept, original)));
    };
    let KeptReport { mut provenance, mut findings, .. } = kept;
    let (verdicts, odd) = judge(&report);
    judge_sender_again(&mut provenance, &mut findings, (&report).into(), options);
    let foreign = options.trust.foreign(report.policy.domain.as_str());
    let findings = findings.into_iter().chain(foreign).chain(more).chain(odd).collect();
    Ok(Box::new(Accepted { report, content, verdicts, findings, original: original.clone(), provenance }))
}

fn accept_tls(
    kept: KeptReport,
    original: &Arc<Original>,
    options: &IngestOptions,
) -> Result<Box<AcceptedTls>, Box<Reject>> {
    let context = Context { attachment: kept.provenance.attachment.as_deref(), arrival: kept.provenance.arrival };
    // A later version may compute keys differently; an original contains one report.
    let Some((report, more)) = parsed_tls(original, &context, options) else {
        return Err(Box::new(unread(kept, original)));
    };
    let KeptReport { mut provenance, mut findings, .. } = kept;
    judge_sender_again(&mut provenance, &mut findings, (&report).into(), options);
    findings.extend(report.domains().into_iter().filter_map(|domain| options.trust.foreign(domain)));
    findings.extend(more);
    Ok(Box::new(AcceptedTls { report, findings, original: original.clone(), provenance }))
}

/// The TLS report in an original.
fn parsed_tls(
    original: &Original,
    context: &Context<'_>,
    options: &IngestOptions,
) -> Option<(TlsReport, Vec<Finding>)> {
    let unpacked = unpack(original.bytes().to_vec(), context.attachment, &options.limits);
    unpacked.items.into_iter().find_map(|unit| {
        let Content::TlsReport { json, .. } = unit.content else { return None };
        match tls_report(&json, context, &options.limits) {
            ReadTls::Report { report, findings } => Some((report, findings)),
            ReadTls::Rejected { .. } => None,
        }
    })
}

/// What remains of a report that can no longer be read.
fn unread(kept: KeptReport, original: &Original) -> Reject {
    let KeptReport { key, kind, provenance, .. } = kept;
    let extension = match (kind, original) {
        (ReportKind::Aggregate, Original::Plain(_)) => "xml",
        (ReportKind::Aggregate, Original::Gzip(_)) => "xml.gz",
        (ReportKind::Tls, Original::Plain(_)) => "json",
        (ReportKind::Tls, Original::Gzip(_)) => "json.gz",
    };
    Reject {
        origin: provenance.origin,
        attachment: provenance.attachment,
        reason: format!("expected the report {key} in its kept original, found it no longer"),
        bytes: Some(original.bytes().to_vec().into()),
        extension,
        arrival: provenance.arrival,
    }
}

/// Judges the mail that brought a report by the current rules.
fn judge_sender_again(
    provenance: &mut Provenance,
    findings: &mut Vec<Finding>,
    reporter: NamedReporter<'_>,
    options: &IngestOptions,
) {
    let Some(mail) = &mut provenance.mail else { return };
    let (auth, finding) = options.trust.judge_again(mail, reporter);
    if auth != mail.sender_auth {
        findings.retain(|finding| !is_of_sender(finding.code));
        findings.extend(finding);
    }
    mail.sender_auth = auth;
}

/// Retries rejected items whose period was in the future then and no longer is.
///
/// # Errors
/// If the store cannot be read or written.
pub(super) fn retry_ahead(writer: &mut Writer, options: &IngestOptions) -> Result<Tally, IngestError> {
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

/// Lets another process store items that survived their trial and were being processed when a run died all the same.
/// The waiting run continues whatever happens to them, and everything else is committed before.
pub(super) fn in_another_process(
    items: Vec<(Item, Hash)>,
    writer: &mut Writer,
    options: &IngestOptions,
    (observer, underway): (&mut dyn Observer, &Underway),
) -> Result<Tally, IngestError> {
    let Some(trial) = options.trial.clone() else { return Ok(Tally::default()) };
    let outcomes = writer.lend(|dir, access| {
        let trust = options.trust.clone();
        let job = StoreJob { dir: dir.to_owned(), access, now: options.now.as_millisecond(), trust };
        trial.store(&job, &items.iter().map(|(item, _)| TrialItem::from(item)).collect::<Vec<_>>())
    })?;
    writer.read_originals_with(reader(options));
    let mut saver = Saver::new(writer, observer, Some(underway));
    for ((item, hash), outcome) in items.into_iter().zip(outcomes) {
        saver.take(match outcome {
            Ok(alone) => {
                underway.is_known(hash);
                let Item { origin, message, arrival, .. } = item;
                let contents = ItemContents::Alone(alone);
                Done::Whole(Worked { origin, message, hash: Some(hash), arrival, contents })
            }
            Err(Survival::Died(how)) => Done::Whole(deadly(item, hash, &how)),
            Err(Survival::Unknown(reason)) => Done::Fault(FetchError::Left { origin: item.origin, reason }),
            Err(Survival::Survived) => {
                let reason = "the process that worked on it said nothing of it".to_owned();
                Done::Fault(FetchError::Left { origin: item.origin, reason })
            }
        })?;
    }
    Ok(saver.finish()?.0)
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
) -> Result<Tally, IngestError> {
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
        match options.trial.as_ref().map(|trial| trial.survives(&tried)) {
            Some(Survival::Died(how)) => {
                let reason = format!("ended the program: {how}");
                tally.items += 1;
                tally.reject(&entry.origin, &reason);
                writer.reject_again(entry, &reason)?;
                continue;
            }
            Some(Survival::Unknown(reason)) => {
                tally.faults += 1;
                observer.fault(&FetchError::Left { origin: entry.origin.clone(), reason });
                continue;
            }
            Some(Survival::Survived) | None => {}
        }
        let mut again = None;
        let mut place = |pieces: Vec<Piece>| -> Result<(), StoreError> {
            for piece in pieces {
                tally.items += 1;
                match piece {
                    Piece::Report(mut accepted) => {
                        let end = accepted.report.metadata.end;
                        accepted.provenance.arrival = arrival(end, entry.arrival, options.now);
                        tally.find(&accepted.provenance.origin, &accepted.findings);
                        add(&mut tally, writer, *accepted)?;
                        if writer.is_crowded() {
                            writer.commit()?;
                        }
                    }
                    Piece::TlsReport(mut accepted) => {
                        let end = accepted.report.end;
                        accepted.provenance.arrival = arrival(end, entry.arrival, options.now);
                        tally.find(&accepted.provenance.origin, &accepted.findings);
                        tally.add_tls(writer.add_tls(*accepted)?);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_an_older_program_kept_is_found_by_its_former_key_and_keeps_it() {
        let xml = |id: &str| {
            let text = String::from_utf8(super::super::tests::xml(1, 1)).unwrap();
            text.replace("<report_id>1</report_id>", &format!("<report_id>{id}</report_id>"))
        };
        let options = IngestOptions { now: "2026-11-29T00:00:00Z".parse().unwrap(), ..IngestOptions::default() };
        let context = Context { attachment: None, arrival: options.now };
        let original = Original::Plain((xml("AGVsbG8") + &xml("agvsbg8")).into_bytes());
        let reports: Vec<Report> =
            parsed(&original, &context, &options).into_iter().map(|parsed| parsed.report).collect();
        let former = reports[0].former_key.unwrap();
        assert_eq!(former, reports[1].key, "which told them apart no more");
        let kept = |key: crate::model::ReportKey| KeptReport {
            key: key.to_string(),
            kind: ReportKind::Aggregate,
            ingested: options.now,
            provenance: Provenance { arrival: options.now, ..Provenance::default() },
            findings: Vec::new(),
            replaced: false,
        };
        let ids = |keys: &[crate::model::ReportKey]| -> Vec<(String, bool)> {
            let reports = keys.iter().map(|key| kept(*key)).collect();
            let again = accept(PackedReport { original: Arc::new(original.clone()), reports }, &options);
            let read = again.into_iter().zip(keys).map(|((_, read), key)| {
                let (ReadReport::Aggregate(accepted), _) = read.unwrap() else { panic!("a TLS report") };
                (accepted.report.metadata.report_id.to_string(), accepted.report.key == *key)
            });
            read.collect()
        };
        assert_eq!(ids(&[former]), [("agvsbg8".to_owned(), true)], "an exact key goes first");
        let both = ids(&[reports[0].key, reports[1].key]);
        assert_eq!(both, [("AGVsbG8".to_owned(), true), ("agvsbg8".to_owned(), true)]);
        let alone = Original::Plain(xml("AGVsbG8").into_bytes());
        let again = accept(PackedReport { original: Arc::new(alone), reports: vec![kept(former)] }, &options);
        let Ok((ReadReport::Aggregate(accepted), _)) = &again[0].1 else { panic!("no report") };
        assert_eq!(accepted.report.key, former);
    }
}
