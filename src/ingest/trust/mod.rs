//! Decides when a report mail is accepted as its reporter's, and which domains are the user's.
//!
//! `sender_auth` is `pass` if an authenticated domain speaks for the reporter that the report names;
//! [`reporters`] has the rule for that. A domain is authenticated by a trusted server's `dmarc=pass` for it, or
//! by a verified signature of `From`'s organization that covers `From`, `Subject`, `Content-Type` and the whole body. A
//! report in an attached mail is judged by that mail's own signature: what a server recorded for the outer mail is not
//! about it. `dmarc=fail` is accepted from any server, as nobody forges a failure in their own favor, and a broken
//! signature is a fail too. If a trusted server or a signature should have decided but nothing proves the mail, it is
//! `none`, with a finding that says why; else `unknown`.

mod reporters;

pub(super) use reporters::NamedReporter;

use crate::judge;
use crate::model::{Finding, FindingCode, MailFacts, Proof, Quoted, RawMail, ReportKind, SenderAuth};
use crate::unpack::Results;
use jiff::Timestamp;
use reporters::speaks_for;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;

/// Verifies the signatures of a mail that brought a report. It may wait for the network, within its own bounds;
/// [`Proof::Open`] means that it could not decide. Called on many threads at the same time.
pub trait MailVerifier: Debug + Send + Sync {
    /// What the signatures of this mail prove about a report of this kind in it; `arrival` is when it arrived.
    fn proof(&self, mail: &RawMail, arrival: Timestamp, kind: ReportKind) -> Proof;
}

/// What the user trusts and owns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// Authserv-ids whose topmost `Authentication-Results` is trusted; case does not matter.
    pub authserv_ids: Vec<String>,
    /// The user's domains, in lower case, including those below them. Empty: every domain.
    pub domains: Vec<String>,
}

impl Trust {
    /// Whether the mail that brought this report is its reporter's, and a finding if that is refuted or unproven. The
    /// signatures are only verified if no trusted server has decided: the server saw more, and saw it at the time.
    pub(super) fn judge(
        &self,
        mail: &MailFacts,
        reporter: NamedReporter<'_>,
        proof: impl FnOnce() -> Proof,
    ) -> (SenderAuth, Option<Finding>) {
        let (known, why) = match self.recorded(mail) {
            None => (mail.sender_auth, None),
            Some(recorded) => match recorded.judged(mail, reporter) {
                settled @ (SenderAuth::Pass | SenderAuth::Fail, _) if !mail.attached => return settled,
                judged => judged,
            },
        };
        let why = why.or_else(|| (known == SenderAuth::Fail).then(|| failed(mail)));
        match proof() {
            Proof::Signed { from, signer } => {
                match speaks_for(&from, reporter).and_then(|()| speaks_for(&signer, reporter)) {
                    Ok(()) => (SenderAuth::Pass, None),
                    Err(_) if known == SenderAuth::Fail => (known, why),
                    Err(reason) => none(FindingCode::MAIL_OTHER_SENDER, reason),
                }
            }
            Proof::Broken(reason) => (SenderAuth::Fail, Some(unauthenticated(&reason, mail))),
            Proof::Unproven(reason) if matches!(known, SenderAuth::Pass | SenderAuth::Unknown) => {
                none(FindingCode::MAIL_UNPROVEN, reason)
            }
            Proof::Unproven(_) | Proof::Open => (known, why),
        }
    }

