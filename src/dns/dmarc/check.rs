//! What is wrong with a domain's DMARC record, what it means here, and what to publish instead.

use super::discover::{Discovered, Discovery, discover};
use super::record::{Policy, Reach, Record, Slip, Target, is_dmarc};
use crate::dns::answer::{Answer, Kind, Lookup, Question, Txt};
use crate::dns::finding::{self as codes, Code, Finding, Notes, txt_record};
use crate::dns::name;
use crate::dns::tags::{Tags, quoting_fault};
use serde::Serialize;

/// Addresses a reporter has to serve (RFC 7489 section 6.2).
const TARGET_LIMIT: usize = 2;

/// The DMARC side of a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Dmarc {
    /// What holds by the tree walk of RFC 9989; null where a step could not be looked up.
    pub walk: Option<Discovered>,
    /// What holds by the suffix list of RFC 7489.
    pub list: Option<Discovered>,
    /// What receivers are asked to do with mail that fails in the domain's name; null without a record.
    pub policy: Option<Policy>,
    /// What the record means here, in sentences.
    pub meaning: Vec<String>,
}

impl Dmarc {
    /// The record that holds.
    pub fn record(&self) -> Option<&super::Found> {
        let by =
            |discovered: &Option<Discovered>| discovered.as_ref().is_some_and(|discovered| discovered.found.is_some());
        let discovered = if by(&self.walk) { &self.walk } else { &self.list };
        discovered.as_ref()?.found.as_ref()
    }
}

/// Check the record of a domain.
pub fn check(lookup: &dyn Lookup, domain: &str, notes: &mut Notes) -> Dmarc {
    let discovery = discover(lookup, domain);
    own_name(lookup, domain, notes);
    for step in &discovery.steps {
        if let Answer::Failed(failure) = &step.record {
            notes.unknown(&format!("_dmarc.{}", step.domain), Kind::Txt, failure);
        }
    }
    let Discovery { walk, list, .. } = discovery;
    let mut dmarc = Dmarc { walk: walk.ok(), list: list.ok(), policy: None, meaning: Vec::new() };
    differences(domain, &dmarc, notes);
    let Some(found) = dmarc.record().cloned() else {
        let reported = notes.findings.iter().any(|finding| finding.code.name.starts_with("dmarc."));
        if dmarc.walk.is_some() && dmarc.list.is_some() && !reported {
            let at = &dmarc.list.as_ref().map_or(domain, |list| list.organization.as_str());
            let finding = Finding::new(
                &codes::DMARC_MISSING,
                format!("_dmarc.{domain} TXT"),
                "no record here or above; to begin with",
            );
            notes.add(
                finding
                    .publish(txt_record(&format!("_dmarc.{at}"), &format!("v=DMARC1; p=none; rua=mailto:dmarc@{at}"))),
            );
        }
        return dmarc;
    };
    record_findings(lookup, &found.domain, &found.record, notes);
    let reach = reach(lookup, domain, &found.domain);
    dmarc.policy = Some(found.record.policy_for(reach));
    dmarc.meaning = meaning(domain, &found.domain, &found.record, reach);
    dmarc
}

/// What the record's policy reaches this domain as.
fn reach(lookup: &dyn Lookup, domain: &str, found_at: &str) -> Reach {
    if domain == found_at {
        Reach::Domain
    } else if matches!(lookup.txt(domain), Answer::NxDomain) {
        Reach::Nonexistent
    } else {
        Reach::Subdomain
    }
}

/// What stands at `_dmarc` of the domain itself, and in the places where it is put by mistake.
fn own_name(lookup: &dyn Lookup, domain: &str, notes: &mut Notes) {
    let name = format!("_dmarc.{domain}");
    let texts: Vec<String> = lookup.txt(&name).found().unwrap_or_default().iter().map(Txt::text).collect();
    let (records, others): (Vec<&String>, Vec<&String>) = texts.iter().partition(|text| is_dmarc(text));
    for text in others {
        notes.add(other_text(&name, text));
    }
    if records.len() > 1 {
        let list: Vec<String> = records.iter().map(|text| format!("`{text}`")).collect();
        let text = format!("{} records where one may stand: {}", records.len(), list.join(", "));
        notes.add(
            Finding::new(&codes::DMARC_SEVERAL, format!("{name} TXT"), text).publish(txt_record(&name, records[0])),
        );
    }
    if records.is_empty() {
        wrong_places(lookup, domain, notes);
    } else {
        apex(lookup, domain, notes);
    }
}

