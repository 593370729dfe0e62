//! MTA-STS: the record that says there is a policy, the policy file, and whether both fit the MX records (RFC 8461).

use super::fetch::{PolicyAnswer, PolicyFetch, PolicySource};
use super::mail_hosts;
use super::policy::{self, PolicyMode, StsPolicy, matches_host};
use super::record::{RecordKind, quoted};
use crate::dns::finding as codes;
use crate::dns::finding::{Notes, Unknown, list};
use crate::dns::hosts::mx::{Delivery, is_public};
use crate::dns::lookup::answer::{Answer, Lookup, QueryType};
use crate::dns::seen::{Observed, SeenStsPolicy};
use serde::Serialize;
use std::net::IpAddr;

/// Hosts quoted in a sentence.
const LISTED: usize = 5;
/// Bytes kept of a policy file.
const KEPT: usize = 4096;

const RECORD: RecordKind = RecordKind {
    version: "v=STSv1",
    words: &["sts"],
    field: "id",
    near: &codes::MTA_STS_NEAR,
    several: &codes::MTA_STS_SEVERAL,
    syntax: &codes::MTA_STS_SYNTAX,
};

/// MTA-STS of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MtaSts {
    /// The records that are meant for MTA-STS, valid or not.
    pub records: Vec<String>,
    /// The id of the only valid record.
    pub id: Option<String>,
    /// The policy.
    pub policy: PolicyState,
    /// The file without what makes no difference: its lines joined by `; `, 4096 bytes at most.
    #[serde(skip)]
    pub file: Option<String>,
}

/// What is known of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyState {
    /// Senders look for none.
    NoRecord,
    /// The record could not be looked up, or the file could not be fetched.
    Unknown,
    /// There is a record; the file was not fetched.
    NotFetched,
    /// There is a record, and senders cannot use its file: a finding says why.
    Unusable,
    /// Senders use it.
    Valid(StsPolicy),
}

/// The host that serves the policy of a domain.
pub fn policy_host(domain: &str) -> String {
    format!("mta-sts.{domain}")
}

/// Where the policy of a domain is.
pub fn policy_url(domain: &str) -> String {
    format!("https://mta-sts.{domain}/.well-known/mta-sts.txt")
}

/// Checks a domain. Without `source`, the policy is not fetched. A domain without a record has no fault.
pub(crate) fn check(
    lookup: &dyn Lookup,
    source: Option<&dyn PolicySource>,
    domain: &str,
    mx: &Delivery,
    seen: &Observed,
    notes: &mut Notes,
) -> MtaSts {
    let name = format!("_mta-sts.{domain}");
    let mut found = MtaSts { records: Vec::new(), id: None, policy: PolicyState::NoRecord, file: None };
    let Some(records) = RECORD.look_up(lookup, &name, notes) else {
        return MtaSts { policy: PolicyState::Unknown, ..found };
    };
    found.records = records;
    if found.records.is_empty() {
        return found;
    }
    found.id = id(&name, &found.records, notes);
    // A file that serves a damaged record is checked, too: both must be right before senders use either.
    match fetched(lookup, source, domain, notes) {
        Ok(answer) => {
            found.policy = PolicyState::Unusable;
            let url = policy_url(domain);
            let whole = answer_is_usable(&answer, &url, notes);
            found.file = whole.then(|| normalized(&answer.body));
            if let Some(policy) = whole.then(|| policy::read(&answer.body, &url, notes)).flatten() {
                unmatched(domain, mx, &policy, notes);
                if found.id.is_some() {
                    found.policy = PolicyState::Valid(policy);
                }
            }
            changed(&name, &found, &seen.sts_policies, notes);
        }
        Err(state) => found.policy = state,
    }
    found
}

