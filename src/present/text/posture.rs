//! A domain's mail setup as text: failed lookups, findings, then facts.

use super::layout::{line, section};
use crate::dns::dkim::Selector;
use crate::dns::finding::{self, CheckFinding};
use crate::dns::hosts::mx::Delivery;
use crate::dns::posture::domain::Posture;
use crate::dns::posture::sources::SourceDns;
use crate::dns::spf::{Evaluation, Node, NodeState, TermFact};
use crate::dns::transport::{HostTlsa, MtaSts, PolicyState, TlsRpt};
use crate::present::wording::numbers::{count, counted};
use crate::present::wording::words;
use std::fmt::Write as _;

/// Shows a posture: first what could not be checked, then findings and facts.
pub fn posture(posture: &Posture) -> String {
    let mut text = format!("{}\n", posture.domain);
    if posture.exists == Some(false) {
        line(&mut text, 0, "DNS has no such name. Check the spelling; this is how receivers treat mail from it.");
    }
    could_not_check(&mut text, posture);
    text.push('\n');
    if posture.findings.is_empty() && posture.unknown.is_empty() {
        line(&mut text, 0, "No problems found.\n");
    }
    posture.findings.iter().for_each(|one| one_finding(&mut text, one));
    // Each section starts with one empty line.
    text.truncate(text.trim_end_matches('\n').len() + 1);
    dmarc(&mut text, posture);
    spf(&mut text, posture);
    section(&mut text, "DKIM");
    posture.dkim.iter().for_each(|selector| dkim(&mut text, selector));
    if posture.dkim.is_empty() {
        line(&mut text, 1, "no selector known");
    }
    section(&mut text, "MX");
    posture.mx_order.iter().for_each(|step| line(&mut text, 1, step));
    transport(&mut text, posture);
    if !posture.sources.is_empty() {
        section(&mut text, "Sources in the reports");
        let (senders, others): (Vec<_>, Vec<_>) = posture.sources.iter().partition(|one| one.seen.dmarc_pass > 0);
        let shown = senders.into_iter().chain(others.iter().copied().take(FAILING_LISTED));
        shown.for_each(|one| source(&mut text, one));
        let more = others.len().saturating_sub(FAILING_LISTED) as u64;
        if more > 0 {
            let more = counted(more, "more source", "more sources");
            line(&mut text, 1, &format!("and {more} of which nothing passed DMARC; --format json lists them"));
        }
    }
    text
}

/// Maximum number of sources listed of which nothing passes: most are spoofing, and there may be many.
const FAILING_LISTED: usize = 5;

/// Maximum number of failed lookups listed.
const UNKNOWN_LISTED: usize = 10;

fn could_not_check(text: &mut String, posture: &Posture) {
    let number = posture.unknown.len();
    if number == 0 {
        return;
    }
    let lookups = counted(number as u64, "lookup", "lookups");
    line(text, 0, &format!("Could not check everything: {lookups} failed. Run it again later."));
    for unknown in posture.unknown.iter().take(UNKNOWN_LISTED) {
        line(text, 1, &format!("{}: {}", unknown.place, unknown.text));
    }
    if number > UNKNOWN_LISTED {
        line(text, 1, &format!("and {} more", number - UNKNOWN_LISTED));
    }
}

/// Shows a finding: what to do, why, and the record to publish.
fn one_finding(text: &mut String, finding: &CheckFinding) {
    line(text, 0, &format!("{:<6}  {}  {}", finding.severity.as_str(), finding.code.name, finding.place));
    line(text, 2, &finding.text);
    line(text, 2, finding.why);
    if let Some(records) = &finding.publish {
        line(text, 2, "Publish:");
        records.lines().for_each(|record| line(text, 3, record));
    }
    finding.details.iter().for_each(|detail| line(text, 2, detail));
    text.push('\n');
}

fn dmarc(text: &mut String, posture: &Posture) {
    section(text, "DMARC");
    match posture.dmarc.record() {
        Some(found) => line(text, 1, &format!("_dmarc.{}: {}", found.domain, found.record.text)),
        None if posture.dmarc.walk.is_none() => line(text, 1, "could not be looked up"),
        None if posture.findings.iter().any(|finding| finding.code == &finding::DMARC_MISSING) => {
            line(text, 1, "no record");
        }
        None => line(text, 1, "no valid record"),
    }
    posture.dmarc.meaning.iter().for_each(|words| line(text, 1, words));
}

