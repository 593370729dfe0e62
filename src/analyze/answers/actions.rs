//! Actions: changes that would repair legitimate mail, or stop spoofing, each with its evidence; none if the evidence
//! is thin.

use super::ReadinessVerdict;
use super::repairs::{Repair, explain};
use super::senders::addresses;
use super::service_help::{self, ServiceHelp};
use super::step::EnforcementStep;
use super::summary::DomainSummary;
use super::tracking::{Tracking, track};
use crate::analyze::explained_by::ExplainedBy;
use crate::analyze::period::date;
use crate::analyze::senders::{
    Breakage, FailureSums, Folded, History, Horizon, Identity, KeyTrouble, KeyUse, ReporterSet, Role, SenderGroup,
    SigningKey, SpfEntry, SpfLoss, View, compare,
};
use crate::analyze::sums::Messages;
use crate::analyze::thresholds::{ENOUGH_DAYS, ENOUGH_REPORTERS, NO_CHANCE, UNSIGNED_ONE_IN, WORTH_A_LINE};
use crate::analyze::{Foreign, Period, form};
use crate::model::{Cause, SourceAddress};
use jiff::civil::Date;
use serde::Serialize;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// How many actions are listed; the rest are counted. It is more than anybody has, and bounds what forged reports can
/// create.
const MOST: usize = 10_000;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Action {
    /// For which domain.
    pub policy_domain: Foreign,
    /// The change to make.
    #[serde(flatten)]
    pub change: Change,
    /// The cause it repairs.
    #[serde(serialize_with = "form::cause")]
    pub cause: Cause,
    /// The sources with most messages, at most three.
    pub sources: Vec<IpAddr>,
    /// How many addresses there are.
    pub addresses: u64,
    /// Messages that show it, in the period; in the eight weeks for aligning a service or publishing a policy, and before
    /// the period for what no longer failed in it.
    pub messages: u64,
    /// Of them, those that fail DMARC.
    pub failing: u64,
    /// Reporters that saw it.
    pub reporters: u64,
    /// The first day after the last good one; `None` if it never was good, as far as known.
    #[serde(serialize_with = "form::day_or_null")]
    pub since: Option<Date>,
    /// How sure it is.
    pub confidence: Confidence,
    /// Its ID, since when it is known, whether it is acknowledged.
    #[serde(flatten)]
    pub tracking: Tracking,
    /// The change in DNS because of which the mail fails.
    pub explained_by: Option<ExplainedBy>,
    /// What happened after a change in DNS that removes the cause.
    pub repair: Option<Repair>,
    /// The service to set up, as far as there is proof whose mail it is.
    pub service: Option<ServiceHelp>,
}

/// How sure an action is. Anything less sure is not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// A before and after, or proof in the results themselves.
    High,
    /// Another explanation is possible.
    Medium,
}

/// A change to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// Publish a stricter policy.
    PublishPolicy {
        /// The name of the TXT record.
        name: Foreign,
        /// The tag to set in it; the others stay as they are.
        tag: &'static str,
        /// Its value in the reports.
        from: Option<Foreign>,
        /// Its new value.
        to: &'static str,
        /// Tags to remove, because they limit the policy to a part of the mail.
        remove: Vec<&'static str>,
    },
    /// Repair the key of a selector, or the signing with it.
    RepairKey {
        /// The signing domain, `d=`.
        dkim_domain: Foreign,
        /// The selector, `s=`.
        selector: Option<Foreign>,
        /// What is wrong with it.
        fault: KeyProblem,
    },
    /// Find what changes the mail after it was signed.
    CheckModification {
        /// The signing domain, `d=`.
        dkim_domain: Foreign,
        /// The selector, `s=`.
        selector: Option<Foreign>,
        /// Reporters say that the body was changed; else the same key verifies from other addresses.
        body: bool,
    },
    /// Let a service sign, or return mail, as the domain.
    AlignSender {
        /// What the service authenticates as.
        organization: Foreign,
        /// It signs with its own domain; else only its return path passes.
        signs: bool,
    },
    /// Let subdomains of the own organization align.
    RelaxAlignment {
        /// The tags of the DMARC record that are to be `r`.
        tags: Vec<&'static str>,
    },
    /// Authorize sources in the SPF record.
    AuthorizeSource {
        /// The domain of the return path.
        spf_domain: Foreign,
        /// What to include, if the addresses belong to a shared service.
        include: Option<&'static str>,
    },
    /// Repair an SPF record that cannot be evaluated.
    RepairSpf {
        /// The domain of the return path.
        spf_domain: Foreign,
    },
    /// Sign mail that passes by SPF alone: forwarding breaks that.
    Sign,
}

