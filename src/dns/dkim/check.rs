//! Checks the keys at the selectors of a domain: those the user named, and those in the reports.

use super::key::{Key, KeyError, KeyKind, LEAST_BITS, key_name};
use crate::dns::finding as codes;
use crate::dns::finding::{CheckFinding, Notes};
use crate::dns::lookup::answer::{Answer, Lookup, QueryType};
use crate::dns::seen::SeenSelector;
use jiff::civil::Date;
use serde::Serialize;

/// Days within which a selector counts as in use.
const IN_USE: i32 = 14;
/// Days after which an unused key counts as left over.
const LEFT_OVER: i32 = 90;
/// Bits that an RSA key should have (RFC 8301 section 3.2).
const GOOD_BITS: u32 = 2048;

/// One selector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Selector {
    /// The selector.
    pub selector: String,
    /// The key, if it can be read.
    pub key: Option<Key>,
    /// What was found there, in words.
    pub state: String,
    /// What the reports show about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<SeenSelector>,
}

/// Checks the keys of a domain. `today` is used to say how long ago a selector was seen.
pub fn check(
    lookup: &dyn Lookup,
    domain: &str,
    given: &[String],
    seen: &[SeenSelector],
    today: Date,
    notes: &mut Notes,
) -> Vec<Selector> {
    let mut selectors: Vec<(String, bool, Option<&SeenSelector>)> = Vec::new();
    let named = given.iter().map(|selector| (selector.trim(), true));
    for (selector, given) in named.chain(seen.iter().map(|seen| (seen.selector.as_str(), false))) {
        if !selectors.iter().any(|(other, ..)| other.eq_ignore_ascii_case(selector)) {
            let seen = seen.iter().find(|other| other.selector.eq_ignore_ascii_case(selector));
            selectors.push((selector.to_ascii_lowercase(), given, seen));
        }
    }
    if selectors.is_empty() {
        notes.find(
            &codes::DKIM_NO_SELECTOR,
            format!("_domainkey.{domain}"),
            "Name a selector with --selector: none was given, and the reports show none.",
        );
    }
    lookup.announce_each(selectors.iter().map(|(selector, ..)| key_name(selector, domain)), &[QueryType::Txt]);
    selectors
        .into_iter()
        .map(|(selector, given, seen)| one(lookup, domain, selector, given, seen, today, notes))
        .collect()
}

/// Days since a selector was last used by a sender of the domain. A forged signature proves no use.
fn idle(seen: Option<&SeenSelector>, today: Date) -> Option<i32> {
    today.since(seen?.last_proven?).ok().map(|span| span.get_days())
}

fn one(
    lookup: &dyn Lookup,
    domain: &str,
    selector: String,
    given: bool,
    seen: Option<&SeenSelector>,
    today: Date,
    notes: &mut Notes,
) -> Selector {
    let name = key_name(&selector, domain);
    let place = format!("{name} TXT");
    let idle = idle(seen, today);
    let in_use = idle.is_some_and(|days| days <= IN_USE);
    let used = || {
        let last = seen.and_then(|seen| seen.last_proven);
        format!("last used {}", last.map_or_else(String::new, |last| last.to_string()))
    };
    let mut result = Selector { selector, key: None, state: String::new(), seen: seen.cloned() };
    let texts = match lookup.texts(&name) {
        Answer::Found(texts) => texts,
        Answer::Failed(failure) => {
            notes.unknown(&name, QueryType::Txt, &failure);
            result.state = "could not be looked up".into();
            return result;
        }
        absent => {
            let exists = !matches!(absent, Answer::NxDomain);
            let what = if exists { "the name has no TXT record" } else { "the name does not exist" };
            what.clone_into(&mut result.state);
            if in_use {
                notes.find(
                    &codes::DKIM_GONE,
                    place,
                    format!("Publish the key again, or stop signing with it: {what}; it was {}.", used()),
                );
            } else if given {
                notes.find(&codes::DKIM_MISSING, place, format!("Publish the key, or check the selector: {what}."));
            }
            return result;
        }
    };
    if texts.len() > 1 {
        result.state = format!("{} records", texts.len());
        notes.find(&codes::DKIM_SEVERAL, place, format!("Keep one of these {} TXT records.", texts.len()));
        return result;
    }
    match Key::parse(&texts[0]) {
        Ok(key) => {
            result.state = in_words(&key);
            key_findings(&place, &key, notes);
            if idle.is_some_and(|days| days > LEFT_OVER) && !given {
                let text = format!("Remove this key if no one signs with it any more: it was {}.", used());
                notes.find(&codes::DKIM_UNUSED, place, text);
            }
            result.key = Some(key);
        }
        Err(KeyError::Revoked) => {
            "revoked".clone_into(&mut result.state);
            if in_use {
                notes.find(
                    &codes::DKIM_REVOKED_USED,
                    place,
                    format!("Stop signing with this selector, or publish a key: p= is empty, and it was {}.", used()),
                );
            } else if given {
                notes.find(&codes::DKIM_REVOKED, place, "Do not sign with this selector: its key is revoked.");
            }
        }
        Err(fault) => {
            let (finding, state) = fault_finding(&name, fault);
            notes.add(finding);
            result.state = state;
        }
    }
    result
}