/// The id of the only valid record.
fn id(name: &str, records: &[String], notes: &mut Notes) -> Option<String> {
    let instead = |text: &str| format!("the record as `v=STSv1; id={}`", any_id(text).as_deref().unwrap_or("1"));
    let id = RECORD.only(name, records, instead, notes).ok()?;
    let valid = id.filter(|id| (1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if valid.is_none() {
        let found = id.map_or("there is none".to_owned(), |id| format!("it is `{}`", quoted(id)));
        let text =
            format!("Give the record an id of 1 to 32 letters and digits, such as the time of the change: {found}.");
        notes.find(&codes::MTA_STS_ID, format!("{name} TXT"), text);
    }
    valid.map(str::to_owned)
}

/// The id in a record that may be damaged, if one can be made out.
pub fn any_id(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("id=")?;
    let id: String = rest.chars().take_while(char::is_ascii_alphanumeric).take(32).collect();
    (!id.is_empty()).then_some(id)
}

/// What the server answered; if it was not asked, the state of the policy without an answer.
fn fetched(
    lookup: &dyn Lookup,
    source: Option<&dyn PolicySource>,
    domain: &str,
    notes: &mut Notes,
) -> Result<PolicyAnswer, PolicyState> {
    let host = policy_host(domain);
    let addresses: Vec<IpAddr> = match lookup.all_addresses(&host) {
        Answer::Found(addresses) => addresses,
        Answer::NoData | Answer::NxDomain => {
            let text = format!("Give {host} an address, and serve the policy at {}: it has none.", policy_url(domain));
            notes.find(&codes::MTA_STS_HOST, format!("{host} A"), text);
            return Err(PolicyState::Unusable);
        }
        Answer::Failed(failure) => {
            notes.unknown(&host, QueryType::A, &failure);
            return Err(PolicyState::Unknown);
        }
    };
    let (public, private): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.into_iter().partition(|address| is_public(address.to_canonical()));
    if let Some(address) = private.first() {
        let text = format!("Give {host} a public address: {address} is private.");
        notes.find(&codes::MTA_STS_PRIVATE, format!("{host} A"), text);
    }
    if public.is_empty() {
        return Err(PolicyState::Unusable);
    }
    let source = source.ok_or(PolicyState::NotFetched)?;
    let url = policy_url(domain);
    match source.fetch(&host, &public) {
        PolicyFetch::Answer(answer) => Ok(answer),
        PolicyFetch::Certificate(why) => {
            let text = format!("Install a certificate for {host} that senders can verify: {why}.");
            notes.find(&codes::MTA_STS_CERTIFICATE, &url, text);
            Err(PolicyState::Unusable)
        }
        PolicyFetch::Failed(text) => {
            notes.unknown.push(Unknown { place: url, text });
            Err(PolicyState::Unknown)
        }
    }
}

/// Whether the answer has a policy that senders read to its end (RFC 8461 section 3.3).
fn answer_is_usable(answer: &PolicyAnswer, url: &str, notes: &mut Notes) -> bool {
    match answer.status {
        200 => {}
        300..=399 => {
            let to = answer.location.as_deref().map(|to| format!(" to {}", quoted(to))).unwrap_or_default();
            let text = format!("Serve the policy at this address itself: the server redirects{to}.");
            notes.find(&codes::MTA_STS_REDIRECT, url, text);
            return false;
        }
        status => {
            let text = format!("Serve the policy at this address: the server answers with status {status}.");
            notes.find(&codes::MTA_STS_STATUS, url, text);
            return false;
        }
    }
    let media = answer.content_type.as_deref().unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("text/plain") {
        let found = if media.is_empty() { "without a type".to_owned() } else { format!("as `{}`", quoted(media)) };
        let text = format!("Serve the policy as text/plain: it comes {found}.");
        notes.find(&codes::MTA_STS_TYPE, url, text);
    }
    if answer.body.len() > PolicyAnswer::LIMIT {
        notes.find(&codes::MTA_STS_LARGE, url, "Shorten the policy to a few lines: it is larger than 64 KB.");
        return false;
    }
    true
}

/// MX hosts that the policy does not name.
fn unmatched(domain: &str, mx: &Delivery, policy: &StsPolicy, notes: &mut Notes) {
    let Some(hosts) = mail_hosts(domain, mx).filter(|_| policy.mode != PolicyMode::None) else { return };
    let named = |host: &&str| policy.mx.iter().any(|pattern| matches_host(pattern, host));
    let left: Vec<&str> = hosts.iter().copied().filter(|host| !named(host)).collect();
    if left.is_empty() {
        return;
    }
    let does = match (policy.mode, left.len() == hosts.len()) {
        (PolicyMode::Enforce, true) => "senders that honor MTA-STS deliver nothing",
        (PolicyMode::Enforce, false) => "senders that honor MTA-STS do not deliver to it",
        _ => "in mode enforce, senders would not deliver to it",
    };
    let lines: Vec<String> = left.iter().map(|host| format!("`mx: {host}`")).collect();
    let text = format!(
        "Add {} to the policy, then change the id in the record at _mta-sts.{domain}, or remove the MX record: the policy \
         does not name {}, so {does}.",
        list(&lines, LISTED),
        if left.len() == 1 { "this MX host" } else { "these MX hosts" }
    );
    let does_plural = if left.len() == 1 { text } else { text.replace("deliver to it", "deliver to them") };
    notes.find(&codes::MTA_STS_UNMATCHED, policy_url(domain), does_plural);
}

/// Whether the policy is another than before under the same id: senders that keep the old one do not notice.
fn changed(name: &str, found: &MtaSts, before: &[SeenStsPolicy], notes: &mut Notes) {
    let (Some(file), Some(id)) = (&found.file, &found.id) else { return };
    if let Some(before) = before.iter().find(|before| before.id == *id && before.file != *file) {
        let text = format!(
            "Change the id in the record at {name}: the policy is another than on {}, and the id is still `{id}`.",
            before.day
        );
        notes.find(&codes::MTA_STS_ID_KEPT, format!("{name} TXT"), text);
    }
}

/// A policy file in one form, see [`MtaSts::file`].
fn normalized(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = |line: &str| match line.split_once(':') {
        Some((key, value)) => format!("{}: {}", key.trim(), value.trim()),
        None => line.trim().to_owned(),
    };
    let mut file = text.lines().map(line).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    file.truncate(file.floor_char_boundary(KEPT));
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::hosts::mx;
    use crate::dns::lookup::test_zone::Zone;

    const GOOD: &str = "version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 604800\n";
    const ZONE: &str = "example.com MX 10 mx.example.com\nmx.example.com A 192.0.2.25\n\
                        mta-sts.example.com A 192.0.2.80\n_mta-sts.example.com TXT ";

    struct Served(PolicyFetch);

    impl PolicySource for Served {
        fn fetch(&self, host: &str, addresses: &[IpAddr]) -> PolicyFetch {
            assert_eq!((host, addresses), ("mta-sts.example.com", &["192.0.2.80".parse().unwrap()][..]));
            self.0.clone()
        }
    }

    fn answer(body: &str) -> PolicyAnswer {
        PolicyAnswer {
            status: 200,
            content_type: Some("text/plain; charset=utf-8".into()),
            location: None,
            body: body.into(),
        }
    }

    fn told(zone: &str, answer: PolicyFetch, seen: &Observed) -> (MtaSts, Vec<String>, usize) {
        let (zone, mut notes) = (Zone::new(zone), Notes::default());
        let delivery = mx::check(&zone, "example.com", &mut notes);
        let served = Served(answer);
        let found = check(&zone, Some(&served), "example.com", &delivery, seen, &mut notes);
        let codes = notes.findings.iter().map(|finding| finding.code.name.to_owned()).collect();
        (found, codes, notes.unknown.len())
    }

    #[test]
    fn a_record_and_a_policy_that_fit_have_no_finding() {
        let zone = format!("{ZONE}v=STSv1; id=20261101;");
        let (found, codes, unknown) = told(&zone, PolicyFetch::Answer(answer(GOOD)), &Observed::default());
        assert_eq!((codes.as_slice(), unknown, found.id.as_deref()), (&[][..], 0, Some("20261101")));
        assert!(matches!(found.policy, PolicyState::Valid(policy) if policy.max_age == 604_800));
    }

    #[test]
    fn a_domain_without_a_record_has_no_fault_and_nothing_is_fetched() {
        for zone in [
            "example.com MX 10 mx.example.com\nmx.example.com A 192.0.2.25",
            &format!("{ZONE}v=spf1 include:hosts.example -all"),
        ] {
            let (found, codes, unknown) = told(zone, PolicyFetch::Failed("asked".into()), &Observed::default());
            assert_eq!((found.policy, codes.as_slice(), unknown), (PolicyState::NoRecord, &[][..], 0));
        }
    }

    #[test]
    fn each_fault_of_the_record_has_its_code() {
        for (record, code) in [
            ("v=stsv1; id=1", "mta_sts.not_recognized"),
            ("v=STSv1 id=1", "mta_sts.not_recognized"),
            ("\"\\\"v=STSv1; id=1\\\"\"", "mta_sts.not_recognized"),
            ("v=STSv1;", "mta_sts.id_invalid"),
            ("v=STSv1; id=2026-11-01", "mta_sts.id_invalid"),
            ("v=STSv1; id=1; on", "mta_sts.syntax"),
            ("v=STSv1; id=1; _ext=1", "mta_sts.syntax"),
            ("v=STSv1; id=1\n_mta-sts.example.com TXT v=STSv1; id=2", "mta_sts.multiple_records"),
        ] {
            let (found, codes, _) =
                told(&format!("{ZONE}{record}"), PolicyFetch::Answer(answer(GOOD)), &Observed::default());
            assert_eq!((found.policy, codes.as_slice()), (PolicyState::Unusable, &[code.to_owned()][..]), "{record}");
        }
    }

    #[test]
    fn each_fault_of_the_answer_has_its_code() {
        let of = |status| PolicyAnswer { status, ..answer(GOOD) };
        let typed = |media: Option<&str>| PolicyAnswer { content_type: media.map(str::to_owned), ..answer(GOOD) };
        for (fetch, code) in [
            (PolicyFetch::Certificate("it has expired".into()), "mta_sts.certificate"),
            (PolicyFetch::Answer(of(301)), "mta_sts.redirect"),
            (PolicyFetch::Answer(of(404)), "mta_sts.http_status"),
            (PolicyFetch::Answer(typed(Some("text/html"))), "mta_sts.content_type"),
            (PolicyFetch::Answer(typed(None)), "mta_sts.content_type"),
            (PolicyFetch::Answer(answer(&GOOD.repeat(2000))), "mta_sts.policy_too_large"),
            (PolicyFetch::Answer(answer(&GOOD.replace("mx.example", "mail.example"))), "mta_sts.mx_unmatched"),
        ] {
            let (_, codes, unknown) = told(&format!("{ZONE}v=STSv1; id=1"), fetch, &Observed::default());
            assert_eq!((codes.as_slice(), unknown), (&[code.to_owned()][..], 0));
        }
    }

    #[test]
    fn a_host_that_cannot_be_reached_is_no_fault_and_a_private_one_is_never_asked() {
        let zone = format!("{ZONE}v=STSv1; id=1");
        let (found, codes, unknown) = told(&zone, PolicyFetch::Failed("refused".into()), &Observed::default());
        assert_eq!((found.policy, codes.len(), unknown), (PolicyState::Unknown, 0, 1));
        for address in
            ["A 127.0.0.1", "A 10.0.0.1", "A 169.254.169.254", "AAAA ::1", "AAAA ::ffff:127.0.0.1", "A 100.64.0.1"]
        {
            let zone = zone.replace("A 192.0.2.80", address);
            let (_, codes, unknown) = told(&zone, PolicyFetch::Failed("asked".into()), &Observed::default());
            assert_eq!((codes, unknown), (vec!["mta_sts.host_private".to_owned()], 0), "{address}");
        }
    }

    #[test]
    fn a_policy_that_changed_under_the_same_id_is_reported() {
        let file = normalized(GOOD.replace("604800", "86400").as_bytes());
        for (id, changed) in [("1", true), ("2", false)] {
            let before = SeenStsPolicy { day: "2026-11-20".parse().unwrap(), id: id.into(), file: file.clone() };
            let seen = Observed { sts_policies: vec![before], ..Observed::default() };
            let (_, codes, _) = told(&format!("{ZONE}v=STSv1; id=1"), PolicyFetch::Answer(answer(GOOD)), &seen);
            assert_eq!(codes.contains(&"mta_sts.id_unchanged".to_owned()), changed);
        }
    }
}
