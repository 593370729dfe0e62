//! Proposes records for the findings of a check: one per name, by editing the published one.
//!
//! A record is shown only after it was checked as if it replaced the old one: it has no fault, loses nothing that was
//! right, and every source that passes SPF today still passes or is listed. If no such record is possible, the finding
//! says why.

mod attach;
mod dkim;
mod dmarc;
mod mx;
pub(crate) mod placement;
mod proposal;
mod spf;

pub(super) use attach::attach;
pub(super) use proposal::Checked;
pub(super) use spf::is_empty_spf;

#[cfg(test)]
mod tests;
