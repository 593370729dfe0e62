//! One way to evaluate mail: a DMARC record, its keys and SPF results, and a definition of organizations.

use super::{
    Obstacle, PolicyTags,
    keys::{KeyFate, KeyFates},
    spf_answers::SpfAnswer,
    tree_walk::Organizations,
};
use crate::analyze::MailResults;
use crate::dns::dmarc::{Policy, Reach};
use crate::judge::organizational;
use crate::model::{SourceAddress, Text};
use std::collections::{BTreeMap, HashMap};

/// Whether something is true, false or unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Certainty {
    Yes,
    No,
    Unknown(Obstacle),
}

/// New SPF results by domain and address; others are as reported.
pub(super) type SpfAnswers = HashMap<(Text, SourceAddress), SpfAnswer>;

/// The records used to evaluate mail.
#[derive(Debug, Clone)]
pub(super) struct Rules<'a> {
    pub(super) domain: &'a str,
    pub(super) tags: PolicyTags,
    /// Separate records of From domains below it.
    pub(super) records: BTreeMap<Text, PolicyTags>,
    pub(super) organizations: Organizations,
    /// From domains that do not exist, or may not; looked up if `np` differs.
    pub(super) nonexistent: HashMap<Text, Certainty>,
    /// Other proposed changes; `None`: these are the current rules.
    pub(super) proposed: Option<ProposedResults<'a>>,
}

/// What a proposal changes besides the DMARC record.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProposedResults<'a> {
    pub(super) keys: &'a KeyFates,
    pub(super) spf: &'a SpfAnswers,
    /// Whether an SPF record changes.
    pub(super) changes_spf: bool,
    /// The current DMARC record.
    pub(super) in_force: PolicyTags,
}

impl Rules<'_> {
    /// The record that applies to the mail.
    pub(super) fn tags_of(&self, results: &MailResults) -> PolicyTags {
        self.records.get(&results.header_from).copied().unwrap_or(self.tags)
    }

    /// Whether mail passes by DKIM.
    pub(super) fn dkim(&self, results: &MailResults) -> Certainty {
        let (strict, from) = (self.tags_of(results).adkim_strict, &results.header_from);
        let passing = || results.signatures.iter().filter(|signature| signature.pass);
        let evidence = passing().any(|signature| is_organization_of(&signature.domain, from));
        if results.refused && !results.dkim_aligned && evidence {
            return Certainty::No;
        }
        if results.dkim_aligned && !evidence {
            // The reporter says it passes but not by which signature.
            let stricter = |proposed: &ProposedResults<'_>| strict && !proposed.in_force.adkim_strict;
            let changes = self.proposed.is_some_and(|proposed| stricter(&proposed) || !proposed.keys.are_all_kept());
            return if changes { Certainty::Unknown(Obstacle::Unsaid) } else { Certainty::Yes };
        }
        let mut unknown = None;
        for signature in passing().filter(|signature| self.aligned(&signature.domain, from, strict)) {
            let fate = self.proposed.map(|proposed| proposed.keys.get(&signature.domain, &signature.selector));
            match fate {
                None | Some(KeyFate::Kept) => return Certainty::Yes,
                Some(KeyFate::Gone) => {}
                Some(KeyFate::Unknown(obstacle)) => unknown = unknown.or(Some(obstacle)),
            }
        }
        unknown.cloned().map_or(Certainty::No, Certainty::Unknown)
    }

    /// Whether mail from an address passes by SPF.
    pub(super) fn spf(&self, results: &MailResults, source: SourceAddress) -> Certainty {
        let (strict, from, path) = (self.tags_of(results).aspf_strict, &results.header_from, &results.return_path);
        let evidence = results.spf_pass && is_organization_of(path, from);
        if results.refused && !results.spf_aligned && evidence {
            return Certainty::No;
        }
        let aligned = self.aligned(path, from, strict);
        let anew = self.proposed.and_then(|proposed| proposed.spf.get(&(path.clone(), source)));
        match anew {
            Some(SpfAnswer::Pass) if aligned => Certainty::Yes,
            Some(SpfAnswer::Unknown(obstacle)) if aligned => Certainty::Unknown(obstacle.clone()),
            Some(SpfAnswer::Pass | SpfAnswer::NoPass | SpfAnswer::Unknown(_)) => Certainty::No,
            None | Some(SpfAnswer::AsReported) if results.spf_aligned && !evidence => {
                // The reporter says it passes but not for which return path.
                let stricter = |proposed: &ProposedResults<'_>| strict && !proposed.in_force.aspf_strict;
                let changes = self.proposed.is_some_and(|proposed| stricter(&proposed) || proposed.changes_spf);
                if changes { Certainty::Unknown(Obstacle::Unsaid) } else { Certainty::Yes }
            }
            None | Some(SpfAnswer::AsReported) if results.spf_pass && aligned => Certainty::Yes,
            None | Some(SpfAnswer::AsReported) => Certainty::No,
        }
    }

    /// Whether mail passes: by DKIM, as already determined, or by SPF.
    pub(super) fn passes(&self, dkim: &Certainty, results: &MailResults, source: SourceAddress) -> Certainty {
        if *dkim == Certainty::Yes {
            return Certainty::Yes;
        }
        match (self.spf(results, source), dkim) {
            (Certainty::No, dkim) => dkim.clone(),
            (spf, _) => spf,
        }
    }

    /// Whether only SPF could make mail pass, so that it must be evaluated again if its records change.
    pub(super) fn hangs_on_spf(&self, results: &MailResults) -> bool {
        self.aligned(&results.return_path, &results.header_from, self.tags_of(results).aspf_strict)
            && self.dkim(results) != Certainty::Yes
    }

    /// The fate of failing mail.
    pub(super) fn fate_of_failing(&self, results: &MailResults) -> Result<Policy, Obstacle> {
        let tags = self.tags_of(results);
        let from = &results.header_from;
        let own_record = self.records.contains_key(from);
        let reach = if own_record || from.is_empty() || *from == self.domain {
            Reach::Domain
        } else {
            match self.nonexistent.get(from) {
                Some(Certainty::Yes) => Reach::Nonexistent,
                Some(Certainty::Unknown(obstacle)) if tags.tells_nonexistent() => return Err(obstacle.clone()),
                _ => Reach::Subdomain,
            }
        };
        Ok(tags.fate(reach, results.sampled_out))
    }

    fn aligned(&self, domain: &Text, from: &Text, strict: bool) -> bool {
        !domain.is_empty()
            && !from.is_empty()
            && if strict { domain == from } else { self.organizations.are_one(domain, from) }
    }
}

/// Whether two domains belong to the same organization by the suffix list, which reporters use.
fn is_organization_of(domain: &str, from: &str) -> bool {
    !domain.is_empty() && !from.is_empty() && organizational(domain) == organizational(from)
}
