//! `status`: the state of the store, of a part of it, and of those who report.

mod args;
mod census;
mod lines;
mod parts;
mod whole;

pub(crate) use args::StatusArgs;
pub(crate) use whole::run;