/// What is wrong with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyProblem {
    /// It cannot be found or read.
    Missing,
    /// It is not accepted because it is too weak.
    Weak,
    /// Signatures do not match it.
    Mismatch,
}

/// The facts that actions are derived from.
pub(super) struct ActionFacts<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) folded: &'a Folded,
    pub(super) history: &'a History,
    pub(super) horizon: Horizon,
}

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

pub(super) fn order(action: &Action) -> impl Ord + use<> {
    let what = format!("{:?}", action.change);
    (
        Reverse(action.failing),
        Reverse(action.messages),
        action.policy_domain.clone(),
        what,
        action.sources.first().copied(),
    )
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
    Some(Action {
        policy_domain: domain.policy_domain.clone(),
        change: Change::PublishPolicy {
            name: format!("_dmarc.{}", domain.policy_domain.as_written()).into(),
            tag: step.tag,
            from,
            to: step.to,
            remove: part.into_iter().chain(test).filter(|_| step.lifts_limits).collect(),
        },
        cause: if domain.spoofing.messages > 0 { Cause::SpoofSuspect } else { Cause::Unknown },
        sources: Vec::new(),
        addresses: 0,
        messages: readiness.legitimate,
        failing: 0,
        reporters: readiness.reporters,
        since: None,
        confidence: Confidence::High,
        tracking: Tracking::since(enough, String::new()),
        explained_by: None,
        repair: None,
        service: None,
    })
}

