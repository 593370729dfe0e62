//! Whose word on a report mail is believed, and which domains are the reader's.
//!
//! Comes in: what only the settings know, and a [`Witness`] where signatures are to be verified. Goes out: the mail's
//! [`SenderAuth`], and the finding of a report on a domain that is nobody's here. A pass is believed of a trusted border
//! or a signature alone, for anybody can write one; a fail of anyone, for nobody forges it in his own favor.

use crate::judge::organizational;
use crate::model::{Code, Finding, MailFacts, Proof, Quoted, Report, SenderAuth};
use crate::unpack::Results;
use jiff::Timestamp;
use std::fmt::Debug;

/// Verifies the signatures of a mail that brought a report. May wait for the network, within bounds of its own; what it
/// cannot find out is [`Proof::Open`]. Asked on many threads at the same time.
pub trait Witness: Debug + Send + Sync {
    /// What the signatures of this mail prove, of which this is when it arrived.
    fn proof(&self, mail: &[u8], arrival: Timestamp) -> Proof;
}

/// What the reader trusts and owns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// Authserv-ids whose topmost `Authentication-Results` is believed, in any case.
    pub authserv_ids: Vec<String>,
    /// The reader's domains, in lower case; those below them are too. Empty: every domain is.
    pub domains: Vec<String>,
}

impl Trust {
    /// Whether the mail was authentic, by the topmost results it bears.
    pub(super) fn sender_auth(&self, mail: &MailFacts) -> SenderAuth {
        self.border(mail).unwrap_or(mail.sender_auth)
    }

    /// What a trusted border says; null where none speaks.
    fn border(&self, mail: &MailFacts) -> Option<SenderAuth> {
        let results = Results::of(mail.authentication_results.as_deref()?);
        if !self.authserv_ids.iter().any(|id| id.eq_ignore_ascii_case(&results.authserv_id)) {
            return None;
        }
        // Several words on one mail, of several From domains, say: only of one mind do they prove anything.
        Some(match results.dmarc.as_slice() {
            _ if results.dmarc_failed() => SenderAuth::Fail,
            [first, rest @ ..] if rest.iter().all(|word| word == first) => match first.as_str() {
                "pass" => SenderAuth::Pass,
                "none" => SenderAuth::None,
                _ => SenderAuth::Unknown,
            },
            _ => SenderAuth::Unknown,
        })
    }

    /// Whether a trusted border has settled it: it saw more than a signature, and saw it at the time.
    pub(super) fn is_settled(&self, mail: &MailFacts) -> bool {
        matches!(self.border(mail), Some(SenderAuth::Pass | SenderAuth::Fail))
    }

    /// The finding of a report on another's domain.
    pub(super) fn foreign(&self, domain: &str) -> Option<Finding> {
        let own = |of: &String| domain.strip_suffix(of.as_str()).is_some_and(|at| at.is_empty() || at.ends_with('.'));
        if self.domains.is_empty() || self.domains.iter().any(own) {
            return None;
        }
        let detail = format!("expected one of the settings' domains or one below them, found {}", Quoted(domain));
        Some(Finding::new(Code::DOMAIN_FOREIGN, detail))
    }
}

/// What a proof makes of what was known before, for this report. The finding where it is of another organization.
pub(super) fn proven(known: SenderAuth, proof: &Proof, report: &Report) -> (SenderAuth, Option<Finding>) {
    match proof {
        Proof::Signed(domain) if is_reporter(domain, report) => (SenderAuth::Pass, None),
        Proof::Signed(domain) => {
            let org_name = report.metadata.org_name.as_str();
            let email = report.metadata.email.as_deref().unwrap_or("no address");
            let detail = format!("expected {} ({}), found {domain}", Quoted(org_name), Quoted(email));
            (if known == SenderAuth::Fail { known } else { SenderAuth::None }, {
                Some(Finding::new(Code::MAIL_OTHER_SENDER, detail))
            })
        }
        Proof::Broken(_) => (SenderAuth::Fail, None),
        Proof::Unsigned if known != SenderAuth::Fail => (SenderAuth::None, None),
        Proof::Unsigned | Proof::Open => (known, None),
    }
}