/// Text at `_dmarc` that is no record: one that was meant as one, or something else.
fn other_text(name: &str, text: &str) -> Finding {
    let place = format!("{name} TXT");
    let folded: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    if !folded.contains("v=dmarc") {
        let kind = if folded.starts_with("v=spf") { "an SPF record" } else { "text" };
        return Finding::new(&codes::DMARC_OTHER, place, format!("{kind} that is no DMARC record: `{text}`"));
    }
    let clean = cleaned(text);
    let tags = Tags::parse(text);
    let finding = if let Some(fault) = quoting_fault(text) {
        Finding::new(&codes::DMARC_QUOTED, place, format!("`{text}`: {fault}"))
    } else if is_dmarc(text.trim_start()) {
        Finding::new(&codes::DMARC_LEADING, place, format!("`{text}`: white space stands before v=DMARC1"))
    } else if tags.get("v") == Some("DMARC1") {
        Finding::new(&codes::DMARC_NOT_FIRST, place, format!("`{text}`: v=DMARC1 is not the first tag"))
    } else {
        let found = tags.get("v").unwrap_or_default();
        let missing = found.starts_with("DMARC1")
            && found.len() > 6
            && !found[6..].starts_with(|c: char| c.is_ascii_alphanumeric());
        let why = if missing { "no semicolon stands after v=DMARC1" } else { "the version is not exactly v=DMARC1" };
        Finding::new(&codes::DMARC_VERSION, place, format!("`{text}`: {why}"))
    };
    if is_dmarc(&clean) && Record::parse(&clean).slips.is_empty() {
        finding.publish(txt_record(name, &clean))
    } else {
        finding
    }
}

/// The text without the usual damage, with the version in front.
fn cleaned(text: &str) -> String {
    let plain = text.replace(['"', '\'', '\\', '\u{201c}', '\u{201d}', '\u{201e}'], "");
    let plain = plain.trim();
    let separated = if plain.contains(';') {
        plain.to_owned()
    } else {
        plain.replace(", ", "; ").replace(' ', "; ").replace(";;", ";")
    };
    let tags = Tags::parse(&separated);
    let rest: Vec<String> =
        tags.tags.iter().filter(|tag| tag.name != "v").map(|tag| format!("{}={}", tag.name, tag.value)).collect();
    format!("v=DMARC1; {}", rest.join("; "))
}

fn apex(lookup: &dyn Lookup, domain: &str, notes: &mut Notes) -> bool {
    let texts = lookup.txt(domain).found().unwrap_or_default();
    let stray = texts.iter().map(Txt::text).find(|text| is_dmarc(text));
    if let Some(text) = &stray {
        misplaced(domain, domain, text, notes);
    }
    stray.is_some()
}

fn misplaced(domain: &str, at: &str, text: &str, notes: &mut Notes) {
    let finding = Finding::new(
        &codes::DMARC_PLACE,
        format!("{at} TXT"),
        format!("a DMARC record stands at {at}: move it to _dmarc.{domain}"),
    );
    notes.add(finding.publish(txt_record(&format!("_dmarc.{domain}"), text)));
}

fn wrong_places(lookup: &dyn Lookup, domain: &str, notes: &mut Notes) {
    if apex(lookup, domain, notes) {
        return;
    }
    let places = [format!("_dmarc.{domain}.{domain}"), format!("_dmarc._dmarc.{domain}"), format!("dmarc.{domain}")];
    lookup.announce(&places.iter().map(|place| Question::new(place, Kind::Txt)).collect::<Vec<_>>());
    for place in places {
        let texts = lookup.txt(&place).found().unwrap_or_default();
        if let Some(text) = texts.iter().map(Txt::text).find(|text| is_dmarc(text)) {
            return misplaced(domain, &place, &text, notes);
        }
    }
}