impl ActionFacts<'_> {
    /// Signatures of own senders that do not verify, even if SPF passes.
    fn repair_keys(&self) -> Vec<Action> {
        let troubles = self.folded.signing.troubles(self.horizon);
        troubles
            .map(|(domain, key, trouble)| {
                let since = trouble.since().or_else(|| {
                    // It never was good, and the sender is older than the selector: a rotation that went wrong.
                    trouble.days.first_bad(i32::MIN).filter(|day| *day > self.horizon.from)
                });
                self.repair_key((domain, key), trouble, &trouble.broken.now, since)
            })
            .collect()
    }

    /// The action on a key, by some of its failures.
    pub(super) fn repair_key(
        &self,
        (domain, key): (u32, SigningKey),
        trouble: &KeyTrouble,
        broken: &FailureSums,
        since: Option<i32>,
    ) -> Action {
        let (change, sure) = self.broken_key(domain, key, trouble, broken.breakage());
        let tracking = Tracking::since(trouble.days.first_bad(i32::MIN).map(date), String::new());
        Action {
            cause: Cause::OwnSigningBroken,
            since: since.map(date),
            confidence: if sure { Confidence::High } else { Confidence::Medium },
            tracking: tracking.of_break(&trouble.days),
            ..self.by_failures(domain, change, broken)
        }
    }

    fn broken_key(&self, domain: u32, key: SigningKey, trouble: &KeyTrouble, breakage: Breakage) -> (Change, bool) {
        let last_good = trouble.days.last_mostly_good();
        let known = self.history.key(domain, key);
        // Anybody can write the domain and an invented selector into a signature.
        let is_ours = trouble.proven || known.is_some_and(KeyUse::ever_verified);
        let text = |id: u32| Foreign::from(self.view.name(id).clone());
        let (dkim_domain, selector) = (text(key.0), Some(text(key.1)).filter(|text| !text.as_written().is_empty()));
        // If good signatures continue after the break, from other addresses, the key is good.
        let verifies_elsewhere = || {
            let after = last_good.map_or(self.horizon.from, |day| day + 1);
            known.is_some_and(|key| key.days.between(after, self.horizon.to).0.0 >= NO_CHANCE)
        };
        let repair = |fault| Change::RepairKey { dkim_domain: dkim_domain.clone(), selector: selector.clone(), fault };
        let check =
            |body| Change::CheckModification { dkim_domain: dkim_domain.clone(), selector: selector.clone(), body };
        match breakage {
            Breakage::NoKey => (repair(KeyProblem::Missing), is_ours),
            Breakage::Refused => (repair(KeyProblem::Weak), is_ours),
            Breakage::Body => (check(true), is_ours),
            Breakage::Mismatch if verifies_elsewhere() => (check(false), false),
            Breakage::Mismatch => (repair(KeyProblem::Mismatch), false),
        }
    }

    /// Services that send as the domain and authenticate with their own, in the eight weeks.
    fn align_senders(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for (domain, fold) in &self.folded.domains {
            for ((name, role), holder) in &fold.vouchers {
                let Some(voucher) = self.history.voucher(*domain, *name) else { continue };
                let known = matches!(role, Role::Own | Role::Vendor);
                if !known || holder.all.weeks.0 < NO_CHANCE || holder.reporters.len() < ENOUGH_REPORTERS {
                    continue;
                }
                let proven = *role == Role::Own || voucher.aligned.0 >= NO_CHANCE;
                let new = voucher.days.first_bad(i32::MIN).filter(|day| *day > self.horizon.from);
                actions.push(Action {
                    policy_domain: self.view.foreign(*domain),
                    change: Change::AlignSender {
                        organization: self.view.name(*name).clone().into(),
                        signs: voucher.signed.0 > voucher.failing.0 / 2,
                    },
                    cause: Cause::AuthenticatedUnaligned,
                    sources: addresses(&voucher.largest),
                    addresses: voucher.addresses,
                    messages: holder.all.weeks.0,
                    failing: holder.all.weeks.0,
                    reporters: holder.reporters.len() as u64,
                    since: new.map(date),
                    confidence: if proven { Confidence::High } else { Confidence::Medium },
                    tracking: Tracking::since(voucher.days.first_bad(i32::MIN).map(date), String::new()),
                    explained_by: None,
                    repair: None,
                    service: None,
                });
            }
        }
        actions
    }

    /// Sources that SPF authorized before and no longer does: listed even if DKIM hides it.
    fn lost_spf(&self) -> Vec<Action> {
        let mut actions: BTreeMap<(u32, u32, SpfEntry), Action> = BTreeMap::new();
        let broken: BTreeSet<(u32, u32)> =
            self.folded.spf.errors(self.horizon).map(|(domain, path, _)| (domain, path)).collect();
        for (domain, path, entry, lost) in self.folded.spf.lost(self.view, self.horizon) {
            // The evaluation ends in an error before it reaches this source: authorizing it would not help.
            if lost.lost.now.end_in_error() && broken.contains(&(domain, path)) {
                continue;
            }
            let action = self.authorize_again((domain, path, &entry), lost, &lost.lost.now, lost.since());
            actions.insert((domain, path, entry), action);
        }
        actions.into_values().collect()
    }

    /// The action on sources that lost SPF, by some of their failures.
    pub(super) fn authorize_again(
        &self,
        (domain, path, entry): (u32, u32, &SpfEntry),
        loss: &SpfLoss,
        lost: &FailureSums,
        since: Option<i32>,
    ) -> Action {
        let spf_domain = self.view.foreign(path);
        let include = match entry {
            SpfEntry::Service(name) => crate::analyze::known::Services::include_of(name),
            SpfEntry::Network(_) => None,
        };
        let change = if lost.end_in_error() {
            Change::RepairSpf { spf_domain }
        } else {
            Change::AuthorizeSource { spf_domain, include }
        };
        Action {
            cause: if lost.failing.0 > 0 { Cause::SpfGap } else { Cause::PassDkimOnly },
            since: since.map(date),
            tracking: Tracking::since(None, entry.name()).of_break(&loss.days),
            ..self.by_failures(domain, change, lost)
        }
    }

    /// SPF records with which most evaluations end in a permanent error.
    fn repair_spf(&self) -> Vec<Action> {
        let since = |errors: &SpfLoss| errors.days.last_mostly_good().and_then(|day| errors.days.first_bad(day + 1));
        let errors = self.folded.spf.errors(self.horizon);
        errors
            .map(|(domain, path, errors)| self.repair_record((domain, path), errors, &errors.lost.now, since(errors)))
            .collect()
    }

    /// The action on a record that cannot be evaluated, by some of the failures.
    pub(super) fn repair_record(
        &self,
        (domain, path): (u32, u32),
        loss: &SpfLoss,
        errors: &FailureSums,
        since: Option<i32>,
    ) -> Action {
        let tracking = Tracking::since(loss.days.first_bad(i32::MIN).map(date), String::new());
        Action {
            cause: if errors.failing.0 > 0 { Cause::Unauthenticated } else { Cause::PassDkimOnly },
            since: since.map(date),
            confidence: if errors.reporters.len() >= 3 { Confidence::High } else { Confidence::Medium },
            tracking: tracking.of_break(&loss.days),
            ..self.by_failures(domain, Change::RepairSpf { spf_domain: self.view.foreign(path) }, errors)
        }
    }

    /// An action, of high confidence, with the figures of the failures that ask for it.
    fn by_failures(&self, domain: u32, change: Change, failures: &FailureSums) -> Action {
        Action {
            policy_domain: self.view.foreign(domain),
            change,
            cause: Cause::Unknown,
            sources: addresses(&failures.largest),
            addresses: failures.addresses,
            messages: failures.messages.0,
            failing: failures.failing.0,
            reporters: failures.reporters.len() as u64,
            since: None,
            confidence: Confidence::High,
            tracking: Tracking::default(),
            explained_by: None,
            repair: None,
            service: None,
        }
    }

    /// What the user's own senders and their neighbors lack.
    fn of_groups(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut strict: BTreeMap<u32, Strict> = BTreeMap::new();
        for group in self.folded.repairs.sorted(|a, b| compare(self.view, a, b)) {
            let several = group.counts.failing_reporters.len() >= ENOUGH_REPORTERS;
            if group.role == Role::Own && several && !group.repaired {
                strict.entry(group.domain).or_default().add(group);
            }
            actions.extend(self.sign(group));
            actions.extend(self.authorize(group).filter(|_| several));
        }
        actions.extend(strict.into_iter().filter_map(|(domain, strict)| self.relax(domain, strict)));
        actions
    }

    fn relax(&self, domain: u32, strict: Strict) -> Option<Action> {
        let (dkim, spf) = strict.messages;
        if (dkim + spf).0 < NO_CHANCE {
            return None;
        }
        let tags = [(dkim, "adkim"), (spf, "aspf")].into_iter().filter(|(messages, _)| messages.0 > 0);
        Some(Action {
            policy_domain: self.view.foreign(domain),
            change: Change::RelaxAlignment { tags: tags.map(|(_, tag)| tag).collect() },
            cause: Cause::StrictAlignment,
            sources: addresses(&strict.largest),
            addresses: strict.addresses,
            messages: (dkim + spf).0,
            failing: (dkim + spf).0,
            reporters: strict.reporters.len() as u64,
            since: None,
            confidence: Confidence::High,
            tracking: Tracking::since(strict.first.map(date), String::new()),
            explained_by: None,
            repair: None,
            service: None,
        })
    }

    /// An own sender that passes by SPF alone, or could.
    fn sign(&self, group: &SenderGroup) -> Option<Action> {
        let counts = &group.counts;
        let signed = counts.all.weeks - counts.unsigned;
        let unsigned = signed.0.saturating_mul(UNSIGNED_ONE_IN) <= counts.all.weeks.0;
        let by_spf = group.identity == Identity::Itself && counts.spf_pass.0 >= WORTH_A_LINE;
        // The user says that it is theirs, and it uses no return path that SPF could authorize.
        let confirmed = group.confirmed.is_some() && group.identity == Identity::Nobody && counts.unlisted.0 == 0;
        let told = group.role == Role::Own
            && unsigned
            && (by_spf || confirmed)
            && counts.all.period.0 >= NO_CHANCE
            && group.reporters.len() >= ENOUGH_REPORTERS;
        told.then(|| Action {
            policy_domain: self.view.foreign(group.domain),
            change: Change::Sign,
            cause: group.cause(),
            sources: addresses(&group.largest),
            addresses: group.addresses,
            messages: counts.all.period.0,
            failing: counts.failing.period.0,
            reporters: group.reporters.len() as u64,
            since: None,
            confidence: Confidence::High,
            tracking: of_group(self.view, group),
            explained_by: None,
            repair: None,
            service: None,
        })
    }

    /// An unauthenticated source with the domain's own return path: confirmed by the user, or in the network of an own
    /// sender.
    fn authorize(&self, group: &SenderGroup) -> Option<Action> {
        let (counts, path) = (&group.counts, group.counts.unlisted_path?);
        let confirmed = group.role == Role::Own && group.confirmed.is_some();
        let told = counts.unlisted.0 >= NO_CHANCE && (confirmed || group.neighbor && group.role == Role::Unclear);
        told.then(|| Action {
            policy_domain: self.view.foreign(group.domain),
            change: Change::AuthorizeSource { spf_domain: self.view.foreign(path), include: None },
            cause: Cause::SpfGap,
            sources: addresses(&group.largest),
            addresses: group.addresses,
            messages: counts.unlisted.0,
            failing: counts.unlisted.0,
            reporters: group.reporters.len() as u64,
            since: None,
            confidence: if confirmed { Confidence::High } else { Confidence::Medium },
            tracking: of_group(self.view, group),
            explained_by: None,
            repair: None,
            service: None,
        })
    }
}

/// What identifies an action on one sender: its network, and what it authenticates as.
fn of_group(view: &View<'_>, group: &SenderGroup) -> Tracking {
    let name = |id: Option<u32>| id.map_or_else(String::new, |id| view.name(id).to_string());
    let place = [SpfEntry::Network(group.network).name(), name(group.signer), name(group.returns_to)].join(" ");
    Tracking::since(group.span.first().map(date), place.trim_end().to_owned())
}

/// Mail of one domain that strict alignment refuses.
#[derive(Default)]
struct Strict {
    messages: (Messages, Messages),
    reporters: ReporterSet,
    addresses: u64,
    largest: Vec<(Reverse<u64>, SourceAddress)>,
    first: Option<i32>,
}

impl Strict {
    fn add(&mut self, group: &SenderGroup) {
        let (dkim, spf) = group.counts.strict;
        if (dkim + spf).0 > 0 {
            self.messages = (self.messages.0 + dkim, self.messages.1 + spf);
            self.reporters.merge(&group.counts.failing_reporters);
            self.addresses += group.addresses;
            self.first = self.first.into_iter().chain(group.counts.strict_since).min();
            self.largest.extend(&group.largest);
            self.largest.sort_unstable();
            self.largest.truncate(3);
        }
    }
}
