//! Can the domain enforce a stricter policy? The verdict over the eight weeks that end with the period, what prevents
//! it, and what is lost already.

use super::senders::{SenderName, name};
use super::step::EnforcementStep;
use crate::analyze::period::date;
use crate::analyze::senders::{DomainFold, Holder, NAMED, PeriodMessages, Role, Top, View, holder_order};
use crate::analyze::sums::Messages;
use crate::analyze::thresholds::{
    ENOUGH_DAYS, ENOUGH_MESSAGES, ENOUGH_REPORTERS, NO_CHANCE, NOTICED_ONE_IN, VISIBLE_ONE_IN,
};
use crate::analyze::{Foreign, PolicySeen, Rate};
use crate::model::Cause;
use jiff::civil::Date;
use serde::Serialize;
use std::cmp::Reverse;

/// Whether a stricter policy would cost mail.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Readiness {
    /// The answer.
    pub verdict: ReadinessVerdict,
    /// The step in question: `p=quarantine`, `sp=reject`, `p=reject for all mail`.
    pub next: Option<String>,
    /// Messages of own senders and vendors in the eight weeks.
    pub legitimate: u64,
    /// Those of them that fail and that receivers would block after the step.
    pub would_be_lost: u64,
    /// Those of them from vendors that the user did not confirm: the loss is "up to".
    pub unconfirmed: u64,
    /// Messages of own senders and vendors that failed and that receivers blocked in the period.
    pub lost_now: u64,
    /// Failing messages of forwarders and lists in the eight weeks that the step governs.
    pub forwarded_at_risk: u64,
    /// Failing messages of unclear senders in the eight weeks that the step governs.
    pub unclear: u64,
    /// Failing messages of suspects in the period that receivers would block after the step.
    pub would_be_blocked: u64,
    /// Earlier periods with data.
    pub periods: u64,
    /// Days from the domain's first report to the period's end, as far as they were read. They begin anew after a month
    /// without any report.
    pub days: u64,
    /// Reporters in the eight weeks.
    pub reporters: u64,
    /// The day from which on there are enough days of reports; `None` if there are already.
    pub enough_on: Option<Date>,
    /// What prevents a stricter policy.
    pub held_by: Vec<HeldBy>,
    /// The senders that lose most, or lose mail today.
    pub losing: Vec<Losing>,
    /// How many more there are.
    pub more_losing: u64,
    /// The unclear senders with most failing messages that the step governs.
    pub unclear_senders: Vec<Losing>,
    /// How many more there are.
    pub more_unclear_senders: u64,
    /// Silent reporters that saw a tenth of the mail or more: what they saw is no longer known.
    pub silent_reporters: Vec<Foreign>,
    /// Lone reporters of the period, those with most messages first. No verdict counts what they see.
    pub lone_reporters: Vec<LoneLoss>,
}

/// What a receiver would do, by its own reports, with mail that it alone sees fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoneLoss {
    /// The reporter.
    pub org_name: Foreign,
    /// Messages of own senders in the period that it would block after the step.
    pub messages: u64,
}

/// What prevents a stricter policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldBy {
    /// An own sender fails as a whole.
    OwnSender,
    /// A visible share of legitimate mail would be lost.
    Loss,
    /// The same, if the unclear senders are the user's.
    UnclearSenders,
    /// People would notice losses through lists and forwarders.
    ForwardedMail,
    /// Unsigned mail is forwarded: it has to be signed first.
    UnsignedMail,
}

/// A sender whose mail would be lost, is lost, or may be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Losing {
    /// Who.
    #[serde(flatten)]
    pub who: SenderName,
    /// Failing messages of the eight weeks that the step governs.
    pub failing: u64,
    /// Failing messages of the period that receivers blocked.
    pub lost_now: u64,
    /// The last day with a failing message.
    pub last_failing: Option<Date>,
    /// It fails as a whole.
    pub whole: bool,
    /// Why.
    pub cause: Cause,
}

/// The answer to "can you enforce a stricter policy?".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadinessVerdict {
    /// No step is left.
    Done,
    /// No legitimate mail would visibly be lost.
    Ready,
    /// Legitimate mail would be lost, or may be.
    NotYet,
    /// Nothing legitimate sends as it: `p=reject` is possible at once.
    Parked,
    /// Too little mail, too few reporters or too short a time.
    TooLittle,
}

/// What is known of a domain besides its senders.
pub(super) struct DomainFacts<'a> {
    pub(super) policy: Option<&'a PolicySeen>,
    /// Earlier periods with data.
    pub(super) periods: usize,
    /// The first day with a report since the last long gap, as far as was read.
    pub(super) first_day: Option<i32>,
    /// The last day of the period.
    pub(super) last_day: i32,
    /// Messages that ever passed.
    pub(super) passed: Messages,
    pub(super) silent_reporters: Vec<Foreign>,
}

/// Whether this much failing mail is more than noise.
fn is_visible(part: Messages, legitimate: Messages) -> bool {
    part.0 >= NO_CHANCE && part.is_more_than_one_in(VISIBLE_ONE_IN, legitimate)
}

/// The same over the eight weeks, or over the period alone: a recent break must not drown in history.
fn is_visible_in(part: PeriodMessages, legitimate: PeriodMessages) -> bool {
    is_visible(part.weeks, legitimate.weeks) || is_visible(part.period, legitimate.period)
}

/// Whether people would notice this loss.
fn is_noticed(part: Messages, legitimate: Messages) -> bool {
    part.0 >= NO_CHANCE && part.is_more_than_one_in(NOTICED_ONE_IN, legitimate + part)
}

