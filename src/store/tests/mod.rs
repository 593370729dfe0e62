//! Synthetic reports, and what the tests of the store have in common.

mod commits;
mod compaction;
mod ledgers;
mod reading;
mod upkeep;
mod versions;

use crate::model::{
    Accepted, Cause, ColumnSet, Cursor, DkimAuth, DkimResult, Domain, Evaluated, Fate, Finding, FindingCode, Flags,
    Hash, MailFacts, MailboxProgress, Message, Metadata, Original, PolicyPublished, Provenance, Reason, ReasonType,
    Record, Report, ReportKey, ReturnPath, Rows, SenderAuth, SourceAddress, SpfAuth, SpfResult, SpfScope, Verdict,
};
use crate::store::disk::layout::{FileKind, Layout, Month};
use crate::store::read::store::Store;
use crate::store::tables::ledger::{ADDED, VERSION};
use crate::store::write::writer::CommitStage;
use crate::store::*;
use jiff::Timestamp;
use jiff::civil::date;
use std::collections::BTreeMap;
use std::path::Path;

fn domain(text: &str) -> Domain {
    Domain::from_canonical(text)
}

/// Replaces a file of a store: nobody may write to one.
fn overwrite(path: &Path, bytes: &[u8]) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn now() -> Timestamp {
    Timestamp::from_second(1_795_600_000).unwrap()
}

/// A report that differs from others in everything that depends on the number.
pub(crate) fn accepted(number: u32, records: u32) -> Accepted {
    let day = date(2026, 10, 20).checked_add(jiff::Span::new().days(i64::from(number % 40))).unwrap();
    let begin =
        Timestamp::from_second(i64::from(crate::store::tables::values::days_since_epoch(day)) * 86_400).unwrap();
    let mut key = [0; 16];
    key[..4].copy_from_slice(&number.to_be_bytes());
    let mut content = [7; 32];
    content[..4].copy_from_slice(&number.to_be_bytes());
    let records: Vec<Record> = (0..records).map(|index| record(number, index)).collect();
    Accepted {
        content: Hash(content),
        verdicts: records.iter().map(verdict).collect(),
        report: Report {
            key: ReportKey(key),
            former_key: None,
            day,
            metadata: Metadata {
                org_name: ["Receiver One", "Receiver Two", "Empfänger drei"][number as usize % 3].into(),
                email: Some("reports@receiver.example".into()),
                extra_contact_info: None,
                report_id: format!("id-{number}").into(),
                begin,
                end: begin + jiff::SignedDuration::from_secs(86_399),
                errors: if number.is_multiple_of(5) { vec!["two records".into()] } else { vec![] },
                generator: None,
                version: Some("1.0".into()),
            },
            policy: PolicyPublished {
                domain: domain(["example.com", "example.net"][number as usize % 2]),
                p: Some("reject".into()),
                sp: None,
                np: None,
                adkim: Some("r".into()),
                aspf: None,
                pct: (number.is_multiple_of(2)).then_some(100),
                fo: None,
                testing: None,
                discovery_method: None,
            },
            records,
        },
        findings: if number.is_multiple_of(7) {
            vec![Finding::new(FindingCode::PERIOD_SWAPPED, "begin is after end")]
        } else {
            vec![]
        },
        original: std::sync::Arc::new(match number % 2 {
            0 => Original::Plain(format!("<feedback>{number}</feedback>").into_bytes()),
            _ => Original::Gzip(number.to_be_bytes().to_vec()),
        }),
        provenance: Provenance {
            origin: format!("inbox.mbox > message {number} > report.xml"),
            attachment: Some("report.xml".into()),
            arrival: now(),
            mail: (number.is_multiple_of(3)).then(|| MailFacts {
                message_id: Some(format!("<{number}@receiver.example>")),
                sender_auth: SenderAuth::Fail,
                ..MailFacts::default()
            }),
        },
    }
}

