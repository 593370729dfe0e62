//! The mail of a period according to the reports, each row with its sender: the input of a simulation. It does not know
//! what is proposed.

use crate::analyze::figures::policies;
use crate::analyze::foreign::Foreign;
use crate::analyze::period::date;
use crate::analyze::senders::Role;
use crate::analyze::senders::auth_pattern::reported_signatures;
use crate::analyze::senders::classify::NetworkContext;
use crate::analyze::senders::group::{NetworkKey, SenderGroup, SenderRows, by_sender};
use crate::analyze::senders::history::{History, Horizon};
use crate::analyze::senders::view::{SourceFact, View, by_network, by_source};
use crate::analyze::senders::weights::Weights;
use crate::analyze::sums::adder::{Adder, CollectedSums};
use crate::analyze::sums::heads::PolicySeen;
use crate::analyze::sums::interner::{IdMap, NONE, OTHER};
use crate::model::{Cause, Mismatch, SourceAddress, Text};
use jiff::civil::Date;
use std::collections::BTreeMap;

/// All rows of the period, and what they have in common.
#[derive(Debug, Clone, Default)]
pub struct AttributedMail {
    /// What reports say about the mail; rows refer to it by index.
    pub results: Vec<MailResults>,
    /// Who sent it; rows refer to it by index.
    pub senders: Vec<MailSender>,
    /// The rows, added up by source, day, reporter and result.
    pub rows: Vec<MailRow>,
    /// By policy domain: the policy in the reports of each day.
    pub policies: BTreeMap<Text, Vec<(Date, PolicySeen)>>,
    /// Names of reporters; rows refer to them by index.
    pub reporters: Vec<Foreign>,
}

/// What a report says about some mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailResults {
    /// Where the DMARC record was found.
    pub policy_domain: Text,
    /// The domain of From; empty if the report does not say.
    pub header_from: Text,
    /// All signatures in the report.
    pub signatures: Vec<ReportedSignature>,
    /// The domain of the return path; empty if the report does not say.
    pub return_path: Text,
    /// SPF passes for it.
    pub spf_pass: bool,
    /// The reporter says that DKIM passes and aligns.
    pub dkim_aligned: bool,
    /// The reporter says that SPF passes and aligns.
    pub spf_aligned: bool,
    /// The reporter says that the mail fails although its own results align by the policy it saw.
    pub refused: bool,
    /// A result of the domain itself was a temporary error, and the mail fails.
    pub transient: bool,
    /// What the receiver did.
    pub disposition: Text,
    /// The receiver says that `pct` exempted the mail.
    pub sampled_out: bool,
    /// The receiver says that test mode (`t=y`) exempted the mail.
    pub test_mode: bool,
}

/// A DKIM signature in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedSignature {
    /// `d=`.
    pub domain: Text,
    /// `s=`; empty if the report omits it.
    pub selector: Text,
    /// It verifies.
    pub pass: bool,
}

/// One sender of one domain: the addresses of one network with the same identity and role.
#[derive(Debug, Clone, PartialEq)]
pub struct MailSender {
    /// What it is for the domain.
    pub role: Role,
    /// It failed before and no longer does.
    pub repaired: bool,
    /// The domain that signs most of its mail.
    pub signs_as: Option<Foreign>,
    /// The organization of the return path that SPF proves for most of its mail.
    pub returns_to: Option<Foreign>,
    /// The mail service, if a known one is proven.
    pub service: Option<Foreign>,
}

/// Messages of one source, day and reporter with the same results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailRow {
    /// The address.
    pub source: SourceAddress,
    /// The day.
    pub day: Date,
    /// The index of the reporter; `None` if it has no name.
    pub reporter: Option<u32>,
    /// Messages; those of a report that arrived several times count once.
    pub messages: u64,
    /// Whether verdicts count them: not if only one reporter sees them, nor if the report is forged.
    pub counts: bool,
    /// The receiver says that mail of an own sender was forwarded.
    pub passed_on: bool,
    /// The index of what the report says about them.
    pub results: u32,
    /// The index of who sent them.
    pub sender: u32,
}

impl Adder {
    /// The mail itself, each row with its sender, instead of a summary.
    pub fn attribute(self) -> AttributedMail {
        AttributedMail::new(&self.into_added())
    }
}

