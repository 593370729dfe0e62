//! What a DMARC record requests from receivers: the tags that decide a message's fate, from reports or proposed.

use super::SimulationError;
use crate::analyze::{Foreign, PolicySeen};
use crate::dns::dmarc::{DmarcRecord, Policy, Reach, SyntaxMistake};
use std::fmt;

/// The tags of a record that decide the fate of messages.
/// The default is what applies without a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PolicyTags {
    /// For the domain.
    pub p: Policy,
    /// For subdomains; `None`: as `p`.
    pub sp: Option<Policy>,
    /// For subdomains that do not exist; `None`: as `sp`.
    pub np: Option<Policy>,
    /// `adkim=s`.
    pub adkim_strict: bool,
    /// `aspf=s`.
    pub aspf_strict: bool,
    /// RFC 7489's share of failing mail, below 100.
    pub pct: Option<u8>,
    /// `t=y`.
    pub testing: bool,
}

/// Tags to replace; `None` leaves the tag as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TagChanges {
    /// `p`.
    pub p: Option<Policy>,
    /// `sp`.
    pub sp: Option<Policy>,
    /// `np`.
    pub np: Option<Policy>,
    /// Whether `adkim` is strict.
    pub adkim_strict: Option<bool>,
    /// Whether `aspf` is strict.
    pub aspf_strict: Option<bool>,
}

impl From<&PolicySeen> for PolicyTags {
    /// Invalid values count as absent.
    fn from(seen: &PolicySeen) -> Self {
        let policy = |tag: &Option<Foreign>| {
            let word = tag.as_ref()?.as_written();
            [Policy::None, Policy::Quarantine, Policy::Reject].into_iter().find(|policy| policy.as_str() == word)
        };
        let begins =
            |tag: &Option<Foreign>, with| tag.as_ref().is_some_and(|tag| tag.as_written().starts_with::<char>(with));
        Self {
            p: policy(&seen.p).unwrap_or_default(),
            sp: policy(&seen.sp),
            np: policy(&seen.np),
            adkim_strict: begins(&seen.adkim, 's'),
            aspf_strict: begins(&seen.aspf, 's'),
            pct: seen.pct.and_then(|pct| u8::try_from(pct).ok()).filter(|pct| *pct < 100),
            testing: begins(&seen.testing, 'y'),
        }
    }
}

impl PolicyTags {
    /// The tags of a record proposed at a name.
    ///
    /// # Errors
    /// [`SimulationError::Record`] if the record is invalid.
    pub(super) fn of_record(record: &DmarcRecord, place: &str) -> Result<Self, SimulationError> {
        if !is_usable(record) {
            let why = format!(
                "receivers cannot read `{}`; `dmarquet check` says what is wrong with a published one",
                record.text
            );
            return Err(SimulationError::Record { place: place.to_owned(), why });
        }
        Ok(Self {
            p: record.policy_for(Reach::Domain),
            sp: record.sp,
            np: record.np,
            adkim_strict: record.adkim_strict,
            aspf_strict: record.aspf_strict,
            pct: record.pct.filter(|pct| *pct < 100),
            testing: record.testing,
        })
    }

    /// The tags of a parent domain's record as they apply to this domain.
    pub(super) fn inherited(self) -> Self {
        let below = self.sp.unwrap_or(self.p);
        Self { p: below, sp: Some(below), ..self }
    }

    /// Replaces tags. A new `p` applies to all mail, and `sp` changes too if it is equal to `p`.
    pub(super) fn with(mut self, changes: TagChanges) -> Self {
        if let Some(p) = changes.p {
            if changes.sp.is_none() && self.sp == Some(self.p) {
                self.sp = Some(p);
                // Reporters fill in missing tags.
                self.np = self.np.map(|np| if np == self.p { p } else { np });
            }
            (self.p, self.pct, self.testing) = (p, None, false);
        }
        Self {
            sp: changes.sp.or(self.sp),
            np: changes.np.or(self.np),
            adkim_strict: changes.adkim_strict.unwrap_or(self.adkim_strict),
            aspf_strict: changes.aspf_strict.unwrap_or(self.aspf_strict),
            ..self
        }
    }

    /// The fate of failing mail.
    pub(super) fn fate(self, of: Reach, sampled_out: bool) -> Policy {
        let sp = self.sp.unwrap_or(self.p);
        let policy = match of {
            Reach::Domain => self.p,
            Reach::Subdomain => sp,
            Reach::Nonexistent => self.np.unwrap_or(sp),
        };
        if self.testing || self.pct.is_some() && sampled_out { policy.milder() } else { policy }
    }