/// Where the two ways of looking come to different answers.
fn differences(domain: &str, dmarc: &Dmarc, notes: &mut Notes) {
    let (Some(walk), Some(list)) = (&dmarc.walk, &dmarc.list) else { return };
    let at = |discovered: &Discovered| discovered.found.as_ref().map(|found| found.domain.clone());
    let (walked, listed) = (at(walk), at(list));
    if walked.is_none() && listed.is_none() {
        return;
    }
    if walked != listed {
        let say = |place: Option<String>| place.map_or("none".to_owned(), |place| format!("the one of {place}"));
        let text = format!("the tree walk finds {}, the suffix list {}", say(walked), say(listed));
        notes.find(&codes::DMARC_DIFFERS, format!("_dmarc.{domain} TXT"), text);
    } else if walk.organization != list.organization {
        let text = format!(
            "the organization is {} by the tree walk and {} by the suffix list: relaxed alignment differs",
            walk.organization, list.organization
        );
        notes.find(&codes::DMARC_DIFFERS, format!("_dmarc.{domain} TXT"), text);
    }
}

fn record_findings(lookup: &dyn Lookup, at: &str, record: &Record, notes: &mut Notes) {
    let name = format!("_dmarc.{at}");
    let place = format!("{name} TXT");
    if let Some(fault) = quoting_fault(&record.text) {
        let finding = Finding::new(&codes::DMARC_QUOTED, place, format!("`{}`: {fault}", record.text));
        return notes.add(finding.publish(txt_record(&name, &cleaned(&record.text))));
    }
    for slip in &record.slips {
        let (code, text) = slip_words(slip);
        let finding = Finding::new(code, &place, text);
        notes.add(match corrected(record) {
            Some(text) => finding.publish(txt_record(&name, &text)),
            None => finding,
        });
    }
    policy_advice(at, record, notes);
    other_advice(at, record, notes);
    targets(lookup, at, record, notes);
}

fn slip_words(slip: &Slip) -> (&'static Code, String) {
    match slip {
        Slip::Piece(piece) => {
            let hint = if piece.contains('=') { ": tags are separated by semicolons" } else { "" };
            (&codes::DMARC_SYNTAX, format!("expected tag=value, found `{piece}`{hint}"))
        }
        Slip::Repeated(tag) => (&codes::DMARC_REPEATED, format!("`{tag}` stands there more than once")),
        Slip::Empty(tag) => (&codes::DMARC_EMPTY, format!("`{tag}` has no value")),
        Slip::Unknown(tag) => (&codes::DMARC_UNKNOWN, format!("`{tag}` is no tag of DMARC")),
        Slip::Typo(tag, meant) => {
            (&codes::DMARC_TYPO, format!("`{tag}` is no tag of DMARC: `{meant}` was probably meant"))
        }
        Slip::NoPolicy => (&codes::DMARC_P_MISSING, "the record has no p".into()),
        Slip::Policy(tag, value) => {
            let code = match *tag {
                "p" => &codes::DMARC_P_INVALID,
                "sp" => &codes::DMARC_SP_INVALID,
                _ => &codes::DMARC_NP_INVALID,
            };
            (code, format!("expected {tag}=none, quarantine or reject, found `{value}`"))
        }
        Slip::Value(tag, value, expected) => {
            (&codes::DMARC_VALUE, format!("{tag}: expected {expected}, found `{value}`"))
        }
        Slip::Target(tag, _, why) => (&codes::DMARC_URI, format!("{tag}: {why}")),
        Slip::Removed(tag, value) => (&codes::DMARC_REMOVED, format!("`{tag}={value}` can go")),
    }
}

