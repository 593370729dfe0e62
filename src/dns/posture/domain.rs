//! A domain's mail setup as receivers see it, beside what the reports show: one [`Posture`] with all findings,
//! everything that could not be looked up, and the facts to show. The reports are passed in as [`Observed`]; this
//! module uses neither the store nor the clock.

use super::sources::{self, SourceDns};
use crate::dns::dkim::{self, Selector};
use crate::dns::dmarc::{self, Dmarc, Policy};
use crate::dns::finding as codes;
use crate::dns::finding::{CheckFinding, Notes, Severity, Unknown};
use crate::dns::hosts::mx::{self, Delivery};
use crate::dns::lookup::answer::{Answer, DnsQuestion, Lookup, QueryType};
use crate::dns::proposals::{self, Checked};
use crate::dns::seen::Observed;
use crate::dns::spf::{self, Evaluation, Spf};
use crate::dns::transport::{self, HostTlsa, MtaSts, PolicySource, PolicyState, TlsRpt};
use crate::model::counted;
use serde::Serialize;
use std::net::IpAddr;

/// Hosts named of a failure of TLS.
const TLS_HOSTS: usize = 5;

/// What to check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The domain, canonical (see [`crate::dns::lookup::name::canonical`]).
    pub domain: String,
    /// Selectors the user named.
    pub selectors: Vec<String>,
    /// An address to evaluate SPF for.
    pub ip: Option<IpAddr>,
}

/// SPF for the requested address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpfForAddress {
    /// The address.
    pub address: IpAddr,
    /// Whether it passes, and by which terms.
    #[serde(flatten)]
    pub evaluation: Evaluation,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Posture {
    /// The domain.
    pub domain: String,
    /// Whether the name exists in DNS; `None` if it could not be looked up.
    pub exists: Option<bool>,
    /// What was found, faults first.
    pub findings: Vec<CheckFinding>,
    /// What could not be looked up.
    pub unknown: Vec<Unknown>,
    /// DMARC.
    pub dmarc: Dmarc,
    /// SPF.
    pub spf: Spf,
    /// SPF for the requested address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<SpfForAddress>,
    /// DKIM keys.
    pub dkim: Vec<Selector>,
    /// Where mail for the domain goes.
    pub mx: Delivery,
    /// The order in which a sender tries, in sentences.
    pub mx_order: Vec<String>,
    /// MTA-STS.
    pub mta_sts: MtaSts,
    /// Where reports about TLS go.
    pub tls_rpt: TlsRpt,
    /// The hosts of `mx` that have TLSA records.
    pub tlsa: Vec<HostTlsa>,
    /// The sources the store has seen.
    pub sources: Vec<SourceDns>,
}

impl Posture {
    /// 2 if something could not be looked up, 1 if a fault was found, else 0.
    pub fn exit_code(&self) -> u8 {
        if self.unknown.is_empty() {
            u8::from(self.findings.iter().any(|finding| finding.severity == Severity::Fault))
        } else {
            2
        }
    }
}

/// Checks a domain in DNS alone: an MTA-STS policy is not fetched.
pub fn check(request: &Request, lookup: &dyn Lookup, seen: &Observed) -> Posture {
    check_with(request, lookup, None, seen)
}

