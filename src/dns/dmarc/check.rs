//! Checks a domain's DMARC record, and says what it means for the domain. `proposals` decides which record to publish
//! instead.

use super::discover::{Discovered, Discovery, discover};
use super::published::is_unpublished;
use super::record::{DmarcRecord, Policy, Reach, SyntaxMistake};
use super::targets;
use crate::dns::finding as codes;
use crate::dns::finding::{CheckCode, Notes};
use crate::dns::lookup::answer::{Answer, Lookup, QueryType};
use crate::dns::lookup::name;
use crate::dns::tags::quoting_fault;
use crate::model::Tags;
use serde::Serialize;

/// Addresses a reporter has to serve (RFC 7489 section 6.2).
const TARGET_LIMIT: usize = 2;

/// The DMARC side of a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Dmarc {
    /// The applicable record by the tree walk of RFC 9989; `None` if a step could not be looked up.
    pub walk: Option<Discovered>,
    /// The applicable record by the suffix list of RFC 7489.
    pub list: Option<Discovered>,
    /// What receivers are asked to do with the domain's failing mail; `None` without a record.
    pub policy: Option<Policy>,
    /// What the record means here, in sentences.
    pub meaning: Vec<String>,
}

/// Where the tree walk (RFC 9989) and the public suffix list (RFC 7489) come to different answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WalkDifference {
    /// They find the records of different domains, or only one finds any.
    Record {
        /// The domain whose record the tree walk finds.
        walk: Option<String>,
        /// The domain whose record the public suffix list leads to.
        list: Option<String>,
    },
    /// They find the same record, but different organizational domains.
    Organization {
        /// By the tree walk.
        walk: String,
        /// By the public suffix list.
        list: String,
    },
}

impl Dmarc {
    /// The applicable record.
    pub fn record(&self) -> Option<&super::Found> {
        [&self.walk, &self.list].into_iter().flatten().find_map(|discovered| discovered.found.as_ref())
    }

    /// Where the two methods disagree; `None` if they agree, or one of them failed.
    pub fn walk_difference(&self) -> Option<WalkDifference> {
        let (walk, list) = self.walk.as_ref().zip(self.list.as_ref())?;
        let at = |discovered: &Discovered| discovered.found.as_ref().map(|found| found.domain.clone());
        let (walked, listed) = (at(walk), at(list));
        if walked != listed {
            return Some(WalkDifference::Record { walk: walked, list: listed });
        }
        let differs = walked.is_some() && walk.organization != list.organization;
        let (walk, list) = (walk.organization.clone(), list.organization.clone());
        differs.then_some(WalkDifference::Organization { walk, list })
    }
}

/// Checks the record of a domain.
pub fn check(lookup: &dyn Lookup, domain: &str, notes: &mut Notes) -> Dmarc {
    let discovery = discover(lookup, domain);
    let is_unpublished = is_unpublished(lookup, domain, notes);
    for step in &discovery.steps {
        if let Answer::Failed(failure) = &step.record {
            notes.unknown(&format!("_dmarc.{}", step.domain), QueryType::Txt, failure);
        }
    }
    let Discovery { walk, list, .. } = discovery;
    let mut dmarc = Dmarc { walk: walk.ok(), list: list.ok(), policy: None, meaning: Vec::new() };
    differences(domain, &dmarc, notes);
    let Some(found) = dmarc.record().cloned() else {
        if let (Some(_), Some(list), true) = (&dmarc.walk, &dmarc.list, is_unpublished) {
            let organization = &list.organization;
            let text = if organization == domain {
                format!("Publish a DMARC record at _dmarc.{domain}: there is none.")
            } else {
                format!("Publish a DMARC record at _dmarc.{organization}: there is none at {domain} or above it.")
            };
            notes.find(&codes::DMARC_MISSING, format!("_dmarc.{domain} TXT"), text);
        }
        return dmarc;
    };
    record_findings(lookup, &found.domain, &found.record, notes);
    let reach = reach(lookup, domain, &found.domain);
    dmarc.policy = Some(found.record.policy_for(reach));
    dmarc.meaning = meaning(domain, &found.domain, &found.record, reach);
    dmarc
}