    /// The same for a report whose mail is gone: the earlier result stays, unless a server that is now trusted says
    /// more, or it was a pass that today's rule does not give. Returns a finding only if that changes it.
    pub(super) fn judge_again(&self, mail: &MailFacts, reporter: NamedReporter<'_>) -> (SenderAuth, Option<Finding>) {
        let mut before = (mail.sender_auth, None);
        if mail.sender_auth == SenderAuth::Pass && !mail.attached {
            let domain = mail.from_domain.as_deref().unwrap_or_default();
            if let Err(reason) = speaks_for(domain, reporter) {
                before = none(FindingCode::MAIL_OTHER_SENDER, reason);
            }
        }
        let Some(recorded) = self.recorded(mail) else { return before };
        match (recorded.judged(mail, reporter), before.0) {
            ((SenderAuth::Unknown, _), _) | ((SenderAuth::None, _), SenderAuth::Pass | SenderAuth::Fail) => before,
            (judged, _) => judged,
        }
    }

    /// What a trusted server recorded for the mail; `None` if none did.
    fn recorded(&self, mail: &MailFacts) -> Option<Recorded> {
        let results = Results::of(mail.authentication_results.as_deref()?);
        if !self.authserv_ids.iter().any(|id| id.eq_ignore_ascii_case(&results.authserv_id)) {
            return None;
        }
        // A mail may have several results, for example for several From domains: they only prove something if they
        // agree.
        let agreed = match results.dmarc.as_slice() {
            [first, rest @ ..] if rest.iter().all(|word| word == first) => first.as_str(),
            _ => "",
        };
        Some(match agreed {
            _ if results.dmarc_failed() => Recorded::Fail,
            "pass" => Recorded::Pass(match results.header_from.as_slice() {
                [first, rest @ ..] if rest.iter().all(|domain| domain == first) => {
                    first.clone().or_else(|| mail.from_domain.clone())
                }
                _ => None,
            }),
            "none" => Recorded::None,
            _ => Recorded::Other,
        })
    }

    /// The finding for a report about someone else's domain.
    pub(super) fn foreign(&self, domain: &str) -> Option<Finding> {
        let own = |of: &String| judge::is_within(domain, of);
        if self.domains.is_empty() || self.domains.iter().any(own) {
            return None;
        }
        let detail = format!("expected one of the settings' domains or one below them, found {}", Quoted(domain));
        Some(Finding::new(FindingCode::DOMAIN_FOREIGN, detail))
    }
}

/// A trusted server's DMARC result.
enum Recorded {
    /// Pass, for this domain; `None` if the domain is unknown.
    Pass(Option<String>),
    Fail,
    /// The domain has no policy, so there was nothing to check.
    None,
    /// Nothing, or something inconclusive (`temperror`).
    Other,
}

impl Recorded {
    /// What it means for a report in the mail.
    fn judged(&self, mail: &MailFacts, reporter: NamedReporter<'_>) -> (SenderAuth, Option<Finding>) {
        let unproven = |why: &str| none(FindingCode::MAIL_UNPROVEN, why);
        match self {
            Self::Pass(_) if mail.attached => {
                unproven("the report is in an attached mail, which dmarc=pass does not cover")
            }
            Self::Pass(None) => unproven("dmarc=pass without a domain, and From names none, or several"),
            Self::Pass(Some(domain)) => match speaks_for(domain, reporter) {
                Ok(()) => (SenderAuth::Pass, None),
                Err(reason) => none(FindingCode::MAIL_OTHER_SENDER, reason),
            },
            Self::Fail => (SenderAuth::Fail, Some(failed(mail))),
            Self::None => {
                unproven("your mail server recorded dmarc=none: the domain in From publishes no DMARC record")
            }
            Self::Other => (SenderAuth::Unknown, None),
        }
    }
}

/// Nothing proves that the mail is the reporter's.
fn none(code: FindingCode, reason: impl Into<String>) -> (SenderAuth, Option<Finding>) {
    (SenderAuth::None, Some(Finding::new(code, reason)))
}

fn failed(mail: &MailFacts) -> Finding {
    unauthenticated("a trusted server recorded dmarc=fail for the mail", mail)
}

fn unauthenticated(reason: &str, mail: &MailFacts) -> Finding {
    let from = mail.from_domain.as_deref().unwrap_or("nobody");
    Finding::new(FindingCode::MAIL_UNAUTHENTICATED, format!("{reason}; From {}", Quoted(from)))
}

