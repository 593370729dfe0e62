//! Which records to publish for what a check found: one for each name, made by editing the record that is there.
//!
//! A record is shown only after it was checked in place of the old one: it has no fault, loses nothing that was right,
//! and every source that passes SPF today still passes or is named. Where no such record can be made, the finding says why.

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
