//! Every entry point for untrusted bytes, under the name of its fuzzer in `fuzz/`. Release builds do not contain this module.
//!
//! A target panics if a property does not hold. The unit tests run every target over its corpus.

#![allow(clippy::missing_panics_doc, reason = "to panic is what these are for")]

use crate::limits::Limits;
use crate::unpack::{Content, unpack};
use crate::{judge, normalize, parse, unpack};

/// A function that takes any bytes and panics if a property does not hold.
pub type Target = fn(&[u8]);

/// The fuzz targets of this build, by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("unpack", unpack::fuzzing::any),
    ("zip", unpack::fuzzing::archive),
    ("mail", unpack::fuzzing::message),
    ("mbox", unpack::fuzzing::mailbox),
    ("parse", parse::fuzzing::xml),
    ("values", normalize::fuzzing::values),
    ("core", core),
    ("frames", crate::fetch::fuzzing::frames),
    ("mbox_gz", crate::fetch::fuzzing::compressed_mailbox),
    #[cfg(feature = "imap")]
    ("gate", crate::fetch::imap::fuzzing::gate),
    #[cfg(feature = "imap")]
    ("session", crate::fetch::imap::fuzzing::session),
    #[cfg(feature = "cli")]
    ("settings", crate::cli::fuzzing::settings),
    #[cfg(feature = "cli")]
    ("ledger", crate::store::fuzzing::ledger),
    #[cfg(feature = "cli")]
    ("zone", crate::simulate::fuzzing::zone),
    #[cfg(feature = "cli")]
    ("pages", pages),
];

/// Runs the input through the whole core, then as XML and as a TLS report: findings and counts stay in bounds, and each
/// record gets a verdict.
pub fn core(bytes: &[u8]) {
    let limits = Limits { inflated_bytes: 1 << 20, ..Limits::default() };
    let mut documents = vec![bytes.to_vec()];
    for unit in unpack(bytes.to_vec(), None, &limits).items {
        match unit.content {
            Content::Report { xml, .. } => documents.push(xml),
            Content::TlsReport { json, .. } => normalize::fuzzing::tls(&json, &limits),
            _ => {}
        }
    }
    normalize::fuzzing::tls(bytes, &limits);
    for xml in documents {
        for report in normalize::fuzzing::report(&xml, &limits) {
            let (verdicts, _) = judge::judge(&report);
            assert_eq!(verdicts.len(), report.records.len());
        }
    }
}

/// Applies the input as changes to a Parquet file of a few reports.
#[cfg(feature = "cli")]
pub fn pages(bytes: &[u8]) {
    use crate::model::{Accepted, Original, Provenance};
    use crate::store::fuzzing::ValidFiles;
    static SOUND: std::sync::OnceLock<ValidFiles> = std::sync::OnceLock::new();
    let make = || {
        let xml = include_bytes!("fuzzing/reports.xml");
        let accepted = normalize::fuzzing::report(xml, &Limits::default()).into_iter().map(|report| {
            let (verdicts, findings) = judge::judge(&report);
            let original = std::sync::Arc::new(Original::Plain(Vec::new()));
            let provenance = Provenance {
                origin: "reports.xml".to_owned(),
                attachment: None,
                arrival: jiff::Timestamp::UNIX_EPOCH,
                mail: None,
            };
            let content = normalize::content_hash("");
            Accepted { report, content, verdicts, findings, original, provenance }
        });
        ValidFiles::new(&accepted.collect::<Vec<_>>())
    };
    crate::store::fuzzing::pages(SOUND.get_or_init(make), bytes);
}

#[cfg(test)]
mod tests;