fn spf(text: &mut String, posture: &Posture) {
    section(text, "SPF");
    for record in &posture.spf.records {
        line(text, 1, record);
    }
    if let Some(tree) = &posture.spf.tree {
        line(text, 1, &format!("DNS lookups: {} of 10; {} without an answer", tree.lookups, tree.voids));
        node(text, tree, 2);
    }
    if let Some(others) = posture.spf.others {
        line(text, 1, &format!("every other server: {}", others.as_str()));
    }
    if posture.spf.records.is_empty() {
        let damaged = posture.findings.iter().any(|finding| finding.code == &finding::SPF_NEAR);
        let words = match posture.exists {
            None => "could not be looked up",
            Some(_) if damaged => "no valid record",
            Some(_) => "no record",
        };
        line(text, 1, words);
    }
    if let Some(asked) = &posture.ip {
        line(text, 1, &format!("{}: {}", asked.address, verdict(&asked.evaluation)));
    }
}

/// What the domain requests from senders about TLS.
fn transport(text: &mut String, posture: &Posture) {
    section(text, "TLS");
    let MtaSts { records, id, policy, .. } = &posture.mta_sts;
    let record = match (records.as_slice(), id) {
        ([], _) => String::new(),
        (_, Some(id)) => format!("record with id {id}; "),
        (_, None) => "no valid record; ".to_owned(),
    };
    let policy = match policy {
        PolicyState::NoRecord => "no record: senders need not verify your mail servers".to_owned(),
        PolicyState::Unknown if records.is_empty() => "could not be looked up".to_owned(),
        PolicyState::Unknown => "the policy could not be fetched".to_owned(),
        PolicyState::NotFetched => "the policy was not fetched, because the DNS server is on this machine".to_owned(),
        PolicyState::Unusable => "no policy that senders can use".to_owned(),
        PolicyState::Valid(policy) => {
            let hosts =
                if policy.mx.is_empty() { "none".to_owned() } else { finding::list(&policy.mx, UNKNOWN_LISTED) };
            format!("mode {}, hosts: {hosts}, kept for {}", policy.mode.as_str(), kept_for(policy.max_age))
        }
    };
    line(text, 1, &format!("MTA-STS: {record}{policy}"));
    let TlsRpt { records, rua, unknown } = &posture.tls_rpt;
    let reports = match (records.is_empty(), rua.is_empty()) {
        _ if *unknown => "could not be looked up".to_owned(),
        (true, _) => "no record: senders do not report TLS failures".to_owned(),
        (false, true) => "no valid record".to_owned(),
        (false, false) => rua.join(", "),
    };
    line(text, 1, &format!("TLS reports: {reports}"));
    for HostTlsa { host, records, signed } in &posture.tlsa {
        let kinds: Vec<String> =
            records.iter().map(|one| format!("{} {} {}", one.usage, one.selector, one.matching)).collect();
        let signed = match signed {
            Some(true) => "signed, according to the DNS server",
            Some(false) => "not signed",
            None => "the DNS server does not say whether they are signed",
        };
        line(text, 1, &format!("TLSA of {host}: {} ({signed})", finding::list(&kinds, UNKNOWN_LISTED)));
    }
    let failed = posture.unknown.iter().any(|unknown| unknown.place.ends_with(" TLSA"));
    match posture.tlsa.is_empty() {
        _ if failed || posture.mx == Delivery::Unknown => line(text, 1, "TLSA: could not be looked up"),
        true => line(text, 1, "TLSA: no records"),
        false => {}
    }
}

/// A number of seconds in a readable unit.
fn kept_for(seconds: u64) -> String {
    match seconds {
        0..7200 => counted(seconds, "second", "seconds"),
        7200..172_800 => counted(seconds / 3600, "hour", "hours"),
        _ => counted(seconds / 86_400, "day", "days"),
    }
}

/// One line per domain: the number of faults and their codes.
pub fn postures(postures: &[Posture]) -> String {
    let mut text = String::new();
    for posture in postures {
        let mut codes: Vec<&str> = posture
            .findings
            .iter()
            .filter(|finding| finding.severity == finding::Severity::Fault)
            .map(|finding| finding.code.name)
            .collect();
        codes.dedup();
        let words = match (codes.len(), posture.unknown.len()) {
            (0, 0) => "no faults found".to_owned(),
            (0, _) => format!("could not be checked: {}", posture.unknown[0].text),
            (_, 0) => codes.join(", "),
            (_, unknown) => format!("{}; {unknown} could not be looked up", codes.join(", ")),
        };
        line(&mut text, 0, &format!("{}: {words}", posture.domain));
    }
    text
}

