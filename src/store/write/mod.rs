//! Changes a store: batches, commits, and recovery after a kill.

pub(crate) mod batch;
pub(crate) mod commit;
mod dns_history;
mod events;
pub(crate) mod ledger_files;
mod mail;
pub(crate) mod merge;
mod quota;
pub(crate) mod record;
pub(crate) mod rehearse;
mod rejected;
pub(crate) mod replace;
pub(crate) mod rivals;
pub(crate) mod seen;
mod sources;
pub(crate) mod tls;
pub(crate) mod unfinished;
pub(crate) mod writer;
