//! One way to judge mail: by a DMARC record, the keys and SPF results that go with it, and one notion of what an
//! organization is.

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

/// Whether something holds, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Certainty {
    Yes,
    No,
    Unknown(Obstacle),
}

/// What SPF says anew, by domain and address; what is not in it stands as reported.
pub(super) type SpfAnswers = HashMap<(Text, SourceAddress), SpfAnswer>;

/// The records that mail is judged by.
#[derive(Debug, Clone)]
pub(super) struct Rules<'a> {
    pub(super) domain: &'a str,
    pub(super) tags: PolicyTags,
    /// Records of From domains below it that have one of their own.
    pub(super) records: BTreeMap<Text, PolicyTags>,
    pub(super) organizations: Organizations,
    /// From domains that do not exist, or of which it is not known; asked for where `np` differs.
    pub(super) nonexistent: HashMap<Text, Certainty>,
    /// What is proposed beside the record; `None`: these are the rules in force.
    pub(super) proposed: Option<ProposedResults<'a>>,
}

/// What a proposal changes beside the DMARC record.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProposedResults<'a> {
    pub(super) keys: &'a KeyFates,
    pub(super) spf: &'a SpfAnswers,
    /// Some SPF record is another.
    pub(super) changes_spf: bool,
    /// The DMARC record in force.
    pub(super) in_force: PolicyTags,
}

impl Rules<'_> {
    /// The record that holds for some mail.
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
            // The reporter lets it pass and does not tell by which signature.
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
                // The reporter lets it pass and does not tell for which return path.
                let stricter = |proposed: &ProposedResults<'_>| strict && !proposed.in_force.aspf_strict;
                let changes = self.proposed.is_some_and(|proposed| stricter(&proposed) || proposed.changes_spf);
                if changes { Certainty::Unknown(Obstacle::Unsaid) } else { Certainty::Yes }
            }
            None | Some(SpfAnswer::AsReported) if results.spf_pass && aligned => Certainty::Yes,
            None | Some(SpfAnswer::AsReported) => Certainty::No,
        }
    }

    /// Whether mail passes: by DKIM, as already found out, or by SPF.
    pub(super) fn passes(&self, dkim: &Certainty, results: &MailResults, source: SourceAddress) -> Certainty {
        if *dkim == Certainty::Yes {
            return Certainty::Yes;
        }
        match (self.spf(results, source), dkim) {
            (Certainty::No, dkim) => dkim.clone(),
            (spf, _) => spf,
        }
    }

    /// Whether SPF alone could let mail pass, and must be asked anew where its records change.
    pub(super) fn hangs_on_spf(&self, results: &MailResults) -> bool {
        self.aligned(&results.return_path, &results.header_from, self.tags_of(results).aspf_strict)
            && self.dkim(results) != Certainty::Yes
    }

    /// What the record asks for mail that fails.
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

/// Whether two domains are of one organization by the suffix list, which reporters go by.
fn is_organization_of(domain: &str, from: &str) -> bool {
    !domain.is_empty() && !from.is_empty() && organizational(domain) == organizational(from)
}
