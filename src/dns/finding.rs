//! What a check can find: the table of codes, each with its severity and the reason why it matters.
//!
//! `dmarquet check --codes` prints the same table. Which record to publish instead is decided in `proposals`.

use super::lookup::answer::{Failure, QueryType};
use serde::{Serialize, Serializer};
use std::collections::HashMap;

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work, or not as written. Exit code 1.
    Fault,
    /// It works, but could be better or should be known.
    Advice,
}

impl Severity {
    /// The word in the output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Advice => "advice",
        }
    }
}

/// A kind of finding. The names are stable.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct CheckCode {
    /// For example `spf.loop`.
    pub name: &'static str,
    /// How serious it is.
    pub severity: Severity,
    /// Why it matters, in one sentence.
    pub why: &'static str,
}

impl Serialize for CheckCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckFinding {
    /// The kind.
    pub code: &'static CheckCode,
    /// How serious it is.
    pub severity: Severity,
    /// The name and, where it helps, the record or term: `_dmarc.example.com TXT`.
    #[serde(rename = "where")]
    pub place: String,
    /// What to do and what was found. It can quote untrusted text, which is cleaned when shown.
    pub text: String,
    /// Why it matters.
    pub why: &'static str,
    /// The record to publish, in zone-file form, one per line. It replaces the records of its kind at that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish: Option<String>,
    /// What the record changes and whom it affects, or why no record is proposed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

impl CheckFinding {
    /// A finding of this kind.
    pub fn new(code: &'static CheckCode, place: impl Into<String>, text: impl Into<String>) -> Self {
        let (place, text) = (place.into(), text.into());
        Self { code, severity: code.severity, place, text, why: code.why, publish: None, details: Vec::new() }
    }
}

/// A DNS question that matters and was not answered: exit code 2, and nothing is concluded from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// The name and type that were queried.
    #[serde(rename = "where")]
    pub place: String,
    /// Why there is no answer.
    pub text: String,
}

/// What a check collects: findings, and questions without an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// What was found.
    pub findings: Vec<CheckFinding>,
    /// What could not be looked up.
    pub unknown: Vec<Unknown>,
}

impl Notes {
    /// Adds a finding, once.
    pub fn add(&mut self, finding: CheckFinding) {
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Adds a finding of this kind.
    pub fn find(&mut self, code: &'static CheckCode, place: impl Into<String>, text: impl Into<String>) {
        self.add(CheckFinding::new(code, place, text));
    }

    /// Records that a question was not answered, once.
    pub fn unknown(&mut self, name: &str, kind: QueryType, failure: &Failure) {
        let unknown = Unknown { place: format!("{name} {kind}"), text: failure.to_string() };
        if !self.unknown.contains(&unknown) {
            self.unknown.push(unknown);
        }
    }

    /// Whether there is a finding of this kind.
    pub fn has(&self, code: &'static CheckCode) -> bool {
        self.findings.iter().any(|finding| finding.code == code)
    }
}

/// Findings of one code that are listed one by one. More of them say the same thing too often to be read.
const LISTED: usize = 3;
/// Texts quoted in a group of equal findings.
const QUOTED: usize = 10;

/// Sorts findings, faults first, and joins those of one code if there are more than `LISTED`. A finding with a record
/// to publish stays alone.
pub fn grouped(mut findings: Vec<CheckFinding>) -> Vec<CheckFinding> {
    findings.sort_by_key(|finding| finding.severity);
    let mut alike: HashMap<&str, Vec<&CheckFinding>> = HashMap::new();
    for finding in findings.iter().filter(|finding| finding.publish.is_none()) {
        alike.entry(finding.code.name).or_default().push(finding);
    }
    let mut result: Vec<CheckFinding> = Vec::new();
    for finding in &findings {
        match alike.get(finding.code.name).filter(|_| finding.publish.is_none()) {
            Some(same) if same.len() > LISTED => {
                if std::ptr::eq(same[0], finding) {
                    result.push(group(same));
                }
            }
            _ => result.push(finding.clone()),
        }
    }
    result
}

fn group(same: &[&CheckFinding]) -> CheckFinding {
    let common = |place: &str| place.split(", `").next().unwrap_or(place).to_owned();
    let first = common(&same[0].place);
    let place = if same.iter().all(|other| common(&other.place) == first) {
        first
    } else {
        format!("{first} and {} more", same.len() - 1)
    };
    // Findings about terms of one record differ only in the term: the first explains it, and the other terms are
    // listed.
    let terms: Vec<&str> =
        same.iter().skip(1).filter_map(|finding| finding.place.split_once(", ").map(|(_, term)| term)).collect();
    let text = if terms.len() + 1 == same.len() {
        format!("{} The same applies to {} more: {}.", same[0].text, terms.len(), list(&terms, QUOTED))
    } else {
        let texts: Vec<&str> = same.iter().map(|finding| finding.text.as_str()).collect();
        format!("{} times: {}", same.len(), listed(&texts, QUOTED, " "))
    };
    let mut finding = CheckFinding::new(same[0].code, place, text);
    for detail in same.iter().flat_map(|other| &other.details) {
        if !finding.details.contains(detail) {
            finding.details.push(detail.clone());
        }
    }
    finding
}

/// Items in a sentence: all of a few, the first of many.
pub fn list<T: std::fmt::Display>(items: &[T], most: usize) -> String {
    listed(items, most, ", ")
}

fn listed<T: std::fmt::Display>(items: &[T], most: usize, between: &str) -> String {
    let shown: Vec<String> = items.iter().take(most).map(ToString::to_string).collect();
    let more = items.len().saturating_sub(most);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(between))
}