fn in_words(key: &Key) -> String {
    let kind = match key.kind {
        KeyKind::Rsa(bits) => format!("RSA, {bits} bits"),
        KeyKind::Ed25519 => "Ed25519".into(),
    };
    let flags = [(key.testing, ", testing"), (key.strict, ", i= must equal d=")];
    flags.iter().filter(|(set, _)| *set).fold(kind, |words, (_, flag)| words + flag)
}

fn fault_finding(name: &str, fault: KeyError) -> (CheckFinding, String) {
    let (code, words) = match fault {
        KeyError::Quoting(fault) => (&codes::DKIM_QUOTED, fault.to_owned()),
        KeyError::Version(words) => (&codes::DKIM_VERSION, words),
        KeyError::Kind(kind) => (&codes::DKIM_TYPE, format!("expected k=rsa or k=ed25519, found k={kind}")),
        KeyError::Malformed(words) => (&codes::DKIM_MALFORMED, words),
        KeyError::Revoked => (&codes::DKIM_REVOKED, "p= is empty".into()),
    };
    (CheckFinding::new(code, format!("{name} TXT"), format!("Correct the key record: {words}.")), words)
}

fn key_findings(place: &str, key: &Key, notes: &mut Notes) {
    match key.kind {
        KeyKind::Rsa(bits) if bits < LEAST_BITS => {
            let text = format!("Sign with a 2048-bit key under a new selector: this RSA key has {bits} bits.");
            notes.find(&codes::DKIM_SHORT, place, text);
        }
        KeyKind::Rsa(bits) if bits < GOOD_BITS => {
            let text = format!("Plan to sign with a 2048-bit key: this RSA key has {bits} bits.");
            notes.find(&codes::DKIM_WEAK, place, text);
        }
        _ => {}
    }
    if !key.allows_sha256() {
        let text = format!("Remove h={} so that SHA-256 is allowed.", key.hashes.join(":"));
        notes.find(&codes::DKIM_SHA1, place, text);
    }
    if !key.is_for_mail() {
        let text = format!("Remove s={} or add email to it.", key.services.join(":"));
        notes.find(&codes::DKIM_SERVICE, place, text);
    }
    if key.testing {
        notes.find(&codes::DKIM_TESTING, place, "Remove t=y when you have finished testing.");
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::tests::{ed25519, rsa};
    use super::*;
    use crate::dns::lookup::test_zone::Zone;
    use jiff::civil::date;

    fn seen(last: Date) -> SeenSelector {
        SeenSelector {
            selector: "s1".into(),
            last,
            last_proven: Some(last),
            messages: 9,
            passed: 9,
            sources: vec!["192.0.2.1".parse().unwrap()],
        }
    }

    fn codes_of(record: &str, given: &[&str], seen: &[SeenSelector]) -> Vec<&'static str> {
        let mut notes = Notes::default();
        let zone = Zone::new(&format!("example.com A 192.0.2.1\n{record}"));
        let given: Vec<String> = given.iter().map(ToString::to_string).collect();
        check(&zone, "example.com", &given, seen, date(2026, 11, 25), &mut notes);
        assert_eq!(notes.unknown, []);
        notes.findings.iter().map(|finding| finding.code.name).collect()
    }

    #[test]
    fn each_fault_of_a_key_has_its_code() {
        let good = rsa(2048);
        for (text, codes) in [
            (format!("v=DKIM1; p={good}"), vec![]),
            (format!("v=DKIM1; k=ed25519; p={}", ed25519()), vec![]),
            (format!("v=DKIM1; p={}", rsa(512)), vec!["dkim.short_key"]),
            (format!("v=DKIM1; p={}", rsa(1024)), vec!["dkim.weak_key"]),
            (format!("v=DKIM1; h=sha1; p={good}"), vec!["dkim.sha1_only"]),
            (format!("v=DKIM1; s=tlsrpt; p={good}"), vec!["dkim.not_for_mail"]),
            (format!("v=DKIM1; t=y; p={good}"), vec!["dkim.testing"]),
            (format!("v=DKIM1; k=dsa; p={good}"), vec!["dkim.key_type"]),
            (format!("p={good}; v=DKIM1"), vec!["dkim.bad_version"]),
            ("v=DKIM1; p=".into(), vec!["dkim.revoked"]),
            ("v=DKIM1; p=AAAA".into(), vec!["dkim.malformed"]),
            (format!("v=DKIM1; p={good}\\;"), vec!["dkim.quoting"]),
        ] {
            assert_eq!(codes_of(&format!("s1._domainkey.example.com TXT {text}"), &["s1"], &[]), codes, "{text}");
        }
        let two = format!(
            "s1._domainkey.example.com TXT v=DKIM1; p={good}\ns1._domainkey.example.com TXT v=DKIM1; p={}",
            rsa(1024)
        );
        assert_eq!(codes_of(&two, &["s1"], &[]), ["dkim.multiple_records"]);
        assert_eq!(codes_of("", &["s1"], &[]), ["dkim.missing"]);
        assert_eq!(codes_of("", &[], &[]), ["dkim.no_selector_known"]);
    }

    #[test]
    fn a_key_split_over_strings_is_one_key() {
        let good = rsa(2048);
        let (head, tail) = good.split_at(200);
        assert_eq!(
            codes_of(&format!("s1._domainkey.example.com TXT \"v=DKIM1; p={head}\" \"{tail}\""), &["s1"], &[]),
            [""; 0]
        );
    }

    #[test]
    fn a_missing_key_matters_if_reports_show_it_in_use() {
        assert_eq!(codes_of("", &[], &[seen(date(2026, 11, 18))]), ["dkim.gone"]);
        assert_eq!(codes_of("", &[], &[seen(date(2026, 8, 1))]), [""; 0]);
        let revoked = "s1._domainkey.example.com TXT v=DKIM1; p=";
        assert_eq!(codes_of(revoked, &[], &[seen(date(2026, 11, 18))]), ["dkim.revoked_in_use"]);
        let good = format!("s1._domainkey.example.com TXT v=DKIM1; p={}", rsa(2048));
        assert_eq!(codes_of(&good, &[], &[seen(date(2026, 11, 18))]), [""; 0]);
        assert_eq!(codes_of(&good, &[], &[seen(date(2026, 7, 1))]), ["dkim.unused"]);
    }

    #[test]
    fn a_selector_that_only_forged_mail_uses_is_neither_gone_nor_in_use() {
        let forged = SeenSelector { last_proven: None, passed: 0, ..seen(date(2026, 11, 24)) };
        assert_eq!(codes_of("", &[], std::slice::from_ref(&forged)), [""; 0]);
        let revoked = "s1._domainkey.example.com TXT v=DKIM1; p=";
        assert_eq!(codes_of(revoked, &[], &[forged]), [""; 0]);
        // Strangers use a selector that was given up: they neither call it gone nor keep it in use.
        let retired = SeenSelector { last_proven: Some(date(2026, 7, 1)), ..seen(date(2026, 11, 24)) };
        assert_eq!(codes_of("", &[], std::slice::from_ref(&retired)), [""; 0]);
        let good = format!("s1._domainkey.example.com TXT v=DKIM1; p={}", rsa(2048));
        assert_eq!(codes_of(&good, &[], &[retired]), ["dkim.unused"]);
    }
}
