//! One row of a report: a source, a count, and what the receiver found.

use super::{Disposition, DkimAuth, Domain, Evaluated, ReasonType, ReturnPath, SpfAuth, Text};
use std::net::IpAddr;

/// One `<record>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The sending address, IPv4-mapped IPv6 folded to IPv4; null where real messages have no usable address.
    pub source_ip: Option<IpAddr>,
    /// Messages; never negative.
    pub count: i64,
    /// What was done; null where absent or empty.
    pub disposition: Option<Disposition>,
    /// The reporter's aligned DKIM result; null where absent.
    pub evaluated_dkim: Option<Evaluated>,
    /// The reporter's aligned SPF result; null where absent.
    pub evaluated_spf: Option<Evaluated>,
    /// Why the disposition is not the published policy, in order.
    pub reasons: Vec<Reason>,
    /// RFC5322.From.
    pub header_from: Option<Domain>,
    /// RFC5321.MailFrom.
    pub envelope_from: ReturnPath,
    /// The recipient's domain.
    pub envelope_to: Option<Domain>,
    /// One a signature, in order.
    pub dkim: Vec<DkimAuth>,
    /// One a check, in order.
    pub spf: Vec<SpfAuth>,
}

/// `policy_evaluated/reason`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Null where the element has neither type nor text.
    pub kind: Option<ReasonType>,
    /// Free text; empty text where the element is there but empty.
    pub comment: Option<Text>,
}
