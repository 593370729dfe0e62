//! Properties of the parsers of addresses, domains, keywords and dates for any input. The functions panic if one does
//! not hold; `fuzz/` and the tests run them, and release builds leave them out.

#![allow(clippy::missing_panics_doc, reason = "to panic is what these are for")]

use super::address::address;
use super::domain::{canonical_domain, of_address};
use super::identity;
use super::period::{TimeForm, period};
use super::words::{Word, lower, word};
use super::{Context, Read, ReadTls, reports, tls_report};
use crate::limits::Limits;
use crate::model::{Disposition, DkimResult, Evaluated, Findings, ReasonType, Report, SpfResult, SpfScope};
use jiff::Timestamp;
use jiff::tz::Offset;

/// Any bytes as XML, read into the model: there is always a result, findings are bounded, periods are in order.
pub fn report(bytes: &[u8], limits: &Limits) -> Vec<Report> {
    let context = Context { attachment: Some("a!b!1772496000!1772582399.xml"), arrival: Timestamp::MAX };
    let read = reports(bytes, &context, limits);
    assert!(!read.is_empty(), "always an answer");
    let report = |read| match read {
        Read::Report { report, findings } => {
            assert!(findings.len() <= limits.findings as usize + 1, "{findings:?}");
            assert!(report.metadata.begin <= report.metadata.end, "{report:?}");
            assert!(report.records.len() <= limits.records as usize);
            assert!(report.records.iter().all(|record| record.count >= 0), "{report:?}");
            Some(report)
        }
        Read::Rejected { reason } => {
            assert!(!reason.is_empty());
            None
        }
        Read::NotReport => None,
    };
    read.into_iter().filter_map(report).collect()
}

/// Each line as an address, a domain and a word; the first three as `begin`, `end` and the attachment's name.
pub fn values(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let (begin, end, attachment) = (lines.next(), lines.next(), lines.next());
    for arrival in [Timestamp::MAX, Timestamp::UNIX_EPOCH] {
        period_holds(begin, end, &Context { attachment, arrival });
    }
    for line in text.split('\n') {
        address_holds(line);
        domain_holds(line);
        word_holds::<Disposition>(line);
        word_holds::<Evaluated>(line);
        word_holds::<ReasonType>(line);
        word_holds::<DkimResult>(line);
        word_holds::<SpfResult>(line);
        word_holds::<SpfScope>(line);
        let folded = lower(line);
        assert_eq!(folded.as_deref().and_then(lower), folded, "{line:?}");
    }
    assert_eq!(
        identity::content_hash(&text),
        identity::content_hash(&text.replace("\r\n", "\n").replace('\r', "\n")),
        "{text:?}"
    );
}

/// A period is in order, its day lies in it, and it ends at most two days after the arrival.
fn period_holds(begin: Option<&str>, end: Option<&str>, context: &Context<'_>) {
    let mut findings = Findings::new(10);
    let Ok(period) = period(TimeForm::Seconds, (begin, end), context, &mut findings) else { return };
    let day = |at: Timestamp| Offset::UTC.to_datetime(at).date();
    assert!(period.begin <= period.end, "{period:?}");
    assert!((day(period.begin)..=day(period.end)).contains(&period.day), "{period:?}");
    let ahead = period.end.as_second() - context.arrival.as_second();
    assert!(ahead <= 2 * 86_400, "{period:?} of {context:?}");
}

/// A printed address is read back without a finding; surrounding white space does not matter.
fn address_holds(text: &str) {
    let Some(read) = address(text) else { return };
    let printed = address(&read.ip.to_string()).expect("an address");
    assert_eq!((printed.ip, printed.dropped), (read.ip, false), "{text:?}");
    assert_eq!(read.ip, read.ip.to_canonical(), "{text:?}");
}

/// Canonicalizing twice changes nothing, the result fits into DNS, and upper case gives the same.
fn domain_holds(text: &str) {
    let _ = of_address(text);
    let Some(domain) = canonical_domain(text) else { return };
    let name = domain.as_str();
    assert_eq!(canonical_domain(name).as_ref(), Some(&domain), "{text:?}");
    assert_eq!(canonical_domain(&format!(" {}. ", name.to_ascii_uppercase())).as_ref(), Some(&domain), "{text:?}");
    assert!(name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len())), "{text:?}");
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    assert!(name.bytes().all(plain), "{text:?}");
}

/// A keyword's own spelling gives the keyword; case and surrounding white space do not matter.
fn word_holds<W: Word + PartialEq + std::fmt::Debug>(text: &str) {
    let Some((read, _)) = word::<W>(text) else {
        assert!(text.trim().is_empty(), "{text:?}");
        return;
    };
    let spelt = format!("\t{} ", text.trim().to_lowercase());
    assert_eq!(word::<W>(&spelt).map(|(word, _)| word), Some(read), "{text:?}");
}

/// A TLS report from any bytes: texts, rows and findings in bounds, and the same report from the same bytes.
pub fn tls(json: &[u8], limits: &Limits) {
    let context = Context { attachment: None, arrival: Timestamp::MAX };
    let read = tls_report(json, &context, limits);
    let Ok(ReadTls { report, findings }) = &read else { return };
    assert!(findings.len() <= limits.findings as usize + 1);
    assert!(!report.policies.is_empty() && report.policies.len() <= limits.tls_policies as usize);
    assert!(report.failures() <= limits.tls_failures as usize);
    assert!(report.begin <= report.end && report.org_name.len() <= 512 && report.report_id.len() <= 512);
    for policy in &report.policies {
        let counts = [policy.successful_sessions, policy.failed_sessions];
        assert!(counts.into_iter().flatten().all(|count| count >= 0));
        assert!(policy.policy_strings.iter().chain(&policy.mx_hosts).all(|line| !line.contains(['\n', '\0'])));
    }
    assert_eq!(tls_report(json, &context, limits), read);
}