/// `pass by include:_spf.example.net > ip4:192.0.2.0/24`, with the cost.
pub(super) fn verdict(evaluation: &Evaluation) -> String {
    let mut words = evaluation.result.as_str().to_owned();
    let path: Vec<String> = evaluation.path.iter().map(|step| format!("{} ({})", step.term, step.domain)).collect();
    if !path.is_empty() {
        let _ = write!(words, " by {}", path.join(" > "));
    }
    if let Some(why) = &evaluation.why {
        let _ = write!(words, ": {why}");
    }
    let plural = if evaluation.lookups == 1 { "" } else { "s" };
    let _ = write!(words, "; {} DNS lookup{plural}, {} without an answer", evaluation.lookups, evaluation.voids);
    if let Some(explanation) = &evaluation.explanation {
        let _ = write!(words, "; explanation of the domain: {explanation}");
    }
    words
}

fn node(text: &mut String, of: &Node, depth: usize) {
    for term in &of.terms {
        let mark = if term.looks_up { "+1" } else { "  " };
        let fact = match &term.fact {
            TermFact::Nothing => String::new(),
            TermFact::Addresses(addresses) => {
                let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                format!("  {}", all.join(", "))
            }
            TermFact::Dead(name) => format!("  {name} has no address"),
            TermFact::TooManyHosts(hosts) => format!("  {hosts} hosts; the limit is 10"),
            TermFact::Dynamic => "  depends on the message".into(),
            TermFact::Unknown(name, kind, failure) => format!("  {name} {kind} could not be looked up: {failure}"),
        };
        let state = term.child.as_ref().map_or(String::new(), |child| state(child));
        line(text, depth, &format!("{mark} {}{fact}{state}", term.text));
        if let Some(child) = &term.child {
            node(text, child, depth + 2);
        }
    }
}

fn state(child: &Node) -> String {
    match &child.state {
        NodeState::Record(_) if child.lookups > 0 => format!("  ({} more inside)", child.lookups),
        NodeState::Record(_) => String::new(),
        NodeState::Broken(_, error) => format!("  invalid: {error}"),
        NodeState::None => "  has no SPF record".into(),
        NodeState::Several(records) => format!("  has {} SPF records", records.len()),
        NodeState::Loop => "  already above: a loop".into(),
        NodeState::Unknown(failure) => format!("  could not be looked up: {failure}"),
        NodeState::Cut => "  not followed: too many records".into(),
    }
}

fn dkim(text: &mut String, selector: &Selector) {
    let seen = selector.seen.as_ref().map_or(String::new(), |seen| {
        let sources: Vec<String> = seen.sources.iter().take(5).map(ToString::to_string).collect();
        format!(
            "; last used {} by {}; {} of {} verified",
            seen.last,
            sources.join(", "),
            count(seen.passed.max(0).unsigned_abs()),
            messages(seen.messages)
        )
    });
    line(text, 1, &format!("{}: {}{seen}", selector.selector, selector.state));
}

fn source(text: &mut String, source: &SourceDns) {
    let name = match source.naming.as_ref().map(|naming| naming.name()) {
        Some(Some((name, true))) => format!("{name}, confirmed"),
        Some(Some((name, false))) => format!("{name}, not confirmed"),
        Some(None) => "no reverse DNS name".into(),
        None => "name could not be looked up".into(),
    };
    let spf = source.spf.as_ref().map_or(String::new(), |evaluation| format!("; SPF today: {}", verdict(evaluation)));
    let seen = &source.seen;
    line(
        text,
        1,
        &format!(
            "{} ({name}): {}; {} passed DMARC, {} passed SPF aligned{spf}",
            seen.address,
            messages(seen.messages),
            count(seen.dmarc_pass.max(0).unsigned_abs()),
            count(seen.spf_aligned.max(0).unsigned_abs())
        ),
    );
}

fn messages(number: i64) -> String {
    words::messages(number.max(0).unsigned_abs())
}