/// Whether a finding is about the sender of the mail.
pub(super) fn is_of_sender(code: FindingCode) -> bool {
    [FindingCode::MAIL_UNAUTHENTICATED, FindingCode::MAIL_OTHER_SENDER, FindingCode::MAIL_UNPROVEN].contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::tests::report;

    fn mail(results: &str) -> MailFacts {
        MailFacts {
            authentication_results: Some(results.to_owned()),
            from_domain: Some("receiver.example".to_owned()),
            sender_auth: if Results::of(results).dmarc_failed() { SenderAuth::Fail } else { SenderAuth::Unknown },
            ..MailFacts::default()
        }
    }

    fn trusting(ids: &[&str]) -> Trust {
        Trust { authserv_ids: ids.iter().map(|id| (*id).to_owned()).collect(), domains: Vec::new() }
    }

    fn said(ids: &[&str], results: &str) -> SenderAuth {
        trusting(ids).judge(&mail(results), (&report()).into(), Proof::default).0
    }

    fn signed(from: &str) -> Proof {
        Proof::Signed { from: from.to_owned(), signer: from.to_owned() }
    }

    #[test]
    fn only_a_trusted_servers_pass_counts() {
        for (results, auth) in [
            ("MX.example.com 1; dmarc=pass", SenderAuth::Pass),
            ("mx.example.com; dmarc=pass header.from=Receiver.example", SenderAuth::Pass),
            ("mx.example.com; dmarc=pass header.from=dmarc.receiver.example", SenderAuth::Pass),
            ("mx.example.com; dmarc=pass header.from=evil.example", SenderAuth::None),
            (
                "mx.example.com; dmarc=pass header.from=receiver.example; dmarc=pass header.from=evil.example",
                SenderAuth::None,
            ),
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
        let nothing = trusting(&["mx.example.com"]).judge(&MailFacts::default(), (&report()).into(), Proof::default);
        assert_eq!(nothing, (SenderAuth::Unknown, None));
    }

    #[test]
    fn what_is_none_says_why() {
        let trust = trusting(&["mx.example.com"]);
        let mut ambiguous = mail("mx.example.com; dmarc=pass");
        ambiguous.from_domain = None;
        let attached = MailFacts { attached: true, ..mail("mx.example.com; dmarc=pass") };
        for (mail, code, why) in [
            (
                mail("mx.example.com; dmarc=pass header.from=evil.example"),
                FindingCode::MAIL_OTHER_SENDER,
                "found evil.example",
            ),
            (mail("mx.example.com; dmarc=none"), FindingCode::MAIL_UNPROVEN, "dmarc=none"),
            (ambiguous, FindingCode::MAIL_UNPROVEN, "without a domain"),
            (attached, FindingCode::MAIL_UNPROVEN, "attached mail"),
        ] {
            let (auth, finding) = trust.judge(&mail, (&report()).into(), Proof::default);
            let finding = finding.unwrap();
            assert_eq!((auth, finding.code), (SenderAuth::None, code));
            assert!(finding.detail.contains(why), "{}", finding.detail);
        }
    }

    #[test]
    fn an_attached_mail_is_judged_by_its_own_signature() {
        let trust = trusting(&["mx.example.com"]);
        for (results, unsigned) in [("dmarc=pass", SenderAuth::None), ("dmarc=fail", SenderAuth::Fail)] {
            let outer = MailFacts { attached: true, ..mail(&format!("mx.example.com; {results}")) };
            assert_eq!(trust.judge(&outer, (&report()).into(), || signed("receiver.example")).0, SenderAuth::Pass);
            assert_eq!(trust.judge(&outer, (&report()).into(), || Proof::Unproven("x".into())).0, unsigned);
        }
        let never = || -> Proof { panic!("settled") };
        assert_eq!(trust.judge(&mail("mx.example.com; dmarc=fail"), (&report()).into(), never).0, SenderAuth::Fail);
        assert_eq!(trust.judge(&mail("mx.example.com; dmarc=pass"), (&report()).into(), never).0, SenderAuth::Pass);
    }

    #[test]
    fn a_domain_is_foreign_if_it_is_neither_named_nor_below_a_named_one() {
        let trust = Trust { authserv_ids: vec![], domains: vec!["example.com".into(), "example.net".into()] };
        for own in ["example.com", "news.example.com", "example.net"] {
            assert_eq!(trust.foreign(own), None, "{own}");
        }
        for other in ["example.org", "badexample.com", "com"] {
            let finding = trust.foreign(other).unwrap();
            assert_eq!(finding.code, FindingCode::DOMAIN_FOREIGN, "{other}");
        }
        assert_eq!(Trust::default().foreign("example.org"), None);
    }

    #[test]
    fn a_proof_counts_only_for_the_reporter_it_names() {
        use SenderAuth::{Fail, None, Pass, Unknown};
        let broken = Proof::Broken("why".into());
        let unproven = Proof::Unproven("why".into());
        let mixed = Proof::Signed { from: "receiver.example".into(), signer: "evil.example".into() };
        for (results, proof, auth, code) in [
            ("x", signed("dmarc.receiver.example"), Pass, ""),
            ("x; dmarc=fail", signed("receiver.example"), Pass, ""),
            ("x", signed("evil.example"), None, "mail.other_sender"),
            ("x", mixed, None, "mail.other_sender"),
            ("x; dmarc=fail", signed("evil.example"), Fail, "mail.unauthenticated"),
            ("mx.example.com; dmarc=none", broken, Fail, "mail.unauthenticated"),
            ("x", unproven.clone(), None, "mail.unproven"),
            ("x; dmarc=fail", unproven, Fail, "mail.unauthenticated"),
            ("x", Proof::Open, Unknown, ""),
            ("x; dmarc=fail", Proof::Open, Fail, "mail.unauthenticated"),
            ("mx.example.com; dmarc=none", Proof::Open, None, "mail.unproven"),
        ] {
            let (found, finding) =
                trusting(&["mx.example.com"]).judge(&mail(results), (&report()).into(), || proof.clone());
            assert_eq!(found, auth, "{results} {proof:?}");
            assert_eq!(finding.map_or("", |finding| finding.code.as_str()), code, "{results} {proof:?}");
        }
    }

    #[test]
    fn a_rebuild_keeps_sender_auth_except_a_pass_that_is_none_today() {
        use SenderAuth::{Fail, None, Pass, Unknown};
        let stored = |from: &str, results: &str, sender_auth| MailFacts {
            from_domain: Some(from.to_owned()),
            sender_auth,
            ..mail(results)
        };
        for (mail, auth) in [
            (stored("receiver.example", "x; dmarc=pass", Pass), Pass),
            (stored("evil.example", "mx.example.com; dmarc=pass", Pass), None),
            (stored("evil.example", "x", Pass), None),
            (MailFacts { attached: true, ..stored("forwarder.example", "mx.example.com; dmarc=pass", Pass) }, Pass),
            (stored("receiver.example", "mx.example.com; dmarc=pass", Unknown), Pass),
            (stored("receiver.example", "mx.example.com; dmarc=pass", Fail), Pass),
            (stored("receiver.example", "mx.example.com; dmarc=none", Pass), Pass),
            (stored("receiver.example", "mx.example.com; dmarc=none", Unknown), None),
            (stored("receiver.example", "mx.example.com; dmarc=temperror", Fail), Fail),
            (stored("receiver.example", "", None), None),
        ] {
            assert_eq!(trusting(&["mx.example.com"]).judge_again(&mail, (&report()).into()).0, auth, "{mail:?}");
        }
    }
}
