//! Standard input, output and error, exit codes, signals, the pager.

pub(crate) mod exit;
pub(crate) mod fault;
pub(crate) mod format;
pub(crate) mod input;
pub(crate) mod interrupt;
pub(crate) mod output;
pub(crate) mod pager;
pub(crate) mod service_manager;