/// Checks a domain, with a way to fetch its MTA-STS policy.
pub fn check_with(
    request: &Request,
    lookup: &dyn Lookup,
    policies: Option<&dyn PolicySource>,
    seen: &Observed,
) -> Posture {
    let domain = request.domain.as_str();
    announce(lookup, domain);
    let mut notes = Notes::default();
    let dmarc = dmarc::check(lookup, domain, &mut notes);
    let spf = spf::check(lookup, domain, &mut notes);
    let dkim = dkim::check(lookup, domain, &request.selectors, &seen.selectors, seen.today, &mut notes);
    let mx = mx::check(lookup, domain, &mut notes);
    let mta_sts = transport::check_mta_sts(lookup, policies, domain, &mx, seen, &mut notes);
    let tls_rpt = transport::check_tls_rpt(lookup, domain, &mut notes);
    let tlsa = transport::check_tlsa(lookup, domain, &mx, &mut notes);
    unreported(domain, &mta_sts, &tls_rpt, &tlsa, &mut notes);
    let ip = request.ip.map(|address| {
        let evaluation = spf::check_address(lookup, domain, address);
        notes.unknown.extend(evaluation.unknown(format!("SPF for {address}")));
        SpfForAddress { address, evaluation }
    });
    let sources = sources::check(lookup, domain, seen, &mut notes);
    let never_sends = never_sends(&spf, &mx, seen);
    not_sending(domain, &dmarc, &spf, &mx, seen, &mut notes);
    policy_change(&dmarc, seen, &mut notes);
    reported_tls(domain, seen, &mut notes);
    sources::unused_includes(domain, &spf, &sources, &mut notes);
    proposals::attach(&Checked { lookup, domain, seen, dmarc: &dmarc, spf: &spf, mx: &mx, never_sends }, &mut notes);
    let Notes { findings, unknown } = notes;
    let findings = codes::grouped(findings);
    let mx_order = mx.order(domain);
    let (domain, exists) = (domain.to_owned(), exists(lookup, domain));
    Posture { domain, exists, findings, unknown, dmarc, spf, ip, dkim, mx, mx_order, mta_sts, tls_rpt, tlsa, sources }
}

fn exists(lookup: &dyn Lookup, domain: &str) -> Option<bool> {
    match lookup.txt(domain) {
        Answer::Found(_) | Answer::NoData => Some(true),
        Answer::NxDomain => Some(false),
        Answer::Failed(_) => None,
    }
}

/// Announces what every check asks.
fn announce(lookup: &dyn Lookup, domain: &str) {
    lookup.announce(&[
        DnsQuestion::new(domain, QueryType::Txt),
        DnsQuestion::new(&format!("_dmarc.{domain}"), QueryType::Txt),
        DnsQuestion::new(domain, QueryType::Mx),
        DnsQuestion::new(domain, QueryType::A),
        DnsQuestion::new(domain, QueryType::Aaaa),
        DnsQuestion::new(domain, QueryType::OldSpf),
        DnsQuestion::new(&format!("_mta-sts.{domain}"), QueryType::Txt),
        DnsQuestion::new(&format!("_smtp._tls.{domain}"), QueryType::Txt),
    ]);
}

/// Notes that a domain asks senders for TLS but gets no reports about failures.
fn unreported(domain: &str, mta_sts: &MtaSts, tls_rpt: &TlsRpt, tlsa: &[HostTlsa], notes: &mut Notes) {
    let asks = mta_sts.policy != PolicyState::NoRecord && mta_sts.policy != PolicyState::Unknown;
    if (asks || !tlsa.is_empty()) && tls_rpt.records.is_empty() && !tls_rpt.unknown {
        let what = if asks { "MTA-STS" } else { "TLSA records" };
        let text = format!(
            "Publish `v=TLSRPTv1; rua=mailto:tls-reports@{domain}`, with an address of yours: {domain} has {what}, and no \
             record says where reports about TLS go."
        );
        notes.find(&codes::TLS_RPT_MISSING, format!("_smtp._tls.{domain} TXT"), text);
    }
}

/// Failures in TLS reports.
fn reported_tls(domain: &str, seen: &Observed, notes: &mut Notes) {
    for failure in &seen.tls_failures {
        let at = if failure.hosts.is_empty() {
            String::new()
        } else {
            format!(" at {}", codes::list(&failure.hosts, TLS_HOSTS))
        };
        let text = format!(
            "{} In the last seven days, {} reported {}{at} ({}), the last on {}.",
            failure.advice,
            counted(failure.reporters, "sender", "senders"),
            counted(failure.sessions, "failed session", "failed sessions"),
            failure.result_type,
            failure.last,
        );
        notes.find(&codes::SEEN_TLS, format!("{domain} TLS"), text);
    }
}

