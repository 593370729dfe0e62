//! Maintenance: backup, merging small files, removing old months, verifying, rebuilding.

pub(crate) mod backup;
pub(crate) mod compact;
pub(crate) mod rebuild;
pub(crate) mod verify;
