//! `summary`: who sends as the user's domains, shown or mailed, to the user or to each customer.

mod args;
mod command;
mod digests;
mod overview;
mod rhythm;

pub(crate) use args::SummaryArgs;
pub(crate) use command::run;