/// Messages in the reports that passed DMARC.
fn passing(seen: &Observed) -> i64 {
    seen.sources.iter().fold(0, |sum, source| sum.saturating_add(source.dmarc_pass))
}

/// Whether the domain says that it sends no mail, and the reports do not say otherwise.
fn never_sends(spf: &Spf, mx: &Delivery, seen: &Observed) -> bool {
    let says_so = *mx == Delivery::Refused || spf.records.iter().any(|record| proposals::is_empty_spf(record));
    says_so && passing(seen) == 0
}

/// Whether a domain that says it takes or sends no mail also asks receivers to reject what claims to be from it.
fn not_sending(domain: &str, dmarc: &Dmarc, spf: &Spf, mx: &Delivery, seen: &Observed, notes: &mut Notes) {
    let passes = passing(seen);
    if *mx == Delivery::Refused && passes > 0 {
        let text = format!(
            "Replace the null MX with a host that accepts mail: {domain} sends mail ({} passed DMARC in the reports).",
            counted(passes.unsigned_abs(), "message", "messages")
        );
        notes.find(&codes::MX_NULL_SENDS, format!("{domain} MX"), text);
        return;
    }
    if !never_sends(spf, mx, seen) {
        return;
    }
    if let Some(policy) = dmarc.policy.filter(|policy| *policy != Policy::Reject) {
        let text = format!("Publish p=reject for {domain}: it sends no mail, and its policy is {}.", policy.as_str());
        notes.find(&codes::DMARC_NONMAIL, format!("_dmarc.{domain} TXT"), text);
    }
    let names_servers = spf.records.iter().any(|record| !proposals::is_empty_spf(record));
    if *mx == Delivery::Refused && names_servers {
        let text = format!(
            "If {domain} sends no mail, publish `v=spf1 -all`: it has a null MX, and its SPF record names servers."
        );
        notes.find(&codes::SPF_NONMAIL, format!("{domain} TXT"), text);
    }
}

