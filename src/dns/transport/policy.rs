//! The policy file of MTA-STS, and what is wrong with it (RFC 8461 section 3.2).

use super::record::{is_name, quoted};
use crate::dns::finding as codes;
use crate::dns::finding::{Notes, list};
use crate::dns::lookup::name;
use serde::Serialize;

/// The longest lifetime that a policy may have, in seconds: a year.
const LONGEST: u64 = 31_557_600;
/// Lifetimes shorter than this, in seconds, protect only from senders that deliver daily.
const SHORT: u64 = 86_400;
/// Patterns read of a policy.
const PATTERNS: usize = 200;
/// Lines quoted of a file.
const QUOTED: usize = 3;

/// What senders are to do if TLS fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyMode {
    /// Do not deliver.
    Enforce,
    /// Deliver, and report.
    Testing,
    /// As if there were no policy.
    None,
}

impl PolicyMode {
    /// The word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

/// A policy that senders can use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StsPolicy {
    /// What senders do if TLS fails.
    pub mode: PolicyMode,
    /// The hosts that mail may go to, in lower case; `*.` stands for one label.
    pub mx: Vec<String>,
    /// How long senders keep it, in seconds.
    pub max_age: u64,
}

/// Whether a pattern of a policy names a host (RFC 8461 section 4.1). Both in lower case.
pub fn matches_host(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
        None => pattern == host,
    }
}

/// Reads a policy file; `None` if senders cannot use it. `url` is where it was fetched from.
pub(super) fn read(body: &[u8], url: &str, notes: &mut Notes) -> Option<StsPolicy> {
    let text = String::from_utf8_lossy(body);
    let fields = Fields::read(&text);
    let Some(version) = fields.first("version") else {
        let found = text.lines().next().map_or("nothing".to_owned(), |line| format!("`{}`", quoted(line)));
        let text = format!(
            "Serve a file with the line `version: STSv1`: the one at {url} has none. Its first line is {found}."
        );
        notes.find(&codes::MTA_STS_VERSION, url, text);
        return None;
    };
    if version != "STSv1" {
        let text = format!("Write `version: STSv1` in the policy: it says `{}`.", quoted(version));
        notes.find(&codes::MTA_STS_VERSION, url, text);
        return None;
    }
    fields.tell_form(url, notes);
    let mode = mode(&fields, url, notes);
    let max_age = max_age(&fields, url, notes);
    let mx = mx(&fields, mode, url, notes);
    (fields.wrong.is_empty()).then_some(())?;
    Some(StsPolicy { mode: mode?, mx: mx?, max_age: max_age? })
}

fn mode(fields: &Fields<'_>, url: &str, notes: &mut Notes) -> Option<PolicyMode> {
    let found = fields.first("mode");
    let modes = [PolicyMode::Enforce, PolicyMode::Testing, PolicyMode::None];
    let mode = modes.into_iter().find(|mode| found == Some(mode.as_str()));
    match (mode, found) {
        (Some(PolicyMode::Testing), _) => notes.find(
            &codes::MTA_STS_TESTING,
            url,
            "Change the mode to enforce, and the id in the record, once TLS reports show no failures: the mode is testing.",
        ),
        (Some(PolicyMode::None), _) => notes.find(
            &codes::MTA_STS_OFF,
            url,
            "If you mean to require TLS, set the mode to testing first: the mode is none, which switches MTA-STS off.",
        ),
        (Some(PolicyMode::Enforce), _) => {}
        (None, Some(other)) => notes.find(
            &codes::MTA_STS_MODE,
            url,
            format!("Set the mode to enforce, testing or none: it is `{}`.", quoted(other)),
        ),
        (None, None) => notes.find(&codes::MTA_STS_MODE, url, "Add the line `mode: testing` or `mode: enforce`: there is none."),
    }
    mode
}

