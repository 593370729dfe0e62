//! The journey made again: from the originals of a store (`rebuild`), from its rejected items (`rejected retry`).

use super::trust::is_of_sender;
use super::work::{Contents, Piece, Worked, work};
use super::{IngestError, Options, Tally};
use crate::fetch::{Fetched, Item};
use crate::judge::judge;
use crate::model::{Accepted, Original};
use crate::normalize::{Context, Read, reports};
use crate::store::{Added, Kept, Rebuild, Reject, RejectedEntry, StoreError, Writer, head};
use crate::unpack::{Content, unpack};
use rayon::prelude::*;
use std::path::Path;
use std::sync::Arc;

/// Make a store's tables anew from its originals.
///
/// # Errors
/// Where the store is in use, a pack cannot be read, or the disk fails; then the old tables are as they were.
pub fn rebuild(dir: &Path, options: &Options) -> Result<Tally, IngestError> {
    let mut rebuild = Rebuild::start(dir, options.now)?;
    let mut tally = Tally::default();
    for pack in rebuild.packs()? {
        let kept = rebuild.kept(&pack)?;
        let read: Vec<_> = kept.into_par_iter().map(|kept| (kept.ingested, accept(kept, options))).collect();
        for (ingested, result) in read {
            tally.items += 1;
            match result {
                Ok(accepted) => {
                    rebuild.writer().first_stored(accepted.report.key, ingested);
                    add(&mut tally, rebuild.writer(), *accepted)?;
                }
                Err(reject) => {
                    tally.reject(&reject.origin, &reject.reason);
                    rebuild.writer().reject(*reject)?;
                }
            }
            if rebuild.writer().is_full() {
                rebuild.writer().commit()?;
            }
        }
    }
    rebuild.finish()?;
    Ok(tally)
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

/// Read a kept original again. What no longer can be read is kept as rejected: its bytes are not lost.
fn accept(kept: Kept, options: &Options) -> Result<Box<Accepted>, Box<Reject>> {
    let bytes = match &kept.original {
        Original::Xml(bytes) | Original::Gzip(bytes) => bytes.clone(),
    };
    let attachment = kept.provenance.attachment.as_deref();
    let context = Context { attachment, arrival: kept.provenance.arrival };
    let found = unpack(bytes, attachment, &options.limits).items.into_iter().find_map(|unit| match unit.content {
        Content::Report { xml, .. } => {
            reports(&xml, &context, &options.limits).into_iter().find_map(|read| match read {
                Read::Report { report, findings } if kept.is(report.key) => Some((report, findings)),
                _ => None,
            })
        }
        _ => None,
    });
    let Kept { key, original, mut provenance, mut findings, .. } = kept;
    let Some((report, more)) = found else {
        let (bytes, extension) = match original {
            Original::Xml(bytes) => (bytes, "xml"),
            Original::Gzip(bytes) => (bytes, "xml.gz"),
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
    Ok(Box::new(Accepted { report, verdicts, findings, original: Arc::new(original), provenance }))
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
                Piece::SetAside(_) => tally.set_aside.other += 1,
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
