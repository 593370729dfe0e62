//! Builds rows and reports for tests: one line per row, in the field's terms.

use crate::analyze::period::{self, Period};
use crate::model::{
    Cause, Domain, Flags, PolicyPublished, ReportHead, ReportKey, Rows, SenderAuth, SourceAddress, Text, Words,
};
use jiff::{Timestamp, civil::Date};
use std::{collections::BTreeMap, net::IpAddr};

/// One row; by default a message of example.com that passes DKIM and SPF.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) day: Date,
    pub(crate) source: Option<IpAddr>,
    pub(crate) count: i64,
    pub(crate) domain: Text,
    pub(crate) reporter: Text,
    pub(crate) header_from: Text,
    pub(crate) dkim: Option<(Text, Text, Text)>,
    pub(crate) spf: Option<(Text, Text)>,
    pub(crate) disposition: Text,
    pub(crate) reason: Option<Text>,
    pub(crate) signatures: Option<Text>,
    pub(crate) mismatch: Option<Text>,
    pub(crate) flags: u8,
    pub(crate) cause: Cause,
}

impl Line {
    /// This many messages from an address that pass DKIM and SPF.
    pub(crate) fn new(day: &str, source: &str, count: i64) -> Self {
        Self {
            day: day.parse().unwrap(),
            source: source.parse().ok(),
            count,
            domain: "example.com".into(),
            reporter: "google.com".into(),
            header_from: "example.com".into(),
            dkim: Some(("example.com".into(), "mail".into(), "pass".into())),
            spf: Some(("example.com".into(), "pass".into())),
            disposition: "none".into(),
            reason: None,
            signatures: None,
            mismatch: None,
            flags: Flags::PASS | Flags::DKIM | Flags::SPF,
            cause: Cause::PassBoth,
        }
    }

    pub(crate) fn reporter(mut self, reporter: &str) -> Self {
        self.reporter = reporter.into();
        self
    }

    /// As another policy domain, with its own results.
    pub(crate) fn domain(mut self, domain: &str) -> Self {
        self.domain = domain.into();
        self.header_from = domain.into();
        let own = |text: &Text| if text == "example.com" { domain.into() } else { text.clone() };
        self.dkim = self.dkim.map(|(d, s, result)| (own(&d), s, result));
        self.spf = self.spf.map(|(d, result)| (own(&d), result));
        self
    }

    /// What passes and aligns, and the cause that the row alone shows.
    pub(crate) fn verdict(mut self, flags: u8, cause: Cause) -> Self {
        self.flags = if flags == 0 { 0 } else { flags | Flags::PASS };
        self.cause = cause;
        self
    }

    /// The deciding signature.
    pub(crate) fn dkim(mut self, domain: &str, selector: &str, result: &str) -> Self {
        self.dkim = Some((domain.into(), selector.into(), result.into()));
        self
    }

    /// No signature.
    pub(crate) fn unsigned(mut self) -> Self {
        self.dkim = None;
        self
    }

    /// All signatures, if there are several: domain, selector, result.
    pub(crate) fn signatures(mut self, all: &[(&str, &str, &str)]) -> Self {
        let line = |(domain, selector, result): &(&str, &str, &str)| {
            crate::model::signature_line(domain, selector, result, false)
        };
        self.signatures = Some(all.iter().map(line).collect::<Vec<_>>().join("\n").into());
        self
    }

    /// The MAIL FROM result.
    pub(crate) fn spf(mut self, domain: &str, result: &str) -> Self {
        self.spf = Some((domain.into(), result.into()));
        self
    }

    pub(crate) fn disposition(mut self, disposition: &str) -> Self {
        self.disposition = disposition.into();
        self
    }

    pub(crate) fn reason(mut self, reason: &str) -> Self {
        self.reason = Some(reason.into());
        self
    }

    pub(crate) fn mismatch(mut self, mismatch: &str) -> Self {
        self.mismatch = Some(mismatch.into());
        self
    }

    /// Nothing passes, as for a spoofer or a sender without any setup.
    pub(crate) fn unauthenticated(self) -> Self {
        self.unsigned().spf("example.com", "fail").verdict(0, Cause::Unauthenticated)
    }
}

