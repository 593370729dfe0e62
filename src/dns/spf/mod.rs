//! SPF (RFC 7208): parses a record, evaluates it for a mail, draws its tree, and checks it.

mod check;
mod edit;
mod evaluate;
mod macros;
mod record;
mod tree;

pub(in crate::dns) use check::looks_like_spf;
pub use check::{Spf, check};
pub(in crate::dns) use edit::{SpfEdit, lost, readable};
pub use evaluate::{
    CheckHostResult, Evaluation, LOOKUP_LIMIT, SpfInput, SpfStep, VOID_LIMIT, check_address, check_host, records_of,
};
pub use record::{Mechanism, Qualifier, SpfRecord, Term, TermError, is_spf};
pub(crate) use tree::draw;
pub use tree::{Node, NodeState, TermFact, TermNode};

#[cfg(test)]
mod tests;
