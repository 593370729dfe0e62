//! Runs a simulation: evaluates every row twice and adds up the differences.

use super::addresses::by_address;
use super::keys::KeyFates;
use super::losses::{Losses, LostRow};
use super::proposed_dns::ProposedDns;
use super::request::ResolvedRequest;
use super::rules::{Certainty, ProposedResults, Rules, SpfAnswers};
use super::spf_answers::{self, SpfAnswer};
use super::test_mode::TestModeComparison;
use super::tree_walk::{self, Organizations};
use super::{
    ChangeCounts, ChangedMail, ChangedSender, LossCause, MailCount, Obstacle, PolicyTags, ProposedRecords,
    RecordInForce, RoleCount, SIMULATION_SCHEMA, SimulatedSender, SimulatedWeeks, Simulation, SimulationError,
    SimulationRequest, Tolerance, TreeWalkCheck, UndecidableMail, obstacle,
};
use crate::analyze::{AttributedMail, Foreign, MailResults, MailRow, Role};
use crate::dns::dmarc::Policy;
use crate::dns::lookup::answer::{Answer, DnsQuestion, Family, Lookup, QueryType};
use crate::model::{SourceAddress, Text};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Evaluates the rows of a domain with the current record and with the proposal. `compares_walks` compares the tree
/// walk with the suffix list, which looks up the DMARC record of each name in the mail.
///
/// # Errors
/// If a proposed record is invalid, or a required one cannot be looked up.
pub fn simulate(
    request: &SimulationRequest,
    mail: &AttributedMail,
    lookup: &dyn Lookup,
    (tolerance, compares_walks): (Tolerance, bool),
) -> Result<Simulation, SimulationError> {
    let rows = || mail.rows.iter().filter(|row| request.days.0 <= row.day && row.day <= request.days.1);
    let used: BTreeSet<u32> = rows().map(|row| row.results).collect();
    let results = || used.iter().map(|place| &mail.results[*place as usize]);
    let senders: BTreeSet<&Text> = results().map(|results| &results.header_from).collect();
    let shown = mail.policies.get(request.domain.as_str()).map_or(&[][..], Vec::as_slice);
    let in_force = shown.last().map_or(PolicyTags::default(), |(_, seen)| PolicyTags::from(seen));
    let dns = ProposedDns::new(lookup, request.zone.as_ref(), None);
    let resolved = request.resolve(&dns, in_force, senders.iter().copied())?;
    let dns = match &resolved.spf {
        Some(record) => dns.with_spf(&request.domain, record),
        None => dns,
    };
    let keys = KeyFates::new(request, (&dns, lookup), results());
    let changes_spf = request.replaces_spf() || request.zone.as_ref().is_some_and(super::ZoneFile::may_change_spf);
    let (old_dns, none) = (ProposedDns::new(lookup, None, None), SpfAnswers::default());
    let before = Rules {
        domain: &request.domain,
        tags: in_force,
        records: BTreeMap::new(),
        organizations: Organizations::SuffixList,
        nonexistent: nonexistent(&old_dns, in_force, (&request.domain, &senders)),
        proposed: None,
    };
    let proposed = ProposedResults { keys: &keys, spf: &none, changes_spf, in_force };
    let mut after = Rules {
        tags: resolved.tags,
        records: resolved.records.clone(),
        nonexistent: nonexistent(&dns, resolved.tags, (&request.domain, &senders)),
        proposed: Some(proposed),
        ..before.clone()
    };
    let spf = if changes_spf { spf_anew(request, (&dns, &after), (mail, rows())) } else { none.clone() };
    after.proposed = Some(ProposedResults { spf: &spf, ..proposed });
    let walked = if compares_walks {
        let names = results().flat_map(MailResults::domains).collect();
        tree_walk::walk(&dns, &request.domain, (&senders, &names))
    } else {
        None
    };
    let walking = walked.map(|walked| {
        let mut records = walked.records;
        records.extend(after.records.clone());
        Rules { organizations: walked.organizations, records, ..after.clone() }
    });
    let by_day = shown.iter().map(|(day, seen)| (*day, PolicyTags::from(seen))).collect();
    let mut sums = SimulationSums {
        mail,
        before: &before,
        after: &after,
        walking: walking.as_ref(),
        test_mode: TestModeComparison::new(before.clone(), by_day),
        judged: 0,
        changes: ChangeCounts::default(),
        roles: BTreeMap::new(),
        senders: BTreeMap::new(),
        losses: Losses::default(),
        undecidable: BTreeMap::new(),
        walk: TreeWalkCheck::default(),
        walk_domains: BTreeSet::new(),
    };
    rows().for_each(|row| sums.add(row));
    Ok(sums.finish(request, &resolved, (shown.last().map(|(day, _)| *day), in_force), tolerance))
}

impl MailResults {
    /// The domains that authenticate it.
    fn domains(&self) -> impl Iterator<Item = &Text> {
        let signers = self.signatures.iter().filter(|signature| signature.pass).map(|signature| &signature.domain);
        signers.chain(self.spf_pass.then_some(&self.return_path)).filter(|domain| !domain.is_empty())
    }
}