/// The record with what can be put right put right; null if faults remain.
fn corrected(record: &Record) -> Option<String> {
    let tags = Tags::parse(&record.text);
    let mut parts = Vec::new();
    for tag in &tags.tags {
        let meant = record.slips.iter().find_map(|slip| match slip {
            Slip::Typo(written, meant) if *written == tag.name => Some(*meant),
            _ => None,
        });
        let name = meant.unwrap_or(&tag.name);
        let gone = record.slips.iter().any(|slip| match slip {
            Slip::Empty(other) | Slip::Unknown(other) => *other == tag.name,
            Slip::Removed(other, _) | Slip::Value(other, ..) => *other == tag.name,
            _ => false,
        });
        if gone || (tag.name == "p" && tag.value.is_empty()) {
            continue;
        }
        let value = if name == "rua" || name == "ruf" { with_scheme(&tag.value) } else { tag.value.clone() };
        parts.push(format!("{name}={value}"));
    }
    if record.slips.contains(&Slip::NoPolicy) {
        parts.insert(1.min(parts.len()), "p=none".into());
    }
    let text = parts.join("; ");
    Record::parse(&text).slips.is_empty().then_some(text)
}

fn with_scheme(value: &str) -> String {
    let uris: Vec<String> = value
        .split([',', ' '])
        .filter(|uri| !uri.is_empty())
        .map(|uri| if uri.contains(':') { uri.to_owned() } else { format!("mailto:{uri}") })
        .collect();
    uris.join(",")
}

fn policy_advice(at: &str, record: &Record, notes: &mut Notes) {
    let name = format!("_dmarc.{at}");
    let place = format!("{name} TXT");
    if record.has_policy() {
        let p = record.policy_for(Reach::Domain);
        let sp = record.policy_for(Reach::Subdomain);
        let np = record.policy_for(Reach::Nonexistent);
        if p == Policy::None {
            let stricter = record.text.replacen("none", "quarantine", 1);
            notes.add(
                Finding::new(
                    &codes::DMARC_NONE,
                    &place,
                    "p=none; the next step, once the reports show that your own mail passes",
                )
                .publish(txt_record(&name, &stricter)),
            );
        }
        if sp < p {
            notes.find(&codes::DMARC_SP_WEAKER, &place, format!("sp={} beside p={}", sp.as_str(), p.as_str()));
        }
        if np < sp {
            notes.find(
                &codes::DMARC_NP_WEAKER,
                &place,
                format!("np={} is weaker than the {} of subdomains that exist", np.as_str(), sp.as_str()),
            );
        }
    }
    if record.testing {
        let text = if record.p.is_some_and(|p| p > Policy::None) {
            let p = record.policy_for(Reach::Domain);
            format!("t=y: {} acts as {}", p.as_str(), p.milder().as_str())
        } else {
            "t=y does nothing beside p=none".to_owned()
        };
        notes.find(&codes::DMARC_TESTING, &place, text);
    }
    if let Some(percent) = record.pct.filter(|percent| *percent < 100) {
        notes.find(&codes::DMARC_PARTIAL, &place, format!("pct={percent}"));
    }
    if record.psd == Some(true) && name::organizational(at) != at {
        notes.find(&codes::DMARC_PSD, &place, "psd=y on a domain below a public suffix");
    } else if record.psd == Some(true) && psl::domain_str(at).is_some() {
        notes.find(&codes::DMARC_PSD, &place, "psd=y on a domain that is no public suffix");
    }
}

fn other_advice(at: &str, record: &Record, notes: &mut Notes) {
    let name = format!("_dmarc.{at}");
    let place = format!("{name} TXT");
    if !record.means_rua() {
        let with = format!("{}; rua=mailto:dmarc@{at}", record.text.trim_end().trim_end_matches(';'));
        notes
            .add(Finding::new(&codes::DMARC_NO_RUA, &place, "the record has no rua").publish(txt_record(&name, &with)));
    }
    if record.rua.len() > TARGET_LIMIT {
        notes.find(&codes::DMARC_TARGETS, &place, format!("rua names {} addresses", record.rua.len()));
    }
    if record.fo.is_some() && record.ruf.is_empty() {
        notes.find(&codes::DMARC_FO, &place, "fo stands there without ruf");
    }
    if !record.ruf.is_empty() {
        notes.find(&codes::DMARC_RUF, &place, "ruf asks for failure reports");
    }
    for target in record.rua.iter().chain(&record.ruf) {
        if let Some(size) = &target.size {
            notes.find(&codes::DMARC_SIZE, &place, format!("`{}` ends in a size limit, !{size}", target.uri));
        }
    }
}