fn max_age(fields: &Fields<'_>, url: &str, notes: &mut Notes) -> Option<u64> {
    let Some(found) = fields.first("max_age") else {
        notes.find(&codes::MTA_STS_MAX_AGE, url, "Add the line `max_age: 604800`, a week in seconds: there is none.");
        return None;
    };
    let seconds = Some(found).filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    let seconds = seconds.and_then(|text| text.parse().ok()).filter(|seconds| *seconds <= LONGEST);
    match seconds {
        None => {
            let text = format!("Set max_age to a number of seconds up to {LONGEST}: it is `{}`.", quoted(found));
            notes.find(&codes::MTA_STS_MAX_AGE, url, text);
        }
        Some(short) if short < SHORT => {
            let text = format!("Raise max_age to a week (604800) or more: it is {short} seconds.");
            notes.find(&codes::MTA_STS_SHORT, url, text);
        }
        Some(_) => {}
    }
    seconds
}

fn mx(fields: &Fields<'_>, mode: Option<PolicyMode>, url: &str, notes: &mut Notes) -> Option<Vec<String>> {
    let found: Vec<String> =
        fields.all("mx").take(PATTERNS).map(|pattern| pattern.trim_end_matches('.').to_ascii_lowercase()).collect();
    let wrong: Vec<String> =
        found.iter().filter(|pattern| !is_pattern(pattern)).map(|pattern| quoted(pattern)).collect();
    if !wrong.is_empty() {
        let text = format!(
            "Correct what the policy calls `mx`: {} names no host. Expected a host name, or `*.` and a domain.",
            list(&wrong, QUOTED)
        );
        notes.find(&codes::MTA_STS_MX, url, text);
        return None;
    }
    if found.is_empty() && matches!(mode, Some(PolicyMode::Enforce | PolicyMode::Testing)) {
        notes.find(&codes::MTA_STS_MX, url, "Add a line `mx: HOST` for each host in the MX records: there is none.");
        return None;
    }
    Some(found)
}

/// A host name, or `*.` and a domain. Addresses are none.
fn is_pattern(pattern: &str) -> bool {
    let host = pattern.strip_prefix("*.").unwrap_or(pattern);
    pattern.contains('.') && name::is_possible(host) && name::is_domain(host)
}