fn record(number: u32, index: u32) -> Record {
    let octet = u8::try_from((number * 31 + index * 7) % 250).unwrap();
    Record {
        source_ip: match index % 4 {
            0 => Some([192, 0, 2, octet].into()),
            1 => Some([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(octet)].into()),
            2 => Some([198, 51, 100, octet].into()),
            _ => None,
        },
        count: i64::from(index + 1),
        disposition: None,
        evaluated_dkim: Some(if index.is_multiple_of(2) { Evaluated::Pass } else { Evaluated::Fail }),
        evaluated_spf: Some(Evaluated::Fail),
        reasons: match index % 3 {
            0 => vec![],
            1 => vec![Reason { kind: Some(ReasonType::LocalPolicy), comment: Some("arc=pass".into()) }],
            _ => {
                vec![Reason { kind: Some(ReasonType::Forwarded), comment: None }, Reason { kind: None, comment: None }]
            }
        },
        header_from: Some(domain("example.com")),
        envelope_from: match index % 3 {
            0 => ReturnPath::Unsaid,
            1 => ReturnPath::Null,
            _ => ReturnPath::Domain(domain("bounce.example.org")),
        },
        envelope_to: None,
        dkim: (0..index % 3)
            .map(|signature| DkimAuth {
                domain: Some(domain("example.com")),
                selector: Some(format!("s{signature}").into()),
                result: Some(DkimResult::Pass),
                human_result: None,
            })
            .collect(),
        spf: vec![SpfAuth {
            domain: Some(domain("bounce.example.org")),
            scope: Some(SpfScope::MailFrom),
            result: Some(SpfResult::SoftFail),
            human_result: Some("".into()),
        }],
    }
}

fn verdict(record: &Record) -> Verdict {
    let pass = record.evaluated_dkim == Some(Evaluated::Pass);
    Verdict {
        org_domain: record.header_from.clone(),
        dkim_aligned: Some(pass),
        spf_aligned: Some(false),
        dmarc_pass: pass,
        recomputed_dkim: None,
        recomputed_spf: Some(false),
        mismatch: None,
        cause: if pass { Cause::PassDkimOnly } else { Cause::Unauthenticated },
        deciding_dkim: (!record.dkim.is_empty()).then_some(0),
        deciding_spf: Some(0),
    }
}

/// Every row of some `Rows`, as text, sorted: equal for equal stores, whatever the order of files.
fn texts(rows: &Rows) -> Vec<String> {
    (0..rows.len)
        .map(|row| {
            let words = rows.words().map(|words| words.get(row));
            let fixed = (rows.day[row], rows.source[row], rows.count[row], rows.flags[row], rows.cause[row]);
            format!("{fixed:?} {words:?}")
        })
        .collect()
}

fn stored(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    Store::open(dir).unwrap().rows(&Filter::default(), ColumnSet::ALL, &mut |rows| all.extend(texts(&rows))).unwrap();
    all.sort();
    all
}

fn collected(reports: &[Accepted]) -> Vec<String> {
    let mut collector = Collector::new();
    for accepted in reports {
        let auth = accepted.provenance.sender_auth();
        collector.push(&accepted.report, (&accepted.verdicts, auth), usize::MAX, |_| {});
    }
    let mut all = texts(&collector.take());
    all.sort();
    all
}

fn write(dir: &Path, reports: &[Accepted]) -> BTreeMap<&'static str, usize> {
    let mut writer = Writer::open(dir, now()).unwrap();
    let mut outcomes = BTreeMap::new();
    for accepted in reports {
        let outcome = match writer.add(accepted.clone()).unwrap() {
            Added::Stored => "stored",
            Added::Duplicate => "duplicate",
            Added::Conflict => "conflict",
            Added::Replaced(_) => "replaced",
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    writer.commit().unwrap();
    outcomes
}

/// A month of many small batches.
fn many_batches(dir: &Path, batches: u32) -> Vec<Accepted> {
    let reports: Vec<_> = (0..batches * 3).map(|number| accepted(number, number % 6)).collect();
    for batch in reports.chunks(3) {
        write(dir, batch);
    }
    reports
}

fn count(dir: &Path, kind: FileKind) -> usize {
    let mut files = Vec::new();
    crate::store::ledger::survey::visible(&Layout::new(dir).folder(kind), kind.extension(), &mut files).unwrap();
    files.len()
}

/// How many reports the manifests of all packs name, each once.
fn manifest_keys(dir: &Path) -> usize {
    let mut packs = Vec::new();
    crate::store::ledger::survey::visible(&Layout::new(dir).folder(FileKind::Pack), "zip", &mut packs).unwrap();
    let mut keys: Vec<_> = packs
        .iter()
        .flat_map(|path| crate::store::pack::zip::PackReader::open(path).unwrap().manifest().unwrap())
        .map(|line| line.key)
        .collect();
    let all = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), all);
    all
}

/// The rows of all parts under `records/`, whatever the ledger says.
fn globbed(dir: &Path) -> usize {
    let mut parts = Vec::new();
    crate::store::ledger::survey::visible(&Layout::new(dir).folder(FileKind::Part), "parquet", &mut parts).unwrap();
    parts.into_iter().map(|path| crate::store::parquet::rows::ParquetPart::open(path).unwrap().metadata.num_rows).sum()
}

/// Kills a writer at a stage of its next commit or merge.
fn kill_at(writer: &mut Writer, stage: CommitStage) {
    *writer.fault.get_mut() = Some(Box::new(move |at| at == stage));
}