/// Whether the addresses for reports take them.
fn targets(lookup: &dyn Lookup, at: &str, record: &Record, notes: &mut Notes) {
    let tagged = record.rua.iter().map(|target| ("rua", target)).chain(record.ruf.iter().map(|target| ("ruf", target)));
    for (tag, target) in tagged {
        if let Some(host) = &target.host {
            takes_mail(lookup, at, tag, target, host, notes);
            authorized(lookup, at, tag, host, notes);
        }
    }
}

fn takes_mail(lookup: &dyn Lookup, at: &str, tag: &str, target: &Target, host: &str, notes: &mut Notes) {
    let takes = match lookup.mx(host) {
        Answer::Found(hosts) => hosts.iter().any(|mx| !mx.host.is_empty()),
        Answer::Failed(failure) => return notes.unknown(host, Kind::Mx, &failure),
        Answer::NoData | Answer::NxDomain => match lookup.all_addresses(host) {
            Answer::Found(_) => true,
            Answer::Failed(failure) => return notes.unknown(host, Kind::A, &failure),
            Answer::NoData | Answer::NxDomain => false,
        },
    };
    if !takes {
        notes.find(
            &codes::DMARC_TARGET_HOST,
            format!("_dmarc.{at} TXT, {tag}"),
            format!("`{}`: {host} takes no mail", target.uri),
        );
    }
}

/// RFC 9990 section 4: another organization's address needs its consent in DNS.
fn authorized(lookup: &dyn Lookup, at: &str, tag: &str, host: &str, notes: &mut Notes) {
    if name::organizational(host) == name::organizational(at) {
        return;
    }
    let consent = format!("{at}._report._dmarc.{host}");
    let given = match lookup.txt(&consent) {
        Answer::Found(texts) => texts.iter().any(|txt| is_dmarc(&txt.text())),
        Answer::NoData | Answer::NxDomain => false,
        Answer::Failed(failure) => return notes.unknown(&consent, Kind::Txt, &failure),
    };
    if !given {
        let text = format!(
            "{tag} sends to {host}, which does not say in DNS that it takes reports about {at}; its owner publishes"
        );
        let finding = Finding::new(&codes::DMARC_UNAUTHORIZED, format!("{consent} TXT"), text);
        notes.add(finding.publish(txt_record(&consent, "v=DMARC1")));
    }
}