/// The readiness of a domain for the step after its policy.
pub(super) fn readiness(view: &View<'_>, fold: &DomainFold, facts: DomainFacts<'_>) -> Readiness {
    let days = facts.first_day.map_or(0, |first| facts.last_day - first + 1).max(0);
    let (losing, more_losing) = holders(view, fold, &fold.losing, |role| role != Role::Unclear);
    let (unclear_senders, more_unclear_senders) =
        holders(view, fold, &fold.unclear_holders, |role| role == Role::Unclear);
    let mut readiness = Readiness {
        verdict: ReadinessVerdict::Done,
        next: None,
        legitimate: fold.legitimate.weeks.0,
        would_be_lost: fold.would_be_lost.weeks.0,
        unconfirmed: fold.unconfirmed.weeks.0,
        lost_now: fold.lost_now.0,
        forwarded_at_risk: fold.forwarded.weeks.0,
        unclear: fold.unclear.weeks.0,
        would_be_blocked: fold.spoofing.would_be_blocked.0,
        periods: facts.periods as u64,
        days: u64::try_from(days).unwrap_or(0),
        reporters: fold.reporters.len() as u64,
        enough_on: facts.first_day.filter(|_| days < ENOUGH_DAYS).map(|first| date(first + ENOUGH_DAYS)),
        held_by: Vec::new(),
        losing,
        more_losing,
        unclear_senders,
        more_unclear_senders,
        silent_reporters: facts.silent_reporters,
        lone_reporters: lone_reporters(view, fold),
    };
    let Some(step) = EnforcementStep::after(facts.policy) else { return readiness };
    readiness.next = Some(step.words());
    readiness.held_by = held_by(fold, step);
    let mail_of_own = [HeldBy::OwnSender, HeldBy::Loss, HeldBy::UnclearSenders];
    let loses = readiness.held_by.iter().any(|held| mail_of_own.contains(held));
    // What one reporter sees return may be all mail of the domain: often only one reports.
    let doubtful = fold.unclear_seen || fold.steady_suspect && fold.reporters.len() < ENOUGH_REPORTERS;
    let nobody = facts.passed.0 == 0 && fold.legitimate.weeks.0 == 0 && !doubtful;
    let enough =
        days >= ENOUGH_DAYS && fold.legitimate.weeks.0 >= ENOUGH_MESSAGES && fold.reporters.len() >= ENOUGH_REPORTERS;
    readiness.verdict = if days >= ENOUGH_DAYS && nobody {
        readiness.next = Some(EnforcementStep::lock(facts.policy).words());
        ReadinessVerdict::Parked
    } else if loses {
        ReadinessVerdict::NotYet
    } else if !enough {
        ReadinessVerdict::TooLittle
    } else if readiness.held_by.is_empty() {
        ReadinessVerdict::Ready
    } else {
        ReadinessVerdict::NotYet
    };
    readiness
}

fn lone_reporters(view: &View<'_>, fold: &DomainFold) -> Vec<LoneLoss> {
    let lone = fold.lone.iter().filter(|(_, messages)| messages.0 > 0);
    let mut lone: Vec<LoneLoss> = lone
        .filter_map(|(reporter, messages)| Some(LoneLoss { org_name: view.reporter(*reporter)?, messages: messages.0 }))
        .collect();
    lone.sort_by(|a, b| (Reverse(a.messages), &a.org_name).cmp(&(Reverse(b.messages), &b.org_name)));
    lone
}

fn held_by(fold: &DomainFold, step: EnforcementStep) -> Vec<HeldBy> {
    let mut may_be_lost = fold.would_be_lost;
    may_be_lost.merge(fold.unclear);
    let loss = is_visible_in(fold.would_be_lost, fold.legitimate);
    let holds = [
        (fold.whole > 0, HeldBy::OwnSender),
        (loss, HeldBy::Loss),
        (fold.unclear.weeks.0 > 0 && is_visible_in(may_be_lost, fold.legitimate), HeldBy::UnclearSenders),
        (step.rejects && is_noticed(fold.forwarded.weeks, fold.legitimate.weeks), HeldBy::ForwardedMail),
        (is_noticed(fold.unsigned_copies.weeks, fold.legitimate.weeks), HeldBy::UnsignedMail),
    ];
    holds.into_iter().filter(|(holds, _)| *holds).map(|(_, held)| held).collect()
}

/// Whose mail fails, most failing messages first, and how many more there are.
fn holders(
    view: &View<'_>,
    fold: &DomainFold,
    of_networks: &Top<Holder, NAMED>,
    is: fn(Role) -> bool,
) -> (Vec<Losing>, u64) {
    let vouchers = fold.vouchers.iter().filter(|((_, role), holder)| is(*role) && holder.holds());
    let mut all: Vec<&Holder> = vouchers.map(|(_, holder)| holder).collect();
    let number = all.len() as u64 + of_networks.added();
    all.extend(of_networks.sorted(|a, b| holder_order(view, a, b)));
    all.sort_unstable_by(|a, b| holder_order(view, a, b));
    all.truncate(NAMED);
    let losing = |holder: &&Holder| Losing {
        who: SenderName { addresses: holder.addresses, ..name(view, &holder.profile) },
        failing: holder.failing.weeks.0,
        lost_now: holder.lost_now.0,
        last_failing: holder.last_failing.map(date),
        whole: holder.whole,
        cause: holder.cause,
    };
    let named: Vec<Losing> = all.iter().map(losing).collect();
    let more = number - named.len() as u64;
    (named, more)
}

impl Readiness {
    /// The share of legitimate mail that would be lost.
    pub fn loss(&self) -> Option<Rate> {
        Rate::of(self.would_be_lost, self.legitimate)
    }
}
