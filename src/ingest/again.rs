//! The journey made again: from the originals of a store (`rebuild`), from its rejected items (`rejected retry`).

use super::trust::is_of_sender;
use super::work::{Contents, Piece, Worked, work};
use super::{IngestError, Options, Tally};
use crate::fetch::{Fetched, Item};
use crate::judge::judge;
use crate::model::{Accepted, Finding, Original, Provenance, Report};
use crate::normalize::{Context, Read, reports};
use crate::store::{
    Access, Added, Kept, KeptReport, Rebuild, Rebuilt, Reject, RejectedEntry, StoreError, Writer, head,
};
use crate::unpack::{Content, unpack};
use jiff::Timestamp;
use rayon::prelude::*;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Originals that are read together: enough for all cores, few enough that what is in them fits beside a batch.
const TOGETHER: usize = 256;
/// Their bytes, as they are kept.
const TOGETHER_BYTES: usize = 1 << 20;

/// Make a store's tables anew from its originals. What cannot be read is told, and the rest goes on.
///
/// # Errors
/// Where the store is in use or the disk fails; then the old tables are as they were.
pub fn rebuild(dir: &Path, access: Access, options: &Options) -> Result<(Tally, Rebuilt), IngestError> {
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
        for accepted in documents(&file, set_aside, &original, options) {
            if rebuild.name_conflict(&accepted, &file)? {
                break;
            }
        }
    }
    let rebuilt = rebuild.finish()?;
    Ok((tally, rebuilt))
}

fn size(original: &Original) -> usize {
    match original {
        Original::Xml(bytes) | Original::Gzip(bytes) => bytes.len(),
    }
}