/// From domains that do not exist in DNS, if a record treats them differently.
fn nonexistent(
    dns: &ProposedDns<'_>,
    tags: PolicyTags,
    (domain, senders): (&str, &BTreeSet<&Text>),
) -> HashMap<Text, Certainty> {
    if !tags.tells_nonexistent() {
        return HashMap::new();
    }
    let senders = || senders.iter().filter(|sender| !sender.is_empty() && sender.as_str() != domain);
    let types = [QueryType::Mx, QueryType::A, QueryType::Aaaa];
    let questions: Vec<DnsQuestion> =
        senders().flat_map(|sender| types.map(|kind| DnsQuestion::new(sender, kind))).collect();
    dns.announce(&questions);
    let exists = |sender: &str| {
        let answers = [
            dns.mx(sender).and_then(|_| Some(())),
            dns.addresses(sender, Family::V4).and_then(|_| Some(())),
            dns.addresses(sender, Family::V6).and_then(|_| Some(())),
        ];
        if answers.iter().any(|answer| matches!(answer, Answer::Found(()))) {
            return Certainty::No;
        }
        let failed = answers.iter().find_map(|answer| answer.failure());
        failed.map_or(Certainty::Yes, |failure| {
            Certainty::Unknown(Obstacle::LookupFailed(format!("{sender}: {failure}")))
        })
    };
    senders().map(|sender| ((*sender).clone(), exists(sender))).collect()
}

/// Evaluates SPF again for all addresses whose mail depends on it.
fn spf_anew<'m>(
    request: &SimulationRequest,
    (dns, rules): (&ProposedDns<'_>, &Rules<'_>),
    (mail, rows): (&'m AttributedMail, impl Iterator<Item = &'m MailRow>),
) -> SpfAnswers {
    let concerned = |path: &Text| {
        *path == request.domain
            || request.zone.as_ref().is_some_and(super::ZoneFile::may_change_spf) && !path.is_empty()
    };
    let hangs: Vec<bool> =
        mail.results.iter().map(|results| concerned(&results.return_path) && rules.hangs_on_spf(results)).collect();
    let asked: BTreeSet<(&Text, SourceAddress)> = rows
        .filter(|row| hangs[row.results as usize])
        .map(|row| (&mail.results[row.results as usize].return_path, row.source))
        .collect();
    let addresses = asked.iter().filter_map(|(path, source)| Some((path.to_string(), source.address()?))).collect();
    spf_answers::prefetch(dns, &addresses);
    let answer = |path: &Text, source: SourceAddress| match source.address() {
        Some(address) => spf_answers::evaluate(dns, path, address),
        // The source is missing from the report.
        None => SpfAnswer::Unknown(Obstacle::Unsaid),
    };
    asked.into_iter().map(|(path, source)| ((path.clone(), source), answer(path, source))).collect()
}

/// The sums over the rows.
struct SimulationSums<'a> {
    mail: &'a AttributedMail,
    before: &'a Rules<'a>,
    after: &'a Rules<'a>,
    walking: Option<&'a Rules<'a>>,
    test_mode: TestModeComparison<'a>,
    judged: u64,
    changes: ChangeCounts,
    roles: BTreeMap<Role, ChangeCounts>,
    senders: BTreeMap<u32, BTreeMap<SourceAddress, ChangeCounts>>,
    losses: Losses<'a>,
    undecidable: BTreeMap<Obstacle, u64>,
    walk: TreeWalkCheck,
    walk_domains: BTreeSet<&'a Text>,
}

/// Whether mail passes, and its fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Judgment {
    passes: bool,
    fate: Policy,
}

/// Evaluates mail by a set of rules.
fn judge(rules: &Rules<'_>, row: &MailRow, results: &MailResults) -> Result<Judgment, Obstacle> {
    match rules.passes(&rules.dkim(results), results, row.source) {
        Certainty::Yes => Ok(Judgment { passes: true, fate: Policy::None }),
        Certainty::No => Ok(Judgment { passes: false, fate: rules.fate_of_failing(results)? }),
        Certainty::Unknown(obstacle) => Err(obstacle),
    }
}

/// Changed messages, by kind of change.
fn changed(messages: u64, before: Judgment, after: Judgment) -> ChangeCounts {
    let of = |holds: bool| if holds { messages } else { 0 };
    ChangeCounts {
        messages,
        newly_failing: of(before.passes && !after.passes),
        newly_passing: of(!before.passes && after.passes),
        stricter: of(after.fate > before.fate),
        milder: of(after.fate < before.fate),
    }
}

fn add(sum: &mut u64, messages: u64) {
    *sum = sum.saturating_add(messages);
}

