//! `summary`: who sends as the user's domains, shown or mailed, to the user or to each customer.

mod command;
mod digests;
mod overview;
mod rhythm;

pub(crate) use command::{SummaryArgs, run};