/// What the record means for this domain, tag by tag.
fn meaning(domain: &str, at: &str, record: &Record, reach: Reach) -> Vec<String> {
    let mut lines = Vec::new();
    let own = record.policy_for(reach);
    let source = match reach {
        Reach::Domain => "p".to_owned(),
        Reach::Subdomain if record.sp.is_some() => format!("sp of {at}"),
        Reach::Nonexistent if record.np.is_some() => format!("np of {at}; receivers by RFC 7489 take sp"),
        Reach::Nonexistent if record.sp.is_some() => format!("sp of {at}, as there is no np"),
        _ => format!("p of {at}, as there is no sp"),
    };
    lines.push(format!("mail that fails in the name of {domain}: {} ({source})", own.as_str()));
    if reach == Reach::Domain {
        let sp = record.policy_for(Reach::Subdomain);
        lines.push(format!(
            "of a subdomain: {} ({})",
            sp.as_str(),
            if record.sp.is_some() { "sp" } else { "p, as there is no sp" }
        ));
        let np = record.policy_for(Reach::Nonexistent);
        let from = match (record.np, record.sp) {
            (Some(_), _) => "np; receivers by RFC 7489 take sp",
            (None, Some(_)) => "sp, as there is no np",
            (None, None) => "p, as there is no np or sp",
        };
        lines.push(format!("of a name below that does not exist: {} ({from})", np.as_str()));
    }
    if record.testing {
        lines.push(format!(
            "t=y: receivers by RFC 9989 apply one step less, {} becomes {}",
            own.as_str(),
            own.milder().as_str()
        ));
    }
    if let Some(percent) = record.pct {
        let rest = own.milder().as_str();
        lines.push(format!("pct={percent}: receivers by RFC 7489 apply it to {percent} % of the failing mail and {rest} to the rest; RFC 9989 ignores it"));
    }
    let mode = |strict: bool| if strict { "strict: the very domain" } else { "relaxed: any name of the organization" };
    lines.push(format!("alignment of DKIM {}; of SPF {}", mode(record.adkim_strict), mode(record.aspf_strict)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::zone::Zone;

    fn codes_of(zone: &str) -> Vec<&'static str> {
        let mut notes = Notes::default();
        check(&Zone::new(&format!("example.com MX 10 mx.example.com\n{zone}")), "example.com", &mut notes);
        assert_eq!(notes.unknown, []);
        notes.findings.iter().map(|finding| finding.code.name).collect()
    }

    fn published(zone: &str) -> Option<String> {
        let mut notes = Notes::default();
        check(&Zone::new(&format!("example.com MX 10 mx.example.com\n{zone}")), "example.com", &mut notes);
        notes.findings.remove(0).publish
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
            assert_eq!(codes_of(&format!("{place} {text}")), ["dmarc.wrong_place"], "{place}");
        }
        assert_eq!(codes_of(""), ["dmarc.missing"]);
    }

    #[test]
    fn another_organization_must_agree() {
        let zone = "_dmarc.example.com TXT v=DMARC1; p=reject; rua=mailto:d@reports.example.net\nreports.example.net MX 1 mx.example.net";
        assert_eq!(codes_of(zone), ["dmarc.target_unauthorized"]);
        assert_eq!(
            published(zone).as_deref(),
            Some("example.com._report._dmarc.reports.example.net. TXT \"v=DMARC1\"")
        );
        for consent in [
            "example.com._report._dmarc.reports.example.net TXT v=DMARC1",
            "*._report._dmarc.reports.example.net TXT v=DMARC1;",
        ] {
            assert_eq!(codes_of(&format!("{zone}\n{consent}")), [""; 0]);
        }
    }

    #[test]
    fn the_record_to_publish_has_the_slip_put_right() {
        let publish = |record: &str| published(&format!("_dmarc.example.com TXT {record}")).unwrap_or_default();
        let good = "_dmarc.example.com. TXT \"v=DMARC1; p=reject; rua=mailto:dmarc@example.com\"";
        assert_eq!(publish("v=DMARC1; p=reject; rau=mailto:dmarc@example.com"), good);
        assert_eq!(publish("v=DMARC1; p=reject; rua=dmarc@example.com"), good);
        assert_eq!(publish("v=DMARC1; p=reject; sp=; rua=mailto:dmarc@example.com"), good);
        assert_eq!(publish("v=DMARC1, p=reject, rua=mailto:dmarc@example.com"), good);
        assert_eq!(publish("\u{201c}v=DMARC1; p=reject; rua=mailto:dmarc@example.com\u{201d}"), good);
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
    fn a_subdomain_is_told_what_it_inherits() {
        let mut notes = Notes::default();
        let zone = Zone::new(
            "example.com MX 10 mx.example.com\n_dmarc.example.com TXT v=DMARC1; p=reject; sp=quarantine; rua=mailto:d@example.com\nmail.example.com A 192.0.2.1",
        );
        let dmarc = check(&zone, "mail.example.com", &mut notes);
        assert_eq!(dmarc.policy, Some(Policy::Quarantine));
        assert_eq!(dmarc.meaning[0], "mail that fails in the name of mail.example.com: quarantine (sp of example.com)");
    }
}
