//! What a check can find: the one table of codes, with how grave each is and why it matters.
//!
//! A finding says what, where, why it matters in one sentence, and the record to publish instead. The table is also
//! what `dmarquet check --codes` prints.

use super::answer::{Failure, Kind};
use serde::{Serialize, Serializer};

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work, or not as it is written. Exit code 1.
    Fault,
    /// It works; it could be better, or should be known.
    Advice,
}

impl Severity {
    /// The word in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Advice => "advice",
        }
    }
}

/// A kind of finding. The names are stable.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Code {
    /// As `spf.loop`.
    pub name: &'static str,
    /// How grave.
    pub severity: Severity,
    /// Why it matters, in one sentence.
    pub why: &'static str,
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The kind.
    pub code: &'static Code,
    /// How grave, as the kind says.
    pub severity: Severity,
    /// The name, and where it helps the record or term, as `_dmarc.example.com TXT`.
    #[serde(rename = "where")]
    pub place: String,
    /// What was found. A stranger's text may be in it: cleaned when shown.
    pub text: String,
    /// Why it matters.
    pub why: &'static str,
    /// The record to publish, in zone-file form, where one can be named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish: Option<String>,
}

impl Finding {
    /// A finding of this kind.
    pub fn new(code: &'static Code, place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { code, severity: code.severity, place: place.into(), text: text.into(), why: code.why, publish: None }
    }

    /// With the record to publish.
    #[must_use]
    pub fn publish(mut self, record: impl Into<String>) -> Self {
        self.publish = Some(record.into());
        self
    }
}

/// A question that matters and has no answer: exit code 2, and nothing is said about what it would have told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// The name and type asked for.
    #[serde(rename = "where")]
    pub place: String,
    /// Why there is no answer.
    pub text: String,
}

/// What a check collects: findings, and questions without an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// What was found.
    pub findings: Vec<Finding>,
    /// What could not be looked up.
    pub unknown: Vec<Unknown>,
}

