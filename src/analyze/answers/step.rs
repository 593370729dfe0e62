//! The next step of a policy, and which mail it is about.

use crate::analyze::senders::PolicyScope;
use crate::analyze::{Foreign, PolicySeen};

/// A change of one tag, or of the tags that limit a policy to part of the mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EnforcementStep {
    /// The tag to change.
    pub(crate) tag: &'static str,
    /// Its new value.
    pub(crate) to: &'static str,
    /// The policy is the same, for all mail instead of a part of it.
    pub(crate) for_all: bool,
    /// Which mail it is about.
    pub(crate) governs: PolicyScope,
}

const ITSELF: PolicyScope = PolicyScope { itself: true, subdomains: false };
const SUBDOMAINS: PolicyScope = PolicyScope { itself: false, subdomains: true };
const BOTH: PolicyScope = PolicyScope { itself: true, subdomains: true };
const STRICTNESS: [&str; 3] = ["none", "quarantine", "reject"];

impl EnforcementStep {
    /// The next step after a policy; `None` if none is left. The first step if the policy is unknown.
    pub(crate) fn after(policy: Option<&PolicySeen>) -> Option<Self> {
        let Some(policy) = policy else { return Some(Self::plain("p", 1, BOTH)) };
        let rank = |tag: &Option<Foreign>| {
            let word = tag.as_ref().map(Foreign::as_written)?;
            STRICTNESS.iter().position(|strictness| *strictness == word)
        };
        let p = rank(&policy.p).unwrap_or(0);
        let sp = rank(&policy.sp).unwrap_or(p);
        let np = rank(&policy.np).unwrap_or(sp);
        let part = policy.pct.is_some_and(|pct| pct < 100)
            || policy.testing.as_ref().is_some_and(|testing| testing.as_written() == "y");
        let moves = if sp == p { BOTH } else { ITSELF };
        if sp < p {
            Some(Self::plain("sp", p, SUBDOMAINS))
        } else if np < p {
            Some(Self::plain("np", p, SUBDOMAINS))
        } else if part && p > 0 {
            Some(Self { for_all: true, ..Self::plain("p", p, moves) })
        } else if p < 2 {
            Some(Self::plain("p", p + 1, moves))
        } else {
            None
        }
    }

    /// Straight to `p=reject`, for a domain that nothing legitimate sends as.
    pub(crate) fn lock() -> Self {
        Self::plain("p", 2, BOTH)
    }

    fn plain(tag: &'static str, strictness: usize, governs: PolicyScope) -> Self {
        Self { tag, to: STRICTNESS[strictness.min(2)], for_all: false, governs }
    }

    /// The step in a few words: `p=quarantine`, `p=reject for all mail`.
    pub(crate) fn words(self) -> String {
        format!("{}={}{}", self.tag, self.to, if self.for_all { " for all mail" } else { "" })
    }

    /// Whether receivers reject mail after it.
    pub(crate) fn rejects(self) -> bool {
        self.to == "reject"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(p: &str, sp: &str, pct: Option<i32>, t: &str) -> Option<(String, PolicyScope)> {
        let tag = |word: &str| (!word.is_empty()).then(|| Foreign::from(word));
        let policy = PolicySeen { p: tag(p), sp: tag(sp), pct, testing: tag(t), ..PolicySeen::default() };
        EnforcementStep::after(Some(&policy)).map(|step| (step.words(), step.governs))
    }

    #[test]
    fn subdomains_first_then_all_mail_then_the_next_policy() {
        for (policy, next) in [
            (("none", "", None, ""), Some(("p=quarantine", BOTH))),
            (("none", "reject", None, ""), Some(("p=quarantine", ITSELF))),
            (("quarantine", "quarantine", Some(100), "n"), Some(("p=reject", BOTH))),
            (("quarantine", "", Some(25), ""), Some(("p=quarantine for all mail", BOTH))),
            (("reject", "", None, "y"), Some(("p=reject for all mail", BOTH))),
            (("reject", "none", None, ""), Some(("sp=reject", SUBDOMAINS))),
            (("reject", "reject", None, ""), None),
        ] {
            let (p, sp, pct, t) = policy;
            let next = next.map(|(words, governs)| (words.to_owned(), governs));
            assert_eq!(after(p, sp, pct, t), next, "{policy:?}");
        }
    }
}
