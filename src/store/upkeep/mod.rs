//! Maintenance: backup, merging small files, removing old months, verifying, rebuilding.

pub(crate) mod backup;
pub(crate) mod compact;
mod old_ledger;
pub(crate) mod rebuild;
pub(crate) mod rebuild_packs;
pub(crate) mod verify;