impl<'a> SimulationSums<'a> {
    fn add(&mut self, row: &'a MailRow) {
        let results = &self.mail.results[row.results as usize];
        add(&mut self.judged, row.messages);
        self.test_mode.add(row, results);
        let judged = judge(self.before, row, results).and_then(|before| {
            let after = judge(self.after, row, results)?;
            Ok((before, after))
        });
        let (before, after) = match judged {
            Ok(both) => both,
            Err(obstacle) => return add(self.undecidable.entry(obstacle).or_default(), row.messages),
        };
        self.compare_walks(row, results, after);
        if before == after {
            return;
        }
        let role = self.mail.senders[row.sender as usize].role;
        let changed = changed(row.messages, before, after);
        self.changes.merge(changed);
        self.roles.entry(role).or_default().merge(changed);
        if role != Role::Suspect {
            self.senders.entry(row.sender).or_default().entry(row.source).or_default().merge(changed);
        }
        if after.fate > before.fate && self.is_loss(row, results, before) {
            let cause = self.cause(row, results, before);
            self.losses.add(LostRow { row, results, cause, fates: (before.fate, after.fate) });
        }
    }

    /// Whether a stricter fate of this mail is a loss.
    fn is_loss(&self, row: &MailRow, results: &MailResults, before: Judgment) -> bool {
        let sender = &self.mail.senders[row.sender as usize];
        let may_be_own = matches!(sender.role, Role::Own | Role::Vendor | Role::Unclear);
        // Failures that are over, or not the sender's fault, are not losses caused by the proposal.
        let excused = !before.passes && (sender.repaired || results.transient || row.passed_on);
        may_be_own && row.counts && !excused
    }

    fn cause(&self, row: &MailRow, results: &MailResults, before: Judgment) -> LossCause {
        let dkim = self.before.dkim(results) == Certainty::Yes;
        let spf = self.before.spf(results, row.source) == Certainty::Yes;
        match (before.passes, dkim, spf) {
            (true, true, true) => LossCause::DkimAndSpf,
            (true, true, false) => LossCause::Dkim,
            (true, false, _) => LossCause::Spf,
            (false, ..) => LossCause::Policy,
        }
    }

    fn compare_walks(&mut self, row: &MailRow, results: &'a MailResults, after: Judgment) {
        let Some(Ok(walked)) = self.walking.map(|rules| judge(rules, row, results)) else { return };
        if walked != after {
            add(&mut self.walk.messages, row.messages);
            if walked.fate > after.fate {
                add(&mut self.walk.stricter, row.messages);
            }
            self.walk_domains.insert(&results.header_from);
        }
    }

    fn finish(
        mut self,
        request: &SimulationRequest,
        resolved: &ResolvedRequest,
        (day, in_force): (Option<jiff::civil::Date>, PolicyTags),
        tolerance: Tolerance,
    ) -> Simulation {
        let roles = self.roles.into_iter().map(|(role, changes)| RoleCount { role, changes }).collect();
        self.walk.header_from = self.walk_domains.into_iter().take(NAMED).cloned().map(Foreign::from).collect();
        let (senders, more_senders) = changed_senders(self.mail, self.senders);
        let reasons = obstacle::reasons(self.undecidable);
        let messages = reasons.iter().map(|reason| reason.messages).fold(0, u64::saturating_add);
        Simulation {
            schema: SIMULATION_SCHEMA,
            policy_domain: request.domain.as_str().into(),
            window: SimulatedWeeks { from: request.days.0, to: request.days.1, weeks: request.weeks },
            in_force: RecordInForce { day, dmarc: in_force.to_string() },
            proposed: ProposedRecords {
                dmarc: resolved.tags.to_string(),
                spf: resolved.spf.as_deref().map(Foreign::from),
                removed_selectors: request.removed_selectors.iter().map(|name| name.as_str().into()).collect(),
                zone_file: request.zone.is_some(),
            },
            judged: MailCount { messages: self.judged },
            changes: ChangedMail { all: self.changes, roles, senders, more_senders },
            lost: self.losses.finish(self.mail),
            undecidable: UndecidableMail { messages, reasons },
            test_mode: self.test_mode.finish(),
            tree_walk: self.walking.map(|_| self.walk),
            tolerated: MailCount { messages: tolerance.allowed(self.judged) },
        }
    }
}

/// Maximum number of senders with changed mail.
const SENDERS: usize = 100;

/// Senders with changed mail, most messages first, and the number of others.
fn changed_senders(
    mail: &AttributedMail,
    senders: BTreeMap<u32, BTreeMap<SourceAddress, ChangeCounts>>,
) -> (Vec<ChangedSender>, u64) {
    let mut told: Vec<ChangedSender> = Vec::new();
    for (place, at) in senders {
        let sender = &mail.senders[place as usize];
        let at = by_address(at, ChangeCounts::merge);
        told.extend(at.into_iter().map(|(address, addresses, changes)| ChangedSender {
            sender: SimulatedSender::at(sender, address, addresses),
            changes,
        }));
    }
    told.sort_by(|a, b| {
        (Reverse(a.changes.messages), &a.sender.address).cmp(&(Reverse(b.changes.messages), &b.sender.address))
    });
    let more = told.len().saturating_sub(SENDERS) as u64;
    told.truncate(SENDERS);
    (told, more)
}

/// Maximum number of From domains listed if the methods differ.
const NAMED: usize = 20;
