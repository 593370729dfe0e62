//! SPF (RFC 7208): a record taken apart, evaluated for a mail, drawn as a tree, and checked.

mod check;
mod evaluate;
mod macros;
mod record;
mod tree;

pub use check::{Spf, check};
pub use evaluate::{Evaluation, LOOKUP_LIMIT, Mail, Outcome, Step, VOID_LIMIT, check_host, records_of};
pub use record::{Mechanism, Qualifier, Record, Term, TermError, is_spf};
pub use tree::{Node, NodeState, TermFact, TermNode};

#[cfg(test)]
mod cases;
