//! DMARC (RFC 9989, RFC 7489): finds, parses and checks the record that applies to a domain.

mod check;
mod discover;
mod edit;
mod published;
mod record;
mod targets;

pub use check::{Dmarc, WalkDifference, check};
pub(in crate::dns) use discover::targets as walk_targets;
pub use discover::{Discovered, Discovery, Found, TreeWalkStep, discover, organization, record_at};
pub(in crate::dns) use edit::{DmarcEdit, lost};
pub(in crate::dns) use published::{looks_like_dmarc, misplaced};
pub use record::{DmarcRecord, Policy, Reach, SyntaxMistake, Target, is_dmarc};
pub(in crate::dns) use targets::{consent_name, has_consent};
