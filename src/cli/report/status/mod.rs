//! `status`: the state of the store, of a part of it, and of those who report.

mod census;
mod lines;
mod parts;
mod whole;

pub(crate) use whole::{StatusArgs, run};
