//! Parses a DMARC record (RFC 9989 section 4.7, RFC 7489 section 6.3).
//!
//! Reads the text of one record into its tags and lists every syntax mistake. `check` judges what is merely unwise.

use crate::dns::lookup::name;
use crate::model::Tags;
use serde::Serialize;

/// What a receiver is asked to do with mail that fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Nothing.
    #[default]
    None,
    /// Treat as suspicious.
    Quarantine,
    /// Reject.
    Reject,
}

impl Policy {
    /// The word in the record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    /// One step milder: what applies with `t=y`, and outside `pct`.
    #[must_use]
    pub const fn milder(self) -> Self {
        match self {
            Self::Reject => Self::Quarantine,
            _ => Self::None,
        }
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        [Self::None, Self::Quarantine, Self::Reject]
            .into_iter()
            .find(|policy| text.eq_ignore_ascii_case(policy.as_str()))
    }
}

/// A record. Absent tags are `None`: the methods apply the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DmarcRecord {
    /// As published.
    pub text: String,
    /// Policy for the domain.
    pub p: Option<Policy>,
    /// Policy for subdomains.
    pub sp: Option<Policy>,
    /// Policy for names below that do not exist.
    pub np: Option<Policy>,
    /// Strict DKIM alignment.
    pub adkim_strict: bool,
    /// Strict SPF alignment.
    pub aspf_strict: bool,
    /// `t=y`.
    pub testing: bool,
    /// `psd`: whether names below belong to others; `None` is the default `u`.
    pub psd: Option<bool>,
    /// RFC 7489: the share of failing mail the policy applies to.
    pub pct: Option<u8>,
    /// When failure reports are wanted.
    pub fo: Option<String>,
    /// Where aggregate reports go.
    pub rua: Vec<Target>,
    /// Where failure reports go.
    pub ruf: Vec<Target>,
    /// Its syntax mistakes.
    #[serde(skip)]
    pub slips: Vec<SyntaxMistake>,
}

/// One address for reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// As written.
    pub uri: String,
    /// The domain after the `@`, lower case, of a valid `mailto:`.
    pub host: Option<String>,
    /// RFC 7489's size limit after `!`.
    pub size: Option<String>,
}