/// Whether the record covers this domain as itself or as a subdomain.
fn reach(lookup: &dyn Lookup, domain: &str, found_at: &str) -> Reach {
    if domain == found_at {
        Reach::Domain
    } else if matches!(lookup.txt(domain), Answer::NxDomain) {
        Reach::Nonexistent
    } else {
        Reach::Subdomain
    }
}

/// Reports where the two methods disagree.
fn differences(domain: &str, dmarc: &Dmarc, notes: &mut Notes) {
    let text = match dmarc.walk_difference() {
        None => return,
        Some(WalkDifference::Record { walk, list }) => {
            let say =
                |place: Option<String>| place.map_or("no record".to_owned(), |place| format!("the record of {place}"));
            format!(
                "Check which record should apply: the tree walk (RFC 9989) finds {}, the public suffix list (RFC 7489) {}.",
                say(walk),
                say(list)
            )
        }
        Some(WalkDifference::Organization { walk, list }) => format!(
            "Check that your mail aligns both ways: the organizational domain is {walk} by the tree walk (RFC 9989) and {list} by \
             the public suffix list (RFC 7489), so relaxed alignment differs."
        ),
    };
    notes.find(&codes::DMARC_DIFFERS, format!("_dmarc.{domain} TXT"), text);
}

fn record_findings(lookup: &dyn Lookup, at: &str, record: &DmarcRecord, notes: &mut Notes) {
    let place = format!("_dmarc.{at} TXT");
    if let Some(fault) = quoting_fault(&record.text) {
        let text = format!("Remove the marks from `{}`: {fault}.", record.text);
        return notes.find(&codes::DMARC_QUOTED, place, text);
    }
    for slip in &record.slips {
        let (code, text) = slip_words(slip);
        notes.find(code, &place, text);
    }
    policy_advice(at, record, notes);
    other_advice(at, record, notes);
    targets::check(lookup, at, record, notes);
}

fn slip_words(slip: &SyntaxMistake) -> (&'static CheckCode, String) {
    match slip {
        SyntaxMistake::Piece(piece) => {
            let hint = if piece.contains('=') { "; separate tags with semicolons" } else { "" };
            (&codes::DMARC_SYNTAX, format!("Correct `{piece}`: expected tag=value{hint}."))
        }
        SyntaxMistake::Repeated(tag) => {
            (&codes::DMARC_REPEATED, format!("Keep one `{tag}` tag: the record has several."))
        }
        SyntaxMistake::Empty(tag) => (&codes::DMARC_EMPTY, format!("Remove `{tag}=` or give it a value.")),
        SyntaxMistake::Unknown(tag) => (&codes::DMARC_UNKNOWN, format!("Remove `{tag}`: it is not a DMARC tag.")),
        SyntaxMistake::Typo(tag, meant) => {
            (&codes::DMARC_TYPO, format!("Correct `{tag}`: it is not a DMARC tag. Did you mean `{meant}`?"))
        }
        SyntaxMistake::NoPolicy => (&codes::DMARC_P_MISSING, "Add a policy: the record has no p tag.".into()),
        SyntaxMistake::Policy(tag, value) => {
            let code = match *tag {
                "p" => &codes::DMARC_P_INVALID,
                "sp" => &codes::DMARC_SP_INVALID,
                _ => &codes::DMARC_NP_INVALID,
            };
            (code, format!("Correct `{tag}={value}`: expected none, quarantine or reject."))
        }
        SyntaxMistake::Value(tag, value, expected) => {
            (&codes::DMARC_VALUE, format!("Correct `{tag}={value}`: expected {expected}."))
        }
        SyntaxMistake::Target(tag, _, why) => (&codes::DMARC_URI, format!("Correct the address in {tag}: {why}.")),
        SyntaxMistake::Removed(tag, value) => (&codes::DMARC_REMOVED, format!("You can remove `{tag}={value}`.")),
    }
}

