//! The next step of a policy, and which mail it is about.

use crate::analyze::figures::policies::{STRICTNESS, strictness};
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
    /// It removes the tags that limit the policy to a part of the mail.
    pub(crate) lifts_limits: bool,
    /// Receivers reject mail after it.
    pub(crate) rejects: bool,
    /// Which mail it is about.
    pub(crate) governs: PolicyScope,
}

const ITSELF: PolicyScope = PolicyScope { itself: true, subdomains: false };
const SUBDOMAINS: PolicyScope = PolicyScope { itself: false, subdomains: true };
const BOTH: PolicyScope = PolicyScope { itself: true, subdomains: true };

impl EnforcementStep {
    /// The next step after a policy; `None` if none is left. The first step if the policy is unknown.
    pub(crate) fn after(policy: Option<&PolicySeen>) -> Option<Self> {
        let Some(policy) = policy else { return Some(Self::plain("p", 1, BOTH)) };
        let rank = |tag: &Option<Foreign>| strictness(tag.as_ref().map(Foreign::as_written)?);
        let p = rank(&policy.p).unwrap_or(0);
        let sp = rank(&policy.sp).unwrap_or(p);
        let np = rank(&policy.np).unwrap_or(sp);
        let part = policy.pct.is_some_and(|pct| pct < 100)
            || policy.testing.as_ref().is_some_and(|testing| testing.as_written() == "y");
        // Without the limits, a policy of the subdomains applies to all of their mail too.
        let moves = if sp == p || part && sp > 0 { BOTH } else { ITSELF };
        let rejects = |p: usize| p == 2 || part && sp == 2;
        if sp < p {
            Some(Self::of_subdomains("sp", p))
        } else if np < p {
            Some(Self::of_subdomains("np", p))
        } else if part && p > 0 {
            Some(Self { for_all: true, rejects: rejects(p), ..Self::plain("p", p, moves) })
        } else if p < 2 {
            Some(Self { rejects: rejects(p + 1), ..Self::plain("p", p + 1, moves) })
        } else {
            None
        }
    }

    /// Straight to `reject`, for a domain that nothing legitimate sends as: its `p`, else what is weaker than that.
    pub(crate) fn lock(policy: Option<&PolicySeen>) -> Self {
        let p = policy.and_then(|policy| strictness(policy.p.as_ref()?.as_written()));
        Self::after(policy).filter(|_| p == Some(2)).unwrap_or(Self::plain("p", 2, BOTH))
    }

    fn plain(tag: &'static str, strictness: usize, governs: PolicyScope) -> Self {
        let strictness = strictness.min(2);
        let to = STRICTNESS[strictness];
        Self { tag, to, for_all: false, lifts_limits: true, rejects: strictness == 2, governs }
    }

    /// A step of the subdomains only: the limits stay, because mail of the domain itself is not judged by it.
    fn of_subdomains(tag: &'static str, strictness: usize) -> Self {
        Self { lifts_limits: false, ..Self::plain(tag, strictness, SUBDOMAINS) }
    }

    /// The step in a few words: `p=quarantine`, `p=reject for all mail`.
    pub(crate) fn words(self) -> String {
        format!("{}={}{}", self.tag, self.to, if self.for_all { " for all mail" } else { "" })
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

    #[test]
    fn a_step_that_lifts_the_limits_is_judged_by_all_mail_they_spare_today() {
        let step = |p: &str, sp: &str, pct: Option<i32>, t: &str| {
            let tag = |word: &str| (!word.is_empty()).then(|| Foreign::from(word));
            let policy = PolicySeen { p: tag(p), sp: tag(sp), pct, testing: tag(t), ..PolicySeen::default() };
            let step = EnforcementStep::after(Some(&policy)).unwrap();
            (step.words(), step.governs, step.lifts_limits, step.rejects)
        };
        let of = |words: &str, governs, lifts, rejects| (words.to_owned(), governs, lifts, rejects);
        assert_eq!(step("reject", "none", None, "y"), of("sp=reject", SUBDOMAINS, false, true));
        assert_eq!(step("quarantine", "none", Some(0), ""), of("sp=quarantine", SUBDOMAINS, false, false));
        assert_eq!(step("quarantine", "reject", None, "y"), of("p=quarantine for all mail", BOTH, true, true));
        assert_eq!(step("none", "reject", Some(10), ""), of("p=quarantine", BOTH, true, true));
        assert_eq!(step("none", "reject", None, ""), of("p=quarantine", ITSELF, true, false));
    }

    #[test]
    fn a_domain_without_mail_is_locked_by_the_tag_that_leaves_it_open() {
        let tag = |word: &str| Some(Foreign::from(word));
        let lock = |policy: PolicySeen| EnforcementStep::lock(Some(&policy)).words();
        assert_eq!(EnforcementStep::lock(None).words(), "p=reject");
        assert_eq!(lock(PolicySeen { p: tag("none"), sp: tag("none"), ..PolicySeen::default() }), "p=reject");
        assert_eq!(lock(PolicySeen { p: tag("quarantine"), sp: tag("none"), ..PolicySeen::default() }), "p=reject");
        assert_eq!(lock(PolicySeen { p: tag("reject"), sp: tag("none"), ..PolicySeen::default() }), "sp=reject");
        assert_eq!(lock(PolicySeen { p: tag("reject"), np: tag("none"), ..PolicySeen::default() }), "np=reject");
        let limited = PolicySeen { p: tag("reject"), pct: Some(10), ..PolicySeen::default() };
        assert_eq!(lock(limited), "p=reject for all mail");
    }
}