impl Notes {
    /// Note a finding, once.
    pub fn add(&mut self, finding: Finding) {
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Note a finding without a record to publish.
    pub fn find(&mut self, code: &'static Code, place: impl Into<String>, text: impl Into<String>) {
        self.add(Finding::new(code, place, text));
    }

    /// Note that a question has no answer, once.
    pub fn unknown(&mut self, name: &str, kind: Kind, failure: &Failure) {
        let unknown = Unknown { place: format!("{name} {kind}"), text: failure.to_string() };
        if !self.unknown.contains(&unknown) {
            self.unknown.push(unknown);
        }
    }

    /// Whether a finding of this kind is there.
    pub fn has(&self, code: &'static Code) -> bool {
        self.findings.iter().any(|finding| finding.code == code)
    }
}

/// A TXT record in zone-file form, its text split into strings of at most 255 bytes.
pub fn txt_record(name: &str, text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut strings = Vec::new();
    let mut rest = escaped.as_str();
    while rest.len() > 250 {
        let mut cut = 250;
        while !rest.is_char_boundary(cut) || rest[..cut].ends_with('\\') {
            cut -= 1;
        }
        strings.push(format!("\"{}\"", &rest[..cut]));
        rest = &rest[cut..];
    }
    strings.push(format!("\"{rest}\""));
    format!("{name}. TXT {}", strings.join(" "))
}

/// Declare every code once.
macro_rules! codes {
    ($($ident:ident = $name:literal $severity:ident $why:literal;)+) => {
        $(
            #[doc = $why]
            pub static $ident: Code = Code { name: $name, severity: Severity::$severity, why: $why };
        )+
        /// Every code, in the order of the table.
        pub static ALL: &[&Code] = &[$(&$ident),+];
    };
}

codes! {
    // DMARC (RFC 9989, RFC 7489)
    DMARC_MISSING = "dmarc.missing" Fault "Without a record receivers apply no policy and send no reports.";
    DMARC_SEVERAL = "dmarc.multiple_records" Fault "Several records at one name count as none.";
    DMARC_VERSION = "dmarc.bad_version" Fault "A record that does not begin with exactly v=DMARC1 is ignored.";
    DMARC_NOT_FIRST = "dmarc.version_not_first" Fault "The version must be the first tag, else the record is ignored.";
    DMARC_LEADING = "dmarc.leading_text" Fault "Anything before v=DMARC1, even a space or a quotation mark, makes receivers ignore the record.";
    DMARC_PLACE = "dmarc.wrong_place" Fault "Receivers look only at _dmarc below the domain.";
    DMARC_OTHER = "dmarc.other_text" Advice "Text that is no DMARC record is passed over, and usually shows a wildcard or a slip.";
    DMARC_QUOTED = "dmarc.quoting" Fault "Quotation marks and backslashes become part of the values and spoil them.";
    DMARC_SYNTAX = "dmarc.syntax" Fault "What is no tag=value between semicolons is passed over, and often swallows the tag beside it.";
    DMARC_REPEATED = "dmarc.duplicate_tag" Fault "A tag may stand once; receivers differ on which one counts, or ignore the record.";
    DMARC_EMPTY = "dmarc.empty_tag" Advice "A tag without a value counts as absent.";
    DMARC_UNKNOWN = "dmarc.unknown_tag" Advice "Tags of no standard are passed over.";
    DMARC_TYPO = "dmarc.tag_typo" Fault "A misspelt tag is passed over, as if it were not there.";
    DMARC_P_MISSING = "dmarc.p_missing" Fault "Without p the record asks for nothing: it acts as p=none at best.";
    DMARC_P_INVALID = "dmarc.p_invalid" Fault "A policy other than none, quarantine and reject acts as none at best.";
    DMARC_SP_INVALID = "dmarc.sp_invalid" Fault "A subdomain policy of no known word makes the whole record act as none at best.";
    DMARC_NP_INVALID = "dmarc.np_invalid" Fault "A policy of no known word makes the whole record act as none at best.";
    DMARC_VALUE = "dmarc.value_invalid" Fault "A value that cannot be read falls back to the default of its tag.";
    DMARC_NONE = "dmarc.p_none" Advice "p=none only asks for reports: mail that fails is still delivered.";
    DMARC_SP_WEAKER = "dmarc.sp_weaker" Advice "Whoever forges the domain takes a subdomain, where the weaker policy holds.";
    DMARC_NP_WEAKER = "dmarc.np_weaker" Advice "Names that do not exist never send mail, so the strictest policy costs nothing there.";
    DMARC_NO_RUA = "dmarc.no_rua" Advice "Without rua nobody sends aggregate reports, and failures stay unseen.";
    DMARC_URI = "dmarc.target_invalid" Fault "Reports for an address that cannot be read are not sent.";
    DMARC_SIZE = "dmarc.target_size" Advice "RFC 9989 took the size limit back: some reporters drop the address with it.";
    DMARC_TARGETS = "dmarc.many_targets" Advice "Reporters need not send to more than two addresses.";
    DMARC_TARGET_HOST = "dmarc.target_host" Fault "The reports bounce: the address's domain takes no mail.";
    DMARC_UNAUTHORIZED = "dmarc.target_unauthorized" Fault "Reporters drop an address of another organization that has not agreed, without telling anybody.";
    DMARC_PARTIAL = "dmarc.pct_partial" Advice "pct below 100 spares a part of the failing mail at older receivers, and newer ones ignore it.";
    DMARC_REMOVED = "dmarc.removed_tag" Advice "RFC 9989 took pct, rf and ri back: receivers ignore them.";
    DMARC_FO = "dmarc.fo_without_ruf" Advice "fo chooses among failure reports, which only ruf asks for.";
    DMARC_RUF = "dmarc.ruf_privacy" Advice "Failure reports hold people's mail; few reporters send any.";
    DMARC_TESTING = "dmarc.testing" Advice "t=y asks receivers to apply the policy one step milder.";
    DMARC_PSD = "dmarc.psd" Fault "psd=y says that names below belong to others: it breaks alignment with subdomains.";
    DMARC_DIFFERS = "dmarc.walk_differs" Advice "Receivers that still use the suffix list of RFC 7489 and those that walk the tree of RFC 9989 judge the domain differently.";
    DMARC_NONMAIL = "dmarc.nonmail_open" Advice "A domain that never sends should ask receivers to refuse mail in its name.";

    // SPF (RFC 7208)
    SPF_MISSING = "spf.missing" Fault "Without a record receivers cannot tell which hosts may send for the domain.";
    SPF_SEVERAL = "spf.multiple_records" Fault "More than one v=spf1 record is a permanent error: SPF never passes.";
    SPF_OLD_ONLY = "spf.type99_only" Fault "Receivers ask for TXT only; the SPF type was taken back in 2014.";
    SPF_OLD = "spf.type99" Advice "Nobody reads the SPF type any more, and two copies drift apart.";
    SPF_NEAR = "spf.not_recognized" Fault "A record counts only if it begins with exactly v=spf1 and a space.";
    SPF_SYNTAX = "spf.syntax" Fault "One term that cannot be read is a permanent error: SPF never passes.";
    SPF_LOOKUPS = "spf.too_many_lookups" Fault "Past ten terms that look up DNS the result is a permanent error.";
    SPF_MANY = "spf.many_lookups" Advice "Ten is the limit, and an included service may add one any day.";
    SPF_VOIDS = "spf.too_many_voids" Fault "Past two look-ups that find nothing many receivers give a permanent error.";
    SPF_DEAD = "spf.dead_term" Advice "A term that finds no address lets nobody send, and counts towards two limits.";
    SPF_INCLUDE_NONE = "spf.include_none" Fault "An include or redirect of a domain without SPF record is a permanent error.";
    SPF_INCLUDE_BROKEN = "spf.include_broken" Fault "An included record in error makes the whole record an error.";
    SPF_LOOP = "spf.loop" Fault "Records that include each other run into the look-up limit: a permanent error.";
    SPF_PLUS_ALL = "spf.plus_all" Fault "+all lets every host in the world send as the domain.";
    SPF_OPEN = "spf.open_range" Fault "The range holds so many hosts that anybody can send from one of them.";
    SPF_NEUTRAL = "spf.neutral_all" Advice "?all says nothing about hosts that are not listed, as if there were no record.";
    SPF_NO_ALL = "spf.no_all" Advice "Without all or redirect at the end hosts that are not listed are neutral, not refused.";
    SPF_SOFT = "spf.softfail" Advice "~all marks other hosts as probably wrong: enough with an enforcing DMARC policy, weak without.";
    SPF_AFTER_ALL = "spf.terms_after_all" Advice "all always matches: what stands after it is never read.";
    SPF_REDIRECT_ALL = "spf.redirect_with_all" Advice "redirect is ignored in a record that has all.";
    SPF_REPEATED = "spf.duplicate_term" Advice "A term twice does nothing, but may count twice.";
    SPF_PTR = "spf.ptr" Advice "ptr is slow and unreliable, and RFC 7208 says not to use it.";
    SPF_MACRO = "spf.macro" Advice "What a macro stands for depends on the mail: it cannot be checked from outside.";
    SPF_EXP = "spf.exp_broken" Advice "The explanation cannot be fetched, so refused senders are told nothing.";
    SPF_LONG = "spf.long" Advice "Past 450 bytes the answer may not fit a UDP packet, and part of the receivers fail to read it.";
    SPF_WIDE = "spf.wide_range" Advice "Everyone in so wide a range may send as the domain.";
    SPF_NETWORK = "spf.network_address" Advice "An address that ends in 0 without a prefix length is one host, not a network.";
    SPF_HOST_BITS = "spf.host_bits" Advice "The address has bits set beyond its prefix: maybe another range was meant.";
    SPF_PRIVATE = "spf.private_range" Advice "Mail never arrives from a private address.";
    SPF_LIMIT_MX = "spf.mx_over_ten" Fault "An mx term over more than ten hosts is a permanent error.";
    SPF_NONMAIL = "spf.nonmail_open" Advice "A domain that takes no mail usually sends none: v=spf1 -all says so.";

    // DKIM keys (RFC 6376, RFC 8301, RFC 8463)
    DKIM_NO_SELECTOR = "dkim.no_selector_known" Advice "Selectors cannot be listed from outside, so no key was checked.";
    DKIM_MISSING = "dkim.missing" Fault "A signature whose key is not there fails at every receiver.";
    DKIM_GONE = "dkim.gone" Fault "Mail was signed with this selector days ago: if it still is, every signature fails now.";
    DKIM_REVOKED = "dkim.revoked" Advice "An empty p= revokes the key: signatures with it fail.";
    DKIM_REVOKED_USED = "dkim.revoked_in_use" Fault "Mail was signed days ago with a key that is now revoked.";
    DKIM_SEVERAL = "dkim.multiple_records" Fault "With several key records at a selector verifiers take any, or none.";
    DKIM_MALFORMED = "dkim.malformed" Fault "A key that cannot be read fails every signature.";
    DKIM_QUOTED = "dkim.quoting" Fault "Quotation marks and backslashes in the text spoil the key.";
    DKIM_VERSION = "dkim.bad_version" Fault "v= must be DKIM1 and come first, else the key is ignored.";
    DKIM_SHORT = "dkim.short_key" Fault "Verifiers must refuse RSA keys under 1024 bits (RFC 8301).";
    DKIM_WEAK = "dkim.weak_key" Advice "RSA keys should have 2048 bits or more (RFC 8301).";
    DKIM_SHA1 = "dkim.sha1_only" Fault "A key that allows only SHA-1 verifies nothing: SHA-1 must not be used (RFC 8301).";
    DKIM_TYPE = "dkim.key_type" Fault "A key of an unknown type is ignored.";
    DKIM_SERVICE = "dkim.not_for_mail" Fault "s= does not hold * or email: the key is not valid for mail.";
    DKIM_TESTING = "dkim.testing" Advice "t=y tells verifiers to treat failures as if the mail were not signed.";
    DKIM_UNUSED = "dkim.unused" Advice "A key nobody signs with any more can only be abused: revoke or remove it.";

    // MX (RFC 5321, RFC 2181, RFC 7505)
    MX_IMPLICIT = "mx.implicit" Advice "Without MX mail goes to the domain's own address, often a web server.";
    MX_NONE = "mx.none" Advice "Nothing takes mail for the domain: bounces and replies are lost; a null MX says so at once.";
    MX_NULL_MIXED = "mx.null_mixed" Fault "A null MX must stand alone; beside others its meaning is undefined.";
    MX_MISSING = "mx.target_missing" Fault "A host that does not exist takes no mail.";
    MX_NO_ADDRESS = "mx.target_no_address" Fault "A host without address takes no mail.";
    MX_CNAME = "mx.target_cname" Fault "The target must be no alias (RFC 2181 section 10.3): some senders refuse it.";
    MX_LITERAL = "mx.target_literal" Fault "The target must be a host name, not an address.";
    MX_PRIVATE = "mx.target_private" Fault "An address that is not public cannot be reached from outside.";
    MX_TWICE = "mx.duplicate_target" Advice "The same host twice gives no second chance.";
    MX_V6_ONLY = "mx.v6_only" Advice "Senders without IPv6 cannot deliver.";
    MX_NULL_SENDS = "mx.null_but_sends" Fault "Many receivers refuse mail from a domain that says it takes none (RFC 7505 section 4.2).";

    // PTR (RFC 8601 section 3)
    PTR_MISSING = "ptr.missing" Fault "Large receivers refuse or throttle hosts without a name.";
    PTR_UNCONFIRMED = "ptr.unconfirmed" Fault "A name that does not lead back to the address counts as none.";
    PTR_GENERIC = "ptr.generic" Advice "A name made of the address looks like a home line, which many receivers distrust.";

    // DNS beside the reports
    SEEN_SPF_LOST = "seen.spf_lost" Fault "A source that passed SPF in the reports would not pass today.";
    SEEN_INCLUDE_UNUSED = "seen.include_unused" Advice "No report shows mail by this include: the service may be gone, and its hosts may still send as the domain.";
    SEEN_POLICY = "seen.policy_changed" Advice "The reports were made under another policy than DNS holds now.";
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
    }
}
