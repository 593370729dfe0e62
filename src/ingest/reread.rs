//! Reads the originals of a store again, one report after the other, and returns each with its line in the pack's
//! manifest.

use super::IngestOptions;
use super::parsed::{ParsedReport, accept_tls, each_kept, read_tls, texts};
use super::trust::{NamedReporter, is_of_sender};
use crate::judge::{Rivalry, rivalry};
use crate::model::{Accepted, AcceptedTls, Original, Report, ReportKey, ReportKind, SenderAuth};
use crate::normalize::{Context, content_hash};
use crate::store::{KeptReport, PackedReport, Reject};
use jiff::Timestamp;
use memchr::memchr2_iter;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// A report read again.
pub(super) enum ReadReport {
    Aggregate(Box<Accepted>),
    Tls(Box<AcceptedTls>),
}

/// What became of a report that a pack lists.
pub(super) struct ReportAgain {
    /// When it was first committed.
    pub(super) ingested: Timestamp,
    /// Whether another report replaced it.
    pub(super) replaced: bool,
    /// What can no longer be read is kept as rejected: its bytes are not lost.
    pub(super) report: Result<ReadReport, Box<Reject>>,
}

impl ReportAgain {
    /// Approximate memory in bytes.
    pub(super) fn weight(&self) -> usize {
        match &self.report {
            Ok(ReadReport::Aggregate(accepted)) => accepted.weight(),
            Ok(ReadReport::Tls(accepted)) => accepted.weight(),
            Err(_) => 512,
        }
    }
}

/// Reads a kept original again, and passes on all its reports.
pub(super) fn each_again(kept: &PackedReport, options: &IngestOptions, each: &mut dyn FnMut(ReportAgain)) {
    let PackedReport { original, reports } = kept;
    let (tls, mut waiting): (Vec<_>, Vec<_>) = reports.iter().partition(|kept| kept.kind == ReportKind::Tls);
    for kept in tls {
        let report = accept_tls_again(kept.clone(), original, options).map(ReadReport::Tls);
        each(ReportAgain { ingested: kept.ingested, replaced: kept.replaced, report });
    }
    // The same bytes may have arrived twice in one batch, under other names or at other times.
    while let Some(first) = waiting.first() {
        let (attachment, arrival) = (first.provenance.attachment.clone(), first.provenance.arrival);
        let alike = |kept: &&KeptReport| kept.provenance.attachment == attachment && kept.provenance.arrival == arrival;
        let (now, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(alike);
        waiting = later;
        let context = Context { attachment: attachment.as_deref(), arrival };
        lines_again(original, now, &context, options, each);
    }
}

/// Reads the reports of an original, and passes each on with its line.
fn lines_again(
    original: &Arc<Original>,
    lines: Vec<&KeptReport>,
    context: &Context<'_>,
    options: &IngestOptions,
    each: &mut dyn FnMut(ReportAgain),
) {
    let texts = texts(original, context, options);
    let mut give = |kept: &KeptReport, found: Option<ParsedReport>| {
        let report = accept_again(kept.clone(), found, original, options).map(ReadReport::Aggregate);
        each(ReportAgain { ingested: kept.ingested, replaced: kept.replaced, report });
    };
    // Several reports may share a key, so all keys are read first. A single report, the usual case, is read once.
    let mut keys = Vec::new();
    let is_single = texts.len() == 1 && is_single(&texts[0]);
    if !is_single {
        for text in &texts {
            each_kept(Cow::Borrowed(text), context, options, |report, _, _| keys.push(Keys::of(&report)));
        }
    }
    let mut plan = (!is_single).then(|| Plan::new(&lines, &keys));
    let mut number = 0;
    // A single report is passed on after its text is dropped: storing it takes memory, too.
    let mut single = None;
    for text in texts {
        each_kept(Cow::Owned(text), context, options, |report, findings, document| {
            let plan = plan.get_or_insert_with(|| Plan::new(&lines, &[Keys::of(&report)]));
            let place = plan.of_report.get(number).copied().flatten();
            number += 1;
            let Some(place) = place else { return };
            let claim = &mut plan.claims[place];
            let report = Report { key: claim.key.unwrap_or(report.key), ..report };
            let parsed = ParsedReport { report, content: content_hash(document), findings };
            if claim.reports > 1 {
                claim.hold(parsed);
            } else if let Some(line) = claim.lines.pop() {
                if is_single {
                    single = Some((line, parsed));
                } else {
                    give(line, Some(parsed));
                }
            }
        });
    }
    single.into_iter().for_each(|(line, parsed)| give(line, Some(parsed)));
    let claims = plan.unwrap_or_else(|| Plan::new(&lines, &[])).claims;
    for mut claim in claims {
        while let Some(line) = claim.lines.pop() {
            let found = if line.replaced { claim.others.pop() } else { claim.held.take() };
            // A replaced report that cannot be distinguished from the one that counts is listed by the old ledger.
            if found.is_some() || !line.replaced {
                give(line, found);
            }
        }
    }
}

/// Whether a text has just one start tag and one end tag of a report, in any case. It may still contain no report.
fn is_single(text: &[u8]) -> bool {
    let ends_tag =
        |at: &usize| at.checked_sub(7).is_some_and(|from| text[from..=*at].eq_ignore_ascii_case(b"feedback"));
    memchr2_iter(b'k', b'K', text).filter(ends_tag).take(3).count() == 2
}

/// The keys of a report: today's, and an older version's.
struct Keys(ReportKey, Option<ReportKey>);

impl Keys {
    fn of(report: &Report) -> Self {
        Self(report.key, report.former_key)
    }
}

/// Which line of a pack belongs to which report of its original.
struct Plan<'k> {
    claims: Vec<Claim<'k>>,
    /// For each report the index of its claim.
    of_report: Vec<Option<usize>>,
}