    /// Whether the policy for nonexistent subdomains differs from that for existing ones.
    pub(super) fn tells_nonexistent(self) -> bool {
        self.np.is_some_and(|np| np != self.sp.unwrap_or(self.p))
    }
}

/// Whether it requests a policy and only has faults that receivers ignore.
fn is_usable(record: &DmarcRecord) -> bool {
    use SyntaxMistake::{Empty, Removed, Target, Typo, Unknown};
    let ignored = |slip: &SyntaxMistake| matches!(slip, Unknown(_) | Typo(..) | Removed(..) | Target(..) | Empty(_));
    record.has_policy() && record.slips.iter().all(ignored)
}

/// The tags that differ from the defaults, as in a record: `p=quarantine; sp=none; aspf=s`.
impl fmt::Display for PolicyTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p={}", self.p.as_str())?;
        let sp = self.sp.unwrap_or(self.p);
        if sp != self.p {
            write!(f, "; sp={}", sp.as_str())?;
        }
        if let Some(np) = self.np.filter(|np| *np != sp) {
            write!(f, "; np={}", np.as_str())?;
        }
        for (name, strict) in [("adkim", self.adkim_strict), ("aspf", self.aspf_strict)] {
            if strict {
                write!(f, "; {name}=s")?;
            }
        }
        if let Some(pct) = self.pct {
            write!(f, "; pct={pct}")?;
        }
        if self.testing { f.write_str("; t=y") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(text: &str) -> PolicyTags {
        PolicyTags::of_record(&DmarcRecord::parse(&format!("v=DMARC1; {text}")), "_dmarc.example.com").unwrap()
    }

    #[test]
    fn a_policy_is_for_all_mail_and_takes_along_what_follows_it() {
        let change = |p, sp| TagChanges { p, sp, ..TagChanges::default() };
        for (now, changes, then) in [
            ("p=none", change(Some(Policy::Reject), None), "p=reject"),
            ("p=none; sp=none; pct=20", change(Some(Policy::Quarantine), None), "p=quarantine"),
            ("p=quarantine; sp=none; t=y", change(Some(Policy::Reject), None), "p=reject; sp=none"),
            ("p=none; sp=none", change(Some(Policy::Reject), Some(Policy::None)), "p=reject; sp=none"),
            ("p=none; sp=none; np=none", change(Some(Policy::Reject), None), "p=reject"),
            ("p=reject; pct=20; t=y", change(None, Some(Policy::None)), "p=reject; sp=none; pct=20; t=y"),
            (
                "p=none; adkim=s",
                TagChanges { aspf_strict: Some(true), ..TagChanges::default() },
                "p=none; adkim=s; aspf=s",
            ),
        ] {
            assert_eq!(tags(now).with(changes).to_string(), then, "{now}");
        }
    }

    #[test]
    fn a_fate_is_one_step_milder_in_test_mode_and_outside_the_sample() {
        let fate = |text: &str, of, sampled| tags(text).fate(of, sampled);
        assert_eq!(fate("p=reject", Reach::Domain, true), Policy::Reject, "pct is 100: nothing is sampled");
        assert_eq!(fate("p=reject; pct=10", Reach::Domain, true), Policy::Quarantine);
        assert_eq!(fate("p=reject; pct=10", Reach::Domain, false), Policy::Reject);
        assert_eq!(fate("p=reject; t=y; pct=10", Reach::Domain, true), Policy::Quarantine, "one step, not two");
        assert_eq!(fate("p=quarantine; t=y; sp=reject", Reach::Subdomain, false), Policy::Quarantine);
        assert_eq!(fate("p=none; np=reject", Reach::Nonexistent, false), Policy::Reject);
    }

    #[test]
    fn what_receivers_cannot_read_is_no_proposal() {
        for text in
            ["v=DMARC1; p=block", "v=DMARC1; sp=none", "v=DMARC1; p=none; adkim=strict", "v=DMARC1; p=none; sp=x"]
        {
            let error = PolicyTags::of_record(&DmarcRecord::parse(text), "_dmarc.example.com").unwrap_err().to_string();
            assert!(error.starts_with("_dmarc.example.com: receivers cannot read"), "{error}");
        }
        assert_eq!(tags("p=none; ri=86400; x=1; rua=a@example.com").to_string(), "p=none");
    }
}