/// Whether an organizational domain is that of the reporter's address, or its name.
fn is_reporter(domain: &str, report: &Report) -> bool {
    let host = report.metadata.email.as_deref().and_then(|email| email.rsplit_once('@')).map(|(_, host)| host);
    let names = [host, Some(report.metadata.org_name.as_str())];
    names.into_iter().flatten().any(|name| {
        let name = name.trim().trim_end_matches(['>', '.']).to_lowercase();
        organizational(&name) == domain
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(ids: &[&str], results: &str) -> SenderAuth {
        let trust = Trust { authserv_ids: ids.iter().map(|id| (*id).to_owned()).collect(), domains: Vec::new() };
        let failed = Results::of(results).dmarc_failed();
        trust.sender_auth(&MailFacts {
            authentication_results: Some(results.to_owned()),
            sender_auth: if failed { SenderAuth::Fail } else { SenderAuth::Unknown },
            ..MailFacts::default()
        })
    }

    #[test]
    fn only_a_trusted_border_is_believed_when_it_says_pass() {
        for (results, auth) in [
            ("MX.example.com 1; dmarc=pass", SenderAuth::Pass),
            ("mx.example.com; dmarc=fail", SenderAuth::Fail),
            ("mx.example.com; dmarc=none", SenderAuth::None),
            ("mx.example.com; dmarc=temperror", SenderAuth::Unknown),
            ("mx.example.com; spf=pass", SenderAuth::Unknown),
            ("mx.example.com; dmarc=pass; dmarc=none", SenderAuth::Unknown),
            ("mx.example.com; dmarc=pass; dmarc=fail", SenderAuth::Fail),
            ("other.example; dmarc=pass", SenderAuth::Unknown),
            ("other.example (mx.example.com); dmarc=pass", SenderAuth::Unknown),
            ("other.example; dmarc=fail", SenderAuth::Fail),
        ] {
            assert_eq!(said(&["mx.example.com"], results), auth, "{results}");
        }
        assert_eq!(said(&[], "mx.example.com; dmarc=pass"), SenderAuth::Unknown);
        assert_eq!(said(&[], "; dmarc=pass"), SenderAuth::Unknown);
        let unsaid = Trust { authserv_ids: vec!["mx.example.com".into()], domains: vec![] };
        assert_eq!(unsaid.sender_auth(&MailFacts::default()), SenderAuth::Unknown);
    }

    #[test]
    fn a_domain_is_foreign_that_is_neither_named_nor_below_one_that_is() {
        let trust = Trust { authserv_ids: vec![], domains: vec!["example.com".into(), "example.net".into()] };
        for own in ["example.com", "news.example.com", "example.net"] {
            assert_eq!(trust.foreign(own), None, "{own}");
        }
        for other in ["example.org", "badexample.com", "com"] {
            let finding = trust.foreign(other).unwrap();
            assert_eq!(finding.code, Code::DOMAIN_FOREIGN, "{other}");
        }
        assert_eq!(Trust::default().foreign("example.org"), None);
    }

    /// A report of receiver.example, read.
    fn report() -> Report {
        use crate::limits::Limits;
        use crate::normalize::{Context, Read, reports};
        let arrival = Timestamp::from_second(1_795_600_000).unwrap();
        let xml = super::super::tests::xml(1, 1);
        let mut read = reports(&xml, &Context { attachment: None, arrival }, &Limits::default());
        let Read::Report { report, .. } = read.remove(0) else { panic!("a report") };
        report
    }

    #[test]
    fn a_proof_is_worth_what_it_says_of_the_reporter() {
        use SenderAuth::{Fail, None, Pass, Unknown};
        let signed = |domain: &str| Proof::Signed(domain.to_owned());
        let broken = Proof::Broken("why".into());
        for (known, proof, auth) in [
            (Unknown, signed("receiver.example"), Pass),
            (Fail, signed("receiver.example"), Pass),
            (Unknown, signed("evil.example"), None),
            (Fail, signed("evil.example"), Fail),
            (None, broken.clone(), Fail),
            (Unknown, Proof::Unsigned, None),
            (Fail, Proof::Unsigned, Fail),
            (Unknown, Proof::Open, Unknown),
            (Fail, Proof::Open, Fail),
            (None, Proof::Open, None),
        ] {
            let (found, finding) = proven(known, &proof, &report());
            assert_eq!(found, auth, "{known:?} {proof:?}");
            assert_eq!(finding.is_some(), proof == signed("evil.example"));
        }
        let mut other = report();
        other.metadata.email = Option::None;
        other.metadata.org_name = "Mail.Receiver.Example.".into();
        assert_eq!(proven(Unknown, &signed("receiver.example"), &other).0, Pass, "by its name alone");
        other.metadata.org_name = "receiver".into();
        assert_eq!(proven(Unknown, &signed("receiver.example"), &other).0, None);
        other.metadata.email = Some("<dmarc@mx.receiver.example>".into());
        assert_eq!(proven(Unknown, &signed("receiver.example"), &other).0, Pass, "by its address");
    }
}