/// The lines of one key, and the reports that have it.
#[derive(Default)]
struct Claim<'k> {
    /// The one that counts is last.
    lines: Vec<&'k KeptReport>,
    /// How many reports there are.
    reports: usize,
    /// The key that the store knows, if a report would have another today.
    key: Option<ReportKey>,
    /// Of several reports the one that counts.
    held: Option<ParsedReport>,
    /// The other ones, without their rows.
    others: Vec<ParsedReport>,
}

impl<'k> Plan<'k> {
    fn new(lines: &[&'k KeptReport], reports: &[Keys]) -> Self {
        let mut claims: Vec<Claim<'k>> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for &line in lines {
            let place = *places.entry(line.key.as_str()).or_insert_with(|| {
                claims.push(Claim::default());
                claims.len() - 1
            });
            claims[place].lines.push(line);
        }
        claims.iter_mut().for_each(|claim| claim.lines.sort_by_key(|line| !line.replaced));
        let mut of_report: Vec<Option<usize>> = Vec::with_capacity(reports.len());
        for Keys(key, _) in reports {
            let place = places.get(key.to_string().as_str()).copied();
            place.iter().for_each(|place| claims[*place].reports += 1);
            of_report.push(place);
        }
        // An older version computed keys differently. A report keeps its key: its originals and rows refer to it.
        for (Keys(_, former), place) in reports.iter().zip(&mut of_report).filter(|(_, place)| place.is_none()) {
            let Some(former) = former else { continue };
            let found = places.get(former.to_string().as_str()).copied();
            *place = found.filter(|found| claims[*found].reports == 0);
            if let Some(place) = *place {
                claims[place].reports = 1;
                claims[place].key = Some(*former);
            }
        }
        // A later version may compute keys differently: the leftovers on both sides belong together, in order.
        let missing: Vec<usize> = (0..claims.len()).filter(|place| claims[*place].reports == 0).collect();
        if missing.len() == of_report.iter().filter(|place| place.is_none()).count() {
            let left = of_report.iter_mut().filter(|place| place.is_none());
            for (report, place) in left.zip(missing) {
                *report = Some(place);
                claims[place].reports = 1;
            }
        }
        Self { claims, of_report }
    }
}

impl Claim<'_> {
    /// Of several reports with one key in one file the same one counts as when they arrived: they came in one mail, so
    /// only their rows decide.
    fn hold(&mut self, parsed: ParsedReport) {
        let counts = self.held.as_ref().is_none_or(|held| {
            let auth = SenderAuth::Unknown;
            rivalry((&parsed.report, auth), (&held.report, auth)) == Rivalry::Replaces
        });
        let other = if counts { self.held.replace(parsed) } else { Some(parsed) };
        if let Some(mut other) = other.filter(|_| self.lines.len() > 1) {
            other.report.records = Vec::new();
            self.others.push(other);
        }
    }
}

fn accept_again(
    mut kept: KeptReport,
    found: Option<ParsedReport>,
    original: &Arc<Original>,
    options: &IngestOptions,
) -> Result<Box<Accepted>, Box<Reject>> {
    let Some(parsed) = found else { return Err(Box::new(unread(kept, original))) };
    judge_sender_again(&mut kept, (&parsed.report).into(), options);
    Ok(Box::new(parsed.accept(kept.findings, original.clone(), kept.provenance, &options.trust)))
}

fn accept_tls_again(
    mut kept: KeptReport,
    original: &Arc<Original>,
    options: &IngestOptions,
) -> Result<Box<AcceptedTls>, Box<Reject>> {
    let context = Context { attachment: kept.provenance.attachment.as_deref(), arrival: kept.provenance.arrival };
    // A later version may compute keys differently; an original contains one report.
    let Some(read) = read_tls(original, &context, options) else {
        return Err(Box::new(unread(kept, original)));
    };
    judge_sender_again(&mut kept, (&read.report).into(), options);
    Ok(Box::new(accept_tls(read, kept.findings, original.clone(), kept.provenance, &options.trust)))
}

