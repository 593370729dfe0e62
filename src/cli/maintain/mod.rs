//! Commands that maintain a store: `backup`, `compact`, `prune`, `rebuild`, `rejected`, `verify`.

pub(crate) mod backup;
pub(crate) mod compact;
pub(crate) mod prune;
pub(crate) mod rebuild;
pub(crate) mod rejected;
pub(crate) mod verify;
