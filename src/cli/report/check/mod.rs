//! `check`: what DNS says about the mail of domains, now and over time.

mod command;
mod consents;
pub(crate) mod dns_history;
mod observed;
pub(super) mod policy_files;

pub(crate) use command::{CheckArgs, run};
