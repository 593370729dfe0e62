//! May the domain move to a stricter policy? In: its senders with their roles, its policy, its history. Out: a verdict, and
//! what legitimate mail would be lost today.

use super::{
    Foreign, PolicySeen, Rate,
    groups::Group,
    roles::Role,
    seen::Reporters,
    senders::{Cast, SenderName, name},
    summary::form,
    view::View,
};
use crate::model::Cause;
use serde::Serialize;
use std::cmp::Reverse;

/// How many senders with losses are named.
const NAMED: usize = 5;

/// Whether a stricter policy would cost mail.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Readiness {
    /// The answer.
    pub verdict: Verdict,
    /// The policy in question.
    pub next: Option<&'static str>,
    /// Messages of the domain's own senders and services, in the period.
    pub legitimate: u64,
    /// Of them, those that fail now and would be lost.
    pub would_be_lost: u64,
    /// Forwarded or list mail that fails now; what becomes of it is up to each receiver.
    pub forwarded_at_risk: u64,
    /// Failing messages of senders that are too little known to tell.
    pub unclear: u64,
    /// Failing messages that a stricter policy would stop.
    pub would_be_stopped: u64,
    /// Earlier periods with data.
    pub periods: u64,
    /// The senders that lose most.
    pub losing: Vec<Losing>,
}

/// A sender whose mail would be lost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Losing {
    /// Who.
    #[serde(flatten)]
    pub who: SenderName,
    /// Failing messages.
    pub failing: u64,
    /// Why.
    #[serde(serialize_with = "form::cause")]
    pub cause: Cause,
}

/// The answer to "may we move on?".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is at `p=reject` for all its mail.
    Done,
    /// Next to nothing legitimate would be lost.
    Ready,
    /// Legitimate mail would be lost.
    NotYet,
    /// Nothing legitimate sends as it: it may be locked at once.
    Parked,
    /// Too little mail, too few reporters or too short a time.
    TooLittle,
}

/// What a domain's senders would lose, added up.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    legitimate: u64,
    would_be_lost: u64,
    forwarded_at_risk: u64,
    unclear: u64,
    would_be_stopped: u64,
    /// Messages that ever passed.
    ever_passed: u64,
    reporters: Reporters,
    /// The senders that lose most.
    losing: Vec<Losing>,
}

impl Losses {
    /// Add a sender.
    pub(crate) fn add(&mut self, view: &View<'_>, cast: &Cast) {
        let group = &cast.group;
        let (own, passed_on) = losses(group);
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.ever_passed, group.passed);
        self.reporters.merge(&group.reporters);
        match cast.role {
            Role::Own | Role::Vendor => {
                add(&mut self.legitimate, group.sums.messages);
                add(&mut self.would_be_lost, own);
                add(&mut self.forwarded_at_risk, passed_on);
                if own > 0 {
                    let (who, cause) = (name(view, group, cast.role), group.cause());
                    self.losing.push(Losing { who, failing: own, cause });
                    self.keep_largest(4 * NAMED);
                }
            }
            Role::Forwarder | Role::List => add(&mut self.forwarded_at_risk, group.sums.failing()),
            Role::Unclear => add(&mut self.unclear, group.sums.failing()),
            Role::Suspect => add(&mut self.would_be_stopped, group.sums.failing()),
        }
    }

    /// Add those of other parts.
    pub(crate) fn merge(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.legitimate, other.legitimate),
            (&mut self.would_be_lost, other.would_be_lost),
            (&mut self.forwarded_at_risk, other.forwarded_at_risk),
            (&mut self.unclear, other.unclear),
            (&mut self.would_be_stopped, other.would_be_stopped),
            (&mut self.ever_passed, other.ever_passed),
        ] {
            *sum = sum.saturating_add(more);
        }
        self.reporters.merge(&other.reporters);
        self.losing.extend(other.losing);
        self.keep_largest(0);
    }

    /// Once there are more than `patience`, keep only those that lose most.
    fn keep_largest(&mut self, patience: usize) {
        if self.losing.len() > patience.max(NAMED) {
            let key = |losing: &Losing| {
                (
                    Reverse(losing.failing),
                    losing.who.address,
                    losing.who.signs_as.clone(),
                    losing.who.returns_to.clone(),
                )
            };
            self.losing.sort_by_cached_key(key);
            self.losing.truncate(NAMED);
        }
    }

    /// The readiness for a policy stricter than this one, of `periods` earlier ones with data, `days` from the first report.
    pub(crate) fn readiness(&self, policy: Option<&PolicySeen>, (periods, days): (usize, i32)) -> Readiness {
        let mut losing = self.losing.clone();
        losing.sort_by_key(|losing| {
            (Reverse(losing.failing), losing.who.address, losing.who.signs_as.clone(), losing.who.returns_to.clone())
        });
        losing.truncate(NAMED);
        let next = next(policy);
        Readiness {
            verdict: if next.is_some() { self.verdict(days >= 28) } else { Verdict::Done },
            next,
            legitimate: self.legitimate,
            would_be_lost: self.would_be_lost,
            forwarded_at_risk: self.forwarded_at_risk,
            unclear: self.unclear,
            would_be_stopped: self.would_be_stopped,
            periods: periods as u64,
            losing,
        }
    }

    fn verdict(&self, long_enough: bool) -> Verdict {
        let enough = long_enough && self.legitimate >= 100 && self.reporters.len() >= 2;
        let loses = !small(self.would_be_lost, self.legitimate);
        let may_lose = !small(self.would_be_lost.saturating_add(self.unclear), self.legitimate);
        let nobody = self.ever_passed == 0 && self.legitimate == 0 && self.unclear == 0;
        match (nobody && long_enough, loses, may_lose, enough) {
            (true, ..) => Verdict::Parked,
            (_, true, ..) | (_, _, true, true) => Verdict::NotYet,
            (_, _, false, true) => Verdict::Ready,
            (_, _, _, false) => Verdict::TooLittle,
        }
    }
}

/// At most one message in 500.
fn small(part: u64, whole: u64) -> bool {
    part == 0 || part.saturating_mul(500) <= whole
}

/// The next stricter step; null where there is none.
fn next(policy: Option<&PolicySeen>) -> Option<&'static str> {
    let policy = policy?;
    let word = |tag: &Option<Foreign>| tag.as_ref().map_or("", Foreign::as_written).to_owned();
    let whole = policy.pct.is_none_or(|pct| pct >= 100) && word(&policy.testing) != "y";
    match (word(&policy.p).as_str(), whole) {
        ("reject", true) => None,
        ("reject", false) => Some("p=reject for all mail"),
        ("quarantine", true) => Some("p=reject"),
        ("quarantine", false) => Some("p=quarantine for all mail"),
        _ => Some("p=quarantine"),
    }
}

/// Failing messages of a group by what becomes of them.
fn losses(group: &Group) -> (u64, u64) {
    let passed_on = [Cause::ForwardedDeclared, Cause::ListOrModifyingForwarder];
    let sum = |causes: &[Cause]| causes.iter().fold(0_u64, |sum, cause| sum.saturating_add(group.causes.of(*cause)));
    // A temporary error is no verdict: a policy must not be applied to it.
    (
        group.sums.failing().saturating_sub(sum(&passed_on)).saturating_sub(group.causes.of(Cause::Transient)),
        sum(&passed_on),
    )
}

impl Readiness {
    /// The share of legitimate mail that would be lost.
    pub fn loss(&self) -> Option<Rate> {
        Rate::of(self.would_be_lost, self.legitimate)
    }
}
