//! The SQLite ledger: what is stored, where, and what is known about each item.

pub(crate) mod database;
pub(crate) mod dns_history;
pub(crate) mod events;
pub(crate) mod intents;
pub(crate) mod lookups;
pub(crate) mod mailboxes;
pub(crate) mod networks;
pub(crate) mod origins;
pub(crate) mod outbox;
pub(crate) mod quota;
pub(crate) mod rejected;
pub(crate) mod reports;
pub(crate) mod status;
pub(crate) mod survey;
pub(crate) mod tls;
pub(crate) mod uidls;
pub(crate) mod upgrade;
pub(crate) mod verdicts;