fn read_again(tally: &mut Tally, writer: &mut Writer, kept: Vec<Kept>, options: &Options) -> Result<(), StoreError> {
    let read: Vec<_> = kept.into_par_iter().flat_map_iter(|kept| accept(kept, options)).collect();
    for (ingested, result) in read {
        tally.items += 1;
        match result {
            Ok(accepted) => {
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

/// The reports of a file of which nothing is known but its name.
fn documents(file: &str, arrival: Timestamp, original: &Original, options: &Options) -> Vec<Accepted> {
    let context = Context { attachment: None, arrival };
    let provenance = Provenance { origin: file.to_owned(), attachment: None, arrival, mail: None };
    let accepted = |(report, findings)| Accepted {
        report,
        findings,
        verdicts: Vec::new(),
        original: Arc::new(Original::Xml(Vec::new())),
        provenance: provenance.clone(),
    };
    parsed(original, &context, options).into_iter().map(accepted).collect()
}

/// The reports in an original.
fn parsed(original: &Original, context: &Context<'_>, options: &Options) -> Vec<(Report, Vec<Finding>)> {
    let bytes = match original {
        Original::Xml(bytes) | Original::Gzip(bytes) => bytes.clone(),
    };
    let mut found = Vec::new();
    for unit in unpack(bytes, context.attachment, &options.limits).items {
        let Content::Report { xml, .. } = unit.content else { continue };
        for read in reports(&xml, context, &options.limits) {
            if let Read::Report { report, findings } = read {
                found.push((report, findings));
            }
        }
    }
    found
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
    }
    Ok(())
}

/// A report that was read again, with the time it was first committed, or what is left of one that cannot be.
type Again = (Timestamp, Result<Box<Accepted>, Box<Reject>>);

/// Read a kept original again, once for all the reports in it. What no longer can be read is kept as rejected: its bytes
/// are not lost.
fn accept(kept: Kept, options: &Options) -> Vec<Again> {
    let Kept { original, reports } = kept;
    let mut again: Vec<Again> = Vec::with_capacity(reports.len());
    let mut waiting = reports;
    // The same bytes may have come twice in one batch, by other names or at other times.
    while let Some(first) = waiting.first() {
        let (attachment, arrival) = (first.provenance.attachment.clone(), first.provenance.arrival);
        let alike = |kept: &KeptReport| kept.provenance.attachment == attachment && kept.provenance.arrival == arrival;
        let (mut now, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(alike);
        waiting = later;
        let mut found: Vec<Option<(Report, Vec<Finding>)>> =
            parsed(&original, &Context { attachment: attachment.as_deref(), arrival }, options)
                .into_iter()
                .map(Some)
                .collect();
        let mut places: HashMap<String, usize> = HashMap::new();
        for (place, (report, _)) in found.iter().enumerate().filter_map(|(place, each)| Some((place, each.as_ref()?))) {
            places.entry(report.key.to_string()).or_insert(place);
        }
        let mut of_key: Vec<_> =
            now.iter().map(|kept| places.get(&kept.key).and_then(|place| found[*place].take())).collect();
        // A later version may make keys otherwise: what is left over on both sides belongs together, in its order.
        let left = found.iter().flatten().count();
        if left == of_key.iter().filter(|report| report.is_none()).count() {
            let missing = of_key.iter_mut().filter(|report| report.is_none());
            missing.zip(found.into_iter().flatten()).for_each(|(place, report)| *place = Some(report));
        }
        for (kept, report) in now.drain(..).zip(of_key.drain(..)) {
            again.push((kept.ingested, accept_one(kept, report, &original, options)));
        }
    }
    again
}

fn accept_one(
    kept: KeptReport,
    found: Option<(Report, Vec<Finding>)>,
    original: &Arc<Original>,
    options: &Options,
) -> Result<Box<Accepted>, Box<Reject>> {
    let KeptReport { key, mut provenance, mut findings, .. } = kept;
    let Some((report, more)) = found else {
        let (bytes, extension) = match original.as_ref() {
            Original::Xml(bytes) => (bytes.clone(), "xml"),
            Original::Gzip(bytes) => (bytes.clone(), "xml.gz"),
        };
        return Err(Box::new(Reject {
            origin: provenance.origin,
            attachment: provenance.attachment,
            reason: format!("expected the report {key} in its kept original, found it no longer"),
            bytes: Some(bytes),
            extension,
            arrival: provenance.arrival,
        }));
    };
    let (verdicts, odd) = judge(&report);
    if let Some(mail) = &mut provenance.mail {
        let (auth, finding) = options.trust.judge_again(mail, &report);
        if auth != mail.sender_auth {
            findings.retain(|finding| !is_of_sender(finding.code));
            findings.extend(finding);
        }
        mail.sender_auth = auth;
    }
    let foreign = options.trust.foreign(report.policy.domain.as_str());
    let findings = findings.into_iter().chain(foreign).chain(more).chain(odd).collect();
    Ok(Box::new(Accepted { report, verdicts, findings, original: original.clone(), provenance }))
}

/// Try rejected items again. Those in which everything can be read now leave the list.
///
/// # Errors
/// Where the store cannot be read or written.
pub fn retry(writer: &mut Writer, entries: &[RejectedEntry], options: &Options) -> Result<Tally, IngestError> {
    let mut tally = Tally::default();
    for entry in entries.iter().filter(|entry| entry.file.is_some()) {
        let item = Item {
            origin: entry.origin.clone(),
            name: entry.attachment.clone(),
            bytes: writer.rejected_bytes(entry)?,
            arrival: entry.arrival,
            message: None,
        };
        let Worked { contents, .. } = work(Fetched::Item(item), options, None)?;
        let Contents::Pieces(pieces) = contents else { continue };
        let mut again = None;
        for piece in pieces {
            tally.items += 1;
            match piece {
                Piece::Report(accepted) => {
                    tally.find(&accepted.provenance.origin, &accepted.findings);
                    add(&mut tally, writer, *accepted)?;
                }
                Piece::SetAside(_) | Piece::LinkOut => tally.set_aside.other += 1,
                Piece::Rejected(reject, _) => again = Some(reject.reason),
            }
        }
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
