//! What TLS reports (RFC 8460) say about the sessions with the MX hosts of the selected domains: how many fail, where,
//! since when, why, and what to do.
//!
//! Sessions under different types of policy are never added up: a reporter may count one session under `sts` and again
//! under `tlsa`. Reports whose mail was proven not to be the reporter's are left out (RFC 8460 section 3).

mod advice;
mod answer;
mod sums;

pub use advice::TlsAdvice;
pub(crate) use answer::summaries;
pub use answer::{TlsCause, TlsHost, TlsReporter, TlsSummary};
pub use sums::TlsSessions;
pub(crate) use sums::TlsSums;
