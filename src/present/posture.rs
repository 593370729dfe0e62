//! What DNS says of a domain, as text for a person. In: a [`Posture`]. Out: lines, findings first.

use super::{clean::is_shown, words};
use crate::dns::dkim::Selector;
use crate::dns::finding::Finding;
use crate::dns::posture::{Posture, Source};
use crate::dns::spf::{Evaluation, Node, NodeState, TermFact};
use std::fmt::Write as _;

/// Show a posture.
pub fn posture(posture: &Posture) -> String {
    let mut text = format!("{}\n", posture.domain);
    if posture.exists == Some(false) {
        line(&mut text, 0, "DNS has no such name: what follows is what receivers make of mail in its name");
    }
    text.push('\n');
    findings(&mut text, &posture.findings);
    for unknown in &posture.unknown {
        line(&mut text, 0, &format!("could not look up {}: {}", unknown.place, unknown.text));
    }
    if !posture.unknown.is_empty() {
        line(&mut text, 0, "  nothing is said here about what these would have told\n");
    }
    dmarc(&mut text, posture);
    spf(&mut text, posture);
    section(&mut text, "DKIM");
    posture.dkim.iter().for_each(|selector| dkim(&mut text, selector));
    if posture.dkim.is_empty() {
        line(&mut text, 1, "no selector known");
    }
    section(&mut text, "MX");
    posture.mx_order.iter().for_each(|step| line(&mut text, 1, step));
    if !posture.sources.is_empty() {
        section(&mut text, "Sources in the reports");
        posture.sources.iter().for_each(|one| source(&mut text, one));
    }
    text
}

/// Show findings, each with its reason and what to publish.
pub(super) fn findings(text: &mut String, findings: &[Finding]) {
    if findings.is_empty() {
        line(text, 0, "nothing to say against it\n");
    }
    for finding in findings {
        line(text, 0, &format!("{:<6}  {}  {}", finding.severity.as_str(), finding.code.name, finding.place));
        line(text, 4, &finding.text);
        line(text, 4, finding.why);
        if let Some(record) = &finding.publish {
            line(text, 4, &format!("publish: {record}"));
        }
        text.push('\n');
    }
}

fn dmarc(text: &mut String, posture: &Posture) {
    section(text, "DMARC");
    match posture.dmarc.record() {
        Some(found) => line(text, 1, &format!("_dmarc.{}: {}", found.domain, found.record.text)),
        None if posture.dmarc.walk.is_none() => line(text, 1, "could not look up"),
        None => line(text, 1, "no record"),
    }
    posture.dmarc.meaning.iter().for_each(|words| line(text, 1, words));
}

fn spf(text: &mut String, posture: &Posture) {
    section(text, "SPF");
    for record in &posture.spf.records {
        line(text, 1, record);
    }
    if let Some(tree) = &posture.spf.tree {
        line(text, 1, &format!("look-ups: {} of 10, {} of them find nothing", tree.lookups, tree.voids));
        node(text, tree, 2);
    }
    if let Some(others) = posture.spf.others {
        line(text, 1, &format!("every other host: {}", others.as_str()));
    }
    if posture.spf.records.is_empty() {
        line(text, 1, if posture.exists.is_some() { "no record" } else { "could not look up" });
    }
    if let Some(asked) = &posture.ip {
        line(text, 1, &format!("{}: {}", asked.address, verdict(&asked.evaluation)));
    }
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
    let _ = write!(words, "; {} look-up{plural}, {} found nothing", evaluation.lookups, evaluation.voids);
    if let Some(explanation) = &evaluation.explanation {
        let _ = write!(words, "; the domain explains: {explanation}");
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
            TermFact::TooManyHosts(hosts) => format!("  {hosts} hosts, the limit is 10"),
            TermFact::Dynamic => "  depends on the mail".into(),
            TermFact::Unknown(name, kind, failure) => format!("  {name} {kind}: could not look up: {failure}"),
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
        NodeState::Broken(_, error) => format!("  in error: {error}"),
        NodeState::None => "  has no SPF record".into(),
        NodeState::Several(records) => format!("  has {} SPF records", records.len()),
        NodeState::Loop => "  stands above: a loop".into(),
        NodeState::Unknown(failure) => format!("  could not look up: {failure}"),
        NodeState::Cut => "  not followed: the tree is too big".into(),
    }
}

fn dkim(text: &mut String, selector: &Selector) {
    let seen = selector.seen.as_ref().map_or(String::new(), |seen| {
        let sources: Vec<String> = seen.sources.iter().take(5).map(ToString::to_string).collect();
        format!(
            "; last used {} by {}, {} of {} verified",
            seen.last,
            sources.join(", "),
            seen.passed,
            messages(seen.messages)
        )
    });
    line(text, 1, &format!("{}: {}{seen}", selector.selector, selector.state));
}

fn source(text: &mut String, source: &Source) {
    let name = match source.naming.as_ref().map(|naming| naming.name()) {
        Some(Some((name, true))) => format!("{name}, confirmed"),
        Some(Some((name, false))) => format!("{name}, not confirmed"),
        Some(None) => "no name".into(),
        None => "name unknown".into(),
    };
    let spf = source.spf.as_ref().map_or(String::new(), |evaluation| format!("; SPF today: {}", verdict(evaluation)));
    let seen = &source.seen;
    line(
        text,
        1,
        &format!(
            "{} ({name}): {}, {} pass DMARC, {} pass SPF aligned{spf}",
            seen.address,
            messages(seen.messages),
            seen.dmarc_pass,
            seen.spf_aligned
        ),
    );
}

fn messages(number: i64) -> String {
    words::messages(number.max(0).unsigned_abs())
}

pub(super) fn section(text: &mut String, name: &str) {
    let _ = writeln!(text, "\n{name}");
}

/// One line, indented, with what must not be shown replaced: records hold strangers' text.
pub(super) fn line(text: &mut String, depth: usize, words: &str) {
    text.extend(std::iter::repeat_n("  ", depth));
    let ends = words.ends_with('\n');
    text.extend(words.trim_end_matches('\n').chars().map(|char| if is_shown(char) { char } else { '\u{fffd}' }));
    text.push_str(if ends { "\n\n" } else { "\n" });
}