/// The lines of a file.
struct Fields<'a> {
    /// Keys and values, in their order.
    pairs: Vec<(&'a str, &'a str)>,
    /// Lines that are none.
    wrong: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    /// Lines end with LF or CRLF. Empty lines are no fault: no sender is known to mind them.
    fn read(text: &'a str) -> Self {
        let (mut pairs, mut wrong) = (Vec::new(), Vec::new());
        for line in text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
            let field = line.split_once(':').map(|(key, value)| (key.trim_end_matches([' ', '\t']), value.trim()));
            match field {
                Some((key, value)) if is_name(key) => pairs.push((key, value)),
                _ if line.trim().is_empty() => {}
                _ => wrong.push(line),
            }
        }
        Self { pairs, wrong }
    }

    fn all(&self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(found, _)| *found == key).map(|(_, value)| *value)
    }

    /// Senders ignore all of a key but the first.
    fn first(&self, key: &'a str) -> Option<&'a str> {
        self.all(key).next()
    }

    fn tell_form(&self, url: &str, notes: &mut Notes) {
        if let Some(line) = self.wrong.first() {
            let text = format!(
                "Remove or correct {}: it is not a key, a colon and a value.",
                if self.wrong.len() == 1 {
                    format!("the line `{}`", quoted(line))
                } else {
                    format!("`{}` and {} more lines", quoted(line), self.wrong.len() - 1)
                }
            );
            notes.find(&codes::MTA_STS_LINE, url, text);
        }
        for key in ["version", "mode", "max_age"].into_iter().filter(|key| self.all(key).count() > 1) {
            let text = format!("Keep one line `{key}`: there are {}.", self.all(key).count());
            notes.find(&codes::MTA_STS_REPEATED, url, text);
        }
        let known = |key: &str| ["version", "mode", "max_age", "mx"].contains(&key);
        let mut unknown: Vec<String> =
            self.pairs.iter().filter(|(key, _)| !known(key)).map(|(key, _)| format!("`{}`", quoted(key))).collect();
        unknown.dedup();
        if !unknown.is_empty() {
            let text = format!("Check the spelling of {}: no standard defines it.", list(&unknown, QUOTED));
            notes.find(&codes::MTA_STS_UNKNOWN, url, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str) -> (Option<String>, Vec<&'static str>) {
        let mut notes = Notes::default();
        let policy = read(body.as_bytes(), "https://mta-sts.example.com/.well-known/mta-sts.txt", &mut notes);
        let policy =
            policy.map(|policy| format!("{} {} {}", policy.mode.as_str(), policy.mx.join(","), policy.max_age));
        (policy, notes.findings.iter().map(|finding| finding.code.name).collect())
    }

    #[test]
    fn a_policy_is_read_with_either_line_end_and_in_any_order() {
        let good = "version: STSv1\nmode: enforce\nmx: MX.example.com\nmx: *.example.net.\nmax_age: 604800\n";
        let read = Some("enforce mx.example.com,*.example.net 604800".to_owned());
        for body in [
            good.to_owned(),
            good.replace('\n', "\r\n"),
            good.trim_end().to_owned(),
            good.replace(": ", ":"),
            good.replace(": ", " :\t") + "\n\n",
            "max_age: 604800\nmx: mx.example.com\nmx: *.example.net\nversion: STSv1\nmode: enforce".to_owned(),
        ] {
            assert_eq!(told(&body), (read.clone(), vec![]), "{body}");
        }
    }

    #[test]
    fn each_fault_has_its_code() {
        let with = |more: &str| {
            let given: Vec<&str> = more.split(['\n', ':']).collect();
            let line = |line: &&str| !given.contains(&line.split(':').next().unwrap_or_default());
            let rest = ["version: STSv1", "mode: enforce", "mx: mx.example.com", "max_age: 604800"];
            rest.into_iter().filter(line).chain([more]).collect::<Vec<_>>().join("\n")
        };
        for (body, usable, codes) in [
            ("", false, vec!["mta_sts.policy_version"]),
            ("<!DOCTYPE html>\n<p>Not found", false, vec!["mta_sts.policy_version"]),
            ("\u{feff}version: STSv1\nmode: none\nmax_age: 604800", false, vec!["mta_sts.policy_version"]),
            (&with("version: STSv2"), false, vec!["mta_sts.policy_version"]),
            (&with("mode: Enforce"), false, vec!["mta_sts.policy_mode"]),
            (&with("mode: testing"), true, vec!["mta_sts.testing"]),
            ("version: STSv1\nmode: none\nmax_age: 604800", true, vec!["mta_sts.mode_none"]),
            ("version: STSv1\nmode: enforce\nmax_age: 604800", false, vec!["mta_sts.policy_mx"]),
            (&with("mx: 192.0.2.1"), false, vec!["mta_sts.policy_mx"]),
            (&with("mx: *"), false, vec!["mta_sts.policy_mx"]),
            (&with("max_age: 31557601"), false, vec!["mta_sts.policy_max_age"]),
            (&with("max_age: 1 week"), false, vec!["mta_sts.policy_max_age"]),
            (&with("max_age: 3600"), true, vec!["mta_sts.short_max_age"]),
            (&(with("max_age: 604800") + "\nmode: none"), true, vec!["mta_sts.duplicate_key"]),
            (&(with("max_age: 604800") + "\nmx_host: a.example.com"), true, vec!["mta_sts.unknown_key"]),
            (&(with("max_age: 604800") + "\nmx = a.example.com"), false, vec!["mta_sts.policy_syntax"]),
        ] {
            let (policy, found) = told(body);
            assert_eq!((policy.is_some(), found), (usable, codes), "{body}");
        }
    }

    #[test]
    fn a_star_stands_for_one_label() {
        for (pattern, host, is) in [
            ("mx.example.com", "mx.example.com", true),
            ("*.example.com", "mx.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "a.mx.example.com", false),
            ("mx.example.com", "mx2.example.com", false),
        ] {
            assert_eq!(matches_host(pattern, host), is, "{pattern} {host}");
        }
    }
}