/// Whether the newest report has another policy.
fn policy_change(dmarc: &Dmarc, seen: &Observed, notes: &mut Notes) {
    let (Some(reported), Some(found)) = (&seen.policy, dmarc.record()) else { return };
    let word = |policy: Option<Policy>| policy.map(|policy| policy.as_str().to_owned());
    let record = &found.record;
    let changes: Vec<String> = [
        ("p", &reported.p, word(record.p)),
        ("sp", &reported.sp, word(record.sp)),
        ("np", &reported.np, word(record.np)),
    ]
    .into_iter()
    // Reporters omit sp and np, or fill in sp from p: only two different values show a change.
    .filter_map(|(tag, then, now)| match (then, now) {
        (Some(then), Some(now)) if *then != now => Some(format!("{tag} has changed from {then} to {now}")),
        _ => None,
    })
    .collect();
    if !changes.is_empty() {
        let text = format!(
            "Expect other results from now on: since the newest report ({}), {}.",
            reported.day,
            changes.join("; ")
        );
        notes.find(&codes::SEEN_POLICY, format!("_dmarc.{} TXT", found.domain), text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::lookup::test_zone::Zone;
    use crate::dns::seen::{SeenPolicy, SeenSource};
    use jiff::civil::date;

    fn good() -> String {
        format!(
            "example.com A 192.0.2.80\nexample.com MX 10 mx.example.com\nmx.example.com A 192.0.2.25\n\
             example.com TXT v=spf1 mx include:_spf.example.net -all\n_spf.example.net TXT v=spf1 ip4:198.51.100.0/24 -all\n\
             _dmarc.example.com TXT v=DMARC1; p=reject; rua=mailto:dmarc@example.com\n\
             s1._domainkey.example.com TXT v=DKIM1; p={}\n192.0.2.25 PTR mx.example.com\n",
            dkim::test_key(2048)
        )
    }

    fn source(address: &str, spf_aligned: i64) -> SeenSource {
        SeenSource {
            address: address.parse().unwrap(),
            messages: 10,
            spf_aligned,
            dmarc_pass: spf_aligned,
            spf_domain: Some("example.com".into()),
            last: date(2026, 11, 20),
        }
    }

    fn posture(zone: &str, seen: Observed) -> Posture {
        let request = Request {
            domain: "example.com".into(),
            selectors: vec!["s1".into()],
            ip: Some("192.0.2.25".parse().unwrap()),
        };
        check(&request, &Zone::new(zone), &Observed { today: date(2026, 11, 25), ..seen })
    }

    fn codes_of(posture: &Posture) -> Vec<&'static str> {
        posture.findings.iter().map(|finding| finding.code.name).collect()
    }

    #[test]
    fn a_good_domain_has_no_finding() {
        let posture = posture(&good(), Observed { sources: vec![source("192.0.2.25", 10)], ..Observed::default() });
        assert_eq!(codes_of(&posture), ["seen.include_unused"], "the include is in no report");
        assert_eq!(posture.exit_code(), 0);
        assert_eq!(posture.ip.unwrap().evaluation.path[0].term, "mx");
    }

    #[test]
    fn a_source_whose_include_is_gone_is_reported() {
        let zone = good().replace("ip4:198.51.100.0/24", "ip4:203.0.113.0/24")
            + "198.51.100.7 PTR out.example.net\nout.example.net A 198.51.100.7";
        let posture = posture(
            &zone,
            Observed { sources: vec![source("198.51.100.7", 5), source("203.0.113.9", 0)], ..Observed::default() },
        );
        assert_eq!(codes_of(&posture), ["seen.spf_lost"]);
        assert_eq!(posture.exit_code(), 1);
    }

    #[test]
    fn an_authorized_source_needs_a_name() {
        let zone = good() + "198.51.100.8 PTR out.example.net\nout.example.net A 198.51.100.9";
        let posture = posture(
            &zone,
            Observed {
                sources: vec![source("198.51.100.7", 5), source("198.51.100.8", 5), source("192.0.2.25", 5)],
                ..Observed::default()
            },
        );
        assert_eq!(codes_of(&posture), ["ptr.missing", "ptr.unconfirmed"]);
    }

    #[test]
    fn a_policy_that_changed_is_reported() {
        let policy = SeenPolicy { day: date(2026, 11, 20), p: Some("none".into()), ..SeenPolicy::default() };
        assert_eq!(
            codes_of(&posture(&good(), Observed { policy: Some(policy), ..Observed::default() })),
            ["seen.policy_changed"]
        );
    }

    #[test]
    fn a_failure_gives_exit_two_and_no_finding() {
        let zone = good().replace(
            "_dmarc.example.com TXT v=DMARC1; p=reject; rua=mailto:dmarc@example.com",
            "_dmarc.example.com TIMEOUT",
        );
        let posture = posture(&zone, Observed::default());
        assert_eq!(codes_of(&posture), [""; 0]);
        assert_eq!(posture.exit_code(), 2);
    }

    #[test]
    fn a_domain_without_mail_should_be_locked() {
        let zone = "example.com MX 0 .\nexample.com TXT v=spf1 -all\n_dmarc.example.com TXT v=DMARC1; p=quarantine; rua=mailto:d@example.org\n\
                    example.org MX 10 mx.example.org\nexample.com._report._dmarc.example.org TXT v=DMARC1";
        let request = Request { domain: "example.com".into(), ..Request::default() };
        let posture = check(&request, &Zone::new(zone), &Observed { today: date(2026, 11, 25), ..Observed::default() });
        assert_eq!(codes_of(&posture), ["dkim.no_selector_known", "dmarc.nonmail_open"]);
    }
}