/// A syntax mistake in a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyntaxMistake {
    /// A piece that is not a tag.
    Piece(String),
    /// A tag that occurs more than once.
    Repeated(String),
    /// A tag without a value.
    Empty(String),
    /// A nonstandard tag.
    Unknown(String),
    /// A misspelled tag.
    Typo(String, &'static str),
    /// No `p`.
    NoPolicy,
    /// `p`, `sp` or `np` with an unknown value.
    Policy(&'static str, String),
    /// Another tag whose value cannot be read, and what was expected.
    Value(&'static str, String, &'static str),
    /// An address that cannot be read: tag, address, why.
    Target(&'static str, String, String),
    /// A tag that RFC 9989 removed.
    Removed(&'static str, String),
}

/// Every tag of both standards.
pub(super) const TAGS: [&str; 14] =
    ["v", "p", "sp", "np", "adkim", "aspf", "rua", "ruf", "fo", "t", "psd", "pct", "rf", "ri"];

/// Whether a TXT text is a DMARC record: it begins with the word `v=DMARC1`.
pub fn is_dmarc(text: &str) -> bool {
    let Some((name, rest)) = text.split_once('=') else { return false };
    let rest = rest.trim_start_matches([' ', '\t']);
    name.trim_end_matches([' ', '\t']).eq_ignore_ascii_case("v")
        && rest
            .strip_prefix("DMARC1")
            .is_some_and(|after| after.trim_start_matches([' ', '\t']).starts_with(';') || after.trim().is_empty())
}

/// The values of `fo`.
const FAILURE_OPTIONS: [&str; 4] = ["0", "1", "d", "s"];

impl DmarcRecord {
    /// Parses a text for which [`is_dmarc`] is true.
    pub fn parse(text: &str) -> Self {
        let tags = Tags::parse(text);
        let mut record = Self { text: text.to_owned(), ..Self::default() };
        record.slips.extend(tags.pieces.iter().cloned().map(SyntaxMistake::Piece));
        record.slips.extend(tags.repeated.iter().cloned().map(SyntaxMistake::Repeated));
        for tag in &tags.tags {
            record.tag(&tag.name, &tag.value);
        }
        if tags.get("p").is_none_or(str::is_empty) && !record.has_typo_of("p") {
            record.slips.push(SyntaxMistake::NoPolicy);
        }
        record
    }

    fn has_typo_of(&self, tag: &str) -> bool {
        self.slips.iter().any(|slip| matches!(slip, SyntaxMistake::Typo(_, meant) if *meant == tag))
    }

    /// Whether it has addresses for aggregate reports, even misspelled ones.
    pub fn means_rua(&self) -> bool {
        !self.rua.is_empty()
            || self.has_typo_of("rua")
            || self.slips.iter().any(|slip| matches!(slip, SyntaxMistake::Target("rua", ..)))
    }

    fn tag(&mut self, name: &str, value: &str) {
        let Some(&known) = TAGS.iter().find(|tag| **tag == name) else { return self.unknown(name) };
        if value.is_empty() && known != "p" {
            return self.slips.push(SyntaxMistake::Empty(name.to_owned()));
        }
        match known {
            "p" => self.p = self.policy("p", value),
            "sp" => self.sp = self.policy("sp", value),
            "np" => self.np = self.policy("np", value),
            "adkim" => self.adkim_strict = self.word(known, value, &["r", "s"], "r or s") == Some("s"),
            "aspf" => self.aspf_strict = self.word(known, value, &["r", "s"], "r or s") == Some("s"),
            "t" => self.testing = self.word(known, value, &["n", "y"], "y or n") == Some("y"),
            "psd" => {
                let word = self.word(known, value, &["u", "n", "y"], "y, n or u");
                self.psd = word.filter(|word| *word != "u").map(|word| word == "y");
            }
            "fo" => self.failure_options(value),
            "rua" => self.rua = self.targets("rua", value),
            "ruf" => self.ruf = self.targets("ruf", value),
            "pct" => self.percent(value),
            "rf" | "ri" => self.slips.push(SyntaxMistake::Removed(known, value.to_owned())),
            _ => {}
        }
    }

    fn unknown(&mut self, name: &str) {
        self.slips.push(match meant_tag(name) {
            Some(meant) => SyntaxMistake::Typo(name.to_owned(), meant),
            None => SyntaxMistake::Unknown(name.to_owned()),
        });
    }

    fn policy(&mut self, tag: &'static str, value: &str) -> Option<Policy> {
        let policy = Policy::read(value);
        if policy.is_none() && !value.is_empty() {
            self.slips.push(SyntaxMistake::Policy(tag, value.to_owned()));
        }
        policy
    }

    fn word(
        &mut self,
        tag: &'static str,
        value: &str,
        words: &[&'static str],
        expected: &'static str,
    ) -> Option<&'static str> {
        let word = words.iter().find(|word| value.eq_ignore_ascii_case(word)).copied();
        if word.is_none() {
            self.slips.push(SyntaxMistake::Value(tag, value.to_owned(), expected));
        }
        word
    }

    fn failure_options(&mut self, value: &str) {
        if value.split(':').all(|option| FAILURE_OPTIONS.contains(&option.trim().to_ascii_lowercase().as_str())) {
            self.fo = Some(value.to_owned());
        } else {
            self.slips.push(SyntaxMistake::Value("fo", value.to_owned(), "0, 1, d or s, separated by colons"));
        }
    }

    fn percent(&mut self, value: &str) {
        match value.parse::<u8>() {
            Ok(percent @ 0..=100) => {
                self.pct = Some(percent);
                if percent == 100 {
                    self.slips.push(SyntaxMistake::Removed("pct", value.to_owned()));
                }
            }
            _ => self.slips.push(SyntaxMistake::Value("pct", value.to_owned(), "a whole number from 0 to 100")),
        }
    }

    fn targets(&mut self, tag: &'static str, value: &str) -> Vec<Target> {
        let mut targets = Vec::new();
        for uri in value.split(',').map(str::trim) {
            match target(uri) {
                Ok(target) => targets.push(target),
                Err(why) => self.slips.push(SyntaxMistake::Target(tag, uri.to_owned(), why)),
            }
        }
        targets
    }

    /// Whether receivers can read everything in it.
    pub fn is_readable(&self) -> bool {
        self.slips.iter().all(|slip| matches!(slip, SyntaxMistake::Removed(..)))
    }

    /// Whether the record asks for anything: a valid `p` and no invalid `sp` or `np`.
    pub fn has_policy(&self) -> bool {
        self.p.is_some() && !self.slips.iter().any(|slip| matches!(slip, SyntaxMistake::Policy(..)))
    }

    /// The policy of the domain, of an existing subdomain, or of a nonexistent name (RFC 9989 section 4.7): each falls
    /// back to the one before. Damaged policies count as `none`.
    pub fn policy_for(&self, name: Reach) -> Policy {
        let p = if self.has_policy() { self.p.unwrap_or(Policy::None) } else { return Policy::None };
        let sp = self.sp.unwrap_or(p);
        match name {
            Reach::Domain => p,
            Reach::Subdomain => sp,
            Reach::Nonexistent => self.np.unwrap_or(sp),
        }
    }
}

/// Which names a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The domain of the record.
    Domain,
    /// A name below it that exists.
    Subdomain,
    /// A name below it that does not.
    Nonexistent,
}

/// Characters that a mailto address cannot contain unescaped (RFC 6068 section 2).
const NOT_IN_ADDRESS: [char; 14] = [':', '<', '>', '/', '"', ',', ';', '(', ')', '[', ']', '#', '\\', '`'];

/// Reads `mailto:local@domain`, with RFC 7489's size limit after `!` if there is one.
///
/// # Errors
///
/// What was expected and what was found.
pub(super) fn target(uri: &str) -> Result<Target, String> {
    if uri.is_empty() {
        return Err("expected an address, found nothing".into());
    }
    let Some((scheme, rest)) = uri.split_once(':') else {
        let hint = if uri.contains('@') { format!("; write mailto:{uri}") } else { String::new() };
        return Err(format!("expected `mailto:` and an address, found `{uri}`{hint}"));
    };
    if !scheme.eq_ignore_ascii_case("mailto") {
        return Err(format!("expected `mailto:` and an address, found `{uri}`"));
    }
    let rest = rest.split('?').next().unwrap_or_default();
    let (address, size) = rest.split_once('!').map_or((rest, None), |(address, size)| (address, Some(size.to_owned())));
    if size.as_deref().is_some_and(|size| !is_size(size)) {
        return Err(format!("expected digits and k, m, g or t after `!`, found `{uri}`"));
    }
    if address.contains(char::is_whitespace) || address.matches('@').count() != 1 {
        return Err(format!("expected one address, found `{uri}`"));
    }
    let (local, host) = address.split_once('@').unwrap_or_default();
    let host = name::domain(host).filter(|host| host.contains('.'));
    match host {
        Some(host) if !local.is_empty() && !local.contains(NOT_IN_ADDRESS) => {
            Ok(Target { uri: uri.to_owned(), host: Some(host), size })
        }
        _ => Err(format!("expected `mailto:` and an address like dmarc@example.com, found `{uri}`")),
    }
}

fn is_size(text: &str) -> bool {
    let digits = text.trim_end_matches(['k', 'm', 'g', 't', 'K', 'M', 'G', 'T']);
    !digits.is_empty() && text.len() - digits.len() <= 1 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The tag that a misspelled name stands for.
pub(super) fn meant_tag(name: &str) -> Option<&'static str> {
    let tags = ["rua", "ruf", "adkim", "aspf", "pct", "sp", "np", "psd", "fo"];
    tags.into_iter().find(|tag| is_near(name, tag)).or_else(|| longer_name(name))
}

/// Written-out names that people use.
fn longer_name(name: &str) -> Option<&'static str> {
    match name {
        "policy" | "po" | "pp" => Some("p"),
        "spf" => Some("aspf"),
        "dkim" => Some("adkim"),
        _ => None,
    }
}

/// Whether two names differ by one letter changed, omitted or added, or by two letters swapped (names of two letters:
/// only swapped).
pub(super) fn is_near(name: &str, tag: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (name.chars().collect(), tag.chars().collect());
    let same_letters = {
        let (mut a, mut b) = (a.clone(), b.clone());
        a.sort_unstable();
        b.sort_unstable();
        a == b
    };
    if a.len() == b.len() {
        let different = a.iter().zip(&b).filter(|(a, b)| a != b).count();
        return (different == 2 && same_letters) || (different == 1 && b.len() > 2);
    }
    let (short, long) = if a.len() < b.len() { (&a, &b) } else { (&b, &a) };
    b.len() > 2
        && long.len() - short.len() == 1
        && (0..long.len())
            .any(|skip| long.iter().enumerate().filter(|(at, _)| *at != skip).map(|(_, c)| c).eq(short.iter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_version_makes_a_record() {
        for (text, yes) in [
            ("v=DMARC1; p=none", true),
            ("v=DMARC1", true),
            ("V = DMARC1 ;p=none", true),
            ("v=dmarc1; p=none", false),
            ("v=DMARC10; p=none", false),
            ("v=DMARC1 p=none", false),
            (" v=DMARC1; p=none", false),
            ("p=none; v=DMARC1", false),
            ("\"v=DMARC1; p=none\"", false),
        ] {
            assert_eq!(is_dmarc(text), yes, "{text}");
        }
    }

    #[test]
    fn every_tag_is_read() {
        let record = DmarcRecord::parse(
            "v=DMARC1; p=reject; sp=quarantine; np=reject; adkim=s; aspf=r; t=y; psd=n; fo=1:d:s; \
             rua=mailto:a@example.com,mailto:b@example.net!10m; ruf=mailto:c@example.com",
        );
        assert_eq!(record.slips, []);
        assert_eq!(
            (record.p, record.sp, record.np),
            (Some(Policy::Reject), Some(Policy::Quarantine), Some(Policy::Reject))
        );
        assert!(record.adkim_strict && !record.aspf_strict && record.testing);
        assert_eq!(record.psd, Some(false));
        assert_eq!(record.rua[1].host.as_deref(), Some("example.net"));
        assert_eq!(record.rua[1].size.as_deref(), Some("10m"));
    }

    #[test]
    fn every_slip_is_named() {
        let slips = |text: &str| DmarcRecord::parse(text).slips;
        assert_eq!(slips("v=DMARC1; rua=mailto:a@example.com"), [SyntaxMistake::NoPolicy]);
        assert_eq!(slips("v=DMARC1; p="), [SyntaxMistake::NoPolicy]);
        assert_eq!(slips("v=DMARC1; p=deny"), [SyntaxMistake::Policy("p", "deny".into())]);
        assert_eq!(slips("v=DMARC1; p=none; p=reject"), [SyntaxMistake::Repeated("p".into())]);
        assert_eq!(slips("v=DMARC1; p=none; sp="), [SyntaxMistake::Empty("sp".into())]);
        assert_eq!(slips("v=DMARC1; p=none; rau=mailto:a@example.com"), [SyntaxMistake::Typo("rau".into(), "rua")]);
        assert_eq!(slips("v=DMARC1; p=none; adkmi=s"), [SyntaxMistake::Typo("adkmi".into(), "adkim")]);
        assert_eq!(slips("v=DMARC1; policy=none"), [SyntaxMistake::Typo("policy".into(), "p")]);
        assert_eq!(slips("v=DMARC1; p=none; x=1"), [SyntaxMistake::Unknown("x".into())]);
        assert_eq!(
            slips("v=DMARC1; p=none; pct=101"),
            [SyntaxMistake::Value("pct", "101".into(), "a whole number from 0 to 100")]
        );
        assert_eq!(slips("v=DMARC1; p=none; ri=86400"), [SyntaxMistake::Removed("ri", "86400".into())]);
        assert_eq!(slips("v=DMARC1; p=none; stray"), [SyntaxMistake::Piece("stray".into())]);
        assert!(
            matches!(&slips("v=DMARC1; p=none; rua=a@example.com")[..], [SyntaxMistake::Target("rua", _, why)] if why.ends_with("write mailto:a@example.com"))
        );
        assert!(matches!(&slips("v=DMARC1; p=none; rua=https://example.com/")[..], [SyntaxMistake::Target(..)]));
        for uri in [
            "mailto:a@example.com mailto:b@example.com",
            "mailto:mailto:a@example.com",
            "mailto:<a@example.com>",
            "mailto://a@example.com",
            "mailto:a@example",
            "mailto:a@exa_mple.com:25",
        ] {
            let found = slips(&format!("v=DMARC1; p=none; rua={uri}"));
            assert!(matches!(&found[..], [SyntaxMistake::Target(_, written, _)] if written == uri), "{uri}: {found:?}");
        }
        assert_eq!(slips("v=DMARC1; p=none; rua=mailto:l'admin+a@Example.com!10m"), []);
    }

    #[test]
    fn policies_fall_back_in_order() {
        let policies = |text: &str| {
            let record = DmarcRecord::parse(text);
            [Reach::Domain, Reach::Subdomain, Reach::Nonexistent].map(|reach| record.policy_for(reach))
        };
        use Policy::{None, Quarantine, Reject};
        assert_eq!(policies("v=DMARC1; p=reject"), [Reject; 3]);
        assert_eq!(policies("v=DMARC1; p=reject; sp=none"), [Reject, None, None]);
        assert_eq!(policies("v=DMARC1; p=none; sp=quarantine; np=reject"), [None, Quarantine, Reject]);
        assert_eq!(policies("v=DMARC1; p=reject; sp=what"), [None; 3]);
    }
}