/// Bytes in one string of a TXT record: the limit is 255, and some control panels count the quotation marks.
const STRING: usize = 250;

/// A TXT record in zone-file form, its text split into strings of at most 255 bytes.
pub fn txt_record(name: &str, text: &str) -> String {
    let mut strings = Vec::new();
    let mut rest = text;
    while rest.len() > STRING {
        let cut = (0..=STRING).rev().find(|cut| rest.is_char_boundary(*cut)).unwrap_or(STRING);
        let (string, after) = rest.split_at(cut);
        strings.push(string);
        rest = after;
    }
    strings.push(rest);
    let quoted: Vec<String> =
        strings.iter().map(|string| format!("\"{}\"", string.replace('\\', "\\\\").replace('"', "\\\""))).collect();
    format!("{name}. TXT {}", quoted.join(" "))
}

/// Declares every code once.
macro_rules! codes {
    ($($ident:ident = $name:literal $severity:ident $why:literal;)+) => {
        $(
            #[doc = $why]
            pub static $ident: CheckCode = CheckCode { name: $name, severity: Severity::$severity, why: $why };
        )+
        /// Every code, in the order of the table.
        pub static ALL: &[&CheckCode] = &[$(&$ident),+];
    };
}

codes! {
    // DMARC (RFC 9989, RFC 7489)
    DMARC_MISSING = "dmarc.missing" Fault "Without a DMARC record, receivers apply no policy and send no reports.";
    DMARC_SEVERAL = "dmarc.multiple_records" Fault "Receivers ignore all DMARC records of a name that has more than one.";
    DMARC_VERSION = "dmarc.bad_version" Fault "Receivers ignore a record that does not begin with exactly v=DMARC1.";
    DMARC_NOT_FIRST = "dmarc.version_not_first" Fault "Receivers ignore a record in which v=DMARC1 is not the first tag.";
    DMARC_LEADING = "dmarc.leading_text" Fault "Receivers ignore a record that has anything before v=DMARC1, even a space.";
    DMARC_PLACE = "dmarc.wrong_place" Fault "Receivers look for the record only at _dmarc below the domain.";
    DMARC_OTHER = "dmarc.other_text" Advice "Receivers skip this text; it usually comes from a wildcard record or was put here by mistake.";
    DMARC_QUOTED = "dmarc.quoting" Fault "Quotation marks and backslashes become part of the values and invalidate them.";
    DMARC_SYNTAX = "dmarc.syntax" Fault "Receivers skip anything that is not tag=value between semicolons, and often the tag beside it.";
    DMARC_REPEATED = "dmarc.duplicate_tag" Fault "Receivers differ on which copy of a repeated tag counts, or ignore the record.";
    DMARC_EMPTY = "dmarc.empty_tag" Advice "Receivers treat a tag without a value as absent.";
    DMARC_UNKNOWN = "dmarc.unknown_tag" Advice "Receivers skip tags that no standard defines.";
    DMARC_TYPO = "dmarc.tag_typo" Fault "Receivers skip a misspelled tag as if it were absent.";
    DMARC_P_MISSING = "dmarc.p_missing" Fault "Without p, receivers treat the record as p=none or ignore it.";
    DMARC_P_INVALID = "dmarc.p_invalid" Fault "Receivers treat a policy other than none, quarantine or reject as none, or ignore the record.";
    DMARC_SP_INVALID = "dmarc.sp_invalid" Fault "With an invalid sp, receivers treat the whole record as p=none or ignore it.";
    DMARC_NP_INVALID = "dmarc.np_invalid" Fault "With an invalid np, receivers may treat the whole record as p=none.";
    DMARC_VALUE = "dmarc.value_invalid" Fault "Receivers use the default of a tag whose value they cannot read.";
    DMARC_NONE = "dmarc.p_none" Advice "p=none only asks for reports: receivers do not block mail that fails DMARC.";
    DMARC_SP_WEAKER = "dmarc.sp_weaker" Advice "A spoofer can use any subdomain, where the weaker policy applies.";
    DMARC_NP_WEAKER = "dmarc.np_weaker" Advice "Names that do not exist send no mail, so a strict policy for them blocks only spoofed mail.";
    DMARC_NO_RUA = "dmarc.no_rua" Advice "Without rua, you get no aggregate reports and do not see failures.";
    DMARC_URI = "dmarc.target_invalid" Fault "Reporters cannot send reports to an address they cannot read.";
    DMARC_SIZE = "dmarc.target_size" Advice "RFC 9989 removed the size limit; some reporters send nothing to an address that has one.";
    DMARC_TARGETS = "dmarc.many_targets" Advice "Reporters need not send to more than two addresses.";
    DMARC_TARGET_HOST = "dmarc.target_host" Fault "The domain of this address accepts no mail, so the reports bounce.";
    DMARC_UNAUTHORIZED = "dmarc.target_unauthorized" Fault "Reporters send nothing to another organization's address unless that organization agrees in DNS.";
    DMARC_PARTIAL = "dmarc.pct_partial" Advice "Receivers that follow RFC 7489 apply the policy to only part of the failing mail; RFC 9989 ignores pct.";
    DMARC_REMOVED = "dmarc.removed_tag" Advice "RFC 9989 removed pct, rf and ri: receivers that follow it ignore them.";
    DMARC_FO = "dmarc.fo_without_ruf" Advice "fo selects failure reports, and only ruf asks for them.";
    DMARC_RUF = "dmarc.ruf_privacy" Advice "Failure reports can contain personal data, and few reporters send any.";
    DMARC_TESTING = "dmarc.testing" Advice "With t=y, receivers apply the policy one step weaker.";
    DMARC_PSD = "dmarc.psd" Fault "psd=y says that the names below belong to other organizations, which breaks relaxed alignment.";
    DMARC_DIFFERS = "dmarc.walk_differs" Advice "Receivers that follow RFC 7489 (public suffix list) and RFC 9989 (tree walk) judge this domain differently.";
    DMARC_NONMAIL = "dmarc.nonmail_open" Advice "A domain that sends no mail can ask receivers to reject all mail in its name.";

    // SPF (RFC 7208)
    SPF_MISSING = "spf.missing" Fault "Without an SPF record, receivers cannot tell which servers may send for the domain.";
    SPF_SEVERAL = "spf.multiple_records" Fault "With more than one v=spf1 record, every check ends in permerror: SPF never passes.";
    SPF_OLD_ONLY = "spf.type99_only" Fault "Receivers query only TXT records; the SPF record type was abandoned in 2014.";
    SPF_OLD = "spf.type99" Advice "Receivers do not query the SPF record type, and the two copies can drift apart.";
    SPF_NEAR = "spf.not_recognized" Fault "Receivers use a record only if it begins with exactly v=spf1 and a space.";
    SPF_SYNTAX = "spf.syntax" Fault "One invalid term makes every check end in permerror: SPF never passes.";
    SPF_LOOKUPS = "spf.too_many_lookups" Fault "Above 10 DNS lookups, every check that gets that far ends in permerror.";
    SPF_MANY = "spf.many_lookups" Advice "The limit is 10 lookups, and a provider you include can add one at any time.";
    SPF_VOIDS = "spf.too_many_voids" Fault "Above 2 lookups without an answer, many receivers return permerror.";
    SPF_DEAD = "spf.dead_term" Advice "A term without addresses authorizes no one and still counts toward two limits.";
    SPF_INCLUDE_NONE = "spf.include_none" Fault "An include or redirect to a domain without an SPF record makes the check end in permerror.";
    SPF_INCLUDE_BROKEN = "spf.include_broken" Fault "An error in an included record makes the whole check end in permerror.";
    SPF_LOOP = "spf.loop" Fault "Records that include each other exceed the lookup limit: the check ends in permerror.";
    SPF_PLUS_ALL = "spf.plus_all" Fault "+all authorizes every server on the Internet to send as the domain.";
    SPF_OPEN = "spf.open_range" Fault "The range is so large that anyone can send from it.";
    SPF_NEUTRAL = "spf.neutral_all" Advice "?all says nothing about other servers, as if there were no record.";
    SPF_NO_ALL = "spf.no_all" Advice "Without all or redirect at the end, other servers get neutral: the record refuses no one.";
    SPF_SOFT = "spf.softfail" Advice "With an enforcing DMARC policy, ~all is enough: DMARC decides, and -all can make receivers reject mail before they look at DKIM.";
    SPF_AFTER_ALL = "spf.terms_after_all" Advice "all matches every server, so receivers never read what follows it.";
    SPF_REDIRECT_ALL = "spf.redirect_with_all" Advice "Receivers ignore redirect in a record that has all.";
    SPF_REPEATED = "spf.duplicate_term" Advice "A repeated term authorizes no one else and can count twice toward the lookup limit.";
    SPF_PTR = "spf.ptr" Advice "ptr is slow and unreliable, and RFC 7208 says not to use it.";
    SPF_MACRO = "spf.macro" Advice "What the macro expands to depends on the message, so it cannot be checked here.";
    SPF_EXP = "spf.exp_broken" Advice "Receivers cannot fetch the explanation for rejected mail.";
    SPF_LONG = "spf.long" Advice "Above 450 bytes, the answer may not fit in a UDP packet, and some receivers fail to read it.";
    SPF_WIDE = "spf.wide_range" Advice "Everyone in this range may send as the domain.";
    SPF_NETWORK = "spf.network_address" Advice "An address without a prefix length is one host, and an address that ends in 0 usually means a network.";
    SPF_HOST_BITS = "spf.host_bits" Advice "The address has bits set beyond its prefix length, so another range may have been meant.";
    SPF_PRIVATE = "spf.private_range" Advice "Mail from the Internet never comes from a private address.";
    SPF_LIMIT_MX = "spf.mx_over_ten" Fault "An mx term with more than 10 hosts makes the check end in permerror.";
    SPF_NONMAIL = "spf.nonmail_open" Advice "A domain that accepts no mail usually sends none, and v=spf1 -all says so.";

    // DKIM keys (RFC 6376, RFC 8301, RFC 8463)
    DKIM_NO_SELECTOR = "dkim.no_selector_known" Advice "DKIM selectors cannot be listed from outside, so no key was checked.";
    DKIM_MISSING = "dkim.missing" Fault "Receivers cannot verify a DKIM signature whose key is missing.";
    DKIM_GONE = "dkim.gone" Fault "Mail was signed with this selector in the last 14 days; if it still is, every signature now fails.";
    DKIM_REVOKED = "dkim.revoked" Advice "An empty p= revokes the key: signatures made with it fail.";
    DKIM_REVOKED_USED = "dkim.revoked_in_use" Fault "Mail was signed with this selector in the last 14 days; if it still is, every signature now fails.";
    DKIM_SEVERAL = "dkim.multiple_records" Fault "With several key records, receivers use any one of them, or none.";
    DKIM_MALFORMED = "dkim.malformed" Fault "Every signature made with a key that cannot be read fails.";
    DKIM_QUOTED = "dkim.quoting" Fault "Quotation marks and backslashes in the text invalidate the key.";
    DKIM_VERSION = "dkim.bad_version" Fault "Receivers ignore a key in which v= is not DKIM1 or is not the first tag.";
    DKIM_SHORT = "dkim.short_key" Fault "Receivers must not accept RSA keys shorter than 1024 bits (RFC 8301).";
    DKIM_WEAK = "dkim.weak_key" Advice "RSA keys should have at least 2048 bits (RFC 8301).";
    DKIM_SHA1 = "dkim.sha1_only" Fault "Receivers must not accept SHA-1 (RFC 8301), so no signature verifies with this key.";
    DKIM_TYPE = "dkim.key_type" Fault "Receivers ignore a key of an unknown type.";
    DKIM_SERVICE = "dkim.not_for_mail" Fault "The s= tag contains neither * nor email, so the key is not valid for mail.";
    DKIM_TESTING = "dkim.testing" Advice "t=y asks receivers to treat a failed signature as if the message were unsigned.";
    DKIM_UNUSED = "dkim.unused" Advice "A key that no one uses can only be abused.";

    // MX (RFC 5321, RFC 2181, RFC 7505)
    MX_IMPLICIT = "mx.implicit" Advice "Without an MX record, mail goes to the domain's own address, often a web server.";
    MX_NONE = "mx.none" Advice "Nothing accepts mail for the domain, so bounces and replies are lost.";
    MX_NULL_MIXED = "mx.null_mixed" Fault "A null MX (RFC 7505) must be the only MX record; beside others its meaning is undefined.";
    MX_MISSING = "mx.target_missing" Fault "A host that does not exist accepts no mail.";
    MX_NO_ADDRESS = "mx.target_no_address" Fault "A host without an address accepts no mail.";
    MX_CNAME = "mx.target_cname" Fault "An MX record must not name an alias (RFC 2181 section 10.3), and some senders refuse it.";
    MX_LITERAL = "mx.target_literal" Fault "An MX record must name a host, not an address.";
    MX_PRIVATE = "mx.target_private" Fault "Other mail servers cannot reach a private address.";
    MX_TWICE = "mx.duplicate_target" Advice "A second record for the same host adds no redundancy.";
    MX_V6_ONLY = "mx.v6_only" Advice "Senders without IPv6 cannot deliver.";
    MX_NULL_SENDS = "mx.null_but_sends" Fault "Many receivers reject mail from a domain that says it accepts none (RFC 7505 section 4.2).";

    // TLS between mail servers: MTA-STS (RFC 8461), reports (RFC 8460), DANE (RFC 7672)
    MTA_STS_SEVERAL = "mta_sts.multiple_records" Fault "Senders find no policy if a name has more than one MTA-STS record.";
    MTA_STS_NEAR = "mta_sts.not_recognized" Fault "Senders use a record only if it begins with exactly v=STSv1 and a semicolon.";
    MTA_STS_SYNTAX = "mta_sts.syntax" Fault "Senders ignore a record that has anything but name=value between semicolons.";
    MTA_STS_ID = "mta_sts.id_invalid" Fault "Senders ignore a record without a valid id.";
    MTA_STS_ID_KEPT = "mta_sts.id_unchanged" Fault "Senders that keep a policy fetch it again only when the id in DNS changes.";
    MTA_STS_HOST = "mta_sts.host_missing" Fault "Senders cannot fetch the policy from a host without an address.";
    MTA_STS_PRIVATE = "mta_sts.host_private" Fault "Other mail servers cannot reach a private address, so they cannot fetch the policy.";
    MTA_STS_CERTIFICATE = "mta_sts.certificate" Fault "Senders use no policy from a host whose certificate they cannot verify.";
    MTA_STS_REDIRECT = "mta_sts.redirect" Fault "Senders must not follow a redirect (RFC 8461 section 3.3), so they get no policy.";
    MTA_STS_STATUS = "mta_sts.http_status" Fault "Senders use a policy only if the server answers with status 200.";
    MTA_STS_TYPE = "mta_sts.content_type" Fault "Senders may refuse a policy that does not come as text/plain.";
    MTA_STS_LARGE = "mta_sts.policy_too_large" Fault "Senders need not read a policy that is larger than 64 KB.";
    MTA_STS_LINE = "mta_sts.policy_syntax" Fault "Senders may refuse a policy that has a line without a key and a value.";
    MTA_STS_VERSION = "mta_sts.policy_version" Fault "Senders use a policy only if it says `version: STSv1`.";
    MTA_STS_MODE = "mta_sts.policy_mode" Fault "Senders use a policy only if its mode is enforce, testing or none.";
    MTA_STS_MAX_AGE = "mta_sts.policy_max_age" Fault "Senders use a policy only if it says how many seconds it is valid, at most a year.";
    MTA_STS_MX = "mta_sts.policy_mx" Fault "Senders use a policy only if it names the hosts that mail may go to.";
    MTA_STS_UNMATCHED = "mta_sts.mx_unmatched" Fault "Senders that honor the policy do not deliver to a host that it does not name.";
    MTA_STS_REPEATED = "mta_sts.duplicate_key" Advice "Senders use the first of a repeated key and ignore the others.";
    MTA_STS_UNKNOWN = "mta_sts.unknown_key" Advice "Senders skip keys that no standard defines.";
    MTA_STS_SHORT = "mta_sts.short_max_age" Advice "A policy that expires within a day protects only from senders that deliver daily.";
    MTA_STS_TESTING = "mta_sts.testing" Advice "In mode testing, senders deliver even if TLS fails, and only report it.";
    MTA_STS_OFF = "mta_sts.mode_none" Advice "In mode none, senders deliver as if there were no policy.";
    TLS_RPT_MISSING = "tls_rpt.missing" Advice "Without TLS reports, you do not see which mail your TLS rules keep from being delivered.";
    TLS_RPT_SEVERAL = "tls_rpt.multiple_records" Fault "Reporters send no TLS reports if a name has more than one record.";
    TLS_RPT_NEAR = "tls_rpt.not_recognized" Fault "Reporters use a record only if it begins with exactly v=TLSRPTv1 and a semicolon.";
    TLS_RPT_SYNTAX = "tls_rpt.syntax" Fault "Reporters ignore a record that has anything but name=value between semicolons.";
    TLS_RPT_NO_RUA = "tls_rpt.no_rua" Fault "Reporters send no TLS reports without an address.";
    TLS_RPT_TARGET = "tls_rpt.target_invalid" Fault "Reporters send TLS reports only to mailto: and https: addresses.";
    TLS_RPT_HOST = "tls_rpt.target_host" Fault "The domain of this address accepts no reports, so they are lost.";
    TLSA_INVALID = "tlsa.invalid" Fault "Senders cannot use the record; if none is usable, they encrypt but cannot verify the host.";
    TLSA_USAGE = "tlsa.usage" Fault "RFC 7672 section 3.1.3 leaves usages 0 and 1 to web servers: senders treat them as unusable.";
    TLSA_UNSIGNED = "tlsa.unsigned" Fault "Senders ignore TLSA records that DNSSEC does not protect.";
    TLSA_PARTIAL = "tlsa.partial_hosts" Advice "DANE protects mail only if every MX host has TLSA records.";

    // PTR (RFC 8601 section 3)
    PTR_MISSING = "ptr.missing" Fault "Large receivers reject or throttle mail from addresses without a reverse DNS name.";
    PTR_UNCONFIRMED = "ptr.unconfirmed" Fault "Receivers ignore a reverse DNS name that does not resolve back to the address.";
    PTR_GENERIC = "ptr.generic" Advice "A name made from the address looks like a home connection, which many receivers distrust.";

    // DNS beside the reports
    SEEN_SPF_LOST = "seen.spf_lost" Fault "This source passed SPF in the reports and would not pass today.";
    SEEN_INCLUDE_UNUSED = "seen.include_unused" Advice "No report shows mail through this include; its servers may still send as the domain.";
    SEEN_TLS = "seen.tls_failing" Fault "Senders report TLS sessions that failed in the last seven days; depending on the policy, they did not deliver.";
    SEEN_POLICY = "seen.policy_changed" Advice "The newest report was made under a different policy from the one in DNS now.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_names_are_unique_and_whys_are_sentences() {
        let mut names: Vec<_> = ALL.iter().map(|code| code.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for code in ALL {
            assert!(code.why.ends_with('.'), "{}", code.name);
        }
    }

    #[test]
    fn a_long_record_is_split_into_strings() {
        let record = txt_record("s1._domainkey.example.com", &"k".repeat(600));
        let strings: Vec<_> = record.split('"').filter(|part| part.starts_with('k')).map(str::len).collect();
        assert_eq!(strings, [250, 250, 100]);
        assert_eq!(txt_record("example.com", r#"a\b"c"#), r#"example.com. TXT "a\\b\"c""#);
    }

    #[test]
    fn many_equal_findings_become_one() {
        let term = |number: usize| format!("ip4:10.0.0.{number}");
        let find =
            |number| CheckFinding::new(&SPF_PRIVATE, format!("example.com TXT, `{}`", term(number)), term(number));
        let few: Vec<CheckFinding> = (1..=3).map(find).collect();
        assert_eq!(grouped(few.clone()), few);
        let many = grouped((1..=25).map(find).collect());
        assert_eq!(many.len(), 1);
        assert_eq!(many[0].place, "example.com TXT");
        let text = &many[0].text;
        assert!(text.starts_with("ip4:10.0.0.1 The same applies to 24 more: `ip4:10.0.0.2`, "), "{text}");
        assert!(text.ends_with(" and 14 more."), "{text}");
        let alike: Vec<CheckFinding> =
            (0..4).map(|at| CheckFinding::new(&SEEN_SPF_LOST, "example.com TXT", format!("{at}."))).collect();
        assert_eq!(grouped(alike)[0].text, "4 times: 0. 1. 2. 3.");
    }
}