fn policy_advice(at: &str, record: &DmarcRecord, notes: &mut Notes) {
    let place = format!("_dmarc.{at} TXT");
    let tags = Tags::parse(&record.text);
    let written = |tag: &str| tags.get(tag).unwrap_or_default().to_owned();
    if record.has_policy() {
        let p = record.policy_for(Reach::Domain);
        let sp = record.policy_for(Reach::Subdomain);
        let np = record.policy_for(Reach::Nonexistent);
        if p == Policy::None {
            let text = format!(
                "Move from p={} to p=quarantine when your own mail passes; `dmarquet summary` says when that is.",
                written("p")
            );
            notes.find(&codes::DMARC_NONE, &place, text);
        }
        if sp < p {
            let text = format!(
                "Raise sp={} to {} when mail from your subdomains passes: p is {}.",
                written("sp"),
                p.as_str(),
                written("p")
            );
            notes.find(&codes::DMARC_SP_WEAKER, &place, text);
        }
        if np < sp {
            let text = format!(
                "Raise np={}: names that do not exist get a weaker policy than subdomains that exist ({}).",
                written("np"),
                sp.as_str()
            );
            notes.find(&codes::DMARC_NP_WEAKER, &place, text);
        }
    }
    if record.testing {
        let p = record.policy_for(Reach::Domain);
        let text = if p > Policy::None {
            format!("Remove t=y when your own mail passes: p={} acts as {}.", written("p"), p.milder().as_str())
        } else {
            "You can remove t=y: it has no effect with p=none.".to_owned()
        };
        notes.find(&codes::DMARC_TESTING, &place, text);
    }
    if let Some(percent) = record.pct.filter(|percent| *percent < 100) {
        let text = format!("Remove pct={percent} when your own mail passes.");
        notes.find(&codes::DMARC_PARTIAL, &place, text);
    }
    if record.psd == Some(true) && name::organizational(at) != at {
        notes.find(&codes::DMARC_PSD, &place, format!("Remove psd=y: {at} is not a public suffix."));
    } else if record.psd == Some(true) && psl::domain_str(at).is_some() {
        notes.find(&codes::DMARC_PSD, &place, format!("Remove psd=y: {at} is not in the public suffix list."));
    }
}

fn other_advice(at: &str, record: &DmarcRecord, notes: &mut Notes) {
    let place = format!("_dmarc.{at} TXT");
    if !record.means_rua() {
        notes.find(&codes::DMARC_NO_RUA, &place, "Add rua with the address that should get aggregate reports.");
    }
    if record.rua.len() > TARGET_LIMIT {
        let text = format!("Reduce rua to two addresses: it names {}.", record.rua.len());
        notes.find(&codes::DMARC_TARGETS, &place, text);
    }
    if let Some(fo) = record.fo.as_ref().filter(|_| record.ruf.is_empty()) {
        notes.find(&codes::DMARC_FO, &place, format!("You can remove fo={fo}: the record has no ruf."));
    }
    if !record.ruf.is_empty() {
        notes.find(&codes::DMARC_RUF, &place, "Check that you want failure reports: ruf asks for them.");
    }
    for target in record.rua.iter().chain(&record.ruf) {
        if let Some(size) = &target.size {
            let text = format!("Remove the size limit !{size} from `{}`.", target.uri);
            notes.find(&codes::DMARC_SIZE, &place, text);
        }
    }
}

