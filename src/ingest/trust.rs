//! Whose word on a report mail is believed, and which domains are the reader's.
//!
//! Comes in: what only the settings know. Goes out: the mail's [`SenderAuth`], and the finding of a report on a domain
//! that is nobody's here. A pass is believed of a trusted border alone, for anybody can write one; a fail of anyone, for
//! nobody forges it in his own favour.

use crate::model::{Code, Finding, MailFacts, Quoted, SenderAuth};
use crate::unpack::Results;

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
        let Some(results) = mail.authentication_results.as_deref().map(Results::of) else { return mail.sender_auth };
        if !self.authserv_ids.iter().any(|id| id.eq_ignore_ascii_case(&results.authserv_id)) {
            return mail.sender_auth;
        }
        // Several words on one mail, of several From domains, say: only of one mind do they prove anything.
        match results.dmarc.as_slice() {
            _ if results.dmarc_failed() => SenderAuth::Fail,
            [first, rest @ ..] if rest.iter().all(|word| word == first) => match first.as_str() {
                "pass" => SenderAuth::Pass,
                "none" => SenderAuth::None,
                _ => SenderAuth::Unknown,
            },
            _ => SenderAuth::Unknown,
        }
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
}
