//! May the domain move to a stricter policy? In: its senders with their roles, its policy, its history. Out: a verdict, and
//! what legitimate mail would be lost today.

use super::{
    PolicySeen, Rate,
    groups::Group,
    roles::Role,
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

/// The readiness of one domain. `periods` are earlier ones with data, `days` the length of what was read.
pub(crate) fn readiness(
    view: &View<'_>,
    cast: &[&Cast],
    policy: Option<&PolicySeen>,
    (periods, days): (usize, i32),
) -> Readiness {
    let next = next(policy);
    let mut readiness = Readiness {
        verdict: Verdict::Done,
        next,
        legitimate: 0,
        would_be_lost: 0,
        forwarded_at_risk: 0,
        unclear: 0,
        would_be_stopped: 0,
        periods: periods as u64,
        losing: Vec::new(),
    };
    let mut ever_passed = 0_u64;
    let mut reporters = super::facts::Reporters::NOBODY;
    for cast in cast {
        readiness.add(view, cast);
        ever_passed = ever_passed.saturating_add(cast.group.passed);
        reporters.extend(&cast.group.reporters);
    }
    readiness.losing.sort_by_key(|losing| (Reverse(losing.failing), losing.who.address));
    readiness.losing.truncate(NAMED);
    let weeks_enough = days >= 28;
    let enough = readiness.legitimate >= 100 && reporters.len() >= 2 && weeks_enough;
    let failing = readiness.would_be_lost.saturating_add(readiness.unclear);
    let nobody = ever_passed == 0 && readiness.legitimate == 0;
    readiness.verdict = if next.is_none() {
        Verdict::Done
    } else if nobody && weeks_enough && readiness.unclear == 0 {
        Verdict::Parked
    } else if small(failing, readiness.legitimate) {
        if enough { Verdict::Ready } else { Verdict::TooLittle }
    } else if small(readiness.would_be_lost, readiness.legitimate) && !enough {
        Verdict::TooLittle
    } else {
        Verdict::NotYet
    };
    readiness
}

/// At most one message in 500.
fn small(part: u64, whole: u64) -> bool {
    part == 0 || part.saturating_mul(500) <= whole
}

/// The next stricter step; null where there is none.
fn next(policy: Option<&PolicySeen>) -> Option<&'static str> {
    let policy = policy?;
    let word = |tag: &Option<super::Foreign>| tag.as_ref().map_or("", super::Foreign::as_written).to_owned();
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
    fn add(&mut self, view: &View<'_>, cast: &Cast) {
        let group = &cast.group;
        let failing = group.sums.failing();
        let (own, passed_on) = losses(group);
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        match cast.role {
            Role::Own | Role::Vendor => {
                add(&mut self.legitimate, group.sums.messages);
                add(&mut self.would_be_lost, own);
                add(&mut self.forwarded_at_risk, passed_on);
                if own > 0 {
                    let (who, cause) = (name(view, group, cast.role), group.cause());
                    self.losing.push(Losing { who, failing: own, cause });
                }
            }
            Role::Forwarder | Role::List => add(&mut self.forwarded_at_risk, failing),
            Role::Unclear => add(&mut self.unclear, failing),
            Role::Suspect => add(&mut self.would_be_stopped, failing),
        }
    }

    /// The share of legitimate mail that would be lost.
    pub fn loss(&self) -> Option<Rate> {
        Rate::of(self.would_be_lost, self.legitimate)
    }
}