/// What the record means for this domain, tag by tag.
fn meaning(domain: &str, at: &str, record: &DmarcRecord, reach: Reach) -> Vec<String> {
    let mut lines = Vec::new();
    let own = record.policy_for(reach);
    let source = match reach {
        Reach::Domain => "p".to_owned(),
        Reach::Subdomain if record.sp.is_some() => format!("sp of {at}"),
        Reach::Nonexistent if record.np.is_some() => format!("np of {at}; receivers that follow RFC 7489 use sp"),
        Reach::Nonexistent if record.sp.is_some() => format!("sp of {at}, because it has no np"),
        _ => format!("p of {at}, because it has no sp"),
    };
    lines.push(format!("policy for mail from {domain} that fails DMARC: {} ({source})", own.as_str()));
    if reach == Reach::Domain {
        let sp = record.policy_for(Reach::Subdomain);
        let from = if record.sp.is_some() { "sp" } else { "p, because there is no sp" };
        lines.push(format!("for its subdomains: {} ({from})", sp.as_str()));
        let np = record.policy_for(Reach::Nonexistent);
        let from = match (record.np, record.sp) {
            (Some(_), _) => "np; receivers that follow RFC 7489 use sp",
            (None, Some(_)) => "sp, because there is no np",
            (None, None) => "p, because there is no np or sp",
        };
        lines.push(format!("for subdomains that do not exist: {} ({from})", np.as_str()));
    }
    if record.testing {
        let milder = own.milder().as_str();
        lines.push(format!("t=y: receivers that follow RFC 9989 apply {milder} instead of {}", own.as_str()));
    }
    if let Some(percent) = record.pct {
        let rest = own.milder().as_str();
        lines.push(format!(
            "pct={percent}: receivers that follow RFC 7489 apply the policy to {percent}% of failing mail and {rest} to the \
             rest; RFC 9989 ignores pct"
        ));
    }
    let mode =
        |strict: bool| if strict { "strict (the same domain)" } else { "relaxed (the same organizational domain)" };
    lines.push(format!("alignment: DKIM {}, SPF {}", mode(record.adkim_strict), mode(record.aspf_strict)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::lookup::test_zone::Zone;

    fn codes_of(zone: &str) -> Vec<&'static str> {
        let mut notes = Notes::default();
        check(&Zone::new(&format!("example.com MX 10 mx.example.com\n{zone}")), "example.com", &mut notes);
        assert_eq!(notes.unknown, []);
        notes.findings.iter().map(|finding| finding.code.name).collect()
    }

    #[test]
    fn a_good_record_has_no_finding() {
        assert_eq!(codes_of("_dmarc.example.com TXT v=DMARC1; p=reject; rua=mailto:dmarc@example.com"), [""; 0]);
    }

    #[test]
    fn each_fault_has_its_code() {
        let good = "rua=mailto:dmarc@example.com";
        for (record, code) in [
            (format!("v=DMARC1; p=none; {good}"), "dmarc.p_none"),
            (format!("v=DMARC1; p=reject; sp=none; {good}"), "dmarc.sp_weaker"),
            (format!("v=DMARC1; p=reject; np=none; {good}"), "dmarc.np_weaker"),
            (format!("v=DMARC1; p=reject; t=y; {good}"), "dmarc.testing"),
            (format!("v=DMARC1; p=reject; pct=20; {good}"), "dmarc.pct_partial"),
            (format!("v=DMARC1; p=reject; pct=100; {good}"), "dmarc.removed_tag"),
            (format!("v=DMARC1; p=reject; psd=y; {good}"), "dmarc.psd"),
            (format!("v=DMARC1; p=reject; fo=1; {good}"), "dmarc.fo_without_ruf"),
            (format!("v=DMARC1; p=reject; adkim=x; {good}"), "dmarc.value_invalid"),
            (format!("v=DMARC1; p=reject; ruf=mailto:f@example.com; {good}"), "dmarc.ruf_privacy"),
            (format!("v=DMARC1; p=\"reject\"; {good}"), "dmarc.quoting"),
            (format!("v=DMARC1\\; p=reject\\; {good}"), "dmarc.quoting"),
            (format!(" v=DMARC1; p=reject; {good}"), "dmarc.leading_text"),
            (format!("p=reject; v=DMARC1; {good}"), "dmarc.version_not_first"),
            (format!("v=dmarc1; p=reject; {good}"), "dmarc.bad_version"),
            (format!("v=DMARC1 p=reject; {good}"), "dmarc.bad_version"),
            (format!("v=DMARC1; p=rejekt; {good}"), "dmarc.p_invalid"),
            (format!("v=DMARC1; {good}"), "dmarc.p_missing"),
            ("v=DMARC1; p=reject".into(), "dmarc.no_rua"),
            ("v=DMARC1; p=reject; rau=mailto:dmarc@example.com".into(), "dmarc.tag_typo"),
            ("v=DMARC1; p=reject; rua=dmarc@example.com".into(), "dmarc.target_invalid"),
            ("v=DMARC1; p=reject; rua=mailto:dmarc@example.com!10m".into(), "dmarc.target_size"),
            ("v=DMARC1; p=reject; rua=mailto:dmarc@nomail.example.com".into(), "dmarc.target_host"),
        ] {
            assert_eq!(codes_of(&format!("_dmarc.example.com TXT {record}")), [code], "{record}");
        }
    }

    #[test]
    fn records_in_the_wrong_place_are_found() {
        let text = "TXT v=DMARC1; p=reject; rua=mailto:dmarc@example.com";
        for place in ["example.com", "_dmarc._dmarc.example.com", "_dmarc.example.com.example.com", "dmarc.example.com"]
        {
            assert_eq!(codes_of(&format!("{place} {text}")), ["dmarc.wrong_place", "dmarc.missing"], "{place}");
        }
        let beside = format!("_dmarc.example.com {text}\nexample.com TXT v=DMARC1; p=none");
        assert_eq!(codes_of(&beside), ["dmarc.wrong_place"], "the record in force is not missing");
        assert_eq!(codes_of(""), ["dmarc.missing"]);
        assert_eq!(codes_of("_dmarc.example.com TXT v=spf1 -all"), ["dmarc.other_text", "dmarc.missing"]);
    }

    #[test]
    fn another_organization_must_agree() {
        let zone = "_dmarc.example.com TXT v=DMARC1; p=reject; rua=mailto:d@reports.example.net\nreports.example.net MX 1 mx.example.net";
        assert_eq!(codes_of(zone), ["dmarc.target_unauthorized"]);
        for consent in [
            "example.com._report._dmarc.reports.example.net TXT v=DMARC1",
            "*._report._dmarc.reports.example.net TXT v=DMARC1;",
        ] {
            assert_eq!(codes_of(&format!("{zone}\n{consent}")), [""; 0]);
        }
    }

    #[test]
    fn a_failed_look_up_is_unknown_and_not_missing() {
        let mut notes = Notes::default();
        let dmarc = check(&Zone::new("_dmarc.example.com SERVFAIL"), "example.com", &mut notes);
        assert_eq!(notes.findings, []);
        assert_eq!(notes.unknown[0].place, "_dmarc.example.com TXT");
        assert_eq!(dmarc.policy, None);
    }

    #[test]
    fn a_subdomain_is_reported_with_what_it_inherits() {
        let mut notes = Notes::default();
        let zone = Zone::new(
            "example.com MX 10 mx.example.com\n_dmarc.example.com TXT v=DMARC1; p=reject; sp=quarantine; rua=mailto:d@example.com\nmail.example.com A 192.0.2.1",
        );
        let dmarc = check(&zone, "mail.example.com", &mut notes);
        assert_eq!(dmarc.policy, Some(Policy::Quarantine));
        assert_eq!(
            dmarc.meaning[0],
            "policy for mail from mail.example.com that fails DMARC: quarantine (sp of example.com)"
        );
    }
}
