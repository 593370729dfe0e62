//! One row of a report: a source, a count, and what the receiver found, with raw authentication results as the reporter saw
//! them, before any alignment.

use super::{Disposition, DkimResult, Domain, Evaluated, ReasonType, ReturnPath, SpfResult, SpfScope, Text};
use std::net::IpAddr;

/// One `<record>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The sending address, IPv4-mapped IPv6 folded to IPv4; `None` if it is unusable.
    pub source_ip: Option<IpAddr>,
    /// Messages; never negative.
    pub count: i64,
    /// What the receiver did; `None` if absent or empty.
    pub disposition: Option<Disposition>,
    /// The reporter's aligned DKIM result; `None` if absent.
    pub evaluated_dkim: Option<Evaluated>,
    /// The reporter's aligned SPF result; `None` if absent.
    pub evaluated_spf: Option<Evaluated>,
    /// Why the disposition differs from the published policy, in order.
    pub reasons: Vec<Reason>,
    /// RFC5322.From.
    pub header_from: Option<Domain>,
    /// RFC5321.MailFrom.
    pub envelope_from: ReturnPath,
    /// The recipient's domain.
    pub envelope_to: Option<Domain>,
    /// One per signature, in order.
    pub dkim: Vec<DkimAuth>,
    /// One per check, in order.
    pub spf: Vec<SpfAuth>,
}

/// `policy_evaluated/reason`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// `None` if the element has neither type nor text.
    pub kind: Option<ReasonType>,
    /// Free text; empty text if the element is present but empty.
    pub comment: Option<Text>,
}

/// One DKIM signature as the reporter saw it (`auth_results/dkim`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DkimAuth {
    /// The signing domain, `d=`.
    pub domain: Option<Domain>,
    /// The selector, `s=`, as written.
    pub selector: Option<Text>,
    /// `None` if absent or empty.
    pub result: Option<DkimResult>,
    /// Free text; empty text if the element is present but empty.
    pub human_result: Option<Text>,
}

/// One SPF check (`auth_results/spf`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpfAuth {
    /// The domain checked.
    pub domain: Option<Domain>,
    /// Which identity was checked; many RFC 7489 reports do not say, and mean MAIL FROM.
    pub scope: Option<SpfScope>,
    /// `None` if absent or empty.
    pub result: Option<SpfResult>,
    /// Free text; empty text if the element is present but empty.
    pub human_result: Option<Text>,
}