/// What remains of a report that can no longer be read.
fn unread(kept: KeptReport, original: &Original) -> Reject {
    let KeptReport { key, kind, provenance, .. } = kept;
    let extension = original.extension(kind);
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
fn judge_sender_again(kept: &mut KeptReport, reporter: NamedReporter<'_>, options: &IngestOptions) {
    let Some(mail) = &mut kept.provenance.mail else { return };
    let (auth, finding) = options.trust.judge_again(mail, reporter);
    if auth != mail.sender_auth {
        kept.findings.retain(|finding| !is_of_sender(finding.code));
        kept.findings.extend(finding);
    }
    mail.sender_auth = auth;
}

#[cfg(test)]
mod tests {
    use super::super::parsed::each_parsed;
    use super::*;
    use crate::model::Provenance;

    #[test]
    fn a_report_that_an_older_program_kept_is_found_by_its_former_key_and_keeps_it() {
        let xml = |id: &str| {
            let text = String::from_utf8(super::super::tests::xml(1, 1)).unwrap();
            text.replace("<report_id>1</report_id>", &format!("<report_id>{id}</report_id>"))
        };
        let options = options();
        let context = Context { attachment: None, arrival: options.now };
        let original = Original::Plain((xml("AGVsbG8") + &xml("agvsbg8")).into_bytes());
        let mut reports = Vec::new();
        each_parsed(&original, &context, &options, |parsed| reports.push(parsed.report));
        let former = reports[0].former_key.unwrap();
        assert_eq!(former, reports[1].key, "which told them apart no more");
        let ids = |keys: &[ReportKey]| -> Vec<(String, bool)> {
            let read = again(&original, keys.iter().map(|key| kept(*key)).collect());
            let read = read.iter().zip(keys);
            read.map(|(read, key)| (read.metadata.report_id.to_string(), read.key == *key)).collect()
        };
        assert_eq!(ids(&[former]), [("agvsbg8".to_owned(), true)], "an exact key goes first");
        let both = ids(&[reports[0].key, reports[1].key]);
        assert_eq!(both, [("AGVsbG8".to_owned(), true), ("agvsbg8".to_owned(), true)]);
        let alone = Original::Plain(xml("AGVsbG8").into_bytes());
        assert_eq!(again(&alone, vec![kept(former)])[0].key, former);
    }

    #[test]
    fn of_several_reports_with_one_key_in_a_file_the_same_one_counts_as_when_they_arrived() {
        let xml = |rows: &[u32]| {
            let one = |count: &u32| String::from_utf8(super::super::tests::xml(1, *count)).unwrap();
            let row = |count: &u32| {
                let text = one(count);
                text[text.find("<record>").unwrap()..text.find("</feedback>").unwrap()].to_owned()
            };
            let text = one(&rows[0]);
            let rows: String = rows.iter().map(row).collect();
            format!("{}{rows}</feedback>", &text[..text.find("<record>").unwrap()])
        };
        let (part, more, whole, other) = (xml(&[1]), xml(&[1, 2]), xml(&[1, 2, 3]), xml(&[7, 8]));
        for file in [part.clone() + &more + &whole + &other, part + &whole + &other + &more] {
            let original = Original::Plain(file.into_bytes());
            let mut keys = Vec::new();
            let context = Context { attachment: None, arrival: now() };
            each_parsed(&original, &context, &options(), |parsed| keys.push(parsed.report.key));
            assert!(keys.iter().all(|key| *key == keys[0]) && keys.len() == 4);
            let read = again(&original, vec![kept(keys[0])]);
            assert_eq!(read.iter().map(|report| report.records.len()).collect::<Vec<_>>(), [3]);
            // The pack lists an earlier one, too, which was committed before the whole one came.
            let read = again(&original, vec![KeptReport { replaced: true, ..kept(keys[0]) }, kept(keys[0])]);
            assert_eq!(read.iter().map(|report| report.records.len()).collect::<Vec<_>>(), [3, 0]);
        }
    }

    fn now() -> Timestamp {
        "2026-11-29T00:00:00Z".parse().unwrap()
    }

    fn options() -> IngestOptions {
        IngestOptions { now: now(), ..IngestOptions::default() }
    }

    fn kept(key: ReportKey) -> KeptReport {
        KeptReport {
            key: key.to_string(),
            kind: ReportKind::Aggregate,
            ingested: now(),
            provenance: Provenance { arrival: now(), ..Provenance::default() },
            findings: Vec::new(),
            replaced: false,
        }
    }

    /// The reports that a pack lists.
    fn again(original: &Original, reports: Vec<KeptReport>) -> Vec<Report> {
        let mut read = Vec::new();
        let packed = PackedReport { original: Arc::new(original.clone()), reports };
        each_again(&packed, &options(), &mut |again| {
            let Ok(ReadReport::Aggregate(accepted)) = again.report else { panic!("no aggregate report") };
            read.push(accepted.report);
        });
        read
    }
}