impl AttributedMail {
    /// From everything that was added.
    pub(crate) fn new(added: &CollectedSums) -> Self {
        let view = View::new(added);
        let (weights, horizon) = (Weights::new(added), Horizon::new(&view));
        let history = History::new(&view, &weights, horizon);
        let patterns = 0..u32::try_from(added.common.patterns.items().len()).unwrap_or(u32::MAX);
        let reporters = &added.common.reporters;
        let mut mail = Self {
            results: patterns.map(|pattern| results(&view, pattern)).collect(),
            reporters: reporters.items().iter().cloned().map(Foreign::from).collect(),
            ..Self::default()
        };
        for part in &added.facts {
            let items = view.items(&weights, part);
            for items in by_network(&items) {
                mail.network(&view, (&history, &weights), items, horizon);
            }
        }
        for domain in mail.results.iter().map(|results| &results.policy_domain) {
            if let Some(id) = added.common.texts.find(domain).filter(|_| !mail.policies.contains_key(domain)) {
                mail.policies.insert(domain.clone(), policies::by_day(&view, id));
            }
        }
        mail
    }

    /// Adds the rows of one domain and network.
    fn network(
        &mut self,
        view: &View<'_>,
        (history, weights): (&History, &Weights),
        items: &[SourceFact<'_>],
        horizon: Horizon,
    ) {
        let context = NetworkContext::new(view, history, items);
        let (first_row, first_sender) = (self.rows.len(), self.senders.len());
        let mut groups: Vec<SenderGroup> = Vec::new();
        let mut known: IdMap<NetworkKey, usize> = IdMap::default();
        for items in by_source(items) {
            let judged = context.judge(items);
            let (of_source, places) = by_sender(items, &judged, |_| true, horizon);
            let settle = |(mut group, items): SenderRows<'_>| {
                group.settle(view, history, &items, horizon);
                let new = groups.len();
                let place = group.network_key().map_or(new, |key| *known.entry(key).or_insert(new));
                match groups.get_mut(place) {
                    Some(known) => known.merge(group, horizon),
                    None => groups.push(group),
                }
                place
            };
            let settled: Vec<usize> = of_source.into_iter().map(settle).collect();
            for ((item, judged), place) in items.iter().zip(&judged).zip(places) {
                self.rows.push(MailRow {
                    source: item.source,
                    day: date(item.fact.day),
                    reporter: (item.fact.reporter != NONE).then_some(item.fact.reporter),
                    messages: weights.once(&item.pattern.pattern, item.fact).0,
                    counts: item.judged.0 > 0,
                    passed_on: judged.role == Role::Own && judged.cause == Cause::ForwardedDeclared,
                    results: item.fact.pattern,
                    sender: u32::try_from(first_sender + settled[place]).unwrap_or(u32::MAX),
                });
            }
        }
        debug_assert_eq!(self.rows.len() - first_row, items.len());
        self.senders.extend(groups.iter().map(|group| sender(view, group)));
    }
}

fn sender(view: &View<'_>, group: &SenderGroup) -> MailSender {
    let name = |id: Option<u32>| id.map(|id| view.name(id));
    let (signer, returns_to) = (name(group.signer), name(group.returns_to));
    let largest = group.largest.first().and_then(|(_, source)| source.address());
    let host = largest.and_then(|address| view.host(address));
    MailSender {
        role: group.role,
        repaired: group.repaired,
        service: view.service(group.signer, group.returns_to, host),
        signs_as: signer.cloned().map(Foreign::from),
        returns_to: returns_to.cloned().map(Foreign::from),
    }
}

/// What a pattern says, in words.
fn results(view: &View<'_>, id: u32) -> MailResults {
    let understood = view.pattern(id);
    let pattern = &understood.pattern;
    // A word beyond the bounds is unknown.
    let word = |id: u32| Some(view.word(id)).filter(|word| *word != OTHER).unwrap_or("");
    let signatures = reported_signatures(view.added, pattern).map(|(domain, selector, result)| {
        let known = |word: &str| if word == OTHER { Text::default() } else { word.into() };
        ReportedSignature { domain: known(domain), selector: known(selector), pass: result == "pass" }
    });
    let reason = word(pattern.reason);
    MailResults {
        policy_domain: word(pattern.domain).into(),
        header_from: word(pattern.header_from).into(),
        signatures: signatures.collect(),
        return_path: word(pattern.return_path).into(),
        spf_pass: word(pattern.spf_result) == "pass",
        dkim_aligned: pattern.flags.has(crate::model::Flags::DKIM),
        spf_aligned: pattern.flags.has(crate::model::Flags::SPF),
        refused: word(pattern.mismatch) == Mismatch::FailButAligned.as_str(),
        transient: understood.transient,
        disposition: word(pattern.disposition).into(),
        sampled_out: reason.split(' ').any(|word| word == "sampled_out"),
        test_mode: reason.split(' ').any(|word| word == "policy_test_mode"),
    }
}
