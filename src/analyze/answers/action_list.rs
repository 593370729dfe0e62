//! Which actions a summary lists, and in which order: what repairs legitimate mail, and the next steps of policies.

use super::readiness::ReadinessVerdict;
use super::step::EnforcementStep;
use super::summary::DomainSummary;
use crate::analyze::Period;
use crate::analyze::actions::{Action, ActionFacts, Change, Tracking, explain, order, service_help, track};
use crate::analyze::period::date;
use crate::analyze::senders::Horizon;
use crate::analyze::thresholds::ENOUGH_DAYS;
use crate::model::Cause;

/// How many actions are listed; the rest are counted. It is more than anybody has, and bounds what forged reports can
/// create.
const MOST: usize = 10_000;

/// Everything worth doing, and how much more there is. The policy step comes first if the domain is spoofed; then
/// whatever costs most mail.
pub(super) fn actions(
    findings: &ActionFacts<'_>,
    domains: &[DomainSummary],
    period: Option<Period>,
) -> (Vec<Action>, u64) {
    let mut actions = findings.repair_keys();
    actions.extend(findings.align_senders());
    actions.extend(findings.lost_spf());
    actions.extend(findings.repair_spf());
    actions.extend(findings.of_groups());
    let spoofed = |domain: &&DomainSummary| domain.spoofing.messages > 0;
    let mut steps: Vec<Action> =
        domains.iter().filter(spoofed).filter_map(|domain| publish(domain, findings.horizon)).collect();
    actions.sort_by_cached_key(order);
    steps.append(&mut actions);
    let unspoofed = domains.iter().filter(|domain| !spoofed(domain));
    steps.extend(unspoofed.filter_map(|domain| publish(domain, findings.horizon)));
    let listed = steps.iter().map(Action::identity).collect();
    let question = &findings.view.added.question;
    steps.extend(findings.repaired(&listed, &question.dns, period));
    let more = (steps.len().saturating_sub(MOST) as u64).saturating_add(findings.folded.spf.more());
    steps.truncate(MOST);
    for action in &mut steps {
        action.service = service_help::for_action(action, question);
    }
    track(&mut steps, question, period);
    explain(&mut steps, &question.dns, period);
    (steps, more)
}

/// The step of a domain that is ready for it.
fn publish(domain: &DomainSummary, horizon: Horizon) -> Option<Action> {
    let readiness = &domain.readiness;
    let step = match readiness.verdict {
        ReadinessVerdict::Ready => EnforcementStep::after(domain.policy.as_ref())?,
        ReadinessVerdict::Parked => EnforcementStep::lock(domain.policy.as_ref()),
        ReadinessVerdict::Done | ReadinessVerdict::NotYet | ReadinessVerdict::TooLittle => return None,
    };
    let seen = domain.policy.clone().unwrap_or_default();
    let from = match step.tag {
        "sp" => seen.sp,
        "np" => seen.np,
        _ => seen.p,
    };
    // Before that, nothing could be recommended.
    let enough =
        i32::try_from(readiness.days).ok().map(|days| date(horizon.to + 1 - days.max(ENOUGH_DAYS) + ENOUGH_DAYS));
    let part = seen.pct.filter(|pct| *pct < 100).map(|_| "pct");
    let test = seen.testing.filter(|testing| testing.as_written() == "y").map(|_| "t");
    let change = Change::PublishPolicy {
        name: format!("_dmarc.{}", domain.policy_domain.as_written()).into(),
        tag: step.tag,
        from,
        to: step.to,
        remove: part.into_iter().chain(test).filter(|_| step.lifts_limits).collect(),
    };
    let cause = if domain.spoofing.messages > 0 { Cause::SpoofSuspect } else { Cause::Unknown };
    Some(Action {
        messages: readiness.legitimate,
        reporters: readiness.reporters,
        tracking: Tracking::since(enough, String::new()),
        ..Action::new(domain.policy_domain.clone(), change, cause)
    })
}
