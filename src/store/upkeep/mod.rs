//! Looking after a store: merging small files, removing old months, verifying, rebuilding.

pub(crate) mod compact;
pub(crate) mod rebuild;
pub(crate) mod verify;