/// Lines in columns.
pub(crate) fn rows(lines: &[Line]) -> Rows {
    let words = |word: &dyn Fn(&Line) -> Option<Text>| {
        let mut dictionary: Vec<Text> = Vec::new();
        let mut code = |line: &Line| {
            let Some(word) = word(line) else { return Words::NULL };
            let at = dictionary.iter().position(|known| *known == word).unwrap_or_else(|| {
                dictionary.push(word);
                dictionary.len() - 1
            });
            u32::try_from(at).unwrap()
        };
        let codes = lines.iter().map(&mut code).collect();
        Words { codes, dictionary }
    };
    Rows {
        len: lines.len(),
        day: lines.iter().map(|line| period::number(line.day)).collect(),
        source: lines.iter().map(|line| SourceAddress::from(line.source)).collect(),
        count: lines.iter().map(|line| line.count).collect(),
        flags: lines.iter().map(|line| Flags(line.flags)).collect(),
        cause: lines.iter().map(|line| line.cause).collect(),
        policy_domain: words(&|line| Some(line.domain.clone())),
        org_name: words(&|line| Some(line.reporter.clone())),
        header_from: words(&|line| Some(line.header_from.clone())),
        envelope_from: Words::default(),
        disposition: words(&|line| Some(line.disposition.clone())),
        dkim_domain: words(&|line| line.dkim.as_ref().map(|dkim| dkim.0.clone())),
        dkim_selector: words(&|line| line.dkim.as_ref().map(|dkim| dkim.1.clone())),
        dkim_result: words(&|line| line.dkim.as_ref().map(|dkim| dkim.2.clone())),
        spf_domain: words(&|line| line.spf.as_ref().map(|spf| spf.0.clone())),
        spf_result: words(&|line| line.spf.as_ref().map(|spf| spf.1.clone())),
        mismatch: words(&|line| line.mismatch.clone()),
        sender_auth: Words::default(),
        reason: words(&|line| line.reason.clone()),
        signatures: words(&|line| line.signatures.clone()),
    }
}

/// One report per reporter, domain and day of the lines, with this policy.
pub(crate) fn heads(lines: &[Line], policy: impl Fn(&str, Date) -> &'static str) -> Vec<ReportHead> {
    let mut reports: BTreeMap<(Text, Text, Date), Vec<&Line>> = BTreeMap::new();
    for line in lines {
        reports.entry((line.reporter.clone(), line.domain.clone(), line.day)).or_default().push(line);
    }
    let mut heads = Vec::new();
    for (at, ((reporter, domain, day), lines)) in reports.iter().enumerate() {
        let begin = instant(*day, 0);
        let wanted = |line: &&&Line, passing: bool| !passing || Flags(line.flags).has(Flags::PASS);
        let sum = |passing| {
            lines.iter().filter(|line| wanted(line, passing)).fold(0_i64, |sum, line| sum.saturating_add(line.count))
        };
        heads.push(ReportHead {
            key: ReportKey((at as u128).to_be_bytes()),
            org_name: reporter.clone(),
            org_email: None,
            report_id: format!("{reporter}-{domain}-{day}").into(),
            begin,
            end: instant(*day, 86_399),
            day: *day,
            policy: published(domain, policy(domain, *day)),
            records: i64::try_from(lines.len()).unwrap(),
            messages: sum(false),
            dmarc_pass: sum(true),
            sender_auth: SenderAuth::Unknown,
            findings: Vec::new(),
        });
    }
    heads
}

/// The week of a Monday.
pub(crate) fn week(monday: &str) -> Period {
    let monday: Date = monday.parse().unwrap();
    Period::new(monday, period::date(period::number(monday) + 6)).unwrap()
}

/// A second of a day.
pub(crate) fn instant(day: Date, second: i64) -> Timestamp {
    Timestamp::from_second(i64::from(period::number(day)) * 86_400 + second).unwrap()
}

/// A policy that says `p` only.
pub(crate) fn published(domain: &str, p: &str) -> PolicyPublished {
    PolicyPublished {
        domain: Domain::from_canonical(domain),
        p: Some(p.into()),
        sp: None,
        np: None,
        adkim: None,
        aspf: None,
        pct: None,
        fo: None,
        testing: None,
        discovery_method: None,
    }
}
